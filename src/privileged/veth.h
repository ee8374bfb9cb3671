/* veth: how a container's netns is joined with the host's, found out without entering it.
 *
 * The host's ends of its veths are those links whose peer is in the netns; the peers' addresses are
 * asked from the kernel by the netns's id. Acts on the host's netns: that of the calling process.
 */
#pragma once

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/diag.h"
#include "wire/netd_message.h"

/* One address by which a container's packets come in. */
struct veth_path {
	uint32_t port;	  /* index of the host's end of the veth */
	uint32_t ingress; /* index of the interface that the IP stack sees: the bridge, or `port` */
	bool ipv6;
	struct netd_source source;
};

struct veth_paths {
	struct veth_path list[NETD_SOURCES_MAX];
	size_t n;
};

/* veth_find(netns_fd, ret, diag): 0; -EINVAL, field "netns", if the netns has no veth to the host, no
 * address on one, or more than fit; or -errno. */
int veth_find(int netns_fd, struct veth_paths *ret, struct diag *diag);

/* veth_exists(path): is the veth still in this netns? */
bool veth_exists(const struct veth_path *path);
