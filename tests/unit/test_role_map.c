/* role_map: the daemon's answer, as it is and as another version might write it. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "util/buf.h"
#include "wire/role_map.h"

#define N(a) (sizeof(a) / sizeof((a)[0]))

static const char *or_none(const char *text)
{
	return text ? text : "-";
}

/* All entries in one line, for comparison. */
static void describe(const struct role_map *map, struct buf *out)
{
	for (size_t i = 0; i < map->n_entries; i++) {
		const struct role_map_entry *e = &map->entries[i];
		buf_printf(out, "%s|%s|%s|%s|%s|%lld|%lld;", e->id, or_none(e->state),
			   or_none(e->role_arn), or_none(e->image), or_none(e->last_error),
			   (long long)e->expiration_s, (long long)e->requests);
	}
}

static void test_parse(void **state)
{
	static const struct {
		const char *text, *entries;
	} cases[] = {
		{"{\"containers\":[]}", ""},
		{"[]", ""},
		{"{\"containers\":[{\"id\":\"a\",\"state\":\"ready\",\"role_arn\":\"arn:x\","
		 "\"image\":{\"ref\":\"web:1\",\"digest\":\"sha256:0\"},\"last_error\":\"oops\","
		 "\"expiration\":\"2026-01-01T00:00:00Z\",\"requests\":12,\"pid\":4,"
		 "\"labels\":{\"a\":\"b\"}}],\"next\":null}",
		 "a|ready|arn:x|web:1|oops|1767225600|12;"},
		{"{\"id\":\"a\",\"requests\":0}", "a|-|-|-|-|0|0;"},
		{"[{\"id\":\"a\"},{\"id\":\"b\"}]", "a|-|-|-|-|0|-1;b|-|-|-|-|0|-1;"},
		{"[{\"id\":\"a\",\"state\":null,\"role_arn\":null,\"image\":null,"
		 "\"last_error\":null,\"expiration\":null,\"requests\":null}]",
		 "a|-|-|-|-|0|-1;"},
		{"[{\"id\":\"a\",\"state\":7,\"role_arn\":[],\"image\":\"x\",\"last_error\":{},"
		 "\"expiration\":\"soon\",\"requests\":\"many\"}]",
		 "a|-|-|-|-|0|-1;"},
		{"[{\"id\":\"a\",\"image\":{\"ref\":\"\",\"digest\":\"sha256:0\"}}]",
		 "a|-|-|sha256:0|-|0|-1;"},
		{"[{\"id\":\"a\",\"last_error\":\"\"}]", "a|-|-|-|-|0|-1;"},
	};

	(void)state;
	for (size_t i = 0; i < N(cases); i++) {
		_cleanup_role_map_ struct role_map *map = NULL;
		_cleanup_buf_ struct buf entries = {0};
		struct diag diag = {0};
		if (role_map_parse(cases[i].text, strlen(cases[i].text), &map, &diag) != 0)
			fail_msg("%s: %s", cases[i].text, diag.text);
		describe(map, &entries);
		assert_string_equal(entries.data ? entries.data : "", cases[i].entries);
	}
}

static void test_parse_errors(void **state)
{
	static const struct {
		const char *text, *says;
	} cases[] = {
		{"", "no JSON"},
		{"<html>", "no JSON"},
		{"[", "no JSON"},
		{"7", "no JSON"},
		{"{}", "no role map"},
		{"{\"containers\":null}", "no role map"},
		{"{\"containers\":{}}", "no role map"},
		{"[7]", "without an id"},
		{"[{}]", "without an id"},
		{"[{\"id\":\"\"}]", "without an id"},
		{"[{\"id\":7}]", "without an id"},
		{"[{\"id\":\"a\"},null]", "without an id"},
		{"[{\"id\":\"a\\u0000b\"}]", "no JSON"},
	};

	(void)state;
	for (size_t i = 0; i < N(cases); i++) {
		_cleanup_role_map_ struct role_map *map = NULL;
		struct diag diag = {0};
		int r = role_map_parse(cases[i].text, strlen(cases[i].text), &map, &diag);
		if (r != -EBADMSG || map || !strstr(diag.text, cases[i].says))
			fail_msg("%s: %d: %s", cases[i].text, r, diag.text);
	}
	assert_null(role_map_free(NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_parse_errors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
