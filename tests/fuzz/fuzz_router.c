/* What a container's bytes get out of the router. The input: one byte that says which address was
 * connected to; requests; after a byte 0xff what the host's metadata service answers, whatever it is
 * asked for. In the requests $T, $I and $B stand for this container's session token, ECS id and EKS
 * bearer token, which no fuzzer would guess.
 *
 * Whatever is sent: credentials only for one of the three; the host's service is never asked for what
 * is not open, nor in a client's own spelling; the response is one well-formed reply. */
#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/router.h"
#include "wire/http_reply.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define NOW_MS 1000000
#define SECRET "SECRETACCESSKEY"
#define BODY                                                                                       \
	"{\"role_arn\":\"arn:aws:iam::123456789012:role/team/web\",\"netns\":\"/x\","              \
	"\"metadata\":{\"local-ipv4\":\"10.0.0.7\",\"mac\":\"02:00:00:00:00:01\","                 \
	"\"security-groups\":[\"a\",\"b\"],\"tags/instance/Name\":\"web\"}}"

struct bed {
	struct container_registry registry;
	struct session_pool pool;
	struct metadata_cache cache;
	struct router router;
	struct router_memo memo;
	struct container *c;
	char token[TOKEN_LEN + 1];
	const char *upstream;
	size_t upstream_len;
};

static void open_bed(struct bed *bed)
{
	static const uint8_t master[TOKEN_KEY_SIZE] = {1}, instance[TOKEN_INSTANCE_SIZE] = {2};
	static const struct registration_defaults defaults = {
		.tokens_required = true, .hop_limit = 1, .duration_s = 3600};
	struct registration *registration = NULL;
	struct container_metadata *metadata = NULL;
	struct sts_result result = {.class = STS_OK};
	struct diag diag = {0};

	container_registry_init(&bed->registry, master);
	session_pool_init(&bed->pool, 1, 1, 0);
	metadata_cache_init(&bed->cache);
	router_init(&bed->router, &bed->cache, "x86_64");
	assert(registration_parse("c", BODY, strlen(BODY), &defaults, &registration, &diag) == 0);
	assert(container_metadata_new(registration, &metadata, &diag) == 0);
	assert(container_add(&bed->registry, &bed->pool, "c", registration, metadata, instance,
			     NOW_MS, 0, &bed->c) == 0);
	assert(token_issue(bed->c->token_key, NOW_MS, 21600, bed->token) == 0);
	result.credentials = credentials_new();
	assert(result.credentials);
	assert(credentials_set_keys(result.credentials, "ASIAOWN", SECRET, "token") == 0);
	result.credentials->expires_ms = INT64_MAX;
	result.credentials->expiration_s = 1800000000;
	session_finished(bed->c->session, &result, false, NOW_MS, 0, 0);
	credentials_unref(result.credentials);
}

static void close_bed(struct bed *bed)
{
	container_registry_deinit(&bed->registry, &bed->pool);
	session_pool_deinit(&bed->pool);
	metadata_cache_deinit(&bed->cache);
	router_deinit(&bed->router);
}

static void put_input(const struct bed *bed, const char *text, size_t len, bool *ret_showed,
		      struct buf *out)
{
	for (size_t i = 0; i < len; i++) {
		const char *known = NULL;
		if (text[i] == '$' && i + 1 < len)
			known = text[i + 1] == 'T'   ? bed->token
				: text[i + 1] == 'I' ? bed->c->ecs_id
				: text[i + 1] == 'B' ? bed->c->eks_token
						     : NULL;
		if (known) {
			buf_puts(out, known);
			*ret_showed = true;
			i++;
		} else {
			buf_put(out, &text[i], 1);
		}
	}
}

