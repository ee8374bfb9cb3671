#include "privileged/flow.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/inet_diag.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <netlink/netfilter/ct.h>
#include <netlink/netfilter/nfnl.h>
#include <netlink/netlink.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "privileged/metadata_address.h"
#include "util/cleanup.h"
#include "util/fd.h"

/* The original direction of a conntrack entry. */
#define CT_ORIGINAL 0

DEFINE_CLEANUP(struct nl_sock *, nl_socket_free)
#define _cleanup_nl_sock_ _cleanup_(nl_socket_freep)

/* A dump arrives on one socket while what it names is deleted on another. */
struct sweep {
	struct nl_sock *killer;
	unsigned n;
};

static struct nl_sock *open_socket(int protocol)
{
	struct nl_sock *sock = nl_socket_alloc();

	if (sock && nl_connect(sock, protocol) < 0) {
		nl_socket_free(sock);
		return NULL;
	}
	return sock;
}

static int read_text(const char *path, char *ret, size_t size)
{
	_cleanup_fd_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ssize_t n = read(fd, ret, size - 1);
	if (n < 0)
		return -errno;
	ret[n] = '\0';
	return 0;
}

/* Does conntrack know nothing here? Asking it costs a walk over the table of all netns. */
static bool conntrack_is_empty(void)
{
	char text[16];

	return read_text("/proc/sys/net/netfilter/nf_conntrack_count", text, sizeof(text)) == 0 &&
	       strcmp(text, "0\n") == 0;
}

static int forget_entry(struct nl_msg *msg, void *user)
{
	struct sweep *sweep = user;
	struct nfnl_ct *ct = NULL;

	if (nfnlmsg_ct_parse(nlmsg_hdr(msg), &ct) < 0)
		return NL_OK;
	struct nl_addr *to = nfnl_ct_get_dst(ct, CT_ORIGINAL);
	if (to &&
	    metadata_address_matches(nfnl_ct_get_family(ct), nl_addr_get_binary_addr(to),
				     nl_addr_get_len(to)) &&
	    nfnl_ct_del(sweep->killer, ct, 0) == 0)
		sweep->n++;
	nfnl_ct_put(ct);
	return NL_OK;
}

unsigned flow_forget(void)
{
	if (conntrack_is_empty())
		return 0;
	_cleanup_nl_sock_ struct nl_sock *dump = open_socket(NETLINK_NETFILTER);
	_cleanup_nl_sock_ struct nl_sock *killer = open_socket(NETLINK_NETFILTER);
	struct sweep sweep = {.killer = killer};

	if (!dump || !killer)
		return 0;
	nl_socket_modify_cb(dump, NL_CB_VALID, NL_CB_CUSTOM, forget_entry, &sweep);
	if (nfnl_ct_dump_request(dump) >= 0)
		(void)nl_recvmsgs_default(dump);
	return sweep.n;
}

/* Are our own two listeners all the TCP sockets there are? A dump walks the table of all netns. */
static bool tcp_is_idle(void)
{
	char text[512];
	int v4 = 0, v6 = 0;

	if (read_text("/proc/self/net/sockstat", text, sizeof(text)) < 0)
		return false;
	const char *line = strstr(text, "\nTCP: inuse ");
	if (!line || sscanf(line, "\nTCP: inuse %d", &v4) != 1 || v4 > 1)
		return false;
	if (read_text("/proc/self/net/sockstat6", text, sizeof(text)) < 0)
		return true; /* there is no IPv6 */
	return sscanf(text, "TCP6: inuse %d", &v6) == 1 && v6 <= 1;
}

static int abort_socket(struct nl_msg *msg, void *user)
{
	struct sweep *sweep = user;
	struct inet_diag_msg *found = nlmsg_data(nlmsg_hdr(msg));
	bool v4 = found->idiag_family == AF_INET;

	if ((size_t)nlmsg_datalen(nlmsg_hdr(msg)) < sizeof(*found) ||
	    !metadata_address_matches(found->idiag_family, found->id.idiag_dst,
				      v4 ? sizeof(struct in_addr) : sizeof(struct in6_addr)))
		return NL_OK;
	struct inet_diag_req_v2 request = {
		.sdiag_family = found->idiag_family,
		.sdiag_protocol = IPPROTO_TCP,
		.id = found->id,
	};
	if (nl_send_simple(sweep->killer, SOCK_DESTROY, NLM_F_ACK, &request, sizeof(request)) >=
		    0 &&
	    nl_wait_for_ack(sweep->killer) == 0)
		sweep->n++;
	return NL_OK;
}

static bool dump_sockets(int family, struct sweep *sweep)
{
	const struct inet_diag_req_v2 request = {
		.sdiag_family = (uint8_t)family,
		.sdiag_protocol = IPPROTO_TCP,
		.idiag_states = 1u << TCP_ESTABLISHED | 1u << TCP_SYN_SENT | 1u << TCP_CLOSE_WAIT |
				1u << TCP_FIN_WAIT1 | 1u << TCP_FIN_WAIT2,
	};
	_cleanup_nl_sock_ struct nl_sock *dump = open_socket(NETLINK_SOCK_DIAG);

	if (!dump)
		return false;
	nl_socket_modify_cb(dump, NL_CB_VALID, NL_CB_CUSTOM, abort_socket, sweep);
	return nl_send_simple(dump, SOCK_DIAG_BY_FAMILY, NLM_F_DUMP, (void *)&request,
			      sizeof(request)) >= 0 &&
	       nl_recvmsgs_default(dump) >= 0;
}

unsigned flow_abort(void)
{
	if (tcp_is_idle())
		return 0;
	_cleanup_nl_sock_ struct nl_sock *killer = open_socket(NETLINK_SOCK_DIAG);
	struct sweep sweep = {.killer = killer};

	if (killer && dump_sockets(AF_INET, &sweep))
		(void)dump_sockets(AF_INET6, &sweep);
	return sweep.n;
}
