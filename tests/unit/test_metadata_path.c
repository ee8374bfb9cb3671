#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "wire/metadata_path.h"

static void test_normalise(void **state)
{
	static const struct {
		const char *target, *path; /* NULL: -EINVAL */
	} rows[] = {
		{"/", ""},
		{"//", ""},
		{"/latest", "latest"},
		{"/latest/", "latest"},
		{"//latest//meta-data///iam/", "latest/meta-data/iam"},
		{"/latest/./meta-data/.", "latest/meta-data"},
		{"/latest/../latest/x", "latest/x"},
		{"/a/b/../c", "a/c"},
		{"/a/b/..", "a"},
		{"/..", ""},
		{"/../../../etc/passwd", "etc/passwd"},
		{"/a/%2e%2e/b", "b"},
		{"/a/%2E/b", "a/b"},
		{"/a/.../b", "a/.../b"},
		{"/%69am", "iam"},
		{"/%49AM", "IAM"},
		{"/%252e%252e/x", "%2e%2e/x"},
		{"/latest?x=/../y", "latest"},
		{"/latest/?", "latest"},
		{"/r/a+b=c,d.e@f-g", "r/a+b=c,d.e@f-g"},
		{"/r/a%2Bb%3Dc%2Cd.e%40f-g", "r/a+b=c,d.e@f-g"},
		{"/a%2fb", NULL},
		{"/a%2Fb", NULL},
		{"/a%5cb", NULL},
		{"/a\\b", NULL},
		{"/a%00b", NULL},
		{"/a%0Ab", NULL},
		{"/a%0db", NULL},
		{"/a%7fb", NULL},
		{"/a%", NULL},
		{"/a%4", NULL},
		{"/a%zz", NULL},
		{"/a%2", NULL},
		{"/a\x01", NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct metadata_path path;
		int r = metadata_path_parse(rows[i].target, strlen(rows[i].target), &path);
		if (!rows[i].path) {
			if (r != -EINVAL)
				fail_msg("%s: got %d", rows[i].target, r);
			continue;
		}
		if (r != 0 || strcmp(path.text, rows[i].path) != 0)
			fail_msg("%s: got %d \"%s\"", rows[i].target, r, r ? "" : path.text);
		assert_int_equal(path.len, strlen(rows[i].path));
	}
}

static void test_too_long(void **state)
{
	char target[METADATA_PATH_MAX * 2];
	struct metadata_path path;

	(void)state;
	memset(target, 'a', sizeof(target));
	target[0] = '/';
	assert_int_equal(metadata_path_parse(target, sizeof(target), &path), -ENAMETOOLONG);
	/* Segments that vanish do not count. */
	for (size_t i = 0; i < sizeof(target); i++)
		target[i] = i % 2 ? '.' : '/';
	assert_int_equal(metadata_path_parse(target, sizeof(target), &path), 0);
	assert_int_equal(path.len, 0);
}

static void test_version(void **state)
{
	static const struct {
		const char *target, *rest;
		bool known, latest;
	} rows[] = {
		{"/", NULL, false, false},
		{"/latest", "", true, true},
		{"/latest/meta-data", "meta-data", true, true},
		{"/2016-09-02/dynamic", "dynamic", true, false},
		{"/1.0/meta-data/iam", "meta-data/iam", true, false},
		{"/9999-01-01/x", "x", false, false},
		{"/late", "", false, false},
		{"/LATEST/x", "x", false, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct metadata_path path;
		bool known, latest;
		assert_int_equal(metadata_path_parse(rows[i].target, strlen(rows[i].target), &path),
				 0);
		const char *rest = metadata_path_rest(&path, &known, &latest);
		if (!rows[i].rest)
			assert_null(rest);
		else
			assert_string_equal(rest, rows[i].rest);
		assert_int_equal(known, rows[i].known);
		assert_int_equal(latest, rows[i].latest);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_normalise),
		cmocka_unit_test(test_too_long),
		cmocka_unit_test(test_version),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
