#include "rolegate-netd/bridge.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/socket.h>

#include "privileged/listen_socket.h"
#include "rolegate-netd/host_guard.h"
#include "rolegate-netd/job.h"
#include "rolegate-netd/liveness.h"
#include "util/fd.h"
#include "util/log.h"

static const int families[NETD_LISTENERS_MAX] = {AF_INET, AF_INET6};

/* Those of the attachment's paths that are no more. */
static bool drop_dead_paths(struct attachment *attachment)
{
	struct veth_paths *paths = &attachment->paths;
	size_t kept = 0, before = paths->n;

	for (size_t i = 0; i < before; i++)
		if (veth_exists(&paths->list[i]))
			paths->list[kept++] = paths->list[i];
	paths->n = kept;
	return kept != before;
}

static void check_links(struct netd *netd)
{
	struct attachment *attachment;
	bool changed = false;

	for (size_t slot = 0; (attachment = attachments_next(&netd->attachments, &slot));) {
		if (attachment->mode != NETD_MODE_BRIDGE || !drop_dead_paths(attachment))
			continue;
		changed = true;
		if (attachment->paths.n == 0)
			liveness_bury(netd, attachment, "its veth is gone");
	}
	if (changed)
		(void)host_guard_sync(netd);
}

static void handle_links(void *user, uint32_t events)
{
	struct netd *netd = user;
	bool deleted = false;
	/* Aligned for its header. */
	union {
		struct nlmsghdr header;
		char bytes[32768];
	} message;

	(void)events;
	for (;;) {
		ssize_t n = recv(netd->bridge.links_fd, &message, sizeof(message), 0);
		if (n < 0 && errno == ENOBUFS) {
			deleted = true; /* who knows */
			continue;
		}
		if (n <= 0)
			break;
		int left = (int)n;
		for (struct nlmsghdr *h = &message.header; NLMSG_OK(h, (unsigned)left);
		     h = NLMSG_NEXT(h, left))
			deleted |= h->nlmsg_type == RTM_DELLINK;
	}
	if (deleted)
		check_links(netd);
}

static int watch_links(struct netd *netd)
{
	struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = RTMGRP_LINK};
	struct bridge *bridge = &netd->bridge;

	bridge->links_source = (struct loop_source){-1, handle_links, netd};
	bridge->links_fd =
		socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
	if (bridge->links_fd < 0 ||
	    bind(bridge->links_fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return -errno;
	return loop_add(&netd->loop, &bridge->links_source, bridge->links_fd, EPOLLIN);
}

static void close_all(struct netd *netd)
{
	struct bridge *bridge = &netd->bridge;

	loop_remove(&netd->loop, &bridge->links_source);
	bridge->links_fd = fd_close(bridge->links_fd);
	while (bridge->n_listeners > 0)
		fd_close(bridge->listeners[--bridge->n_listeners]);
}

static int open_listeners(struct bridge *bridge, struct diag *diag)
{
	for (size_t i = 0; i < NETD_LISTENERS_MAX; i++) {
		int r = listen_socket_open(LISTEN_ANY, families[i], bridge->port,
					   &bridge->listeners[i], diag);
		if (r == -EAFNOSUPPORT && i > 0)
			break;
		if (r < 0)
			return r;
		bridge->n_listeners++;
	}
	return 0;
}

int bridge_open(struct netd *netd, int *fds, size_t n_fds, struct diag *diag)
{
	struct bridge *bridge = &netd->bridge;

	if (bridge->n_listeners > 0)
		return 0;
	bridge->port = (uint16_t)netd->config.intercept.bridge_port;
	bridge->links_source.fd = -1;
	bridge->links_fd = -1;
	int r = watch_links(netd);
	if (r < 0)
		(void)diag_fail(-r, diag, NULL, "the host's links cannot be watched: %s",
				strerror(-r));
	for (; r == 0 && bridge->n_listeners < n_fds; bridge->n_listeners++) {
		bridge->listeners[bridge->n_listeners] = fds[bridge->n_listeners];
		fds[bridge->n_listeners] = -1;
	}
	if (r == 0 && bridge->n_listeners == 0)
		r = open_listeners(bridge, diag);
	if (r < 0)
		close_all(netd);
	return r;
}

bool bridge_has_clients(const struct netd *netd)
{
	const struct attachment *attachment;

	for (size_t slot = 0; (attachment = attachments_next(&netd->attachments, &slot));)
		if (attachment->mode == NETD_MODE_BRIDGE)
			return true;
	return false;
}

void bridge_close_unused(struct netd *netd)
{
	/* An ADOPT under way brings the listeners back, a moment before somebody opens new ones. */
	if (netd->bridge.n_listeners > 0 && !bridge_has_clients(netd) && !job_uses_bridge(netd))
		close_all(netd);
}

void bridge_deinit(struct netd *netd)
{
	if (netd->bridge.n_listeners > 0)
		close_all(netd);
}

/* The bits of `serial`, laid out over those of the mask. */
static uint32_t spread(uint32_t serial)
{
	uint32_t mark = 0;

	for (uint32_t bit = 1; bit != 0; bit <<= 1) {
		if (!(NETD_MARK_MASK & bit))
			continue;
		if (serial & 1)
			mark |= bit;
		serial >>= 1;
	}
	return mark;
}

static bool mark_is_free(const struct netd *netd, uint32_t mark)
{
	const struct attachment *attachment;

	for (size_t slot = 0; (attachment = attachments_next(&netd->attachments, &slot));)
		if (attachment->mark == mark)
			return false;
	return mark != 0;
}

uint32_t bridge_new_mark(struct netd *netd, uint32_t wish)
{
	struct bridge *bridge = &netd->bridge;

	if (mark_is_free(netd, wish))
		return wish;
	/* One after the other, from anywhere: what still waits under an old mark meets no new owner. */
	if (bridge->last_serial == 0 &&
	    getrandom(&bridge->last_serial, sizeof(bridge->last_serial), 0) < 0)
		bridge->last_serial = 0;
	do {
		wish = spread(++bridge->last_serial);
	} while (!mark_is_free(netd, wish));
	return wish;
}

const int *bridge_describe(const struct netd *netd, const struct attachment *attachment,
			   struct netd_reply *reply)
{
	bool shared = attachment->mode == NETD_MODE_BRIDGE;

	memcpy(reply->id, attachment->id, sizeof(reply->id));
	reply->mode = attachment->mode;
	reply->port = attachment->port;
	reply->netns_dev = attachment->netns.dev;
	reply->netns_ino = attachment->netns.ino;
	reply->mark = attachment->mark;
	reply->link = attachment->link;
	reply->n_sources = (uint32_t)attachment->paths.n;
	for (size_t i = 0; i < attachment->paths.n; i++)
		reply->sources[i] = attachment->paths.list[i].source;
	reply->n_fds = (uint16_t)(shared ? netd->bridge.n_listeners : attachment->n_listeners);
	return shared ? netd->bridge.listeners : attachment->listeners;
}
