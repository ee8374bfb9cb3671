/* The policy: which files are accepted, how patterns match, and what a refusal says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/policy.h"
#include "util/buf.h"

#define N(a) (sizeof(a) / sizeof((a)[0]))
#define ROLE "arn:aws:iam::123456789012:role/team/web-1"
#define HEX "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define DIGEST "sha256:" HEX

DEFINE_CLEANUP(struct policy *, policy_free)

static void test_glob(void **state)
{
	static const struct {
		const char *pattern, *text;
		bool matches;
	} cases[] = {
		{"", "", true},
		{"", "a", false},
		{"a", "", false},
		{"*", "", true},
		{"*", "anything:/at.all", true},
		{"**", "a", true},
		{"?", "", false},
		{"?", "a", true},
		{"?", "ab", false},
		{"web", "web", true},
		{"web", "web-1", false}, /* whole string, no prefix match */
		{"web", "my-web", false},
		{"web*", "web-1", true},
		{"*web", "my-web", true},
		{"*web", "my-web-1", false},
		{"w*b", "wb", true},
		{"w*b", "wxbxb", true},
		{"w?b", "web", true},
		{"w?b", "wb", false},
		{"a*b*c", "a-b-b-c", true},
		{"a*b*c", "a-c-b", false},
		{"a*?c", "ac", false},
		{"a*?c", "abc", true},
		{"a.c", "abc", false}, /* no regular expressions here */
		{"a|b", "a", false},
		{"[ab]", "a", false},
		{"a\\*", "a\\x", true}, /* no escapes: a backslash is itself */
		{"a\\*", "a*", false},
		{"WEB", "web", false},
		{"registry.example.com/web*", "registry.example.com.evil.org/web", false},
		{"\xff*", "\xff\xfe", true},
	};

	(void)state;
	for (size_t i = 0; i < N(cases); i++)
		if (policy_glob(cases[i].pattern, cases[i].text) != cases[i].matches)
			fail_msg("\"%s\" on \"%s\": not %d", cases[i].pattern, cases[i].text,
				 cases[i].matches);
}

/* The pattern that hangs a backtracking matcher for longer than the universe has. */
static void test_glob_is_not_exponential(void **state)
{
	char pattern[1025], text[4001];
	struct timespec before, after;

	(void)state;
	for (size_t i = 0; i < sizeof(pattern) - 2; i += 2)
		memcpy(pattern + i, "*a", 2);
	pattern[sizeof(pattern) - 2] = 'b';
	pattern[sizeof(pattern) - 1] = '\0';
	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	clock_gettime(CLOCK_MONOTONIC, &before);
	assert_false(policy_glob(pattern, text));
	clock_gettime(CLOCK_MONOTONIC, &after);
	assert_true(after.tv_sec - before.tv_sec < 5);
}

static void test_glob_arn(void **state)
{
	static const struct {
		const char *pattern, *arn;
		bool matches;
	} cases[] = {
		{ROLE, ROLE, true},
		{"arn:aws:iam::123456789012:role/team/web-*", ROLE, true},
		{"arn:aws:iam::123456789012:role/*", ROLE, true}, /* '*' crosses slashes */
		{"arn:aws:iam::123456789012:*", ROLE, true},
		{"arn:*:iam::123456789012:role/team/*", ROLE, true},
		{"arn:aws*:iam::123456789012:role/x", "arn:aws-cn:iam::123456789012:role/x", true},
		{"arn:aws:iam::123456789012:role/team/we?-1", ROLE, true},
		{"arn:aws:iam::999999999999:role/team/web-1", ROLE, false},
		/* no wildcard stands for an account, nor reaches over one */
		{"arn:aws:iam::*:role/team/web-1", ROLE, false},
		{"arn:aws:iam::12345678901?:role/team/web-1", ROLE, false},
		{"arn:*:role/team/web-1", ROLE, false},
		{"arn:*", ROLE, false},
		{"*", ROLE, false},
		{"arn:aws:iam::123456789012:role/*:x", "arn:aws:iam::123456789012:role/a:b:x",
		 true},
		{"arn:aws:iam:*:123456789012:role/x", "arn:aws:iam:a:b:role/x", false},
		{"arn:aws:iam::123456789012:role/x", "arn:aws:iam::1234567890123:role/x", false},
		{"arn:aws:iam::123456789012:role/x", "arn:aws:iam::123456789012", false},
		{"arn:aws:iam::123456789012:role/x", "", false},
		/* Ceph and MinIO have no account there */
		{"arn:aws:iam:::role/x*", "arn:aws:iam:::role/x1", true},
		{"arn:aws:iam:::role/x*", "arn:aws:iam::1:role/x1", false},
	};

	(void)state;
	for (size_t i = 0; i < N(cases); i++)
		if (policy_glob_arn(cases[i].pattern, cases[i].arn) != cases[i].matches)
			fail_msg("\"%s\" on \"%s\": not %d", cases[i].pattern, cases[i].arn,
				 cases[i].matches);
}

