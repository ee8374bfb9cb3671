/* sts_endpoint: where the next call goes, taken apart as a signature needs it. */
#pragma once

#include "util/diag.h"
#include "wire/config.h"

struct sts_endpoint {
	char *url;
	char *host; /* the Host header: with the port unless it is the scheme's own */
	char *path; /* "/" at least */
	char *signing_region;
};

/* sts_endpoint_resolve(config, region, ret, diag): [aws] sts_endpoint if configured, else AWS's for
 * the region and partition. `region` may be NULL: good for a custom endpoint only, which then gets
 * us-east-1, as on-premises servers expect. 0; -ENODATA when a region is missing; -EINVAL or
 * -ENOMEM. On failure `ret` is empty. */
int sts_endpoint_resolve(const struct config *config, const char *region, struct sts_endpoint *ret,
			 struct diag *diag);

void sts_endpoint_deinit(struct sts_endpoint *endpoint);
