#include "core/container_credentials.h"

#include <string.h>

#include <openssl/crypto.h>

#include "wire/json_text.h"

#define TYPE_PLAIN "text/plain; charset=utf-8"
#define RETRY_AFTER_S 1

bool container_credentials_path(const char *path)
{
	return strncmp(path, "v1/credentials", 14) == 0 || strncmp(path, "v2/credentials", 14) == 0;
}

static struct http_response scratch_response(int status, const char *type, struct buf *scratch)
{
	struct http_response r = HTTP_RESPONSE(status);

	if (!buf_ok(scratch))
		return http_response_error(500);
	r.content_type = type;
	r.body = scratch->data ? scratch->data : "";
	r.body_len = scratch->len;
	return r;
}

struct http_response container_credentials_error(enum dialect dialect, int status, const char *code,
						 const char *message, struct buf *scratch)
{
	struct http_response r;

	buf_reset(scratch);
	if (dialect == DIALECT_EKS) {
		buf_printf(scratch, "%s\n", message);
		r = scratch_response(status, TYPE_PLAIN, scratch);
	} else {
		buf_puts(scratch, "{\"code\":");
		json_text_quote(code, scratch);
		buf_puts(scratch, ",\"message\":");
		json_text_quote(message, scratch);
		buf_printf(scratch, ",\"HTTPErrorCode\":%d}", status);
		r = scratch_response(status, HTTP_TYPE_JSON, scratch);
	}
	if (status == 503 || status == 429)
		r.retry_after_s = RETRY_AFTER_S;
	return r;
}

void container_credentials_denial(const struct session *s, struct buf *out)
{
	const char *text = session_message(s), *arn;

	while ((arn = strstr(text, "arn:"))) {
		size_t len = strcspn(arn, " \t\r\n\"'`()<>");
		while (len > 4 && strchr(".,:;", arn[len - 1]))
			len--; /* the sentence's, not the name's */
		buf_put(out, text, (size_t)(arn - text));
		if (len == strlen(s->role_arn) && memcmp(arn, s->role_arn, len) == 0)
			buf_put(out, arn, len);
		else
			buf_puts(out, "(withheld)");
		text = arn + len;
	}
	buf_puts(out, text);
}

static struct http_response not_ready(const struct container *c, enum dialect dialect,
				      int64_t now_ms, struct buf *scratch)
{
	const struct session *s = c->session;

	/* What no retry cures is no 5xx: SDKs would go on asking. */
	if (session_state(s, now_ms) == SESSION_DENIED) {
		_cleanup_buf_ struct buf message = {0};
		container_credentials_denial(s, &message);
		return container_credentials_error(dialect, 403, s->last_code,
						   message.data ? message.data : "", scratch);
	}
	return container_credentials_error(dialect, 503, "CredentialsUninitialized",
					   "the credentials are not there yet: try again", scratch);
}

/* Does the secret that the client shows match? Takes the same time wherever they differ. */
static bool matches(const char *shown, size_t len, const char *secret)
{
	return len == strlen(secret) && CRYPTO_memcmp(shown, secret, len) == 0;
}

/* The id in "?id=…"; the query is not decoded: an id needs no escapes. */
static struct http_slice query_id(struct http_slice target)
{
	const char *at = memchr(target.at, '?', target.len);
	const char *end = target.at + target.len;

	while (at && ++at <= end) {
		const char *next = memchr(at, '&', (size_t)(end - at));
		const char *stop = next ? next : end;
		if (stop - at >= 3 && memcmp(at, "id=", 3) == 0)
			return (struct http_slice){at + 3, (size_t)(stop - at) - 3};
		at = next;
	}
	return (struct http_slice){0};
}

static struct http_response answer_ecs(const struct container *c, const char *path,
				       const struct http_request *request, int64_t now_ms,
				       struct buf *scratch)
{
	struct http_slice id = {0};

	if (strcmp(path, "v1/credentials") == 0)
		id = query_id(request->target);
	else if (strncmp(path, "v2/credentials", 14) == 0 && path[14] == '/')
		id = (struct http_slice){path + 15, strlen(path + 15)};
	else if (strcmp(path, "v2/credentials") != 0)
		return container_credentials_error(DIALECT_ECS, 404, "NotFound",
						   "404 page not found", scratch);
	if (!id.at || id.len == 0)
		return container_credentials_error(DIALECT_ECS, 400, "NoIdInRequest",
						   "no credentials id in the request", scratch);
	if (!matches(id.at, id.len, c->ecs_id))
		return container_credentials_error(
			DIALECT_ECS, 400, "InvalidIdInRequest",
			"the credentials id in the request is not this container's", scratch);
	if (!session_valid(c->session, now_ms))
		return not_ready(c, DIALECT_ECS, now_ms, scratch);
	credentials_print_ecs(c->session->credentials, c->session->role_arn, scratch);
	struct http_response r = scratch_response(200, HTTP_TYPE_JSON, scratch);
	r.credentials = true;
	return r;
}

static struct http_response answer_eks(const struct container *c, const char *path,
				       const struct http_request *request, int64_t now_ms,
				       struct buf *scratch)
{
	if (strcmp(path, "v1/credentials") != 0)
		return container_credentials_error(DIALECT_EKS, 404, NULL, "404 page not found",
						   scratch);
	if (!request->authorization.at || request->authorization.len == 0)
		return container_credentials_error(
			DIALECT_EKS, 400, NULL, "Service account token cannot be empty", scratch);
	if (request->authorization_repeated ||
	    !matches(request->authorization.at, request->authorization.len, c->eks_token))
		return container_credentials_error(DIALECT_EKS, 400, NULL,
						   "Service account token is not this container's",
						   scratch);
	if (!session_valid(c->session, now_ms))
		return not_ready(c, DIALECT_EKS, now_ms, scratch);
	credentials_print_eks(c->session->credentials, c->metadata->account_id, scratch);
	struct http_response r = scratch_response(200, HTTP_TYPE_JSON, scratch);
	r.credentials = true;
	return r;
}

struct http_response container_credentials_answer(const struct container *c, enum dialect dialect,
						  const char *path,
						  const struct http_request *request,
						  int64_t now_ms, struct buf *scratch)
{
	if (request->forwarded)
		return container_credentials_error(dialect, 403, "Forbidden",
						   "forwarded requests are refused", scratch);
	if (!path || !container_credentials_path(path))
		return container_credentials_error(dialect, 404, "NotFound", "404 page not found",
						   scratch);
	if (request->method != HTTP_GET && request->method != HTTP_HEAD) {
		struct http_response r = container_credentials_error(
			dialect, 405, "MethodNotAllowed", "only GET is allowed", scratch);
		r.allow = "GET, HEAD";
		return r;
	}
	return dialect == DIALECT_ECS ? answer_ecs(c, path, request, now_ms, scratch)
				      : answer_eks(c, path, request, now_ms, scratch);
}
