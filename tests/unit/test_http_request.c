#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "wire/http_request.h"

#define GET "GET / HTTP/1.1\r\nHost: h\r\n"

struct row {
	const char *text;
	int status; /* 0: done; -1: partial; else the status of the refusal */
};

static void test_heads(void **state)
{
	static const struct row rows[] = {
		{GET "\r\n", 0},
		{"GET / HTTP/1.0\r\n\r\n", 0},
		{"PUT /latest/api/token "
		 "HTTP/1.1\r\nhost:h\r\nx-AWS-ec2-metadata-token-ttl-seconds:  "
		 "21600 \r\n\r\n",
		 0},
		{"GET http://169.254.169.254/latest HTTP/1.1\r\nHost: h\r\n\r\n", 0},
		{GET "Connection: close\r\n\r\n", 0},
		{GET, -1},
		{"", -1},
		{"G", -1},
		{"GET / HTTP/1.1\r\n\r", -1},
		/* request lines */
		{"GET /\r\n\r\n", 400},
		{"GET  / HTTP/1.1\r\nHost: h\r\n\r\n", 400},
		{"GET / HTTP/1.1 \r\nHost: h\r\n\r\n", 400},
		{"GET / HTTP/2.0\r\nHost: h\r\n\r\n", 505},
		{"GET / http/1.1\r\nHost: h\r\n\r\n", 400},
		{"GET / HTTP/1.10\r\nHost: h\r\n\r\n", 400},
		{"G(T / HTTP/1.1\r\nHost: h\r\n\r\n", 400},
		{" GET / HTTP/1.1\r\nHost: h\r\n\r\n", 400},
		{"\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", 400},
		{"GET * HTTP/1.1\r\nHost: h\r\n\r\n", 400},
		{"GET example.com:80 HTTP/1.1\r\nHost: h\r\n\r\n", 400},
		{"GET http:// HTTP/1.1\r\nHost: h\r\n\r\n", 400},
		{"GET http://u@h/ HTTP/1.1\r\nHost: h\r\n\r\n", 400},
		{"GET /a#b HTTP/1.1\r\nHost: h\r\n\r\n", 400},
		{"GET /a\tb HTTP/1.1\r\nHost: h\r\n\r\n", 400},
		{"GET /a\rb HTTP/1.1\r\nHost: h\r\n\r\n", 400},
		/* line ends */
		{"GET / HTTP/1.1\nHost: h\n\n", 400},
		{"GET / HTTP/1.1\r\nHost: h\n\r\n", 400},
		{"GET / HTTP/1.1\r\nHost: h\r\n\n", 400},
		/* headers */
		{"GET / HTTP/1.1\r\n\r\n", 400},
		{GET "Host: h\r\n\r\n", 400},
		{GET "no colon\r\n\r\n", 400},
		{GET ": no name\r\n\r\n", 400},
		{GET "a : b\r\n\r\n", 400},
		{GET "a: b\r\n folded\r\n\r\n", 400},
		{GET "a: b\001c\r\n\r\n", 400},
		{GET "a: b\rX-Injected: yes\r\n\r\n", 400},
		{GET "Expect: a-miracle\r\n\r\n", 417},
		/* smuggling shapes */
		{GET "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
		{GET "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n", 400},
		{GET "Content-Length: 0\r\nContent-Length: 0\r\n\r\n", 400},
		{GET "Content-Length: +0\r\n\r\n", 400},
		{GET "Content-Length: 0, 0\r\n\r\n", 400},
		{GET "Content-Length: \r\n\r\n", 400},
		{GET "Content-Length: 99999999999999999999\r\n\r\n", 400},
		{GET "Transfer-Encoding: gzip\r\n\r\n", 501},
		{GET "Transfer-Encoding: chunked, chunked\r\n\r\n", 501},
		{GET "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
		{GET "Transfer-Encoding: \vchunked\r\n\r\n", 400},
		{"GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct http_request r;
		int status = 0;
		enum http_parse p =
			http_request_parse(rows[i].text, strlen(rows[i].text), 0, &r, &status);
		int got = p == HTTP_PARSE_DONE ? 0 : p == HTTP_PARSE_PARTIAL ? -1 : status;
		if (got != rows[i].status)
			fail_msg("row %zu (%s): got %d, expected %d", i, rows[i].text, got,
				 rows[i].status);
		if (p == HTTP_PARSE_DONE)
			assert_int_equal(r.head_len, strlen(rows[i].text));
	}
}

static void parse_ok(const char *text, struct http_request *r)
{
	int status = 0;

	assert_int_equal(http_request_parse(text, strlen(text), 0, r, &status), HTTP_PARSE_DONE);
}

static void test_fields(void **state)
{
	struct http_request r;

	(void)state;
	parse_ok("GET /x?y HTTP/1.1\r\nHOST: \t169.254.169.254 \r\n"
		 "x-aws-ec2-metadata-token: abc\r\nX-FORWARDED-FOR:\r\n"
		 "Authorization: tok\r\n\r\n",
		 &r);
	assert_int_equal(r.method, HTTP_GET);
	assert_true(http_slice_equals(r.target, "/x?y"));
	assert_true(http_slice_equals(r.host, "169.254.169.254"));
	assert_true(http_slice_equals(r.token, "abc"));
	assert_true(http_slice_equals(r.authorization, "tok"));
	assert_true(r.forwarded);
	assert_true(r.keep_alive);
	assert_false(r.token_repeated);

	parse_ok("GET / HTTP/1.1\r\nHost: h\r\nx-aws-ec2-metadata-token: a\r\n"
		 "x-aws-ec2-metadata-token: b\r\n\r\n",
		 &r);
	assert_true(r.token_repeated);

	parse_ok("GET http://[fd00:ec2::254]/a HTTP/1.1\r\nHost: x\r\n\r\n", &r);
	assert_true(http_slice_equals(r.authority, "[fd00:ec2::254]"));
	assert_true(http_slice_equals(r.target, "/a"));
	parse_ok("GET HTTP://h HTTP/1.1\r\nHost: x\r\n\r\n", &r);
	assert_true(http_slice_equals(r.target, "/"));
}

static void test_keep_alive(void **state)
{
	static const struct {
		const char *text;
		bool keep_alive;
	} rows[] = {
		{GET "\r\n", true},
		{GET "Connection: close\r\n\r\n", false},
		{GET "Connection: Upgrade , Close\r\n\r\n", false},
		{GET "Connection: keep-alive\r\n\r\n", true},
		{"GET / HTTP/1.0\r\n\r\n", false},
		{"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", true},
		{"GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n", false},
	};
	struct http_request r;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		parse_ok(rows[i].text, &r);
		if (r.keep_alive != rows[i].keep_alive)
			fail_msg("row %zu", i);
	}
}

/* Whatever the pieces a head arrives in, the outcome is the same. */
static void test_pieces(void **state)
{
	static const char text[] = "PUT /latest/api/token HTTP/1.1\r\nHost: h\r\nA: b\r\n\r\nGET";
	size_t head = strlen(text) - 3;
	struct http_request r;
	int status;

	(void)state;
	for (size_t first = 0; first < head; first++) {
		assert_int_equal(http_request_parse(text, first, 0, &r, &status),
				 HTTP_PARSE_PARTIAL);
		assert_int_equal(http_request_parse(text, strlen(text), first, &r, &status),
				 HTTP_PARSE_DONE);
		assert_int_equal(r.head_len, head);
	}
}

static void test_limits(void **state)
{
	char text[HTTP_HEAD_MAX + 512];
	struct http_request r;
	int status = 0;

	(void)state;
	memset(text, 'a', sizeof(text));
	memcpy(text, GET "A: ", strlen(GET "A: "));
	assert_int_equal(http_request_parse(text, HTTP_HEAD_MAX - 1, 0, &r, &status),
			 HTTP_PARSE_PARTIAL);
	assert_int_equal(http_request_parse(text, HTTP_HEAD_MAX, 0, &r, &status), HTTP_PARSE_BAD);
	assert_int_equal(status, 431);
	/* A head that ends just within the limit is served, one byte later it is not. */
	memcpy(text + HTTP_HEAD_MAX - 4, "\r\n\r\n", 4);
	assert_int_equal(http_request_parse(text, HTTP_HEAD_MAX, 0, &r, &status), HTTP_PARSE_DONE);

	size_t n = (size_t)sprintf(text, GET);
	for (int i = 0; i < HTTP_HEADERS_MAX; i++)
		n += (size_t)sprintf(text + n, "a: b\r\n");
	sprintf(text + n, "\r\n");
	assert_int_equal(http_request_parse(text, strlen(text), 0, &r, &status), HTTP_PARSE_BAD);
	assert_int_equal(status, 431);

	n = (size_t)sprintf(text, "GET /");
	memset(text + n, 'a', HTTP_TARGET_MAX);
	sprintf(text + n + HTTP_TARGET_MAX, " HTTP/1.1\r\nHost: h\r\n\r\n");
	assert_int_equal(http_request_parse(text, strlen(text), 0, &r, &status), HTTP_PARSE_BAD);
	assert_int_equal(status, 414);
}

static void test_empty_body(void **state)
{
	static const struct row rows[] = {
		{"0\r\n\r\n", 0}, {"0\r\n\r\nGET", 0}, {"", -1},	{"0\r\n", -1},
		{"5\r\n", 413},	  {"a\r\n", 413},      {"00\r\n", 400}, {"0;x\r\n", 400},
		{"0\n\n", 400},	  {"x", 400},	       {"-1", 400},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		size_t len = 0;
		int status = 0;
		enum http_parse p =
			http_empty_body_parse(rows[i].text, strlen(rows[i].text), &len, &status);
		int got = p == HTTP_PARSE_DONE ? 0 : p == HTTP_PARSE_PARTIAL ? -1 : status;
		if (got != rows[i].status)
			fail_msg("row %zu: got %d, expected %d", i, got, rows[i].status);
		if (got == 0)
			assert_int_equal(len, 5);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_heads),	   cmocka_unit_test(test_fields),
		cmocka_unit_test(test_keep_alive), cmocka_unit_test(test_pieces),
		cmocka_unit_test(test_limits),	   cmocka_unit_test(test_empty_body),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
