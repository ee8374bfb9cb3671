#include "wire/http_request.h"

#include <string.h>
#include <strings.h>

/* What a byte may be part of, by table: the parser looks at every byte of every request.
 * RFC 9110 section 5.6.2 (tchar) and 5.5 (field-content, with obs-text). */
#define TOKEN 1
#define VALUE 2
#define TARGET 4
/* clang-format off */
static const unsigned char byte_class[256] = {
	0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, /* 0x00 */
	2, 7, 6, 3, 7, 7, 7, 7, 6, 6, 7, 7, 6, 7, 7, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 6, 6, 6, 6, 6, 6, /* 0x20 */
	6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 6, 6, 6, 7, 7, /* 0x40 */
	7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 6, 7, 6, 7, 0, /* 0x60 */
	6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, /* 0x80 */
	6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, /* 0xa0 */
	6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, /* 0xc0 */
	6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, /* 0xe0 */
};
/* clang-format on */

/* Are all bytes of this class? */
static bool is_all(struct http_slice s, unsigned char class)
{
	unsigned char have = class;

	for (size_t i = 0; i < s.len; i++)
		have &= byte_class[(unsigned char)s.at[i]];
	return have == class;
}

bool http_slice_equals(struct http_slice s, const char *text)
{
	return s.at && s.len == strlen(text) && memcmp(s.at, text, s.len) == 0;
}

bool http_slice_equals_nocase(struct http_slice s, const char *text)
{
	return s.at && s.len == strlen(text) && strncasecmp(s.at, text, s.len) == 0;
}

/* The end of the head: the first empty line, whatever its line ends look like; the strict parse
 * then refuses any that is not CRLF. Returns its length or 0. */
static size_t find_head_end(const char *data, size_t len, size_t from)
{
	size_t i = from > 3 ? from - 3 : 0;

	while (i < len) {
		const char *lf = memchr(data + i, '\n', len - i);
		if (!lf)
			return 0;
		size_t next = (size_t)(lf - data) + 1;
		if (next < len && data[next] == '\n')
			return next + 1;
		if (next + 1 < len && data[next] == '\r' && data[next + 1] == '\n')
			return next + 2;
		i = next;
	}
	return 0;
}

static enum http_parse bad(int *ret_status, int status)
{
	*ret_status = status;
	return HTTP_PARSE_BAD;
}

static enum http_method parse_method(struct http_slice s)
{
	static const char *const names[] = {
		[HTTP_GET] = "GET",   [HTTP_HEAD] = "HEAD",	[HTTP_PUT] = "PUT",
		[HTTP_POST] = "POST", [HTTP_DELETE] = "DELETE", [HTTP_OPTIONS] = "OPTIONS",
	};

	for (int i = 0; i < HTTP_OTHER_METHOD; i++)
		if (http_slice_equals(s, names[i]))
			return (enum http_method)i;
	return HTTP_OTHER_METHOD;
}

/* origin-form or absolute-form (RFC 9112 section 3.2); "*" and authority-form serve no one here. */
static int parse_target(struct http_slice s, struct http_request *r)
{
	static const char scheme[] = "http://";

	if (!is_all(s, TARGET))
		return 400;
	if (s.len > HTTP_TARGET_MAX)
		return 414;
	if (s.len > 0 && s.at[0] == '/') {
		r->target = s;
		return 0;
	}
	if (s.len <= sizeof(scheme) - 1 || strncasecmp(s.at, scheme, sizeof(scheme) - 1) != 0)
		return 400;
	const char *authority = s.at + sizeof(scheme) - 1;
	size_t rest = s.len - (sizeof(scheme) - 1);
	const char *path = memchr(authority, '/', rest);
	size_t authority_len = path ? (size_t)(path - authority) : rest;
	if (authority_len == 0 || memchr(authority, '@', authority_len) ||
	    memchr(authority, '?', authority_len))
		return 400;
	r->authority = (struct http_slice){authority, authority_len};
	r->target = path ? (struct http_slice){path, rest - authority_len}
			 : (struct http_slice){"/", 1};
	return 0;
}

