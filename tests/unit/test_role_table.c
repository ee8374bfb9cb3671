/* role_table, terminal: times, roles, cutting, and that no table is wider than the terminal. */
#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "rolegate/role_table.h"

#define N(a) (sizeof(a) / sizeof((a)[0]))
#define NOW 1767225600 /* 2026-01-01T00:00:00Z */
/* The struct owns its strings and so has no const. */
#define S(text) ((char[]){text})
#define ELLIPSIS "\xe2\x80\xa6"

static void test_time(void **state)
{
	static const struct {
		int64_t left;
		const char *text;
	} cases[] = {
		{1, "in 1 s"},
		{119, "in 119 s"},
		{120, "in 2 min"},
		{2639, "in 43 min"},
		{7199, "in 119 min"},
		{7200, "in 2 h"},
		{48 * 3600 - 1, "in 47 h"},
		{48 * 3600, "in 2 d"},
		{0, "expired 0 s ago"},
		{-600, "expired 10 min ago"},
	};
	char text[ROLE_TABLE_TIME_SIZE];

	(void)state;
	for (size_t i = 0; i < N(cases); i++) {
		role_table_time(NOW + cases[i].left, NOW, text);
		assert_string_equal(text, cases[i].text);
	}
	role_table_time(0, NOW, text);
	assert_string_equal(text, "-");
	role_table_time(INT64_MAX / 2, NOW, text);
	role_table_time(INT64_MIN / 2, NOW, text);
}

static void test_role(void **state)
{
	static const char *const cases[][2] = {
		{"arn:aws:iam::123456789012:role/web", "web"},
		{"arn:aws:iam::123456789012:role/team/web", "team/web"},
		{"arn:aws:iam:::role/x:y", "x:y"},
		{"arn:aws:iam::123456789012:role/", "arn:aws:iam::123456789012:role/"},
		{"arn:aws:iam::123456789012:user/web", "arn:aws:iam::123456789012:user/web"},
		{"arn:aws:iam::123456789012", "arn:aws:iam::123456789012"},
		{"arn:", "arn:"},
		{"web", "web"},
		{"", ""},
	};

	(void)state;
	for (size_t i = 0; i < N(cases); i++)
		assert_string_equal(role_table_role(cases[i][0]), cases[i][1]);
	assert_null(role_table_role(NULL));
}

static void test_cut(void **state)
{
	static const struct {
		const char *text;
		size_t width;
		bool tail, utf8;
		const char *cut;
	} cases[] = {
		{"abcdef", 6, false, true, "abcdef"},
		{"abcdef", 5, false, true, "abcd" ELLIPSIS},
		{"abcdef", 5, true, true, ELLIPSIS "cdef"},
		{"abcdef", 1, false, true, ELLIPSIS},
		{"abcdef", 0, false, true, ""},
		{"abcdef", 5, false, false, "ab..."},
		{"abcdef", 5, true, false, "...ef"},
		{"abcdef", 2, false, false, ".."},
		{"\xc3\xa9\xc3\xa9\xc3\xa9", 3, false, true, "\xc3\xa9\xc3\xa9\xc3\xa9"},
		{"\xc3\xa9\xc3\xa9\xc3\xa9", 2, false, true, "\xc3\xa9" ELLIPSIS},
		{"\xe6\xbc\xa2\xe6\xbc\xa2", 3, false, true,
		 "\xe6\xbc\xa2" ELLIPSIS}, /* two wide */
		{"\xe6\xbc\xa2\xe6\xbc\xa2", 2, true, true, ELLIPSIS},
	};

	(void)state;
	for (size_t i = 0; i < N(cases); i++) {
		const struct terminal terminal = {.utf8 = cases[i].utf8};
		_cleanup_buf_ struct buf out = {0};
		size_t taken =
			terminal_cut(&terminal, cases[i].text, cases[i].width, cases[i].tail, &out);
		const char *cut = out.data ? out.data : "";
		if (strcmp(cut, cases[i].cut) != 0 || taken != terminal_width(cut))
			fail_msg("case %zu: \"%s\", %zu columns", i, cut, taken);
	}
}

static void test_every_width(void **state)
{
	/* id, state, role, image, last error, expiration, requests */
	struct role_map_entry entries[] = {
		{S("web-10"), S("ready"), S("arn:aws:iam::123456789012:role/team/web"),
		 S("registry.example.com/web:1"), NULL, NOW + 2600, 12},
		{S("a-container-with-a-long-name-0123456789"), S("failing"),
		 S("arn:aws:iam::210987654321:role/some/long/path/to/a/role"), S("\xe6\xbc\xa2:1"),
		 S("AccessDenied: User is not authorized to perform sts:AssumeRole on this"),
		 NOW - 9, 1234567},
		{S("web-9"), NULL, NULL, NULL, NULL, 0, -1},
	};
	struct role_map map = {.entries = entries, .n_entries = N(entries)};

	(void)state;
	for (size_t columns = 24; columns < 300; columns++) {
		const struct terminal terminal = {.columns = columns, .utf8 = columns % 2};
		_cleanup_buf_ struct buf out = {0};
		size_t lines = 0;
		role_table_print(&map, NOW, &terminal, &out);
		assert_true(buf_ok(&out));
		for (char *line = strtok(out.data, "\n"); line; line = strtok(NULL, "\n")) {
			if (terminal_width(line) > columns || line[strlen(line) - 1] == ' ')
				fail_msg("%zu columns: \"%s\"", columns, line);
			lines++;
		}
		assert_int_equal(lines, N(entries) + 1);
	}
	/* sorted, and numbers in names by their value */
	assert_string_equal(entries[1].id, "web-9");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_time),
		cmocka_unit_test(test_role),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_every_width),
	};

	(void)setlocale(LC_CTYPE, "C.UTF-8");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
