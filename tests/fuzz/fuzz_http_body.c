/* A request's body on the control API: whole or in two pieces it comes to the same, never to more
 * than may be, and what is taken is never more than there was. The first byte says where the cut
 * is and whether the body is chunked. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "wire/http_body.h"

#define MAX 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	if (len == 0)
		return 0;
	const struct http_request request = {.chunked = data[0] & 1,
					     .content_length = data[0] & 1 ? 0 : data[0] / 2};
	const char *text = (const char *)data + 1;
	size_t cut = data[0] / 2, used = 0, first = 0, second = 0;
	_cleanup_buf_ struct buf whole = {0}, parts = {0};
	struct http_body body;
	int status = 0, parts_status = 0;

	len--;
	if (http_body_start(&request, MAX, &body) != 0) {
		assert(request.content_length > MAX);
		return 0;
	}
	enum http_parse r = http_body_feed(&body, text, len, &used, &whole, &status);
	assert(used <= len && whole.len <= MAX && whole.len <= used);
	assert(r != HTTP_PARSE_BAD || status == 400 || status == 413);

	if (cut > len)
		cut = len;
	(void)http_body_start(&request, MAX, &body);
	enum http_parse s = http_body_feed(&body, text, cut, &first, &parts, &parts_status);
	if (s == HTTP_PARSE_PARTIAL)
		s = http_body_feed(&body, text + first, len - first, &second, &parts,
				   &parts_status);
	assert(s == r && parts_status == status);
	assert(r == HTTP_PARSE_BAD ||
	       (first + second == used && parts.len == whole.len &&
		(whole.len == 0 || memcmp(parts.data, whole.data, whole.len) == 0)));
	return 0;
}
