#include "core/router.h"

#include <errno.h>
#include <string.h>

#include "core/container_credentials.h"
#include "core/identity_document.h"
#include "core/metadata_view.h"
#include "wire/metadata_path.h"

#define CREDENTIALS_DIR "meta-data/iam/security-credentials"
#define EXTENDED_DIR "meta-data/iam/security-credentials-extended"
#define DOCUMENT "dynamic/instance-identity/document"
#define TYPE_BYTES "application/octet-stream"

/* Seconds after which a client may ask again for what is not ready. */
#define RETRY_AFTER_S 1

/* One question: what everything below needs to know. */
struct question {
	struct router *router;
	struct container *c;
	const struct http_request *request;
	struct router_memo *memo;
	int64_t now_ms;
	bool final;
	struct router_answer *ret;
};

void router_init(struct router *router, struct metadata_cache *cache, const char *architecture)
{
	*router = (struct router){.cache = cache, .architecture = architecture};
}

void router_deinit(struct router *router)
{
	buf_deinit(&router->scratch);
}

static struct http_response text_response(const char *type, const char *body, size_t len)
{
	struct http_response r = HTTP_RESPONSE(200);

	r.content_type = type;
	r.body = body;
	r.body_len = len;
	return r;
}

static struct http_response scratch_response(struct router *router)
{
	if (!buf_ok(&router->scratch))
		return http_response_error(500);
	return text_response(HTTP_TYPE_TEXT, router->scratch.data ? router->scratch.data : "",
			     router->scratch.len);
}

static struct http_response unavailable(void)
{
	struct http_response r = http_response_error(503);

	r.retry_after_s = RETRY_AFTER_S;
	return r;
}

static struct http_response method_not_allowed(const char *allow)
{
	struct http_response r = http_response_error(405);

	r.allow = allow;
	return r;
}

/* 1..21600, digits only; -1 otherwise. */
static int64_t parse_ttl(struct http_slice s)
{
	int64_t n = 0;

	if (!s.at || s.len == 0 || s.len > 5)
		return -1;
	for (size_t i = 0; i < s.len; i++) {
		if (s.at[i] < '0' || s.at[i] > '9')
			return -1;
		n = n * 10 + (s.at[i] - '0');
	}
	return n >= TOKEN_TTL_MIN_S && n <= TOKEN_TTL_MAX_S ? n : -1;
}

/* May the container ask for this, too? Each question moves the time at which all are paid off by
 * one interval; it may lie so far ahead as a burst takes. */
static bool is_allowed(struct question *q)
{
	int64_t paid_ms = q->c->allowance_ms > q->now_ms ? q->c->allowance_ms : q->now_ms;

	if (q->memo->counted)
		return true;
	if (paid_ms - q->now_ms >= ROUTER_BURST * ROUTER_INTERVAL_MS)
		return false;
	q->c->allowance_ms = paid_ms + ROUTER_INTERVAL_MS;
	return true;
}

static struct http_response too_many(void)
{
	struct http_response r = http_response_error(429);

	r.retry_after_s = RETRY_AFTER_S;
	return r;
}

/* An answer that counts. */
static struct http_response counted(struct question *q, struct http_response response)
{
	return is_allowed(q) ? response : too_many();
}

static struct http_response answer_token(struct question *q)
{
	const struct http_request *request = q->request;
	struct router *router = q->router;
	char token[TOKEN_LEN + 1];

	if (request->method != HTTP_PUT)
		return method_not_allowed("OPTIONS, PUT");
	if (request->forwarded)
		return http_response_error(403);
	int64_t ttl_s = request->ttl_repeated ? -1 : parse_ttl(request->ttl);
	if (ttl_s < 0)
		return http_response_error(400);
	if (token_issue(q->c->token_key, q->now_ms, ttl_s, token) < 0)
		return unavailable();
	buf_put(&router->scratch, token, TOKEN_LEN);
	struct http_response r = scratch_response(router);
	r.token_ttl_s = ttl_s;
	q->ret->token_issued = true;
	return r;
}