#define RULE(rest) "{\"version\":1,\"rules\":[{\"name\":\"web\"," rest "}]}"
#define ROLES "\"roles\":[\"" ROLE "\"]"

/* the text, and what the message must say besides the file's name */
static const char *const parse_errors[][3] = {
	{"", "p.json:", "no JSON"},
	{"{", "p.json:1:", "no JSON"},
	{"{\n\n\"version\":1,}", "p.json:3:", "no JSON"},
	{"{\"version\":1,\"rules\":[]} x", "p.json:1:", "no JSON"},
	{"{\"version\":1,\"version\":1,\"rules\":[]}", "p.json:1:", "duplicate"},
	{"[]", "must be a JSON object", ""},
	{"7", "no JSON", ""},
	{"{}", "version is missing", ""},
	{"{\"rules\":[]}", "version is missing", ""},
	{"{\"version\":2,\"rules\":[]}", "version must be 1", ""},
	{"{\"version\":\"1\",\"rules\":[]}", "version must be 1", ""},
	{"{\"version\":1.0,\"rules\":[]}", "version must be 1", ""},
	{"{\"version\":1}", "rules is missing", ""},
	{"{\"version\":1,\"rules\":{}}", "rules must be a list", ""},
	{"{\"version\":1,\"rules\":[],\"default\":\"allow\"}", "unknown key", "default"},
	{"{\"version\":1,\"rules\":[7]}", "rule #1", "must be an object"},
	{"{\"version\":1,\"rules\":[{" ROLES "}]}", "rule #1", "name is missing"},
	{"{\"version\":1,\"rules\":[{\"name\":\"\"," ROLES "}]}", "rule #1", "1 to 128"},
	{"{\"version\":1,\"rules\":[{\"name\":\"a\\nb\"," ROLES "}]}", "rule #1", "control"},
	{"{\"version\":1,\"rules\":[{\"name\":\"a\"," ROLES "},{\"name\":\"a\"," ROLES "}]}",
	 "rule #2", "earlier rule's"},
	{RULE(ROLES ",\"image\":[\"x\"]"), "rule \"web\"", "unknown key \"image\""},
	{RULE("\"images\":[\"x\"]"), "rule \"web\"", "roles is missing"},
	{RULE("\"roles\":[]"), "rule \"web\"", "roles is empty"},
	{RULE("\"roles\":\"" ROLE "\""), "rule \"web\"", "roles must be a list"},
	{RULE("\"roles\":[7]"), "rule \"web\"", "roles must be a list"},
	{RULE("\"roles\":[\"\"]"), "rule \"web\"", "is no role ARN"},
	{RULE("\"roles\":[\"*\"]"), "rule \"web\"", "is no role ARN"},
	{RULE("\"roles\":[\"*:*:*:*:1:*\"]"), "rule \"web\"", "is no role ARN"},
	{RULE("\"roles\":[\"arn:aws:iam::123456789012:\"]"), "web", "is no role ARN"},
	{RULE("\"roles\":[\"arn:aws:iam::*:role/web\"]"), "rule \"web\"", "literal"},
	{RULE("\"roles\":[\"arn:aws:iam::12345678901?:role/web\"]"), "web", "literal"},
	{RULE("\"roles\":[\"arn:aws:iam::1:role/a\\u001b\"]"), "web", "control byte"},
	{RULE("\"roles\":[\"arn:aws:iam::1:role/a\\u0000b\"]"), "no JSON", ""},
	{RULE(ROLES ",\"images\":[]"), "rule \"web\"", "images is empty"},
	{RULE(ROLES ",\"images\":[\"\"]"), "rule \"web\"", "images holds an empty"},
	{RULE(ROLES ",\"images\":null"), "rule \"web\"", "images must be a list"},
	{RULE(ROLES ",\"labels\":[\"a\"]"), "rule \"web\"", "labels must be an object"},
	{RULE(ROLES ",\"labels\":{\"a\":1}"), "rule \"web\"", "labels: \"a\" must have"},
	{RULE(ROLES ",\"labels\":{\"\":\"x\"}"), "rule \"web\"", "labels has an empty"},
	{RULE(ROLES ",\"require_digest\":\"yes\""), "web", "require_digest must be true"},
	{RULE(ROLES ",\"max_duration_s\":0"), "rule \"web\"", "max_duration_s must be"},
	{RULE(ROLES ",\"max_duration_s\":899"), "rule \"web\"", "max_duration_s must be"},
	{RULE(ROLES ",\"max_duration_s\":43201"), "web", "max_duration_s must be"},
	{RULE(ROLES ",\"max_duration_s\":3600.0"), "web", "max_duration_s must be"},
};

