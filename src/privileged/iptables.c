#include "privileged/iptables.h"

#include <stdio.h>
#include <string.h>

#include "privileged/program.h"

const char *iptables_family_name(enum iptables_family family)
{
	return family == IPTABLES_V4 ? "IPv4" : "IPv6";
}

static int start(struct program *p, enum iptables_family family, const char *verb,
		 const char *const arguments[], const char *input, struct diag *diag)
{
	char name[PROGRAM_NAME_SIZE];

	snprintf(name, sizeof(name), "ip%stables-%s", family == IPTABLES_V6 ? "6" : "", verb);
	return program_start(p, name, arguments, input, "iptables", diag);
}

int iptables_restore(const char *const rules[IPTABLES_FAMILIES], int ret_error[IPTABLES_FAMILIES],
		     struct diag *diag)
{
	/* -w: wait for the lock that all users of iptables-legacy share. */
	static const char *const arguments[] = {"--noflush", "-w", "10", NULL};
	_cleanup_program_ struct program v4 = PROGRAM_NONE;
	_cleanup_program_ struct program v6 = PROGRAM_NONE;
	struct program *const processes[IPTABLES_FAMILIES] = {&v4, &v6};
	int first = 0;

	for (int i = 0; i < IPTABLES_FAMILIES; i++) {
		ret_error[i] = 0;
		if (rules[i] && rules[i][0])
			ret_error[i] = start(processes[i], i, "restore", arguments, rules[i],
					     first ? NULL : diag);
		first = first ? first : ret_error[i];
	}
	for (int i = 0; i < IPTABLES_FAMILIES; i++) {
		if (!processes[i]->pid)
			continue;
		ret_error[i] = program_wait(processes[i], first ? NULL : diag);
		first = first ? first : ret_error[i];
	}
	return first;
}

static int save(const char *table, bool counters, bool want_v6, struct buf ret[IPTABLES_FAMILIES],
		struct diag *diag)
{
	_cleanup_program_ struct program v4 = PROGRAM_NONE;
	_cleanup_program_ struct program v6 = PROGRAM_NONE;
	struct program *const processes[IPTABLES_FAMILIES] = {&v4, &v6};
	const char *arguments[4] = {NULL};
	size_t n = 0;
	int families = want_v6 ? IPTABLES_FAMILIES : IPTABLES_V6;

	if (counters)
		arguments[n++] = "-c";
	if (table) {
		arguments[n++] = "-t";
		arguments[n++] = table;
	}
	for (int i = 0; i < families; i++) {
		int r = start(processes[i], i, "save", arguments, NULL, diag);
		if (r < 0)
			return r;
	}
	for (int i = 0; i < families; i++) {
		int r = program_wait(processes[i], diag);
		if (r < 0)
			return r;
		r = program_output(processes[i], &ret[i], diag);
		if (r < 0)
			return r;
	}
	return 0;
}

int iptables_save(const char *table, bool want_v6, struct buf ret[IPTABLES_FAMILIES],
		  struct diag *diag)
{
	return save(table, false, want_v6, ret, diag);
}

int iptables_save_counters(const char *table, bool want_v6, struct buf ret[IPTABLES_FAMILIES],
			   struct diag *diag)
{
	return save(table, true, want_v6, ret, diag);
}
