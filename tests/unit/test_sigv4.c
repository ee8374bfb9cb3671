/* SigV4 against vectors: AWS's published test suite and documentation example (their signatures are
 * the published ones), and two requests as sts_client makes them (checked with botocore). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>

#include "util/file.h"
#include "wire/sigv4.h"

#ifndef TEST_DATA_DIR
#define TEST_DATA_DIR "tests/data"
#endif

#define N(a) (sizeof(a) / sizeof((a)[0]))
#define ACCESS_KEY "AKIDEXAMPLE"
#define SECRET_KEY "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
#define TIME_S 1440938160 /* 20150830T123600Z */

static const char *const vectors[] = {
	"get-header-key-duplicate",
	"get-header-value-order",
	"get-header-value-trim",
	"get-relative",
	"get-relative-relative",
	"get-slash",
	"get-slash-dot-slash",
	"get-slash-pointless-dot",
	"get-slashes",
	"get-space",
	"get-unreserved",
	"get-utf8",
	"get-vanilla",
	"get-vanilla-empty-query-key",
	"get-vanilla-query-order-key-case",
	"get-vanilla-query-order-value",
	"get-vanilla-query-unreserved",
	"get-vanilla-utf8-query",
	"iam-list-users",
	"post-header-key-sort",
	"post-header-value-case",
	"post-sts-header-before",
	"post-vanilla",
	"post-vanilla-query",
	"post-x-www-form-urlencoded",
	"post-x-www-form-urlencoded-parameters",
	"sts-assume-role",
	"sts-custom-endpoint",
};

struct vector {
	struct sigv4_request request;
	struct sigv4_scope scope;
	struct sigv4_header headers[16];
	const char *canonical, *string_to_sign, *authorization;
};

/* Cut off the section named; it ends before the next "\n== ". */
static char *section(char *text, const char *name)
{
	char *start = strstr(text, name);
	assert_non_null(start);
	start += strlen(name);
	char *end = strstr(start, "\n== ");
	if (!end)
		end = strrchr(start, '\n');
	assert_non_null(end);
	*end = '\0';
	return start;
}

static void parse_request(char *text, struct vector *v)
{
	char *head = text;
	char *body = strstr(text, "\n\n");
	assert_non_null(body);
	*body = '\0';
	v->request.body = body + 2;
	v->request.body_len = strlen(body + 2);
	char *line = strsep(&head, "\n");
	char *method_end = strchr(line, ' '), *target_end = strrchr(line, ' ');
	*method_end = *target_end = '\0';
	v->request.method = line;
	v->request.path = method_end + 1;
	char *query = strchr(method_end + 1, '?');
	if (query)
		*query++ = '\0';
	v->request.query = query ? query : "";
	while (head) {
		line = strsep(&head, "\n");
		char *colon = strchr(line, ':');
		assert_non_null(colon);
		*colon = '\0';
		v->headers[v->request.n_headers++] = (struct sigv4_header){line, colon + 1};
	}
	v->request.headers = v->headers;
}

/* From the back, since each section's end is marked by the next one's beginning. */
static void parse_vector(char *text, struct vector *v)
{
	v->authorization = section(text, "== authorization\n");
	v->string_to_sign = section(text, "== string to sign\n");
	v->canonical = section(text, "== canonical request\n");
	parse_request(section(text, "== request\n"), v);
	char *region = section(text, "== scope\n");
	char *service = strchr(region, ' ');
	*service++ = '\0';
	v->scope = (struct sigv4_scope){ACCESS_KEY, SECRET_KEY, region, service, TIME_S};
}

