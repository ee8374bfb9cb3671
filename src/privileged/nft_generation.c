#include "privileged/nft_generation.h"

#include <errno.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>

#include "util/cleanup.h"
#include "util/fd.h"

DEFINE_CLEANUP(struct nl_sock *, nl_socket_free)
#define _cleanup_nl_sock_ _cleanup_(nl_socket_freep)

struct answer {
	uint32_t generation;
	bool found;
};

static int parse_answer(struct nl_msg *msg, void *user)
{
	struct answer *answer = user;
	struct nlattr *id = nlmsg_find_attr(nlmsg_hdr(msg), sizeof(struct nfgenmsg), NFTA_GEN_ID);

	if (id && nla_len(id) >= (int)sizeof(uint32_t)) {
		answer->generation = nla_get_u32(id);
		answer->found = true;
	}
	return NL_OK;
}

int nft_generation_get(uint32_t *ret)
{
	struct nfgenmsg request = {.nfgen_family = AF_UNSPEC, .version = NFNETLINK_V0};
	struct answer answer = {0};

	_cleanup_nl_sock_ struct nl_sock *sock = nl_socket_alloc();
	if (!sock || nl_connect(sock, NETLINK_NETFILTER) < 0)
		return -EOPNOTSUPP;
	nl_socket_modify_cb(sock, NL_CB_VALID, NL_CB_CUSTOM, parse_answer, &answer);
	if (nl_send_simple(sock, NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETGEN, 0, &request,
			   sizeof(request)) < 0 ||
	    nl_recvmsgs_default(sock) < 0 || !answer.found)
		return -EOPNOTSUPP;
	*ret = answer.generation;
	return 0;
}

int nft_watch_open(void)
{
	const struct sockaddr_nl address = {.nl_family = AF_NETLINK,
					    .nl_groups = 1u << (NFNLGRP_NFTABLES - 1)};

	_cleanup_fd_ int fd =
		socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_NETFILTER);
	if (fd < 0 || bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		return -errno;
	int taken = fd;
	fd = -1;
	return taken;
}

static const char *text_of(struct nlmsghdr *header, int attribute)
{
	struct nlattr *attr = nlmsg_find_attr(header, sizeof(struct nfgenmsg), attribute);

	return attr && nla_len(attr) > 0 && memchr(nla_data(attr), '\0', (size_t)nla_len(attr))
		       ? nla_data(attr)
		       : "";
}

static bool is_our_table(const char *name)
{
	return strcmp(name, "raw") == 0 || strcmp(name, "filter") == 0;
}

/* A chain of ours, or one that we jump from. */
static bool is_our_chain(const char *name)
{
	return strncmp(name, "ROLEGATE", 8) == 0 || strcmp(name, "PREROUTING") == 0 ||
	       strcmp(name, "FORWARD") == 0 || strcmp(name, "OUTPUT") == 0;
}

static bool concerns_us(struct nlmsghdr *header)
{
	if (header->nlmsg_type >> 8 != NFNL_SUBSYS_NFTABLES)
		return false;
	switch (header->nlmsg_type & 0xff) {
	case NFT_MSG_DELTABLE:
		return is_our_table(text_of(header, NFTA_TABLE_NAME));
	case NFT_MSG_DELCHAIN:
		return is_our_table(text_of(header, NFTA_CHAIN_TABLE)) &&
		       is_our_chain(text_of(header, NFTA_CHAIN_NAME));
	case NFT_MSG_DELRULE:
		return is_our_table(text_of(header, NFTA_RULE_TABLE)) &&
		       is_our_chain(text_of(header, NFTA_RULE_CHAIN));
	default:
		return false;
	}
}

bool nft_watch_read(int fd)
{
	bool found = false;
	/* Aligned for its header. */
	union {
		struct nlmsghdr header;
		char bytes[32768];
	} message;

	/* Not without end: others want their turn, and the rest makes it readable again. */
	for (int i = 0; i < 64; i++) {
		ssize_t n = recv(fd, &message, sizeof(message), MSG_DONTWAIT);
		if (n < 0 && errno == ENOBUFS) {
			found = true; /* who knows */
			continue;
		}
		if (n <= 0)
			break;
		int left = (int)n;
		for (struct nlmsghdr *h = &message.header; nlmsg_ok(h, left);
		     h = nlmsg_next(h, &left))
			found |= concerns_us(h);
	}
	return found;
}
