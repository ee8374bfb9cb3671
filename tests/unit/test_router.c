/* router: dialects, hosts, tokens, limits: one request in, one status out. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/container_credentials.h"
#include "core/router.h"

#define N(a) (sizeof(a) / sizeof((a)[0]))
#define ROLE "arn:aws:iam::123456789012:role/team/web"
#define CREDENTIALS "/latest/meta-data/iam/security-credentials/"

struct bed {
	struct container_registry registry;
	struct session_pool pool;
	struct metadata_cache cache;
	struct router router;
	struct router_memo memo;
	struct container *c;
	int64_t now_ms;
	char token[TOKEN_LEN + 1];
	char body[4096]; /* of the last answer */
	struct http_response last;
};

static void give_credentials(struct bed *bed)
{
	struct sts_result result = {.class = STS_OK};

	result.credentials = credentials_new();
	credentials_set_keys(result.credentials, "ASIAOWN", "secret", "token");
	result.credentials->expires_ms = INT64_MAX;
	result.credentials->expiration_s = 1800000000;
	session_finished(bed->c->session, &result, false, bed->now_ms, 0, 0);
	credentials_unref(result.credentials);
}

static void open_bed(struct bed *bed, const char *members)
{
	static const uint8_t master[TOKEN_KEY_SIZE] = {1};
	static const struct registration_defaults defaults = {
		.tokens_required = true, .hop_limit = 1, .duration_s = 3600};
	struct registration *registration = NULL;
	struct container_metadata *metadata = NULL;
	struct diag diag = {0};
	char body[1024];

	*bed = (struct bed){.now_ms = 1000000};
	container_registry_init(&bed->registry, master);
	session_pool_init(&bed->pool, 1, 1, 0);
	metadata_cache_init(&bed->cache);
	router_init(&bed->router, &bed->cache, "x86_64");
	snprintf(body, sizeof(body), "{\"role_arn\":\"" ROLE "\",\"netns\":\"/x\"%s%s}",
		 members[0] ? "," : "", members);
	assert_int_equal(
		registration_parse("c", body, strlen(body), &defaults, &registration, &diag), 0);
	assert_int_equal(container_metadata_new(registration, &metadata, &diag), 0);
	assert_int_equal(container_add(&bed->registry, &bed->pool, "c", registration, metadata,
				       NULL, bed->now_ms, 0, &bed->c),
			 0);
	token_issue(bed->c->token_key, bed->now_ms, 21600, bed->token);
}

static void close_bed(struct bed *bed)
{
	container_registry_deinit(&bed->registry, &bed->pool);
	session_pool_deinit(&bed->pool);
	metadata_cache_deinit(&bed->cache);
	router_deinit(&bed->router);
}

/* `head` without its last CRLF pair. The destination is what the kernel would say. */
static int send(struct bed *bed, const char *head, enum dialect destination)
{
	struct http_request request;
	struct router_answer answer;
	char text[2048];
	int status;

	snprintf(text, sizeof(text), "%s\r\n\r\n", head);
	if (http_request_parse(text, strlen(text), 0, &request, &status) != HTTP_PARSE_DONE)
		fail_msg("%s: %d", head, status);
	enum router_verdict verdict =
		router_ask(&bed->router, bed->c, &request, &bed->memo, bed->now_ms, false, &answer);
	if (verdict == ROUTER_DESTINATION) {
		bed->memo.destination = destination;
		bed->memo.destination_known = true;
		verdict = router_ask(&bed->router, bed->c, &request, &bed->memo, bed->now_ms, false,
				     &answer);
		bed->memo.destination_known = false;
	}
	assert_int_not_equal(verdict, ROUTER_DESTINATION);
	if (verdict == ROUTER_WAIT)
		return 0;
	bed->last = answer.response;
	snprintf(bed->body, sizeof(bed->body), "%.*s", (int)answer.response.body_len,
		 answer.response.body);
	return answer.response.status;
}

