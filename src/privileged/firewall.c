#include "privileged/firewall.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "privileged/rule_files.h"
#include "util/fd.h"
#include "util/log.h"
#include "wire/netd_message.h"

/* One text a family. */
struct texts {
	struct buf family[IPTABLES_FAMILIES];
};

static void texts_deinit(struct texts *texts)
{
	for (int i = 0; i < IPTABLES_FAMILIES; i++)
		buf_deinit(&texts->family[i]);
}
#define _cleanup_texts_ _cleanup_(texts_deinit)

static const char *const netns_files[] = {rule_file_netns_v4, rule_file_netns_v6};
static const char *const host_files[] = {rule_file_host_v4, rule_file_host_v6};

bool firewall_has_ipv6(void)
{
	_cleanup_fd_ int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	return fd >= 0 || errno != EAFNOSUPPORT;
}

static int families(void)
{
	return firewall_has_ipv6() ? IPTABLES_FAMILIES : IPTABLES_V6;
}

static int render(const char *const files[], const struct rules_variables *variables,
		  struct texts *ret, struct diag *diag)
{
	for (int i = 0, n = families(); i < n; i++) {
		int r = rules_render(files[i], variables, &ret->family[i]);
		if (r < 0)
			return diag_fail(-r, diag, NULL, "%s rule file: %s",
					 iptables_family_name(i), strerror(-r));
	}
	return 0;
}

static int restore(const struct texts *texts, int ret_error[IPTABLES_FAMILIES], struct diag *diag)
{
	const char *const rules[] = {texts->family[IPTABLES_V4].data,
				     texts->family[IPTABLES_V6].data};
	return iptables_restore(rules, ret_error, diag);
}

/* Whatever there is, make it our rules; only of the families with `failed`, or of all. */
static int replace(const struct texts *rules, const int *failed, struct diag *diag)
{
	_cleanup_texts_ struct texts saved = {0}, changes = {0};
	int error[IPTABLES_FAMILIES];

	int r = iptables_save(NULL, families() > IPTABLES_V6, saved.family, diag);
	if (r < 0)
		return r;
	for (int i = 0; i < IPTABLES_FAMILIES; i++) {
		if ((failed && !failed[i]) || !rules->family[i].data)
			continue;
		r = rules_replace(rules->family[i].data, saved.family[i].data, &changes.family[i]);
		if (r < 0)
			return diag_fail(-r, diag, NULL, "building the rules: %s", strerror(-r));
	}
	return restore(&changes, error, diag);
}

int firewall_netns_apply(uint16_t port, struct diag *diag)
{
	const struct rules_variables variables = {.port = port};
	_cleanup_texts_ struct texts rules = {0}, fresh = {0};
	int error[IPTABLES_FAMILIES];

	int r = render(netns_files, &variables, &rules, diag);
	if (r < 0)
		return r;
	for (int i = 0; i < IPTABLES_FAMILIES; i++) {
		if (!rules.family[i].data)
			continue;
		r = rules_fresh(rules.family[i].data, &fresh.family[i]);
		if (r < 0)
			return diag_fail(-r, diag, NULL, "building the rules: %s", strerror(-r));
	}
	/* This fails when our chains are there already, and then has to be done with care. */
	r = restore(&fresh, error, NULL);
	if (r < 0)
		r = replace(&rules, error, diag);
	if (r < 0)
		(void)firewall_netns_remove(NULL);
	return r;
}

static int remove_all(const struct texts *rules, const struct texts *saved, const int *failed,
		      int ret_error[IPTABLES_FAMILIES], struct diag *diag)
{
	_cleanup_texts_ struct texts changes = {0};

	for (int i = 0; i < IPTABLES_FAMILIES; i++) {
		if ((failed && !failed[i]) || !rules->family[i].data)
			continue;
		int r = rules_remove(rules->family[i].data, saved ? saved->family[i].data : NULL,
				     &changes.family[i]);
		if (r < 0)
			return diag_fail(-r, diag, NULL, "building the rules: %s", strerror(-r));
	}
	return restore(&changes, ret_error, diag);
}

int firewall_netns_remove(struct diag *diag)
{
	const struct rules_variables variables = {0};
	_cleanup_texts_ struct texts rules = {0}, saved = {0};
	int failed[IPTABLES_FAMILIES] = {0}, error[IPTABLES_FAMILIES];

	int r = render(netns_files, &variables, &rules, diag);
	if (r < 0)
		return r;
	r = remove_all(&rules, NULL, NULL, failed, NULL);
	if (r == 0)
		return 0;
	/* Not as we left it. See what there is, and take that out. */
	r = iptables_save(NULL, families() > IPTABLES_V6, saved.family, diag);
	if (r < 0)
		return r;
	return remove_all(&rules, &saved, failed, error, diag);
}

static int host_state(struct firewall_state *ret, struct diag *diag)
{
	bool v6 = families() > IPTABLES_V6;
	_cleanup_texts_ struct texts raw = {0}, filter = {0};

	*ret = (struct firewall_state){0};
	/* Table by table: nat may hold ten thousands of kube-proxy's rules. */
	int r = iptables_save("raw", v6, raw.family, diag);
	if (r == 0)
		r = iptables_save("filter", v6, filter.family, diag);
	if (r < 0)
		return r;
	for (int i = 0; i < IPTABLES_FAMILIES; i++) {
		if (raw.family[i].data)
			rules_digest(raw.family[i].data, &ret->raw[i]);
		if (filter.family[i].data)
			rules_digest(filter.family[i].data, &ret->filter[i]);
	}
	return 0;
}