/* What the host's service may be asked for when nothing is opened: written down apart from the table. */
static void check_asked(const char *path)
{
	static const char *const shut[] = {"user-data",
					   "dynamic/instance-identity/",
					   "meta-data/iam",
					   "meta-data/identity-credentials",
					   "meta-data/public-",
					   "meta-data/managed-ssh-keys",
					   "meta-data/metrics",
					   "meta-data/hostname",
					   "meta-data/local-",
					   "meta-data/mac",
					   "meta-data/network",
					   "meta-data/security-groups",
					   "meta-data/tags",
					   "meta-data/spot",
					   "meta-data/events",
					   "meta-data/autoscaling",
					   "meta-data/instance-action",
					   "meta-data/ipv6"};

	assert(strncmp(path, "/latest/", 8) == 0);
	for (const char *p = path; *p; p++)
		assert(*p > ' ' && *p < 0x7f && !strchr("?#%\\", *p));
	assert(!strstr(path, "//") && !strstr(path, "/./") && !strstr(path, "/../"));
	for (size_t i = 0; i < sizeof(shut) / sizeof(shut[0]); i++)
		assert(strncmp(path + 8, shut[i], strlen(shut[i])) != 0);
}

static void answer_upstream(struct bed *bed)
{
	struct metadata_item *item;

	while ((item = metadata_cache_next(&bed->cache))) {
		check_asked(item->path);
		enum metadata_result result = bed->upstream ? METADATA_GOT : METADATA_NOTHING;
		metadata_cache_finished(&bed->cache, item, result, bed->upstream, bed->upstream_len,
					0, NOW_MS);
	}
}

static void check_reply(const struct http_response *response, const struct buf *printed)
{
	static struct http_reply reply;
	_cleanup_buf_ struct buf body = {0};
	struct diag diag = {0};

	assert(buf_ok(printed));
	if (response->head)
		return;
	reply = (struct http_reply){0};
	assert(http_reply_feed(&reply, printed->data, printed->len, &body, SIZE_MAX / 2, &diag) ==
	       1);
	assert(reply.status == response->status && body.len == response->body_len);
}

static bool ask(struct bed *bed, const struct http_request *request, bool showed,
		enum dialect destination)
{
	struct router_answer answer;
	_cleanup_buf_ struct buf printed = {0};
	enum router_verdict verdict = ROUTER_WAIT;

	for (int i = 0; i < 20 && verdict != ROUTER_ANSWERED; i++) {
		verdict = router_ask(&bed->router, bed->c, request, &bed->memo, NOW_MS, i == 19,
				     &answer);
		if (verdict == ROUTER_DESTINATION) {
			bed->memo.destination = destination;
			bed->memo.destination_known = true;
		}
		answer_upstream(bed);
	}
	assert(verdict == ROUTER_ANSWERED);
	http_response_print(&answer.response, "Thu, 01 Jan 1970 00:00:00 GMT", &printed);
	check_reply(&answer.response, &printed);
	if (memmem(printed.data, printed.len, SECRET, strlen(SECRET)))
		assert(showed && answer.response.status == 200);
	if (answer.token_issued)
		assert(request->method == HTTP_PUT && !request->forwarded);
	return !answer.response.close;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct bed bed = {0};
	_cleanup_buf_ struct buf input = {0};
	struct http_request request;
	bool showed = false;
	int status;

	if (len == 0)
		return 0;
	const char *text = (const char *)data + 1, *end = text + len - 1;
	const char *upstream = memchr(text, 0xff, len - 1);
	if (upstream) {
		bed.upstream = upstream + 1;
		bed.upstream_len = (size_t)(end - upstream) - 1;
	}
	open_bed(&bed);
	put_input(&bed, text, (size_t)((upstream ? upstream : end) - text), &showed, &input);
	assert(buf_ok(&input));
	for (size_t at = 0; at < input.len; at += request.head_len) {
		if (http_request_parse(input.data + at, input.len - at, 0, &request, &status) !=
			    HTTP_PARSE_DONE ||
		    !ask(&bed, &request, showed, data[0] % (DIALECT_FOREIGN + 1)))
			break;
	}
	close_bed(&bed);
	return 0;
}
