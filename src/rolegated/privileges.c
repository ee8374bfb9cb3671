#include "rolegated/privileges.h"

#include <cap-ng.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "util/log.h"
#include "util/sanitized.h"

/* Workloads wait for us in their first moments, when the host is busiest, and what we need is little. */
#define NICE (-10)

/* Unless someone has chosen already. Who may not, runs as everyone does. */
static void go_first(void)
{
	if (getpriority(PRIO_PROCESS, 0) == 0 && setpriority(PRIO_PROCESS, 0, NICE) < 0)
		log_debug(NULL, "cannot raise the scheduling priority: %s", strerror(errno));
}

int privileges_prepare(struct diag *diag)
{
	struct rlimit none = {0}, files;

	/* Credentials must reach neither a core file nor a debugger. */
	if (setrlimit(RLIMIT_CORE, &none) < 0 || prctl(PR_SET_DUMPABLE, SANITIZED) < 0)
		return diag_fail(errno, diag, NULL, "cannot forbid core dumps: %s",
				 strerror(errno));
	if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
		files.rlim_cur = files.rlim_max;
		if (setrlimit(RLIMIT_NOFILE, &files) < 0)
			log_warning(NULL, "cannot raise the limit on open files: %s",
				    strerror(errno));
	}
	go_first();
	return 0;
}

/* The first need that a user cannot reach, found out by being that user for a moment. */
static const struct privileges_need *
find_out_of_reach(const struct passwd *user, const struct privileges_need *needs, size_t n_needs)
{
	const struct privileges_need *found = NULL;

	if (setegid(user->pw_gid) < 0 || seteuid(user->pw_uid) < 0)
		n_needs = 0; /* privileges_drop() will say why */
	for (size_t i = 0; !found && i < n_needs; i++)
		if (needs[i].path &&
		    faccessat(AT_FDCWD, needs[i].path, needs[i].mode, AT_EACCESS) < 0 &&
		    errno == EACCES)
			found = &needs[i];
	if (seteuid(0) < 0 || setegid(0) < 0)
		abort(); /* root can always become root again */
	return found;
}

void privileges_choose(const struct privileges_need *needs, size_t n_needs, struct privileges *ret)
{
	*ret = (struct privileges){.change = geteuid() == 0, .uid = geteuid(), .gid = getegid()};
	if (!ret->change)
		return;
	const struct passwd *user = getpwnam(PRIVILEGES_USER);
	if (!user || user->pw_uid == 0) {
		log_warning(NULL,
			    "there is no user %s: running as root, without capabilities; "
			    "create it (systemd-sysusers) to run as it",
			    PRIVILEGES_USER);
		return;
	}
	const struct privileges_need *need = find_out_of_reach(user, needs, n_needs);
	if (need) {
		log_warning(NULL,
			    "user %s cannot reach %s: running as root, without capabilities; "
			    "make it and the directories above it accessible to run as %s",
			    PRIVILEGES_USER, need->path, PRIVILEGES_USER);
		return;
	}
	ret->uid = user->pw_uid;
	ret->gid = user->pw_gid;
}

int privileges_drop(const struct privileges *p, struct diag *diag)
{
	int r = 0;

	if (p->change && p->uid != 0) {
		capng_clear(CAPNG_SELECT_BOTH);
		r = capng_change_id((int)p->uid, (int)p->gid,
				    CAPNG_INIT_SUPP_GRP | CAPNG_CLEAR_BOUNDING);
	} else if (p->change) {
		capng_clear(CAPNG_SELECT_BOTH);
		r = capng_apply(CAPNG_SELECT_BOTH);
	}
	if (r < 0)
		return diag_fail(EPERM, diag, NULL, "cannot give up privileges (capng: %d)", r);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return diag_fail(errno, diag, NULL, "cannot set no_new_privs: %s", strerror(errno));
	/* Changing ids makes the process dumpable again. */
	if (prctl(PR_SET_DUMPABLE, SANITIZED) < 0)
		return diag_fail(errno, diag, NULL, "cannot forbid core dumps: %s",
				 strerror(errno));
	return 0;
}
