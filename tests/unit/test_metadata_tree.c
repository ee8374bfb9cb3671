/* metadata_tree: which path is of which class, and what an operator can open. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/metadata_tree.h"

#define N(a) (sizeof(a) / sizeof((a)[0]))
#define MAC "meta-data/network/interfaces/macs/0e:49:61:0f:c3:11"

static void test_classes(void **state)
{
	enum { NONE = -1 };
	static const struct {
		const char *path;
		int class;
	} rows[] = {
		{"", METADATA_DIRECTORY},
		{"meta-data", METADATA_DIRECTORY},
		{"meta-data/iam", METADATA_DIRECTORY},
		{"meta-data/iam/info", METADATA_OWN},
		{"meta-data/iam/info/x", NONE},
		{"meta-data/iam/other", NONE},
		{"meta-data/IAM/info", NONE},
		{"meta-data/iam/security-credentials", METADATA_OWN},
		{"meta-data/iam/security-credentials/web", METADATA_OWN},
		{"meta-data/iam/security-credentials/web/x", METADATA_OWN},
		{"meta-data/iam/security-credentialsx", NONE},
		{"meta-data/iam/security-credentials-extended/web", METADATA_OWN},
		{"dynamic/instance-identity", METADATA_DIRECTORY},
		{"dynamic/instance-identity/document", METADATA_OWN},
		{"dynamic/instance-identity/pkcs7", METADATA_BLOCKED},
		{"dynamic/instance-identity/rsa2048", METADATA_BLOCKED},
		{"dynamic/instance-identity/dsa2048", METADATA_BLOCKED},
		{"dynamic/instance-identity/signature", METADATA_BLOCKED},
		{"user-data", METADATA_BLOCKED},
		{"user-data/x", NONE},
		{"meta-data/public-keys/0/openssh-key", METADATA_BLOCKED},
		{"meta-data/managed-ssh-keys/signer-cert", METADATA_BLOCKED},
		{"meta-data/identity-credentials", METADATA_NEVER},
		{"meta-data/identity-credentials/ec2/info", METADATA_NEVER},
		{"meta-data/identity-credentials/ec2/security-credentials/ec2-instance",
		 METADATA_NEVER},
		{"meta-data/ami-id", METADATA_CACHED},
		{"meta-data/placement/region", METADATA_CACHED},
		{"meta-data/block-device-mapping/ebs1", METADATA_CACHED},
		{"meta-data/block-device-mapping/a/b", NONE},
		{"meta-data/block-device-mapping/a b", NONE},
		{"meta-data/block-device-mapping/a%2e", NONE},
		{"meta-data/spot/instance-action", METADATA_OPT_IN},
		{"meta-data/events/maintenance", METADATA_DIRECTORY},
		{"meta-data/local-ipv4", METADATA_OVERRIDE},
		{MAC, METADATA_DIRECTORY},
		{MAC "/subnet-id", METADATA_OVERRIDE},
		{MAC "/nothing", NONE},
		{MAC "/ipv4-associations/203.0.113.25", METADATA_OVERRIDE},
		{"meta-data/tags/instance/a+b=c,d.e:f@g_h-1", METADATA_OVERRIDE},
		{"meta-data/tags/instance/a\x80", NONE},
		{"meta-data/tags/instance/a\\b", NONE},
		{"api/token", NONE},
		{"*", NONE},
		{"meta-data/network/interfaces/macs/*", NONE},
	};

	(void)state;
	for (size_t i = 0; i < N(rows); i++) {
		const char *rest;
		const struct metadata_node *node = metadata_tree_find(rows[i].path, &rest);
		int class = node ? (int)metadata_node_class(node) : NONE;
		if (class != rows[i].class)
			fail_msg("%s: class %d, not %d", rows[i].path, class, rows[i].class);
	}
}

static void test_rest(void **state)
{
	const char *rest;

	(void)state;
	metadata_tree_find("meta-data/iam/security-credentials/web", &rest);
	assert_string_equal(rest, "web");
	metadata_tree_find("meta-data/iam/security-credentials", &rest);
	assert_string_equal(rest, "");
	metadata_tree_find("meta-data/ami-id", &rest);
	assert_string_equal(rest, "");
}

static bool allows(const struct metadata_allow *allow, const char *path)
{
	const char *rest;

	return metadata_allows(allow, metadata_tree_find(path, &rest)->index);
}

static void test_allow(void **state)
{
	struct metadata_allow allow;
	struct diag diag;

	(void)state;
	assert_int_equal(metadata_allow_parse(NULL, &allow, &diag), 0);
	assert_int_equal(metadata_allow_parse(" , ", &allow, &diag), 0);
	assert_false(allows(&allow, "meta-data/spot/instance-action"));
	assert_int_equal(metadata_allow_parse("/latest/meta-data/spot, meta-data/local-ipv4\n"
					      "meta-data/events/maintenance/",
					      &allow, &diag),
			 0);
	assert_true(allows(&allow, "meta-data/spot/instance-action"));
	assert_true(allows(&allow, "meta-data/spot/termination-time"));
	assert_true(allows(&allow, "meta-data/local-ipv4"));
	assert_true(allows(&allow, "meta-data/events/maintenance/history"));
	assert_false(allows(&allow, "meta-data/events/recommendations/rebalance"));
	assert_false(allows(&allow, "meta-data/public-ipv4"));

	/* A directory opens what can be opened for all, and no secrets with it. */
	assert_int_equal(metadata_allow_parse("meta-data", &allow, &diag), 0);
	assert_true(allows(&allow, "meta-data/spot/instance-action"));
	assert_false(allows(&allow, "meta-data/public-keys/0/openssh-key"));
	assert_false(allows(&allow, "meta-data/iam/info"));
	assert_false(allows(&allow, "meta-data/identity-credentials/ec2/info"));

	allow = (struct metadata_allow){0};
	assert_int_equal(metadata_allow_add(&allow, "user-data", true, &diag), 0);
	assert_true(allows(&allow, "user-data"));
	assert_int_equal(metadata_allow_add(&allow, "dynamic/instance-identity", true, &diag), 0);
	assert_true(allows(&allow, "dynamic/instance-identity/pkcs7"));
}

