/* launch_policy: may this container have its role? Asked of the policy file before anything is made;
 * the daemon, which decides in the end, asks it again.
 */
#pragma once

#include "launch/identity.h"
#include "util/diag.h"
#include "wire/config.h"

/* launch_policy_check(config, id, identity, diag): 0, -EACCES if the policy denies it, -EINVAL if the
 * registration or the policy is invalid, or -ENOMEM. */
int launch_policy_check(const struct config *config, const char *id,
			const struct identity *identity, struct diag *diag);
