/* container_id: the name a container is registered under. */
#pragma once

#define CONTAINER_ID_SIZE 129

/* container_id_check(id): [A-Za-z0-9][A-Za-z0-9_.-]{0,127}. 0 or -EINVAL. */
int container_id_check(const char *id);
