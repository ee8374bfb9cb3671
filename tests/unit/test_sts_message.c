/* AssumeRole requests: limits, session names, bodies. The replies are in test_sts_reply.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "wire/sts_message.h"

#define N(a) (sizeof(a) / sizeof((a)[0]))
#define ROLE "arn:aws:iam::123456789012:role/web"

static struct sts_assume_role valid(void)
{
	return (struct sts_assume_role){
		.role_arn = (char *)ROLE, .session_name = (char *)"web-1", .duration_s = 3600};
}

/* `len` times `unit` */
static char *repeat(const char *unit, size_t len)
{
	struct buf b = {0};
	for (size_t i = 0; i < len; i++)
		buf_puts(&b, unit);
	char *text = buf_steal(&b);
	assert_non_null(text);
	return text;
}

static void check(const struct sts_assume_role *r, const char *field, const char *what)
{
	struct diag diag = {0};
	int e = sts_assume_role_check(r, &diag);

	if (e != (field ? -EINVAL : 0) || strcmp(diag.field, field ? field : "") != 0)
		fail_msg("%s: %d %s %s", what, e, diag.field, diag.text);
}

static void test_role_arn(void **state)
{
	static const struct {
		const char *arn;
		bool ok;
	} cases[] = {
		{ROLE, true},
		{"arn:aws:iam::123456789012:role/team/web+=,.@_-", true},
		{"arn:aws-cn:iam::123456789012:role/web", true},
		{"arn:aws-us-gov:iam::123456789012:role/web", true},
		{"arn:aws:iam:::role/x", true}, /* on-premises; 20 characters, STS's minimum */
		{"arn:aws:iam::tenant:role/web", true},
		{"arn:minio:iam:::role/idmp-web", true},
		{"arn:aws:iam::1:role/a:b", true},
		{NULL, false},
		{"", false},
		{"web", false},
		{"arn:aws:iam:::role/", false},
		{"arn:aws:iam::123456789012:role/", false},
		{"arn:aws:iam::123456789012:role/team/", false},
		{"arn:aws:iam::123456789012:role/team/.", false},
		{"arn:aws:iam::123456789012:role/..", false},
		{"arn:aws:iam::123456789012:role/a?b", false},
		{"arn:aws:iam::123456789012:role/a%2fb", false},
		{"arn:aws:iam::123456789012:role/a#b", false},
		{"arn:aws:iam::123456789012:role/a\\b", false},
		{"arn:aws:iam::123456789012:role/a?b/web", true},
		{"arn:aws:iam::123456789012:user/web", false},
		{"arn:aws:iam::123456789012:rolex/web", false},
		{"arn:aws:sts::123456789012:assumed-role/web/x", false},
		{"arn::iam::123456789012:role/web", false},
		{"xrn:aws:iam::123456789012:role/web", false},
		{"arn:aws:iam:123456789012:role/web", false},
		{"arn:aws:iam::123456789012:role/we b", false},
		{"arn:aws:iam::123456789012:role/web\n", false},
		{"arn:aws:iam::123456789012:role/w\xc3\xa9"
		 "b",
		 false},
	};

	(void)state;
	for (size_t i = 0; i < N(cases); i++) {
		struct sts_assume_role r = valid();
		r.role_arn = (char *)cases[i].arn;
		check(&r, cases[i].ok ? NULL : "role_arn", cases[i].arn ? cases[i].arn : "NULL");
	}
}

