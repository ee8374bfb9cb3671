/* socket_path: which control socket to talk to when nobody said. */
#pragma once

#include "util/diag.h"

/* socket_path_default(config_path, ret, diag): $ROLEGATE_SOCKET if set, else the [control] socket
 * of the configuration file (NULL: CONFIG_DEFAULT_PATH), else the built-in default; *ret is the
 * caller's. A missing or unreadable default file is passed over: a client needs no configuration.
 * 0, -ENOMEM, or another -errno with `diag` when the file is invalid, or was named and cannot be
 * read; *ret is NULL then. */
int socket_path_default(const char *config_path, char **ret, struct diag *diag);
