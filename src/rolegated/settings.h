/* settings: what the configuration names, read and checked: at start, on reload and for --check.
 */
#pragma once

#include "core/metadata_tree.h"
#include "core/policy.h"
#include "net/control_tls.h"
#include "wire/config.h"

struct settings {
	struct metadata_allow allow;
	struct policy *policy;	 /* NULL: there is no such file, and every registration is denied */
	struct control_tls *tls; /* NULL: no tls_listen */
};

/* settings_load(path, config, needs_policy, ret, diag): read what `config`, from the file `path`,
 * names. That there is no policy file is an error, or a warning. 0 or -errno. */
int settings_load(const char *path, const struct config *config, bool needs_policy,
		  struct settings *ret, struct diag *diag);

/* settings_check_files(path, config, diag): for --check: are the files there that are read only when
 * they are needed? */
int settings_check_files(const char *path, const struct config *config, struct diag *diag);

/* settings_deinit(settings): free what has not been taken out of it. */
void settings_deinit(struct settings *settings);

/* settings_warn_fixed(old, new): say which changes take a restart. */
void settings_warn_fixed(const struct config *old, const struct config *new);

/* settings_warn_idle(config): say which keys have no effect: better than found out. */
void settings_warn_idle(const struct config *config);
