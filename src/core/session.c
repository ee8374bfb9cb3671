#include "core/session.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Retry after transient failures: full jitter over a window that doubles from 1 s. */
#define RETRY_WINDOW_MIN_MS 1000
/* Without credentials: workloads suffer. */
#define RETRY_WINDOW_MAX_MS (60 * 1000)
/* With someone waiting for its registration, whose patience is 10 s by default. */
#define WAITED_WINDOW_MAX_MS 2000
/* With valid ones: a quarter of what they have left, and at most this. */
#define VALID_WINDOW_MAX_MS (5 * 60 * 1000)
/* After fatal failures: they need a person, but should heal without one more. */
#define DENIED_WINDOW_MIN_MS (15 * 1000)
#define DENIED_WINDOW_MAX_MS (5 * 60 * 1000)
/* After throttling: the pool slows down for all, so one session need not do so once more. */
#define THROTTLED_WINDOW_MS 1000
/* Full jitter may draw 0; a retry at once would be no backoff. */
#define RETRY_FLOOR_MS 100

/* Renewal, in percent of the life. */
#define RENEW_FROM 40
#define RENEW_FROM_TROUBLED 30
#define RENEW_SPREAD 10
/* What credentials that nobody asks for have left at their renewal. */
#define IDLE_LEFT_MIN_MS (27 * 60 * 1000)
#define IDLE_LEFT_SPREAD_MS (3 * 60 * 1000)

/* With this much left after an outage, credentials are renewed before they have 15 minutes left. */
#define HASTEN_LEFT_MS (20 * 60 * 1000)

/* An attempt that ended less than this ago answers for those who come now. */
#define FRESH_MS 2000

static const char *const state_details[N_SESSION_STATES] = {"pending", "ready",	  "renewing",
							    "stale",   "failing", "denied"};

const char *session_state_detail(enum session_state state)
{
	return state_details[state];
}

const char *session_state_name(enum session_state state)
{
	return state_details[state == SESSION_RENEWING || state == SESSION_STALE ? SESSION_READY
										 : state];
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
	free(s->last_message);
	free(s);
	return NULL;
}

bool session_valid(const struct session *s, int64_t now_ms)
{
	return s->credentials && s->credentials->expires_ms > now_ms;
}

enum session_state session_state(const struct session *s, int64_t now_ms)
{
	if (session_valid(s, now_ms)) {
		if (s->last_class != STS_OK)
			return SESSION_STALE;
		return s->in_flight ? SESSION_RENEWING : SESSION_READY;
	}
	switch (s->last_class) {
	case STS_OK: /* no attempt has failed: the first is out, or a renewal hangs */
		return s->credentials ? SESSION_FAILING : SESSION_PENDING;
	case STS_DENIED:
		return SESSION_DENIED;
	default:
		return SESSION_FAILING;
	}
}

bool session_due(struct session *s, int64_t now_ms)
{
	if (s->in_flight || s->next_ms > now_ms)
		return false;
	if (s->idle_ms <= now_ms || s->asked || s->wanted || s->waiters > 0)
		return true;
	s->next_ms = s->idle_ms;
	return false;
}

void session_started(struct session *s)
{
	s->in_flight = true;
	s->wanted = false;
	s->next_ms = INT64_MAX;
}

void session_refresh(struct session *s, int64_t now_ms)
{
	s->wanted = true;
	if (!s->in_flight)
		s->next_ms = now_ms;
}

void session_wait(struct session *s, int64_t now_ms)
{
	s->waiters++;
	if (s->in_flight || session_valid(s, now_ms) || s->next_ms <= now_ms)
		return;
	if (now_ms - s->last_attempt_ms >= FRESH_MS)
		s->next_ms = now_ms;
	else if (s->next_ms > now_ms + WAITED_WINDOW_MAX_MS)
		s->next_ms = now_ms + WAITED_WINDOW_MAX_MS;
}

void session_unwait(struct session *s)
{
	s->waiters--;
}

void session_hasten(struct session *s, int64_t now_ms, int64_t later_ms)
{
	if (s->in_flight || s->last_class == STS_DENIED)
		return;
	if (session_valid(s, now_ms)) {
		if (s->credentials->expires_ms - now_ms > HASTEN_LEFT_MS)
			return;
		now_ms += later_ms;
	}
	if (s->next_ms > now_ms)
		s->next_ms = now_ms;
}

/* A part of `span`, as `random` says. */
static int64_t part_of(int64_t span, uint32_t random)
{
	return (int64_t)((uint64_t)random * (uint64_t)span >> 32);
}

/* How long to wait after a failed attempt. */
static int64_t backoff_ms(const struct session *s, enum sts_class class, int64_t now_ms,
			  uint32_t random)
{
	int64_t window = class == STS_DENIED ? DENIED_WINDOW_MIN_MS : RETRY_WINDOW_MIN_MS;
	int64_t max = class == STS_DENIED ? DENIED_WINDOW_MAX_MS
		      : s->waiters > 0	  ? WAITED_WINDOW_MAX_MS
					  : RETRY_WINDOW_MAX_MS;

	if (session_valid(s, now_ms)) {
		int64_t quarter = (s->credentials->expires_ms - now_ms) / 4;
		max = quarter < VALID_WINDOW_MAX_MS ? quarter : VALID_WINDOW_MAX_MS;
	}
	for (unsigned i = 1; i < s->failures && window < max; i++)
		window *= 2;
	if (class == STS_THROTTLED)
		window = THROTTLED_WINDOW_MS;
	if (window > max)
		window = max;
	int64_t wait = part_of(window, random);
	return wait < RETRY_FLOOR_MS ? RETRY_FLOOR_MS : wait;
}

