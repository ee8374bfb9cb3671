/* http_reply: a strict HTTP/1.1 response parser, fed bytes as they come. No sockets.
 *
 * Source: RFC 9112. For our own control API: Content-Length, chunked and close-delimited bodies,
 * interim (1xx) responses skipped. Whatever is out of the ordinary is an error, not a guess:
 * whoever stands behind the socket may be half-broken, and the reader may run as root.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/buf.h"
#include "util/diag.h"

#define HTTP_REPLY_LINE_MAX 4096  /* bytes of one line of the head, or of a chunk's size */
#define HTTP_REPLY_HEADERS_MAX 64 /* header fields, and as many trailer fields */
#define HTTP_REPLY_INTERIM_MAX 8  /* 1xx responses before the final one */

enum http_reply_state {
	HTTP_REPLY_STATUS_LINE,
	HTTP_REPLY_HEADERS,
	HTTP_REPLY_LENGTH, /* `left` body bytes follow */
	HTTP_REPLY_CHUNK_SIZE,
	HTTP_REPLY_CHUNK,     /* `left` bytes of a chunk follow */
	HTTP_REPLY_CHUNK_END, /* the CRLF after a chunk */
	HTTP_REPLY_TRAILERS,
	HTTP_REPLY_UNTIL_CLOSE,
	HTTP_REPLY_DONE,
};

/* Zeroed (`= {0}`) it is ready for the first byte. It owns nothing. */
struct http_reply {
	enum http_reply_state state;
	int status;
	bool has_length, chunked;
	uint64_t left;
	unsigned headers, interim;
	size_t line_len;
	char line[HTTP_REPLY_LINE_MAX];
};

/* http_reply_feed(reply, data, len, body, body_max, diag): take all `len` bytes; body bytes are
 * appended to `body`. 1 when the reply is complete (bytes after its end are an error: one reply a
 * connection), 0 when more is needed, -EBADMSG when it is malformed, -EMSGSIZE when `body` would
 * come to hold more than `body_max`, -ENOMEM. After an error the reply is of no further use. */
int http_reply_feed(struct http_reply *reply, const char *data, size_t len, struct buf *body,
		    size_t body_max, struct diag *diag);

/* http_reply_end(reply, diag): the peer closed. 0 if the reply is complete, or -EBADMSG. */
int http_reply_end(struct http_reply *reply, struct diag *diag);

/* http_reply_has_head(reply): status and headers are in: what follows is the body. */
static inline bool http_reply_has_head(const struct http_reply *reply)
{
	return reply->state > HTTP_REPLY_HEADERS;
}
