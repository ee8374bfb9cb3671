#include "privileged/intercept.h"

#include <errno.h>
#include <stdbool.h>
#include <sys/socket.h>

#include "privileged/firewall.h"
#include "privileged/flow.h"
#include "privileged/listen_socket.h"
#include "privileged/netlink.h"
#include "util/fd.h"
#include "util/log.h"

static void close_listeners(struct intercept *intercept)
{
	for (size_t i = 0; i < INTERCEPT_LISTENERS_MAX; i++)
		intercept->listeners[i] = fd_close(intercept->listeners[i]);
	intercept->n_listeners = 0;
}

static int open_listeners(uint16_t port, struct intercept *ret, struct diag *diag)
{
	int r = listen_socket_open(LISTEN_LOOPBACK, AF_INET, port, &ret->listeners[0], diag);
	if (r < 0)
		return r;
	ret->n_listeners = 1;
	r = listen_socket_open(LISTEN_LOOPBACK, AF_INET6, port, &ret->listeners[1], diag);
	if (r == -EAFNOSUPPORT)
		return 0;
	if (r < 0) {
		close_listeners(ret);
		return r;
	}
	ret->n_listeners = 2;
	return 0;
}

static void drop_flows(void)
{
	unsigned forgotten = flow_forget(), aborted = flow_abort();

	if (forgotten || aborted)
		log_info(NULL, "ended %u connections that were made before the rules",
			 aborted ? aborted : forgotten);
}

/* With `ret` NULL, for listeners that exist. */
static int stand_up(uint16_t port, struct intercept *ret, struct diag *diag)
{
	bool lo_changed = false;

	int r = netlink_lo_set(true, &lo_changed, diag);
	if (r < 0)
		return r;
	r = netlink_routes_add(diag);
	if (r == 0 && ret)
		r = open_listeners(port, ret, diag);
	if (r == 0)
		r = firewall_netns_apply(port, diag);
	if (r == 0) {
		drop_flows();
		return 0;
	}
	if (ret)
		close_listeners(ret);
	(void)netlink_routes_remove();
	if (lo_changed)
		(void)netlink_lo_set(false, NULL, NULL);
	return r;
}

int intercept_open(uint16_t port, struct intercept *ret, struct diag *diag)
{
	*ret = (struct intercept){.listeners = {-1, -1}};
	return stand_up(port, ret, diag);
}

int intercept_ensure(uint16_t port, struct diag *diag)
{
	return stand_up(port, NULL, diag);
}

int intercept_close(struct diag *diag)
{
	int r = firewall_netns_remove(diag);
	int routes = netlink_routes_remove();

	if (r == 0 && routes < 0)
		return diag_fail(-routes, diag, NULL, "the routes in the netns cannot be removed");
	return r;
}
