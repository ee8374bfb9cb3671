/* frontend: the metadata service's connections: accept, read, parse, ask the router, write.
 *
 * The listening socket says which container is asking (in bridge mode what the kernel says of the
 * connection); nothing the peer sends does. Raw sockets on
 * the event loop: a request that comes in one piece is parsed where it was read, its answer is
 * built in one shared buffer and written at once, so that the common request costs one read, one
 * write and no allocation.
 *
 * A request that needs the host's metadata, which is not cached, waits for at most
 * FRONTEND_WAIT_MS; only its own connection waits with it.
 *
 * Bounds: FRONTEND_REQUEST_MS to send a request, FRONTEND_IDLE_MS between two, and a number of
 * connections for each container; past it the container's own oldest connection is closed, so that
 * a container which hoards them hurts itself alone.
 */
#pragma once

#include <stdbool.h>

#include <event2/event.h>

#include "core/router.h"
#include "net/netd_client.h"
#include "net/upstream.h"
#include "util/fd.h"

#define FRONTEND_REQUEST_MS 10000
#define FRONTEND_IDLE_MS 120000
#define FRONTEND_WAIT_MS 300	     /* SDKs give up after 500 */
#define FRONTEND_CONNECTIONS_MAX 256 /* of one container */

struct frontend;
struct frontend_door; /* one container's listeners and connections */

/* `upstream` must outlive it; its callback is the frontend's from now on. */
int frontend_new(struct event_base *base, struct upstream *upstream, struct frontend **ret);
/* frontend_free(f): every door must have been closed. NULL is fine. Returns NULL. */
struct frontend *frontend_free(struct frontend *f);

/* A listener has stopped listening (root inside the netns can do that, with `ss -K`): the door is still
 * open, but nothing more comes in by it. The callback may close it. */
typedef void frontend_broken_cb(struct container *container, void *data);
void frontend_set_broken(struct frontend *f, frontend_broken_cb *cb, void *data);

/* frontend_set_allow(f, allow): the host's paths that every container may read, from now on. */
void frontend_set_allow(struct frontend *f, const struct metadata_allow *allow);

/* frontend_open(f, container, fds, n_fds, ret): serve the container on these listeners. The fds
 * become the door's on success. The container must outlive the door. 0 or -ENOMEM. */
int frontend_open(struct frontend *f, struct container *container, const int *fds, size_t n_fds,
		  struct frontend_door **ret);

/* frontend_open_shared(f, container, fds, n_fds, door, ret): serve the container, in bridge mode, on
 * listeners that it shares with others: a connection is its own if it comes with the door's mark
 * and from one of the door's addresses; one that is nobody's is closed unanswered. */
int frontend_open_shared(struct frontend *f, struct container *container, const int *fds,
			 size_t n_fds, const struct netd_door *door, struct frontend_door **ret);

/* frontend_door_change(door, to): such a door is known by another mark or addresses from now on. 0,
 * or -ENOMEM: then by none. */
int frontend_door_change(struct frontend_door *door, const struct netd_door *to);
uint32_t frontend_door_mark(const struct frontend_door *door);

/* frontend_door_fds(door, ret): the listeners, still the door's (to hand them to netd again). */
size_t frontend_door_fds(const struct frontend_door *door, int ret[FD_PASS_MAX]);

/* frontend_close(door): close listeners and connections at once. NULL is fine. Returns NULL. */
struct frontend_door *frontend_close(struct frontend_door *door);

/* How long a drain goes on answering on connections that are kept alive, and then at most takes to
 * end. Together less than the 1 s that SDKs wait for an answer: a new connection may wait so long.
 */
#define FRONTEND_LINGER_MS 500
#define FRONTEND_LEAVE_MS 400

typedef void frontend_drained_cb(void *data);

/* frontend_drain(f, accepting, drained, data): end without a request lost. First every answer
 * carries "Connection: close", for as long as there are idle connections and at most
 * FRONTEND_LINGER_MS; new connections are meanwhile accepted, if `accepting`, or left in the
 * backlog to whoever else has the listeners. Then none is accepted, connections without a request
 * are shut, those with one answered. `drained` runs once, from the event loop: nobody is connected
 * any more, or time is up. To be called once; again it only hastens. */
void frontend_drain(struct frontend *f, bool accepting, frontend_drained_cb *drained, void *data);
