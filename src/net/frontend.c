#include "net/frontend.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/utsname.h>

#include "net/connection.h"
#include "net/event_loop.h"
#include "net/turns.h"
#include "util/log.h"

/* Connections taken from one listener before others get their turn. */
#define ACCEPT_BATCH 16
#define COMPLAIN_INTERVAL_MS 10000
#define PAUSE_MS 100
/* So long may the loop serve containers alone: then what else there is to do gets its turn, too. */
#define OTHERS_WAIT_MS 10
/* Descriptors kept for the control socket, rolegate-netd and STS. */
#define RESERVE_MAX 1024

/* Close a connection to make room for another: the one idle longest, or else the least recently active
 * of the container that has the most. False if there is none. */
static bool make_room(struct frontend *f)
{
	struct connection *c = TAILQ_FIRST(&f->waiting[CONNECTION_IDLE]);
	struct frontend_door *door, *most = NULL;

	if (!c) {
		TAILQ_FOREACH (door, &f->doors, doors_link)
			if (!most || door->n_connections > most->n_connections)
				most = door;
		c = most ? TAILQ_FIRST(&most->connections) : NULL;
	}
	if (c)
		connection_free(c);
	return c != NULL;
}

static void complain(struct frontend *f, int error, int64_t now_ms)
{
	if (f->complained_ms != 0 && now_ms - f->complained_ms < COMPLAIN_INTERVAL_MS)
		return;
	f->complained_ms = now_ms;
	log_error(NULL,
		  "cannot accept connections: %s (%zu are open); closing the longest idle ones; "
		  "raise the limit on open files",
		  strerror(error), f->n_connections);
}

/* No descriptor or memory: make room, and look again in a while, not at once: a listener with a
 * connection waiting would else keep the loop busy. */
static void on_exhausted(struct frontend_door *door, int error, int64_t now_ms)
{
	static const struct timeval again = {.tv_usec = PAUSE_MS * 1000};
	struct frontend *f = door->frontend;

	complain(f, error, now_ms);
	(void)make_room(f);
	for (size_t i = 0; i < door->n_listeners; i++)
		event_del(door->listeners[i]);
	door->paused = true;
	evtimer_add(f->resume, &again);
}

static void on_resume(evutil_socket_t fd, short what, void *data)
{
	struct frontend *f = data;
	struct frontend_door *door;

	(void)fd;
	(void)what;
	TAILQ_FOREACH (door, &f->doors, doors_link) {
		for (size_t i = 0;
		     door->paused && !door->hushed && !f->deaf && i < door->n_listeners; i++)
			event_add(door->listeners[i], NULL);
		door->paused = false;
	}
}

static struct event *listener_of(const struct frontend_door *door, int fd)
{
	for (size_t i = 0; i < door->n_listeners; i++)
		if (event_get_fd(door->listeners[i]) == fd)
			return door->listeners[i];
	return NULL;
}

static void on_accept_failed(struct frontend_door *door, int fd, int error, int64_t now_ms)
{
	struct frontend *f = door->frontend;

	switch (error) {
	case EMFILE:
	case ENFILE:
	case ENOMEM:
	case ENOBUFS:
		on_exhausted(door, error, now_ms);
		break;
	case EINVAL:
	case EBADF:
	case ENOTSOCK:
		/* It is no listener any more, and would be readable for ever. */
		event_del(listener_of(door, fd));
		if (!door->container)
			shared_doors_broken(f);
		else if (f->broken)
			f->broken(door->container, f->broken_data);
		break;
	default: /* EAGAIN, or a peer that left meanwhile */
		break;
	}
}

static void on_others(evutil_socket_t fd, short what, void *data)
{
	struct frontend *f = data;

	(void)fd;
	(void)what;
	f->others_wait = false;
	f->others_ms = clock_now_ms();
}