static void test_parse_errors(void **state)
{
	(void)state;
	for (size_t i = 0; i < N(parse_errors); i++) {
		_cleanup_(policy_freep) struct policy *policy = NULL;
		struct diag diag = {0};
		if (policy_parse(parse_errors[i][0], "p.json", &policy, &diag) != -EINVAL)
			fail_msg("accepted: %s", parse_errors[i][0]);
		if (!strstr(diag.text, "p.json") || !strstr(diag.text, parse_errors[i][1]) ||
		    !strstr(diag.text, parse_errors[i][2]))
			fail_msg("%s\nsays \"%s\"", parse_errors[i][0], diag.text);
		assert_null(policy);
	}
}

static void test_parse_bounds(void **state)
{
	_cleanup_(policy_freep) struct policy *policy = NULL;
	_cleanup_buf_ struct buf text = {0};
	struct diag diag = {0};

	(void)state;
	buf_puts(&text, "{\"version\":1,\"rules\":[");
	for (int i = 0; i < 10001; i++)
		buf_printf(&text, "%s{\"name\":\"%d\"," ROLES "}", i ? "," : "", i);
	buf_puts(&text, "]}");
	assert_int_equal(policy_parse(text.data, "p", &policy, &diag), -EINVAL);
	assert_non_null(strstr(diag.text, "10000"));

	buf_reset(&text);
	buf_puts(&text, "{\"version\":1,\"rules\":[{\"name\":\"a\",\"roles\":[\"arn:aws:iam::1:");
	for (int i = 0; i < 2048; i++)
		buf_puts(&text, "x");
	buf_puts(&text, "\"]}]}");
	assert_int_equal(policy_parse(text.data, "p", &policy, &diag), -EINVAL);
	assert_non_null(strstr(diag.text, "too long"));

	buf_reset(&text);
	buf_puts(&text, "{\"version\":1,\"rules\":[]}");
	while (text.len <= POLICY_SIZE_MAX)
		buf_puts(&text, "                                                            ");
	assert_int_equal(policy_parse(text.data, "p", &policy, &diag), -EINVAL);
	assert_non_null(strstr(diag.text, "1 MiB"));
}

