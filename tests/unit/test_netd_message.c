#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "wire/netd_message.h"

static struct netd_request attach(void)
{
	struct netd_request request = {
		.version = NETD_PROTOCOL_VERSION, .verb = NETD_ATTACH, .serial = 7, .port = 16925};

	strcpy(request.id, "web-1");
	strcpy(request.path, "/proc/4242/ns/net");
	return request;
}

static int check(const struct netd_request *request)
{
	struct netd_request ret;

	return netd_request_check(request, sizeof(*request), &ret, NULL);
}

static void test_good_requests(void **state)
{
	struct netd_request request = attach(), ret;

	(void)state;
	assert_int_equal(netd_request_check(&request, sizeof(request), &ret, NULL), 0);
	assert_memory_equal(&request, &ret, sizeof(ret));

	request.verb = NETD_ADOPT;
	assert_int_equal(check(&request), 0);
	memset(request.path, 0, sizeof(request.path));
	assert_int_equal(check(&request), 0);
	request.port = 0;
	request.verb = NETD_DETACH;
	assert_int_equal(check(&request), 0);
	memset(request.id, 0, sizeof(request.id));
	request.verb = NETD_HELLO;
	assert_int_equal(check(&request), 0);
	strcpy(request.id, "1a-4d2"); /* whose registrations it serves */
	assert_int_equal(check(&request), 0);
	strcpy(request.id, "../x");
	assert_int_equal(check(&request), -EPROTO);
	memset(request.id, 0, sizeof(request.id));
	request.verb = NETD_LIST;
	assert_int_equal(check(&request), 0);
}

static void test_length_is_exact(void **state)
{
	struct netd_request request = attach(), ret;
	char longer[sizeof(request) + 1] = {0};
	struct diag diag = {0};

	(void)state;
	memcpy(longer, &request, sizeof(request));
	assert_int_equal(netd_request_check(longer, sizeof(longer), &ret, &diag), -EPROTO);
	assert_string_equal(diag.field, "length");
	for (size_t len = 0; len < sizeof(request); len++)
		assert_int_equal(netd_request_check(&request, len, &ret, NULL), -EPROTO);
}

static void test_envelope(void **state)
{
	struct netd_request request = attach();

	(void)state;
	request.version++;
	assert_int_equal(check(&request), -EPROTO);
	request = attach();
	request.serial = 0;
	assert_int_equal(check(&request), -EPROTO);
	static const uint32_t verbs[] = {0, NETD_GONE, NETD_REPLACED, 10, 0xffffffff};
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		request = attach();
		request.verb = verbs[i];
		assert_int_equal(check(&request), -EPROTO);
		request.serial = 0;
		assert_int_equal(check(&request), -EPROTO);
	}
	request = attach();
	request.mode = 2;
	assert_int_equal(check(&request), -EPROTO);
}

static void test_ids(void **state)
{
	static const char *const good[] = {"a", "Z", "0", "a.b_c-D", "web-1.e3c16590-0e2f"};
	static const char *const bad[] = {"",	 ".a",	  "-a",	  "_a",	 "a/b",	   "a b",
					  "a\n", "a\x7f", "\xc3", "a%n", "../etc", "a:b"};
	char longest[CONTAINER_ID_SIZE + 1];

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_int_equal(container_id_check(good[i]), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct netd_request request = attach();
		assert_int_equal(container_id_check(bad[i]), -EINVAL);
		memset(request.id, 0, sizeof(request.id));
		strcpy(request.id, bad[i]);
		assert_int_equal(check(&request), -EPROTO);
	}
	memset(longest, 'x', sizeof(longest));
	longest[CONTAINER_ID_SIZE - 1] = '\0';
	assert_int_equal(container_id_check(longest), 0);
	longest[CONTAINER_ID_SIZE - 1] = 'x';
	longest[CONTAINER_ID_SIZE] = '\0';
	assert_int_equal(container_id_check(longest), -EINVAL);
}

static void test_strings(void **state)
{
	struct netd_request request = attach();

	(void)state;
	memset(request.id, 'x', sizeof(request.id)); /* not terminated */
	assert_int_equal(check(&request), -EPROTO);
	request = attach();
	memset(request.path, '/', sizeof(request.path));
	assert_int_equal(check(&request), -EPROTO);
	request = attach();
	request.path[100] = 'x'; /* behind its NUL */
	assert_int_equal(check(&request), -EPROTO);
	request = attach();
	request.id[sizeof(request.id) - 1] = 'x';
	assert_int_equal(check(&request), -EPROTO);
	request = attach();
	request.path[3] = '\n';
	assert_int_equal(check(&request), -EPROTO);
	request = attach();
	request.unused[0] = 1;
	assert_int_equal(check(&request), -EPROTO);
	request = attach();
	request.pad = 1;
	assert_int_equal(check(&request), -EPROTO);
}

