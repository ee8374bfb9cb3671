/* rules: iptables rules as text. No processes, no files: see firewall for what is done with them.
 *
 * A rule file (iptables/) is in the format of iptables-restore. It declares each chain of ours
 * (":ROLEGATE… - [0:0]"), fills it by -A, and jumps to it by one "-I CHAIN 1 -j ROLEGATE…". From it
 * come the texts for iptables-restore --noflush:
 *   fresh    for a netns that never saw us: fails, changing nothing, if a chain of ours exists;
 *   replace  whatever was there before: empties the chains, takes out the jumps that `saved` has,
 *            puts everything in again. One transaction a table: no packet meets half a rule set;
 *   remove   no chain and no jump of ours is left.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "util/buf.h"

struct rules_variables {
	uint16_t port;	    /* @PORT@ */
	uint32_t mark_mask; /* @MARK_MASK@; 0 drops the lines that begin with @BRIDGE@ */
	bool protect_host;  /* keeps or drops the lines that begin with @PROTECT_HOST@ */
	uid_t rolegate_uid; /* @ROLEGATE_UID@ */
};

/* rules_render(file, variables, ret): a rule file without comments, its variables filled in.
 * 0, -EINVAL for a variable it does not know, or -ENOMEM. */
int rules_render(const char *file, const struct rules_variables *variables, struct buf *ret);

/* All take rules_render()'s text; `saved` is what iptables-save wrote. 0 or -ENOMEM. */
int rules_fresh(const char *rules, struct buf *ret);
int rules_replace(const char *rules, const char *saved, struct buf *ret);

/* rules_remove(rules, saved, ret): with `saved` NULL, for the usual case that all is in place;
 * otherwise for exactly what is there. `ret` is empty if nothing is. */
int rules_remove(const char *rules, const char *saved, struct buf *ret);

/* How the rules of ours look in what iptables-save wrote. */
struct rules_digest {
	uint64_t hash; /* of our chains' contents and the jumps to them, in order */
	size_t n;      /* how many rules that are */
	bool first;    /* each jump is the first rule of its chain */
	bool is_nft;   /* written by the nf_tables variant of iptables */
};

void rules_digest(const char *saved, struct rules_digest *ret);

/* rules_count(rules): how many rules rules_render()'s text makes: what rules_digest() should find.
 */
size_t rules_count(const char *rules);
