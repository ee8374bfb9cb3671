/* rootfs: the file systems that a launched container sees of the host's, mounted in the launcher's own
 * mount namespace, so that they are gone with it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "util/diag.h"

/* rootfs_isolate(diag): give this process a mount namespace of its own. */
int rootfs_isolate(struct diag *diag);

/* rootfs_mount(source, target, ids_base, ids_size, diag): mount the directory `source` at `target`
 * (made if need be), without setuid programs and devices. With `ids_size` not 0 its files' owners 0
 * to ids_size - 1 become ids_base and on, as they are in the container's user namespace; where the
 * file system cannot do that (-EOPNOTSUPP is not returned) it is mounted as it is, and `ret_plain`
 * is set. 0 or -errno. */
int rootfs_mount(const char *source, const char *target, uint32_t ids_base, uint32_t ids_size,
		 bool *ret_plain, struct diag *diag);

/* rootfs_mount_sys(target, netns, diag): a read-only sysfs that shows the devices of `netns`. */
int rootfs_mount_sys(const char *target, const char *netns, struct diag *diag);