/* Check the request's token. 0: fine, with the seconds it has left (-1: none was sent, none is
 * needed); else the status to answer with. */
static int check_token(const struct container *c, const struct http_request *request,
		       struct router_memo *memo, int64_t now_ms, int64_t *ret_ttl_s)
{
	int64_t expires_ms;

	*ret_ttl_s = -1;
	if (request->forwarded)
		return 403;
	if (request->token_repeated)
		return 400;
	if (!request->token.at)
		return c->registration->tokens_required ? 401 : 0;
	if (request->token.len == TOKEN_LEN && memo->expires_ms > now_ms &&
	    memcmp(memo->token, request->token.at, TOKEN_LEN) == 0) {
		*ret_ttl_s = (memo->expires_ms - now_ms) / 1000;
		return 0;
	}
	if (token_verify(c->token_key, request->token.at, request->token.len, now_ms, &expires_ms) <
	    0)
		return 401;
	memcpy(memo->token, request->token.at, TOKEN_LEN);
	memo->expires_ms = expires_ms;
	*ret_ttl_s = (expires_ms - now_ms) / 1000;
	return 0;
}

/* Why there are no credentials, for a workload: for good, or try again. */
static struct http_response no_credentials(struct router *router, const struct session *s,
					   int64_t now_ms)
{
	if (session_state(s, now_ms) != SESSION_DENIED)
		return unavailable();
	/* What EC2 says when an instance's role cannot be assumed. */
	const char *code = strcmp(s->last_code, "AccessDenied") == 0
				   ? "AssumeRoleUnauthorizedAccess"
				   : s->last_code;
	_cleanup_buf_ struct buf message = {0};
	container_credentials_denial(s, &message);
	credentials_print_imds_error(code, message.data ? message.data : "", s->last_attempt_s,
				     &router->scratch);
	return scratch_response(router);
}

static struct http_response answer_credentials(struct router *router, const struct container *c,
					       const char *name, bool extended, int64_t now_ms)
{
	const struct session *s = c->session;
	const char *role = registration_role_name(c->registration);

	if (extended && !c->metadata->account_id[0])
		return http_response_not_found(); /* clients then go to the plain form */
	if (*name == '\0') {
		struct http_response r = text_response(HTTP_TYPE_TEXT, role, strlen(role));
		r.modified_s = c->registered_at_s;
		return r;
	}
	if (strcmp(name, role) != 0)
		return http_response_not_found();
	if (!session_valid(s, now_ms))
		return no_credentials(router, s, now_ms);
	if (extended) {
		credentials_print_imds(s->credentials, c->metadata->account_id, &router->scratch);
		struct http_response r = scratch_response(router);
		r.credentials = true;
		r.modified_s = s->credentials->last_updated_s;
		return r;
	}
	if (!s->imds_document)
		return unavailable();
	struct http_response r =
		text_response(HTTP_TYPE_TEXT, s->imds_document, s->imds_document_len);
	r.credentials = true;
	r.modified_s = s->credentials->last_updated_s;
	return r;
}

static struct http_response answer_info(struct router *router, const struct container *c,
					int64_t now_ms)
{
	const struct session *s = c->session;

	if (!session_valid(s, now_ms))
		return no_credentials(router, s, now_ms);
	if (!s->info_document)
		return unavailable();
	struct http_response r =
		text_response(HTTP_TYPE_TEXT, s->info_document, s->info_document_len);
	r.modified_s = s->credentials->last_updated_s;
	return r;
}

static struct http_response answer_versions(const struct container *c)
{
	struct http_response r =
		text_response(HTTP_TYPE_TEXT, metadata_versions, strlen(metadata_versions));

	r.modified_s = c->registered_at_s;
	return r;
}

