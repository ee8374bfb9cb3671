#include "wire/container_id.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

int container_id_check(const char *id)
{
	size_t n = strlen(id);

	if (n == 0 || n >= CONTAINER_ID_SIZE || !isalnum((unsigned char)id[0]))
		return -EINVAL;
	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char)id[i]) && !strchr("_.-", id[i]))
			return -EINVAL;
	return 0;
}
