/* What policy rules require of sessions and add to them, and templates. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/policy_scope.h"
#include "util/buf.h"
#include "wire/template.h"

#define N(a) (sizeof(a) / sizeof((a)[0]))
#define ROLE "arn:aws:iam::123456789012:role/web"
#define RULE(rest)                                                                                 \
	"{\"version\":1,\"rules\":[{\"name\":\"web\",\"roles\":[\"" ROLE "\"]," rest "}]}"
#define SCOPE "{\\\"Statement\\\":[]}"

DEFINE_CLEANUP(struct policy *, policy_free)
DEFINE_CLEANUP(struct registration *, registration_free)

static const struct {
	const char *text;
	int r;
	const char *expanded; /* or a part of the message */
} templates[] = {
	{"plain", 0, "plain"},
	{"{id}", 0, "c-1"},
	{"a-{id}-{label.team}", 0, "a-c-1-web"},
	{"{label.a.b/c}", 0, "x"},
	{"{label.empty}", 0, ""},
	{"{label.none}", -ENOENT, "{label.none}"},
	{"{Id}", -EINVAL, "{Id} is unknown"},
	{"{label.}", -EINVAL, "is unknown"},
	{"{}", -EINVAL, "is unknown"},
	{"{id", -EINVAL, "other half"},
	{"id}", -EINVAL, "other half"},
	{"{{id}}", -EINVAL, "other half"},
	{"{id}}", -EINVAL, "other half"},
};

static void test_templates(void **state)
{
	char team[] = "team", web[] = "web", odd[] = "a.b/c", x[] = "x", empty[] = "empty",
	     no[] = "";
	struct policy_label labels[] = {{team, web}, {odd, x}, {empty, no}};
	const struct template_values values = {.id = "c-1", .labels = labels, .n_labels = 3};

	(void)state;
	for (size_t i = 0; i < N(templates); i++) {
		_cleanup_buf_ struct buf out = {0};
		struct diag diag = {0};
		int r = template_expand(templates[i].text, &values, &out, &diag);
		if (r != templates[i].r)
			fail_msg("%s: %d (%s)", templates[i].text, r, diag.text);
		if (r == 0)
			assert_string_equal(out.data ? out.data : "", templates[i].expanded);
		else
			assert_non_null(strstr(diag.text, templates[i].expanded));
	}
}

/* Rules that are no rules; what the message must say. */
static const char *const parse_errors[][2] = {
	{RULE("\"require_session_tags\":[]"), "require_session_tags must be an object"},
	{RULE("\"require_session_tags\":{\"a\":1}"), "must have a string"},
	{RULE("\"require_source_identity\":7"), "require_source_identity must be a string"},
	{RULE("\"require_session_policy\":1"), "must be true or false"},
	{RULE("\"add_session_tags\":{\"a\":\"{nope}\"}"), "{nope} is unknown"},
	{RULE("\"add_session_tags\":{\"a\":\"\"}"), "is empty"},
	{RULE("\"add_session_tags\":{\"aws:a\":\"b\"}"), "add_session_tags keys may not begin"},
	{RULE("\"add_session_tags\":{\"a\":\"<b>\"}"), "add_session_tags a tag's value"},
	{RULE("\"add_session_tags\":{\"a\":\"b\",\"A\":\"c\"}"), "twice"},
	{RULE("\"session_name\":\"{id\""), "other half"},
	{RULE("\"session_name\":\"\""), "session_name is empty"},
	{RULE("\"source_identity\":\"{label.}\""), "is unknown"},
	{RULE("\"session_policy\":7"), "must be a policy document"},
	{RULE("\"session_policy\":\"{\""), "session_policy is no JSON"},
	{RULE("\"session_policy\":\"[]\""), "session_policy is no JSON object"},
	{RULE("\"policy_arns\":[]"), "policy_arns is empty"},
	{RULE("\"policy_arns\":[\"x\"]"), "policy_arns must have"},
	{RULE("\"add_session_tag\":{\"a\":\"b\"}"), "unknown key"},
};

static void test_parse_errors(void **state)
{
	(void)state;
	for (size_t i = 0; i < N(parse_errors); i++) {
		_cleanup_(policy_freep) struct policy *policy = NULL;
		struct diag diag = {0};
		if (policy_parse(parse_errors[i][0], "p.json", &policy, &diag) != -EINVAL)
			fail_msg("accepted: %s", parse_errors[i][0]);
		if (!strstr(diag.text, "rule \"web\"") || !strstr(diag.text, parse_errors[i][1]))
			fail_msg("%s\nsays \"%s\"", parse_errors[i][0], diag.text);
	}
}