/* What is below iam/ and stands ready; false if the path is not there. */
static bool answer_iam(struct question *q, const char *path, struct http_response *ret)
{
	static const char dir[] = CREDENTIALS_DIR, extended[] = EXTENDED_DIR;
	size_t n = sizeof(dir) - 1;

	if (strcmp(path, "meta-data/iam/info") == 0) {
		*ret = answer_info(q->router, q->c, q->now_ms);
		return true;
	}
	if (strncmp(path, dir, n) != 0)
		return false;
	bool is_extended = strncmp(path, extended, sizeof(extended) - 1) == 0;
	if (is_extended)
		n = sizeof(extended) - 1;
	if (path[n] != '\0' && path[n] != '/')
		return false;
	*ret = answer_credentials(q->router, q->c, path[n] ? path + n + 1 : "", is_extended,
				  q->now_ms);
	return true;
}

static struct http_response answer_text(struct question *q, const char *path,
					const struct metadata_text *text)
{
	const char *type = strcmp(path, "user-data") == 0 ? TYPE_BYTES : HTTP_TYPE_TEXT;
	struct http_response r = text_response(type, text->text, text->len);

	r.modified_s = text->modified_s ? text->modified_s : q->c->registered_at_s;
	return r;
}

static enum metadata_answer answer_node(struct question *q, struct metadata_view *view,
					const struct metadata_node *node, const char *path,
					struct http_response *ret)
{
	struct buf *scratch = &q->router->scratch;
	enum metadata_answer answer;
	struct metadata_text text;

	switch (metadata_node_class(node)) {
	case METADATA_DIRECTORY:
		answer = metadata_view_list(view, node, path, scratch);
		break;
	case METADATA_OWN:
		if (strcmp(path, DOCUMENT) != 0)
			return METADATA_NOT_FOUND;
		answer = identity_document_print(view, q->router->architecture,
						 q->c->registered_at_s, scratch);
		break;
	case METADATA_NEVER:
		return METADATA_NOT_FOUND;
	default:
		answer = metadata_view_get(view, node, path, &text);
		if (answer == METADATA_FOUND)
			*ret = answer_text(q, path, &text);
		return answer;
	}
	*ret = scratch_response(q->router);
	ret->modified_s = q->c->registered_at_s;
	return answer;
}

static struct http_response answer_path(struct question *q, const char *path)
{
	struct metadata_view view = {
		.own = q->c->metadata,
		.host_allow = &q->router->host_allow,
		.cache = q->router->cache,
		.now_ms = q->now_ms,
		.final = q->final,
	};
	struct http_response response = http_response_error(500);
	const char *rest;

	if (answer_iam(q, path, &response))
		return response.status == 200 ? response : counted(q, response);
	if (!is_allowed(q))
		return too_many();
	const struct metadata_node *node = metadata_tree_find(path, &rest);
	if (!node)
		return http_response_not_found();
	switch (answer_node(q, &view, node, path, &response)) {
	case METADATA_FOUND:
		return response;
	case METADATA_NOT_FOUND:
		return http_response_not_found();
	case METADATA_WAIT:
		q->ret->wait = view.wait;
		break;
	case METADATA_FAILED:
		break;
	}
	return unavailable();
}

static struct http_response answer_imds(struct question *q, const struct metadata_path *path,
					int parsed)
{
	const struct http_request *request = q->request;
	bool version_known, latest;
	struct http_response response;
	int64_t ttl_s;

	if (q->c->registration->imds_disabled)
		return counted(q, http_response_error(403));
	const char *rest = parsed < 0 ? NULL : metadata_path_rest(path, &version_known, &latest);
	if (rest && strcmp(rest, "api/token") == 0) {
		if (!latest) /* tokens are had from /latest alone */
			return http_response_error(version_known ? 403 : 404);
		return answer_token(q);
	}
	if (request->method != HTTP_GET && request->method != HTTP_HEAD)
		return counted(q, method_not_allowed("GET, HEAD"));

	int status = check_token(q->c, request, q->memo, q->now_ms, &ttl_s);
	if (status)
		return counted(q, http_response_error(status));
	if (parsed < 0)
		response = counted(q, http_response_not_found());
	else if (!rest)
		response = counted(q, answer_versions(q->c));
	else
		response = version_known ? answer_path(q, rest)
					 : counted(q, http_response_not_found());
	response.token_ttl_s = ttl_s;
	return response;
}

