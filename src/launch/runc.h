/* runc: running a bundle by the OCI runtime, in the foreground, with signals passed on. */
#pragma once

#include "util/diag.h"

struct runc {
	const char *path;	/* [runtime] path */
	const char *state_root; /* its own state is in state_root/runc */
};

/* runc_block_signals(): from here on runc_run() takes the signals that end or tell programs something;
 * one that comes before it ends the container before its start. */
void runc_block_signals(void);

/* runc_run(runc, id, bundle, ret_status, diag): 0 with the container's exit status (or 128 +
 * the signal that ended it), -EINTR if a signal came first, or -errno. */
int runc_run(const struct runc *runc, const char *id, const char *bundle, int *ret_status,
	     struct diag *diag);

/* runc_delete(runc, id): kill and delete, if there is any. */
void runc_delete(const struct runc *runc, const char *id);
