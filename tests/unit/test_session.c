#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/session.h"

#define SECOND 1000LL
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)
#define ROLE "arn:aws:iam::123456789012:role/web"

/* An answer of STS: its class, and for STS_OK when the credentials expire. */
static void finish_session(struct session *s, enum sts_class class, bool troubled, int64_t now_ms,
			   int64_t life_ms, uint32_t random)
{
	struct sts_result result = {.class = class};

	if (class == STS_OK) {
		result.credentials = credentials_new();
		assert_int_equal(credentials_set_keys(result.credentials, "ASIA1", "secret", "t"),
				 0);
		result.credentials->expires_ms = now_ms + life_ms;
		result.credentials->expiration_s = 1800000000;
	} else {
		strcpy(result.code, "Code");
		strcpy(result.message, "STS's words");
	}
	session_finished(s, &result, troubled, now_ms, 1700000000, random);
	sts_result_deinit(&result);
}

static void finish(struct session *s, enum sts_class class, int64_t now_ms, int64_t life_ms)
{
	finish_session(s, class, false, now_ms, life_ms, UINT32_MAX / 2);
}

/* Every state with every answer: what it becomes, at once and once the credentials have expired. */
static const struct {
	enum session_state from;
	enum sts_class answer;
	enum session_state at_once, expired;
} transitions[] = {
	{SESSION_PENDING, STS_OK, SESSION_READY, SESSION_FAILING},
	{SESSION_PENDING, STS_RETRY, SESSION_FAILING, SESSION_FAILING},
	{SESSION_PENDING, STS_THROTTLED, SESSION_FAILING, SESSION_FAILING},
	{SESSION_PENDING, STS_BASE_EXPIRED, SESSION_FAILING, SESSION_FAILING},
	{SESSION_PENDING, STS_SKEW, SESSION_FAILING, SESSION_FAILING},
	{SESSION_PENDING, STS_DENIED, SESSION_DENIED, SESSION_DENIED},
	{SESSION_READY, STS_OK, SESSION_READY, SESSION_FAILING},
	{SESSION_READY, STS_RETRY, SESSION_STALE, SESSION_FAILING},
	{SESSION_READY, STS_THROTTLED, SESSION_STALE, SESSION_FAILING},
	{SESSION_READY, STS_BASE_EXPIRED, SESSION_STALE, SESSION_FAILING},
	{SESSION_READY, STS_SKEW, SESSION_STALE, SESSION_FAILING},
	{SESSION_READY, STS_DENIED, SESSION_STALE, SESSION_DENIED},
	{SESSION_STALE, STS_OK, SESSION_READY, SESSION_FAILING},
	{SESSION_STALE, STS_RETRY, SESSION_STALE, SESSION_FAILING},
	{SESSION_STALE, STS_DENIED, SESSION_STALE, SESSION_DENIED},
	{SESSION_FAILING, STS_OK, SESSION_READY, SESSION_FAILING},
	{SESSION_FAILING, STS_RETRY, SESSION_FAILING, SESSION_FAILING},
	{SESSION_FAILING, STS_DENIED, SESSION_DENIED, SESSION_DENIED},
	{SESSION_DENIED, STS_OK, SESSION_READY, SESSION_FAILING},
	{SESSION_DENIED, STS_RETRY, SESSION_FAILING, SESSION_FAILING},
	{SESSION_DENIED, STS_DENIED, SESSION_DENIED, SESSION_DENIED},
};

static struct session *session_in(enum session_state state, int64_t now_ms)
{
	struct session *s = session_new("a", ROLE, now_ms);

	if (state == SESSION_READY || state == SESSION_STALE) {
		session_started(s);
		finish(s, STS_OK, now_ms, HOUR);
	}
	if (state == SESSION_STALE || state == SESSION_FAILING || state == SESSION_DENIED) {
		session_started(s);
		finish(s, state == SESSION_DENIED ? STS_DENIED : STS_RETRY, now_ms, 0);
	}
	assert_int_equal(session_state(s, now_ms), state);
	return s;
}

static void test_transitions(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(transitions) / sizeof(transitions[0]); i++) {
		struct session *s = session_in(transitions[i].from, 1000);
		bool valid = session_valid(s, 1000);
		session_started(s);
		if (transitions[i].from == SESSION_READY)
			assert_int_equal(session_state(s, 1000), SESSION_RENEWING);
		finish(s, transitions[i].answer, 1000, HOUR);
		assert_int_equal(session_state(s, 1000), transitions[i].at_once);
		assert_int_equal(session_state(s, 1000 + 2 * HOUR), transitions[i].expired);
		/* What was valid is valid still, and every state goes on trying. */
		if (valid)
			assert_true(session_valid(s, 1000));
		assert_true(s->next_ms > 1000 && s->next_ms < 1000 + HOUR);
		session_free(s);
	}
}

