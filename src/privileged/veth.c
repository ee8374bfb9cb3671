#include "privileged/veth.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_addr.h>
#include <linux/net_namespace.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <netlink/errno.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netlink/route/link.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "util/cleanup.h"
#include "util/fd.h"

#define VETHS_MAX NETD_SOURCES_MAX

DEFINE_CLEANUP(struct nl_sock *, nl_socket_free)
#define _cleanup_nl_sock_ _cleanup_(nl_socket_freep)
DEFINE_CLEANUP(struct nl_cache *, nl_cache_free)
#define _cleanup_nl_cache_ _cleanup_(nl_cache_freep)
DEFINE_CLEANUP(struct nl_msg *, nlmsg_free)
#define _cleanup_nl_msg_ _cleanup_(nlmsg_freep)

struct veth {
	uint32_t port, ingress;
	uint32_t peer; /* its index in the container's netns */
};

struct search {
	struct veth veths[VETHS_MAX];
	size_t n_veths;
	int netnsid;
	bool filtered; /* the kernel has understood whose addresses were meant */
	bool overflow;
	struct veth_paths *paths;
};

static int parse_netnsid(struct nl_msg *msg, void *user)
{
	int *id = user;
	struct nlattr *attr = nlmsg_find_attr(nlmsg_hdr(msg), sizeof(struct rtgenmsg), NETNSA_NSID);

	if (attr && nla_len(attr) >= (int)sizeof(int32_t))
		*id = nla_get_s32(attr);
	return NL_OK;
}

/* The id by which this netns knows that one; -1 if nothing joins them. */
static int get_netnsid(int netns_fd, int *ret)
{
	struct rtgenmsg header = {.rtgen_family = AF_UNSPEC};

	_cleanup_nl_sock_ struct nl_sock *sock = nl_socket_alloc();
	_cleanup_nl_msg_ struct nl_msg *msg = nlmsg_alloc_simple(RTM_GETNSID, NLM_F_REQUEST);
	if (!sock || !msg || nl_connect(sock, NETLINK_ROUTE) < 0)
		return -ENOBUFS;
	if (nlmsg_append(msg, &header, sizeof(header), NLMSG_ALIGNTO) < 0 ||
	    nla_put_u32(msg, NETNSA_FD, (uint32_t)netns_fd) < 0)
		return -ENOBUFS;
	*ret = -1;
	nl_socket_modify_cb(sock, NL_CB_VALID, NL_CB_CUSTOM, parse_netnsid, ret);
	nl_socket_disable_auto_ack(sock);
	if (nl_send_auto(sock, msg) < 0 || nl_recvmsgs_default(sock) < 0)
		return -EIO;
	return 0;
}

/* The interface that the IP stack says packets come in by; 0 if that cannot be told. */
static uint32_t ingress_of(struct nl_cache *links, struct rtnl_link *link)
{
	int master = rtnl_link_get_master(link);

	if (master == 0)
		return (uint32_t)rtnl_link_get_ifindex(link);
	struct rtnl_link *bridge = rtnl_link_get(links, master);
	const char *type = bridge ? rtnl_link_get_type(bridge) : NULL;
	bool is_bridge = type && strcmp(type, "bridge") == 0;
	if (bridge)
		rtnl_link_put(bridge);
	return is_bridge ? (uint32_t)master : 0;
}

static int find_veths(int netns_fd, struct search *search, struct diag *diag)
{
	_cleanup_nl_sock_ struct nl_sock *sock = nl_socket_alloc();
	_cleanup_nl_cache_ struct nl_cache *links = NULL;

	/* The dump makes the kernel give an id to every netns that a veth leads to. */
	if (!sock || nl_connect(sock, NETLINK_ROUTE) < 0 ||
	    rtnl_link_alloc_cache(sock, AF_UNSPEC, &links) < 0 ||
	    get_netnsid(netns_fd, &search->netnsid) < 0)
		return diag_fail(EIO, diag, NULL, "the host's links cannot be listed");
	for (struct nl_object *o = nl_cache_get_first(links); o && search->netnsid >= 0;
	     o = nl_cache_get_next(o)) {
		struct rtnl_link *link = (struct rtnl_link *)o;
		const char *type = rtnl_link_get_type(link);
		int netnsid;
		if (!type || strcmp(type, "veth") != 0 ||
		    rtnl_link_get_link_netnsid(link, &netnsid) < 0 || netnsid != search->netnsid)
			continue;
		uint32_t ingress = ingress_of(links, link);
		if (ingress == 0)
			return diag_fail(EINVAL, diag, "netns",
					 "%s, the host's end of a veth of the netns, belongs to a "
					 "device that is no Linux bridge",
					 rtnl_link_get_name(link));
		if (search->n_veths == VETHS_MAX)
			return diag_fail(EINVAL, diag, "netns",
					 "more than %d veths join the netns with the host's",
					 VETHS_MAX);
		search->veths[search->n_veths++] = (struct veth){
			.port = (uint32_t)rtnl_link_get_ifindex(link),
			.ingress = ingress,
			.peer = (uint32_t)rtnl_link_get_link(link),
		};
	}
	if (search->n_veths == 0)
		return diag_fail(EINVAL, diag, "netns",
				 "no veth joins the netns with the host's: bridge mode needs one");
	return 0;
}

