/* confinement: can a container get at the host's credentials whatever rolegate does? */
#pragma once

#include <stdbool.h>

#include "util/diag.h"
#include "wire/config.h"
#include "wire/oci_config.h"

/* confinement_check(oci, bundle, config, diag): 0, or -EPERM with `diag` saying how it can: it is
 * in the host's network namespace (unless [intercept] protect_host closes that), it is privileged,
 * it sees a socket of rolegate's. What to do about it, [runtime] unconfined says. `bundle`, the
 * bundle's directory, is what paths may be relative to. */
int confinement_check(const struct oci_config *oci, const char *bundle, const struct config *config,
		      struct diag *diag);

/* Is it to be in this process's, or process 1's, network namespace? */
bool confinement_is_host_netns(const struct oci_config *oci);
