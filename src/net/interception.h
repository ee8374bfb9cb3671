/* interception: keeps what rolegate-netd holds and what the registry says the same: listeners in
 * each container's netns, served through its door.
 *
 * After either daemon restarts, netd's list is compared with the registry: what both know is taken
 * over, what only netd knows is taken down, what only we hold is handed to netd again (ADOPT), what
 * is missing is attached anew.
 */
#pragma once

#include <event2/event.h>

#include "core/container.h"
#include "net/frontend.h"
#include "net/netd_client.h"

struct interception;

struct interception_events {
	/* The container is served: its phase is ATTACHED now. */
	void (*attached)(struct container *c, void *data);
	/* It cannot be attached; its phase is still ATTACHING. */
	void (*failed)(struct container *c, const struct netd_answer *answer, void *data);
	/* A container being DETACHED is out of netd's hands. */
	void (*detached)(struct container *c, void *data);
	/* Its netns has died; netd has let it go. */
	void (*gone)(struct container *c, void *data);
	/* See netd_client.h. */
	void (*taken)(int fd, void *data);
	void (*replaced)(void *data);
	void (*refused)(const char *text, void *data);
	/* netd can be asked from now on. */
	void (*ready)(void *data);
};

struct interception_deps {
	struct event_base *base;
	const char *netd_socket;
	const char *owner; /* see netd_client.h */
	struct container_registry *registry;
	struct frontend *frontend;
};

/* `deps` is copied; what it points to must outlive the object. */
int interception_new(const struct interception_deps *deps, const struct interception_events *events,
		     void *data, struct interception **ret);
struct interception *interception_free(struct interception *i);

/* interception_keep(i, fd): see netd_client_keep(). */
int interception_keep(struct interception *i, int fd);

/* interception_retire(i): the daemon is about to end: no new connection to netd, where by now
 * another rolegated may be served. */
void interception_retire(struct interception *i);

bool interception_ready(const struct interception *i);

/* interception_attach(i, c): attach a container in phase ATTACHING; now, or when netd can be
 * reached. */
void interception_attach(struct interception *i, struct container *c);

/* interception_retry(i): `failed` was told, but the container stays: ask again in a second. */
void interception_retry(struct interception *i);

/* interception_detach(i, c): the container is in phase DETACHING: shut its door at once, have netd
 * take down the rest; `detached` runs later, never before this has returned. */
void interception_detach(struct interception *i, struct container *c);

/* interception_forget(i, c): the container is about to be freed: shut its door, expect nothing
 * more. */
void interception_forget(struct interception *i, struct container *c);