/* ECS, EKS: which path at which address with which Host. $I and $T stand for the container's. */
static void test_container_credentials(void **state)
{
	static const struct {
		enum dialect to;
		const char *head;
		int status;
		const char *body; /* a part of it */
	} rows[] = {
		{DIALECT_ECS, "GET /v2/credentials/$I HTTP/1.1\r\nHost: 169.254.170.2", 200,
		 "\"RoleArn\":\"" ROLE "\",\"AccessKeyId\":\"ASIAOWN\""},
		{DIALECT_ECS, "GET /v2/credentials/$I/ HTTP/1.1\r\nHost: 169.254.170.2:80", 200,
		 "ASIA"},
		{DIALECT_ECS, "GET //v2/credentials/$I?x HTTP/1.1\r\nHost: 169.254.170.2", 200,
		 "ASIA"},
		{DIALECT_ECS,
		 "GET http://169.254.170.2/v2/credentials/$I HTTP/1.1\r\nHost: 169.254.170.2", 200,
		 "ASIA"},
		{DIALECT_ECS, "GET /v1/credentials?id=$I HTTP/1.1\r\nHost: 169.254.170.2", 200,
		 "ASIA"},
		{DIALECT_ECS, "GET /v1/credentials?a=b&id=$I&c HTTP/1.1\r\nHost: 169.254.170.2",
		 200, "ASIA"},
		{DIALECT_ECS, "GET /v2/credentials/$I HTTP/1.0", 200, "ASIA"},
		{DIALECT_ECS, "HEAD /v2/credentials/$I HTTP/1.1\r\nHost: 169.254.170.2", 200,
		 "ASIA"},
		/* Not redirected: by Host. */
		{DIALECT_UNKNOWN, "GET /v2/credentials/$I HTTP/1.1\r\nHost: 169.254.170.2", 200,
		 "ASIA"},
		{DIALECT_ECS, "GET /v2/credentials/$I0 HTTP/1.1\r\nHost: 169.254.170.2", 400,
		 "\"code\":\"InvalidIdInRequest\",\"message\":"},
		{DIALECT_ECS, "GET /v2/credentials/x HTTP/1.1\r\nHost: 169.254.170.2", 400,
		 "\"HTTPErrorCode\":400"},
		{DIALECT_ECS, "GET /v2/credentials/$I/x HTTP/1.1\r\nHost: 169.254.170.2", 400,
		 "Invalid"},
		{DIALECT_ECS, "GET /v2/credentials HTTP/1.1\r\nHost: 169.254.170.2", 400,
		 "NoIdInRequest"},
		{DIALECT_ECS, "GET /v2/credentials/ HTTP/1.1\r\nHost: 169.254.170.2", 400,
		 "NoIdIn"},
		{DIALECT_ECS, "GET /v1/credentials HTTP/1.1\r\nHost: 169.254.170.2", 400, "NoIdIn"},
		{DIALECT_ECS, "GET /v1/credentials?id= HTTP/1.1\r\nHost: 169.254.170.2", 400,
		 "NoIdIn"},
		{DIALECT_ECS, "GET /v1/credentials?xid=$I HTTP/1.1\r\nHost: 169.254.170.2", 400,
		 "NoIdIn"},
		{DIALECT_ECS, "GET /v2/credentialsx/$I HTTP/1.1\r\nHost: 169.254.170.2", 404,
		 "NotFound"},
		{DIALECT_ECS, "GET /v3/credentials/$I HTTP/1.1\r\nHost: 169.254.170.2", 404, ""},
		{DIALECT_ECS, "GET /latest/meta-data/ HTTP/1.1\r\nHost: 169.254.170.2", 404, ""},
		{DIALECT_ECS,
		 "PUT /latest/api/token HTTP/1.1\r\nHost: 169.254.170.2\r\n"
		 "X-aws-ec2-metadata-token-ttl-seconds: 60",
		 404, ""},
		{DIALECT_ECS, "POST /v2/credentials/$I HTTP/1.1\r\nHost: 169.254.170.2", 405, ""},
		{DIALECT_ECS,
		 "GET /v2/credentials/$I HTTP/1.1\r\nHost: 169.254.170.2\r\nX-Forwarded-For: 1",
		 403, "Forbidden"},
		{DIALECT_ECS, "GET /v2/credentials/$I HTTP/1.1\r\nHost: evil.example", 403,
		 "\"code\":\"Forbidden\""},
		{DIALECT_ECS, "GET /v2/credentials/$I HTTP/1.1\r\nHost: 169.254.169.254", 403, ""},
		{DIALECT_ECS, "GET /v2/credentials/$I HTTP/1.1\r\nHost: 169.254.170.23", 403, ""},
		{DIALECT_ECS,
		 "GET http://169.254.170.23/v2/credentials/$I HTTP/1.1\r\nHost: 169.254.170.2", 403,
		 ""},
		/* The instance metadata knows no such paths. */
		{DIALECT_IMDS,
		 "GET /v2/credentials/$I HTTP/1.1\r\nHost: 169.254.169.254\r\n"
		 "X-aws-ec2-metadata-token: $M",
		 404, "404 - Not Found"},
		{DIALECT_IMDS, "GET /v2/credentials/$I HTTP/1.1\r\nHost: 169.254.170.2", 403, ""},
		{DIALECT_IMDS,
		 "GET /v1/credentials HTTP/1.1\r\nHost: 169.254.170.23\r\nAuthorization: $T", 403,
		 ""},

		{DIALECT_EKS,
		 "GET /v1/credentials HTTP/1.1\r\nHost: 169.254.170.23\r\nAuthorization: $T", 200,
		 "\"AccountId\":\"123456789012\""},
		{DIALECT_EKS,
		 "GET /v1/credentials HTTP/1.1\r\nHost: [fd00:ec2::23]\r\nAuthorization: $T", 200,
		 "ASIA"},
		{DIALECT_EKS,
		 "GET /v1/credentials HTTP/1.1\r\nHost: fd00:ec2::23\r\nAuthorization: $T", 200,
		 "ASIA"},
		{DIALECT_UNKNOWN,
		 "GET /v1/credentials HTTP/1.1\r\nHost: 169.254.170.23\r\nAuthorization: $T", 200,
		 "ASIA"},
		{DIALECT_EKS, "GET /v1/credentials HTTP/1.1\r\nHost: 169.254.170.23", 400, "empty"},
		{DIALECT_EKS,
		 "GET /v1/credentials HTTP/1.1\r\nHost: 169.254.170.23\r\nAuthorization:", 400,
		 "empty"},
		{DIALECT_EKS,
		 "GET /v1/credentials HTTP/1.1\r\nHost: 169.254.170.23\r\nAuthorization: $I", 400,
		 "not this container's"},
		{DIALECT_EKS,
		 "GET /v1/credentials HTTP/1.1\r\nHost: 169.254.170.23\r\nAuthorization: Bearer $T",
		 400, ""},
		{DIALECT_EKS,
		 "GET /v1/credentials HTTP/1.1\r\nHost: 169.254.170.23\r\nAuthorization: $Tx", 400,
		 ""},
		{DIALECT_EKS,
		 "GET /v1/credentials HTTP/1.1\r\nHost: 169.254.170.23\r\nAuthorization: $T\r\n"
		 "Authorization: $T",
		 400, ""},
		{DIALECT_EKS, "GET /v2/credentials/$I HTTP/1.1\r\nHost: 169.254.170.23", 404,
		 "not found"},
		{DIALECT_EKS,
		 "GET /v1/credentials HTTP/1.1\r\nHost: 169.254.170.2\r\nAuthorization: $T", 403,
		 "Host"},
		{DIALECT_EKS,
		 "GET /latest/meta-data HTTP/1.1\r\nHost: 169.254.170.23\r\nAuthorization: $T", 404,
		 ""},
	};
	struct bed bed;

	(void)state;
	open_bed(&bed, "");
	give_credentials(&bed);
	for (size_t i = 0; i < N(rows); i++) {
		char head[1024] = "";
		for (const char *at = rows[i].head; *at; at++) {
			const char *text = at[0] != '$'	  ? NULL
					   : at[1] == 'I' ? bed.c->ecs_id
					   : at[1] == 'T' ? bed.c->eks_token
							  : bed.token;
			if (text)
				strcat(head, text), at++;
			else
				strncat(head, at, 1);
		}
		int status = send(&bed, head, rows[i].to);
		if (status != rows[i].status || !strstr(bed.body, rows[i].body))
			fail_msg("row %zu: %s\n%d: %s", i, head, status, bed.body);
		if (status != 200 && strstr(bed.body, "ASIAOWN"))
			fail_msg("row %zu: credentials with status %d", i, status);
	}
	close_bed(&bed);
}

