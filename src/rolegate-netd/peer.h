/* peer: the connections of rolegated: normally one, for the time of an upgrade two.
 *
 * A peer that does not read its answers is not read from either; one that breaks the framing of the
 * protocol loses its connection. Neither touches the others.
 */
#pragma once

#include "rolegate-netd/netd.h"

#define PEERS_MAX 4

/* peer_new(netd, sock, pid): serve the connection, which becomes the peer's. 0 or -errno. */
int peer_new(struct netd *netd, int sock, pid_t pid);
void peer_free_all(struct netd *netd);

/* peer_answer(netd, peer_id, reply, fds): send, now or when the peer reads again; nothing happens
 * if it has left. The reply->n_fds descriptors stay the caller's. */
void peer_answer(struct netd *netd, uint64_t peer_id, const struct netd_reply *reply,
		 const int *fds);

/* peer_is_there(netd, peer_id): it has not left. */
bool peer_is_there(const struct netd *netd, uint64_t peer_id);

/* peer_answer_all(netd, reply): the same to each peer. */
void peer_answer_all(struct netd *netd, const struct netd_reply *reply);

/* peer_init(netd): once. */
void peer_init(struct netd *netd);

/* peer_update_all(netd): the job queue is full, or has room again. */
void peer_update_all(struct netd *netd);
