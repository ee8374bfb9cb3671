#include "wire/sigv4.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>

#include "wire/hex.h"

#define ALGORITHM "AWS4-HMAC-SHA256"

/* More than any request of ours has; bounds the arrays on the stack. */
#define HEADERS_MAX 32
#define QUERY_MAX 32

void sigv4_format_date(int64_t time_s, char out[static SIGV4_DATE_SIZE])
{
	time_t t = (time_t)time_s;
	struct tm tm;

	if (!gmtime_r(&t, &tm) || tm.tm_year + 1900 > 9999 || tm.tm_year + 1900 < 0 ||
	    strftime(out, SIGV4_DATE_SIZE, "%Y%m%dT%H%M%SZ", &tm) == 0)
		memcpy(out, "19700101T000000Z", SIGV4_DATE_SIZE);
}

static void put_hex(struct buf *out, const unsigned char *data, size_t len)
{
	for (size_t i = 0; i < len; i++)
		buf_printf(out, "%02x", data[i]);
}

static void put_hash(struct buf *out, const void *data, size_t len)
{
	unsigned char digest[SHA256_DIGEST_LENGTH];

	/* A NULL pointer for "nothing" is fine for us, but not for memcpy() in there. */
	SHA256(len > 0 ? data : (const unsigned char *)"", len, digest);
	put_hex(out, digest, sizeof(digest));
}

/* RFC 3986's unreserved characters stay, everything else becomes %XX in upper case. `keep` names
 * one more character that stays, or is NUL. */
static void put_encoded(struct buf *out, const char *text, size_t len, char keep)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];
		bool unreserved = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
				  (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.' ||
				  c == '~';
		if (unreserved || (keep && c == (unsigned char)keep))
			buf_put(out, &text[i], 1);
		else
			buf_printf(out, "%%%02X", c);
	}
}

/* Drop the last segment of what has been put: "/a/b" becomes "/a". */
static void drop_segment(struct buf *path)
{
	while (path->len > 0 && path->data[--path->len] != '/')
		;
	if (path->data)
		path->data[path->len] = '\0';
}

/* Remove dot segments and empty segments (RFC 3986 section 5.2.4), keep a trailing slash, and
 * encode once more what is already encoded as sent. */
static void put_path(struct buf *out, const char *path)
{
	_cleanup_buf_ struct buf normal = {0};
	bool trailing = true; /* as "/" and "/a/." have */

	for (const char *p = path; *p;) {
		size_t len = strcspn(p, "/");
		if (len == 2 && strncmp(p, "..", 2) == 0) {
			drop_segment(&normal);
			trailing = true;
		} else if (len == 0 || (len == 1 && *p == '.')) {
			trailing = true;
		} else {
			buf_puts(&normal, "/");
			buf_put(&normal, p, len);
			trailing = false;
		}
		p += len;
		if (*p == '/') {
			p++;
			trailing = true;
		}
	}
	if (trailing)
		buf_puts(&normal, "/");
	if (!buf_ok(&normal)) {
		out->failed = true;
		return;
	}
	put_encoded(out, normal.data, normal.len, '/');
}

/* Decode %XX, encode again: however the query was written, there is one canonical form. */
static char *canonical_part(const char *text, size_t len)
{
	_cleanup_buf_ struct buf decoded = {0}, encoded = {0};

	for (size_t i = 0; i < len; i++) {
		char c = text[i];
		if (c == '%' && i + 2 < len && hex_digit(text[i + 1]) >= 0 &&
		    hex_digit(text[i + 2]) >= 0) {
			c = (char)(hex_digit(text[i + 1]) * 16 + hex_digit(text[i + 2]));
			i += 2;
		}
		buf_put(&decoded, &c, 1);
	}
	if (!buf_ok(&decoded))
		return NULL;
	put_encoded(&encoded, decoded.data ? decoded.data : "", decoded.len, '\0');
	return buf_steal(&encoded);
}

struct query_part {
	char *name, *value;
};

static int compare_query(const void *a, const void *b)
{
	const struct query_part *pa = a, *pb = b;
	int r = strcmp(pa->name, pb->name);
	return r != 0 ? r : strcmp(pa->value, pb->value);
}

