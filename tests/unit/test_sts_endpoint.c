/* Where calls to STS go, and what of it is signed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>

#include "net/sts_endpoint.h"
#include "util/cleanup.h"

#define N(a) (sizeof(a) / sizeof((a)[0]))

static void test_resolve(void **state)
{
	static const struct {
		const char *endpoint, *partition, *region;
		const char *url, *host, *path, *signing_region;
	} cases[] = {
		{NULL, NULL, "eu-west-1", "https://sts.eu-west-1.amazonaws.com/",
		 "sts.eu-west-1.amazonaws.com", "/", "eu-west-1"},
		{NULL, NULL, "cn-north-1", "https://sts.cn-north-1.amazonaws.com.cn/",
		 "sts.cn-north-1.amazonaws.com.cn", "/", "cn-north-1"},
		{NULL, "aws-cn", "xx-new-1", "https://sts.xx-new-1.amazonaws.com.cn/",
		 "sts.xx-new-1.amazonaws.com.cn", "/", "xx-new-1"},
		{"https://sts.amazonaws.com", NULL, "eu-west-1", "https://sts.amazonaws.com/",
		 "sts.amazonaws.com", "/", "us-east-1"},
		{"https://sts-fips.us-west-2.amazonaws.com", NULL, NULL,
		 "https://sts-fips.us-west-2.amazonaws.com/", "sts-fips.us-west-2.amazonaws.com",
		 "/", "us-west-2"},
		{"https://minio.example.net:9000", NULL, "eu-west-1",
		 "https://minio.example.net:9000/", "minio.example.net:9000", "/", "eu-west-1"},
		{"https://minio.example.net:9000", NULL, NULL, "https://minio.example.net:9000/",
		 "minio.example.net:9000", "/", "us-east-1"},
		{"https://sts.example.net:443/", NULL, "r", "https://sts.example.net/",
		 "sts.example.net", "/", "r"},
		{"http://sts.example.net:80", NULL, "r", "http://sts.example.net/",
		 "sts.example.net", "/", "r"},
		{"http://sts.example.net:443", NULL, "r", "http://sts.example.net:443/",
		 "sts.example.net:443", "/", "r"},
		{"http://127.0.0.1:8080/a//b/../c%20d/", NULL, "r",
		 "http://127.0.0.1:8080/a//b/../c%20d/", "127.0.0.1:8080", "/a//b/../c%20d/", "r"},
		{"http://[::1]:8080", NULL, "r", "http://[::1]:8080/", "[::1]:8080", "/", "r"},
		{"http://[fd00::1]", NULL, "r", "http://[fd00::1]/", "[fd00::1]", "/", "r"},
	};

	(void)state;
	for (size_t i = 0; i < N(cases); i++) {
		struct config config = {.aws = {.sts_endpoint = (char *)cases[i].endpoint,
						.partition = (char *)cases[i].partition}};
		_cleanup_(sts_endpoint_deinit) struct sts_endpoint e = {0};
		struct diag diag = {0};
		if (sts_endpoint_resolve(&config, cases[i].region, &e, &diag) < 0)
			fail_msg("%s: %s", cases[i].url, diag.text);
		assert_string_equal(e.url, cases[i].url);
		assert_string_equal(e.host, cases[i].host);
		assert_string_equal(e.path, cases[i].path);
		assert_string_equal(e.signing_region, cases[i].signing_region);
	}
}

static void test_refused(void **state)
{
	static const struct {
		const char *endpoint, *partition, *region;
		int result;
		const char *field;
	} cases[] = {
		{NULL, NULL, NULL, -ENODATA, "region"},
		{NULL, NULL, "EU", -EINVAL, "region"},
		{NULL, "aws-mars", "r", -EINVAL, "partition"},
		{"http://x", NULL, "r/../x", -EINVAL, "region"},
		{"https://user:pw@x", NULL, "r", -EINVAL, "sts_endpoint"},
		{"https://x/?a=b", NULL, "r", -EINVAL, "sts_endpoint"},
		{"https://x/#a", NULL, "r", -EINVAL, "sts_endpoint"},
		{"https://", NULL, "r", -EINVAL, "sts_endpoint"},
		{"https://a b", NULL, "r", -EINVAL, "sts_endpoint"},
		{"https://x:99999", NULL, "r", -EINVAL, "sts_endpoint"},
		{"https://[::1", NULL, "r", -EINVAL, "sts_endpoint"},
	};

	(void)state;
	for (size_t i = 0; i < N(cases); i++) {
		struct config config = {.aws = {.sts_endpoint = (char *)cases[i].endpoint,
						.partition = (char *)cases[i].partition}};
		struct sts_endpoint e;
		struct diag diag = {0};
		assert_int_equal(sts_endpoint_resolve(&config, cases[i].region, &e, &diag),
				 cases[i].result);
		assert_string_equal(diag.field, cases[i].field);
		assert_null(strstr(diag.text, "pw")); /* a password in it is not repeated */
		assert_null(e.url);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_resolve),
		cmocka_unit_test(test_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
