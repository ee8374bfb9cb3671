/* registration_metadata: the "metadata" object of a registration: JSON to a list of keys and
 * texts. What the keys mean, and whether there are such, is core/container_metadata's to say.
 */
#pragma once

#include <stddef.h>

#include <jansson.h>

#include "util/diag.h"

#define REGISTRATION_METADATA_MAX 64
#define REGISTRATION_METADATA_VALUE_MAX 4096

struct registration_metadata {
	char *key;  /* "local-ipv4", "placement/region"; a tag is "tags/instance/NAME" */
	char *text; /* a list of strings has become lines, without a LF at the end */
};

/* registration_metadata_parse(value, ret, ret_n, diag): empty texts and lists are left out. 0,
 * -EINVAL with `diag` naming metadata.KEY, or -ENOMEM; what was read until then is in `ret` anyway
 * and the caller's to free. */
int registration_metadata_parse(json_t *value, struct registration_metadata **ret, size_t *ret_n,
				struct diag *diag);
void registration_metadata_free(struct registration_metadata *metadata, size_t n);
