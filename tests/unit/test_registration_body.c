/* registration_body: what the client writes, and that the daemon's parser reads it back. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "util/buf.h"
#include "wire/registration.h"
#include "wire/registration_body.h"

#define N(a) (sizeof(a) / sizeof((a)[0]))
#define ROLE "arn:aws:iam::123456789012:role/team/web"

struct step {
	const char *field, *value;
};

static void test_print(void **state)
{
	static const struct {
		struct step steps[6];
		const char *json;
	} cases[] = {
		{{{0}}, "{}"},
		{{{"role_arn", "x\"y"}, {"pid", "42"}}, "{\"role_arn\":\"x\\\"y\",\"pid\":42}"},
		{{{"image.ref", "a"}, {"image.digest", "b"}},
		 "{\"image\":{\"ref\":\"a\",\"digest\":\"b\"}}"},
		{{{"policy_arns", "b"}, {"policy_arns", "a"}}, "{\"policy_arns\":[\"b\",\"a\"]}"},
		{{{"labels", "a=1"}, {"session_tags", "a="}, {"labels", "b=x=y"}},
		 "{\"labels\":{\"a\":\"1\",\"b\":\"x=y\"},\"session_tags\":{\"a\":\"\"}}"},
		{{{"metadata", "a=1"},
		  {"metadata", "b=2"},
		  {"metadata", "a=3"},
		  {"metadata", "a=4"}},
		 "{\"metadata\":{\"a\":[\"1\",\"3\",\"4\"],\"b\":\"2\"}}"},
		{{{"metadata", "security-groups=sg-1"}},
		 "{\"metadata\":{\"security-groups\":[\"sg-1\"]}}"},
		{{{"session_policy", "{\"a\":[]}"}}, "{\"session_policy\":\"{\\\"a\\\":[]}\"}"},
		{{{"wait_s", "0"}, {"duration_s", "3600"}}, "{\"wait_s\":0,\"duration_s\":3600}"},
	};

	(void)state;
	for (size_t i = 0; i < N(cases); i++) {
		_cleanup_registration_body_ struct registration_body *body =
			registration_body_new();
		_cleanup_buf_ struct buf out = {0};
		struct diag diag = {0};
		for (const struct step *s = cases[i].steps; s->field; s++)
			if (registration_body_add(body, s->field, s->value, &diag) != 0)
				fail_msg("case %zu: %s: %s", i, diag.field, diag.text);
		assert_int_equal(registration_body_print(body, &out), 0);
		assert_string_equal(out.data, cases[i].json);
	}
}

static void test_errors(void **state)
{
	/* The last step is the one that fails. */
	static const struct {
		struct step steps[3];
		const char *says;
	} cases[] = {
		{{{"role", "x"}}, "no field"},
		{{{"image", "x"}}, "no field"},
		{{{"", "x"}}, "no field"},
		{{{"role_arn", "x"}, {"role_arn", "x"}}, "given twice"},
		{{{"image.ref", "x"}, {"image.ref", "y"}}, "given twice"},
		{{{"pid", "1"}, {"pid", "1"}}, "given twice"},
		{{{"session_policy", "{}"}, {"session_policy", "{}"}}, "given twice"},
		{{{"pid", ""}}, "whole number"},
		{{{"pid", "-1"}}, "whole number"},
		{{{"pid", " 1"}}, "whole number"},
		{{{"pid", "1s"}}, "whole number"},
		{{{"pid", "99999999999999999999"}}, "whole number"},
		{{{"labels", "a"}}, "KEY=VALUE"},
		{{{"labels", "=a"}}, "KEY=VALUE"},
		{{{"labels", "a=1"}, {"labels", "a=1"}}, "twice"},
		{{{"session_tags", "a=1"}, {"session_tags", "a=2"}}, "twice"},
		{{{"session_policy", ""}}, "JSON object"},
		{{{"session_policy", "[]"}}, "JSON object"},
		{{{"role_arn", "\xff"}}, "UTF-8"},
		{{{"labels", "\xff=a"}}, "UTF-8"},
	};

	(void)state;
	for (size_t i = 0; i < N(cases); i++) {
		_cleanup_registration_body_ struct registration_body *body =
			registration_body_new();
		struct diag diag = {0};
		int r = 0;
		for (const struct step *s = cases[i].steps; s->field; s++) {
			assert_int_equal(r, 0);
			r = registration_body_add(body, s->field, s->value, &diag);
		}
		if (r != -EINVAL || !strstr(diag.text, cases[i].says))
			fail_msg("case %zu: %d: %s", i, r, diag.text);
	}
}