/* The fields that are one text each: a character of it, and how many of them. */
static void test_texts(void **state)
{
	enum field { SESSION_NAME, EXTERNAL_ID, SOURCE_IDENTITY };
	static const char *const names[] = {"session_name", "external_id", "source_identity"};
	static const struct {
		enum field field;
		const char *unit;
		size_t n;
		bool ok;
	} cases[] = {
		{SESSION_NAME, "a", 1, false},	      {SESSION_NAME, "a", 2, true},
		{SESSION_NAME, "a", 64, true},	      {SESSION_NAME, "a", 65, false},
		{SESSION_NAME, "_+=,.@-Z9", 2, true}, {SESSION_NAME, ":", 2, false},
		{SESSION_NAME, "/", 2, false},	      {SESSION_NAME, " ", 2, false},
		{SESSION_NAME, "\xc3\xa9", 2, false}, {EXTERNAL_ID, "a", 1, false},
		{EXTERNAL_ID, "a", 2, true},	      {EXTERNAL_ID, "a", 1224, true},
		{EXTERNAL_ID, "a", 1225, false},      {EXTERNAL_ID, "_+=,.@:/-", 1, true},
		{EXTERNAL_ID, "&", 2, false},	      {SOURCE_IDENTITY, "a", 1, false},
		{SOURCE_IDENTITY, "a", 64, true},     {SOURCE_IDENTITY, "a", 65, false},
		{SOURCE_IDENTITY, "aws:", 1, false},
	};

	(void)state;
	for (size_t i = 0; i < N(cases); i++) {
		_cleanup_free_ char *text = repeat(cases[i].unit, cases[i].n);
		struct sts_assume_role r = valid();
		*(cases[i].field == SESSION_NAME  ? &r.session_name
		  : cases[i].field == EXTERNAL_ID ? &r.external_id
						  : &r.source_identity) = text;
		check(&r, cases[i].ok ? NULL : names[cases[i].field], text);
	}
	struct sts_assume_role r = valid();
	r.session_name = NULL;
	check(&r, "session_name", "NULL");
}

static void test_duration(void **state)
{
	static const struct {
		int64_t duration_s;
		bool ok;
	} cases[] = {{900, true}, {43200, true}, {899, false},	     {43201, false},
		     {0, false},  {-1, false},	 {INT64_MAX, false}, {INT64_MIN, false}};

	(void)state;
	for (size_t i = 0; i < N(cases); i++) {
		struct sts_assume_role r = valid();
		r.duration_s = cases[i].duration_s;
		check(&r, cases[i].ok ? NULL : "duration_s", "duration");
	}
}

static void test_session_policy(void **state)
{
	static const struct {
		const char *before, *unit;
		size_t n;
		const char *after;
		bool ok;
	} cases[] = {
		{"{\"Version\":\"2012-10-17\",\n\t\"Statement\":[]}", "", 0, "", true},
		{"{\"a\":\"", "x", 2048 - 8, "\"}", true},
		{"{\"a\":\"", "x", 2048 - 7, "\"}", false},
		{"{\"a\":\"", "\xc3\xbf", 2048 - 8, "\"}", true}, /* characters, not bytes */
		{"{\"a\":\"", "\xc4\x80", 1, "\"}", false},	  /* U+0100 */
		{"{\"a\":\"", "\x01", 1, "\"}", false},
		{"{\"a\":\"", "\xff", 1, "\"}", false},
		{"", "", 0, "", false},
		{"[]", "", 0, "", false},
		{"{\"a\":1,\"a\":2}", "", 0, "", false},
		{"{", "", 0, "", false},
	};

	(void)state;
	for (size_t i = 0; i < N(cases); i++) {
		_cleanup_free_ char *middle = repeat(cases[i].unit, cases[i].n);
		_cleanup_buf_ struct buf policy = {0};
		struct sts_assume_role r = valid();
		buf_printf(&policy, "%s%s%s", cases[i].before, middle, cases[i].after);
		r.session_policy = policy.data;
		check(&r, cases[i].ok ? NULL : "session_policy", policy.data);
	}
}

static void test_policy_arns(void **state)
{
	static const struct {
		const char *arn;
		size_t n;
		bool ok;
	} cases[] = {
		{"arn:aws:iam::aws:policy/ReadOnlyAccess", 1, true},
		{"arn:aws:iam::aws:policy/ReadOnlyAccess", 10, true},
		{"arn:aws:iam::aws:policy/ReadOnlyAccess", 11, false},
		{ROLE, 1, false},
		{"ReadOnlyAccess", 1, false},
	};
	char *arns[11];

	(void)state;
	for (size_t i = 0; i < N(cases); i++) {
		struct sts_assume_role r = valid();
		for (size_t k = 0; k < cases[i].n; k++)
			arns[k] = (char *)cases[i].arn;
		r.policy_arns = arns;
		r.n_policy_arns = cases[i].n;
		check(&r, cases[i].ok ? NULL : "policy_arns", cases[i].arn);
	}
}