void frontend_rank(struct frontend *f, struct event *ev, struct frontend_door *door, int64_t now_ms)
{
	bool within_share = TAILQ_EMPTY(&door->turns) && !turns_had_enough(door, now_ms);
	int64_t since_ms = now_ms - f->others_ms;

	event_loop_rank(ev, within_share && !(f->others_wait && since_ms >= OTHERS_WAIT_MS));
	if (!f->others_wait && since_ms >= OTHERS_WAIT_MS) {
		f->others_wait = true;
		f->others_ms = now_ms;
		event_active(f->others, EV_TIMEOUT, 0);
	}
}

static void on_listener(evutil_socket_t fd, short what, void *data)
{
	struct frontend_door *own = data;
	struct frontend *f = own->frontend;
	int64_t now_ms = clock_now_ms();
	struct sockaddr_storage peer;

	(void)what;
	frontend_rank(f, listener_of(own, (int)fd), own, now_ms);
	for (int i = 0; i < ACCEPT_BATCH; i++) {
		if (own->container && !turns_may_accept(own, now_ms))
			return;
		socklen_t len = sizeof(peer);
		int client = accept4((int)fd, (struct sockaddr *)&peer, &len,
				     SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (client < 0) {
			on_accept_failed(own, (int)fd, errno, now_ms);
			return;
		}
		struct frontend_door *door =
			own->container ? own : shared_door_find(f, client, &peer, now_ms);
		if (!door) {
			fd_close(client);
			continue;
		}
		if (door->n_connections >= FRONTEND_CONNECTIONS_MAX)
			connection_free(TAILQ_FIRST(&door->connections));
		else if (f->n_connections + f->n_listeners >= f->descriptors_max)
			(void)make_room(f);
		if (connection_new(door, client, peer.ss_family == AF_INET6, now_ms) < 0) {
			fd_close(client);
			on_exhausted(own, ENOMEM, now_ms);
			return;
		}
	}
}

static void on_timer(evutil_socket_t fd, short what, void *data)
{
	struct frontend *f = data;
	int64_t now_ms = clock_now_ms(), next_ms = INT64_MAX;
	struct connection *c;

	(void)fd;
	(void)what;
	f->timer_ms = INT64_MAX;
	for (size_t i = 0; i < N_CONNECTION_STATES; i++) {
		while ((c = TAILQ_FIRST(&f->waiting[i])) && c->deadline_ms <= now_ms)
			connection_expire(c, now_ms);
	}
	for (size_t i = 0; i < N_CONNECTION_STATES; i++) {
		c = TAILQ_FIRST(&f->waiting[i]);
		if (c && c->deadline_ms < next_ms)
			next_ms = c->deadline_ms;
	}
	if (next_ms < INT64_MAX && next_ms < f->timer_ms) {
		struct timeval tv = {.tv_sec = (next_ms - now_ms) / 1000,
				     .tv_usec = (next_ms - now_ms) % 1000 * 1000};
		f->timer_ms = next_ms;
		event_add(f->timer, &tv);
	}
}

static void on_turn(evutil_socket_t fd, short what, void *data)
{
	(void)fd;
	(void)what;
	turns_give(data, clock_now_ms());
}

static void on_upstream(struct metadata_item *item, void *data)
{
	struct frontend *f = data;
	int64_t now_ms = clock_now_ms();
	struct connection *c, *next;

	for (c = TAILQ_FIRST(&f->waiting[CONNECTION_PARKED]); c; c = next) {
		next = TAILQ_NEXT(c, wait_link);
		if (c->awaited == item)
			connection_wake(c, now_ms);
	}
}

/* As EC2 names this machine's architecture. */
static const char *architecture(void)
{
	struct utsname name;

	if (uname(&name) == 0 && strcmp(name.machine, "aarch64") == 0)
		return "arm64";
	return "x86_64"; /* EC2 has no third */
}

static void free_timers(struct frontend *f)
{
	struct event *const timers[] = {f->timer, f->turn, f->resume, f->others, f->drain_timer};

	for (size_t i = 0; i < sizeof(timers) / sizeof(timers[0]); i++)
		if (timers[i])
			event_free(timers[i]);
}

/* Three quarters of what the process may open, or all but RESERVE_MAX. */
static size_t descriptors_max(void)
{
	struct rlimit limit = {.rlim_cur = 1024};

	(void)getrlimit(RLIMIT_NOFILE, &limit);
	rlim_t reserve = limit.rlim_cur / 4 < RESERVE_MAX ? limit.rlim_cur / 4 : RESERVE_MAX;
	return limit.rlim_cur - reserve;
}

int frontend_new(struct event_base *base, struct upstream *upstream, struct frontend **ret)
{
	struct frontend *f = calloc(1, sizeof(*f));

	if (!f)
		return -ENOMEM;
	f->base = base;
	f->timer_ms = INT64_MAX;
	f->timer = evtimer_new(base, on_timer, f);
	f->turn = evtimer_new(base, on_turn, f);
	f->resume = evtimer_new(base, on_resume, f);
	f->others = event_new(base, -1, 0, on_others, f);
	if (!f->timer || !f->turn || !f->resume || !f->others) {
		free_timers(f);
		free(f);
		return -ENOMEM;
	}
	event_loop_rank(f->timer, true); /* answers are due */
	f->descriptors_max = descriptors_max();
	TAILQ_INIT(&f->doors);
	TAILQ_INIT(&f->turns);
	TAILQ_INIT(&f->hushed);
	f->upstream = upstream;
	upstream_set_callback(upstream, on_upstream, f);
	router_init(&f->router, upstream_cache(upstream), architecture());
	for (size_t i = 0; i < N_CONNECTION_STATES; i++)
		TAILQ_INIT(&f->waiting[i]);
	*ret = f;
	return 0;
}

struct frontend *frontend_free(struct frontend *f)
{
	if (!f)
		return NULL;
	upstream_set_callback(f->upstream, NULL, NULL);
	free_timers(f);
	router_deinit(&f->router);
	buf_deinit(&f->out);
	explicit_bzero(f->read, sizeof(f->read));
	free(f);
	return NULL;
}

void frontend_set_broken(struct frontend *f, frontend_broken_cb *cb, void *data)
{
	f->broken = cb;
	f->broken_data = data;
}

void frontend_set_allow(struct frontend *f, const struct metadata_allow *allow)
{
	f->router.host_allow = *allow;
}

struct frontend_door *frontend_door_new(struct frontend *f, struct container *container)
{
	struct frontend_door *door = calloc(1, sizeof(*door));

	if (!door)
		return NULL;
	door->frontend = f;
	door->container = container;
	TAILQ_INIT(&door->connections);
	TAILQ_INIT(&door->turns);
	TAILQ_INSERT_TAIL(&f->doors, door, doors_link);
	return door;
}

int frontend_door_listen(struct frontend_door *door, int fd)
{
	struct frontend *f = door->frontend;
	/* What is accepted inherits it. Answers to pipelined requests go out in pieces, and Nagle's
	 * algorithm would hold each until the one before is acknowledged. */
	const int on = 1;

	if (door->n_listeners == FD_PASS_MAX)
		return -ENOMEM;
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	struct event *ev = event_new(f->base, fd, EV_READ | EV_PERSIST, on_listener, door);
	if (ev)
		event_loop_rank(ev, true);
	if (!ev || (!f->deaf && event_add(ev, NULL) < 0)) {
		if (ev)
			event_free(ev);
		return -ENOMEM;
	}
	door->listeners[door->n_listeners++] = ev;
	f->n_listeners++;
	return 0;
}

int frontend_open(struct frontend *f, struct container *container, const int *fds, size_t n_fds,
		  struct frontend_door **ret)
{
	struct frontend_door *door = frontend_door_new(f, container);

	if (!door)
		return -ENOMEM;
	for (size_t i = 0; i < n_fds; i++) {
		if (frontend_door_listen(door, fds[i]) == 0)
			continue;
		/* They are still the caller's. */
		f->n_listeners -= door->n_listeners;
		while (door->n_listeners > 0)
			event_free(door->listeners[--door->n_listeners]);
		frontend_close(door);
		return -ENOMEM;
	}
	*ret = door;
	return 0;
}

size_t frontend_door_fds(const struct frontend_door *door, int ret[FD_PASS_MAX])
{
	if (door->shared)
		door = door->frontend->shared.hall;
	for (size_t i = 0; i < door->n_listeners; i++)
		ret[i] = (int)event_get_fd(door->listeners[i]);
	return door->n_listeners;
}

struct frontend_door *frontend_close(struct frontend_door *door)
{
	struct connection *c;

	if (!door)
		return NULL;
	if (door->shared)
		shared_door_remove(door);
	turns_unhush(door);
	if (door->frontend->last_door == door)
		door->frontend->last_door = NULL;
	for (size_t i = 0; i < door->n_listeners; i++) {
		int fd = (int)event_get_fd(door->listeners[i]);
		event_free(door->listeners[i]);
		fd_close(fd);
	}
	while ((c = TAILQ_FIRST(&door->connections)))
		connection_free(c);
	TAILQ_REMOVE(&door->frontend->doors, door, doors_link);
	door->frontend->n_listeners -= door->n_listeners;
	free(door);
	return NULL;
}

static void stop_accepting(struct frontend *f)
{
	struct frontend_door *door;

	f->deaf = true;
	TAILQ_FOREACH (door, &f->doors, doors_link)
		for (size_t i = 0; i < door->n_listeners; i++)
			event_del(door->listeners[i]);
}

static void arm_drain(struct frontend *f, int64_t wait_ms)
{
	struct timeval tv = {.tv_sec = wait_ms / 1000, .tv_usec = wait_ms % 1000 * 1000};

	evtimer_add(f->drain_timer, &tv);
}

static void on_drain_timer(evutil_socket_t fd, short what, void *data)
{
	struct frontend *f = data;
	struct connection *c, *next;
	char byte;

	(void)fd;
	(void)what;
	if (f->phase == FRONTEND_LINGERING) {
		f->phase = FRONTEND_LEAVING;
		stop_accepting(f);
		for (c = TAILQ_FIRST(&f->waiting[CONNECTION_IDLE]); c; c = next) {
			next = TAILQ_NEXT(c, wait_link);
			/* One that has asked is answered when its event comes. */
			if (recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) <= 0)
				connection_free(c);
		}
		if (f->n_connections > 0) {
			arm_drain(f, FRONTEND_LEAVE_MS);
			return;
		}
	}
	if (f->phase == FRONTEND_DRAINED)
		return;
	f->phase = FRONTEND_DRAINED;
	f->drained(f->drained_data);
}

void frontend_connection_gone(struct frontend *f)
{
	if ((f->phase == FRONTEND_LINGERING && TAILQ_EMPTY(&f->waiting[CONNECTION_IDLE])) ||
	    (f->phase == FRONTEND_LEAVING && f->n_connections == 0))
		arm_drain(f, 0);
}

void frontend_drain(struct frontend *f, bool accepting, frontend_drained_cb *drained, void *data)
{
	f->drained = drained;
	f->drained_data = data;
	if (!f->drain_timer)
		f->drain_timer = evtimer_new(f->base, on_drain_timer, f);
	if (!f->drain_timer) {
		f->phase = FRONTEND_DRAINED;
		drained(data);
		return;
	}
	if (!accepting)
		stop_accepting(f);
	bool idle = !TAILQ_EMPTY(&f->waiting[CONNECTION_IDLE]);
	int64_t wait_ms = f->phase == FRONTEND_SERVING && idle ? FRONTEND_LINGER_MS : 0;
	if (f->phase == FRONTEND_SERVING)
		f->phase = FRONTEND_LINGERING;
	arm_drain(f, wait_ms);
}
