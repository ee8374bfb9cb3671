/* http_request: bytes as they come from a container. The first byte says in which pieces they come;
 * however they do, the outcome is that of the whole, and what is accepted keeps the promises of
 * http_request.h. */
#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "wire/http_request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

struct outcome {
	enum http_parse parsed;
	int status;
	struct http_request request;
};

/* A copy of just that size, so that a sanitizer sees a read past its end. Slices are not followed
 * after it is gone: only compared by their distance from its beginning. */
static struct outcome parse(const char *data, size_t len, size_t from, char **ret_copy)
{
	struct outcome o = {0};

	*ret_copy = malloc(len + (len == 0));
	assert(*ret_copy);
	memcpy(*ret_copy, data, len);
	o.parsed = http_request_parse(*ret_copy, len, from, &o.request, &o.status);
	return o;
}

static bool same_slice(struct http_slice a, const char *a_base, struct http_slice b,
		       const char *b_base)
{
	if (!a.at || !b.at)
		return !a.at && !b.at;
	/* "/" for an absolute-form target without a path lies in neither. */
	if (a.len == b.len && memcmp(a.at, b.at, a.len) == 0 && *a.at == '/' && a.len == 1)
		return true;
	return a.len == b.len && a.at - a_base == b.at - b_base;
}

static void check_same(const struct outcome *a, const char *a_base, const struct outcome *b,
		       const char *b_base)
{
	const struct http_request *x = &a->request, *y = &b->request;

	assert(a->parsed == b->parsed && a->status == b->status);
	if (a->parsed != HTTP_PARSE_DONE)
		return;
	assert(x->method == y->method && x->minor == y->minor && x->head_len == y->head_len);
	assert(x->content_length == y->content_length && x->chunked == y->chunked);
	assert(x->keep_alive == y->keep_alive && x->expect_continue == y->expect_continue);
	assert(x->forwarded == y->forwarded && x->token_repeated == y->token_repeated);
	assert(x->ttl_repeated == y->ttl_repeated);
	assert(x->authorization_repeated == y->authorization_repeated);
	assert(same_slice(x->target, a_base, y->target, b_base));
	assert(same_slice(x->authority, a_base, y->authority, b_base));
	assert(same_slice(x->host, a_base, y->host, b_base));
	assert(same_slice(x->token, a_base, y->token, b_base));
	assert(same_slice(x->ttl, a_base, y->ttl, b_base));
	assert(same_slice(x->authorization, a_base, y->authorization, b_base));
}

static void check_value(struct http_slice s, const char *base, size_t head_len)
{
	if (!s.at)
		return;
	assert(s.at >= base && s.at + s.len <= base + head_len);
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.at[i];
		assert((c >= 0x20 || c == '\t') && c != 0x7f);
	}
	assert(s.len == 0 || (s.at[0] != ' ' && s.at[s.len - 1] != ' '));
}

static void check_accepted(const struct http_request *r, const char *base, size_t len)
{
	assert(r->head_len <= len && r->head_len <= HTTP_HEAD_MAX && r->minor <= 1);
	assert(memcmp(base + r->head_len - 4, "\r\n\r\n", 4) == 0);
	assert(r->target.len > 0 && r->target.len <= HTTP_TARGET_MAX && r->target.at[0] == '/');
	for (size_t i = 0; i < r->target.len; i++)
		assert((unsigned char)r->target.at[i] > 0x20 && r->target.at[i] != 0x7f &&
		       r->target.at[i] != '#');
	assert(!r->chunked || (r->content_length == 0 && r->minor == 1));
	assert(r->minor == 0 || r->host.at);
	assert(!r->authority.at ||
	       (r->authority.len > 0 && !memchr(r->authority.at, '/', r->authority.len)));
	check_value(r->host, base, r->head_len);
	check_value(r->authority, base, r->head_len);
	check_value(r->token, base, r->head_len);
	check_value(r->ttl, base, r->head_len);
	check_value(r->authorization, base, r->head_len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char *whole_copy, *piece_copy = NULL;

	if (len < 2)
		return 0;
	size_t step = data[0] + 1 > (int)(len / 64) ? data[0] + 1u : len / 64;
	const char *text = (const char *)data + 1;
	len--;

	struct outcome whole = parse(text, len, 0, &whole_copy), piece;
	if (whole.parsed == HTTP_PARSE_BAD)
		assert(whole.status == 400 || whole.status == 414 || whole.status == 417 ||
		       whole.status == 431 || whole.status == 501 || whole.status == 505);
	if (whole.parsed == HTTP_PARSE_DONE)
		check_accepted(&whole.request, whole_copy, len);
	for (size_t seen = 0, n = 0;; seen = n) {
		n = len - n < step ? len : n + step;
		free(piece_copy);
		piece = parse(text, n, seen, &piece_copy);
		if (piece.parsed != HTTP_PARSE_PARTIAL || n == len)
			break;
	}
	check_same(&whole, whole_copy, &piece, piece_copy);
	free(whole_copy);
	free(piece_copy);
	return 0;
}