static void test_without_credentials(void **state)
{
	struct sts_result denied = {.class = STS_DENIED, .code = "AccessDenied", .message = "no"};
	char head[256];
	struct bed bed;

	(void)state;
	open_bed(&bed, "");
	snprintf(head, sizeof(head), "GET /v2/credentials/%s HTTP/1.1\r\nHost: 169.254.170.2",
		 bed.c->ecs_id);
	assert_int_equal(send(&bed, head, DIALECT_ECS), 503);
	assert_non_null(strstr(bed.body, "\"code\":\"CredentialsUninitialized\""));
	assert_int_not_equal(bed.last.retry_after_s, 0);
	session_finished(bed.c->session, &denied, false, bed.now_ms, 0, 0);
	assert_int_equal(send(&bed, head, DIALECT_ECS), 403);
	assert_non_null(strstr(bed.body, "AccessDenied"));
	close_bed(&bed);
}

/* IMDS paths; $M is a session token. */
static int get(struct bed *bed, const char *path)
{
	char head[512];

	snprintf(head, sizeof(head),
		 "GET %s HTTP/1.1\r\nHost: 169.254.169.254\r\nX-aws-ec2-metadata-token: %s", path,
		 bed->token);
	return send(bed, head, DIALECT_IMDS);
}

static int put_token(struct bed *bed)
{
	return send(bed,
		    "PUT /latest/api/token HTTP/1.1\r\nHost: 169.254.169.254\r\n"
		    "X-aws-ec2-metadata-token-ttl-seconds: 60",
		    DIALECT_IMDS);
}

