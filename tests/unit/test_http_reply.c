/* http_reply: every case whole, byte by byte, and cut at every length. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "util/buf.h"
#include "wire/http_reply.h"

#define N(a) (sizeof(a) / sizeof((a)[0]))
#define BODY_MAX 64
#define OK "HTTP/1.1 200 OK\r\n"

/* How a reply ends that is all there. */
enum end { BY_LENGTH, BY_CLOSE };

static const struct {
	const char *text;
	int status;
	const char *body;
	enum end end;
} good[] = {
	{OK "Content-Length: 2\r\n\r\n{}", 200, "{}", BY_LENGTH},
	{OK "content-length:2\t \r\n\r\n{}", 200, "{}", BY_LENGTH},
	{OK "Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}", 200, "{}", BY_LENGTH},
	{OK "Content-Length: 0\r\n\r\n", 200, "", BY_LENGTH},
	{OK "\r\n", 200, "", BY_CLOSE},
	{OK "Server: x\r\n\r\nline\r\n\r\nline", 200, "line\r\n\r\nline", BY_CLOSE},
	{"HTTP/1.0 200 OK\r\n\r\n{}", 200, "{}", BY_CLOSE},
	{"HTTP/1.1 204 No Content\r\n\r\n", 204, "", BY_LENGTH},
	{"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", 304, "", BY_LENGTH},
	{"HTTP/1.1 503\r\nContent-Length: 1\r\n\r\nx", 503, "x", BY_LENGTH},
	{"HTTP/1.1 503 \r\nContent-Length: 1\r\n\r\nx", 503, "x", BY_LENGTH},
	{"HTTP/1.1 404 \x80\xff\r\nContent-Length: 0\r\nX: \xfc\r\n\r\n", 404, "", BY_LENGTH},
	{OK "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 200, "", BY_LENGTH},
	{OK "Transfer-Encoding: Chunked\r\n\r\n1\r\na\r\n00A;x=y\r\n0123456789\r\n000\r\n\r\n", 200,
	 "a0123456789", BY_LENGTH},
	{OK "Transfer-Encoding: chunked\r\n\r\n2\r\n\r\n\r\n0\r\nA: b\r\nC: d\r\n\r\n", 200, "\r\n",
	 BY_LENGTH},
	{"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nLink: x\r\nContent-Length: "
	 "5\r\n\r\n" OK "Content-Length: 1\r\n\r\nx",
	 200, "x", BY_LENGTH},
	{OK "Content-Length: 64\r\n\r\n"
	    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
	 200, "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", BY_LENGTH},
};

/* Feed `len` bytes in pieces of `step`. */
static int feed(struct http_reply *reply, const char *text, size_t len, size_t step,
		struct buf *body, struct diag *diag)
{
	int r = 0;

	for (size_t i = 0; i < len && r >= 0; i += step)
		r = http_reply_feed(reply, text + i, len - i < step ? len - i : step, body,
				    BODY_MAX, diag);
	return r;
}

static void check_good(size_t i, size_t step)
{
	_cleanup_buf_ struct buf body = {0};
	struct http_reply reply = {0};
	struct diag diag = {0};

	int r = feed(&reply, good[i].text, strlen(good[i].text), step, &body, &diag);
	if (r != (good[i].end == BY_LENGTH) || reply.status != good[i].status)
		fail_msg("case %zu, step %zu: %d, status %d: %s", i, step, r, reply.status,
			 diag.text);
	assert_true(http_reply_has_head(&reply));
	assert_string_equal(body.data ? body.data : "", good[i].body);
	assert_int_equal(http_reply_end(&reply, &diag), 0);
}

static void test_good(void **state)
{
	(void)state;
	for (size_t i = 0; i < N(good); i++)
		for (size_t step = 1; step <= strlen(good[i].text); step++)
			check_good(i, step);
}

/* No beginning of a reply is taken for a whole one, unless only the close can tell. */
static void test_cut(void **state)
{
	(void)state;
	for (size_t i = 0; i < N(good); i++) {
		for (size_t len = 0; len < strlen(good[i].text); len++) {
			_cleanup_buf_ struct buf body = {0};
			struct http_reply reply = {0};
			struct diag diag = {0};
			assert_int_equal(feed(&reply, good[i].text, len, 1, &body, &diag), 0);
			bool whole = good[i].end == BY_CLOSE && http_reply_has_head(&reply);
			assert_int_equal(http_reply_end(&reply, &diag), whole ? 0 : -EBADMSG);
			if (!whole)
				assert_non_null(strstr(diag.text, "closed"));
		}
	}
}

#define CHUNKED OK "Transfer-Encoding: chunked\r\n\r\n"

static const struct {
	const char *text;
	int error;
	const char *says;
} bad[] = {
	{"\r\n", EBADMSG, "status line"},
	{"HTTP/1.1 20 OK\r\n", EBADMSG, "three-digit"},
	{"HTTP/1.1 2000 OK\r\n", EBADMSG, "three-digit"},
	{"HTTP/1.1 2x0 OK\r\n", EBADMSG, "three-digit"},
	{"HTTP/1.1 099 OK\r\n", EBADMSG, "100 to 599"},
	{"HTTP/1.1 600 OK\r\n", EBADMSG, "100 to 599"},
	{"HTTP/1.1 101 Switching\r\n", EBADMSG, "switches"},
	{"HTTP/2.0 200 OK\r\n", EBADMSG, "status line"},
	{"HTTP/1.12 200 OK\r\n", EBADMSG, "status line"},
	{"http/1.1 200 OK\r\n", EBADMSG, "status line"},
	{" HTTP/1.1 200 OK\r\n", EBADMSG, "status line"},
	{"HTTP/1.1 200 OK\n", EBADMSG, "without CR"},
	{"HTTP/1.1 200 O\rK\r\n", EBADMSG, "control byte"},
	{"HTTP/1.1 200 \x1b\r\n", EBADMSG, "control byte"},
	{OK "no colon\r\n", EBADMSG, "no name"},
	{OK ": x\r\n", EBADMSG, "no name"},
	{OK "Content-Length : 2\r\n", EBADMSG, "space"},
	{OK "A: b\r\n folded: c\r\n", EBADMSG, "folded"},
	{OK "A: b\r\n folded\r\n", EBADMSG, "no name"},
	{OK "A: b\x7f\r\n", EBADMSG, "control byte"},
	{OK "Content-Length: \r\n", EBADMSG, "no number"},
	{OK "Content-Length: -1\r\n", EBADMSG, "no number"},
	{OK "Content-Length: +1\r\n", EBADMSG, "no number"},
	{OK "Content-Length: 1, 1\r\n", EBADMSG, "no number"},
	{OK "Content-Length: 0x1\r\n", EBADMSG, "no number"},
	{OK "Content-Length: 18446744073709551617\r\n", EBADMSG, "no number"},
	{OK "Content-Length: 1\r\nContent-Length: 2\r\n", EBADMSG, "two different"},
	{OK "Transfer-Encoding: gzip, chunked\r\n", EBADMSG, "not chunked"},
	{OK "Transfer-Encoding: identity\r\n", EBADMSG, "not chunked"},
	{OK "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", EBADMSG, "not chunked"},
	{OK "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n", EBADMSG, "both"},
	{OK "Content-Length: 1\r\n\r\nxy", EBADMSG, "follow"},
	{"HTTP/1.1 204 No\r\n\r\nx", EBADMSG, "follow"},
	{CHUNKED "\r\n", EBADMSG, "hexadecimal"},
	{CHUNKED "g\r\n", EBADMSG, "hexadecimal"},
	{CHUNKED "-1\r\n", EBADMSG, "hexadecimal"},
	{CHUNKED "0x1\r\n", EBADMSG, "hexadecimal"},
	{CHUNKED "1\nx", EBADMSG, "without CR"},
	{CHUNKED "ffffffffffffffff\r\n", EBADMSG, "hexadecimal"},
	{CHUNKED "1\r\nxy\r\n", EBADMSG, "longer than its size"},
	{CHUNKED "0\r\n\r\nx", EBADMSG, "follow"},
	{OK "Content-Length: 65\r\n\r\nx", EMSGSIZE, "larger"},
	{OK "Content-Length: 999999999999999999\r\n\r\nx", EMSGSIZE, "larger"},
	{CHUNKED "fffffffffffffff\r\n0123456789abcdef0123456789abcdef0123456789abcdef"
		 "0123456789abcdef0",
	 EMSGSIZE, "larger"},
	{OK "\r\n0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0", EMSGSIZE,
	 "larger"},
};

static void test_bad(void **state)
{
	(void)state;
	for (size_t i = 0; i < N(bad); i++) {
		const size_t len = strlen(bad[i].text);
		for (size_t step = 1; step <= len; step += step < 3 ? 1 : len - step + 1) {
			_cleanup_buf_ struct buf body = {0};
			struct http_reply reply = {0};
			struct diag diag = {0};
			int r = feed(&reply, bad[i].text, len, step, &body, &diag);
			if (r != -bad[i].error || !strstr(diag.text, bad[i].says))
				fail_msg("case %zu, step %zu: %d: %s", i, step, r, diag.text);
			assert_true(body.len <= BODY_MAX);
		}
	}
}

/* `n` times `piece` between the two ends. */
static int feed_many(const char *before, const char *piece, size_t n, const char *after)
{
	_cleanup_buf_ struct buf text = {0}, body = {0};
	struct http_reply reply = {0};
	struct diag diag = {0};

	buf_puts(&text, before);
	for (size_t i = 0; i < n; i++)
		buf_puts(&text, piece);
	buf_puts(&text, after);
	return feed(&reply, text.data, text.len, text.len, &body, &diag);
}

static void test_bounds(void **state)
{
	(void)state;
	assert_int_equal(feed_many(OK, "A: b\r\n", 63, "Content-Length: 0\r\n\r\n"), 1);
	assert_int_equal(feed_many(OK, "A: b\r\n", 64, "Content-Length: 0\r\n\r\n"), -EBADMSG);
	assert_int_equal(feed_many(CHUNKED "0\r\n", "A: b\r\n", 64, "\r\n"), 1);
	assert_int_equal(feed_many(CHUNKED "0\r\n", "A: b\r\n", 65, "\r\n"), -EBADMSG);
	assert_int_equal(feed_many("", "HTTP/1.1 100 C\r\n\r\n", 8, OK "Content-Length: 0\r\n\r\n"),
			 1);
	assert_int_equal(feed_many("", "HTTP/1.1 100 C\r\n\r\n", 9, OK "Content-Length: 0\r\n\r\n"),
			 -EBADMSG);
	assert_int_equal(feed_many(OK "A:", "x", 4091, "\r\nContent-Length: 0\r\n\r\n"), 1);
	assert_int_equal(feed_many(OK "A:", "x", 4092, "\r\nContent-Length: 0\r\n\r\n"), -EBADMSG);
	assert_int_equal(feed_many(CHUNKED, "0", 4096, ""), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
