/* http_response: a response of the metadata service, struct to bytes. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/buf.h"

struct http_response {
	int status;
	const char *content_type; /* NULL: no Content-Type */
	const char *body;	  /* not owned; must stay valid until printed */
	size_t body_len;
	const char *allow;	/* Allow header, or NULL */
	int64_t token_ttl_s;	/* X-aws-ec2-metadata-token-ttl-seconds; -1: none */
	int64_t modified_s;	/* Last-Modified; 0: none */
	unsigned retry_after_s; /* 0: none */
	bool credentials; /* the body holds a container's credentials: for metrics and audit */
	bool head;	  /* headers only: the answer to HEAD */
	bool close;	  /* say Connection: close */
	bool keep_alive;  /* say Connection: keep-alive (an HTTP/1.0 client that asked for it) */
};

/* Every response starts from this. */
#define HTTP_RESPONSE(code) ((struct http_response){.status = (code), .token_ttl_s = -1})

#define HTTP_TYPE_TEXT "text/plain"
#define HTTP_TYPE_HTML "text/html"
#define HTTP_TYPE_JSON "application/json"

/* http_response_print(r, date, out): append the response; `date` is an HTTP date. */
void http_response_print(const struct http_response *r, const char *date, struct buf *out);

/* http_response_not_found(): EC2's own 404: XHTML, 339 bytes. */
struct http_response http_response_not_found(void);

/* http_response_error(status): a response whose body is EC2's page for that status. */
struct http_response http_response_error(int status);
