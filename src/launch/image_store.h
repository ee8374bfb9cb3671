/* image_store: looking a container's image up in its engine's own records. Docker and Podman tell
 * their runtime nothing of it; but the container's root is in their storage, and the records are
 * beside it.
 */
#pragma once

#include "wire/image_record.h"

/* image_store_find(root_path, container_id, ret): go up from the container's root file system to the
 * engine's directory. 0; -ENOENT if no engine has written of it there; -EPERM if others than root may
 * write the records, -EINVAL if they are broken, or what reading gave: then nothing of it is known, and
 * nobody else is to be believed. */
int image_store_find(const char *root_path, const char *container_id, struct image_record *ret);
