#include "util/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define STEAL_SLACK 32

void secret_free(char *s)
{
	if (!s)
		return;
	explicit_bzero(s, strlen(s));
	free(s);
}

void buf_deinit(struct buf *b)
{
	if (b->data) {
		explicit_bzero(b->data, b->cap);
		free(b->data);
	}
	*b = (struct buf){0};
}

void buf_reset(struct buf *b)
{
	if (b->data) {
		explicit_bzero(b->data, b->len);
		b->data[0] = '\0';
	}
	b->len = 0;
	b->failed = false;
}

char *buf_reserve(struct buf *b, size_t n)
{
	if (b->failed)
		return NULL;
	if (n >= SIZE_MAX / 4 - b->len) {
		b->failed = true;
		return NULL;
	}
	if (b->len + n + 1 > b->cap) {
		size_t cap = b->cap ? b->cap : 64;
		while (cap < b->len + n + 1)
			cap *= 2;
		/* Not realloc(): it may leave the old bytes behind unwiped. */
		char *data = malloc(cap);
		if (!data) {
			b->failed = true;
			return NULL;
		}
		if (b->data) {
			memcpy(data, b->data, b->len + 1);
			explicit_bzero(b->data, b->cap);
			free(b->data);
		} else {
			data[0] = '\0';
		}
		b->data = data;
		b->cap = cap;
	}
	return b->data + b->len;
}

void buf_put(struct buf *b, const void *data, size_t len)
{
	char *to = buf_reserve(b, len);
	if (!to)
		return;
	if (len > 0)
		memcpy(to, data, len);
	to[len] = '\0';
	b->len += len;
}

void buf_puts(struct buf *b, const char *s)
{
	buf_put(b, s, strlen(s));
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	int n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0) {
		b->failed = true;
		return;
	}
	char *to = buf_reserve(b, (size_t)n);
	if (!to)
		return;
	va_start(ap, fmt);
	vsnprintf(to, (size_t)n + 1, fmt, ap);
	va_end(ap);
	b->len += (size_t)n;
}

char *buf_steal(struct buf *b)
{
	if (b->failed || !buf_reserve(b, 0)) {
		buf_deinit(b);
		return NULL;
	}
	/* What is stolen is kept, a copy for each container: without the room to grow. */
	if (b->cap - b->len > STEAL_SLACK) {
		char *exact = malloc(b->len + 1);
		if (exact) {
			memcpy(exact, b->data, b->len + 1);
			buf_deinit(b);
			return exact;
		}
	}
	char *s = b->data;
	*b = (struct buf){0};
	return s;
}