static void test_names(void **state)
{
	(void)state;
	assert_string_equal(session_state_name(SESSION_RENEWING), "ready");
	assert_string_equal(session_state_name(SESSION_STALE), "ready");
	assert_string_equal(session_state_name(SESSION_DENIED), "denied");
	assert_string_equal(session_state_detail(SESSION_STALE), "stale");
}

/* When a session is renewed, by its life, whether anyone asks, and how STS has been. */
static const struct {
	int64_t life_ms;
	bool asked, troubled;
	int64_t earliest_ms, latest_ms;
} renewals[] = {
	{HOUR, true, false, 24 * MINUTE, 30 * MINUTE},
	{HOUR, true, true, 18 * MINUTE, 24 * MINUTE},
	{HOUR, false, false, 30 * MINUTE, 33 * MINUTE},
	{HOUR, false, true, 30 * MINUTE, 33 * MINUTE},
	{12 * HOUR, true, false, 288 * MINUTE, 6 * HOUR},
	{12 * HOUR, false, false, 690 * MINUTE, 693 * MINUTE},
	/* Too short to wait for the idle moment. */
	{15 * MINUTE, false, false, 6 * MINUTE, 450 * SECOND},
	{15 * MINUTE, true, false, 6 * MINUTE, 450 * SECOND},
	{6 * SECOND, true, false, 2400, 3000},
};

static void test_renewal(void **state)
{
	static const uint32_t draws[] = {0, UINT32_MAX / 3, UINT32_MAX};

	(void)state;
	for (size_t i = 0; i < sizeof(renewals) / sizeof(renewals[0]); i++) {
		for (size_t k = 0; k < 3; k++) {
			struct session *s = session_new("a", ROLE, 0);
			int64_t now_ms = 0;
			session_started(s);
			finish_session(s, STS_OK, renewals[i].troubled, 0, renewals[i].life_ms,
				       draws[k]);
			assert_false(s->asked);
			s->asked = renewals[i].asked;
			while (!session_due(s, now_ms))
				now_ms = s->next_ms;
			assert_in_range(now_ms, renewals[i].earliest_ms, renewals[i].latest_ms);
			if (renewals[i].life_ms >= HOUR)
				assert_true(renewals[i].life_ms - now_ms >= 27 * MINUTE);
			session_free(s);
		}
	}
}

/* A renewal after failures: the next one comes early. */
static void test_renewal_after_failures(void **state)
{
	(void)state;
	struct session *s = session_in(SESSION_STALE, 0);
	session_started(s);
	finish(s, STS_OK, 0, HOUR);
	s->asked = true;
	assert_in_range(s->next_ms, 18 * MINUTE, 24 * MINUTE);
	session_free(s);
}

/* How long the nth retry in a row may take at most. */
static const struct {
	enum sts_class class;
	int64_t left_ms; /* of valid credentials; 0: none */
	unsigned waiters;
	unsigned nth;
	int64_t window_ms;
} retries[] = {
	{STS_RETRY, 0, 0, 1, 1000},
	{STS_RETRY, 0, 0, 2, 2000},
	{STS_RETRY, 0, 0, 6, 32 * SECOND},
	{STS_RETRY, 0, 0, 7, 60 * SECOND},
	{STS_RETRY, 0, 0, 1000, 60 * SECOND},
	{STS_RETRY, 0, 1, 1, 1000},
	{STS_RETRY, 0, 1, 10, 2000},
	{STS_RETRY, 30 * MINUTE, 0, 1, 1000},
	{STS_RETRY, 30 * MINUTE, 0, 20, 5 * MINUTE},
	{STS_RETRY, 8 * MINUTE, 0, 20, 2 * MINUTE},
	{STS_RETRY, 20 * SECOND, 0, 20, 5 * SECOND},
	{STS_DENIED, 0, 0, 1, 15 * SECOND},
	{STS_DENIED, 0, 0, 20, 5 * MINUTE},
	{STS_DENIED, 8 * MINUTE, 0, 20, 2 * MINUTE},
	{STS_THROTTLED, 0, 0, 1, 1000},
	{STS_THROTTLED, 0, 0, 20, 1000},
	{STS_BASE_EXPIRED, 0, 0, 20, 60 * SECOND},
	{STS_SKEW, 0, 0, 20, 60 * SECOND},
};