static void test_vectors(void **state)
{
	(void)state;
	for (size_t i = 0; i < N(vectors); i++) {
		_cleanup_buf_ struct buf canonical = {0}, names = {0}, to_sign = {0}, value = {0};
		_cleanup_secret_ char *text = NULL;
		struct vector v = {0};
		char path[256];

		snprintf(path, sizeof(path), TEST_DATA_DIR "/sigv4/%s.txt", vectors[i]);
		if (file_read(path, 65536, &text, NULL) < 0)
			fail_msg("%s cannot be read", path);
		parse_vector(text, &v);
		assert_int_equal(sigv4_canonical_request(&v.request, &canonical, &names), 0);
		assert_string_equal(canonical.data, v.canonical);
		assert_int_equal(sigv4_string_to_sign(&canonical, &v.scope, &to_sign), 0);
		assert_string_equal(to_sign.data, v.string_to_sign);
		assert_int_equal(sigv4_authorization(&v.request, &v.scope, &value), 0);
		assert_string_equal(value.data, v.authorization);
	}
}

/* Paths and queries beyond the suite's. */
static void test_canonical_target(void **state)
{
	static const struct {
		const char *path, *query, *canonical_path, *canonical_query;
	} cases[] = {
		{"/", "", "/", ""},
		{"/.", "", "/", ""},
		{"/..", "", "/", ""},
		{"/../../a", "", "/a", ""},
		{"/a/..", "", "/", ""},
		{"/a/b/..", "", "/a/", ""},
		{"/a/.", "", "/a/", ""},
		{"/a/./b/../c", "", "/a/c", ""},
		{"/...", "", "/...", ""},
		{"/a%2Fb", "", "/a%252Fb", ""}, /* as sent, then encoded once more */
		{"/a~b", "", "/a~b", ""},
		{"/", "a", "/", "a="},
		{"/", "a=b=c", "/", "a=b%3Dc"},
		{"/", "&&b=1&a=2&", "/", "a=2&b=1"},
		{"/", "a=%41%2f", "/", "a=A%2F"}, /* one form, however it was written */
		{"/", "a=%4", "/", "a=%254"},
		{"/", "a=%zz", "/", "a=%25zz"},
		{"/", "a=1+2", "/", "a=1%2B2"},
		{"/", "a=2&a=10&A=1", "/", "A=1&a=10&a=2"},
	};
	static const struct sigv4_header host = {"host", "h"};

	(void)state;
	for (size_t i = 0; i < N(cases); i++) {
		_cleanup_buf_ struct buf out = {0}, names = {0}, expected = {0};
		const struct sigv4_request request = {
			"GET", cases[i].path, cases[i].query, &host, 1, NULL, 0};
		assert_int_equal(sigv4_canonical_request(&request, &out, &names), 0);
		buf_printf(&expected, "GET\n%s\n%s\nhost:h\n", cases[i].canonical_path,
			   cases[i].canonical_query);
		out.data[expected.len] = '\0';
		assert_string_equal(out.data, expected.data);
		assert_string_equal(names.data, "host");
	}
}

static void test_refused(void **state)
{
	static const struct {
		const char *path, *name;
	} cases[] = {
		{"", "host"},	{"a", "host"}, {"/", ""},	 {"/", "ho st"},
		{"/", "host:"}, {"/", "x"},    {"/", "host\nx"},
	};

	(void)state;
	for (size_t i = 0; i < N(cases); i++) {
		_cleanup_buf_ struct buf out = {0}, names = {0};
		const struct sigv4_header header = {cases[i].name, "v"};
		const struct sigv4_request request = {"GET", cases[i].path, "", &header,
						      1,     NULL,	    0};
		assert_int_equal(sigv4_canonical_request(&request, &out, &names), -EINVAL);
	}
}

static void test_format_date(void **state)
{
	static const struct {
		int64_t time_s;
		const char *text;
	} cases[] = {
		{0, "19700101T000000Z"},	 {TIME_S, "20150830T123600Z"},
		{951782400, "20000229T000000Z"}, {253402300799, "99991231T235959Z"},
		{INT64_MAX, "19700101T000000Z"}, /* no such year: something, and no overrun */
	};
	char out[SIGV4_DATE_SIZE];

	(void)state;
	for (size_t i = 0; i < N(cases); i++) {
		sigv4_format_date(cases[i].time_s, out);
		assert_string_equal(out, cases[i].text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors),
		cmocka_unit_test(test_canonical_target),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_format_date),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