/* New credentials have come: plan their renewal. */
static void plan_renewal(struct session *s, bool troubled, int64_t now_ms, uint32_t random)
{
	int64_t expires_ms = s->credentials->expires_ms;
	int64_t life = expires_ms == INT64_MAX ? 86400 * 1000 : expires_ms - now_ms;
	int64_t from = life / 100 * (troubled ? RENEW_FROM_TROUBLED : RENEW_FROM);

	s->next_ms = now_ms + from + part_of(life / 100 * RENEW_SPREAD, random);
	s->idle_ms = now_ms + life - IDLE_LEFT_MIN_MS - part_of(IDLE_LEFT_SPREAD_MS, random);
}

static void build_imds_document(struct session *s)
{
	struct buf b = {0};

	credentials_print_imds(s->credentials, NULL, &b);
	size_t len = b.len;
	secret_free(s->imds_document);
	s->imds_document = buf_steal(&b);
	s->imds_document_len = s->imds_document ? len : 0;
}

static void build_documents(struct session *s, const struct sts_result *result)
{
	struct buf b = {0};

	build_imds_document(s);

	/* iam/info as EC2 prints it. The profile's id is the assumed role's: it is unique to the
	 * role, as an instance profile's would be. */
	char updated[CLOCK_ISO8601_SIZE];
	clock_format_iso8601(s->credentials->last_updated_s, updated);
	size_t id_len = strcspn(result->assumed_role_id, ":");
	buf_printf(&b,
		   "{\n  \"Code\" : \"Success\",\n  \"LastUpdated\" : \"%s\",\n"
		   "  \"InstanceProfileArn\" : \"%s\",\n  \"InstanceProfileId\" : \"%.*s\"\n}",
		   updated, s->role_arn, (int)id_len, result->assumed_role_id);
	size_t len = b.len;
	free(s->info_document);
	s->info_document = buf_steal(&b);
	s->info_document_len = s->info_document ? len : 0;
}

static uint64_t next_serial(void)
{
	static uint64_t serial;

	return ++serial;
}

int session_resume(struct session *s, const struct session_past *past, int64_t now_ms)
{
	char *info = strdup(past->info_document);

	if (!info)
		return -ENOMEM;
	s->credentials = credentials_ref(past->credentials);
	s->serial = next_serial();
	s->issued_ms = past->issued_ms;
	s->last_refresh_s = past->last_refresh_s;
	s->idle_ms = past->idle_ms;
	/* A call that was out there is not out here. */
	if (!s->in_flight)
		s->next_ms = past->next_ms == INT64_MAX ? now_ms : past->next_ms;
	free(s->info_document);
	s->info_document = info;
	s->info_document_len = strlen(info);
	build_imds_document(s);
	return 0;
}

static void succeeded(struct session *s, const struct sts_result *result, bool troubled,
		      int64_t now_ms, int64_t wall_s, uint32_t random)
{
	credentials_unref(s->credentials);
	s->credentials = credentials_ref(result->credentials);
	s->serial = next_serial();
	s->issued_ms = now_ms;
	s->last_refresh_s = wall_s;
	plan_renewal(s, troubled || s->failures > 0, now_ms, random);
	s->failures = 0;
	s->asked = false;
	s->wanted = false;
	build_documents(s, result);
}

static void failed(struct session *s, enum sts_class class, int64_t now_ms, uint32_t random)
{
	if (class != STS_THROTTLED)
		s->failures++;
	s->idle_ms = 0;
	s->next_ms = s->wanted ? now_ms : now_ms + backoff_ms(s, class, now_ms, random);
}

/* Rarely any: a session is spared the room for one. Out of memory, the code must do. */
static void set_message(struct session *s, const char *message)
{
	free(s->last_message);
	s->last_message = message[0] ? strndup(message, SESSION_MESSAGE_MAX) : NULL;
}

void session_finished(struct session *s, const struct sts_result *result, bool troubled,
		      int64_t now_ms, int64_t wall_s, uint32_t random)
{
	bool expired = result->class == STS_OK && result->credentials->expires_ms <= now_ms;

	s->in_flight = false;
	s->attempts++;
	s->last_class = expired ? STS_RETRY : result->class;
	s->last_attempt_ms = now_ms;
	s->last_attempt_s = wall_s;
	snprintf(s->last_code, sizeof(s->last_code), "%s", expired ? "BadReply" : result->code);
	set_message(s,
		    expired ? "STS gave credentials that have expired already" : result->message);
	snprintf(s->last_request_id, sizeof(s->last_request_id), "%s", result->request_id);
	if (s->last_class == STS_OK)
		succeeded(s, result, troubled, now_ms, wall_s, random);
	else
		failed(s, s->last_class, now_ms, random);
}
