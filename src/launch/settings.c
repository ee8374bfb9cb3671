#include "launch/settings.h"

#include <stdlib.h>
#include <unistd.h>

int settings_load(struct config *ret, struct diag *diag)
{
	const char *path = getenv(SETTINGS_VARIABLE);

	if (path && path[0])
		return config_load(path, ret, diag);
	if (access(CONFIG_DEFAULT_PATH, F_OK) < 0 && errno == ENOENT)
		return config_parse("", CONFIG_DEFAULT_PATH, ret, diag);
	return config_load(CONFIG_DEFAULT_PATH, ret, diag);
}
