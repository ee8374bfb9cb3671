/* container_metadata: the "metadata" and "allow" of a registration, and what follows from them. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/container_metadata.h"

#define N(a) (sizeof(a) / sizeof((a)[0]))
#define ROLE "arn:aws:iam::123456789012:role/web"
#define MAC "meta-data/network/interfaces/macs/02:00:0a:00:00:07/"

static int make(const char *role, const char *members, struct container_metadata **ret,
		struct diag *diag)
{
	static const struct registration_defaults defaults = {
		.tokens_required = true, .hop_limit = 1, .duration_s = 3600};
	struct registration *registration = NULL;
	char body[4096];

	snprintf(body, sizeof(body), "{\"role_arn\":\"%s\",\"netns\":\"/x\",%s}", role, members);
	*diag = (struct diag){0};
	int r = registration_parse("c", body, strlen(body), &defaults, &registration, diag);
	if (r == 0)
		r = container_metadata_new(registration, ret, diag);
	registration_free(registration);
	return r;
}

static void test_values(void **state)
{
	static const struct {
		const char *metadata, *path, *text; /* NULL: none */
	} rows[] = {
		{"{}", "meta-data/hostname", NULL},
		{"{\"hostname\":\"web-1\"}", "meta-data/hostname", "web-1"},
		{"{\"hostname\":\"web-1\"}", "meta-data/local-hostname", "web-1"},
		{"{\"local-hostname\":\"web-1\"}", "meta-data/hostname", "web-1"},
		{"{\"hostname\":\"a\",\"local-hostname\":\"b\"}", "meta-data/hostname", "a"},
		{"{\"hostname\":\"\"}", "meta-data/hostname", NULL},
		{"{\"security-groups\":[]}", "meta-data/security-groups", NULL},
		{"{\"security-groups\":[\"a\",\"b\"]}", "meta-data/security-groups", "a\nb"},
		{"{\"region\":\"eu-west-1\"}", "meta-data/placement/region", "eu-west-1"},
		{"{\"placement/region\":\"eu-west-1\"}", "meta-data/placement/region", "eu-west-1"},
		{"{\"region\":\"eu-west-1\",\"placement/region\":\"eu-west-1\"}",
		 "meta-data/placement/region", "eu-west-1"},
		{"{\"availability-zone\":\"eu-west-1b\"}", "meta-data/placement/region",
		 "eu-west-1"},
		{"{\"availability-zone\":\"us-west-2-lax-1a\"}", "meta-data/placement/region",
		 "us-west-2-lax-1"},
		{"{\"tags\":{\"Name\":\"x y\",\"a:b\":\"\"}}", "meta-data/tags/instance/Name",
		 "x y"},
		{"{\"tags\":{\"Name\":\"x y\",\"a:b\":\"\"}}", "meta-data/tags/instance/a:b", NULL},
		{"{\"tags/instance/Name\":\"x\"}", "meta-data/tags/instance/Name", "x"},
		/* Objects say the same. */
		{"{\"tags\":{}}", "meta-data/tags/instance/Name", NULL},
		{"{\"tags\":{\"instance\":{\"Name\":\"x\"}}}", "meta-data/tags/instance/Name", "x"},
		{"{\"tags\":{\"instance\":\"x\"}}", "meta-data/tags/instance/instance", "x"},
		{"{\"tags/instance\":{\"Name\":\"x\"}}", "meta-data/tags/instance/Name", "x"},
		{"{\"placement\":{\"region\":\"eu-west-1\"}}", "meta-data/placement/region",
		 "eu-west-1"},
		{"{\"network\":{\"interfaces\":{\"macs\":{\"02:00:0a:00:00:07\":{\"local-ipv4s\":"
		 "[\"10.0.0.7\",\"10.0.0.8\"]}}}}}",
		 MAC "local-ipv4s", "10.0.0.7\n10.0.0.8"},
		{"{\"instance-id\":\"i-0123\"}", "meta-data/instance-id", "i-0123"},
		{"{\"ipv6\":\"2001:db8::1\"}", "meta-data/ipv6", "2001:db8::1"},
		/* The interface that "mac" names. */
		{"{\"mac\":\"02:00:0a:00:00:07\",\"local-ipv4\":\"10.0.0.7\"}", MAC "local-ipv4s",
		 "10.0.0.7"},
		{"{\"mac\":\"02:00:0a:00:00:07\"}", MAC "mac", "02:00:0a:00:00:07"},
		{"{\"mac\":\"02:00:0a:00:00:07\"}", MAC "device-number", "0"},
		{"{\"mac\":\"02:00:0a:00:00:07\"}", MAC "owner-id", "123456789012"},
		{"{\"mac\":\"02:00:0a:00:00:07\"}", MAC "local-ipv4s", NULL},
		{"{\"mac\":\"02:00:0a:00:00:07\",\"security-groups\":[\"sg-1\",\"sg-2\"]}",
		 MAC "security-group-ids", "sg-1\nsg-2"},
		{"{\"mac\":\"02:00:0a:00:00:07\",\"security-groups\":[\"sg-1\",\"web\"]}",
		 MAC "security-group-ids", NULL},
		{"{\"network/interfaces/macs/02:00:0a:00:00:07/subnet-id\":\"subnet-1\"}",
		 MAC "subnet-id", "subnet-1"},
		{"{\"network/interfaces/macs/02:00:0a:00:00:07/ipv4-associations/203.0.113.1\":"
		 "\"10.0.0.7\"}",
		 MAC "ipv4-associations/203.0.113.1", "10.0.0.7"},
	};

	(void)state;
	for (size_t i = 0; i < N(rows); i++) {
		struct container_metadata *m = NULL;
		struct diag diag;
		char members[1024];
		snprintf(members, sizeof(members), "\"metadata\":%s", rows[i].metadata);
		if (make(ROLE, members, &m, &diag) != 0)
			fail_msg("%s: %s: %s", rows[i].metadata, diag.field, diag.text);
		const struct metadata_value *v = container_metadata_get(m, rows[i].path);
		if (!v != !rows[i].text || (v && strcmp(v->text, rows[i].text) != 0))
			fail_msg("%s: %s is %s", rows[i].metadata, rows[i].path,
				 v ? v->text : "nothing");
		if (v)
			assert_int_equal(v->len, strlen(v->text));
		container_metadata_free(m);
	}
}

