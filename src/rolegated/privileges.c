#include "rolegated/privileges.h"

#include <cap-ng.h>
#include <errno.h>
#include <pwd.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "util/log.h"
#include "util/sanitized.h"

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
	return 0;
}

bool privileges_user(uid_t *ret_uid, gid_t *ret_gid)
{
	const struct passwd *user = geteuid() == 0 ? getpwnam(PRIVILEGES_USER) : NULL;

	if (!user || user->pw_uid == 0)
		return false;
	*ret_uid = user->pw_uid;
	*ret_gid = user->pw_gid;
	return true;
}

int privileges_drop(struct diag *diag)
{
	uid_t uid;
	gid_t gid;
	int r;

	if (privileges_user(&uid, &gid)) {
		capng_clear(CAPNG_SELECT_BOTH);
		r = capng_change_id((int)uid, (int)gid, CAPNG_INIT_SUPP_GRP | CAPNG_CLEAR_BOUNDING);
		if (r < 0)
			return diag_fail(EPERM, diag, NULL, "cannot become user %s (capng: %d)",
					 PRIVILEGES_USER, r);
	} else if (geteuid() == 0) {
		log_warning(NULL,
			    "there is no user %s: running as root, without capabilities; "
			    "create it (systemd-sysusers) to run as it",
			    PRIVILEGES_USER);
		capng_clear(CAPNG_SELECT_BOTH);
		r = capng_apply(CAPNG_SELECT_BOTH);
		if (r < 0)
			return diag_fail(EPERM, diag, NULL, "cannot drop capabilities (capng: %d)",
					 r);
	}
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return diag_fail(errno, diag, NULL, "cannot set no_new_privs: %s", strerror(errno));
	/* Changing ids makes the process dumpable again. */
	if (prctl(PR_SET_DUMPABLE, SANITIZED) < 0)
		return diag_fail(errno, diag, NULL, "cannot forbid core dumps: %s",
				 strerror(errno));
	return 0;
}
