/* sigv4: AWS Signature Version 4 for one header-signed request.
 *
 * Source:
 * https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "util/buf.h"

struct sigv4_header {
	const char *name;  /* any case */
	const char *value; /* trimmed and folded as the specification says */
};

struct sigv4_request {
	const char *method; /* "POST" */
	const char *path;   /* absolute, as sent; normalised here unless the service is S3 */
	const char *query;  /* without '?', or "" */
	const struct sigv4_header *headers; /* all are signed; must hold host; x-amz-date and
					     * x-amz-security-token are not added here */
	size_t n_headers;
	const void *body;
	size_t body_len;
};

struct sigv4_scope {
	const char *access_key_id;
	const char *secret_access_key;
	const char *region;
	const char *service; /* "sts" */
	int64_t time_s;	     /* seconds since the epoch; x-amz-date must say the same */
};

#define SIGV4_DATE_SIZE sizeof("20260101T000000Z")
void sigv4_format_date(int64_t time_s, char out[static SIGV4_DATE_SIZE]);

/* The three steps, apart for the test vectors. Each appends to `out`. 0, -EINVAL or -ENOMEM. */
int sigv4_canonical_request(const struct sigv4_request *request, struct buf *out,
			    struct buf *ret_signed_headers);
int sigv4_string_to_sign(const struct buf *canonical_request, const struct sigv4_scope *scope,
			 struct buf *out);

/* sigv4_authorization(request, scope, out): the value of the Authorization header. Key material
 * derived on the way is wiped. */
int sigv4_authorization(const struct sigv4_request *request, const struct sigv4_scope *scope,
			struct buf *out);
