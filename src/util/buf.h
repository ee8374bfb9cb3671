/* buf: a growing byte buffer for building messages, safe for secrets.
 *
 * Errors stick: after an allocation failed, or the limit was passed, every further append does
 * nothing and buf_ok() is false; so a builder checks once, at its end. The memory is wiped
 * whenever it is given up, since half of what is built here holds credentials.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "util/cleanup.h"

struct buf {
	char *data; /* NUL-terminated whenever not NULL; owned */
	size_t len; /* without the NUL */
	size_t cap;
	bool failed;
};

void buf_deinit(struct buf *b);
#define _cleanup_buf_ _cleanup_(buf_deinit)

/* buf_reset(b): empty it (wiping the contents), keep the memory, clear the error. */
void buf_reset(struct buf *b);
void buf_put(struct buf *b, const void *data, size_t len);
void buf_puts(struct buf *b, const char *s);
void buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* buf_reserve(b, n): room for `n` more bytes at b->data + b->len; NULL on failure. After writing
 * there, add to b->len and keep the NUL. */
char *buf_reserve(struct buf *b, size_t n);

static inline bool buf_ok(const struct buf *b)
{
	return !b->failed;
}

/* buf_steal(b): the string, which becomes the caller's (free with secret_free()); NULL if the
 * buffer failed. The buffer is empty afterwards. */
char *buf_steal(struct buf *b);

/* secret_free(s): wipe and free a NUL-terminated string; NULL is fine. */
void secret_free(char *s);
DEFINE_CLEANUP(char *, secret_free)
#define _cleanup_secret_ _cleanup_(secret_freep)
