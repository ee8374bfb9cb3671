/* privileges: how rolegated gives up what it does not need. Two stages:
 *
 *	privileges_prepare()  at start, as whoever started us.
 *		Should: forbid core dumps and ptrace, raise the descriptor limit.
 *	privileges_drop()     once the control socket, the state directory and the files that only
 *		root may read are open.
 *		Should: become user `rolegate` if we are root and it exists; lose every capability
 *and the way back (bounding set, no_new_privs). Mustn't: open a socket or file of root's
 *afterwards.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "util/diag.h"

#define PRIVILEGES_USER "rolegate"

/* privileges_prepare(diag): 0 or -errno. */
int privileges_prepare(struct diag *diag);

/* privileges_user(ret_uid, ret_gid): the user privileges_drop() will become; false: we stay who we
 * are (not root, or there is no such user). */
bool privileges_user(uid_t *ret_uid, gid_t *ret_gid);

/* privileges_drop(diag): 0 or -errno; on failure the process must exit. */
int privileges_drop(struct diag *diag);
