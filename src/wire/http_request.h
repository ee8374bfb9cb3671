/* http_request: a strict HTTP/1.x request parser, bytes to struct. No sockets, no allocation.
 *
 * Source: RFC 9110 and RFC 9112, taken strictly: a container's bytes get no benefit of a doubt that
 * request smuggling or header injection could use. Every line ends in CRLF; no folding; no space
 * before a colon; no control bytes; one Host; Content-Length and Transfer-Encoding never together.
 *
 * The parser looks at a whole head at once (it is at most 8 KiB): while the head is incomplete it
 * only searches for its end. All slices point into the caller's buffer.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HTTP_HEAD_MAX 8192   /* bytes of request line and headers */
#define HTTP_HEADERS_MAX 64  /* header fields */
#define HTTP_TARGET_MAX 2048 /* bytes of the request target */

enum http_method {
	HTTP_GET,
	HTTP_HEAD,
	HTTP_PUT,
	HTTP_POST,
	HTTP_DELETE,
	HTTP_OPTIONS,
	HTTP_OTHER_METHOD,
};

struct http_slice {
	const char *at; /* NULL: absent */
	size_t len;
};

struct http_request {
	enum http_method method;
	unsigned minor;		     /* HTTP/1.minor: 0 or 1 */
	struct http_slice target;    /* the origin-form: path and query, begins with '/' */
	struct http_slice authority; /* of an absolute-form target: counts as Host */
	struct http_slice host;
	struct http_slice token; /* X-aws-ec2-metadata-token */
	struct http_slice ttl;	 /* X-aws-ec2-metadata-token-ttl-seconds */
	struct http_slice authorization;
	uint64_t content_length; /* 0 when absent */
	bool chunked;
	bool keep_alive; /* what the client asks for, by version and Connection */
	bool expect_continue;
	bool forwarded; /* X-Forwarded-For is there, even empty */
	bool token_repeated, ttl_repeated, authorization_repeated;
	size_t head_len; /* bytes of the head, its empty line included */
};

enum http_parse {
	HTTP_PARSE_DONE,
	HTTP_PARSE_PARTIAL, /* more bytes are needed */
	HTTP_PARSE_BAD,	    /* answer with *ret_status and close */
};

/* http_request_parse(data, len, from, ret, ret_status): parse the head at `data`. `from` is how
 * many of the bytes an earlier call has already seen (0 at first), so that a slow sender does not
 * make us search the same bytes again and again. ret_status is set for HTTP_PARSE_BAD: 400, 417,
 * 431, 414, 501 or 505. */
enum http_parse http_request_parse(const char *data, size_t len, size_t from,
				   struct http_request *ret, int *ret_status);

/* http_empty_body_parse(data, len, ret_len, ret_status): after the head of a chunked request:
 * accept a chunked body of no content (no extensions, no trailers) and nothing else; a request to
 * the metadata service has no body. 413 for content, 400 for what is malformed. */
enum http_parse http_empty_body_parse(const char *data, size_t len, size_t *ret_len,
				      int *ret_status);

/* http_slice_equals(s, text): byte-wise; http_slice_equals_nocase() ignores ASCII case. */
bool http_slice_equals(struct http_slice s, const char *text);
bool http_slice_equals_nocase(struct http_slice s, const char *text);
