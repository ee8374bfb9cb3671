/* json_text, display_text, control_error: the daemon's JSON as a person may see it. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "util/buf.h"
#include "wire/control_error.h"
#include "wire/display_text.h"
#include "wire/json_text.h"

#define N(a) (sizeof(a) / sizeof((a)[0]))

static void test_display_next(void **state)
{
	static const struct {
		const char *text;
		size_t length;
		uint32_t c;
		bool safe;
	} cases[] = {
		{"a", 1, 'a', true},
		{" ", 1, ' ', true},
		{"~", 1, '~', true},
		{"\x1b", 1, 0x1b, false},
		{"\n", 1, '\n', false},
		{"\x7f", 1, 0x7f, false},
		{"\xc3\xa9", 2, 0xe9, true},
		{"\xe2\x82\xac", 3, 0x20ac, true},
		{"\xf0\x9f\x98\x80", 4, 0x1f600, true},
		{"\xc2\x9b", 2, 0x9b, false},		 /* CSI of eight-bit terminals */
		{"\xe2\x80\xae", 3, 0x202e, false},	 /* right-to-left override */
		{"\xe2\x80\x8b", 3, 0x200b, false},	 /* zero-width space */
		{"\xef\xbb\xbf", 3, 0xfeff, false},	 /* byte order mark */
		{"\xf3\xa0\x81\x81", 4, 0xe0041, false}, /* tag */
		{"\x9b", 1, 0x9b, false},		 /* no UTF-8 from here on */
		{"\xff", 1, 0xff, false},
		{"\xc0\xaf", 1, 0xc0, false}, /* overlong */
		{"\xe0\x80\xaf", 1, 0xe0, false},
		{"\xf0\x80\x80\xaf", 1, 0xf0, false},
		{"\xed\xa0\x80", 1, 0xed, false},     /* surrogate */
		{"\xf4\x90\x80\x80", 1, 0xf4, false}, /* beyond Unicode */
		{"\xc3", 1, 0xc3, false},	      /* cut */
		{"\xe2\x82", 1, 0xe2, false},
		{"\xc3(", 1, 0xc3, false},
	};

	(void)state;
	for (size_t i = 0; i < N(cases); i++) {
		uint32_t c;
		bool safe;
		size_t n = display_next(cases[i].text, strlen(cases[i].text), &c, &safe);
		if (n != cases[i].length || c != cases[i].c || safe != cases[i].safe)
			fail_msg("case %zu: %zu bytes, U+%04x, %d", i, n, c, safe);
	}
}

static void test_lay_out(void **state)
{
	static const struct {
		const char *text, *pretty, *compact; /* NULL: no JSON */
	} cases[] = {
		{"{}", "{}\n", "{}"},
		{" [ ] ", "[]\n", "[]"},
		{"7", "7\n", "7"},
		{"{\"a\":1}", "{\n  \"a\": 1\n}\n", "{\"a\":1}"},
		{"{ \"b\" : [ 1 , {} , [ true ] ] , \"a\" : null }",
		 "{\n  \"b\": [\n    1,\n    {},\n    [\n      true\n    ]\n  ],\n  \"a\": "
		 "null\n}\n",
		 "{\"b\":[1,{},[true]],\"a\":null}"},
		/* numbers stay as they were written */
		{"[1.10,1e3,9007199254740993]", "[\n  1.10,\n  1e3,\n  9007199254740993\n]\n",
		 "[1.10,1e3,9007199254740993]"},
		/* what looks like structure in a string is none */
		{"\"a\\\"{[,:\\\\\"", "\"a\\\"{[,:\\\\\"\n", "\"a\\\"{[,:\\\\\""},
		{"\"\\u001b \x7f\"", "\"\\u001b \\u007f\"\n", "\"\\u001b \\u007f\""},
		{"\"\xc2\x9b\xe2\x80\xae\"", "\"\\u009b\\u202e\"\n", "\"\\u009b\\u202e\""},
		{"\"\xf3\xa0\x81\x81\"", "\"\\udb40\\udc41\"\n", "\"\\udb40\\udc41\""},
		{"\"\xc3\xa9\"", "\"\xc3\xa9\"\n", "\"\xc3\xa9\""},
		{"", NULL, NULL},
		{"{", NULL, NULL},
		{"{} {}", NULL, NULL},
		{"\"\x1b\"", NULL, NULL},
		{"\"\xff\"", NULL, NULL},
		{"nul", NULL, NULL},
	};

	(void)state;
	for (size_t i = 0; i < N(cases); i++) {
		_cleanup_buf_ struct buf pretty = {0}, compact = {0};
		const size_t len = strlen(cases[i].text);
		int want = cases[i].pretty ? 0 : -EBADMSG;
		assert_int_equal(json_text_pretty(cases[i].text, len, &pretty), want);
		assert_int_equal(json_text_compact(cases[i].text, len, &compact), want);
		if (want < 0)
			continue;
		assert_string_equal(pretty.data, cases[i].pretty);
		assert_string_equal(compact.data, cases[i].compact);
	}
}

