#include "privileged/netlink.h"

#include <errno.h>
#include <net/if.h>
#include <netlink/errno.h>
#include <netlink/netlink.h>
#include <netlink/route/nexthop.h>
#include <netlink/route/route.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "privileged/metadata_address.h"
#include "util/cleanup.h"
#include "util/fd.h"
#include "util/log.h"

/* Marks routes as ours (rtm_protocol; iproute2's rt_protos leaves this one free). */
#define ROUTE_PROTOCOL 169

/* The kernel gives it this index in every netns. */
#define LOOPBACK_INDEX 1

DEFINE_CLEANUP(struct nl_sock *, nl_socket_free)
#define _cleanup_nl_sock_ _cleanup_(nl_socket_freep)
DEFINE_CLEANUP(struct nl_addr *, nl_addr_put)
#define _cleanup_nl_addr_ _cleanup_(nl_addr_putp)
DEFINE_CLEANUP(struct rtnl_route *, rtnl_route_put)
#define _cleanup_route_ _cleanup_(rtnl_route_putp)

int netlink_lo_set(bool up, bool *ret_changed, struct diag *diag)
{
	struct ifreq request = {.ifr_name = "lo"};

	_cleanup_fd_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || ioctl(fd, SIOCGIFFLAGS, &request) < 0)
		return diag_fail(errno, diag, NULL, "lo in the netns: %s", strerror(errno));
	bool is_up = request.ifr_flags & IFF_UP;
	if (ret_changed)
		*ret_changed = is_up != up;
	if (is_up == up)
		return 0;
	request.ifr_flags = (short)(up ? request.ifr_flags | IFF_UP : request.ifr_flags & ~IFF_UP);
	if (ioctl(fd, SIOCSIFFLAGS, &request) < 0)
		return diag_fail(errno, diag, NULL, "lo in the netns: %s", strerror(errno));
	return 0;
}

static struct nl_sock *open_route_socket(void)
{
	struct nl_sock *sock = nl_socket_alloc();

	if (sock && nl_connect(sock, NETLINK_ROUTE) < 0) {
		nl_socket_free(sock);
		return NULL;
	}
	return sock;
}

static struct rtnl_route *build_route(int family, struct nl_addr *to)
{
	_cleanup_nl_addr_ struct nl_addr *source = NULL;
	_cleanup_route_ struct rtnl_route *route = rtnl_route_alloc();

	if (!route || nl_addr_parse(family == AF_INET ? "127.0.0.1" : "::1", family, &source) < 0)
		return NULL;
	rtnl_route_set_family(route, (uint8_t)family);
	rtnl_route_set_table(route, RT_TABLE_MAIN);
	rtnl_route_set_protocol(route, ROUTE_PROTOCOL);
	rtnl_route_set_type(route, RTN_UNICAST);
	rtnl_route_set_scope(route, family == AF_INET ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE);
	/* Without the source, IPv4 takes none that 127.0.0.1 could answer, and times out. */
	if (rtnl_route_set_dst(route, to) < 0 || rtnl_route_set_pref_src(route, source) < 0)
		return NULL;
	struct rtnl_nexthop *hop = rtnl_route_nh_alloc();
	if (!hop)
		return NULL;
	rtnl_route_nh_set_ifindex(hop, LOOPBACK_INDEX);
	rtnl_route_add_nexthop(route, hop);
	return TAKE(route);
}

/* libnl's lookup hands back unreachable routes, too, where the kernel has them as entries. */
static bool is_reachable(struct nl_sock *sock, struct nl_addr *to)
{
	_cleanup_route_ struct rtnl_route *route = NULL;

	return rtnl_route_lookup(sock, to, &route) == 0 &&
	       rtnl_route_get_type(route) == RTN_UNICAST;
}

static int add_route(struct nl_sock *sock, const struct metadata_address *address)
{
	_cleanup_nl_addr_ struct nl_addr *to = NULL;

	if (nl_addr_parse(address->text, address->family, &to) < 0)
		return -NLE_NOMEM;
	if (is_reachable(sock, to))
		return 0;
	_cleanup_route_ struct rtnl_route *route = build_route(address->family, to);
	if (!route)
		return -NLE_NOMEM;
	int r = rtnl_route_add(sock, route, NLM_F_CREATE | NLM_F_EXCL);
	if (r == -NLE_EXIST) {
		/* The container's owner has a blackhole there: that stays the stronger word. */
		log_warning(NULL, "the netns has a route that blocks %s; it is left alone",
			    address->text);
		return 0;
	}
	return r;
}

int netlink_routes_add(struct diag *diag)
{
	_cleanup_nl_sock_ struct nl_sock *sock = open_route_socket();
	if (!sock)
		return diag_fail(ENOBUFS, diag, NULL, "cannot open a netlink socket in the netns");
	for (size_t i = 0; i < METADATA_ADDRESSES; i++) {
		int r = add_route(sock, &metadata_addresses[i]);
		if (r < 0 && metadata_addresses[i].family == AF_INET6)
			continue; /* IPv6 is disabled: then nobody can ask by it, either */
		if (r < 0) {
			(void)netlink_routes_remove();
			return diag_fail(EIO, diag, NULL, "route to %s in the netns: %s",
					 metadata_addresses[i].text, nl_geterror(r));
		}
	}
	return 0;
}

int netlink_routes_remove(void)
{
	int first = 0;

	_cleanup_nl_sock_ struct nl_sock *sock = open_route_socket();
	if (!sock)
		return -ENOBUFS;
	for (size_t i = 0; i < METADATA_ADDRESSES; i++) {
		_cleanup_nl_addr_ struct nl_addr *to = NULL;
		int family = metadata_addresses[i].family;
		if (nl_addr_parse(metadata_addresses[i].text, family, &to) < 0)
			return -ENOMEM;
		_cleanup_route_ struct rtnl_route *route = build_route(family, to);
		if (!route)
			return -ENOMEM;
		/* The protocol is part of what is matched: another's route stays. */
		int r = rtnl_route_delete(sock, route, 0);
		if (r < 0 && r != -NLE_OBJ_NOTFOUND && family == AF_INET)
			first = first ? first : -EIO;
	}
	return first;
}
