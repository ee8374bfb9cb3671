/* bridge_rules: bridge mode's rules in the host's netns (iptables/bridge.nft), by nft: iptables knows
 * interfaces by name only, and a bridge's ports not at all.
 *
 * All calls act on the netns of the calling process and block. They always write the whole, in one
 * transaction, so that whatever was there before does not matter.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "privileged/veth.h"
#include "util/buf.h"
#include "util/diag.h"

/* A container of bridge mode. */
struct bridge_client {
	uint32_t mark; /* within NETD_MARK_MASK, not 0 */
	struct veth_paths paths;
};

/* What bridge_rules_apply() left behind. */
struct bridge_state {
	bool standing;
	uint64_t digest;     /* of what nft lists */
	bool fwmark_changed; /* net.ipv4.tcp_fwmark_accept was off before */
};

/* bridge_rules_render(port, clients, n, ret): the text for nft. 0, -EINVAL or -ENOMEM. Needs no
 * privilege. */
int bridge_rules_render(uint16_t port, const struct bridge_client *clients, size_t n,
			struct buf *ret);

/* bridge_rules_apply(port, clients, n, state, diag): 0 or -errno; `state` is brought up to date. */
int bridge_rules_apply(uint16_t port, const struct bridge_client *clients, size_t n,
		       struct bridge_state *state, struct diag *diag);

/* bridge_rules_intact(state): are they as bridge_rules_apply() left them? */
bool bridge_rules_intact(const struct bridge_state *state);

/* bridge_rules_remove(state, diag): also what another life left behind. */
int bridge_rules_remove(struct bridge_state *state, struct diag *diag);
