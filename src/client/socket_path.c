#include "client/socket_path.h"

#include <stdlib.h>
#include <string.h>

#include "wire/config.h"

#define BUILT_IN_SOCKET "/run/rolegate/control.sock"

static int copy(const char *path, char **ret)
{
	*ret = strdup(path);
	return *ret ? 0 : -ENOMEM;
}

int socket_path_default(const char *config_path, char **ret, struct diag *diag)
{
	const char *environment = getenv("ROLEGATE_SOCKET");
	struct config config;

	*ret = NULL;
	if (environment && environment[0])
		return copy(environment, ret);
	int r = config_load(config_path ? config_path : CONFIG_DEFAULT_PATH, &config, diag);
	if (!config_path && (r == -ENOENT || r == -ENOTDIR || r == -EACCES))
		return copy(BUILT_IN_SOCKET, ret);
	if (r < 0)
		return r;
	r = copy(config.control.socket, ret);
	config_deinit(&config);
	return r;
}
