#include "net/interception.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "util/log.h"

/* How long until a container that could not be attached is tried again. */
#define RETRY_S 1

struct interception {
	struct interception_deps deps;
	struct interception_events events;
	void *data;
	struct netd_client *netd;
	struct event *retry; /* asks netd again for what is ATTACHING */
};

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71 /* Linux 5.14 */
#endif

/* What else than an inode number tells the netns: the cookie of its sockets; in bridge mode, whose
 * sockets are not in there, the index of its veth. 0 where the kernel has none. */
static uint64_t netns_cookie(const struct netd_answer *answer)
{
	uint64_t cookie = 0;
	socklen_t len = sizeof(cookie);

	if (answer->mode == NETD_MODE_BRIDGE)
		return answer->door.link;
	if (answer->n_fds == 0 ||
	    getsockopt(answer->fds[0], SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &len) < 0)
		return 0;
	return cookie;
}

/* Is this the netns the container was registered with? An inode number may be another's by now. */
static bool is_same_netns(const struct container *c, uint64_t dev, uint64_t ino, uint64_t cookie)
{
	return c->netns_ino == ino && c->netns_dev == dev &&
	       (c->netns_cookie == 0 || cookie == 0 || c->netns_cookie == cookie);
}

static void close_all(const int *fds, size_t n_fds)
{
	for (size_t i = 0; i < n_fds; i++)
		fd_close(fds[i]);
}

static enum netd_mode mode_of(const struct container *c)
{
	return c->registration->intercept == INTERCEPT_BRIDGE ? NETD_MODE_BRIDGE : NETD_MODE_NETNS;
}

/* Serve the container on the answer's listeners, which become the door's. */
static int open_door(struct interception *i, struct container *c, const struct netd_answer *answer)
{
	int r = -EPROTO;

	if (answer->n_fds > 0 && answer->mode == mode_of(c))
		r = answer->mode == NETD_MODE_BRIDGE
			    ? frontend_open_shared(i->deps.frontend, c, answer->fds, answer->n_fds,
						   &answer->door, &c->door)
			    : frontend_open(i->deps.frontend, c, answer->fds, answer->n_fds,
					    &c->door);
	if (r < 0) {
		close_all(answer->fds, answer->n_fds);
		return r;
	}
	c->phase = CONTAINER_ATTACHED;
	c->netd_knows = true;
	i->events.attached(c, i->data);
	return 0;
}

static void fail(struct interception *i, struct container *c, int error, const char *field,
		 const char *text)
{
	struct netd_answer answer = {.error = error, .field = field, .text = text};

	i->events.failed(c, &answer, i->data);
}

static void on_attached(const struct netd_answer *answer, void *context, void *data)
{
	struct container *c = data;
	struct interception *i = context;

	c->netd_asked = false;
	if (answer->error == -ECONNRESET)
		return; /* again when netd is back */
	if (answer->error < 0) {
		i->events.failed(c, answer, i->data);
		return;
	}
	uint64_t cookie = netns_cookie(answer);
	if (c->netns_ino != 0 && !is_same_netns(c, answer->netns_dev, answer->netns_ino, cookie)) {
		close_all(answer->fds, answer->n_fds);
		(void)netd_client_detach(i->netd, c->id, NULL, NULL);
		fail(i, c, -ESTALE, "netns", "the path leads to another network namespace now");
		return;
	}
	c->netns_dev = answer->netns_dev;
	c->netns_ino = answer->netns_ino;
	c->netns_cookie = cookie;
	if (open_door(i, c, answer) < 0) {
		(void)netd_client_detach(i->netd, c->id, NULL, NULL);
		fail(i, c, -ENOMEM, "", "the listeners could not be served");
	}
}

void interception_retry(struct interception *i)
{
	static const struct timeval wait = {.tv_sec = RETRY_S};

	evtimer_add(i->retry, &wait);
}

