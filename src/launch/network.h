/* network: a container's network namespace, held by a process of ours, and the networks that the
 * existing CNI plugins connect it to.
 */
#pragma once

#include <stddef.h>
#include <sys/types.h>

#include "launch/launch_state.h"
#include "util/diag.h"

struct network {
	pid_t keeper;	   /* holds the netns; dies with its parent */
	char path[64];	   /* of the netns */
	size_t n_networks; /* connected so far */
};

/* network_open(ret, diag): a new network namespace with nothing in it. Ports below 1024 are free to
 * all in there: the container has no capabilities over it. 0 or -errno. */
int network_open(struct network *ret, struct diag *diag);

/* network_connect(network, id, list, state, diag): run ADD of the network list `list`: the path of a
 * .conflist or .conf file, or the name of a network in /etc/cni/net.d. What later DEL needs is kept
 * in `state`. 0, or -errno after undoing what this network's plugins did. */
int network_connect(struct network *network, const char *id, const char *list,
		    const struct launch_state *state, struct diag *diag);

/* network_disconnect(id, netns, state): run DEL of all that `state` knows, the last one first.
 * `netns` is "" if it is gone. Goes on after failures, which it reports. */
void network_disconnect(const char *id, const char *netns, const struct launch_state *state);

/* network_close(network): the namespace is gone, unless someone else holds it. */
void network_close(struct network *network);
