#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/session_pool.h"

#define HOUR_MS (3600 * 1000)
#define ROLE "arn:aws:iam::123456789012:role/web"
#define OTHER "arn:aws:iam::123456789012:role/other"

static void finish(struct session_pool *pool, struct session *s, enum sts_class class,
		   int64_t now_ms)
{
	struct sts_result result = {.class = class};

	if (class == STS_OK) {
		result.credentials = credentials_new();
		assert_int_equal(credentials_set_keys(result.credentials, "ASIA1", "secret", "t"),
				 0);
		result.credentials->expires_ms = now_ms + HOUR_MS;
	} else {
		strcpy(result.code, "Code");
	}
	session_pool_finished(pool, s, &result, now_ms, 1700000000, UINT32_MAX);
	sts_result_deinit(&result);
}

static struct session *next(struct session_pool *pool, int64_t now_ms)
{
	int64_t wait_ms;

	return session_pool_next(pool, now_ms, &wait_ms);
}

static void test_shared(void **state)
{
	struct session_pool pool;

	(void)state;
	session_pool_init(&pool, 4, 100, 0);
	struct session *a = session_pool_acquire(&pool, "a", ROLE, 0);
	assert_ptr_equal(session_pool_acquire(&pool, "a", ROLE, 0), a);
	struct session *b = session_pool_acquire(&pool, "b", ROLE, 0);
	assert_ptr_not_equal(a, b);
	assert_int_equal(pool.n_sessions, 2);

	/* Let go while its call is out: kept until that comes back. */
	assert_ptr_equal(next(&pool, 0), a);
	assert_ptr_equal(next(&pool, 0), b);
	assert_null(next(&pool, 0)); /* never twice */
	session_pool_release(&pool, a);
	session_pool_release(&pool, a);
	assert_int_equal(pool.n_sessions, 2);
	/* Taken up again meanwhile: the same call serves it. */
	assert_ptr_equal(session_pool_acquire(&pool, "a", ROLE, 0), a);
	session_pool_release(&pool, a);
	finish(&pool, a, STS_OK, 0);
	assert_int_equal(pool.n_sessions, 1);
	session_pool_release(&pool, b);
	finish(&pool, b, STS_RETRY, 0);
	assert_int_equal(pool.n_sessions, 0);
	assert_null(pool.by_request);
	assert_null(pool.roles);
	session_pool_deinit(&pool);
}

static void test_order(void **state)
{
	struct session_pool pool;

	(void)state;
	session_pool_init(&pool, 100, 100, 0);
	struct session *a = session_pool_acquire(&pool, "a", ROLE, 0);
	struct session *b = session_pool_acquire(&pool, "b", ROLE, 1);
	struct session *c = session_pool_acquire(&pool, "c", ROLE, 2);
	struct session *d = session_pool_acquire(&pool, "d", OTHER, 3);
	session_wait(c, 3);
	assert_ptr_equal(next(&pool, 10), c); /* someone waits */
	assert_ptr_equal(next(&pool, 10), d); /* the other role's turn */
	assert_ptr_equal(next(&pool, 10), a); /* due longest */
	assert_ptr_equal(next(&pool, 10), b);
	finish(&pool, a, STS_OK, 10);
	finish(&pool, b, STS_RETRY, 10);
	a->asked = true;
	/* Renewals go after those without credentials, however long they have been due. */
	b->next_ms = HOUR_MS / 2 + 5;
	assert_ptr_equal(next(&pool, HOUR_MS / 2 + 10), b);
	assert_ptr_equal(next(&pool, HOUR_MS / 2 + 10), a);
	session_pool_deinit(&pool);
}

/* A role with a thousand containers, and one with a single one that comes last. */
static void test_fairness(void **state)
{
	struct session_pool pool;
	char request[16];

	(void)state;
	session_pool_init(&pool, 1, 10000, 0);
	for (int i = 0; i < 1000; i++) {
		snprintf(request, sizeof(request), "%d", i);
		session_wait(session_pool_acquire(&pool, request, ROLE, 0), 0);
	}
	struct session *s = next(&pool, 1);
	struct session *late = session_pool_acquire(&pool, "late", OTHER, 1);
	session_wait(late, 1);
	finish(&pool, s, STS_OK, 2);
	assert_ptr_equal(next(&pool, 2), late);
	session_pool_deinit(&pool);
}

static void test_burst_and_rate(void **state)
{
	struct session_pool pool;
	char request[16];
	int64_t wait_ms;
	unsigned n = 0;

	(void)state;
	session_pool_init(&pool, 1000, 10, 0);
	for (int i = 0; i < 300; i++) {
		snprintf(request, sizeof(request), "%d", i);
		session_pool_acquire(&pool, request, ROLE, 0);
	}
	while (session_pool_next(&pool, 0, &wait_ms))
		n++;
	assert_int_equal(n, 10 * SESSION_POOL_BURST_S);
	assert_in_range(wait_ms, 99, 102);
	for (int64_t t = 0; t <= 10000; t += 10)
		while (session_pool_next(&pool, t, &wait_ms))
			n++;
	assert_in_range(n, 199, 201);
	assert_int_equal(pool.in_flight, n);
	session_pool_configure(&pool, n, 1000, 10000);
	assert_null(next(&pool, 20000)); /* as many in flight as may be */
	session_pool_deinit(&pool);
}

