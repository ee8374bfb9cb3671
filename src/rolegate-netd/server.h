/* server: netd's socket, its signals and its life. */
#pragma once

#include "rolegate-netd/netd.h"

/* server_open(netd, diag): make the socket and listen: 0660, of rolegated's user and group root. A
 * stale one is replaced; one that somebody listens on is an error. 0 or -errno. */
int server_open(struct netd *netd, struct diag *diag);

/* server_run(netd): accept and serve until SIGTERM or SIGINT. 0 or -errno. */
int server_run(struct netd *netd);

/* server_close(netd): let go of everything here. Rules stay where they are, and so does the
 * socket's file, which the next netd replaces. */
void server_close(struct netd *netd);
