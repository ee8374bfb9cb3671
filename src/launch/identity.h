/* identity: which role a container is to have, by what its OCI configuration says of it.
 *
 * The role is the first of:
 *	annotation rolegate.io/role (or rolegate.io/role_arn)
 *	annotation iam.amazonaws.com/role
 *	annotations named in [runtime] role_annotations
 *	variable ROLEGATE_ROLE (or ROLEGATE_ROLE_ARN), IAM_ROLE, those named in [runtime] role_env
 * an ARN, or a name as in "team/web" or "web@123456789012"; without an account that of [runtime]
 * account. The other fields of a registration: annotation rolegate.io/FIELD, else the variable
 * ROLEGATE_FIELD, else IAM_EXTERNAL_ID and IAM_POLICY (the session policy).
 *
 * An image brings its own environment along. With [runtime] trust_env = no no variable counts; else
 * nothing that the policy goes by (labels, the image itself) is believed of a variable. Of the image
 * and the pod only what the engine itself says (image.h) is believed, never rolegate.io/image.ref.
 */
#pragma once

#include <stddef.h>

#include "util/cleanup.h"
#include "util/diag.h"
#include "wire/config.h"
#include "wire/oci_config.h"

/* One value for rolegate_registration_set(). */
struct identity_field {
	char *name;
	char *value;
	char *source; /* for messages: "annotation rolegate.io/tokens", "variable IAM_ROLE" */
};

struct identity {
	char *role_arn;		       /* NULL: the container has no role */
	char *role_source;	       /* as above */
	struct identity_field *fields; /* role_arn is not among them */
	size_t n_fields;
};

/* identity_read(oci, id, config, ret, diag): of the container `id` (NULL: not known yet). 0, -EINVAL
 * with `diag` naming the annotation or variable, -EACCES if its image is not signed as it must be, or
 * -ENOMEM. Without a role, the other fields are not looked at. */
int identity_read(const struct oci_config *oci, const char *id, const struct config *config,
		  struct identity **ret, struct diag *diag);
/* identity_add(identity, name, value, source, diag): one more field. 0 or -ENOMEM. */
int identity_add(struct identity *identity, const char *name, const char *value, const char *source,
		 struct diag *diag);
struct identity *identity_free(struct identity *identity);
DEFINE_CLEANUP(struct identity *, identity_free)
#define _cleanup_identity_ _cleanup_(identity_freep)

/* identity_complete_arn(role, config, ret, diag): an ARN for an ARN, a name, or a name@account.
 * 0, -EINVAL or -ENOMEM. */
int identity_complete_arn(const char *role, const struct config *config, char **ret,
			  struct diag *diag);
