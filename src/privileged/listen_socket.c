#include "privileged/listen_socket.h"

#include <errno.h>
#include <linux/in6.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>

#include "util/fd.h"

/* net.core.somaxconn (4096 unless changed) has the last word. */
#define BACKLOG 4096

/* The kernel gives lo this index in every netns. */
#define LOOPBACK_INDEX 1

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
	struct sockaddr_storage room;
};

static const char *host_name(enum listen_scope scope, int family)
{
	static const char *const names[2][2] = {{"127.0.0.1", "[::1]"}, {"0.0.0.0", "[::]"}};

	return names[scope == LISTEN_ANY][family == AF_INET6];
}

static socklen_t make_address(enum listen_scope scope, int family, uint16_t port,
			      union address *ret)
{
	*ret = (union address){0};
	if (family == AF_INET) {
		ret->v4.sin_family = AF_INET;
		ret->v4.sin_port = htons(port);
		ret->v4.sin_addr.s_addr = htonl(scope == LISTEN_ANY ? INADDR_ANY : INADDR_LOOPBACK);
		return sizeof(ret->v4);
	}
	ret->v6.sin6_family = AF_INET6;
	ret->v6.sin6_port = htons(port);
	ret->v6.sin6_addr = scope == LISTEN_ANY ? in6addr_any : in6addr_loopback;
	return sizeof(ret->v6);
}

/* Only what comes in by lo. With net.ipv4.conf.*.route_localnet=1, which every new netns inherits from a
 * host where kube-proxy or the ECS agent has set it, IPv4 takes packets to 127.0.0.1 from the wire: a
 * neighbour on the same bridge would speak as this container. IPv6 never takes ::1 from there, and
 * would not find the way back out by lo. */
static int bind_to_loopback(int fd)
{
	const int index = LOOPBACK_INDEX;

	return setsockopt(fd, SOL_SOCKET, SO_BINDTOIFINDEX, &index, sizeof(index)) < 0 ? -errno : 0;
}

static bool needs_loopback(enum listen_scope scope, int family)
{
	return scope == LISTEN_LOOPBACK && family == AF_INET;
}

static int set_options(int fd, int family)
{
	const int on = 1;

	/* Connections of an earlier life may linger in TIME_WAIT. */
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0)
		return -errno;
	if (family != AF_INET6)
		return 0;
	/* FREEBIND, because [::1] does not exist while IPv6 is disabled: it may be enabled later.
	 */
	if (setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) < 0 ||
	    setsockopt(fd, IPPROTO_IPV6, IPV6_FREEBIND, &on, sizeof(on)) < 0)
		return -errno;
	return 0;
}

int listen_socket_open(enum listen_scope scope, int family, uint16_t port, int *ret_fd,
		       struct diag *diag)
{
	union address address;
	socklen_t len = make_address(scope, family, port, &address);

	_cleanup_fd_ int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return diag_fail(errno, diag, NULL, "cannot make a socket in the netns: %s",
				 strerror(errno));
	int r = set_options(fd, family);
	if (r == 0 && needs_loopback(scope, family))
		r = bind_to_loopback(fd);
	if (r == 0 && (bind(fd, &address.any, len) < 0 || listen(fd, BACKLOG) < 0))
		r = -errno;
	if (r == -EADDRINUSE && scope == LISTEN_ANY)
		return diag_fail(EADDRINUSE, diag, NULL,
				 "port %u of the host is in use: choose another [intercept] "
				 "bridge_port, or stop what listens there",
				 port);
	if (r == -EADDRINUSE)
		return diag_fail(EADDRINUSE, diag, "netns",
				 "port %u of %s is in use in the netns: choose another [intercept] "
				 "port, or stop what listens there",
				 port, host_name(scope, family));
	if (r < 0)
		return diag_fail(-r, diag, NULL, "cannot listen on %s:%u: %s",
				 host_name(scope, family), port, strerror(-r));
	*ret_fd = fd;
	fd = -1;
	return 0;
}

static bool option_is(int fd, int option, int want)
{
	int have = -1;
	socklen_t len = sizeof(have);

	return getsockopt(fd, SOL_SOCKET, option, &have, &len) == 0 && have == want;
}

int listen_socket_check(int fd, enum listen_scope scope, int family, uint16_t port,
			struct diag *diag)
{
	union address want, have = {0};
	socklen_t len = make_address(scope, family, port, &want), have_len = sizeof(have);

	if (!option_is(fd, SO_DOMAIN, family) || !option_is(fd, SO_TYPE, SOCK_STREAM) ||
	    !option_is(fd, SO_PROTOCOL, IPPROTO_TCP) || !option_is(fd, SO_ACCEPTCONN, 1))
		return diag_fail(EINVAL, diag, "fds",
				 "the descriptor for %s is no listening TCP socket",
				 host_name(scope, family));
	/* Others could then share the port, and take connections that are not theirs. */
	if (!option_is(fd, SO_REUSEPORT, 0))
		return diag_fail(EINVAL, diag, "fds", "the listener for %s has SO_REUSEPORT set",
				 host_name(scope, family));
	if (getsockname(fd, &have.any, &have_len) < 0 || have_len != len ||
	    memcmp(&have, &want, len) != 0)
		return diag_fail(EINVAL, diag, "fds", "the listener is not bound to %s:%u",
				 host_name(scope, family), port);
	/* An earlier version's is not yet. */
	if (needs_loopback(scope, family) && bind_to_loopback(fd) < 0)
		return diag_fail(EINVAL, diag, "fds", "the listener cannot be bound to lo");
	return 0;
}
