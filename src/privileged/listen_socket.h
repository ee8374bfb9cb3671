/* listen_socket: the listeners inside a container's netns, and those of bridge mode in the host's. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "util/diag.h"

enum listen_scope {
	LISTEN_LOOPBACK, /* 127.0.0.1 or [::1], and what comes by lo alone */
	LISTEN_ANY,	 /* 0.0.0.0 or [::]: redirected packets come to any address */
};

/* listen_socket_open(scope, family, port, ret_fd, diag): listen in this process's netns. 0 or
 * -errno: -EAFNOSUPPORT if the kernel has no such family, -EADDRINUSE (field "netns", or "" for
 * LISTEN_ANY) if somebody has the port. */
int listen_socket_open(enum listen_scope scope, int family, uint16_t port, int *ret_fd,
		       struct diag *diag);

/* listen_socket_check(fd, scope, family, port, diag): is `fd` what listen_socket_open() makes? For sockets
 * that somebody else hands us; one on 127.0.0.1 is then bound to lo. 0 or -EINVAL, field "fds". */
int listen_socket_check(int fd, enum listen_scope scope, int family, uint16_t port,
			struct diag *diag);
