/* enrolment: a container's registration with rolegated, from its identity to its first credentials,
 * and back.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "launch/identity.h"
#include "util/buf.h"
#include "util/diag.h"
#include "wire/config.h"

struct enrolment {
	const char *socket; /* the control socket */
	const char *id;
	pid_t pid; /* of the container's first process: when it exits, the daemon unregisters it */
	const char *netns;		 /* absolute path; NULL: that of `pid` */
	const struct identity *identity; /* with a role */
	/* When the time is over, leave it registered without credentials, so that it gets them once
	 * STS gives them, and say so in `diag`. */
	bool may_lag;
	struct buf
		*reply; /* the daemon's answer is appended, if it is registered by this; or NULL */
};

enum enrolment_outcome {
	ENROLMENT_READY,  /* registered, its credentials are there */
	ENROLMENT_SHARED, /* its netns belongs to another container of the same role: it has that's
			   */
	ENROLMENT_LAGGING /* registered, without credentials so far; only with may_lag */
};

/* enrolment_register(e, ret, diag): 0; or nothing of it stays and `diag` names the role and the
 * reason: -EACCES (the policy, or STS, denies it), -EEXIST (the netns has another role), -ENOTCONN
 * (no daemon), -ETIMEDOUT, -EINVAL, -ENOMEM. A daemon that is just being restarted is waited for.
 */
int enrolment_register(const struct enrolment *e, enum enrolment_outcome *ret, struct diag *diag);

/* enrolment_check(e, diag): is it registered so, by itself or by who shares its netns, and not
 * without credentials? 0, -ENOENT, or what keeps it from being known. */
int enrolment_check(const struct enrolment *e, struct diag *diag);

/* enrolment_unregister(socket, id, own, diag): after the container's end. One of the same id whose
 * process lives and is not `own` (0: none is) is another's (of another engine, say), and is left alone.
 * 0 when nothing of ours is
 * there (any more); -ENOTCONN when there is no daemon: it will find out when it comes up. */
int enrolment_unregister(const char *socket, const char *id, pid_t own, struct diag *diag);

/* How long enrolment_register() may take at most, in seconds, given the registration's wait_s. */
int enrolment_time_s(const struct identity *identity);
