/* http_body: every body whole and byte by byte, with what follows it left alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "wire/http_body.h"

#define N(a) (sizeof(a) / sizeof((a)[0]))
#define MAX 16

static const struct {
	const char *text;
	int64_t length;	  /* Content-Length; -1: chunked */
	const char *body; /* NULL: refused with `status` */
	size_t used;	  /* of the text; -1: all of it */
	int status;
} cases[] = {
	{"", 0, "", 0, 0},
	{"GET / ", 0, "", 0, 0},
	{"0123456789abcdefGET", 16, "0123456789abcdef", 16, 0},
	{"0\r\n\r\nGET", -1, "", 5, 0},
	{"000\r\n\r\n", -1, "", 7, 0},
	{"2\r\n{}\r\n0\r\n\r\n", -1, "{}", 12, 0},
	{"A\r\n0123456789\r\n6\r\nabcdef\r\n0\r\n\r\nPUT", -1, "0123456789abcdef", 31, 0},
	{"1\r\n\r\r\n1\r\n\n\r\n0\r\n\r\n", -1, "\r\n", 17, 0},
	/* more than may be, however it is spelled */
	{"11\r\n", -1, NULL, 0, 413},
	{"A\r\n0123456789\r\n7\r\n", -1, NULL, 0, 413},
	{"fffffffffffffffff\r\n", -1, NULL, 0, 413},
	{"00000000", -1, NULL, 0, 400},
	/* what is no chunk */
	{"\r\n", -1, NULL, 0, 400},
	{"g\r\n", -1, NULL, 0, 400},
	{"-1\r\n", -1, NULL, 0, 400},
	{"+1\r\n", -1, NULL, 0, 400},
	{" 1\r\n", -1, NULL, 0, 400},
	{"0x1\r\n", -1, NULL, 0, 400},
	{"1;a=b\r\n", -1, NULL, 0, 400},
	{"1\n", -1, NULL, 0, 400},
	{"1\r\r", -1, NULL, 0, 400},
	{"1\r\nab", -1, NULL, 0, 400},
	{"1\r\na\n", -1, NULL, 0, 400},
	{"0\r\nX: y\r\n\r\n", -1, NULL, 0, 400},
};

static enum http_parse feed(size_t i, size_t step, struct buf *out, size_t *ret_used, int *status)
{
	const struct http_request request = {
		.chunked = cases[i].length < 0,
		.content_length = cases[i].length < 0 ? 0 : (uint64_t)cases[i].length};
	size_t len = strlen(cases[i].text), have = 0, used;
	enum http_parse r = HTTP_PARSE_PARTIAL;
	struct http_body body;

	*ret_used = 0;
	assert_int_equal(http_body_start(&request, MAX, &body), 0);
	do {
		have = have + step < len ? have + step : len;
		r = http_body_feed(&body, cases[i].text + *ret_used, have - *ret_used, &used, out,
				   status);
		*ret_used += used;
	} while (r == HTTP_PARSE_PARTIAL && have < len);
	return r;
}

static void test_cases(void **state)
{
	(void)state;
	for (size_t i = 0; i < N(cases); i++)
		for (size_t step = 1; step < 40; step++) {
			_cleanup_buf_ struct buf out = {0};
			size_t used;
			int status = 0;
			enum http_parse r = feed(i, step, &out, &used, &status);
			if (r != (cases[i].body ? HTTP_PARSE_DONE : HTTP_PARSE_BAD) ||
			    status != cases[i].status)
				fail_msg("case %zu by %zu: %d, status %d", i, step, (int)r, status);
			if (!cases[i].body)
				continue;
			assert_int_equal(used, cases[i].used);
			assert_int_equal(out.len, strlen(cases[i].body));
			assert_memory_equal(out.data ? out.data : "", cases[i].body, out.len);
		}
}

static void test_cut_short(void **state)
{
	(void)state;
	for (size_t i = 0; i < N(cases); i++)
		for (size_t len = 0; cases[i].body && len < cases[i].used; len++) {
			const struct http_request request = {
				.chunked = cases[i].length < 0,
				.content_length =
					cases[i].length < 0 ? 0 : (uint64_t)cases[i].length};
			_cleanup_buf_ struct buf out = {0};
			struct http_body body;
			size_t used;
			int status;
			assert_int_equal(http_body_start(&request, MAX, &body), 0);
			assert_int_equal(
				http_body_feed(&body, cases[i].text, len, &used, &out, &status),
				HTTP_PARSE_PARTIAL);
		}
}

static void test_announced_too_large(void **state)
{
	const struct http_request request = {.content_length = MAX + 1};
	struct http_body body;

	(void)state;
	assert_int_equal(http_body_start(&request, MAX, &body), 413);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),
		cmocka_unit_test(test_cut_short),
		cmocka_unit_test(test_announced_too_large),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
