/* diag: an error a person will read: what is wrong, where, and (if it helps) what to do.
 *
 * Functions return 0 or -errno; those whose error reaches a person also fill a struct diag.
 */
#pragma once

#include <errno.h>
#include <stddef.h>

struct diag {
	char field[96]; /* the key, field or parameter at fault; "" if none */
	char text[512]; /* one line, no final period or newline, never a secret */
};

/* diag_set(diag, field, fmt, …): fill `diag` (may be NULL), cutting what is too long; control
 * bytes become '?', so that a peer cannot write log lines. `field` may be NULL. */
void diag_set(struct diag *diag, const char *field, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* diag_fail(error, diag, field, fmt, …): the same, returning -error (error > 0). */
#define diag_fail(error, diag, field, ...) (diag_set((diag), (field), __VA_ARGS__), -(error))