/* What is attached is of no use any more: shut the door, have netd clear up, and attach anew. */
static void attach_anew(struct interception *i, struct container *c)
{
	c->door = frontend_close(c->door);
	c->phase = CONTAINER_ATTACHING;
	c->netd_knows = false;
	(void)netd_client_detach(i->netd, c->id, NULL, NULL);
	interception_retry(i);
}

static void on_broken(struct container *c, void *data)
{
	log_warning(c->id, "a listener was destroyed inside its netns: attaching it anew");
	attach_anew(data, c);
}

static void on_adopted(const struct netd_answer *answer, void *context, void *data)
{
	struct container *c = data;
	bool bridged = mode_of(c) == NETD_MODE_BRIDGE;

	c->netd_asked = false;
	if (answer->error == -ECONNRESET)
		return;
	if (answer->error < 0) {
		log_error(c->id,
			  "rolegate-netd does not take over the listeners: %s; attaching anew",
			  answer->text);
		attach_anew(context, c);
	} else if (bridged && netns_cookie(answer) != c->netns_cookie) {
		log_warning(c->id, "its netns has another veth now: attaching it anew");
		attach_anew(context, c);
	} else if (bridged && frontend_door_change(c->door, &answer->door) < 0) {
		log_error(c->id, "out of memory: it is not served any more");
	} else {
		c->netd_knows = true;
	}
}

static void on_detached(const struct netd_answer *answer, void *context, void *data)
{
	struct interception *i = context;
	struct container *c = data;

	c->netd_asked = false;
	if (answer->error == -ECONNRESET)
		return; /* again when netd is back */
	if (answer->error < 0)
		log_error(c->id, "rolegate-netd could not clean up: %s", answer->text);
	i->events.detached(c, i->data);
}

static int adopt(struct interception *i, struct container *c)
{
	struct netd_answer place = {.netns_dev = c->netns_dev, .netns_ino = c->netns_ino};

	place.n_fds = frontend_door_fds(c->door, place.fds);
	if (mode_of(c) == NETD_MODE_NETNS)
		return netd_client_adopt(i->netd, c->id, c->registration->netns, place.fds,
					 place.n_fds, on_adopted, c);
	place.door.mark = frontend_door_mark(c->door);
	return netd_client_adopt_bridge(i->netd, c->id, c->registration->netns, &place, on_adopted,
					c);
}

/* Ask netd for what the container's phase needs, if it can be asked and has not been. */
static void advance(struct interception *i, struct container *c)
{
	int r = 0;

	if (!netd_client_is_ready(i->netd) || c->netd_asked)
		return;
	switch (c->phase) {
	case CONTAINER_ATTACHING:
		r = netd_client_attach(i->netd, c->id, mode_of(c), c->registration->netns,
				       on_attached, c);
		break;
	case CONTAINER_ATTACHED:
		if (c->netd_knows)
			return;
		r = adopt(i, c);
		break;
	case CONTAINER_DETACHING:
		r = netd_client_detach(i->netd, c->id, on_detached, c);
		break;
	}
	if (r < 0)
		log_error(c->id, "cannot ask rolegate-netd: %s", strerror(-r));
	else
		c->netd_asked = true;
}

static void on_attachment(const char *id, const struct netd_answer *answer, void *data)
{
	struct interception *i = data;
	struct container *c = container_find(i->deps.registry, id);
	bool same = c && mode_of(c) == answer->mode &&
		    is_same_netns(c, answer->netns_dev, answer->netns_ino, netns_cookie(answer));

	if (same && c->phase == CONTAINER_ATTACHING) {
		/* One we had before our restart; a fresh one has no netns inode yet. */
		if (open_door(i, c, answer) < 0)
			fail(i, c, -ENOMEM, "", "the listeners could not be served");
		return;
	}
	close_all(answer->fds, answer->n_fds);
	if (same && c->phase == CONTAINER_ATTACHED &&
	    (answer->mode == NETD_MODE_NETNS ||
	     frontend_door_change(c->door, &answer->door) == 0)) {
		c->netd_knows = true;
		return;
	}
	/* Before anything else is asked for this id: requests are answered in order. */
	log_info(id, "is no longer registered with this netns: taking its interception down");
	(void)netd_client_detach(i->netd, id, NULL, NULL);
}