static void test_members_of_each_verb(void **state)
{
	struct netd_request request = attach();

	(void)state;
	request.path[0] = 'p'; /* relative */
	assert_int_equal(check(&request), -EPROTO);
	memset(request.path, 0, sizeof(request.path));
	assert_int_equal(check(&request), -EPROTO);
	request = attach();
	request.verb = NETD_DETACH;
	assert_int_equal(check(&request), -EPROTO);
	request = attach();
	request.verb = NETD_HELLO;
	assert_int_equal(check(&request), -EPROTO);
}

static void test_adopting_in_bridge_mode(void **state)
{
	struct netd_request request = attach();

	(void)state;
	request.mode = NETD_MODE_BRIDGE;
	assert_int_equal(check(&request), 0);
	request.netns_ino = 5; /* ATTACH asks for what is there */
	assert_int_equal(check(&request), -EPROTO);
	request.verb = NETD_ADOPT;
	assert_int_equal(check(&request), 0);
	request.mark = NETD_MARK_MASK;
	assert_int_equal(check(&request), 0);
	request.mark = ~NETD_MARK_MASK;
	assert_int_equal(check(&request), -EPROTO);
	request.mark = 0;
	request.netns_ino = 0;
	assert_int_equal(check(&request), -EPROTO);
	request.netns_ino = 5;
	request.mode = NETD_MODE_NETNS;
	assert_int_equal(check(&request), -EPROTO);
	request.mode = NETD_MODE_BRIDGE;
	memset(request.path, 0, sizeof(request.path));
	assert_int_equal(check(&request), -EPROTO);
}

static int check_reply(const struct netd_reply *reply)
{
	struct netd_reply ret;

	return netd_reply_check(reply, sizeof(*reply), &ret, NULL);
}

static void test_replies(void **state)
{
	const struct netd_reply good = {.version = NETD_PROTOCOL_VERSION,
					.verb = NETD_ATTACH,
					.serial = 1,
					.n_fds = 2,
					.id = "web-1"};
	struct netd_reply reply = good, ret;

	(void)state;
	assert_int_equal(check_reply(&reply), 0);
	assert_int_equal(netd_reply_check(&reply, sizeof(reply) - 1, &ret, NULL), -EPROTO);
	reply.n_fds = 3;
	assert_int_equal(check_reply(&reply), -EPROTO);
	reply = good;
	reply.error = EBUSY; /* an error brings no descriptors */
	assert_int_equal(check_reply(&reply), -EPROTO);
	reply.n_fds = 0;
	assert_int_equal(check_reply(&reply), 0);
	reply.error = -EBUSY;
	assert_int_equal(check_reply(&reply), -EPROTO);
	reply = good;
	reply.serial = 0;
	assert_int_equal(check_reply(&reply), -EPROTO);
	reply.verb = NETD_GONE;
	reply.n_fds = 0;
	assert_int_equal(check_reply(&reply), 0);
	memset(reply.text, 'x', sizeof(reply.text));
	assert_int_equal(check_reply(&reply), -EPROTO);
	reply = good;
	memset(reply.field, 'x', sizeof(reply.field));
	assert_int_equal(check_reply(&reply), -EPROTO);
	reply = good;
	reply.mode = NETD_MODE_BRIDGE; /* without a mark it would be anybody's */
	assert_int_equal(check_reply(&reply), -EPROTO);
	reply.mark = 1;
	assert_int_equal(check_reply(&reply), -EPROTO);
	reply.n_sources = NETD_SOURCES_MAX;
	assert_int_equal(check_reply(&reply), 0);
	reply.n_sources++;
	assert_int_equal(check_reply(&reply), -EPROTO);
	reply.n_sources = 1;
	reply.mark = 0x2000;
	assert_int_equal(check_reply(&reply), -EPROTO);
	reply.mark = 1;
	reply.mode = NETD_MODE_NETNS;
	assert_int_equal(check_reply(&reply), -EPROTO);
	reply = good;
	strcpy(reply.id, "a/b");
	assert_int_equal(check_reply(&reply), -EPROTO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good_requests),
		cmocka_unit_test(test_length_is_exact),
		cmocka_unit_test(test_envelope),
		cmocka_unit_test(test_ids),
		cmocka_unit_test(test_strings),
		cmocka_unit_test(test_members_of_each_verb),
		cmocka_unit_test(test_adopting_in_bridge_mode),
		cmocka_unit_test(test_replies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
