/* netns: opening, telling apart and entering network namespaces. Nothing here trusts a path. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "util/diag.h"

/* A namespace is its inode; paths and pids are only ways to find it. */
struct netns_id {
	uint64_t dev;
	uint64_t ino;
};

static inline bool netns_id_equal(const struct netns_id *a, const struct netns_id *b)
{
	return a->dev == b->dev && a->ino == b->ino;
}

/* The netns that must never be touched by a container's request: besides these two, the one that
 * the kernel booted with, which newer kernels always give the same inode. */
struct netns_hosts {
	struct netns_id own;  /* that of this process at start */
	struct netns_id init; /* that of pid 1; the same as `own` if it cannot be seen */
};

#define NETNS_INITIAL_INODE UINT64_C(0xeffffff9) /* NET_NS_INIT_INO since Linux 6.18 */

int netns_hosts_init(struct netns_hosts *ret, struct diag *diag);
bool netns_is_host(const struct netns_hosts *hosts, const struct netns_id *id);

/* netns_of_path(path, ret): whose inode does the path lead to? 0 or -errno. */
int netns_of_path(const char *path, struct netns_id *ret);

/* netns_open(path, hosts, ret_fd, ret_id, diag): open the container's netns at `path`: -EINVAL if
 * it is none, or a host's, or -errno, with field "netns". Opens nothing that it has not looked at:
 * a FIFO does not block, a device does not start. */
int netns_open(const char *path, const struct netns_hosts *hosts, int *ret_fd,
	       struct netns_id *ret_id, struct diag *diag);

/* netns_of_socket(sock, ret_fd, ret_id): the netns a socket was made in. 0 or -errno. */
int netns_of_socket(int sock, int *ret_fd, struct netns_id *ret_id);

/* netns_enter(fd, diag): move this process (which must have one thread) into it, for good. */
int netns_enter(int fd, struct diag *diag);
