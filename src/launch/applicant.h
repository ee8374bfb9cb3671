/* applicant: a container that is about to be made: its bundle's config.json, read and judged. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "launch/identity.h"
#include "util/diag.h"
#include "wire/config.h"
#include "wire/oci_config.h"

struct applicant {
	char *text; /* of the file */
	size_t len;
	struct oci_config *oci;
	struct identity *identity; /* without a role_arn: none is wanted, or can be had */
	bool has_warning;
	struct diag warning; /* what is not as it should be, but allowed to be so */
};

/* applicant_read(id, file, bundle, config, ret, diag): read the file `file` of the bundle in the
 * directory `bundle`. 0, -EPERM if it would get around rolegate and [runtime] unconfined does not
 * allow that, -EACCES if its image is not signed, -EINVAL, -ENOMEM, or what reading gave. */
int applicant_read(const char *id, const char *file, const char *bundle,
		   const struct config *config, struct applicant *ret, struct diag *diag);
void applicant_deinit(struct applicant *applicant);
#define _cleanup_applicant_ _cleanup_(applicant_deinit)
