#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <locale.h>
#include <time.h>

#include "util/clock.h"

#define N(a) (sizeof(a) / sizeof((a)[0]))
#define T1 1795554000 /* 2026-11-24T21:00:00Z, a Tuesday */

static void test_iso8601(void **state)
{
	static const struct {
		const char *text;
		int result;
		int64_t t;
	} cases[] = {
		{"2026-11-24T21:00:00Z", 0, T1},
		{"2026-11-24T21:00:00z", 0, T1},
		{"2026-11-24T21:00:00.5Z", 0, T1},
		{"2026-11-24T21:00:00.999999999Z", 0, T1}, /* dropped, not rounded */
		{"2026-11-24T21:00:00,5Z", 0, T1},
		{"2026-11-24T21:00:00+00:00", 0, T1},
		{"2026-11-24T21:00:00-00:00", 0, T1},
		{"2026-11-24T22:00:00+01:00", 0, T1},
		{"2026-11-24T22:00:00+0100", 0, T1},
		{"2026-11-24T15:30:00-05:30", 0, T1},
		{"2026-11-24T21:00:00.123+00:00", 0, T1},
		{"1970-01-01T00:00:00Z", 0, 0},
		{"2000-02-29T00:00:00Z", 0, 951782400},
		{"9999-12-31T23:59:59Z", 0, 253402300799},
		{"", -EINVAL, 0},
		{"2026-11-24", -EINVAL, 0},
		{"2026-11-24T21:00:00", -EINVAL, 0}, /* whose time? */
		{"2026-11-24 21:00:00Z", -EINVAL, 0},
		{"2026-11-24T21:00Z", -EINVAL, 0},
		{"2026-11-24T21:00:00.Z", -EINVAL, 0},
		{"2026-11-24T21:00:00ZZ", -EINVAL, 0},
		{"2026-11-24T21:00:00Z ", -EINVAL, 0},
		{"2026-11-24T21:00:00+1", -EINVAL, 0},
		{"2026-11-24T21:00:00+01:0", -EINVAL, 0},
		{"2026-11-24T21:00:00+01:000", -EINVAL, 0},
		{"2026-11-24T21:00:00+24:00", -EINVAL, 0},
		{"2026-11-24T21:00:00+00:60", -EINVAL, 0},
		{"2026-11-24T21:00:00 UTC", -EINVAL, 0},
		{"2026-13-24T21:00:00Z", -EINVAL, 0},
		{"2026-11-32T21:00:00Z", -EINVAL, 0},
		{"2026-11-24T24:00:00Z", -EINVAL, 0},
		{"2026-11-24T21:60:00Z", -EINVAL, 0},
		{"1795554000", -EINVAL, 0},
	};

	(void)state;
	for (size_t i = 0; i < N(cases); i++) {
		int64_t t = 0;
		int r = clock_parse_iso8601(cases[i].text, &t);
		if (r != cases[i].result || t != cases[i].t) /* t: untouched on failure */
			fail_msg("\"%s\": %d, %lld", cases[i].text, r, (long long)t);
	}
}

static void test_iso8601_round_trip(void **state)
{
	static const int64_t cases[] = {0, 1, T1, 951782400, 4102444800, 253402300799};
	char text[CLOCK_ISO8601_SIZE];

	(void)state;
	for (size_t i = 0; i < N(cases); i++) {
		int64_t t;
		clock_format_iso8601(cases[i], text);
		assert_int_equal(strlen(text), sizeof(text) - 1);
		assert_int_equal(clock_parse_iso8601(text, &t), 0);
		assert_int_equal(t, cases[i]);
	}
	clock_format_iso8601(T1, text);
	assert_string_equal(text, "2026-11-24T21:00:00Z");
	clock_format_iso8601(INT64_MAX, text); /* no such year: something, and no overrun */
	assert_string_equal(text, "1970-01-01T00:00:00Z");
	clock_format_iso8601(INT64_MIN, text);
	assert_string_equal(text, "1970-01-01T00:00:00Z");
}