static void test_retries(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(retries) / sizeof(retries[0]); i++) {
		struct session *s = session_new("a", ROLE, 0);
		int64_t now_ms = HOUR;
		if (retries[i].left_ms > 0) {
			session_started(s);
			finish(s, STS_OK, 0, HOUR + retries[i].left_ms);
		}
		s->waiters = retries[i].waiters;
		for (unsigned n = 0; n < retries[i].nth; n++) {
			session_started(s);
			finish_session(s, retries[i].class, false, now_ms, 0, UINT32_MAX);
		}
		assert_in_range(s->next_ms - now_ms, retries[i].window_ms - 1,
				retries[i].window_ms);
		/* Full jitter: the other end of the window is almost at once. */
		session_started(s);
		finish_session(s, retries[i].class, false, now_ms, 0, 0);
		assert_int_equal(s->next_ms - now_ms, 100);
		session_free(s);
	}
}

static void test_expired_on_arrival(void **state)
{
	(void)state;
	struct session *s = session_in(SESSION_READY, 0);
	session_started(s);
	finish(s, STS_OK, MINUTE, -1);
	assert_int_equal(session_state(s, MINUTE), SESSION_STALE);
	assert_string_equal(s->last_code, "BadReply");
	assert_true(session_valid(s, 59 * MINUTE));
	session_free(s);
}

static void test_refresh(void **state)
{
	(void)state;
	struct session *s = session_in(SESSION_DENIED, 0);
	session_refresh(s, 10);
	assert_true(session_due(s, 10));
	session_started(s);
	/* Again while the call is out, which may have left too early: if it fails, another. */
	session_refresh(s, 20);
	assert_false(session_due(s, 20));
	finish(s, STS_DENIED, 30, 0);
	assert_true(session_due(s, 30));
	session_started(s);
	finish(s, STS_DENIED, 40, 0);
	assert_false(session_due(s, 40));
	/* One that nobody asks for is refreshed just so. */
	session_refresh(s, 50);
	session_started(s);
	finish(s, STS_OK, 60, HOUR);
	assert_false(s->wanted);
	session_refresh(s, 70);
	assert_true(session_due(s, 70));
	session_free(s);
}

/* Someone comes to wait for a session that is between two retries. */
static void test_wait(void **state)
{
	(void)state;
	struct session *s = session_in(SESSION_DENIED, 0);
	assert_true(s->next_ms > 3000);
	session_wait(s, 1000); /* it was tried just now */
	assert_false(session_due(s, 1000));
	assert_true(session_due(s, 3000));
	session_unwait(s);
	s->next_ms = HOUR;
	session_wait(s, 3000);
	assert_true(session_due(s, 3000));
	assert_int_equal(s->waiters, 1);
	session_free(s);

	s = session_in(SESSION_READY, 0);
	session_wait(s, 10 * SECOND); /* no reason to call STS */
	assert_true(s->next_ms >= 24 * MINUTE);
	session_free(s);
}

/* STS answers again after an outage: who comes when. */
static void test_hasten(void **state)
{
	(void)state;
	struct session *s = session_in(SESSION_FAILING, 0);
	session_hasten(s, 10, 5000);
	assert_int_equal(s->next_ms, 10);
	session_free(s);

	s = session_in(SESSION_STALE, 0);
	s->next_ms = 45 * MINUTE;
	session_hasten(s, 30 * MINUTE, 5000); /* 30 minutes left: no hurry */
	assert_int_equal(s->next_ms, 45 * MINUTE);
	session_hasten(s, 41 * MINUTE, 5000); /* 19 */
	assert_int_equal(s->next_ms, 41 * MINUTE + 5000);
	session_hasten(s, 41 * MINUTE, 9000); /* never later than it was */
	assert_int_equal(s->next_ms, 41 * MINUTE + 5000);
	session_free(s);

	s = session_in(SESSION_DENIED, 0);
	int64_t next_ms = s->next_ms;
	session_hasten(s, 10, 0);
	assert_int_equal(s->next_ms, next_ms);
	session_free(s);
}

static void test_documents(void **state)
{
	(void)state;
	struct session *s = session_in(SESSION_READY, 0);
	assert_non_null(s->imds_document);
	session_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_transitions), cmocka_unit_test(test_names),
		cmocka_unit_test(test_renewal),	    cmocka_unit_test(test_renewal_after_failures),
		cmocka_unit_test(test_retries),	    cmocka_unit_test(test_expired_on_arrival),
		cmocka_unit_test(test_refresh),	    cmocka_unit_test(test_wait),
		cmocka_unit_test(test_hasten),	    cmocka_unit_test(test_documents),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
