#include "rolegated/settings.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "util/log.h"

/* [imds] allow. The table of paths is core's, so config.c cannot check it. */
static int load_allow(const char *path, const struct config *config, struct metadata_allow *ret,
		      struct diag *diag)
{
	struct diag why = {0};

	int r = metadata_allow_parse(config->imds.allow, ret, &why);
	return r < 0 ? diag_fail(-r, diag, "allow", "%s: [imds] allow: %s", path, why.text) : 0;
}

static int load_tls(const char *path, const struct config *config, struct control_tls **ret,
		    struct diag *diag)
{
	struct diag why = {0};

	if (!config->control.tls_listen)
		return 0;
	int r = control_tls_load(config->control.tls_cert, config->control.tls_key,
				 config->control.tls_client_ca, ret, &why);
	return r < 0 ? diag_fail(-r, diag, why.field, "%s: %s", path, why.text) : 0;
}

static int load_policy(const char *file, bool needed, struct policy **ret, struct diag *diag)
{
	int r = policy_load(file, ret, diag);

	if (r != -ENOENT || needed)
		return r;
	log_warning(NULL, "there is no policy file %s: every registration is denied", file);
	return 0;
}

/* Files that are read when they are needed. */
int settings_check_files(const char *path, const struct config *config, struct diag *diag)
{
	const struct {
		const char *key, *file;
	} files[] = {
		{"ca_file", config->aws.ca_file},
		{"base_credentials", config->aws.base_file},
	};

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		if (files[i].file && access(files[i].file, R_OK) < 0)
			return diag_fail(errno, diag, files[i].key,
					 "%s: [aws] %s: %s: cannot be read: %s", path, files[i].key,
					 files[i].file, strerror(errno));
	return 0;
}

int settings_load(const char *path, const struct config *config, bool needs_policy,
		  struct settings *ret, struct diag *diag)
{
	*ret = (struct settings){0};
	int r = load_allow(path, config, &ret->allow, diag);
	if (r == 0)
		r = load_tls(path, config, &ret->tls, diag);
	if (r == 0)
		r = load_policy(config->policy.file, needs_policy, &ret->policy, diag);
	if (r < 0)
		settings_deinit(ret);
	return r;
}

void settings_deinit(struct settings *settings)
{
	policy_free(settings->policy);
	control_tls_free(settings->tls);
	*settings = (struct settings){0};
}

/* Of values that may be NULL. */
static bool differ(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) != 0 : a != b;
}

void settings_warn_fixed(const struct config *old, const struct config *new)
{
	if (strcmp(old->control.socket, new->control.socket) != 0 ||
	    strcmp(old->control.group, new->control.group) != 0 ||
	    differ(old->control.tls_listen, new->control.tls_listen) ||
	    strcmp(old->netd.socket, new->netd.socket) != 0 ||
	    strcmp(old->state.dir, new->state.dir) != 0 ||
	    old->intercept.bridge_port != new->intercept.bridge_port)
		log_warning(NULL,
			    "[control], [netd], [state] and bridge_port change at a restart only");
}

void settings_warn_idle(const struct config *config)
{
	if (!config->control.tls_listen &&
	    (config->control.tls_cert || config->control.tls_key || config->control.tls_client_ca))
		log_warning(NULL, "[control] tls_cert, tls_key and tls_client_ca have no effect "
				  "without tls_listen");
	if (config->aws.ec2_endpoint)
		log_warning(NULL,
			    "[aws] ec2_endpoint is reserved: it has no effect in this version");
}