static void test_errors(void **state)
{
	static const struct {
		const char *members, *field;
	} rows[] = {
		{"\"metadata\":[]", "metadata"},
		{"\"metadata\":{\"nothing\":\"x\"}", "metadata.nothing"},
		{"\"metadata\":{\"\":\"x\"}", "metadata."},
		{"\"metadata\":{\"placement\":\"x\"}", "metadata.placement"},
		{"\"metadata\":{\"hostname/\":\"x\"}", "metadata.hostname/"},
		{"\"metadata\":{\"/hostname\":\"x\"}", "metadata./hostname"},
		{"\"metadata\":{\"placement//region\":\"x\"}", "metadata.placement//region"},
		{"\"metadata\":{\"../hostname\":\"x\"}", "metadata.../hostname"},
		{"\"metadata\":{\"iam/info\":\"x\"}", "metadata.iam/info"},
		{"\"metadata\":{\"iam/security-credentials/web\":\"x\"}",
		 "metadata.iam/security-credentials/web"},
		{"\"metadata\":{\"identity-credentials/ec2/info\":\"x\"}",
		 "metadata.identity-credentials/ec2/info"},
		{"\"metadata\":{\"public-keys/0/openssh-key\":\"x\"}",
		 "metadata.public-keys/0/openssh-key"},
		{"\"metadata\":{\"user-data\":\"x\"}", "metadata.user-data"},
		{"\"metadata\":{\"hostname\":7}", "metadata.hostname"},
		{"\"metadata\":{\"hostname\":{}}", "metadata.hostname"},
		{"\"metadata\":{\"hostname\":[[\"a\"]]}", "metadata.hostname"},
		{"\"metadata\":{\"hostname\":\"a\\nb\"}", "metadata.hostname"},
		{"\"metadata\":{\"hostname\":\"a\\u007f\"}", "metadata.hostname"},
		{"\"metadata\":{\"local-ipv4\":\"10.0.0\"}", "metadata.local-ipv4"},
		{"\"metadata\":{\"local-ipv4\":\"::1\"}", "metadata.local-ipv4"},
		{"\"metadata\":{\"local-ipv4\":[\"10.0.0.1\",\"10.0.0.2\"]}",
		 "metadata.local-ipv4"},
		{"\"metadata\":{\"ipv6\":\"10.0.0.1\"}", "metadata.ipv6"},
		{"\"metadata\":{\"mac\":\"02:00:0A:00:00:07\"}", "metadata.mac"},
		{"\"metadata\":{\"mac\":\"02:00:0a:00:00:0\"}", "metadata.mac"},
		{"\"metadata\":{\"mac\":\"02:00:0a:00:00:07:01\"}", "metadata.mac"},
		{"\"metadata\":{\"mac\":\"../../../../iam/info\"}", "metadata.mac"},
		{"\"metadata\":{\"network/interfaces/macs/x/subnet-id\":\"s\"}",
		 "metadata.network/interfaces/macs/x/subnet-id"},
		{"\"metadata\":{\"region\":\"EU\"}", "metadata.region"},
		{"\"metadata\":{\"region\":\"eu-west-1\",\"placement/region\":\"eu-west-2\"}",
		 "metadata.placement/region"},
		{"\"metadata\":{\"instance-id\":\"i 1\"}", "metadata.instance-id"},
		{"\"metadata\":{\"tags\":\"x\"}", "metadata.tags"},
		{"\"metadata\":{\"hostname\":{\"a\":\"b\"}}", "metadata.hostname/a"},
		{"\"metadata\":{\"iam\":{\"info\":\"x\"}}", "metadata.iam/info"},
		{"\"metadata\":{\"..\":{\"iam\":{\"info\":\"x\"}}}", "metadata.../iam/info"},
		{"\"metadata\":{\"placement\":{\"region\":\"eu-west-1\",\"\":\"x\"}}",
		 "metadata.placement/"},
		{"\"metadata\":{\"a\":{\"b\":{\"c\":{\"d\":{\"e\":{\"f\":{\"g\":{\"h\":{\"i\":{}}}}"
		 "}}}}}}",
		 "metadata.a/b/c/d/e/f/g/h/i"},
		{"\"metadata\":{\"tags\":{\"a/b\":\"x\"}}", "metadata.tags/instance/a/b"},
		{"\"metadata\":{\"tags\":{\"a b\":\"x\"}}", "metadata.tags/instance/a b"},
		{"\"metadata\":{\"tags\":{\"a\":[\"x\"]}}", "metadata.tags"},
		{"\"allow\":\"meta-data/spot\"", "allow"},
		{"\"allow\":[\"meta-data/spot\",\"meta-data/iam\"]", "allow"},
		{"\"allow\":[\"\"]", "allow"},
		{"\"allow\":[\"nothing\"]", "allow"},
	};

	(void)state;
	for (size_t i = 0; i < N(rows); i++) {
		struct container_metadata *m = NULL;
		struct diag diag;
		if (make(ROLE, rows[i].members, &m, &diag) != -EINVAL)
			fail_msg("%s was accepted", rows[i].members);
		if (strcmp(diag.field, rows[i].field) != 0 || !diag.text[0])
			fail_msg("%s: field \"%s\": %s", rows[i].members, diag.field, diag.text);
	}
}

