#include "privileged/isolate.h"

#include <cap-ng.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "privileged/syscall_filter.h"

/* A worker's, and so its iptables-save's, largest file. */
#define WORKER_FILE_MAX ((rlim_t)9 * 1024 * 1024)

/* What netd needs for as long as it runs. Found by leaving out one at a time. */
static const struct {
	unsigned capability;
	const char *name;
} kept[] = {
	{CAP_SYS_ADMIN, "CAP_SYS_ADMIN"},   /* setns() */
	{CAP_NET_ADMIN, "CAP_NET_ADMIN"},   /* iptables, routes, SIOCGSKNS, SOCK_DESTROY */
	{CAP_NET_RAW, "CAP_NET_RAW"},	    /* the raw socket of iptables-legacy */
	{CAP_SYS_PTRACE, "CAP_SYS_PTRACE"}, /* /proc/PID/ns/net of other users' processes */
};
#define N_KEPT (sizeof(kept) / sizeof(kept[0]))

int isolate_start(struct diag *diag)
{
	const struct rlimit none = {0, 0};
	struct rlimit files;

	umask(077);
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 || setrlimit(RLIMIT_CORE, &none) < 0)
		return diag_fail(errno, diag, NULL, "cannot forbid core dumps: %s",
				 strerror(errno));
	/* Two listeners a container. */
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &files);
	}
	return 0;
}

int isolate_check(struct diag *diag)
{
	char missing[128] = "";
	size_t len = 0;

	if (capng_get_caps_process() < 0)
		return diag_fail(EIO, diag, NULL, "cannot read this process's capabilities");
	for (size_t i = 0; i < N_KEPT; i++)
		if (!capng_have_capability(CAPNG_EFFECTIVE, kept[i].capability))
			len += (size_t)snprintf(missing + len, sizeof(missing) - len, " %s",
						kept[i].name);
	if (len > 0)
		return diag_fail(EPERM, diag, NULL,
				 "missing capabilities:%s: run rolegate-netd as root, and in its "
				 "unit leave them in CapabilityBoundingSet=",
				 missing);
	return 0;
}

static int drop_capabilities(struct diag *diag)
{
	/* Emptying the bounding set needs CAP_SETPCAP. Without it no_new_privs alone has to see to
	 * it that the programs we run get no more than we have. */
	bool bounding = capng_get_caps_process() == 0 &&
			capng_have_capability(CAPNG_EFFECTIVE, CAP_SETPCAP);
	capng_clear(CAPNG_SELECT_BOTH);
	for (size_t i = 0; i < N_KEPT; i++)
		(void)capng_update(CAPNG_ADD,
				   CAPNG_EFFECTIVE | CAPNG_PERMITTED | CAPNG_BOUNDING_SET,
				   kept[i].capability);
	int r = capng_apply(bounding ? CAPNG_SELECT_BOTH : CAPNG_SELECT_CAPS);
	if (r < 0)
		return diag_fail(EPERM, diag, NULL, "cannot drop capabilities: libcap-ng error %d",
				 r);
	return 0;
}

int isolate_serve(struct diag *diag)
{
	int r = drop_capabilities(diag);
	if (r < 0)
		return r;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return diag_fail(errno, diag, NULL, "no_new_privs: %s", strerror(errno));
	/* Dropping capabilities may have made us dumpable again. */
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return diag_fail(errno, diag, NULL, "PR_SET_DUMPABLE: %s", strerror(errno));
	return syscall_filter_install(diag);
}

void isolate_worker(void)
{
	const struct rlimit file = {WORKER_FILE_MAX, WORKER_FILE_MAX};

	(void)setrlimit(RLIMIT_FSIZE, &file);
}
