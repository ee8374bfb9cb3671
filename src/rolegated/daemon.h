/* daemon: rolegated put together: every part, made in order and freed in reverse. */
#pragma once

#include "util/diag.h"
#include "wire/config.h"

struct daemon;

/* daemon_check(path, config, diag): what of a valid configuration file may still be wrong: [imds]
 * allow, and the policy, which must be there. */
int daemon_check(const char *path, const struct config *config, struct diag *diag);

/* daemon_new(config_path, config, ret, diag): open what needs root, give privileges up, make every
 * part. Takes `config` over on success. */
int daemon_new(const char *config_path, struct config *config, struct daemon **ret,
	       struct diag *diag);
struct daemon *daemon_free(struct daemon *d);

/* daemon_run(d): serve until SIGTERM or SIGINT. SIGHUP reloads configuration and policy. */
int daemon_run(struct daemon *d);
