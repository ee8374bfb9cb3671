/* oci_config, oci_state, option_text: what is read of a bundle, of a hook's input, of an
 * annotation. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "util/buf.h"
#include "wire/oci_config.h"
#include "wire/oci_state.h"
#include "wire/option_text.h"

#define N(a) (sizeof(a) / sizeof((a)[0]))

#define TWO_NETNS                                                                                  \
	"{\"linux\":{\"namespaces\":[{\"type\":\"network\"},"                                      \
	"{\"type\":\"network\",\"path\":\"/proc/1/ns/net\"}]}}"

static void test_config(void **state)
{
	static const char text[] =
		"{\"process\":{\"env\":[\"A=1\",\"B\",\"A=2=3\",\"=x\"],\"capabilities\":"
		"{\"bounding\":[\"CAP_KILL\"],\"effective\":[\"CAP_SYS_ADMIN\"]},"
		"\"rlimits\":[{\"hard\":18446744073709551615}]},\"root\":{\"path\":\"rootfs\"},"
		"\"mounts\":[{\"type\":\"proc\",\"source\":\"proc\"},"
		"{\"type\":\"bind\",\"source\":\"/a\"},"
		"{\"source\":\"/b\",\"options\":[\"ro\",\"rbind\"]}],"
		"\"annotations\":{\"k\":\"v\"},"
		"\"linux\":{\"namespaces\":[{\"type\":\"pid\"},"
		"{\"type\":\"network\",\"path\":\"/n\"}]}}";
	_cleanup_oci_config_ struct oci_config *config = NULL;
	struct diag diag = {0};

	(void)state;
	assert_int_equal(oci_config_parse(text, strlen(text), &config, &diag), 0);
	assert_string_equal(oci_config_env(config, "A"), "2=3");
	assert_null(oci_config_env(config, "B"));
	assert_string_equal(oci_config_annotation(config, "k"), "v");
	assert_null(oci_config_annotation(config, "K"));
	assert_true(oci_config_has_capability(config, "CAP_KILL"));
	assert_false(oci_config_has_capability(config, "CAP_SYS_ADMIN"));
	assert_int_equal(config->n_host_paths, 3);
	assert_string_equal(config->host_paths[0], "rootfs");
	assert_string_equal(config->host_paths[1], "/a");
	assert_string_equal(config->host_paths[2], "/b");
	assert_int_equal(config->netns, OCI_NETNS_PATH);
	assert_string_equal(config->netns_path, "/n");
	assert_true(config->has_pid_namespace);
	assert_false(config->has_user_namespace);
}

/* Only a user namespace that has none of the host's own users sets apart. */
static void test_user_namespace(void **state)
{
	static const struct {
		const char *text;
		bool apart;
	} cases[] = {
		{"\"namespaces\":[]", false},
		{"\"namespaces\":[{\"type\":\"user\"}]", false},
		{"\"namespaces\":[{\"type\":\"user\",\"path\":\"/x\"}]", true},
		{"\"namespaces\":[{\"type\":\"user\"}],\"uidMappings\":[{\"containerID\":0,"
		 "\"hostID\":100000,\"size\":65536}]",
		 true},
		{"\"namespaces\":[{\"type\":\"user\"}],\"uidMappings\":[{\"containerID\":0,"
		 "\"hostID\":0,\"size\":65536}]",
		 false},
		{"\"namespaces\":[{\"type\":\"user\"}],\"uidMappings\":[{\"containerID\":0,"
		 "\"hostID\":100000,\"size\":9},{\"containerID\":9,\"hostID\":473,\"size\":1}]",
		 false},
		{"\"namespaces\":[{\"type\":\"user\",\"path\":\"/x\"}],\"uidMappings\":["
		 "{\"containerID\":0,\"hostID\":100000,\"size\":9}],\"gidMappings\":[{}]",
		 false},
	};

	(void)state;
	for (size_t i = 0; i < N(cases); i++) {
		_cleanup_oci_config_ struct oci_config *config = NULL;
		char text[512];
		snprintf(text, sizeof(text), "{\"linux\":{%s}}", cases[i].text);
		assert_int_equal(oci_config_parse(text, strlen(text), &config, NULL), 0);
		if (config->has_user_namespace != cases[i].apart)
			fail_msg("%s", text);
	}
}

static void test_netns(void **state)
{
	static const struct {
		const char *text;
		enum oci_netns netns;
	} cases[] = {
		{"{}", OCI_NETNS_HOST},
		{"{\"linux\":null}", OCI_NETNS_HOST},
		{"{\"linux\":{\"namespaces\":[{\"type\":\"user\"}]}}", OCI_NETNS_HOST},
		{"{\"linux\":{\"namespaces\":[{\"type\":\"network\"}]}}", OCI_NETNS_NEW},
		{"{\"linux\":{\"namespaces\":[{\"type\":\"network\",\"path\":\"\"}]}}",
		 OCI_NETNS_NEW},
		{"{\"linux\":{\"namespaces\":[{\"type\":\"network\",\"path\":\"x\"}]}}",
		 OCI_NETNS_PATH},
	};

	(void)state;
	for (size_t i = 0; i < N(cases); i++) {
		_cleanup_oci_config_ struct oci_config *config = NULL;
		assert_int_equal(
			oci_config_parse(cases[i].text, strlen(cases[i].text), &config, NULL), 0);
		assert_int_equal(config->netns, cases[i].netns);
	}
}