/* Client and daemon agree on every field. */
static void test_daemon_reads_it(void **state)
{
	static const struct step steps[] = {
		{"role_arn", ROLE},
		{"netns", "/run/netns/x"},
		{"pid", "4242"},
		{"intercept", "bridge"},
		{"session_name", "name"},
		{"external_id", "external"},
		{"duration_s", "900"},
		{"session_tags", "team=web"},
		{"transitive_tag_keys", "team"},
		{"source_identity", "me"},
		{"policy_arns", "arn:aws:iam::aws:policy/ReadOnlyAccess"},
		{"session_policy", "{\"Version\":\"2012-10-17\",\"Statement\":[]}"},
		{"tokens", "optional"},
		{"hop_limit", "2"},
		{"image.ref", "web:1"},
		{"image.digest", "sha256:0"},
		{"labels", "team=web"},
		{"metadata", "security-groups=sg-1"},
		{"wait_s", "3"},
	};
	const struct registration_defaults defaults = {true, 1, 3600};
	_cleanup_registration_body_ struct registration_body *body = registration_body_new();
	_cleanup_buf_ struct buf out = {0};
	struct registration *r = NULL;
	struct diag diag = {0};

	(void)state;
	assert_int_equal(registration_body_wait_s(body), REGISTRATION_WAIT_DEFAULT_S);
	for (size_t i = 0; i < N(steps); i++)
		assert_int_equal(registration_body_add(body, steps[i].field, steps[i].value, &diag),
				 0);
	assert_int_equal(registration_body_wait_s(body), 3);
	assert_int_equal(registration_body_print(body, &out), 0);
	if (registration_parse("web-1", out.data, out.len, &defaults, &r, &diag) != 0)
		fail_msg("%s: %s", diag.field, diag.text);
	assert_string_equal(r->role.role_arn, ROLE);
	assert_string_equal(r->netns, "/run/netns/x");
	assert_int_equal(r->pid, 4242);
	assert_int_equal(r->intercept, INTERCEPT_BRIDGE);
	assert_string_equal(r->role.external_id, "external");
	assert_int_equal(r->role.duration_s, 900);
	assert_int_equal(r->role.n_tags, 1);
	assert_int_equal(r->role.n_policy_arns, 1);
	assert_false(r->tokens_required);
	assert_int_equal(r->hop_limit, 2);
	assert_string_equal(r->image_ref, "web:1");
	assert_int_equal(r->n_labels, 1);
	assert_int_equal(r->wait_s, 3);
	registration_free(r);
}

/* AWS counts characters, and "é" is one of two bytes. */
static void test_limits_are_in_characters(void **state)
{
	static const struct {
		const char *before, *character, *after;
		size_t max; /* of the character */
		const char *field;
	} cases[] = {
		{"\"session_tags\":{\"k\":\"", "\xc3\xa9", "\"}", 256, "session_tags"},
		{"\"session_tags\":{\"k\":\"", "\xf0\x90\x8d\x88", "\"}", 256, "session_tags"},
		{"\"session_tags\":{\"", "\xe6\x97\xa5", "\":\"v\"}", 128, "session_tags"},
		{"\"session_policy\":\"{\\\"a\\\":\\\"", "\xc3\xa9", "\\\"}\"", 2048 - 8,
		 "session_policy"},
	};
	const struct registration_defaults defaults = {.duration_s = 3600};

	(void)state;
	for (size_t i = 0; i < N(cases); i++) {
		for (size_t n = cases[i].max; n <= cases[i].max + 1; n++) {
			_cleanup_buf_ struct buf body = {0};
			struct registration *r = NULL;
			struct diag diag = {0};
			buf_puts(&body, "{\"role_arn\":\"" ROLE "\",\"netns\":\"/run/netns/x\",");
			buf_puts(&body, cases[i].before);
			for (size_t k = 0; k < n; k++)
				buf_puts(&body, cases[i].character);
			buf_puts(&body, cases[i].after);
			buf_puts(&body, "}");
			int e = registration_parse("c", body.data, body.len, &defaults, &r, &diag);
			if (e != (n > cases[i].max ? -EINVAL : 0))
				fail_msg("case %zu, %zu: %d, %s: %s", i, n, e, diag.field,
					 diag.text);
			if (e < 0)
				assert_string_equal(diag.field, cases[i].field);
			registration_free(r);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_print),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_daemon_reads_it),
		cmocka_unit_test(test_limits_are_in_characters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
