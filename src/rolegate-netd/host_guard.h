/* host_guard: the host's rules, put in before anything else and put back whenever somebody has
 * removed them.
 *
 * Every HOST_GUARD_PERIOD_MS: with iptables-nft one netlink message asks whether anybody has
 * changed anything; only then, and always with iptables-legacy, a worker runs iptables-save and
 * compares. A rule that somebody else put before ours is overtaken again, but at most once a
 * minute: if two programs both want to be first, they must not fight all day. raw and its drops
 * come before whatever they quarrel about.
 *
 * With iptables-nft the kernel tells of each removal, and the check comes at once, at most once in
 * HOST_GUARD_HURRY_MS: until it has put the rules back, containers find the way to the host's
 * metadata open.
 */
#pragma once

#include "rolegate-netd/netd.h"

#define HOST_GUARD_PERIOD_MS 3000
#define HOST_GUARD_RETRY_MS                                                                        \
	1000 /* after a pass that failed, by others' changes in its midst, say */
#define HOST_GUARD_HURRY_MS 500

/* host_guard_apply(netd, diag): put them in now, blocking: at start. */
int host_guard_apply(struct netd *netd, struct diag *diag);

/* host_guard_run(netd): from now on watch them. */
void host_guard_run(struct netd *netd);

/* host_guard_stop(netd): no more; the rules stay. */
void host_guard_stop(struct netd *netd);

/* host_guard_sync(netd): have bridge mode's rules written anew, of the attachments that there are
 * now. Returns the number of the pass, whose end job_synced() hears of, never before this has
 * returned. */
uint64_t host_guard_sync(struct netd *netd);

/* host_guard_reload(netd): the configuration has changed. */
void host_guard_reload(struct netd *netd);
