/* audit_line: the lines of the audit, chained by hash, so that a cut or edited line shows.
 *
 *	{"seq":7,"prev":"HASH OF LINE 6","time":…,"event":…,…,"hash":"HASH OF THIS LINE"}
 *
 * A line's hash is the SHA-256, in hexadecimal, of everything before `,"hash":`; that includes the
 * hash of the line before. The first line of all has 64 zeros for `prev`. The chain goes on over
 * restarts of the daemon and over rotated files.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/buf.h"
#include "util/diag.h"

#define AUDIT_HASH_SIZE 65
#define AUDIT_LINE_MAX (64 * 1024)

/* Where a chain has got to. */
struct audit_chain {
	uint64_t seq;		    /* of the last line; 0: none */
	char hash[AUDIT_HASH_SIZE]; /* of the last line */
	uint64_t unread;	    /* when following: lines since that could not be read */
};

void audit_chain_init(struct audit_chain *chain);

/* audit_line_print(chain, members, out): append the next line with its LF; `members` is JSON
 * without braces. The chain moves on. */
void audit_line_print(struct audit_chain *chain, const char *members, struct buf *out);

/* audit_line_read(line, len, ret): a line (without LF, NUL-terminated) by itself: is its hash
 * right? Sets where the chain is after it. 0, or -EBADMSG with `diag` saying what is wrong.
 * `ret_prev` (may be NULL) gets the hash it names as the one before. */
int audit_line_read(const char *line, size_t len, struct audit_chain *ret,
		    char ret_prev[AUDIT_HASH_SIZE], struct diag *diag);

/* audit_chain_follow(chain, line, len, diag): is it the next one of the chain? Moves on whatever is
 * wrong, so that one fault is told once. 0 or -EBADMSG. `chain`
 * with seq 0 accepts any first line that is right by itself. */
int audit_chain_follow(struct audit_chain *chain, const char *line, size_t len, struct diag *diag);
