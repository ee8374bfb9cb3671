/* oci_hooks: our hook comes in, stays one, and goes; every other byte stays. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "util/buf.h"
#include "wire/oci_hooks.h"

#define N(a) (sizeof(a) / sizeof((a)[0]))
#define CREATE                                                                                     \
	"{\"path\":\"/x/rolegate-hook\",\"args\":[\"rolegate-hook\",\"createRuntime\",\"/b/"       \
	"config.json\"],"                                                                          \
	"\"timeout\":40,\"env\":[\"A=b\"]}"
#define STOP                                                                                       \
	"{\"path\":\"/x/rolegate-hook\",\"args\":[\"rolegate-hook\",\"poststop\",\"/b/"            \
	"config.json\"],"                                                                          \
	"\"timeout\":30,\"env\":[\"A=b\"]}"
#define OURS "\"hooks\":{\"createRuntime\":[" CREATE "],\"poststop\":[" STOP "]}"
#define OLD "{\"path\":\"/old/rolegate-hook\"}"
#define OTHER "{\"path\":\"/bin/other\",\"args\":[\"a,b\",\"}\"]}"

static const struct oci_hook hook = {
	.path = "/x/rolegate-hook", .argument = "/b/config.json", .env = "A=b", .timeout_s = 40};

static void test_set(void **state)
{
	static const struct {
		const char *in;
		bool wanted;
		const char *out;
	} cases[] = {
		{"{}", true, "{" OURS "}"},
		{" \n{ } ", true, " \n{" OURS " } "},
		{"{}", false, "{}"},
		{"{\"a\":18446744073709551615, \"b\" : [1.50,{}] }", true,
		 "{" OURS ",\"a\":18446744073709551615, \"b\" : [1.50,{}] }"},
		{"{\"a\":1,\"hooks\":{},\"z\":\"\\\"hooks\\\":\"}", true,
		 "{\"a\":1," OURS ",\"z\":\"\\\"hooks\\\":\"}"},
		{"{\"x\":{\"hooks\":{}},\"hooks\" : null ,\"z\":2}", true,
		 "{\"x\":{\"hooks\":{}},\"hooks\" : {\"createRuntime\":[" CREATE
		 "],\"poststop\":[" STOP "]} ,\"z\":2}"},
		{"{\"h\\u006foks\":{}}", true,
		 "{\"h\\u006foks\":{\"createRuntime\":[" CREATE "],\"poststop\":[" STOP "]}}"},
		{"{\"hooks\":{\"createRuntime\":[" OLD "," OTHER "," OLD "],\"poststop\":[" OLD
		 "]}}",
		 true,
		 "{\"hooks\":{\"createRuntime\":[" CREATE "," OTHER "],\"poststop\":[" STOP "]}}"},
		{"{\"hooks\":{\"createRuntime\":[" OLD "," OTHER "],\"poststop\":[" OLD "]}}",
		 false, "{\"hooks\":{\"createRuntime\":[" OTHER "]}}"},
		{"{\"hooks\":{\"prestart\":[" OTHER "]}}", true,
		 "{\"hooks\":{\"prestart\":[" OTHER "],\"createRuntime\":[" CREATE
		 "],\"poststop\":[" STOP "]}}"},
		{"{\"a\":true,\"b\":-1e5,\"c\":null,\"d\":[[],\"]\"],\"hooks\":null}", false,
		 "{\"a\":true,\"b\":-1e5,\"c\":null,\"d\":[[],\"]\"],\"hooks\":{}}"},
	};

	(void)state;
	for (size_t i = 0; i < N(cases); i++) {
		_cleanup_buf_ struct buf out = {0}, again = {0};
		struct diag diag = {0};
		int r = oci_hooks_set(cases[i].in, strlen(cases[i].in), &hook, cases[i].wanted,
				      &out, &diag);
		if (r < 0)
			fail_msg("case %zu: %s", i, diag.text);
		assert_string_equal(out.data, cases[i].out);
		/* Once more changes nothing. */
		assert_int_equal(
			oci_hooks_set(out.data, out.len, &hook, cases[i].wanted, &again, &diag), 0);
		assert_string_equal(again.data, out.data);
	}
}

static void test_errors(void **state)
{
	static const char *const texts[] = {
		"",
		"[]",
		"1",
		"\"hooks\"",
		"{",
		"{\"hooks\":[]}",
		"{\"hooks\":1}",
		"{\"hooks\":{},\"hooks\":{}}",
		"{\"hooks\":{}}x",
	};

	(void)state;
	for (size_t i = 0; i < N(texts); i++) {
		_cleanup_buf_ struct buf out = {0};
		struct diag diag = {0};
		int r = oci_hooks_set(texts[i], strlen(texts[i]), &hook, true, &out, &diag);
		if (r != -EINVAL || !diag.text[0])
			fail_msg("case %zu: %d: %s", i, r, diag.text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_set),
		cmocka_unit_test(test_errors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