static void test_tag_texts(void **state)
{
	static const struct {
		const char *key_unit;
		size_t key_n;
		const char *value_unit;
		size_t value_n;
		bool ok;
	} cases[] = {
		{"k", 1, "v", 0, true},
		{"k", 128, "v", 256, true},
		{"k", 129, "v", 1, false},
		{"k", 1, "v", 257, false},
		{"k", 0, "v", 1, false},
		{"\xc3\xa9", 128, "\xe2\x82\xac", 256, true}, /* characters, not bytes */
		{"\xf0\x9f\x98\x80", 128, "v", 1, true},
		{"a Z9_.:/=+-@", 1, "a Z9_.:/=+-@", 1, true},
		{"k&", 1, "v", 1, false},
		{"k", 1, "v\n", 1, false},
		{"k", 1, "\x7f", 1, false},
		{"k", 1, "\xc2\x80", 1, false}, /* C1 control */
		{"k", 1, "\xc3", 1, false},
		{"k", 1, "\x80", 1, false},
		{"k", 1, "\xc0\xaf", 1, false},
		{"k", 1, "\xed\xa0\x80", 1, false},
		{"k", 1, "\xf5\x80\x80\x80", 1, false},
		{"aws:x", 1, "v", 1, false},
		{"AWS:x", 1, "v", 1, false},
		{"awsx", 1, "v", 1, true},
	};

	(void)state;
	for (size_t i = 0; i < N(cases); i++) {
		_cleanup_free_ char *key = repeat(cases[i].key_unit, cases[i].key_n);
		_cleanup_free_ char *value = repeat(cases[i].value_unit, cases[i].value_n);
		struct sts_tag tag = {key, value};
		struct sts_assume_role r = valid();
		r.tags = &tag;
		r.n_tags = 1;
		check(&r, cases[i].ok ? NULL : "session_tags", key);
	}
}

static void test_tag_sets(void **state)
{
	static const struct {
		const char *keys[3], *transitive[3];
		const char *field;
	} cases[] = {
		{{"team", "env"}, {"team"}, NULL},
		{{"team", "env"}, {"env", "team"}, NULL},
		{{"team", "env"}, {"TEAM"}, NULL}, /* STS compares so */
		{{"team", "Team"}, {NULL}, "session_tags"},
		{{"team"}, {"env"}, "transitive_tag_keys"},
		{{"team"}, {"team", "Team"}, "transitive_tag_keys"},
		{{NULL}, {"team"}, "transitive_tag_keys"},
	};

	(void)state;
	for (size_t i = 0; i < N(cases); i++) {
		struct sts_tag tags[3];
		struct sts_assume_role r = valid();
		for (; cases[i].keys[r.n_tags]; r.n_tags++)
			tags[r.n_tags] =
				(struct sts_tag){(char *)cases[i].keys[r.n_tags], (char *)"v"};
		while (cases[i].transitive[r.n_transitive_tag_keys])
			r.n_transitive_tag_keys++;
		r.tags = tags;
		r.transitive_tag_keys = (char **)cases[i].transitive;
		check(&r, cases[i].field, cases[i].keys[0] ? cases[i].keys[0] : "no tags");
	}
}

static void test_too_many_tags(void **state)
{
	struct sts_tag tags[STS_TAGS_MAX + 1];
	char keys[STS_TAGS_MAX + 1][8];
	struct sts_assume_role r = valid();
	_cleanup_buf_ struct buf body = {0};

	(void)state;
	for (size_t i = 0; i < N(tags); i++) {
		snprintf(keys[i], sizeof(keys[i]), "k%zu", i);
		tags[i] = (struct sts_tag){keys[i], (char *)"v"};
	}
	r.tags = tags;
	r.n_tags = STS_TAGS_MAX;
	check(&r, NULL, "50 tags");
	sts_print_assume_role(&r, &body);
	assert_true(buf_ok(&body));
	r.n_tags = STS_TAGS_MAX + 1;
	check(&r, "session_tags", "51 tags");
	sts_print_assume_role(&r, &body); /* unchecked: refused, not overrun */
	assert_false(buf_ok(&body));
}

