#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/token.h"

static const uint8_t master[TOKEN_KEY_SIZE] = {1, 2, 3};
static const uint8_t instance[TOKEN_INSTANCE_SIZE] = {4, 5, 6};

static void test_round_trip(void **state)
{
	uint8_t key[TOKEN_KEY_SIZE];
	char token[TOKEN_LEN + 1], other[TOKEN_LEN + 1];
	int64_t expires_ms;

	(void)state;
	assert_int_equal(token_container_key(master, "web-1", instance, key), 0);
	assert_int_equal(token_issue(key, 5000, 60, token), 0);
	assert_int_equal(strlen(token), TOKEN_LEN);
	assert_int_equal(token_issue(key, 5000, 60, other), 0);
	assert_string_not_equal(token, other);
	assert_int_equal(token_verify(key, token, TOKEN_LEN, 5000, &expires_ms), 0);
	assert_int_equal(expires_ms, 65000);
	assert_int_equal(token_verify(key, token, TOKEN_LEN, 64999, &expires_ms), 0);
	assert_int_equal(token_verify(key, token, TOKEN_LEN, 65000, &expires_ms), -ETIME);
}

static void test_forged(void **state)
{
	uint8_t key[TOKEN_KEY_SIZE];
	char token[TOKEN_LEN + 1];
	int64_t expires_ms;

	(void)state;
	assert_int_equal(token_container_key(master, "web-1", instance, key), 0);
	assert_int_equal(token_issue(key, 5000, 60, token), 0);
	for (size_t i = 0; i < TOKEN_LEN; i++) {
		char c = token[i];
		token[i] = c == 'A' ? 'B' : 'A';
		assert_int_equal(token_verify(key, token, TOKEN_LEN, 5000, &expires_ms), -EACCES);
		token[i] = c;
	}
	assert_int_equal(token_verify(key, token, TOKEN_LEN - 1, 5000, &expires_ms), -EACCES);
	assert_int_equal(token_verify(key, "", 0, 5000, &expires_ms), -EACCES);
	token[3] = '=';
	assert_int_equal(token_verify(key, token, TOKEN_LEN, 5000, &expires_ms), -EACCES);
}

static void test_bound_to_container_and_registration(void **state)
{
	static const uint8_t later[TOKEN_INSTANCE_SIZE] = {4, 5, 7};
	uint8_t key[TOKEN_KEY_SIZE], other[TOKEN_KEY_SIZE];
	char token[TOKEN_LEN + 1];
	int64_t expires_ms;

	(void)state;
	assert_int_equal(token_container_key(master, "web-1", instance, key), 0);
	assert_int_equal(token_issue(key, 5000, 60, token), 0);
	assert_int_equal(token_container_key(master, "web-2", instance, other), 0);
	assert_int_equal(token_verify(other, token, TOKEN_LEN, 5000, &expires_ms), -EACCES);
	assert_int_equal(token_container_key(master, "web-1", later, other), 0);
	assert_int_equal(token_verify(other, token, TOKEN_LEN, 5000, &expires_ms), -EACCES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_forged),
		cmocka_unit_test(test_bound_to_container_and_registration),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