/* "METHOD SP target SP HTTP/1.x", exactly. */
static int parse_request_line(const char *line, size_t len, struct http_request *r)
{
	const char *sp1 = memchr(line, ' ', len);
	if (!sp1 || sp1 == line)
		return 400;
	struct http_slice method = {line, (size_t)(sp1 - line)};
	if (!is_all(method, TOKEN))
		return 400;
	const char *target = sp1 + 1;
	const char *sp2 = memchr(target, ' ', len - method.len - 1);
	if (!sp2)
		return 400;
	struct http_slice version = {sp2 + 1, (size_t)(line + len - sp2 - 1)};
	if (http_slice_equals(version, "HTTP/1.1"))
		r->minor = 1;
	else if (http_slice_equals(version, "HTTP/1.0"))
		r->minor = 0;
	else
		return version.len == 8 && memcmp(version.at, "HTTP/", 5) == 0 ? 505 : 400;
	r->method = parse_method(method);
	return parse_target((struct http_slice){target, (size_t)(sp2 - target)}, r);
}

/* Digits only: no sign, no space, no list; small enough never to overflow. */
static int parse_content_length(struct http_slice v, uint64_t *ret)
{
	uint64_t n = 0;

	if (v.len == 0 || v.len > 15)
		return 400;
	for (size_t i = 0; i < v.len; i++) {
		if (v.at[i] < '0' || v.at[i] > '9')
			return 400;
		n = n * 10 + (uint64_t)(v.at[i] - '0');
	}
	*ret = n;
	return 0;
}

/* Connection is a list: look for "close" and "keep-alive" among its members. */
static void parse_connection(struct http_slice v, bool *close, bool *keep_alive)
{
	size_t i = 0;

	while (i < v.len) {
		size_t end = i;
		while (end < v.len && v.at[end] != ',')
			end++;
		struct http_slice item = {v.at + i, end - i};
		while (item.len > 0 && (item.at[0] == ' ' || item.at[0] == '\t'))
			item.at++, item.len--;
		while (item.len > 0 &&
		       (item.at[item.len - 1] == ' ' || item.at[item.len - 1] == '\t'))
			item.len--;
		if (http_slice_equals_nocase(item, "close"))
			*close = true;
		else if (http_slice_equals_nocase(item, "keep-alive"))
			*keep_alive = true;
		i = end + 1;
	}
}

struct head {
	struct http_request *request;
	bool has_length, close, keep_alive;
};

static void take(struct http_slice *to, struct http_slice value, bool *repeated)
{
	if (to->at)
		*repeated = true;
	else
		*to = value;
}

static int take_header(struct head *head, struct http_slice name, struct http_slice value)
{
	struct http_request *r = head->request;

	/* By length first: most headers of most clients are none of ours. */
	switch (name.len) {
	case 4:
		if (http_slice_equals_nocase(name, "host")) {
			if (r->host.at)
				return 400;
			r->host = value;
		}
		return 0;
	case 6:
		if (http_slice_equals_nocase(name, "expect")) {
			if (!http_slice_equals_nocase(value, "100-continue"))
				return 417;
			r->expect_continue = true;
		}
		return 0;
	case 10:
		if (http_slice_equals_nocase(name, "connection"))
			parse_connection(value, &head->close, &head->keep_alive);
		return 0;
	case 13:
		if (http_slice_equals_nocase(name, "authorization"))
			take(&r->authorization, value, &r->authorization_repeated);
		return 0;
	case 14:
		if (http_slice_equals_nocase(name, "content-length")) {
			if (head->has_length)
				return 400;
			head->has_length = true;
			return parse_content_length(value, &r->content_length);
		}
		return 0;
	case 15:
		if (http_slice_equals_nocase(name, "x-forwarded-for"))
			r->forwarded = true;
		return 0;
	case 17:
		if (http_slice_equals_nocase(name, "transfer-encoding")) {
			if (r->chunked || !http_slice_equals_nocase(value, "chunked"))
				return r->chunked ? 400 : 501;
			r->chunked = true;
		}
		return 0;
	case 24:
		if (http_slice_equals_nocase(name, "x-aws-ec2-metadata-token"))
			take(&r->token, value, &r->token_repeated);
		return 0;
	case 36:
		if (http_slice_equals_nocase(name, "x-aws-ec2-metadata-token-ttl-seconds"))
			take(&r->ttl, value, &r->ttl_repeated);
		return 0;
	default:
		return 0;
	}
}

