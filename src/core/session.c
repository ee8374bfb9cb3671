#include "core/session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Retry after transient failures: full jitter over a window that doubles from 1 s to 60 s. */
#define RETRY_WINDOW_MIN_MS 1000
#define RETRY_WINDOW_MAX_MS 60000
/* And after fatal ones, over 15 s to 5 min: they need a person, but should heal without one more.
 */
#define DENIED_WINDOW_MIN_MS 15000
#define DENIED_WINDOW_MAX_MS 300000
/* Full jitter may draw 0; a retry at once would be no backoff. */
#define RETRY_FLOOR_MS 100

const char *session_state_name(enum session_state state)
{
	static const char *const names[] = {"pending", "ready", "failing", "denied"};

	return names[state];
}

struct session *session_new(const char *request, const char *role_arn, int64_t now_ms)
{
	struct session *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->request = strdup(request);
	s->role_arn = strdup(role_arn);
	s->next_ms = now_ms;
	if (!s->request || !s->role_arn)
		return session_free(s);
	return s;
}

struct session *session_free(struct session *s)
{
	if (!s)
		return NULL;
	/* An external id or a policy is no secret, but the request body is no one's business. */
	secret_free(s->request);
	free(s->role_arn);
	credentials_unref(s->credentials);
	secret_free(s->imds_document);
	free(s->info_document);
	free(s);
	return NULL;
}

bool session_valid(const struct session *s, int64_t now_ms)
{
	return s->credentials && s->credentials->expires_ms > now_ms;
}

enum session_state session_state(const struct session *s, int64_t now_ms)
{
	if (session_valid(s, now_ms))
		return SESSION_READY;
	switch (s->last_class) {
	case STS_OK: /* no attempt has failed: the first is out, or a renewal hangs */
		return s->credentials ? SESSION_FAILING : SESSION_PENDING;
	case STS_DENIED:
		return SESSION_DENIED;
	default:
		return SESSION_FAILING;
	}
}

void session_started(struct session *s)
{
	s->in_flight = true;
	s->next_ms = INT64_MAX;
}

void session_refresh(struct session *s, int64_t now_ms)
{
	if (!s->in_flight)
		s->next_ms = now_ms;
}

static int64_t backoff_ms(unsigned failures, int64_t min_ms, int64_t max_ms, uint32_t random)
{
	int64_t window = min_ms;

	for (unsigned i = 1; i < failures && window < max_ms; i++)
		window *= 2;
	if (window > max_ms)
		window = max_ms;
	int64_t wait = (int64_t)((uint64_t)random * (uint64_t)window >> 32);
	return wait < RETRY_FLOOR_MS ? RETRY_FLOOR_MS : wait;
}

/* Half of the remaining life, give or take a tenth, so that sessions made together part. */
static int64_t renewal_ms(int64_t now_ms, int64_t expires_ms, uint32_t random)
{
	int64_t life = expires_ms == INT64_MAX ? 86400 * 1000 : expires_ms - now_ms;

	if (life <= 0)
		return now_ms + RETRY_WINDOW_MIN_MS;
	int64_t spread = (int64_t)((uint64_t)random * (uint64_t)(life / 5) >> 32);
	return now_ms + life / 2 - life / 10 + spread;
}

static void build_documents(struct session *s, const struct sts_result *result)
{
	struct buf b = {0};

	credentials_print_imds(s->credentials, NULL, &b);
	size_t len = b.len;
	secret_free(s->imds_document);
	s->imds_document = buf_steal(&b);
	s->imds_document_len = s->imds_document ? len : 0;

	/* iam/info as EC2 prints it. The profile's id is the assumed role's: it is unique to the
	 * role, as an instance profile's would be. */
	char updated[CLOCK_ISO8601_SIZE];
	clock_format_iso8601(s->credentials->last_updated_s, updated);
	size_t id_len = strcspn(result->assumed_role_id, ":");
	b = (struct buf){0};
	buf_printf(&b,
		   "{\n  \"Code\" : \"Success\",\n  \"LastUpdated\" : \"%s\",\n"
		   "  \"InstanceProfileArn\" : \"%s\",\n  \"InstanceProfileId\" : \"%.*s\"\n}",
		   updated, s->role_arn, (int)id_len, result->assumed_role_id);
	len = b.len;
	free(s->info_document);
	s->info_document = buf_steal(&b);
	s->info_document_len = s->info_document ? len : 0;
}

static void succeeded(struct session *s, const struct sts_result *result, int64_t now_ms,
		      int64_t wall_s, uint32_t random)
{
	credentials_unref(s->credentials);
	s->credentials = credentials_ref(result->credentials);
	s->issued_ms = now_ms;
	s->failures = 0;
	s->last_refresh_s = wall_s;
	s->next_ms = renewal_ms(now_ms, s->credentials->expires_ms, random);
	build_documents(s, result);
}

void session_finished(struct session *s, const struct sts_result *result, int64_t now_ms,
		      int64_t wall_s, uint32_t random)
{
	s->in_flight = false;
	s->last_class = result->class;
	s->last_attempt_s = wall_s;
	snprintf(s->last_code, sizeof(s->last_code), "%s", result->code);
	snprintf(s->last_message, sizeof(s->last_message), "%s", result->message);
	snprintf(s->last_request_id, sizeof(s->last_request_id), "%s", result->request_id);
	if (result->class == STS_OK) {
		succeeded(s, result, now_ms, wall_s, random);
		return;
	}
	s->failures++;
	if (result->class == STS_DENIED)
		s->next_ms = now_ms + backoff_ms(s->failures, DENIED_WINDOW_MIN_MS,
						 DENIED_WINDOW_MAX_MS, random);
	else
		s->next_ms = now_ms + backoff_ms(s->failures, RETRY_WINDOW_MIN_MS,
						 RETRY_WINDOW_MAX_MS, random);
}