static void test_extended(void **state)
{
	struct bed bed;

	(void)state;
	open_bed(&bed, "");
	give_credentials(&bed);
	assert_int_equal(get(&bed, "/latest/meta-data/iam/security-credentials-extended/"), 200);
	assert_string_equal(bed.body, "web");
	assert_int_equal(get(&bed, "/latest/meta-data/iam/security-credentials-extended/web"), 200);
	assert_non_null(strstr(bed.body, "\"AccountId\" : \"123456789012\""));
	assert_int_equal(get(&bed, "/latest/meta-data/iam/security-credentials-extended/x"), 404);
	assert_int_equal(get(&bed, "/latest/meta-data/iam/security-credentials-extendedx/web"),
			 404);
	assert_int_equal(get(&bed, CREDENTIALS "web"), 200);
	assert_null(strstr(bed.body, "AccountId"));
	close_bed(&bed);
}

static void test_disabled(void **state)
{
	char head[256];
	struct bed bed;

	(void)state;
	open_bed(&bed, "\"tokens\":\"disabled\"");
	give_credentials(&bed);
	assert_int_equal(put_token(&bed), 403);
	assert_int_equal(get(&bed, CREDENTIALS "web"), 403);
	assert_int_equal(get(&bed, "/"), 403);
	snprintf(head, sizeof(head), "GET /v2/credentials/%s HTTP/1.1\r\nHost: 169.254.170.2",
		 bed.c->ecs_id);
	assert_int_equal(send(&bed, head, DIALECT_ECS), 200);
	close_bed(&bed);
}

static void test_limits(void **state)
{
	struct bed bed;

	(void)state;
	open_bed(&bed, "");
	give_credentials(&bed);
	for (int i = 0; i < ROUTER_BURST; i++)
		assert_int_equal(get(&bed, "/latest/nothing"), 404);
	assert_int_equal(get(&bed, "/latest/nothing"), 429);
	assert_int_not_equal(bed.last.retry_after_s, 0);
	assert_int_equal(get(&bed, "/latest/meta-data/"), 429);
	assert_int_equal(get(&bed, CREDENTIALS "other"), 429);
	assert_int_equal(send(&bed, "GET / HTTP/1.1\r\nHost: 169.254.169.254", DIALECT_IMDS), 429);
	assert_int_equal(
		send(&bed, "GET /v2/credentials/x HTTP/1.1\r\nHost: 169.254.170.2", DIALECT_ECS),
		429);
	/* What workloads live on goes on. */
	assert_int_equal(put_token(&bed), 200);
	for (int i = 0; i < ROUTER_BURST + 10; i++) {
		assert_int_equal(get(&bed, CREDENTIALS), 200);
		assert_int_equal(get(&bed, CREDENTIALS "web"), 200);
	}
	bed.now_ms += 10 * ROUTER_INTERVAL_MS;
	for (int i = 0; i < 10; i++)
		assert_int_equal(get(&bed, "/latest/nothing"), 404);
	assert_int_equal(get(&bed, "/latest/nothing"), 429);
	/* A long silence earns one burst, no more. */
	bed.now_ms += 3600 * 1000;
	for (int i = 0; i < ROUTER_BURST; i++)
		assert_int_equal(get(&bed, "/latest/nothing"), 404);
	assert_int_equal(get(&bed, "/latest/nothing"), 429);
	close_bed(&bed);
}

