#include "wire/http_reply.h"

#include <string.h>
#include <strings.h>

static int bad(struct diag *diag, const char *what)
{
	return diag_fail(EBADMSG, diag, NULL, "the answer is no proper HTTP: %s", what);
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* HTTP-version SP 3DIGIT SP [reason]; the last SP may be missing, as many servers have it. */
static int parse_status_line(struct http_reply *reply, struct diag *diag)
{
	const char *s = reply->line;

	if (reply->line_len < 12 || memcmp(s, "HTTP/1.", 7) != 0 || (s[7] != '0' && s[7] != '1') ||
	    s[8] != ' ')
		return bad(diag, "its first line is no HTTP/1.1 status line");
	if (!is_digit(s[9]) || !is_digit(s[10]) || !is_digit(s[11]) ||
	    (s[12] != ' ' && s[12] != '\0'))
		return bad(diag, "its status is no three-digit number");
	reply->status = (s[9] - '0') * 100 + (s[10] - '0') * 10 + (s[11] - '0');
	if (reply->status < 100 || reply->status > 599)
		return bad(diag, "its status is not from 100 to 599");
	if (reply->status == 101)
		return bad(diag, "it switches protocols unasked");
	reply->has_length = false;
	reply->chunked = false;
	reply->left = 0;
	reply->headers = 0;
	reply->state = HTTP_REPLY_HEADERS;
	return 0;
}

static int parse_content_length(struct http_reply *reply, const char *value, struct diag *diag)
{
	uint64_t n = 0;
	size_t digits = 0;

	/* 18 digits cannot overflow, and nothing that long is ever true. */
	for (; is_digit(value[digits]) && digits < 18; digits++)
		n = n * 10 + (uint64_t)(value[digits] - '0');
	if (digits == 0 || value[digits] != '\0')
		return bad(diag, "its Content-Length is no number");
	if (reply->has_length && reply->left != n)
		return bad(diag, "it has two different Content-Lengths");
	reply->has_length = true;
	reply->left = n;
	return 0;
}

/* Split "Name: value" in place, and take what concerns framing. */
static int parse_header(struct http_reply *reply, struct diag *diag)
{
	char *name = reply->line;
	char *colon = memchr(name, ':', reply->line_len);

	if (++reply->headers > HTTP_REPLY_HEADERS_MAX)
		return bad(diag, "it has more than 64 headers");
	if (!colon || colon == name)
		return bad(diag, "a header line has no name");
	*colon = '\0';
	if (strpbrk(name, " \t"))
		return bad(diag, "a header name holds a space, or its line is folded");
	char *value = colon + 1;
	value += strspn(value, " \t");
	size_t n = strlen(value);
	while (n > 0 && (value[n - 1] == ' ' || value[n - 1] == '\t'))
		value[--n] = '\0';
	if (strcasecmp(name, "Content-Length") == 0)
		return parse_content_length(reply, value, diag);
	if (strcasecmp(name, "Transfer-Encoding") == 0) {
		if (reply->chunked || strcasecmp(value, "chunked") != 0)
			return bad(diag, "its Transfer-Encoding is not chunked");
		reply->chunked = true;
	}
	return 0;
}

/* The empty line after the headers: which kind of body follows (RFC 9112 section 6.3). */
static int end_of_headers(struct http_reply *reply, struct diag *diag)
{
	if (reply->has_length && reply->chunked)
		return bad(diag, "it has both Content-Length and Transfer-Encoding");
	if (reply->status < 200) {
		if (++reply->interim > HTTP_REPLY_INTERIM_MAX)
			return bad(diag, "it goes on with interim responses for ever");
		reply->state = HTTP_REPLY_STATUS_LINE;
	} else if (reply->status == 204 || reply->status == 304 ||
		   (reply->has_length && reply->left == 0)) {
		reply->state = HTTP_REPLY_DONE;
	} else if (reply->chunked) {
		reply->state = HTTP_REPLY_CHUNK_SIZE;
	} else {
		reply->state = reply->has_length ? HTTP_REPLY_LENGTH : HTTP_REPLY_UNTIL_CLOSE;
	}
	return 0;
}

static int parse_chunk_size(struct http_reply *reply, struct diag *diag)
{
	static const char hex[] = "0123456789abcdef0123456789ABCDEF";
	const char *s = reply->line;
	uint64_t n = 0;
	size_t digits = 0;

	for (; s[digits] && digits < 15; digits++) {
		const char *digit = strchr(hex, s[digits]);
		if (!digit)
			break;
		n = n * 16 + (uint64_t)((digit - hex) % 16);
	}
	/* Extensions are allowed for, and ignored. */
	if (digits == 0 || (s[digits] != '\0' && s[digits] != ';' && s[digits] != ' '))
		return bad(diag, "a chunk's size is no hexadecimal number");
	reply->left = n;
	reply->headers = 0;
	reply->state = n > 0 ? HTTP_REPLY_CHUNK : HTTP_REPLY_TRAILERS;
	return 0;
}

/* One whole line, NUL-terminated and without its CRLF, is in reply->line. */
static int take_line(struct http_reply *reply, struct diag *diag)
{
	switch (reply->state) {
	case HTTP_REPLY_STATUS_LINE:
		return parse_status_line(reply, diag);
	case HTTP_REPLY_HEADERS:
		return reply->line_len ? parse_header(reply, diag) : end_of_headers(reply, diag);
	case HTTP_REPLY_CHUNK_SIZE:
		return parse_chunk_size(reply, diag);
	case HTTP_REPLY_CHUNK_END:
		if (reply->line_len > 0)
			return bad(diag, "a chunk is longer than its size says");
		reply->state = HTTP_REPLY_CHUNK_SIZE;
		return 0;
	case HTTP_REPLY_TRAILERS:
		if (reply->line_len == 0)
			reply->state = HTTP_REPLY_DONE;
		else if (++reply->headers > HTTP_REPLY_HEADERS_MAX)
			return bad(diag, "it has more than 64 trailers");
		return 0;
	default:
		return bad(diag, "internal error");
	}
}

/* Collect bytes of a line up to its CRLF; *used of them are taken. */
static int feed_line(struct http_reply *reply, const char *data, size_t len, size_t *used,
		     struct diag *diag)
{
	const char *lf = memchr(data, '\n', len);
	size_t n = lf ? (size_t)(lf - data) + 1 : len;

	if (n >= sizeof(reply->line) - reply->line_len)
		return bad(diag, "a line is longer than 4096 bytes");
	memcpy(reply->line + reply->line_len, data, n);
	reply->line_len += n;
	*used = n;
	if (!lf)
		return 0;
	if (reply->line_len < 2 || reply->line[reply->line_len - 2] != '\r')
		return bad(diag, "a line ends without CR");
	reply->line_len -= 2;
	reply->line[reply->line_len] = '\0';
	for (size_t i = 0; i < reply->line_len; i++)
		if (((unsigned char)reply->line[i] < 0x20 && reply->line[i] != '\t') ||
		    reply->line[i] == 0x7f)
			return bad(diag, "a line holds a control byte");
	int r = take_line(reply, diag);
	reply->line_len = 0;
	return r;
}

static int feed_body(struct http_reply *reply, const char *data, size_t len, size_t *used,
		     struct buf *body, size_t body_max, struct diag *diag)
{
	size_t n = len;

	if (reply->state != HTTP_REPLY_UNTIL_CLOSE && n > reply->left)
		n = (size_t)reply->left;
	if (n > body_max || body->len > body_max - n ||
	    (reply->state == HTTP_REPLY_LENGTH && reply->left > body_max - body->len))
		return diag_fail(EMSGSIZE, diag, NULL, "the answer is larger than %zu bytes",
				 body_max);
	buf_put(body, data, n);
	if (!buf_ok(body))
		return diag_fail(ENOMEM, diag, NULL, "out of memory");
	*used = n;
	if (reply->state == HTTP_REPLY_UNTIL_CLOSE)
		return 0;
	reply->left -= n;
	if (reply->left == 0)
		reply->state =
			reply->state == HTTP_REPLY_LENGTH ? HTTP_REPLY_DONE : HTTP_REPLY_CHUNK_END;
	return 0;
}

int http_reply_feed(struct http_reply *reply, const char *data, size_t len, struct buf *body,
		    size_t body_max, struct diag *diag)
{
	while (len > 0) {
		size_t used = 0;
		int r;

		switch (reply->state) {
		case HTTP_REPLY_LENGTH:
		case HTTP_REPLY_CHUNK:
		case HTTP_REPLY_UNTIL_CLOSE:
			r = feed_body(reply, data, len, &used, body, body_max, diag);
			break;
		case HTTP_REPLY_DONE:
			return bad(diag, "bytes follow its end");
		default:
			r = feed_line(reply, data, len, &used, diag);
			break;
		}
		if (r < 0)
			return r;
		data += used;
		len -= used;
	}
	return reply->state == HTTP_REPLY_DONE;
}

int http_reply_end(struct http_reply *reply, struct diag *diag)
{
	if (reply->state == HTTP_REPLY_UNTIL_CLOSE)
		reply->state = HTTP_REPLY_DONE;
	if (reply->state == HTTP_REPLY_DONE)
		return 0;
	if (reply->state == HTTP_REPLY_STATUS_LINE && reply->line_len == 0)
		return diag_fail(EBADMSG, diag, NULL, "the daemon closed without an answer");
	return diag_fail(EBADMSG, diag, NULL, "the answer is cut: the daemon closed in its middle");
}