static void test_not_allowed(void **state)
{
	static const struct {
		const char *path;
		bool blocked_too;
		const char *says;
	} rows[] = {
		{"meta-data/iam", true, "never"},
		{"meta-data/iam/info", true, "never"},
		{"meta-data/iam/security-credentials", true, "never"},
		{"meta-data/iam/security-credentials/host-role", true, "never"},
		{"meta-data/identity-credentials", true, "never"},
		{"meta-data/identity-credentials/ec2/security-credentials/ec2-instance", true,
		 "never"},
		{"meta-data/identity-credentials/ec2/info", true, "never"},
		{"user-data", false, "registration"},
		{"meta-data/public-keys", false, "registration"},
		{"dynamic/instance-identity/pkcs7", false, "registration"},
		{"meta-data/spots", true, "no metadata path"},
		{"meta-data/tags/instance/Name", true, "no metadata path"},
		{"meta-data//spot", true, "no metadata path"},
		{"../spot", true, "no metadata path"},
		{"", true, "no metadata path"},
		{"/", true, "no metadata path"},
		{"latest/", true, "no metadata path"},
	};

	(void)state;
	for (size_t i = 0; i < N(rows); i++) {
		struct metadata_allow allow = {0};
		struct diag diag = {0};
		if (metadata_allow_add(&allow, rows[i].path, rows[i].blocked_too, &diag) != -EINVAL)
			fail_msg("%s was opened", rows[i].path);
		if (!strstr(diag.text, rows[i].says))
			fail_msg("%s: %s", rows[i].path, diag.text);
		for (size_t k = 0; k < N(allow.bits); k++)
			assert_int_equal(allow.bits[k], 0);
	}
}

static void test_names(void **state)
{
	char longest[130];

	(void)state;
	memset(longest, 'a', sizeof(longest));
	assert_true(metadata_name_ok(longest, 128));
	assert_false(metadata_name_ok(longest, 129));
	assert_true(metadata_name_ok("...", 3));
	assert_false(metadata_name_ok("", 0));
	assert_false(metadata_name_ok(".", 1));
	assert_false(metadata_name_ok("..", 2));
	assert_false(metadata_name_ok("a/b", 3));
	assert_false(metadata_name_ok("a%b", 3));
	assert_false(metadata_name_ok("a?b", 3));
	assert_false(metadata_name_ok("a\0b", 3));
	assert_false(metadata_name_ok("*", 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_classes), cmocka_unit_test(test_rest),
		cmocka_unit_test(test_allow),	cmocka_unit_test(test_not_allowed),
		cmocka_unit_test(test_names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