/* A rule, a registration (beside role and netns), and what comes of them. */
static const struct {
	const char *rule, *body;
	const char *field; /* of the refusal; NULL: allowed */
	const char *says;  /* a part of the refusal, or of the call to STS */
} cases[] = {
	/* required tags */
	{"\"require_session_tags\":{\"team\":\"w*\"}", "", "session_tags", "is not there"},
	{"\"require_session_tags\":{\"team\":\"w*\"}", "\"session_tags\":{\"team\":\"db\"}",
	 "session_tags", "it is \"db\""},
	{"\"require_session_tags\":{\"team\":\"w*\"}", "\"session_tags\":{\"Team\":\"web\"}", NULL,
	 "Tags.member.1.Key=Team&Tags.member.1.Value=web"},
	/* added tags */
	{"\"add_session_tags\":{\"team\":\"web\"}", "", NULL,
	 "Tags.member.1.Key=team&Tags.member.1.Value=web"},
	{"\"add_session_tags\":{\"team\":\"{label.team}\",\"c\":\"{id}\"}",
	 "\"labels\":{\"team\":\"a b\"},\"session_tags\":{\"own\":\"1\"}", NULL,
	 "Tags.member.1.Key=c&Tags.member.1.Value=c1&Tags.member.2.Key=own&Tags.member.2.Value=1&"
	 "Tags.member.3.Key=team&Tags.member.3.Value=a%20b"},
	{"\"add_session_tags\":{\"team\":\"{label.team}\"}", "", "session_tags", "no such label"},
	{"\"add_session_tags\":{\"team\":\"{label.team}\"}", "\"labels\":{\"team\":\"<x>\"}",
	 "session_tags", "may hold letters"},
	{"\"add_session_tags\":{\"team\":\"web\"}", "\"session_tags\":{\"TEAM\":\"db\"}",
	 "session_tags", "sets session tag team itself"},
	{"\"add_session_tags\":{\"team\":\"web\"}", "\"session_tags\":{\"TEAM\":\"web\"}", NULL,
	 "Tags.member.1.Key=TEAM&Tags.member.1.Value=web"},
	/* the session's name */
	{"\"session_name\":\"{label.t}-{id}\"", "\"labels\":{\"t\":\"a/b\"}", NULL,
	 "RoleSessionName=a_b-c1&"},
	{"\"session_name\":\"{id}\"", "\"session_name\":\"mine\"", NULL, "RoleSessionName=c1&"},
	{"\"max_duration_s\":3600", "", NULL, "RoleSessionName=rolegate-c1&"},
	{"\"max_duration_s\":3600", "\"session_name\":\"x-{label.t}\",\"labels\":{\"t\":\"a b\"}",
	 NULL, "RoleSessionName=x-a_b&"},
	/* the source identity */
	{"\"source_identity\":\"{id}\"", "", NULL, "SourceIdentity=c1"},
	{"\"source_identity\":\"{id}\"", "\"source_identity\":\"c1\"", NULL, "SourceIdentity=c1"},
	{"\"source_identity\":\"{id}\"", "\"source_identity\":\"root\"", "source_identity",
	 "sets the source identity itself"},
	{"\"source_identity\":\"{id}\"", "", NULL, "SourceIdentity=c1"},
	{"\"require_source_identity\":\"a*\"", "", "source_identity", "is not there"},
	{"\"require_source_identity\":\"a*\"", "\"source_identity\":\"bob\"", "source_identity",
	 "\"bob\""},
	{"\"require_source_identity\":\"a*\"", "\"source_identity\":\"alice\"", NULL,
	 "SourceIdentity=alice"},
	/* session policies: none that a registration brings may widen the rule's */
	{"\"session_policy\":{\"Statement\":[]}", "", NULL,
	 "Policy=%7B%22Statement%22%3A%5B%5D%7D"},
	{"\"session_policy\":\"" SCOPE "\"", "\"session_policy\":\"" SCOPE "\"", NULL,
	 "Policy=%7B%22Statement%22%3A%5B%5D%7D"},
	{"\"session_policy\":\"" SCOPE "\"", "\"session_policy\":\"{}\"", "session_policy",
	 "would widen"},
	{"\"session_policy\":\"" SCOPE "\"",
	 "\"policy_arns\":[\"arn:aws:iam::aws:policy/AdministratorAccess\"]", "policy_arns",
	 "would widen"},
	{"\"policy_arns\":[\"arn:aws:iam::aws:policy/ReadOnlyAccess\"]",
	 "\"session_policy\":\"{}\"", "session_policy", "would widen"},
	{"\"policy_arns\":[\"arn:aws:iam::aws:policy/ReadOnlyAccess\"]",
	 "\"policy_arns\":[\"arn:aws:iam::aws:policy/AdministratorAccess\"]", "policy_arns",
	 "would widen"},
	{"\"policy_arns\":[\"arn:aws:iam::aws:policy/A\",\"arn:aws:iam::aws:policy/B\"]",
	 "\"policy_arns\":[\"arn:aws:iam::aws:policy/A\"]", NULL,
	 "PolicyArns.member.1.arn=arn%3Aaws%3Aiam%3A%3Aaws%3Apolicy%2FA&"
	 "PolicyArns.member.2.arn=arn%3Aaws%3Aiam%3A%3Aaws%3Apolicy%2FB"},
	{"\"require_session_policy\":true", "", "session_policy", "bring a session policy"},
	{"\"require_session_policy\":true", "\"session_policy\":\"{}\"", NULL, "Policy=%7B%7D"},
	{"\"require_session_policy\":true",
	 "\"policy_arns\":[\"arn:aws:iam::aws:policy/ReadOnlyAccess\"]", NULL, "PolicyArns"},
};