/* Deep nesting must not make a short text a huge one. */
static void test_lay_out_depth(void **state)
{
	_cleanup_buf_ struct buf text = {0}, out = {0};

	(void)state;
	for (int i = 0; i < 1000; i++)
		buf_puts(&text, "[");
	for (int i = 0; i < 1000; i++)
		buf_puts(&text, "]");
	assert_int_equal(json_text_pretty(text.data, text.len, &out), 0);
	assert_true(out.len < text.len * 70);
}

static void collect(const char *key, const char *value, void *user)
{
	buf_printf(user, "%s=%s;", key, value);
}

static void test_flatten(void **state)
{
	static const struct {
		const char *text, *flat; /* NULL: refused */
	} cases[] = {
		{"{}", ""},
		{"{\"a\":\"x\",\"b\":null,\"c\":7,\"d\":true,\"e\":false,\"f\":1.5}",
		 "a=x;b=;c=7;d=yes;e=no;f=1.5;"},
		{"{\"a\":{\"b\":{\"c\":1}},\"d\":{}}", "a.b.c=1;d=;"},
		{"{\"a\":[],\"b\":[1,\"x\",null]}", "a=;b=1, x, ;"},
		{"{\"a\":[{\"b\":1},[2,3],4]}", "a.0.b=1;a.1=2, 3;a.2=4;"},
		{"{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":1}}}}}}}}}", NULL},
		{"[]", NULL},
		{"7", NULL},
		{"{", NULL},
	};

	(void)state;
	for (size_t i = 0; i < N(cases); i++) {
		_cleanup_buf_ struct buf flat = {0};
		int r = json_text_flatten(cases[i].text, strlen(cases[i].text), collect, &flat);
		assert_int_equal(r, cases[i].flat ? 0 : -EBADMSG);
		if (cases[i].flat)
			assert_string_equal(flat.data ? flat.data : "", cases[i].flat);
	}
}

static void test_string_and_quote(void **state)
{
	_cleanup_buf_ struct buf out = {0};
	static const char text[] = "{\"version\":\"1.2\",\"n\":7}";

	(void)state;
	assert_int_equal(json_text_string(text, strlen(text), "version", &out), 0);
	assert_string_equal(out.data, "1.2");
	assert_int_equal(json_text_string(text, strlen(text), "n", &out), -ENOENT);
	assert_int_equal(json_text_string(text, strlen(text), "none", &out), -ENOENT);
	assert_int_equal(json_text_string("[]", 2, "a", &out), -ENOENT);
	assert_int_equal(json_text_string("[", 1, "a", &out), -EBADMSG);
	buf_reset(&out);
	json_text_quote("a\"b\\c\n\x1b\xc3\xa9\xff\xc2\x9b", &out);
	assert_string_equal(out.data, "\"a\\\"b\\\\c\\u000a\\u001b\xc3\xa9\xef\xbf\xbd\\u009b\"");
}

static void test_control_error(void **state)
{
	static const struct {
		const char *text, *code, *field, *message; /* code NULL: something else */
	} cases[] = {
		{"{\"error\":{\"code\":\"a\",\"message\":\"b\",\"field\":\"c\"}}", "a", "c", "b"},
		{"{\"error\":{\"code\":\"a\",\"field\":null}}", "a", "", ""},
		{"{\"error\":{\"code\":7,\"message\":[]},\"more\":1}", "", "", ""},
		{"{\"error\":\"x\"}", NULL, "", ""},
		{"{}", NULL, "", ""},
		{"[]", NULL, "", ""},
		{"", NULL, "", ""},
		{"<html>", NULL, "", ""},
	};

	(void)state;
	for (size_t i = 0; i < N(cases); i++) {
		struct control_error error;
		int r = control_error_parse(cases[i].text, strlen(cases[i].text), &error);
		assert_int_equal(r, cases[i].code ? 0 : -EBADMSG);
		assert_string_equal(error.code, cases[i].code ? cases[i].code : "");
		assert_string_equal(error.field, cases[i].field);
		assert_string_equal(error.message, cases[i].message);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_display_next),	 cmocka_unit_test(test_lay_out),
		cmocka_unit_test(test_lay_out_depth),	 cmocka_unit_test(test_flatten),
		cmocka_unit_test(test_string_and_quote), cmocka_unit_test(test_control_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
