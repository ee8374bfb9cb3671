/* http_body: the body of an HTTP/1.1 request, fed bytes as they come. No sockets.
 *
 * Source: RFC 9112 sections 6 and 7, taken strictly like the head (see http_request): of chunked
 * bodies no extensions and no trailers, which no client of ours sends.
 */
#pragma once

#include "util/buf.h"
#include "wire/http_request.h"

enum http_body_state {
	HTTP_BODY_LENGTH, /* `left` bytes follow, and that is all */
	HTTP_BODY_CHUNK_SIZE,
	HTTP_BODY_CHUNK,     /* `left` bytes of a chunk follow */
	HTTP_BODY_CHUNK_END, /* the CRLF after a chunk */
	HTTP_BODY_LAST,	     /* the CRLF after the last chunk's size */
	HTTP_BODY_DONE,
};

struct http_body {
	enum http_body_state state;
	uint64_t left;
	size_t max;
};

/* http_body_start(request, max, ret): get ready for the body of `request`, of at most `max` bytes.
 * 0, or the HTTP status (413) with which to refuse it. */
int http_body_start(const struct http_request *request, size_t max, struct http_body *ret);

/* http_body_feed(body, data, len, ret_used, out, ret_status): take what belongs to the body from
 * the beginning of `data` (`ret_used` bytes; the rest must be given again, with more), appending
 * its content to `out`. ret_status is set for HTTP_PARSE_BAD: 400 or 413. */
enum http_parse http_body_feed(struct http_body *body, const char *data, size_t len,
			       size_t *ret_used, struct buf *out, int *ret_status);
