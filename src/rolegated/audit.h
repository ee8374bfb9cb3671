/* audit: the file (or the systemd journal) that the audit goes to.
 *
 * Each line is one write(2) on a file opened for appending, made before the call that caused it is
 * answered; so it survives the daemon's end at any moment. It is flushed to the disk when the
 * daemon stops or reopens the file; in between the kernel does that, within its usual half a
 * minute. A line that cannot be written is logged and counted, its number is skipped, and serving
 * goes on.
 */
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include "util/diag.h"
#include "wire/audit_line.h"

struct audit {
	int fd;	    /* -1: no audit */
	char *path; /* "journal", or the file's; NULL: no audit */
	bool torn;  /* the last write left a part of a line */
	struct audit_chain chain;
	uint64_t lines, lost;
	int64_t complained_ms;
};

#ifndef AUDIT_JOURNAL_SOCKET
#define AUDIT_JOURNAL_SOCKET "/run/systemd/journal/socket"
#endif

/* audit_open(a, target, uid, gid, diag): `target` is [log] audit: a path, "journal" or NULL: none.
 * A new file gets mode 0640 and this owner. An existing one is taken up where it ends. */
int audit_open(struct audit *a, const char *target, uid_t uid, gid_t gid, struct diag *diag);
/* audit_reopen(a, target, diag): after rotation, or with another target. On failure the old one
 * stays. */
int audit_reopen(struct audit *a, const char *target, struct diag *diag);
void audit_close(struct audit *a);

/* audit_write(a, members): a line; does nothing without an audit. */
void audit_write(struct audit *a, const char *members);
