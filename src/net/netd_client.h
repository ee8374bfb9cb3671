/* netd_client: rolegated's side of the protocol with rolegate-netd (wire/netd_message.h), on the
 * event loop. Keeps a connection, reconnects with backoff, matches answers to requests.
 */
#pragma once

#include <stdbool.h>

#include <event2/event.h>

#include "util/fd.h"
#include "wire/netd_message.h"

struct netd_client;

/* By what an accepted connection is known in bridge mode. */
struct netd_door {
	uint32_t mark; /* 0: not in bridge mode */
	struct netd_source sources[NETD_SOURCES_MAX];
	size_t n_sources;
	uint32_t link; /* index of the host's end of its veth */
};

/* An answer. `error` is 0 or a negative errno; `text` says what is wrong, `field` is "netns" when
 * the caller's netns is at fault. The fds in a successful ATTACH are the callback's. Runs once,
 * never before the call that asked for it has returned. */
struct netd_answer {
	int error;
	const char *field, *text;
	uint64_t netns_dev, netns_ino;
	enum netd_mode mode;
	struct netd_door door; /* bridge mode */
	int fds[FD_PASS_MAX];
	size_t n_fds;
};
/* `context` is what netd_client_new() was given, `data` what the request was. */
typedef void netd_client_cb(const struct netd_answer *answer, void *context, void *data);

struct netd_client_events {
	/* One attachment that netd holds; the answer's fds are the handler's. */
	void (*attachment)(const char *id, const struct netd_answer *answer, void *data);
	/* Connected, and every attachment has been told. */
	void (*ready)(void *data);
	void (*lost)(void *data);
	/* The container's netns has died; netd has let it go. */
	void (*gone)(const char *id, void *data);
	/* What a rolegated before us has left (the fd is the handler's; -1: nothing). Comes once,
	 * before the first attachment. */
	void (*taken)(int fd, void *data);
	/* Another rolegated serves from now on. */
	void (*replaced)(void *data);
	/* netd serves a rolegated with another state directory, and has never served us. The client is
	 * retired. */
	void (*refused)(const char *text, void *data);
};

/* netd_client_new(base, path, owner, events, data, ret): starts connecting from the event loop.
 * `owner` names the registrations that we serve, see netd_message.h. */
int netd_client_new(struct event_base *base, const char *path, const char *owner,
		    const struct netd_client_events *events, void *data, struct netd_client **ret);
/* netd_client_free(client): callbacks of requests under way do not run. Returns NULL. */
struct netd_client *netd_client_free(struct netd_client *client);

bool netd_client_is_ready(const struct netd_client *client);

/* Requests: 0, -ENOTCONN, or -ENOMEM; then cb will not run. If netd is lost meanwhile, cb gets
 * -ECONNRESET. `cb` may be NULL. */
int netd_client_attach(struct netd_client *client, const char *id, enum netd_mode mode,
		       const char *netns_path, netd_client_cb *cb, void *data);
int netd_client_adopt(struct netd_client *client, const char *id, const char *netns_path,
		      const int *fds, size_t n_fds, netd_client_cb *cb, void *data);

/* netd_client_adopt_bridge(…, place, …): of the place, the netns and the mark are looked at. */
int netd_client_adopt_bridge(struct netd_client *client, const char *id, const char *netns_path,
			     const struct netd_answer *place, netd_client_cb *cb, void *data);
int netd_client_detach(struct netd_client *client, const char *id, netd_client_cb *cb, void *data);

/* netd_client_keep(client, fd): have netd hold it for the next rolegated; -1: nothing. Sent at
 * once, if the socket takes it. The fd stays the caller's. */
int netd_client_keep(struct netd_client *client, int fd);

/* netd_client_retire(client): the last connection was the last. */
void netd_client_retire(struct netd_client *client);

/* netd_client_forget(client, data): the callbacks of requests made with this `data` will not run.
 * An ATTACH that still succeeds is then detached again. */
void netd_client_forget(struct netd_client *client, void *data);