int firewall_host_apply(const struct firewall_host *host, struct firewall_state *ret,
			struct diag *diag)
{
	const struct rules_variables variables = {
		.protect_host = host->protect_host,
		.mark_mask = host->bridge ? NETD_MARK_MASK : 0,
		.rolegate_uid = host->rolegate_uid,
	};
	_cleanup_texts_ struct texts rules = {0};

	int r = render(host_files, &variables, &rules, diag);
	if (r == 0)
		r = replace(&rules, NULL, diag);
	if (r == 0)
		r = host_state(ret, diag);
	if (r < 0)
		return r;
	for (int i = 0, n = families(); i < n; i++) {
		size_t want = rules_count(rules.family[i].data);
		size_t have = ret->raw[i].n + ret->filter[i].n;
		if (have != want)
			return diag_fail(EIO, diag, NULL,
					 "%s host rules: applied %zu, but there are %zu",
					 iptables_family_name(i), want, have);
	}
	return 0;
}

static void compare(const struct rules_digest *expect, const struct rules_digest *have,
		    enum iptables_family family, const char *table, enum firewall_drift *drift,
		    struct diag *diag)
{
	if (have->hash != expect->hash) {
		*drift = FIREWALL_CHANGED;
		diag_set(diag, NULL, "%s host rules in table %s were changed: %zu of %zu there",
			 iptables_family_name(family), table, have->n, expect->n);
	} else if (expect->first && !have->first && *drift == FIREWALL_INTACT) {
		*drift = FIREWALL_OVERTAKEN;
		diag_set(diag, NULL, "%s host rules in table %s are no longer first",
			 iptables_family_name(family), table);
	}
}

int firewall_host_check(const struct firewall_state *expect, enum firewall_drift *ret,
			struct diag *diag)
{
	struct firewall_state have;

	int r = host_state(&have, diag);
	if (r < 0)
		return r;
	*ret = FIREWALL_INTACT;
	for (int i = 0, n = families(); i < n; i++) {
		compare(&expect->raw[i], &have.raw[i], i, "raw", ret, diag);
		compare(&expect->filter[i], &have.filter[i], i, "filter", ret, diag);
	}
	return 0;
}

/* The packets of the DROPs of ours in what iptables-save -c wrote. */
static uint64_t count_hits(const char *saved)
{
	uint64_t hits = 0;

	for (const char *line = saved; line && *line;) {
		const char *end = strchrnul(line, '\n');
		unsigned long long packets;
		const char *chain = memmem(line, (size_t)(end - line), " -A ROLEGATE-", 13);
		if (chain && memmem(chain, (size_t)(end - chain), "-j DROP", 7) &&
		    sscanf(line, "[%llu:", &packets) == 1)
			hits += packets;
		line = *end ? end + 1 : end;
	}
	return hits;
}

int firewall_host_report(const struct firewall_host *host,
			 struct firewall_report ret[IPTABLES_FAMILIES], struct diag *diag)
{
	const struct rules_variables variables = {
		.protect_host = host->protect_host,
		.mark_mask = host->bridge ? NETD_MARK_MASK : 0,
		.rolegate_uid = host->rolegate_uid,
	};
	_cleanup_texts_ struct texts rules = {0}, raw = {0}, filter = {0};
	struct firewall_state state;
	bool v6 = families() > IPTABLES_V6;

	memset(ret, 0, IPTABLES_FAMILIES * sizeof(*ret));
	int r = render(host_files, &variables, &rules, diag);
	if (r == 0)
		r = host_state(&state, diag);
	if (r == 0)
		r = iptables_save_counters("raw", v6, raw.family, diag);
	if (r == 0)
		r = iptables_save_counters("filter", v6, filter.family, diag);
	for (int i = 0, n = families(); r == 0 && i < n; i++)
		ret[i] = (struct firewall_report){
			.want = rules_count(rules.family[i].data),
			.have = state.raw[i].n + state.filter[i].n,
			.first = state.raw[i].first && state.filter[i].first,
			.hits = count_hits(raw.family[i].data) + count_hits(filter.family[i].data),
		};
	return r;
}

int firewall_netns_report(uint16_t port, struct firewall_report ret[IPTABLES_FAMILIES],
			  struct diag *diag)
{
	const struct rules_variables variables = {.port = port};
	_cleanup_texts_ struct texts rules = {0}, saved = {0};
	struct rules_digest digest;

	memset(ret, 0, IPTABLES_FAMILIES * sizeof(*ret));
	int r = render(netns_files, &variables, &rules, diag);
	if (r == 0)
		r = iptables_save(NULL, families() > IPTABLES_V6, saved.family, diag);
	for (int i = 0, n = families(); r == 0 && i < n; i++) {
		rules_digest(saved.family[i].data, &digest);
		ret[i] = (struct firewall_report){.want = rules_count(rules.family[i].data),
						  .have = digest.n,
						  .first = digest.first};
	}
	return r;
}