static void add_path(struct search *search, const struct veth *veth, bool ipv6, const void *address)
{
	struct veth_paths *paths = search->paths;

	if (paths->n == NETD_SOURCES_MAX) {
		search->overflow = true;
		return;
	}
	struct veth_path *path = &paths->list[paths->n++];
	*path = (struct veth_path){.port = veth->port, .ingress = veth->ingress, .ipv6 = ipv6};
	if (ipv6) {
		memcpy(path->source.address, address, 16);
	} else {
		path->source.address[10] = path->source.address[11] = 0xff;
		memcpy(path->source.address + 12, address, 4);
	}
}

static int parse_address(struct nl_msg *msg, void *user)
{
	struct search *search = user;
	struct nlmsghdr *header = nlmsg_hdr(msg);
	const struct ifaddrmsg *found = nlmsg_data(header);
	struct nlattr *attrs[IFA_MAX + 1];

	if (header->nlmsg_type != RTM_NEWADDR ||
	    nlmsg_parse(header, sizeof(*found), attrs, IFA_MAX, NULL) < 0)
		return NL_OK;
	/* An older kernel would tell the host's own. */
	if (!attrs[IFA_TARGET_NETNSID] || nla_get_s32(attrs[IFA_TARGET_NETNSID]) != search->netnsid)
		return NL_OK;
	search->filtered = true;
	bool ipv6 = found->ifa_family == AF_INET6;
	struct nlattr *address = attrs[ipv6 ? IFA_ADDRESS : IFA_LOCAL];
	if (found->ifa_scope != RT_SCOPE_UNIVERSE || !address ||
	    nla_len(address) != (ipv6 ? 16 : 4))
		return NL_OK;
	for (size_t i = 0; i < search->n_veths; i++)
		if (search->veths[i].peer == found->ifa_index)
			add_path(search, &search->veths[i], ipv6, nla_data(address));
	return NL_OK;
}

static int dump_addresses(int family, struct search *search)
{
	struct ifaddrmsg header = {.ifa_family = (uint8_t)family};
	const int on = 1;

	_cleanup_nl_sock_ struct nl_sock *sock = nl_socket_alloc();
	_cleanup_nl_msg_ struct nl_msg *msg =
		nlmsg_alloc_simple(RTM_GETADDR, NLM_F_REQUEST | NLM_F_DUMP);
	if (!sock || !msg || nl_connect(sock, NETLINK_ROUTE) < 0)
		return -ENOBUFS;
	/* Without it the kernel does not look at the netns id. */
	if (setsockopt(nl_socket_get_fd(sock), SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on,
		       sizeof(on)) < 0)
		return -errno;
	if (nlmsg_append(msg, &header, sizeof(header), NLMSG_ALIGNTO) < 0 ||
	    nla_put_s32(msg, IFA_TARGET_NETNSID, search->netnsid) < 0)
		return -ENOBUFS;
	nl_socket_modify_cb(sock, NL_CB_VALID, NL_CB_CUSTOM, parse_address, search);
	if (nl_send_auto(sock, msg) < 0 || nl_recvmsgs_default(sock) < 0)
		return -EIO;
	return 0;
}

int veth_find(int netns_fd, struct veth_paths *ret, struct diag *diag)
{
	struct search search = {.paths = ret};

	*ret = (struct veth_paths){0};
	int r = find_veths(netns_fd, &search, diag);
	if (r < 0)
		return r;
	r = dump_addresses(AF_INET, &search);
	if (r < 0)
		return diag_fail(-r, diag, NULL, "the netns's addresses cannot be listed: %s",
				 strerror(-r));
	(void)dump_addresses(AF_INET6, &search); /* there may be no IPv6 */
	if (search.overflow)
		return diag_fail(EINVAL, diag, "netns",
				 "the netns has more than %d addresses towards the host",
				 NETD_SOURCES_MAX);
	if (ret->n == 0)
		return diag_fail(EINVAL, diag, "netns",
				 "the netns has no address yet on its veth to the host");
	return 0;
}

bool veth_exists(const struct veth_path *path)
{
	struct ifreq request = {.ifr_ifindex = (int)path->port};

	_cleanup_fd_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	return fd < 0 || ioctl(fd, SIOCGIFNAME, &request) == 0;
}