static void test_http_date(void **state)
{
	static const struct {
		const char *text;
		int result;
		int64_t t;
	} cases[] = {
		{"Tue, 24 Nov 2026 21:00:00 GMT", 0, T1},
		{"Thu, 01 Jan 1970 00:00:00 GMT", 0, 0},
		{"Sun, 06 Nov 1994 08:49:37 GMT", 0, 784111777}, /* RFC 9110's example */
		{"", -EINVAL, 0},
		{"Tue, 24 Nov 2026 21:00:00", -EINVAL, 0},
		{"Tue, 24 Nov 2026 21:00:00 CET", -EINVAL, 0},
		{"Tue, 24 Foo 2026 21:00:00 GMT", -EINVAL, 0},
		{"2026-11-24T21:00:00Z", -EINVAL, 0},
		{"Sunday, 06-Nov-94 08:49:37 GMT", -EINVAL, 0}, /* obsolete forms */
		{"Sun Nov  6 08:49:37 1994", -EINVAL, 0},
		{"Wed, 32 Dec 2026 00:00:00 GMT", -EINVAL, 0},
		{"Wed, -1 Dec 2026 00:00:00 GMT", -EINVAL, 0},
		{"Wed, 01 Dec -999 00:00:00 GMT", -EINVAL, 0},
		{"Wed, 01 Dec 2026 24:00:00 GMT", -EINVAL, 0},
		{"Wed, 01 Dec 2026 00:-1:00 GMT", -EINVAL, 0},
		{"Fri, 31 Dec 9999 23:59:60 GMT", -EINVAL, 0},
	};

	(void)state;
	for (size_t i = 0; i < N(cases); i++) {
		int64_t t = 0;
		int r = clock_parse_http_date(cases[i].text, &t);
		if (r != cases[i].result || t != cases[i].t) /* t: untouched on failure */
			fail_msg("\"%s\": %d, %lld", cases[i].text, r, (long long)t);
	}
}

static void test_http_date_round_trip(void **state)
{
	static const int64_t cases[] = {0, T1, 951782400, 784111777, 253402300799};
	char text[CLOCK_HTTP_DATE_SIZE];

	(void)state;
	for (size_t i = 0; i < N(cases); i++) {
		int64_t t;
		clock_format_http_date(cases[i], text);
		assert_int_equal(clock_parse_http_date(text, &t), 0);
		assert_int_equal(t, cases[i]);
	}
	clock_format_http_date(T1, text);
	assert_string_equal(text, "Tue, 24 Nov 2026 21:00:00 GMT");
	clock_format_http_date(INT64_MAX, text);
	assert_int_equal(strlen(text), sizeof(text) - 1);
}

/* Neither the zone nor the language of the host may show. */
static void test_environment(void **state)
{
	char text[CLOCK_HTTP_DATE_SIZE];
	int64_t t;

	(void)state;
	setenv("TZ", "Asia/Kathmandu", 1);
	tzset();
	(void)setlocale(LC_ALL, "de_DE.UTF-8"); /* where it exists */
	clock_format_http_date(T1, text);
	assert_string_equal(text, "Tue, 24 Nov 2026 21:00:00 GMT");
	assert_int_equal(clock_parse_http_date(text, &t), 0);
	assert_int_equal(t, T1);
	assert_int_equal(clock_parse_iso8601("2026-11-24T21:00:00Z", &t), 0);
	assert_int_equal(t, T1);
}

static void test_now(void **state)
{
	(void)state;
	int64_t first = clock_now_ms(), second = clock_now_ms();
	assert_true(first > 0 && second >= first && second - first < 60000);
	assert_true(clock_wall_s() > 1577836800); /* 2020 */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_iso8601),	    cmocka_unit_test(test_iso8601_round_trip),
		cmocka_unit_test(test_http_date),   cmocka_unit_test(test_http_date_round_trip),
		cmocka_unit_test(test_environment), cmocka_unit_test(test_now),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
