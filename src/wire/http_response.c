#include "wire/http_response.h"

#include <string.h>

#include "util/clock.h"

/* EC2's error pages; the 404 is byte for byte what the service sends. */
#define PAGE(text)                                                                                 \
	"<?xml version=\"1.0\" encoding=\"iso-8859-1\"?>\n"                                        \
	"<!DOCTYPE html PUBLIC \"-//W3C//DTD XHTML 1.0 Transitional//EN\"\n"                       \
	"\t\t \"http://www.w3.org/TR/xhtml1/DTD/xhtml1-transitional.dtd\">\n"                      \
	"<html xmlns=\"http://www.w3.org/1999/xhtml\" xml:lang=\"en\" lang=\"en\">\n"              \
	" <head>\n"                                                                                \
	"  <title>" text "</title>\n"                                                              \
	" </head>\n"                                                                               \
	" <body>\n"                                                                                \
	"  <h1>" text "</h1>\n"                                                                    \
	" </body>\n"                                                                               \
	"</html>\n"

struct status {
	int code;
	const char *line; /* status line with its CRLF */
	const char *page;
};

static const struct status statuses[] = {
	{200, "HTTP/1.1 200 OK\r\n", ""},
	{400, "HTTP/1.1 400 Bad Request\r\n", PAGE("400 - Bad Request")},
	{401, "HTTP/1.1 401 Unauthorized\r\n", PAGE("401 - Unauthorized")},
	{403, "HTTP/1.1 403 Forbidden\r\n", PAGE("403 - Forbidden")},
	{404, "HTTP/1.1 404 Not Found\r\n", PAGE("404 - Not Found")},
	{405, "HTTP/1.1 405 Not Allowed\r\n", ""},
	{408, "HTTP/1.1 408 Request Timeout\r\n", PAGE("408 - Request Timeout")},
	{413, "HTTP/1.1 413 Content Too Large\r\n", PAGE("413 - Content Too Large")},
	{414, "HTTP/1.1 414 URI Too Long\r\n", PAGE("414 - URI Too Long")},
	{417, "HTTP/1.1 417 Expectation Failed\r\n", PAGE("417 - Expectation Failed")},
	{429, "HTTP/1.1 429 Too Many Requests\r\n", PAGE("429 - Too Many Requests")},
	{431, "HTTP/1.1 431 Request Header Fields Too Large\r\n",
	 PAGE("431 - Request Header Fields Too Large")},
	{501, "HTTP/1.1 501 Not Implemented\r\n", PAGE("501 - Not Implemented")},
	{503, "HTTP/1.1 503 Service Unavailable\r\n", PAGE("503 - Service Unavailable")},
	{505, "HTTP/1.1 505 HTTP Version Not Supported\r\n",
	 PAGE("505 - HTTP Version Not Supported")},
	{500, "HTTP/1.1 500 Internal Server Error\r\n", PAGE("500 - Internal Server Error")},
};

static const struct status *find_status(int code)
{
	size_t n = sizeof(statuses) / sizeof(statuses[0]);

	for (size_t i = 0; i < n; i++)
		if (statuses[i].code == code)
			return &statuses[i];
	return &statuses[n - 1]; /* a status without a row is our own mistake: 500 */
}

/* Room for every header at its longest; the content type and Allow are ours and short. */
#define HEADERS_MAX 768

static char *add_number(char *to, uint64_t n)
{
	char digits[20];
	size_t len = 0;

	do {
		digits[len++] = (char)('0' + n % 10);
		n /= 10;
	} while (n);
	while (len)
		*to++ = digits[--len];
	return to;
}

void http_response_print(const struct http_response *r, const char *date, struct buf *out)
{
	char *begin = buf_reserve(out, HEADERS_MAX + r->body_len);
	if (!begin)
		return;

	char *to = stpcpy(begin, find_status(r->status)->line);
	if (r->token_ttl_s >= 0) {
		to = stpcpy(to, "X-Aws-Ec2-Metadata-Token-Ttl-Seconds: ");
		to = add_number(to, (uint64_t)r->token_ttl_s);
		to = stpcpy(to, "\r\n");
	}
	if (r->content_type) {
		to = stpcpy(to, "Content-Type: ");
		to = stpcpy(to, r->content_type);
		to = stpcpy(to, "\r\n");
	}
	to = stpcpy(to, "Accept-Ranges: none\r\n");
	if (r->modified_s) {
		char modified[CLOCK_HTTP_DATE_SIZE];
		clock_format_http_date(r->modified_s, modified);
		to = stpcpy(to, "Last-Modified: ");
		to = stpcpy(to, modified);
		to = stpcpy(to, "\r\n");
	}
	if (r->allow) {
		to = stpcpy(to, "Allow: ");
		to = stpcpy(to, r->allow);
		to = stpcpy(to, "\r\n");
	}
	if (r->retry_after_s) {
		to = stpcpy(to, "Retry-After: ");
		to = add_number(to, r->retry_after_s);
		to = stpcpy(to, "\r\n");
	}
	to = stpcpy(to, "Content-Length: ");
	to = add_number(to, r->body_len);
	to = stpcpy(to, "\r\nDate: ");
	to = stpcpy(to, date);
	to = stpcpy(to, "\r\nServer: EC2ws\r\n");
	if (r->close)
		to = stpcpy(to, "Connection: close\r\n");
	else if (r->keep_alive)
		to = stpcpy(to, "Connection: keep-alive\r\n");
	to = stpcpy(to, "\r\n");
	if (!r->head && r->body_len > 0) {
		memcpy(to, r->body, r->body_len);
		to += r->body_len;
	}
	*to = '\0';
	out->len += (size_t)(to - begin);
}

struct http_response http_response_error(int status)
{
	struct http_response r = HTTP_RESPONSE(status);
	const char *page = find_status(status)->page;

	r.content_type = page[0] ? HTTP_TYPE_HTML : HTTP_TYPE_TEXT;
	r.body = page;
	r.body_len = strlen(page);
	return r;
}

struct http_response http_response_not_found(void)
{
	return http_response_error(404);
}
