#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/handover.h"

#define NOW 1000000

static const uint8_t master[TOKEN_KEY_SIZE] = "0123456789abcdef0123456789abcdef";
static const uint8_t other[TOKEN_KEY_SIZE] = "0123456789abcdef0123456789abcdeF";

/* A pool with sessions "a", "b", of which those in `with` have credentials. */
static void fill(struct session_pool *pool, const char *with)
{
	session_pool_init(pool, 8, 100, NOW);
	for (const char *name = "a"; name; name = name[0] == 'a' ? "b" : NULL) {
		struct session *s = session_pool_acquire(pool, name, "arn:role", NOW);
		assert_non_null(s);
		if (!strchr(with, name[0]))
			continue;
		struct sts_result result = {.class = STS_OK, .assumed_role_id = "AROA:x"};
		result.credentials = credentials_new();
		char id[] = "ASIA?";
		id[4] = name[0];
		assert_int_equal(credentials_set_keys(result.credentials, id, "secret", "token"),
				 0);
		result.credentials->expires_ms = NOW + 3600000;
		result.credentials->expiration_s = 4242;
		session_finished(s, &result, false, NOW, 17, 0);
		credentials_unref(result.credentials);
	}
}

static void seal(struct session_pool *pool, int64_t now_ms, struct buf *out)
{
	struct handover h;
	struct session *s;

	assert_int_equal(handover_seal(&h, master, out), 0);
	TAILQ_FOREACH (s, &pool->sessions, link)
		assert_int_equal(handover_put(&h, s, now_ms, out), 0);
	handover_deinit(&h);
	assert_true(buf_ok(out));
}

/* How many sessions got something, or what went wrong. */
static int restore(const struct buf *sealed, const uint8_t *key, struct session_pool *pool)
{
	const uint8_t *at = (const uint8_t *)sealed->data;
	const uint8_t *end = at + sealed->len;
	struct handover h;
	int given = 0;

	int r = handover_open(&h, key, at);
	at += HANDOVER_HEADER_SIZE;
	while (r >= 0 && at < end) {
		uint32_t len;
		memcpy(&len, at, sizeof(len));
		r = handover_take(&h, at + sizeof(len), len, pool, NOW);
		at += sizeof(len) + len;
		given += r > 0;
	}
	handover_deinit(&h);
	return r < 0 ? r : given;
}

static void test_round_trip(void **state)
{
	struct session_pool from, to;
	_cleanup_buf_ struct buf sealed = {0};

	(void)state;
	fill(&from, "ab");
	fill(&to, "");
	seal(&from, NOW, &sealed);
	assert_null(memmem(sealed.data, sealed.len, "secret", 6));
	assert_null(memmem(sealed.data, sealed.len, "ASIA", 4));
	assert_int_equal(restore(&sealed, master, &to), 2);
	struct session *was = session_pool_find(&from, "b"), *is = session_pool_find(&to, "b");
	assert_string_equal(is->credentials->access_key_id, "ASIAb");
	assert_string_equal(is->credentials->secret_access_key, "secret");
	assert_string_equal(is->credentials->session_token, "token");
	assert_string_equal(is->imds_document, was->imds_document);
	assert_string_equal(is->info_document, was->info_document);
	assert_int_equal(is->next_ms, was->next_ms);
	assert_int_equal(is->last_refresh_s, 17);
	assert_int_equal(session_state(is, NOW), SESSION_READY);
	session_pool_deinit(&from);
	session_pool_deinit(&to);
}

static void test_only_to_whom_it_belongs(void **state)
{
	struct session_pool from, to;
	_cleanup_buf_ struct buf sealed = {0}, late = {0};

	(void)state;
	fill(&from, "ab");
	fill(&to, "a");
	struct credentials *newer = session_pool_find(&to, "a")->credentials;
	seal(&from, NOW, &sealed);
	/* Someone unregistered b; a has its own by now. */
	session_pool_release(&to, session_pool_find(&to, "b"));
	assert_int_equal(restore(&sealed, master, &to), 0);
	assert_ptr_equal(session_pool_find(&to, "a")->credentials, newer);
	/* What has expired is not handed over. */
	seal(&from, NOW + 3600000, &late);
	assert_int_equal(late.len, HANDOVER_HEADER_SIZE);
	session_pool_deinit(&from);
	session_pool_deinit(&to);
}

static void test_every_changed_byte_is_noticed(void **state)
{
	struct session_pool from, to;
	_cleanup_buf_ struct buf sealed = {0};

	(void)state;
	fill(&from, "a");
	fill(&to, "");
	seal(&from, NOW, &sealed);
	assert_int_equal(restore(&sealed, other, &to), -EBADMSG);
	for (size_t i = 0; i < sealed.len; i++) {
		if (i >= HANDOVER_HEADER_SIZE && i < HANDOVER_HEADER_SIZE + 4)
			continue; /* the length: its reader's business */
		sealed.data[i] ^= 1;
		assert_int_equal(restore(&sealed, master, &to), -EBADMSG);
		sealed.data[i] ^= 1;
	}
	assert_null(session_pool_find(&to, "a")->credentials);
	session_pool_deinit(&from);
	session_pool_deinit(&to);
}

static void test_records_in_another_order(void **state)
{
	struct session_pool from, to;
	struct handover h;
	_cleanup_buf_ struct buf sealed = {0};
	uint32_t len;

	(void)state;
	fill(&from, "ab");
	fill(&to, "");
	seal(&from, NOW, &sealed);
	const uint8_t *first = (const uint8_t *)sealed.data + HANDOVER_HEADER_SIZE;
	memcpy(&len, first, sizeof(len));
	const uint8_t *second = first + sizeof(len) + len;
	uint32_t second_len;
	memcpy(&second_len, second, sizeof(second_len));
	assert_int_equal(handover_open(&h, master, (const uint8_t *)sealed.data), 0);
	assert_int_equal(handover_take(&h, second + sizeof(len), second_len, &to, NOW), -EBADMSG);
	assert_int_equal(handover_take(&h, second, 3, &to, NOW), -EBADMSG);
	handover_deinit(&h);
	session_pool_deinit(&from);
	session_pool_deinit(&to);
}

static void test_content_that_is_cut(void **state)
{
	struct session_pool from, to;
	_cleanup_buf_ struct buf plain = {0};

	(void)state;
	fill(&from, "a");
	fill(&to, "");
	handover_print(session_pool_find(&from, "a"), &plain);
	for (size_t len = 0; len < plain.len; len++)
		assert_int_equal(handover_parse((uint8_t *)plain.data, len, &to, NOW), -EBADMSG);
	assert_int_equal(handover_parse((uint8_t *)plain.data, plain.len, &to, NOW), 1);
	session_pool_deinit(&from);
	session_pool_deinit(&to);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_only_to_whom_it_belongs),
		cmocka_unit_test(test_every_changed_byte_is_noticed),
		cmocka_unit_test(test_records_in_another_order),
		cmocka_unit_test(test_content_that_is_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