static void test_throttling(void **state)
{
	struct session_pool pool;
	struct session *s[3];

	(void)state;
	session_pool_init(&pool, 10, 100, 0);
	for (int i = 0; i < 3; i++) {
		char request[] = {(char)('a' + i), 0};
		s[i] = session_pool_acquire(&pool, request, ROLE, 0);
		assert_ptr_equal(next(&pool, 0), s[i]);
	}
	/* One lowering for what was sent together: to what has been taken, here nothing yet. */
	finish(&pool, s[0], STS_THROTTLED, 10);
	finish(&pool, s[1], STS_THROTTLED, 11);
	assert_int_equal((int)(pool.rate * 10), 10);
	struct session_pool_view view = session_pool_view(&pool, 11);
	assert_true(view.throttled);
	assert_false(view.outage);
	/* Answers raise it, slowly. */
	finish(&pool, s[2], STS_OK, 20);
	assert_in_range((int)(pool.rate * 10), 11, 13);
	/* After a minute without throttling the configured rate is back. */
	view = session_pool_view(&pool, 60011);
	assert_false(view.throttled);
	assert_int_equal((int)view.rate, 100);
	assert_int_equal(pool.calls[STS_THROTTLED], 2);
	session_pool_deinit(&pool);
}

static void test_outage(void **state)
{
	struct session_pool pool;
	struct session *s[10], *probe;
	int64_t wait_ms;

	(void)state;
	session_pool_init(&pool, 10, 100, 0);
	for (int i = 0; i < 10; i++) {
		char request[] = {(char)('a' + i), 0};
		s[i] = session_pool_acquire(&pool, request, ROLE, 0);
		assert_ptr_equal(next(&pool, 0), s[i]);
	}
	for (int i = 0; i < 10; i++) {
		finish(&pool, s[i], STS_RETRY, 0);
		assert_int_equal(session_pool_view(&pool, 0).outage, i >= SESSION_POOL_OUTAGE - 1);
	}
	/* One probe at a time, whoever is due. */
	int64_t now_ms = 60000;
	probe = session_pool_next(&pool, now_ms, &wait_ms);
	assert_non_null(probe);
	assert_null(session_pool_next(&pool, now_ms, &wait_ms));
	assert_int_equal(wait_ms, -1);
	finish(&pool, probe, STS_RETRY, now_ms);
	assert_null(session_pool_next(&pool, now_ms, &wait_ms));
	assert_in_range(wait_ms, 7000, 15000);
	/* Someone who waits need not wait that long. */
	session_wait(s[0] == probe ? s[1] : s[0], now_ms);
	assert_null(session_pool_next(&pool, now_ms + 1, &wait_ms));
	assert_in_range(wait_ms, 1, 2000);
	now_ms += 2001;
	probe = session_pool_next(&pool, now_ms, &wait_ms);
	assert_non_null(probe);
	/* The first answer, even a refusal, ends it; all are due, and go one after the other. */
	finish(&pool, probe, STS_DENIED, now_ms);
	struct session_pool_view view = session_pool_view(&pool, now_ms);
	assert_false(view.outage);
	assert_int_equal(view.queue, 9);
	assert_true(view.rate < 10);
	unsigned n = 0;
	while ((probe = next(&pool, now_ms)))
		n++;
	assert_in_range(n, 1, 2);
	session_pool_deinit(&pool);
}

/* After a reload: what was in the way may be mended, be it an outage or a denial. */
static void test_retry(void **state)
{
	struct session_pool pool;
	struct session *s[4];
	int64_t wait_ms, now_ms = 1000;

	(void)state;
	session_pool_init(&pool, 4, 100, 0);
	for (int i = 0; i < 4; i++) {
		char request[] = {(char)('a' + i), 0};
		s[i] = session_pool_acquire(&pool, request, ROLE, 0);
		assert_ptr_equal(next(&pool, 0), s[i]);
	}
	finish(&pool, s[0], STS_OK, now_ms);
	finish(&pool, s[1], STS_DENIED, now_ms);
	finish(&pool, s[2], STS_RETRY, now_ms);
	assert_null(session_pool_next(&pool, now_ms + 1, &wait_ms));
	session_pool_retry(&pool, now_ms + 1);
	/* Neither the valid one nor the one whose call is out. */
	assert_int_equal(session_pool_view(&pool, now_ms + 1).queue, 2);
	assert_non_null(next(&pool, now_ms + 1));
	assert_non_null(next(&pool, now_ms + 1));
	assert_null(next(&pool, now_ms + 1));
	assert_int_equal(session_pool_view(&pool, now_ms + 1).in_flight, 3);
	session_pool_deinit(&pool);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_shared),	   cmocka_unit_test(test_order),
		cmocka_unit_test(test_fairness),   cmocka_unit_test(test_burst_and_rate),
		cmocka_unit_test(test_throttling), cmocka_unit_test(test_outage),
		cmocka_unit_test(test_retry),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
