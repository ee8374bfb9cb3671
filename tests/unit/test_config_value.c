/* Values of rolegate.conf that must look a certain way, and errors by file and line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "wire/config.h"
#include "wire/config_value.h"

#define N(a) (sizeof(a) / sizeof((a)[0]))
#define TEN "0123456789"
#define HUNDRED TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN
#define THOUSAND HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED

static const struct {
	const char *text;
	const char *error; /* NULL: there is none */
} files[] = {
	{"", NULL},
	{"# [foo]\n; [foo]\n[aws]\nregion = eu-west-1\n", NULL},
	{"\xef\xbb\xbf[aws]\nregion = eu-west-1", NULL},
	{"[aws]\r\nregion = RegionOne\r\n", NULL},
	{"[imds]\nallow = meta-data/spot\n  meta-data/events\n", NULL},
	{"[foo]", "f:1: [foo] is no section"},
	{"[aws]\n\n [foo]\n", "f:3: [foo] is no section"},
	{"[foo]\nx = 1\n", "f:1: [foo] is no section"},
	{"[AWS]\n", "f:1: [AWS] is no section"},
	{"[]\n", "f:1: [] is no section"},
	{"[aws\nregion = x\n", "f:1: [ has no ]"},
	{"[" HUNDRED "]\n", "f:1: [" HUNDRED "] is no section"},
	{"\n# " THOUSAND THOUSAND THOUSAND THOUSAND "\n", "f:2: is longer than 4000 bytes"},
	{"[runtime]\nimage_keys = /" THOUSAND " /" THOUSAND " /" THOUSAND "\n[x]\n",
	 "f:3: [x] is no section"},
	{"[runtime]\nimage_keys = /" THOUSAND " /" THOUSAND " /" THOUSAND "\naccount = 1\n",
	 "f:3: account must be an account's twelve digits, not \"1\""},
	{"[aws]\nbogus = 1\n", "f:2: bogus is no key of [aws]"},
	{"region = x\n", "f:1: region is in [], which is no section"},
	{"[aws]\nregion\n", "f:2: is neither [section] nor key = value"},
	{"[aws]\nregion =\n", "f:2: region has no value"},
	{"[aws]\nregion = a\nregion = b\n", "f:3: region is given twice"},
	{"[aws]\nregion = a\n[aws]\nregion = b\n", "f:4: region is given twice"},
	{"[aws]\nregion = eu west\n",
	 "f:2: region must be a name of letters, digits and - _ ., not \"eu west\""},
	{"[runtime]\naccount = 12345678901\n",
	 "f:2: account must be an account's twelve digits, not \"12345678901\""},
	{"[aws]\nsts_endpoint = ftp://x\n",
	 "f:2: sts_endpoint must be an http:// or https:// URL, not \"ftp://x\""},
	{"[control]\ntls_listen = 0.0.0.0\n",
	 "f:2: tls_listen must be HOST:PORT or [IPV6]:PORT, not \"0.0.0.0\""},
	{"[control]\ntls_listen = 0.0.0.0:9443\n",
	 "f: [control] tls_listen needs tls_cert, tls_key and tls_client_ca: clients are always "
	 "verified"},
};

static void test_files(void **state)
{
	(void)state;
	for (size_t i = 0; i < N(files); i++) {
		struct config config;
		struct diag diag = {0};
		int r = config_parse(files[i].text, "f", &config, &diag);
		if (r == 0)
			config_deinit(&config);
		if (r != (files[i].error ? -EINVAL : 0) ||
		    strcmp(diag.text, files[i].error ? files[i].error : "") != 0)
			fail_msg("%s: %d %s", files[i].text, r, diag.text);
	}
}

static void test_urls(void **state)
{
	static const char *const good[] = {"http://a", "https://a:1/b?c", "http://[::1]:80",
					   "https://sts.eu-west-1.amazonaws.com"};
	static const char *const bad[] = {
		"",	     "a",	 "http://",    "https://",    "http:///a",
		"http://:1", "http://?", "http://a b", "http://a\tb", "http://a\x7f"};

	(void)state;
	for (size_t i = 0; i < N(good); i++)
		assert_true(config_value_url(good[i]));
	for (size_t i = 0; i < N(bad); i++)
		assert_false(config_value_url(bad[i]));
}

static void test_addresses(void **state)
{
	static const struct {
		const char *value, *host, *port; /* NULL: it is none */
	} cases[] = {
		{"0.0.0.0:9443", "0.0.0.0", "9443"},
		{"localhost:1", "localhost", "1"},
		{"[::1]:65535", "::1", "65535"},
		{"[::]:9443", "::", "9443"},
		{"", NULL, NULL},
		{":", NULL, NULL},
		{":9443", NULL, NULL},
		{"[]:9443", NULL, NULL},
		{"9443", NULL, NULL},
		{"a:", NULL, NULL},
		{"a:0", NULL, NULL},
		{"a:65536", NULL, NULL},
		{"a:999999", NULL, NULL},
		{"a:+1", NULL, NULL},
		{"a:1 ", NULL, NULL},
		{"::1:9443", NULL, NULL},
		{"[::1]9443", NULL, NULL},
		{"[::1:9443", NULL, NULL},
	};

	(void)state;
	for (size_t i = 0; i < N(cases); i++) {
		char host[64];
		const char *port;
		int r = config_value_address(cases[i].value, host, sizeof(host), &port);
		if (r != (cases[i].host ? 0 : -EINVAL))
			fail_msg("%s: %d", cases[i].value, r);
		if (!cases[i].host)
			continue;
		assert_string_equal(host, cases[i].host);
		assert_string_equal(port, cases[i].port);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_urls),
		cmocka_unit_test(test_addresses),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