static void try_case(size_t i)
{
	static const struct registration_defaults defaults = {
		.tokens_required = true, .hop_limit = 1, .duration_s = 3600};
	_cleanup_(policy_freep) struct policy *policy = NULL;
	_cleanup_(registration_freep) struct registration *registration = NULL;
	_cleanup_buf_ struct buf body = {0}, rules = {0}, call = {0};
	const struct policy_rule *rule = NULL;
	struct diag diag = {0};

	buf_printf(&rules, RULE("%s"), cases[i].rule);
	buf_printf(&body, "{\"role_arn\":\"" ROLE "\",\"netns\":\"/n\"%s%s}",
		   cases[i].body[0] ? "," : "", cases[i].body);
	if (policy_parse(rules.data, "p", &policy, &diag) < 0 ||
	    registration_parse("c1", body.data, body.len, &defaults, &registration, &diag) < 0)
		fail_msg("case %zu: %s", i, diag.text);
	const struct policy_question question = {
		.role_arn = ROLE,
		.duration_s = 3600,
		.labels = registration->labels,
		.n_labels = registration->n_labels,
		.id = "c1",
		.role = &registration->role,
	};
	int r = policy_decide(policy, &question, &rule, &diag);
	if (r == 0)
		r = policy_scope_apply(rule, "c1", registration, &diag);
	if (cases[i].field) {
		if (r == 0 || strcmp(diag.field, cases[i].field) != 0 ||
		    !strstr(diag.text, cases[i].says))
			fail_msg("case %zu: %d, %s: %s", i, r, diag.field, diag.text);
		return;
	}
	if (r < 0)
		fail_msg("case %zu: %s: %s", i, diag.field, diag.text);
	assert_string_equal(registration->policy_rule, "web");
	sts_print_assume_role(&registration->role, &call);
	if (!strstr(call.data, cases[i].says))
		fail_msg("case %zu: %s", i, call.data);
}

static void test_scope(void **state)
{
	(void)state;
	for (size_t i = 0; i < N(cases); i++)
		try_case(i);
}

static void collect(const char *change, void *data)
{
	struct buf *all = data;

	buf_printf(all, "%s;", change);
}

static void test_diff(void **state)
{
#define A "{\"name\":\"a\",\"roles\":[\"" ROLE "\"]}"
#define A2 "{\"name\":\"a\",\"roles\":[\"" ROLE "2\"]}"
#define B "{\"name\":\"b\",\"roles\":[\"" ROLE "\"]}"
#define B_AGAIN "{\"roles\":[\"" ROLE "\"],  \"name\":\"b\"}"
	static const struct {
		const char *old, *new, *says;
	} diffs[] = {
		{A "," B, A "," B, ""},
		{A "," B, A "," B_AGAIN, ""},
		{A, A "," B, "rule \"b\" added;"},
		{A "," B, B, "rule \"a\" removed;"},
		{A "," B, A2 "," B, "rule \"a\" changed;"},
		{A "," B, B "," A, "the order of its rules changed;"},
		{"", A, "rule \"a\" added;"},
	};

	(void)state;
	for (size_t i = 0; i < N(diffs); i++) {
		_cleanup_(policy_freep) struct policy *old = NULL, *new = NULL;
		_cleanup_buf_ struct buf all = {0}, text = {0};
		buf_printf(&text, "{\"version\":1,\"rules\":[%s]}", diffs[i].old);
		assert_int_equal(policy_parse(text.data, "p", &old, NULL), 0);
		buf_reset(&text);
		buf_printf(&text, "{\"version\":1,\"rules\":[%s]}", diffs[i].new);
		assert_int_equal(policy_parse(text.data, "p", &new, NULL), 0);
		buf_puts(&all, "");
		policy_diff(old, new, collect, &all);
		assert_string_equal(all.data ? all.data : "", diffs[i].says);
	}
	policy_diff(NULL, NULL, collect, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_templates),
		cmocka_unit_test(test_parse_errors),
		cmocka_unit_test(test_scope),
		cmocka_unit_test(test_diff),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
