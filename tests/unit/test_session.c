#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/session_pool.h"

#define HOUR_MS (3600 * 1000)
#define ROLE "arn:aws:iam::123456789012:role/web"

/* One answer of STS: class, and for STS_OK when the credentials expire. */
static void finish(struct session_pool *pool, struct session *s, enum sts_class class,
		   int64_t now_ms, int64_t life_ms, uint32_t random)
{
	struct sts_result result = {.class = class};

	if (class == STS_OK) {
		result.credentials = credentials_new();
		result.credentials->access_key_id = strdup("ASIA1");
		result.credentials->secret_access_key = strdup("secret");
		result.credentials->session_token = strdup("token");
		result.credentials->expires_ms = now_ms + life_ms;
		result.credentials->expiration_s = 1800000000;
	} else {
		strcpy(result.code, "Code");
	}
	session_pool_finished(pool, s, &result, now_ms, 1700000000, random);
	sts_result_deinit(&result);
}

static void test_life(void **state)
{
	struct session_pool pool;
	int64_t wait_ms;

	(void)state;
	session_pool_init(&pool, 4, 100, 0);
	struct session *s = session_pool_acquire(&pool, "a", ROLE, 0);
	assert_int_equal(session_state(s, 0), SESSION_PENDING);
	assert_ptr_equal(session_pool_next(&pool, 0, &wait_ms), s);
	assert_null(session_pool_next(&pool, 0, &wait_ms)); /* one in flight at most */
	assert_int_equal(wait_ms, -1);
	finish(&pool, s, STS_OK, 100, HOUR_MS, UINT32_MAX / 2);
	assert_int_equal(session_state(s, 200), SESSION_READY);
	assert_non_null(s->imds_document);

	/* Renewal: at half of its life, give or take a tenth. */
	assert_null(session_pool_next(&pool, 100, &wait_ms));
	assert_in_range(wait_ms, HOUR_MS / 2 - HOUR_MS / 10, HOUR_MS / 2 + HOUR_MS / 10);
	int64_t renewal = 100 + wait_ms;
	assert_ptr_equal(session_pool_next(&pool, renewal, &wait_ms), s);

	/* It fails, whatever the reason: what is valid stays. */
	finish(&pool, s, STS_RETRY, renewal, 0, UINT32_MAX / 2);
	assert_int_equal(session_state(s, renewal), SESSION_READY);
	assert_string_equal(s->credentials->access_key_id, "ASIA1");
	assert_ptr_equal(session_pool_next(&pool, renewal + 60000, &wait_ms), s);
	finish(&pool, s, STS_DENIED, renewal + 60000, 0, UINT32_MAX / 2);
	assert_int_equal(session_state(s, renewal + 60000), SESSION_READY);

	/* Once expired, the last error shows; and it heals. */
	assert_int_equal(session_state(s, 100 + HOUR_MS), SESSION_DENIED);
	assert_ptr_equal(session_pool_next(&pool, 100 + HOUR_MS, &wait_ms), s);
	finish(&pool, s, STS_RETRY, 100 + HOUR_MS, 0, 0);
	assert_int_equal(session_state(s, 100 + HOUR_MS), SESSION_FAILING);
	assert_ptr_equal(session_pool_next(&pool, 2 * HOUR_MS, &wait_ms), s);
	finish(&pool, s, STS_OK, 2 * HOUR_MS, HOUR_MS, 0);
	assert_int_equal(session_state(s, 2 * HOUR_MS), SESSION_READY);
	session_pool_release(&pool, s);
	assert_int_equal(pool.n_sessions, 0);
	session_pool_deinit(&pool);
}

static void test_backoff(void **state)
{
	struct session_pool pool;
	int64_t wait_ms, now_ms = 0, window = 1000;

	(void)state;
	session_pool_init(&pool, 4, 100, 0);
	struct session *s = session_pool_acquire(&pool, "a", ROLE, 0);
	for (int i = 0; i < 12; i++) {
		assert_ptr_equal(session_pool_next(&pool, now_ms, &wait_ms), s);
		finish(&pool, s, STS_RETRY, now_ms, 0, UINT32_MAX);
		assert_null(session_pool_next(&pool, now_ms, &wait_ms));
		assert_in_range(wait_ms, window - 1, window);
		now_ms += wait_ms;
		window = window * 2 > 60000 ? 60000 : window * 2;
	}
	/* Full jitter: the other end of the window is (almost) at once. */
	assert_ptr_equal(session_pool_next(&pool, now_ms, &wait_ms), s);
	finish(&pool, s, STS_RETRY, now_ms, 0, 0);
	assert_null(session_pool_next(&pool, now_ms, &wait_ms));
	assert_int_equal(wait_ms, 100);
	session_pool_deinit(&pool);
}

static void test_shared(void **state)
{
	struct session_pool pool;
	int64_t wait_ms;

	(void)state;
	session_pool_init(&pool, 4, 100, 0);
	struct session *a = session_pool_acquire(&pool, "a", ROLE, 0);
	assert_ptr_equal(session_pool_acquire(&pool, "a", ROLE, 0), a);
	struct session *b = session_pool_acquire(&pool, "b", ROLE, 0);
	assert_ptr_not_equal(a, b);
	assert_int_equal(pool.n_sessions, 2);

	/* Let go while its call is out: kept until that comes back. */
	assert_non_null(session_pool_next(&pool, 0, &wait_ms));
	session_pool_release(&pool, a);
	session_pool_release(&pool, a);
	assert_int_equal(pool.n_sessions, 2);
	finish(&pool, a, STS_OK, 0, HOUR_MS, 0);
	assert_int_equal(pool.n_sessions, 1);
	session_pool_deinit(&pool);
}

static void test_order_and_limits(void **state)
{
	struct session_pool pool;
	int64_t wait_ms;

	(void)state;
	session_pool_init(&pool, 2, 10, 0);
	struct session *a = session_pool_acquire(&pool, "a", ROLE, 0);
	struct session *b = session_pool_acquire(&pool, "b", ROLE, 1);
	struct session *c = session_pool_acquire(&pool, "c", ROLE, 2);
	c->waiters = 1;
	assert_ptr_equal(session_pool_next(&pool, 10, &wait_ms), c); /* someone waits */
	assert_ptr_equal(session_pool_next(&pool, 10, &wait_ms), a); /* longest due */
	assert_null(session_pool_next(&pool, 10, &wait_ms));	     /* two in flight */
	finish(&pool, c, STS_THROTTLED, 2000, 0, 0);
	assert_true(pool.rate <= 5.0);
	assert_null(session_pool_next(&pool, 2000, &wait_ms)); /* throttled: no tokens */
	assert_in_range(wait_ms, 1, 250);
	assert_non_null(session_pool_next(&pool, 2000 + wait_ms, &wait_ms));
	assert_true(b->in_flight || c->in_flight);
	session_pool_deinit(&pool);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_life),
		cmocka_unit_test(test_backoff),
		cmocka_unit_test(test_shared),
		cmocka_unit_test(test_order_and_limits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
