/* listen_socket: the listeners inside a container's netns. */
#pragma once

#include <stdint.h>

#include "util/diag.h"

/* listen_socket_open(family, port, ret_fd, diag): listen on 127.0.0.1 or [::1] of this process's
 * netns. 0 or -errno: -EAFNOSUPPORT if the kernel has no such family, -EADDRINUSE (field "netns")
 * if a workload has the port. */
int listen_socket_open(int family, uint16_t port, int *ret_fd, struct diag *diag);

/* listen_socket_check(fd, family, port, diag): is `fd` what listen_socket_open() makes? For sockets
 * that somebody else hands us. 0 or -EINVAL, field "fds". */
int listen_socket_check(int fd, int family, uint16_t port, struct diag *diag);
