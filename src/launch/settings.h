/* settings: the configuration, as what an engine starts finds it. */
#pragma once

#include "util/diag.h"
#include "wire/config.h"

#define SETTINGS_VARIABLE "ROLEGATE_CONFIG"

/* settings_load(ret, diag): the file that $ROLEGATE_CONFIG names, or CONFIG_DEFAULT_PATH; if that
 * is not there, the defaults. 0 or -errno. */
int settings_load(struct config *ret, struct diag *diag);