static struct http_response answer_container(struct question *q, enum dialect dialect,
					     const char *path)
{
	struct buf *scratch = &q->router->scratch;
	struct http_response response =
		container_credentials_answer(q->c, dialect, path, q->request, q->now_ms, scratch);

	if (response.status == 200 || is_allowed(q))
		return response;
	return container_credentials_error(dialect, 429, "TooManyRequests",
					   "too many requests: slow down", scratch);
}

/* In the words of the service that was connected to. */
static struct http_response answer_wrong_host(struct question *q)
{
	enum dialect destination = q->memo->destination;

	if (destination == DIALECT_ECS || destination == DIALECT_EKS)
		return counted(q,
			       container_credentials_error(destination, 403, "Forbidden",
							   "the Host header is not this service's",
							   &q->router->scratch));
	return counted(q, http_response_error(403));
}

/* The service that is meant, by Host and by the address the client connected to. FOREIGN: they
 * contradict each other, or the Host is none of ours. UNKNOWN: the address must be looked up. */
static enum dialect find_dialect(const struct question *q, const char *path)
{
	const struct http_request *request = q->request;
	enum dialect host = dialect_of_host(request->host), dialect = host;

	if (request->authority.at) {
		dialect = dialect_of_host(request->authority);
		if (host != DIALECT_UNKNOWN && host != dialect)
			dialect = DIALECT_FOREIGN;
	}
	/* The usual request is spared the look: who says IMDS and means it gets only that. */
	if (dialect == DIALECT_IMDS && !(path && container_credentials_path(path)))
		return dialect;
	if (!q->memo->destination_known)
		return DIALECT_UNKNOWN;
	enum dialect destination = q->memo->destination;
	if (dialect == DIALECT_FOREIGN)
		return dialect;
	if (destination == DIALECT_UNKNOWN || destination == DIALECT_FOREIGN)
		return dialect == DIALECT_UNKNOWN ? DIALECT_IMDS : dialect;
	return dialect == DIALECT_UNKNOWN || dialect == destination ? destination : DIALECT_FOREIGN;
}

static enum router_verdict ask(struct question *q, struct http_response *ret)
{
	struct metadata_path path;
	int parsed = metadata_path_parse(q->request->target.at, q->request->target.len, &path);
	enum dialect dialect = find_dialect(q, parsed < 0 ? NULL : path.text);

	if (dialect == DIALECT_UNKNOWN)
		return ROUTER_DESTINATION;
	if (dialect == DIALECT_FOREIGN)
		*ret = answer_wrong_host(q);
	else if (parsed == -EINVAL)
		*ret = counted(q, http_response_error(400));
	else if (dialect == DIALECT_IMDS && parsed == 0 && container_credentials_path(path.text))
		*ret = counted(q, http_response_not_found()); /* right path, wrong address */
	else if (dialect == DIALECT_IMDS)
		*ret = answer_imds(q, &path, parsed);
	else
		*ret = answer_container(q, dialect, parsed < 0 ? NULL : path.text);
	return q->ret->wait ? ROUTER_WAIT : ROUTER_ANSWERED;
}

enum router_verdict router_ask(struct router *router, struct container *c,
			       const struct http_request *request, struct router_memo *memo,
			       int64_t now_ms, bool final, struct router_answer *ret)
{
	struct question q = {router, c, request, memo, now_ms, final, ret};
	struct http_response *r = &ret->response;

	*ret = (struct router_answer){0};
	buf_reset(&router->scratch);
	enum router_verdict verdict = ask(&q, r);
	memo->counted = verdict == ROUTER_WAIT;
	if (verdict != ROUTER_ANSWERED)
		return verdict;
	c->requests++;
	r->head = request->method == HTTP_HEAD;
	r->close = !request->keep_alive;
	r->keep_alive = request->keep_alive && request->minor == 0;
	return verdict;
}