static void test_waiting(void **state)
{
	struct bed bed;

	(void)state;
	open_bed(&bed, "");
	assert_int_equal(get(&bed, "/latest/meta-data/ami-id"), 0);
	uint64_t requests = bed.c->requests;
	int64_t allowance_ms = bed.c->allowance_ms;
	assert_int_equal(get(&bed, "/latest/meta-data/ami-id"), 0);
	struct metadata_item *item = metadata_cache_next(&bed.cache);
	assert_string_equal(item->path, "/latest/meta-data/ami-id");
	metadata_cache_finished(&bed.cache, item, METADATA_GOT, "ami-1", 5, 0, bed.now_ms);
	assert_int_equal(get(&bed, "/latest/meta-data/ami-id"), 200);
	assert_string_equal(bed.body, "ami-1");
	/* Asked three times, it is one request. */
	assert_int_equal(bed.c->requests, requests + 1);
	assert_int_equal(bed.c->allowance_ms, allowance_ms);
	assert_int_equal(bed.last.token_ttl_s, 21600);
	close_bed(&bed);
}

static void test_hosts(void **state)
{
	static const struct {
		const char *host;
		enum dialect dialect;
	} rows[] = {
		{"169.254.169.254", DIALECT_IMDS},
		{"169.254.169.254:80", DIALECT_IMDS},
		{"169.254.169.254:", DIALECT_IMDS},
		{"169.254.169.254:8080", DIALECT_FOREIGN},
		{"[fd00:ec2::254]", DIALECT_IMDS},
		{"[fd00:ec2::254]:80", DIALECT_IMDS},
		{"fd00:ec2::254", DIALECT_IMDS},
		{"FD00:EC2:0:0::254", DIALECT_IMDS},
		{"instance-data", DIALECT_IMDS},
		{"Instance-Data.ec2.internal:80", DIALECT_IMDS},
		{"169.254.170.2", DIALECT_ECS},
		{"169.254.170.23", DIALECT_EKS},
		{"[fd00:ec2::23]:80", DIALECT_EKS},
		{"", DIALECT_FOREIGN},
		{"[]", DIALECT_FOREIGN},
		{"[", DIALECT_FOREIGN},
		{"[169.254.169.254]", DIALECT_FOREIGN},
		{"[fd00:ec2::254", DIALECT_FOREIGN},
		{"[fd00:ec2::254]x", DIALECT_FOREIGN},
		{"169.254.169.254.", DIALECT_FOREIGN},
		{"169.254.169.254.evil", DIALECT_FOREIGN},
		{"evil", DIALECT_FOREIGN},
		{":80", DIALECT_FOREIGN},
		{"::", DIALECT_FOREIGN},
		{"::ffff:169.254.169.254", DIALECT_FOREIGN},
	};

	(void)state;
	for (size_t i = 0; i < N(rows); i++) {
		struct http_slice host = {rows[i].host, strlen(rows[i].host)};
		if (dialect_of_host(host) != rows[i].dialect)
			fail_msg("%s: %d", rows[i].host, (int)dialect_of_host(host));
	}
	assert_int_equal(dialect_of_host((struct http_slice){0}), DIALECT_UNKNOWN);
}

static void test_denials(void **state)
{
	static const struct {
		const char *said, *told;
	} rows[] = {
		{"", ""},
		{"no ARN in here", "no ARN in here"},
		{"User: arn:aws:sts::1:assumed-role/host/i-0abc is not authorized to perform: "
		 "sts:AssumeRole on resource: arn:aws:iam::1:role/web",
		 "User: (withheld) is not authorized to perform: sts:AssumeRole on resource: "
		 "arn:aws:iam::1:role/web"},
		{"\"arn:aws:iam::1:role/web\", not arn:aws:iam::1:role/web2.",
		 "\"arn:aws:iam::1:role/web\", not (withheld)."},
		{"(arn:aws:iam::1:user/a,b=c@d): arn:aws:iam::1:role/web.",
		 "((withheld)): arn:aws:iam::1:role/web."},
		{"arn:", "(withheld)"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		_cleanup_buf_ struct buf told = {0};
		char role[] = "arn:aws:iam::1:role/web", said[256];
		snprintf(said, sizeof(said), "%s", rows[i].said);
		struct session s = {.role_arn = role, .last_message = said};
		container_credentials_denial(&s, &told);
		assert_string_equal(told.data ? told.data : "", rows[i].told);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_container_credentials),
		cmocka_unit_test(test_without_credentials),
		cmocka_unit_test(test_extended),
		cmocka_unit_test(test_disabled),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_waiting),
		cmocka_unit_test(test_hosts),
		cmocka_unit_test(test_denials),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