/* Fills parts[] until the query ends; on failure what is filled is still the caller's to free. */
static int split_query(const char *query, struct query_part *parts, size_t *n)
{
	for (const char *p = query; *p;) {
		size_t len = strcspn(p, "&");
		size_t name_len = strcspn(p, "=&");
		if (len > 0) {
			if (*n == QUERY_MAX)
				return -EINVAL;
			struct query_part *part = &parts[(*n)++];
			size_t skip = name_len < len ? name_len + 1 : len;
			part->name = canonical_part(p, name_len);
			part->value = canonical_part(p + skip, len - skip);
			if (!part->name || !part->value)
				return -ENOMEM;
		}
		p += len;
		if (*p == '&')
			p++;
	}
	return 0;
}

static int put_query(struct buf *out, const char *query)
{
	struct query_part parts[QUERY_MAX] = {0};
	size_t n = 0;

	int r = split_query(query, parts, &n);
	if (r == 0)
		qsort(parts, n, sizeof(parts[0]), compare_query);
	for (size_t i = 0; i < n; i++) {
		if (r == 0)
			buf_printf(out, "%s%s=%s", i > 0 ? "&" : "", parts[i].name, parts[i].value);
		secret_free(parts[i].name);
		secret_free(parts[i].value);
	}
	return r;
}

/* Whitespace at the ends goes; runs of it, line folds included, become one space. */
static void put_header_value(struct buf *out, const char *value)
{
	bool first = true;

	for (const char *p = value; *p;) {
		size_t skip = strspn(p, " \t\r\n");
		p += skip;
		size_t len = strcspn(p, " \t\r\n");
		if (len > 0) {
			if (!first)
				buf_puts(out, " ");
			buf_put(out, p, len);
			first = false;
		}
		p += len;
	}
}

static void put_lower(struct buf *out, const char *name)
{
	for (; *name; name++) {
		char c = (char)tolower((unsigned char)*name);
		buf_put(out, &c, 1);
	}
}

/* Stable insertion sort by name: values of a repeated header keep their order. */
static void sort_headers(const struct sigv4_header **sorted, size_t n)
{
	for (size_t i = 1; i < n; i++) {
		const struct sigv4_header *h = sorted[i];
		size_t j = i;
		for (; j > 0 && strcasecmp(sorted[j - 1]->name, h->name) > 0; j--)
			sorted[j] = sorted[j - 1];
		sorted[j] = h;
	}
}

static int put_headers(const struct sigv4_request *request, struct buf *out, struct buf *names)
{
	const struct sigv4_header *sorted[HEADERS_MAX];
	bool has_host = false;

	if (request->n_headers > HEADERS_MAX)
		return -EINVAL;
	for (size_t i = 0; i < request->n_headers; i++) {
		const char *name = request->headers[i].name;
		if (!*name || name[strcspn(name, " \t\r\n:;")])
			return -EINVAL;
		has_host = has_host || strcasecmp(name, "host") == 0;
		sorted[i] = &request->headers[i];
	}
	if (!has_host)
		return -EINVAL;
	sort_headers(sorted, request->n_headers);

	for (size_t i = 0; i < request->n_headers; i++) {
		if (i > 0 && strcasecmp(sorted[i]->name, sorted[i - 1]->name) == 0) {
			buf_puts(out, ",");
		} else {
			if (i > 0) {
				buf_puts(out, "\n");
				buf_puts(names, ";");
			}
			put_lower(out, sorted[i]->name);
			put_lower(names, sorted[i]->name);
			buf_puts(out, ":");
		}
		put_header_value(out, sorted[i]->value);
	}
	buf_puts(out, "\n");
	return 0;
}

int sigv4_canonical_request(const struct sigv4_request *request, struct buf *out,
			    struct buf *ret_signed_headers)
{
	_cleanup_buf_ struct buf names = {0};