static void test_parse_all_keys(void **state)
{
	_cleanup_(policy_freep) struct policy *policy = NULL;
	struct diag diag = {0};

	(void)state;
	assert_int_equal(policy_parse(RULE("\"roles\":[\"" ROLE "\",\"arn:aws:iam::1:role/*\"],"
					   "\"images\":[\"a*\",\"b\"],\"require_digest\":true,"
					   "\"labels\":{\"team\":\"w*\",\"env\":\"\"},"
					   "\"max_duration_s\":900"),
				      "p", &policy, &diag),
			 0);
	const struct policy_rule *rule = &policy->rules[0];
	assert_int_equal(policy->n_rules, 1);
	assert_string_equal(rule->name, "web");
	assert_int_equal(rule->n_roles, 2);
	assert_string_equal(rule->roles[1], "arn:aws:iam::1:role/*");
	assert_int_equal(rule->n_images, 2);
	assert_string_equal(rule->images[0], "a*");
	assert_true(rule->require_digest);
	assert_int_equal(rule->n_labels, 2);
	assert_string_equal(rule->labels[0].key, "team");
	assert_string_equal(rule->labels[0].value, "w*");
	assert_int_equal(rule->max_duration_s, 900);
}

/* One policy, many questions. `nearest` NULL: allowed, by rule `says`. */
static const char decide_policy[] =
	"{\"version\":1,\"rules\":["
	"{\"name\":\"web\",\"roles\":[\"arn:aws:iam::123456789012:role/team/web-*\"],"
	"\"images\":[\"registry.example.com/web*\"],\"require_digest\":true,"
	"\"labels\":{\"team\":\"web\",\"env\":\"prod*\"},\"max_duration_s\":3600},"
	"{\"name\":\"any\",\"roles\":[\"arn:aws:iam::123456789012:role/open\"]},"
	"{\"name\":\"batch\",\"roles\":[\"arn:aws:iam::210987654321:role/batch\","
	"\"arn:aws:iam::123456789012:role/team/batch\"],\"images\":[\"b?\"]},"
	"{\"name\":\"short\",\"roles\":[\"arn:aws:iam::123456789012:role/slow\"],"
	"\"max_duration_s\":900},"
	"{\"name\":\"long\",\"roles\":[\"arn:aws:iam::123456789012:role/slow\"],"
	"\"images\":[\"x\"],\"max_duration_s\":7200}]}";

/* The structs own their strings and so have no const. */
#define S(text) ((char[]){text})
static struct policy_label good_labels[] = {{S("team"), S("web")}, {S("env"), S("production")}};
static struct policy_label wrong_labels[] = {{S("env"), S("production")}, {S("team"), S("db")}};
static struct policy_label few_labels[] = {{S("team"), S("web")}};
#define IN "arn:aws:iam::123456789012:role/"
#define IMG "registry.example.com/web:1"

static const struct {
	struct policy_question question;
	const char *allowed_by;
	const char *field, *says; /* of a refusal */
} decide_cases[] = {
	{{ROLE, IMG, DIGEST, 3600, good_labels, 2}, "web", NULL, NULL},
	{{ROLE, IMG, "sha512:" HEX HEX, 900, good_labels, 2}, "web", NULL, NULL},
	{{IN "open", NULL, NULL, 43200, NULL, 0}, "any", NULL, NULL},
	{{IN "team/batch", "b1", NULL, 3600, NULL, 0}, "batch", NULL, NULL},
	{{IN "slow", "x", NULL, 7200, NULL, 0}, "long", NULL, NULL},
	{{IN "slow", "y", NULL, 900, NULL, 0}, "short", NULL, NULL},
	{{IN "nothing", IMG, DIGEST, 3600, good_labels, 2}, NULL, "role_arn", "no rule's roles"},
	{{"arn:aws:iam::999999999999:role/open", NULL, NULL, 900, NULL, 0},
	 NULL,
	 "role_arn",
	 "rule \"any\" has such a role in account \"123456789012\", not \"999999999999\""},
	{{"", NULL, NULL, 900, NULL, 0}, NULL, "role_arn", "no rule's roles"},
	{{ROLE, "evil.example.com/x", DIGEST, 3600, good_labels, 2},
	 NULL,
	 "image.ref",
	 "no rule allows " ROLE ": rule \"web\" matches the role but its images do not match "
	 "\"evil.example.com/x\""},
	{{ROLE, NULL, DIGEST, 3600, good_labels, 2}, NULL, "image.ref", "image is not known"},
	{{ROLE, "", DIGEST, 3600, good_labels, 2}, NULL, "image.ref", "image is not known"},
	{{ROLE, IMG, NULL, 3600, good_labels, 2}, NULL, "image.digest", "none is known"},
	{{ROLE, IMG, "", 3600, good_labels, 2}, NULL, "image.digest", "none is known"},
	{{ROLE, IMG, "latest", 3600, good_labels, 2}, NULL, "image.digest", "this is none: latest"},
	{{ROLE, IMG, "sha256:" HEX "0", 900, good_labels, 2}, NULL, "image.digest", "is none"},
	{{ROLE, IMG, DIGEST, 3600, wrong_labels, 2},
	 NULL,
	 "labels",
	 "wants label team to match \"web\", and it is \"db\""},
	{{ROLE, IMG, DIGEST, 3600, few_labels, 1},
	 NULL,
	 "labels",
	 "wants label env to match \"prod*\", and it is not there"},
	{{ROLE, IMG, DIGEST, 3600, NULL, 0}, NULL, "labels", "label team"},
	{{ROLE, IMG, DIGEST, 3601, good_labels, 2},
	 NULL,
	 "duration_s",
	 "rule \"web\" matches but allows at most 3600 seconds, not 3601"},
	/* the rule that got furthest is the one that is named */
	{{IN "slow", "y", NULL, 901, NULL, 0}, NULL, "duration_s", "rule \"short\""},
};