static void test_config_errors(void **state)
{
	static const char *const texts[] = {
		"",
		"[]",
		"{\"annotations\":[]}",
		"{\"annotations\":{\"a\":null}}",
		"{\"process\":1}",
		"{\"process\":{\"env\":{}}}",
		"{\"process\":{\"env\":[1]}}",
		"{\"process\":{\"capabilities\":[]}}",
		"{\"process\":{\"capabilities\":{\"bounding\":[{}]}}}",
		"{\"mounts\":{}}",
		"{\"linux\":{\"namespaces\":{}}}",
		"{\"linux\":{\"namespaces\":[{}]}}",
		TWO_NETNS,
		"{\"annotations\":{\"a\":\"x\\u0000y\"}}",
	};

	(void)state;
	for (size_t i = 0; i < N(texts); i++) {
		struct oci_config *config = NULL;
		struct diag diag = {0};
		int r = oci_config_parse(texts[i], strlen(texts[i]), &config, &diag);
		if (r != -EINVAL || config || !diag.text[0])
			fail_msg("%s: %d", texts[i], r);
	}
}

static void test_state(void **state)
{
	static const struct {
		const char *text;
		int r;
		enum oci_status status;
		int pid;
	} cases[] = {
		{"{\"ociVersion\":\"1\",\"id\":\"x\",\"bundle\":\"/b\",\"status\":\"creating\","
		 "\"pid\":7}",
		 0, OCI_CREATING, 7},
		{"{\"id\":\"x\",\"bundle\":\"/b\",\"status\":\"stopped\"}", 0, OCI_STOPPED, 0},
		{"{\"id\":\"x\",\"bundle\":\"/b\",\"status\":\"created\",\"pid\":0}", 0,
		 OCI_CREATED, 0},
		{"{\"id\":\"x\",\"bundle\":\"b\",\"status\":\"created\"}", -EINVAL, 0, 0},
		{"{\"id\":\"x\",\"bundle\":\"/b\",\"status\":\"odd\"}", -EINVAL, 0, 0},
		{"{\"id\":\"x\",\"bundle\":\"/b\",\"status\":\"created\",\"pid\":-1}", -EINVAL, 0,
		 0},
		{"{\"id\":\"x\",\"bundle\":\"/b\",\"status\":\"created\",\"pid\":4294967297}",
		 -EINVAL, 0, 0},
		{"{\"bundle\":\"/b\",\"status\":\"created\"}", -EINVAL, 0, 0},
		{"[]", -EINVAL, 0, 0},
		{"", -EINVAL, 0, 0},
	};

	(void)state;
	for (size_t i = 0; i < N(cases); i++) {
		_cleanup_oci_state_ struct oci_state s = {0};
		struct diag diag = {0};
		int r = oci_state_parse(cases[i].text, strlen(cases[i].text), &s, &diag);
		if (r != cases[i].r)
			fail_msg("%s: %d", cases[i].text, r);
		if (r < 0)
			continue;
		assert_string_equal(s.id, "x");
		assert_string_equal(s.bundle, "/b");
		assert_int_equal(s.status, cases[i].status);
		assert_int_equal(s.pid, cases[i].pid);
	}
}

static int collect(const char *item, void *user)
{
	buf_printf(user, "<%s>", item);
	return 0;
}

static void test_split(void **state)
{
	static const struct {
		const char *text, *items; /* NULL: -EINVAL */
	} cases[] = {
		{"", ""},
		{" , ,", ""},
		{"a=1,b=2", "<a=1><b=2>"},
		{" a = 1 , b", "<a = 1><b>"},
		{"{\"a\":\"1,2\",\"b\":\"\"}", "<a=1,2><b=>"},
		{" [\"x,y\",\"z\"]", "<x,y><z>"},
		{"{}", ""},
		{"[]", ""},
		{"{\"a\":1}", NULL},
		{"{\"a\":{}}", NULL},
		{"[1]", NULL},
		{"[", NULL},
		{"{\"a\":\"1\",\"a\":\"2\"}", NULL},
	};

	(void)state;
	for (size_t i = 0; i < N(cases); i++) {
		_cleanup_buf_ struct buf out = {0};
		struct diag diag = {0};
		int r = option_text_split(cases[i].text, collect, &out, &diag);
		if (r != (cases[i].items ? 0 : -EINVAL))
			fail_msg("%s: %d", cases[i].text, r);
		if (cases[i].items)
			assert_string_equal(out.data ? out.data : "", cases[i].items);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_config),	       cmocka_unit_test(test_netns),
		cmocka_unit_test(test_user_namespace), cmocka_unit_test(test_config_errors),
		cmocka_unit_test(test_state),	       cmocka_unit_test(test_split),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
