/* identity: roles by name, and what may not be said by whom. The rest is in
 * integration/test_runtime.py. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "launch/identity.h"

#define N(a) (sizeof(a) / sizeof((a)[0]))

static void test_arn(void **state)
{
	static const struct {
		const char *config, *role, *arn; /* NULL: -EINVAL */
	} cases[] = {
		{"", "arn:aws:iam::123456789012:role/x", "arn:aws:iam::123456789012:role/x"},
		{"", "arn:anything", "arn:anything"}, /* the daemon's to judge */
		{"", "web", NULL},
		{"", "web@123456789012", "arn:aws:iam::123456789012:role/web"},
		{"", "web@12345678901", NULL},
		{"", "web@name", NULL},
		{"", "@123456789012", NULL},
		{"[runtime]\naccount = 210987654321", "web", "arn:aws:iam::210987654321:role/web"},
		{"[runtime]\naccount = 210987654321", "team/web",
		 "arn:aws:iam::210987654321:role/team/web"},
		{"[runtime]\naccount = 210987654321", "/team/web",
		 "arn:aws:iam::210987654321:role/team/web"},
		{"[runtime]\naccount = 210987654321", "web@123456789012",
		 "arn:aws:iam::123456789012:role/web"},
		{"[runtime]\naccount = 210987654321", "a@b", "arn:aws:iam::210987654321:role/a@b"},
		{"[runtime]\naccount = 210987654321", "/", NULL},
		{"[aws]\nregion = cn-north-1\n[runtime]\naccount = 210987654321", "web",
		 "arn:aws-cn:iam::210987654321:role/web"},
		{"[aws]\nregion = us-east-1\npartition = aws-x\n[runtime]\naccount = 210987654321",
		 "web", "arn:aws-x:iam::210987654321:role/web"},
	};

	(void)state;
	for (size_t i = 0; i < N(cases); i++) {
		_cleanup_free_ char *arn = NULL;
		struct config config;
		struct diag diag = {0};
		assert_int_equal(config_parse(cases[i].config, "test", &config, &diag), 0);
		int r = identity_complete_arn(cases[i].role, &config, &arn, &diag);
		config_deinit(&config);
		if (r != (cases[i].arn ? 0 : -EINVAL))
			fail_msg("%s: %d: %s", cases[i].role, r, diag.text);
		if (cases[i].arn)
			assert_string_equal(arn, cases[i].arn);
		else
			assert_true(diag.text[0]);
	}
}

/* Every field of a registration, but what only the runtime knows, can be given. */
static void test_fields(void **state)
{
	static const char *const names[] = {
		"session_name",	   "external_id",
		"duration_s",	   "session_tags",
		"source_identity", "policy_arns",
		"session_policy",  "tokens",
		"hop_limit",	   "labels",
		"metadata",	   "wait_s",
		"intercept",	   "transitive_tag_keys",
		"allow",
	};
	struct config config;

	(void)state;
	assert_int_equal(config_parse("", "test", &config, NULL), 0);
	for (size_t i = 0; i < N(names); i++) {
		_cleanup_oci_config_ struct oci_config *oci = NULL;
		_cleanup_identity_ struct identity *identity = NULL;
		char text[512];
		snprintf(text, sizeof(text),
			 "{\"annotations\":{\"rolegate.io/role\":\"arn:aws:iam::123456789012:role/"
			 "x\","
			 "\"rolegate.io/%s\":\"a=b\"}}",
			 names[i]);
		assert_int_equal(oci_config_parse(text, strlen(text), &oci, NULL), 0);
		assert_int_equal(identity_read(oci, NULL, &config, &identity, NULL), 0);
		assert_int_equal(identity->n_fields, 1);
		assert_string_equal(identity->fields[0].name, names[i]);
		assert_string_equal(identity->fields[0].value, "a=b");
	}
	config_deinit(&config);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_arn),
		cmocka_unit_test(test_fields),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
