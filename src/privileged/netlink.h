/* netlink: the loopback link and the routes that a container's netns needs. All calls act on the
 * netns of the calling process.
 */
#pragma once

#include <stdbool.h>

#include "util/diag.h"

/* netlink_lo_set(up, ret_changed, diag): bring `lo` up or down; *ret_changed (may be NULL) tells
 * whether it was not so before. 0 or -errno. */
int netlink_lo_set(bool up, bool *ret_changed, struct diag *diag);

/* netlink_routes_add(diag): a route on `lo` to each metadata address that the netns cannot reach,
 * for without any route a connect() fails before iptables sees a packet. They carry a protocol
 * number of ours. 0 or -errno; no route of IPv6 where that is disabled is no error. */
int netlink_routes_add(struct diag *diag);

/* netlink_routes_remove(): the routes that netlink_routes_add() made here, now or in another life.
 * 0, or the first -errno after trying all. */
int netlink_routes_remove(void);
