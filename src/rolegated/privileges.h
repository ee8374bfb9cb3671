/* privileges: how rolegated gives up what it does not need. Stages (the third is sandbox.h):
 *
 *	privileges_prepare()  at start, as whoever started us.
 *		Should: forbid core dumps and ptrace, raise the descriptor limit and the scheduling
 *		priority; choose the user to be.
 *	privileges_drop()     once the control socket, the state directory and the token key are
 *		open.
 *		Should: become that user; lose every capability and the way back (bounding set,
 *		no_new_privs).
 *		Mustn't: open a socket or file of root's afterwards.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "util/diag.h"

#define PRIVILEGES_USER "rolegate"

/* A path the daemon must still reach once it has given up privileges, and how: R_OK, W_OK, X_OK. */
struct privileges_need {
	const char *path; /* NULL: none */
	int mode;
};

/* The user to be. Not root already: ourselves. Root: user `rolegate`, if there is one and it can
 * reach every need; else root still, but without capabilities, and said aloud. */
struct privileges {
	bool change; /* started as root: uid, gid or capabilities will change */
	uid_t uid;
	gid_t gid;
};

int privileges_prepare(struct diag *diag);

void privileges_choose(const struct privileges_need *needs, size_t n_needs, struct privileges *ret);

/* privileges_drop(p, diag): 0 or -errno; on failure the process must exit. */
int privileges_drop(const struct privileges *p, struct diag *diag);