static void test_session_name(void **state)
{
	static const struct {
		const char *text, *name;
	} cases[] = {
		{"rolegate-web-1", "rolegate-web-1"},
		{"a_+=,.@-Z", "a_+=,.@-Z"},
		{"a b/c:d\n", "a_b_c_d_"},
		{"caf\xc3\xa9", "caf__"},
		{"x", "x_"},
		{"", "__"},
		{"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
		 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}, /* 64 */
		{"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
		 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-635361c48b"}, /* 65 */
		{"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab",
		 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-3e63da2d83"},
	};

	(void)state;
	for (size_t i = 0; i < N(cases); i++) {
		char name[STS_SESSION_NAME_SIZE];
		struct sts_assume_role r = valid();
		sts_session_name(cases[i].text, name);
		assert_string_equal(name, cases[i].name);
		r.session_name = name;
		check(&r, NULL, name);
	}
}

#define HEAD                                                                                       \
	"Action=AssumeRole&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2F"

static void test_print(void **state)
{
	struct sts_tag tags[] = {{(char *)"team", (char *)"web & co"},
				 {(char *)"env", (char *)"caf\xc3\xa9"}};
	char *transitive[] = {(char *)"team", (char *)"env"};
	char *arns[] = {(char *)"arn:aws:iam::aws:policy/B", (char *)"arn:aws:iam::aws:policy/A"};
	struct sts_assume_role r = valid();
	_cleanup_buf_ struct buf body = {0}, other = {0};

	(void)state;
	sts_print_assume_role(&r, &body);
	assert_string_equal(body.data, HEAD "web&RoleSessionName=web-1&DurationSeconds=3600");

	r.external_id = (char *)"id:1/2";
	r.source_identity = (char *)"alice@example.com";
	r.session_policy = (char *)"{\"a\": \"+\"}";
	r.policy_arns = arns;
	r.n_policy_arns = 2;
	r.tags = tags;
	r.n_tags = 2;
	r.transitive_tag_keys = transitive;
	r.n_transitive_tag_keys = 2;
	buf_reset(&body);
	sts_print_assume_role(&r, &body);
	assert_string_equal(
		body.data,
		HEAD "web&RoleSessionName=web-1&DurationSeconds=3600&ExternalId=id%3A1%2F2"
		     "&SourceIdentity=alice%40example.com&Policy=%7B%22a%22%3A%20%22%2B%22%7D"
		     "&PolicyArns.member.1.arn=arn%3Aaws%3Aiam%3A%3Aaws%3Apolicy%2FA"
		     "&PolicyArns.member.2.arn=arn%3Aaws%3Aiam%3A%3Aaws%3Apolicy%2FB"
		     "&Tags.member.1.Key=env&Tags.member.1.Value=caf%C3%A9"
		     "&Tags.member.2.Key=team&Tags.member.2.Value=web%20%26%20co"
		     "&TransitiveTagKeys.member.1=env&TransitiveTagKeys.member.2=team");

	/* In another order it is the same session. */
	struct sts_tag tags2[] = {tags[1], tags[0]};
	char *transitive2[] = {transitive[1], transitive[0]}, *arns2[] = {arns[1], arns[0]};
	r.tags = tags2;
	r.transitive_tag_keys = transitive2;
	r.policy_arns = arns2;
	sts_print_assume_role(&r, &other);
	assert_string_equal(body.data, other.data);
}

static void test_deinit(void **state)
{
	struct sts_assume_role r = {
		.role_arn = strdup(ROLE),
		.session_name = strdup("web"),
		.external_id = strdup("id"),
		.tags = calloc(2, sizeof(struct sts_tag)), /* one half filled */
		.n_tags = 2,
		.policy_arns = calloc(1, sizeof(char *)),
		.n_policy_arns = 1,
	};

	(void)state;
	r.tags[0].key = strdup("k");
	sts_assume_role_deinit(&r);
	assert_null(r.role_arn);
	sts_assume_role_deinit(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_role_arn),     cmocka_unit_test(test_texts),
		cmocka_unit_test(test_duration),     cmocka_unit_test(test_session_policy),
		cmocka_unit_test(test_policy_arns),  cmocka_unit_test(test_tag_texts),
		cmocka_unit_test(test_tag_sets),     cmocka_unit_test(test_too_many_tags),
		cmocka_unit_test(test_session_name), cmocka_unit_test(test_print),
		cmocka_unit_test(test_deinit),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