static void test_account(void **state)
{
	static const struct {
		const char *role, *account;
	} rows[] = {
		{ROLE, "123456789012"},
		{"arn:aws-cn:iam::210987654321:role/a/b", "210987654321"},
		{"arn:aws:iam:::role/ceph-role", ""},
		{"arn:aws:iam::tenant:role/web-or-other", ""},
		{"arn:minio:iam:::role/idmp-xxxxxxxxxxx", ""},
	};

	(void)state;
	for (size_t i = 0; i < N(rows); i++) {
		struct container_metadata *m = NULL;
		struct diag diag;
		if (make(rows[i].role, "\"metadata\":{}", &m, &diag) != 0)
			fail_msg("%s: %s", rows[i].role, diag.text);
		assert_string_equal(m->account_id, rows[i].account);
		container_metadata_free(m);
	}
}

static void test_many(void **state)
{
	char members[4096] = "\"metadata\":{\"tags\":{";
	struct container_metadata *m = NULL;
	struct diag diag;

	(void)state;
	for (int i = 0; i <= REGISTRATION_METADATA_MAX; i++)
		sprintf(members + strlen(members), "%s\"k%d\":\"v\"", i ? "," : "", i);
	strcat(members, "}}");
	assert_int_equal(make(ROLE, members, &m, &diag), -EINVAL);
	assert_non_null(strstr(diag.text, "64"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_account),
		cmocka_unit_test(test_many),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
