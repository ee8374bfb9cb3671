/* http_reply: any bytes, in one piece and byte by byte, come to the same. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "util/buf.h"
#include "wire/http_reply.h"

#define BODY_MAX 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static int feed(const char *data, size_t len, size_t step, struct http_reply *reply,
		struct buf *body)
{
	struct diag diag = {0};
	int r = 0;

	for (size_t i = 0; i < len && r >= 0; i += step) {
		r = http_reply_feed(reply, data + i, len - i < step ? len - i : step, body,
				    BODY_MAX, &diag);
		assert(r >= 0 || diag.text[0]);
		assert(body->len <= BODY_MAX);
	}
	return r < 0 ? r : http_reply_end(reply, &diag);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct http_reply whole, pieces;
	_cleanup_buf_ struct buf whole_body = {0}, pieces_body = {0};

	whole = pieces = (struct http_reply){0};
	int r = feed((const char *)data, len, len ? len : 1, &whole, &whole_body);
	assert(feed((const char *)data, len, 1, &pieces, &pieces_body) == r);
	if (r == 0) {
		assert(whole.status == pieces.status && whole.status >= 200 && whole.status < 600);
		assert(whole_body.len == pieces_body.len);
		assert(whole_body.len == 0 ||
		       memcmp(whole_body.data, pieces_body.data, whole_body.len) == 0);
	}
	return 0;
}
