#include "wire/http_body.h"

#include <string.h>

#include "wire/hex.h"

/* "fffffff" CRLF: more digits than any body that is taken can need. */
#define SIZE_LINE_MAX 9

int http_body_start(const struct http_request *request, size_t max, struct http_body *ret)
{
	*ret = (struct http_body){
		.state = request->chunked ? HTTP_BODY_CHUNK_SIZE : HTTP_BODY_LENGTH,
		.left = request->content_length,
		.max = max,
	};
	return request->content_length > max ? 413 : 0;
}

static enum http_parse bad(int *ret_status, int status)
{
	*ret_status = status;
	return HTTP_PARSE_BAD;
}

/* A CRLF. */
static enum http_parse take_line_end(const char *data, size_t len, size_t *used, int *ret_status)
{
	if ((len > 0 && data[0] != '\r') || (len > 1 && data[1] != '\n'))
		return bad(ret_status, 400);
	if (len < 2)
		return HTTP_PARSE_PARTIAL;
	*used += 2;
	return HTTP_PARSE_DONE;
}

static enum http_parse take_chunk_size(struct http_body *body, const char *data, size_t len,
				       size_t *used, size_t have, int *ret_status)
{
	uint64_t size = 0;
	size_t i = 0;

	for (; i < len && hex_digit(data[i]) >= 0; i++) {
		size = size * 16 + (uint64_t)hex_digit(data[i]);
		if (size > body->max - have)
			return bad(ret_status, 413);
		if (i + 2 >= SIZE_LINE_MAX)
			return bad(ret_status, 400); /* zeroes without end */
	}
	if (i == 0 && len > 0)
		return bad(ret_status, 400);
	enum http_parse end = take_line_end(data + i, len - i, used, ret_status);
	if (end != HTTP_PARSE_DONE)
		return end;
	*used += i;
	body->left = size;
	body->state = size > 0 ? HTTP_BODY_CHUNK : HTTP_BODY_LAST;
	return HTTP_PARSE_DONE;
}

static enum http_parse take_content(struct http_body *body, const char *data, size_t len,
				    size_t *used, struct buf *out)
{
	size_t n = len < body->left ? len : (size_t)body->left;

	buf_put(out, data, n);
	body->left -= n;
	*used += n;
	if (body->left > 0)
		return HTTP_PARSE_PARTIAL;
	body->state = body->state == HTTP_BODY_LENGTH ? HTTP_BODY_DONE : HTTP_BODY_CHUNK_END;
	return HTTP_PARSE_DONE;
}

enum http_parse http_body_feed(struct http_body *body, const char *data, size_t len,
			       size_t *ret_used, struct buf *out, int *ret_status)
{
	enum http_parse r = HTTP_PARSE_DONE;
	size_t *used = ret_used;

	*used = 0;
	while (r == HTTP_PARSE_DONE && body->state != HTTP_BODY_DONE) {
		const char *at = data + *used;
		size_t rest = len - *used;
		switch (body->state) {
		case HTTP_BODY_LENGTH:
		case HTTP_BODY_CHUNK:
			r = take_content(body, at, rest, used, out);
			break;
		case HTTP_BODY_CHUNK_SIZE:
			r = take_chunk_size(body, at, rest, used, out->len, ret_status);
			break;
		case HTTP_BODY_CHUNK_END:
			r = take_line_end(at, rest, used, ret_status);
			if (r == HTTP_PARSE_DONE)
				body->state = HTTP_BODY_CHUNK_SIZE;
			break;
		case HTTP_BODY_LAST:
			r = take_line_end(at, rest, used, ret_status);
			if (r == HTTP_PARSE_DONE)
				body->state = HTTP_BODY_DONE;
			break;
		case HTTP_BODY_DONE:
			break;
		}
	}
	return r;
}