static void test_decide(void **state)
{
	_cleanup_(policy_freep) struct policy *policy = NULL;
	struct diag diag = {0};

	(void)state;
	assert_int_equal(policy_parse(decide_policy, "p", &policy, &diag), 0);
	for (size_t i = 0; i < N(decide_cases); i++) {
		const struct policy_rule *rule = NULL;
		diag = (struct diag){0};
		int r = policy_decide(policy, &decide_cases[i].question, &rule, &diag);
		if (decide_cases[i].allowed_by) {
			if (r != 0 || strcmp(rule->name, decide_cases[i].allowed_by) != 0)
				fail_msg("case %zu: %s", i, r ? diag.text : rule->name);
			continue;
		}
		if (r != -EACCES || rule || strcmp(diag.field, decide_cases[i].field) != 0 ||
		    !strstr(diag.text, decide_cases[i].says))
			fail_msg("case %zu: %d, %s: \"%s\"", i, r, diag.field, diag.text);
	}
}

static void test_decide_without_rules(void **state)
{
	_cleanup_(policy_freep) struct policy *policy = NULL;
	struct policy_question question = {.role_arn = ROLE, .duration_s = 900};
	const struct policy_rule *rule = NULL;
	struct diag diag = {0};

	(void)state;
	assert_int_equal(policy_decide(NULL, &question, &rule, &diag), -EACCES);
	assert_non_null(strstr(diag.text, "no policy is loaded"));
	assert_int_equal(policy_parse("{\"version\":1,\"rules\":[]}", "p", &policy, &diag), 0);
	assert_int_equal(policy_decide(policy, &question, &rule, &diag), -EACCES);
	assert_non_null(strstr(diag.text, "no rules"));
	assert_int_equal(policy_decide(policy, &question, &rule, NULL), -EACCES);
	assert_null(rule);
}

static void test_load(void **state)
{
	char path[] = "/tmp/test-policy.XXXXXX";
	_cleanup_(policy_freep) struct policy *policy = NULL;
	struct diag diag = {0};

	(void)state;
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, decide_policy, strlen(decide_policy)), strlen(decide_policy));
	close(fd);
	int r = policy_load(path, &policy, &diag);
	unlink(path);
	assert_int_equal(r, 0);
	assert_int_equal(policy->n_rules, 5);

	struct policy *none = NULL;
	assert_int_equal(policy_load("/nonexistent/p.json", &none, &diag), -ENOENT);
	assert_non_null(strstr(diag.text, "/nonexistent/p.json: cannot be read"));
	assert_null(policy_free(NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_glob),	     cmocka_unit_test(test_glob_is_not_exponential),
		cmocka_unit_test(test_glob_arn),     cmocka_unit_test(test_parse_errors),
		cmocka_unit_test(test_parse_bounds), cmocka_unit_test(test_parse_all_keys),
		cmocka_unit_test(test_decide),	     cmocka_unit_test(test_decide_without_rules),
		cmocka_unit_test(test_load),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