static void on_ready(void *data)
{
	struct interception *i = data;
	struct container *c;

	/* Those that go first, so that one which comes under the same id finds its place free. */
	TAILQ_FOREACH (c, &i->deps.registry->departing, link)
		advance(i, c);
	/* Those that stand next: netd takes bridge mode's listeners over before it would make some. */
	TAILQ_FOREACH (c, &i->deps.registry->containers, link)
		if (c->phase == CONTAINER_ATTACHED)
			advance(i, c);
	TAILQ_FOREACH (c, &i->deps.registry->containers, link)
		advance(i, c);
	i->events.ready(i->data);
}

static void on_taken(int fd, void *data)
{
	struct interception *i = data;

	i->events.taken(fd, i->data);
}

static void on_replaced(void *data)
{
	struct interception *i = data;

	i->events.replaced(i->data);
}

static void on_refused(const char *text, void *data)
{
	struct interception *i = data;

	i->events.refused(text, i->data);
}

static void on_retry(evutil_socket_t fd, short what, void *data)
{
	struct interception *i = data;
	struct container *c;

	(void)fd;
	(void)what;
	TAILQ_FOREACH (c, &i->deps.registry->containers, link)
		if (c->phase == CONTAINER_ATTACHING)
			advance(i, c);
}

static void on_lost(void *data)
{
	struct interception *i = data;
	struct container *c;

	TAILQ_FOREACH (c, &i->deps.registry->containers, link)
		c->netd_knows = false;
}

static void on_gone(const char *id, void *data)
{
	struct interception *i = data;
	struct container *c = container_find(i->deps.registry, id);

	if (c && c->phase == CONTAINER_ATTACHED)
		i->events.gone(c, i->data);
}

int interception_new(const struct interception_deps *deps, const struct interception_events *events,
		     void *data, struct interception **ret)
{
	static const struct netd_client_events netd_events = {
		.attachment = on_attachment,
		.ready = on_ready,
		.lost = on_lost,
		.gone = on_gone,
		.taken = on_taken,
		.replaced = on_replaced,
		.refused = on_refused,
	};
	struct interception *i = calloc(1, sizeof(*i));

	if (!i)
		return -ENOMEM;
	i->deps = *deps;
	i->events = *events;
	i->data = data;
	i->retry = evtimer_new(deps->base, on_retry, i);
	int r = i->retry ? netd_client_new(deps->base, deps->netd_socket, deps->owner, &netd_events,
					   i, &i->netd)
			 : -ENOMEM;
	if (r < 0) {
		if (i->retry)
			event_free(i->retry);
		free(i);
		return r;
	}
	frontend_set_broken(deps->frontend, on_broken, i);
	*ret = i;
	return 0;
}

struct interception *interception_free(struct interception *i)
{
	if (!i)
		return NULL;
	netd_client_free(i->netd);
	event_free(i->retry);
	free(i);
	return NULL;
}

int interception_keep(struct interception *i, int fd)
{
	return netd_client_keep(i->netd, fd);
}

void interception_retire(struct interception *i)
{
	netd_client_retire(i->netd);
}

bool interception_ready(const struct interception *i)
{
	return netd_client_is_ready(i->netd);
}

void interception_attach(struct interception *i, struct container *c)
{
	advance(i, c);
}

void interception_detach(struct interception *i, struct container *c)
{
	c->door = frontend_close(c->door);
	if (c->netd_asked) {
		/* An ATTACH under way: its answer is no longer ours, and is undone. */
		netd_client_forget(i->netd, c);
		c->netd_asked = false;
	}
	advance(i, c);
}

void interception_forget(struct interception *i, struct container *c)
{
	c->door = frontend_close(c->door);
	netd_client_forget(i->netd, c);
}
