/* Bridge mode's doors: many containers behind one listener. The kernel has marked each connection by
 * the interface it came in by; the mark and the address it came from must both be one door's. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "net/connection.h"
#include "util/log.h"

#define COMPLAIN_INTERVAL_MS 10000

static int compare_marks(const void *a, const void *b)
{
	uint32_t left = ((const struct frontend_door *)a)->known.mark;
	uint32_t right = ((const struct frontend_door *)b)->known.mark;

	return (left > right) - (left < right);
}

static void to_source(const struct sockaddr_storage *peer, struct netd_source *ret)
{
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)peer;
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)peer;

	*ret = (struct netd_source){0};
	if (peer->ss_family == AF_INET6) {
		memcpy(ret->address, &v6->sin6_addr, sizeof(ret->address));
		return;
	}
	ret->address[10] = ret->address[11] = 0xff;
	memcpy(ret->address + 12, &v4->sin_addr, sizeof(v4->sin_addr));
}

static bool has_source(const struct netd_door *door, const struct netd_source *source)
{
	for (size_t i = 0; i < door->n_sources; i++)
		if (memcmp(&door->sources[i], source, sizeof(*source)) == 0)
			return true;
	return false;
}

/* The rules should have kept it out; whoever has changed them wants to know. */
static void complain(struct frontend *f, const struct netd_source *source, uint32_t mark,
		     int64_t now_ms)
{
	char text[INET6_ADDRSTRLEN] = "";

	if (f->shared.complained_ms != 0 && now_ms - f->shared.complained_ms < COMPLAIN_INTERVAL_MS)
		return;
	f->shared.complained_ms = now_ms;
	(void)inet_ntop(AF_INET6, source->address, text, sizeof(text));
	log_warning(NULL,
		    "a connection from %s with mark %#x on bridge_port is no registered "
		    "container's; closed",
		    text, mark);
}

struct frontend_door *shared_door_find(struct frontend *f, int fd,
				       const struct sockaddr_storage *peer, int64_t now_ms)
{
	struct frontend_door key = {0};
	struct frontend_door *const *found = NULL;
	struct netd_source source;
	uint32_t mark = 0;
	socklen_t len = sizeof(mark);

	to_source(peer, &source);
	if (getsockopt(fd, SOL_SOCKET, SO_MARK, &mark, &len) < 0)
		mark = 0;
	/* Other bits may be others'. */
	key.known.mark = mark & NETD_MARK_MASK;
	if (key.known.mark != 0)
		found = tfind(&key, &f->shared.by_mark, compare_marks);
	if (found && has_source(&(*found)->known, &source))
		return *found;
	complain(f, &source, mark, now_ms);
	return NULL;
}

static bool same_socket(int a, int b)
{
	uint64_t cookies[2] = {0};
	socklen_t len = sizeof(cookies[0]);

	return getsockopt(a, SOL_SOCKET, SO_COOKIE, &cookies[0], &len) == 0 &&
	       getsockopt(b, SOL_SOCKET, SO_COOKIE, &cookies[1], &len) == 0 &&
	       cookies[0] == cookies[1];
}

/* Serve a listener, which becomes ours, unless that is done already. */
static int add_listener(struct frontend *f, int fd)
{
	struct frontend_door *hall = f->shared.hall;

	for (size_t i = 0; i < hall->n_listeners; i++)
		if (same_socket((int)event_get_fd(hall->listeners[i]), fd)) {
			fd_close(fd);
			return 0;
		}
	int r = frontend_door_listen(hall, fd);
	if (r < 0)
		fd_close(fd);
	return r;
}

static void take_out(struct frontend_door *door)
{
	if (door->known.mark)
		tdelete(door, &door->frontend->shared.by_mark, compare_marks);
	door->known.mark = 0;
}

static int put_in(struct frontend_door *door, const struct netd_door *known)
{
	void **by_mark = &door->frontend->shared.by_mark;

	door->known = *known;
	struct frontend_door **found = tsearch(door, by_mark, compare_marks);
	if (found && *found != door) {
		/* What netd said last is true; it will say what the other one has now. */
		take_out(*found);
		found = tsearch(door, by_mark, compare_marks);
	}
	if (!found)
		door->known.mark = 0;
	return found ? 0 : -ENOMEM;
}

int frontend_open_shared(struct frontend *f, struct container *container, const int *fds,
			 size_t n_fds, const struct netd_door *known, struct frontend_door **ret)
{
	struct shared_doors *shared = &f->shared;

	if (known->mark == 0)
		return -EPROTO;
	/* Before the doors in the list: see shared_doors_broken(). */
	if (!shared->hall)
		shared->hall = frontend_door_new(f, NULL);
	struct frontend_door *door = shared->hall ? frontend_door_new(f, container) : NULL;
	if (!door) {
		if (shared->n_doors == 0)
			shared->hall = frontend_close(shared->hall);
		return -ENOMEM;
	}
	door->shared = true;
	shared->n_doors++;
	if (put_in(door, known) < 0) {
		frontend_close(door);
		return -ENOMEM;
	}
	/* From here on the descriptors are ours, whatever comes. */
	for (size_t i = 0; i < n_fds; i++)
		if (add_listener(f, fds[i]) < 0)
			log_error(container->id, "a listener of bridge mode cannot be served");
	*ret = door;
	return 0;
}

int frontend_door_change(struct frontend_door *door, const struct netd_door *to)
{
	take_out(door);
	return put_in(door, to);
}

uint32_t frontend_door_mark(const struct frontend_door *door)
{
	return door->known.mark;
}

void shared_door_remove(struct frontend_door *door)
{
	struct shared_doors *shared = &door->frontend->shared;

	take_out(door);
	if (--shared->n_doors == 0)
		shared->hall = frontend_close(shared->hall);
}

void shared_doors_broken(struct frontend *f)
{
	struct frontend_door *door, *next;

	/* The hall, which goes with the last of them, comes before them all. */
	for (door = TAILQ_FIRST(&f->doors); door && f->broken; door = next) {
		next = TAILQ_NEXT(door, doors_link);
		if (door->shared)
			f->broken(door->container, f->broken_data);
	}
}