/* field-name ":" OWS field-value OWS (RFC 9112 section 5); obsolete folding is refused because a
 * folded line begins with white space, which is no field name. */
static int parse_header_line(const char *line, size_t len, struct head *head)
{
	const char *colon = memchr(line, ':', len);
	if (!colon || colon == line)
		return 400;
	struct http_slice name = {line, (size_t)(colon - line)};
	struct http_slice value = {colon + 1, len - name.len - 1};
	if (!is_all(name, TOKEN) || !is_all(value, VALUE))
		return 400;
	while (value.len > 0 && (value.at[0] == ' ' || value.at[0] == '\t'))
		value.at++, value.len--;
	while (value.len > 0 && (value.at[value.len - 1] == ' ' || value.at[value.len - 1] == '\t'))
		value.len--;
	return take_header(head, name, value);
}

/* One CRLF-ended line at `data`; its length without the CRLF, or -1 for any other line end. */
static ptrdiff_t line_length(const char *data, size_t len)
{
	const char *lf = memchr(data, '\n', len);

	if (!lf || lf == data || lf[-1] != '\r')
		return -1;
	return lf - data - 1;
}

/* What the head as a whole must obey. */
static int check_head(const struct head *head)
{
	struct http_request *r = head->request;

	if (r->chunked && (head->has_length || r->minor == 0))
		return 400; /* the shapes of request smuggling */
	if (r->minor == 1 && !r->host.at)
		return 400;
	r->keep_alive = !head->close && (r->minor == 1 || head->keep_alive);
	return 0;
}

static int parse_head(const char *data, size_t head_len, struct http_request *r)
{
	struct head head = {.request = r};
	size_t at = 0, headers = 0;
	int status = 0;

	for (;;) {
		ptrdiff_t line = line_length(data + at, head_len - at);
		if (line < 0)
			return 400;
		if (line == 0)
			break;
		if (at == 0)
			status = parse_request_line(data, (size_t)line, r);
		else if (++headers > HTTP_HEADERS_MAX)
			status = 431;
		else
			status = parse_header_line(data + at, (size_t)line, &head);
		if (status)
			return status;
		at += (size_t)line + 2;
	}
	return at == 0 ? 400 : check_head(&head);
}

enum http_parse http_request_parse(const char *data, size_t len, size_t from,
				   struct http_request *ret, int *ret_status)
{
	/* An empty line before a request is tolerated by RFC 9112 section 2.2 only as a robustness
	 * measure; no SDK sends one. */
	if (len > 0 && !(byte_class[(unsigned char)data[0]] & TOKEN))
		return bad(ret_status, 400);

	size_t head_len = find_head_end(data, len < HTTP_HEAD_MAX ? len : HTTP_HEAD_MAX, from);
	if (head_len == 0)
		return len >= HTTP_HEAD_MAX ? bad(ret_status, 431) : HTTP_PARSE_PARTIAL;

	struct http_request request = {.head_len = head_len};
	int status = parse_head(data, head_len, &request);
	if (status)
		return bad(ret_status, status);
	*ret = request;
	return HTTP_PARSE_DONE;
}

enum http_parse http_empty_body_parse(const char *data, size_t len, size_t *ret_len,
				      int *ret_status)
{
	static const char empty[] = "0\r\n\r\n";
	const size_t empty_len = sizeof(empty) - 1;
	size_t n = len < empty_len ? len : empty_len;

	if (n > 0 && data[0] >= '1' && data[0] <= '9')
		return bad(ret_status, 413);
	if (n > 0 && ((data[0] >= 'a' && data[0] <= 'f') || (data[0] >= 'A' && data[0] <= 'F')))
		return bad(ret_status, 413);
	if (memcmp(data, empty, n) != 0)
		return bad(ret_status, 400);
	if (n < empty_len)
		return HTTP_PARSE_PARTIAL;
	*ret_len = empty_len;
	return HTTP_PARSE_DONE;
}