	if (request->path[0] != '/')
		return -EINVAL;
	buf_printf(out, "%s\n", request->method);
	put_path(out, request->path);
	buf_puts(out, "\n");
	int r = put_query(out, request->query);
	if (r < 0)
		return r;
	buf_puts(out, "\n");
	r = put_headers(request, out, &names);
	if (r < 0)
		return r;
	if (!buf_ok(&names))
		return -ENOMEM;
	buf_printf(out, "\n%s\n", names.data);
	put_hash(out, request->body, request->body_len);
	buf_put(ret_signed_headers, names.data, names.len);
	return buf_ok(out) && buf_ok(ret_signed_headers) ? 0 : -ENOMEM;
}

/* "20150830/us-east-1/iam/aws4_request" */
static void put_scope(struct buf *out, const struct sigv4_scope *scope)
{
	char date[SIGV4_DATE_SIZE];

	sigv4_format_date(scope->time_s, date);
	buf_printf(out, "%.8s/%s/%s/aws4_request", date, scope->region, scope->service);
}

int sigv4_string_to_sign(const struct buf *canonical_request, const struct sigv4_scope *scope,
			 struct buf *out)
{
	char date[SIGV4_DATE_SIZE];

	sigv4_format_date(scope->time_s, date);
	buf_printf(out, ALGORITHM "\n%s\n", date);
	put_scope(out, scope);
	buf_puts(out, "\n");
	put_hash(out, canonical_request->data, canonical_request->len);
	return buf_ok(out) ? 0 : -ENOMEM;
}

/* key = HMAC(key, text); `len` is the length of the key going in. */
static int hmac_step(unsigned char key[static SHA256_DIGEST_LENGTH], const void *with, size_t len,
		     const char *text, size_t text_len)
{
	unsigned char result[SHA256_DIGEST_LENGTH];
	unsigned n = sizeof(result);

	if (len > INT_MAX ||
	    !HMAC(EVP_sha256(), with, (int)len, (const unsigned char *)text, text_len, result, &n))
		return -ENOMEM;
	memcpy(key, result, sizeof(result));
	explicit_bzero(result, sizeof(result));
	return 0;
}

static int sign(const struct sigv4_scope *scope, const struct buf *string_to_sign,
		unsigned char signature[static SHA256_DIGEST_LENGTH])
{
	_cleanup_buf_ struct buf secret = {0};
	char date[SIGV4_DATE_SIZE];
	const char *steps[] = {scope->region, scope->service, "aws4_request"};

	sigv4_format_date(scope->time_s, date);
	buf_printf(&secret, "AWS4%s", scope->secret_access_key);
	if (!buf_ok(&secret))
		return -ENOMEM;
	int r = hmac_step(signature, secret.data, secret.len, date, 8);
	for (size_t i = 0; r == 0 && i < sizeof(steps) / sizeof(steps[0]); i++)
		r = hmac_step(signature, signature, SHA256_DIGEST_LENGTH, steps[i],
			      strlen(steps[i]));
	if (r == 0)
		r = hmac_step(signature, signature, SHA256_DIGEST_LENGTH, string_to_sign->data,
			      string_to_sign->len);
	return r;
}

int sigv4_authorization(const struct sigv4_request *request, const struct sigv4_scope *scope,
			struct buf *out)
{
	_cleanup_buf_ struct buf canonical = {0}, names = {0}, string_to_sign = {0};
	unsigned char signature[SHA256_DIGEST_LENGTH];

	int r = sigv4_canonical_request(request, &canonical, &names);
	if (r == 0)
		r = sigv4_string_to_sign(&canonical, scope, &string_to_sign);
	if (r == 0)
		r = sign(scope, &string_to_sign, signature);
	if (r == 0) {
		buf_printf(out, ALGORITHM " Credential=%s/", scope->access_key_id);
		put_scope(out, scope);
		buf_printf(out, ", SignedHeaders=%s, Signature=", names.data);
		put_hex(out, signature, sizeof(signature));
	}
	/* Until its last step, this held the key that signs for the whole day. */
	explicit_bzero(signature, sizeof(signature));
	if (r < 0)
		return r;
	return buf_ok(out) ? 0 : -ENOMEM;
}
