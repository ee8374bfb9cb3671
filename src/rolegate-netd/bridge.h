/* bridge: what the containers of bridge mode share: the listeners in the host's netns, their marks,
 * and an eye on the host's links: with the veth goes the container.
 */
#pragma once

#include "rolegate-netd/netd.h"

/* bridge_open(netd, fds, n_fds, diag): have the listeners, made now or, if `fds` are given, taken
 * over (they become -1); nothing happens if they are there. 0 or -errno. */
int bridge_open(struct netd *netd, int *fds, size_t n_fds, struct diag *diag);

/* bridge_close_unused(netd): close them if no container needs them. */
void bridge_close_unused(struct netd *netd);
void bridge_deinit(struct netd *netd);

/* bridge_new_mark(netd, wish): one that nobody has; `wish` if that is free. */
uint32_t bridge_new_mark(struct netd *netd, uint32_t wish);

/* bridge_has_clients(netd): is a container of bridge mode attached? */
bool bridge_has_clients(const struct netd *netd);

/* bridge_describe(netd, attachment, reply): fill in what an attachment, of either mode, is. Returns
 * its listeners, reply->n_fds of them. */
const int *bridge_describe(const struct netd *netd, const struct attachment *attachment,
			   struct netd_reply *reply);
