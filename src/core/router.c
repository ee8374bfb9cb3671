#include "core/router.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "core/metadata_tree.h"
#include "wire/metadata_path.h"

#define CREDENTIALS_DIR "meta-data/iam/security-credentials"

/* Seconds after which a client may ask again for what is not ready. */
#define RETRY_AFTER_S 1

void router_init(struct router *router)
{
	*router = (struct router){0};
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

/* Is this text one of the addresses the service answers for? IPv6 in any spelling. */
static bool is_metadata_address(const char *text, size_t len)
{
	static const char *const v4[] = {"169.254.169.254", "169.254.170.2", "169.254.170.23"};
	static const char *const names[] = {"instance-data", "instance-data.ec2.internal"};
	static const char *const v6[] = {"fd00:ec2::254", "fd00:ec2::23"};
	struct http_slice s = {text, len};
	struct in6_addr given, ours;
	char copy[INET6_ADDRSTRLEN];

	for (size_t i = 0; i < 3; i++)
		if (http_slice_equals(s, v4[i]))
			return true;
	/* The names that EC2's own resolver gives the service. */
	for (size_t i = 0; i < 2; i++)
		if (http_slice_equals_nocase(s, names[i]))
			return true;
	if (len >= sizeof(copy))
		return false;
	memcpy(copy, text, len);
	copy[len] = '\0';
	if (inet_pton(AF_INET6, copy, &given) != 1)
		return false;
	for (size_t i = 0; i < 2; i++)
		if (inet_pton(AF_INET6, v6[i], &ours) == 1 &&
		    memcmp(&given, &ours, sizeof(ours)) == 0)
			return true;
	return false;
}

static bool is_port_80(const char *text, size_t len)
{
	return len == 0 || (len == 1 && text[0] == ':') ||
	       (len == 3 && memcmp(text, ":80", 3) == 0);
}

/* DNS rebinding ends here: a browser or SDK tricked into asking evil.example sends that as Host.
 * aws-crt sends a bare IPv6 address, which is accepted though RFC 9112 wants brackets. */
static bool host_allowed(struct http_slice host)
{
	if (!host.at)
		return true; /* HTTP/1.0; the parser requires it of 1.1 */
	if (host.len > 0 && host.at[0] == '[') {
		const char *end = memchr(host.at, ']', host.len);
		if (!end)
			return false;
		size_t n = (size_t)(end - host.at) - 1;
		return memchr(host.at + 1, ':', n) && is_metadata_address(host.at + 1, n) &&
		       is_port_80(end + 1, host.len - n - 2);
	}
	if (is_metadata_address(host.at, host.len))
		return true;
	const char *colon = memchr(host.at, ':', host.len);
	if (!colon)
		return false;
	size_t n = (size_t)(colon - host.at);
	return is_metadata_address(host.at, n) && is_port_80(colon, host.len - n);
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

static struct http_response answer_token(struct router *router, struct container *c,
					 const struct http_request *request, int64_t now_ms,
					 bool *ret_token_issued)
{
	char token[TOKEN_LEN + 1];

	if (request->method != HTTP_PUT)
		return method_not_allowed("OPTIONS, PUT");
	if (request->forwarded)
		return http_response_error(403);
	int64_t ttl_s = request->ttl_repeated ? -1 : parse_ttl(request->ttl);
	if (ttl_s < 0)
		return http_response_error(400);
	if (token_issue(c->token_key, now_ms, ttl_s, token) < 0)
		return unavailable();
	buf_put(&router->scratch, token, TOKEN_LEN);
	struct http_response r = scratch_response(router);
	r.token_ttl_s = ttl_s;
	*ret_token_issued = true;
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
	credentials_print_imds_error(code, s->last_message, s->last_attempt_s, &router->scratch);
	return scratch_response(router);
}

static struct http_response answer_credentials(struct router *router, const struct container *c,
					       const char *name, int64_t now_ms)
{
	const struct session *s = c->session;
	const char *role = registration_role_name(c->registration);

	if (*name == '\0')
		return text_response(HTTP_TYPE_TEXT, role, strlen(role));
	if (strcmp(name, role) != 0)
		return http_response_not_found();
	if (!session_valid(s, now_ms))
		return no_credentials(router, s, now_ms);
	if (!s->imds_document)
		return unavailable();
	struct http_response r =
		text_response(HTTP_TYPE_TEXT, s->imds_document, s->imds_document_len);
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
	return text_response(HTTP_TYPE_TEXT, s->info_document, s->info_document_len);
}

static struct http_response answer_path(struct router *router, const struct container *c,
					const char *path, int64_t now_ms)
{
	static const char dir[] = CREDENTIALS_DIR;
	const size_t dir_len = sizeof(dir) - 1;

	switch (metadata_tree_classify(path)) {
	case METADATA_NONE:
		break;
	case METADATA_DIRECTORY:
		metadata_tree_list(path, &router->scratch);
		return scratch_response(router);
	case METADATA_OWN:
		if (strcmp(path, "meta-data/iam/info") == 0)
			return answer_info(router, c, now_ms);
		if (strncmp(path, dir, dir_len) == 0)
			return answer_credentials(router, c,
						  path[dir_len] ? path + dir_len + 1 : "", now_ms);
		break;
	}
	return http_response_not_found();
}

/* Everything but the connection's own headers. */
static struct http_response answer(struct router *router, struct container *c,
				   const struct http_request *request, struct router_memo *memo,
				   int64_t now_ms, bool *ret_token_issued)
{
	struct metadata_path path;
	bool version_known, latest;
	int64_t ttl_s;

	if (!host_allowed(request->host) ||
	    (request->authority.at && !host_allowed(request->authority)))
		return http_response_error(403);
	int r = metadata_path_parse(request->target.at, request->target.len, &path);
	if (r == -EINVAL)
		return http_response_error(400);
	const char *rest = r < 0 ? NULL : metadata_path_rest(&path, &version_known, &latest);
	if (rest && strcmp(rest, "api/token") == 0) {
		if (!latest) /* tokens are had from /latest alone */
			return http_response_error(version_known ? 403 : 404);
		return answer_token(router, c, request, now_ms, ret_token_issued);
	}
	if (request->method != HTTP_GET && request->method != HTTP_HEAD)
		return method_not_allowed("GET, HEAD");

	int status = check_token(c, request, memo, now_ms, &ttl_s);
	if (status)
		return http_response_error(status);
	struct http_response response;
	if (r < 0)
		response = http_response_not_found();
	else if (!rest)
		response =
			text_response(HTTP_TYPE_TEXT, metadata_versions, strlen(metadata_versions));
	else
		response = version_known ? answer_path(router, c, rest, now_ms)
					 : http_response_not_found();
	response.token_ttl_s = ttl_s;
	return response;
}

struct http_response router_answer(struct router *router, struct container *c,
				   const struct http_request *request, struct router_memo *memo,
				   int64_t now_ms, bool *ret_token_issued)
{
	buf_reset(&router->scratch);
	*ret_token_issued = false;
	c->requests++;
	struct http_response r = answer(router, c, request, memo, now_ms, ret_token_issued);
	r.head = request->method == HTTP_HEAD;
	r.close = !request->keep_alive;
	r.keep_alive = request->keep_alive && request->minor == 0;
	return r;
}
