#include "privileged/nft_generation.h"

#include <errno.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <stdbool.h>

#include "util/cleanup.h"

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
