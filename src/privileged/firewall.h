/* firewall: rolegate's iptables rules, in a container's netns and in the host's.
 *
 * All calls act on the netns of the calling process, block, and may be repeated in any state that a
 * crash left behind. The host has rules of both families always; a container's netns has those of
 * IPv6 if the kernel knows it (firewall_has_ipv6()).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "privileged/iptables.h"
#include "privileged/rules.h"
#include "util/diag.h"

bool firewall_has_ipv6(void);

/* firewall_netns_apply(port, diag): redirect the metadata addresses' port 80 to `port`, reject all
 * else that goes there. One run of iptables-restore a family, two when the rules are there already.
 * On failure nothing of them stays. */
int firewall_netns_apply(uint16_t port, struct diag *diag);
int firewall_netns_remove(struct diag *diag);

struct firewall_host {
	bool protect_host;
	bool bridge; /* let in what bridge mode's rules have marked */
	uid_t rolegate_uid;
};

/* What firewall_host_apply() left behind, to tell later whether somebody changed it. */
struct firewall_state {
	struct rules_digest raw[IPTABLES_FAMILIES];
	struct rules_digest filter[IPTABLES_FAMILIES];
};

/* Of one family, for a person to look at. */
struct firewall_report {
	size_t want, have; /* rules; want 0: the family does not exist here */
	bool first;	   /* ours are the first in their chains */
	uint64_t hits;	   /* packets that a DROP of ours has stopped */
};

/* firewall_host_report(host, ret, diag): how the host's rules stand. 0 or -errno. */
int firewall_host_report(const struct firewall_host *host,
			 struct firewall_report ret[IPTABLES_FAMILIES], struct diag *diag);

/* firewall_netns_report(port, ret, diag): likewise in a container's netns; no hits. */
int firewall_netns_report(uint16_t port, struct firewall_report ret[IPTABLES_FAMILIES],
			  struct diag *diag);

enum firewall_drift {
	FIREWALL_INTACT,
	FIREWALL_OVERTAKEN, /* all there, but another rule was put before our jump */
	FIREWALL_CHANGED,   /* rules of ours are gone or altered */
};

int firewall_host_apply(const struct firewall_host *host, struct firewall_state *ret,
			struct diag *diag);

/* firewall_host_check(expect, ret, diag): compare with what there is now. 0 or -errno; `diag` says
 * what was found if *ret is not FIREWALL_INTACT. */
int firewall_host_check(const struct firewall_state *expect, enum firewall_drift *ret,
			struct diag *diag);
