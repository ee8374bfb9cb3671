/* iptables: running iptables-restore and iptables-save, IPv4 and IPv6 at once.
 *
 * The programs are looked for in fixed directories and get an empty environment. They act on the
 * network namespace of the calling process. Calls block; netd makes them in worker processes, which
 * it kills when they take too long.
 */
#pragma once

#include <stdbool.h>

#include "util/buf.h"
#include "util/diag.h"

enum iptables_family { IPTABLES_V4, IPTABLES_V6, IPTABLES_FAMILIES };

/* "IPv4", "IPv6" */
const char *iptables_family_name(enum iptables_family family);

/* iptables_restore(rules, ret_error, diag): apply the texts (NULL or "": nothing to do) with
 * --noflush. ret_error[family] becomes 0 or -errno. Returns 0, or the first error, with the
 * program's own words in `diag`. */
int iptables_restore(const char *const rules[IPTABLES_FAMILIES], int ret_error[IPTABLES_FAMILIES],
		     struct diag *diag);

/* iptables_save(table, want_v6, ret, diag): the rules there are, appended to ret[family]. All
 * tables if `table` is NULL. 0 or -errno. iptables_save_counters() has "[packets:bytes] " before
 * each rule. */
int iptables_save(const char *table, bool want_v6, struct buf ret[IPTABLES_FAMILIES],
		  struct diag *diag);
int iptables_save_counters(const char *table, bool want_v6, struct buf ret[IPTABLES_FAMILIES],
			   struct diag *diag);
