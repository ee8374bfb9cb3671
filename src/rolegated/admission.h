/* admission: from the body of a registration to a registration that the policy allows, its session
 * scoped as the allowing rule says.
 */
#pragma once

#include "core/container_metadata.h"
#include "core/policy.h"
#include "wire/config.h"
#include "wire/registration.h"

/* What a body says, once it has been admitted. */
struct admission {
	struct registration *registration;
	struct container_metadata *metadata; /* made from it */
};

/* admission_admit(config, policy, known, id, body, len, ret, ret_code, diag): `known` is what
 * is registered under this id, or NULL. 0, or the HTTP status (see rolegated(8)) with its code and a
 * diag that names the field. `policy` NULL denies. */
int admission_admit(const struct config *config, const struct policy *policy,
		    const struct registration *known, const char *id, const char *body, size_t len,
		    struct admission *ret, const char **ret_code, struct diag *diag);
/* admission_deinit(a): what was not taken over: set that to NULL first. */
void admission_deinit(struct admission *a);
