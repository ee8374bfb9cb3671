/* control_socket: where the control API listens, and who stands at the other end.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "util/diag.h"

struct control_peer {
	pid_t pid;
	uid_t uid;
	gid_t gid;
	int64_t loginuid; /* who logged in, whatever became of him by sudo; -1: nobody did */
	/* Who came by TLS: the subject of the certificate, as RFC 2253 writes it, and the address.
	 * NULL: it came by the Unix socket, and the four above say who. */
	const char *subject, *address;
};

/* The group that may use the Unix socket. */
struct control_group {
	bool known; /* there is such a group */
	gid_t gid;
};

struct control_group control_group_find(const char *name);

/* control_socket_listen(path, group, ret_fd, diag): bind the Unix socket (replacing a stale one)
 * with mode 0660 and the group, if it exists. */
int control_socket_listen(const char *path, const char *group, int *ret_fd, struct diag *diag);

/* control_socket_listen_tcp(where, ret_fd, diag): listen at "HOST:PORT" or "[IPv6]:PORT". A daemon
 * that takes over from another listens beside it for a while. */
int control_socket_listen_tcp(const char *where, int *ret_fd, struct diag *diag);

/* control_socket_peer(fd, group, ret): who is connected on the Unix socket, and may he use it? Root,
 * the daemon's own user and members of the group may. */
bool control_socket_peer(int fd, struct control_group group, struct control_peer *ret);
