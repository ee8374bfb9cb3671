#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "privileged/netns.h"

static void test_host(void **state)
{
	const struct netns_hosts hosts = {.own = {4, 100}, .init = {4, 200}};

	(void)state;
	assert_true(netns_is_host(&hosts, &(struct netns_id){4, 100}));
	assert_true(netns_is_host(&hosts, &(struct netns_id){4, 200}));
	assert_true(netns_is_host(&hosts, &(struct netns_id){4, NETNS_INITIAL_INODE}));
	assert_false(netns_is_host(&hosts, &(struct netns_id){4, 300}));
	assert_false(netns_is_host(&hosts, &(struct netns_id){5, 100}));
}

static void test_own_netns_is_found_and_refused(void **state)
{
	struct netns_hosts hosts;
	struct diag diag = {0};
	struct netns_id id;
	int fd;

	(void)state;
	assert_int_equal(netns_hosts_init(&hosts, &diag), 0);
	assert_int_equal(netns_open("/proc/self/ns/net", &hosts, &fd, &id, &diag), -EINVAL);
	assert_string_equal(diag.field, "netns");
	assert_int_equal(netns_open("/proc/self/ns/uts", &hosts, &fd, &id, &diag), -EINVAL);
	assert_int_equal(netns_open("/dev/null", &hosts, &fd, &id, &diag), -EINVAL);
	assert_int_equal(netns_open("/nonexistent", &hosts, &fd, &id, &diag), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_host),
		cmocka_unit_test(test_own_netns_is_found_and_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
