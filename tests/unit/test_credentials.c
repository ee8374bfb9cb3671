/* The documents that carry credentials: which are accepted, and what is printed, byte for byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <jansson.h>

#include "wire/credentials.h"

#define N(a) (sizeof(a) / sizeof((a)[0]))

/* 2026-11-24T21:00:00Z and six hours later */
#define UPDATED_S 1795554000
#define EXPIRATION_S 1795575600

#define KEYS "\"AccessKeyId\":\"ASIAX\",\"SecretAccessKey\":\"s/+=\",\"Token\":\"t\""
#define WHEN "\"Expiration\":\"2026-11-25T03:00:00Z\""

static const char recorded[] = "{\n"
			       "  \"Code\" : \"Success\",\n"
			       "  \"LastUpdated\" : \"2026-11-24T21:00:00Z\",\n"
			       "  \"Type\" : \"AWS-HMAC\",\n"
			       "  \"AccessKeyId\" : \"ASIAX\",\n"
			       "  \"SecretAccessKey\" : \"s/+=\",\n"
			       "  \"Token\" : \"t\",\n"
			       "  \"Expiration\" : \"2026-11-25T03:00:00Z\"\n"
			       "}";

static const struct {
	const char *text;
	int result;
	int64_t last_updated_s;
} documents[] = {
	{recorded, 0, UPDATED_S},
	{"{" KEYS "," WHEN "}", 0, 0}, /* no Code, no LastUpdated: botocore takes it */
	{"{" KEYS "," WHEN ",\"LastUpdated\":\"\"}", 0, 0},
	{"{" KEYS "," WHEN ",\"LastUpdated\":\"2026-11-24T21:00:00Z\"}", 0, UPDATED_S},
	{"{" KEYS ",\"Expiration\":\"2026-11-25T03:00:00.123Z\"}", 0, 0},
	{"{" KEYS ",\"Expiration\":\"2026-11-25T04:00:00+01:00\"}", 0, 0},
	{"{" KEYS "," WHEN ",\"New\":[{}]}", 0, 0},
	{" {" KEYS "," WHEN "}\n", 0, 0},
	{"{\"Code\":\"Failed\"," KEYS "," WHEN "}", -EACCES, 0},
	{"{\"Code\":\"AssumeRoleUnauthorizedAccess\",\"Message\":\"no\"}", -EACCES, 0},
	{"", -EBADMSG, 0},
	{"null", -EBADMSG, 0},
	{"[]", -EBADMSG, 0},
	{"\"x\"", -EBADMSG, 0},
	{"{}", -EBADMSG, 0},
	{"{" KEYS "}", -EBADMSG, 0},
	{"{" KEYS ",\"Expiration\":\"soon\"}", -EBADMSG, 0},
	{"{" KEYS ",\"Expiration\":1795575600}", -EBADMSG, 0},
	{"{" KEYS "," WHEN ",\"Token\":\"u\"}", -EBADMSG, 0}, /* twice: which one? */
	{"{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"s\"," WHEN "}", -EBADMSG, 0},
	{"{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"s\",\"Token\":null," WHEN "}", -EBADMSG, 0},
	{"{\"AccessKeyId\":\"\",\"SecretAccessKey\":\"s\",\"Token\":\"t\"," WHEN "}", -EBADMSG, 0},
	{"{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"s\",\"Token\":\"t\\r\\nX: y\"," WHEN "}",
	 -EBADMSG, 0},
	{"{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"s\",\"Token\":\"t\\u0000\"," WHEN "}",
	 -EBADMSG, 0},
	{"{\"AccessKeyId\":\"\xc3\xa9\",\"SecretAccessKey\":\"s\",\"Token\":\"t\"," WHEN "}",
	 -EBADMSG, 0},
	{"{" KEYS "," WHEN "}}", -EBADMSG, 0},
	{"{" KEYS "," WHEN, -EBADMSG, 0},
	{"<html>404</html>", -EBADMSG, 0},
};

static void test_parse_imds(void **state)
{
	(void)state;
	for (size_t i = 0; i < N(documents); i++) {
		_cleanup_credentials_ struct credentials *c = NULL;
		struct diag diag = {0};
		int r = credentials_parse_imds(documents[i].text, strlen(documents[i].text), &c,
					       &diag);
		if (r != documents[i].result)
			fail_msg("%s: %d %s", documents[i].text, r, diag.text);
		if (r < 0) {
			assert_null(c);
			assert_true(diag.text[0]);
			continue;
		}
		assert_string_equal(c->access_key_id, "ASIAX");
		assert_string_equal(c->secret_access_key, "s/+=");
		assert_string_equal(c->session_token, "t");
		assert_int_equal(c->expiration_s, EXPIRATION_S);
		assert_int_equal(c->last_updated_s, documents[i].last_updated_s);
		assert_int_equal(c->expires_ms, 0);
	}
}

static void test_parse_imds_code(void **state)
{
	static const char text[] = "{\"Code\":\"AssumeRoleUnauthorizedAccess\","
				   "\"Message\":\"EC2 cannot assume the role\\nx.\"}";
	struct credentials *c = NULL;
	struct diag diag;

	(void)state;
	assert_int_equal(credentials_parse_imds(text, strlen(text), &c, &diag), -EACCES);
	assert_string_equal(diag.text,
			    "AssumeRoleUnauthorizedAccess: EC2 cannot assume the role?x.");
}

static char *long_token(size_t len)
{
	char *token = malloc(len + 1);
	assert_non_null(token);
	for (size_t i = 0; i < len; i++)
		token[i] = "ABCabc012+/="[i % 12];
	token[len] = '\0';
	return token;
}

/* Tokens pass whole, whatever their length, through each reader and writer. */
static void test_long_token(void **state)
{
	static const size_t lengths[] = {1, 199, 200, 201, 4096, 10240, 65536};

	(void)state;
	for (size_t i = 0; i < N(lengths); i++) {
		_cleanup_free_ char *token = long_token(lengths[i]);
		_cleanup_buf_ struct buf text = {0}, printed = {0}, file = {0};
		_cleanup_credentials_ struct credentials *c = NULL, *from_file = NULL;

		buf_printf(&text,
			   "{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"s\",\"Token\":\"%s\"," WHEN
			   "}",
			   token);
		assert_int_equal(credentials_parse_imds(text.data, text.len, &c, NULL), 0);
		assert_string_equal(c->session_token, token);
		credentials_print_imds(c, NULL, &printed);
		assert_non_null(strstr(printed.data, token));

		buf_printf(&file,
			   "[default]\naws_access_key_id=A\naws_secret_access_key=s\n"
			   "aws_session_token = %s\n",
			   token);
		assert_int_equal(
			credentials_parse_file(file.data, "f", "default", &from_file, NULL), 0);
		assert_string_equal(from_file->session_token, token);
	}
}

static void test_too_long(void **state)
{
	_cleanup_free_ char *text = long_token(300 * 1024);
	struct credentials *c = NULL;

	(void)state;
	assert_int_equal(credentials_parse_imds(text, strlen(text), &c, NULL), -EBADMSG);
}

static const struct {
	const char *text, *profile;
	int result;
	const char *id, *token, *message; /* message: a part of it */
} files[] = {
	{"[default]\naws_access_key_id = A\naws_secret_access_key = s\n", "default", 0, "A", NULL,
	 NULL},
	{"[default]\naws_access_key_id=A\naws_secret_access_key=s", "default", 0, "A", NULL, NULL},
	{"[default]\r\naws_access_key_id=A\r\naws_secret_access_key=s\r\n", "default", 0, "A", NULL,
	 NULL},
	{"\xef\xbb\xbf[default]\naws_access_key_id=A\naws_secret_access_key=s\n", "default", 0, "A",
	 NULL, NULL},
	{"# c\n; c\n\n[ x ]\nregion = eu\nAWS_Access_Key_Id=A\naws_secret_access_key=s\n"
	 "aws_session_token=t=\n",
	 "x", 0, "A", "t=", NULL},
	{"[profile x]\naws_access_key_id=A\naws_secret_access_key=s\n", "x", 0, "A", NULL, NULL},
	{"[profile\tx]\naws_access_key_id=A\naws_secret_access_key=s\n", "x", 0, "A", NULL, NULL},
	{"[profile x]\naws_access_key_id=A\naws_secret_access_key=s\n", "profile x", -ENOENT, NULL,
	 NULL, "no profile"},
	{"[a]\naws_access_key_id=A\naws_secret_access_key=s\n"
	 "[b]\naws_access_key_id=B\naws_secret_access_key=s\n",
	 "b", 0, "B", NULL, NULL},
	{"[a]\naws_access_key_id=A\n[b]\nx=y\n[a]\naws_secret_access_key=s\n", "a", 0, "A", NULL,
	 NULL},
	{"[a]\naws_access_key_id=A\naws_secret_access_key=s\naws_session_token=\n", "a", 0, "A",
	 NULL, NULL},
	{"[a]\ns3 =\n  aws_access_key_id=nested\naws_access_key_id=A\n"
	 "aws_secret_access_key=s\n",
	 "a", 0, "A", NULL, NULL},
	{"[b]\nthis is not read\n[a]\naws_access_key_id=A\naws_secret_access_key=s\n", "a", 0, "A",
	 NULL, NULL},
	{"", "default", -ENOENT, NULL, NULL, "f: has no profile [default]"},
	{"[A]\naws_access_key_id=A\naws_secret_access_key=s\n", "a", -ENOENT, NULL, NULL,
	 "no profile"},
	{"[a]\nrole_arn=x\n", "a", -EBADMSG, NULL, NULL, "lacks aws_access_key_id"},
	{"[a]\naws_access_key_id=A\n", "a", -EBADMSG, NULL, NULL, "lacks aws_secret_access_key"},
	{"[a]\naws_access_key_id=A\naws_access_key_id=B\n", "a", -EBADMSG, NULL, NULL,
	 "f:3: aws_access_key_id is given twice"},
	{"[a]\naws_access_key_id\n", "a", -EBADMSG, NULL, NULL, "f:2:"},
	{"\n[a\n", "a", -EBADMSG, NULL, NULL, "f:2:"},
	{"[a]\naws_access_key_id=A\naws_secret_access_key=\n", "a", -EBADMSG, NULL, NULL, "empty"},
	{"[a]\naws_access_key_id=A B\naws_secret_access_key=s\n", "a", -EBADMSG, NULL, NULL,
	 "impossible bytes"},
};

static void test_parse_file(void **state)
{
	(void)state;
	for (size_t i = 0; i < N(files); i++) {
		_cleanup_credentials_ struct credentials *c = NULL;
		struct diag diag = {0};
		int r = credentials_parse_file(files[i].text, "f", files[i].profile, &c, &diag);
		if (r != files[i].result ||
		    (files[i].message && !strstr(diag.text, files[i].message)))
			fail_msg("%s: %d %s", files[i].text, r, diag.text);
		if (r < 0)
			continue;
		assert_string_equal(c->access_key_id, files[i].id);
		assert_string_equal(c->secret_access_key, "s");
		if (files[i].token)
			assert_string_equal(c->session_token, files[i].token);
		else
			assert_null(c->session_token);
		assert_true(c->expires_ms == INT64_MAX && c->expiration_s == 0);
	}
}

/* Errors go into logs: they may not quote what they could not read. */
static void test_no_secrets_in_errors(void **state)
{
	static const char *const cases[] = {
		"[a]\naws_secret_access_key HUNTER2\n",
		"[a]\naws_access_key_id=A\naws_secret_access_key=HUNTER2 HUNTER2\n",
		"[a]\naws_secret_access_key=HUNTER2\naws_secret_access_key=HUNTER2\n",
		"[a]\naws_secret_access_key=HUNTER2\n",
		"{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"HUNTER2\" \"HUNTER2\"}",
		"{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"HUNTER2 \",\"Token\":\"t\"," WHEN "}",
		"{\"SecretAccessKey\":\"HUNTER2\",\"SecretAccessKey\":\"HUNTER2\"}",
		"{\"SecretAccessKey\":HUNTER2}",
	};

	(void)state;
	for (size_t i = 0; i < N(cases); i++) {
		struct credentials *c = NULL;
		struct diag diag = {0};
		int r = cases[i][0] == '['
				? credentials_parse_file(cases[i], "f", "a", &c, &diag)
				: credentials_parse_imds(cases[i], strlen(cases[i]), &c, &diag);
		assert_true(r < 0 && diag.text[0]);
		assert_null(strstr(diag.text, "HUNTER2"));
		assert_null(strstr(diag.field, "HUNTER2"));
	}
}

static struct credentials *sample(void)
{
	struct credentials *c = credentials_new();
	assert_non_null(c);
	assert_int_equal(credentials_set_keys(c, "ASIAX", "s/+=", "t"), 0);
	c->expiration_s = EXPIRATION_S;
	c->last_updated_s = UPDATED_S;
	return c;
}

static void test_print(void **state)
{
	_cleanup_credentials_ struct credentials *c = sample();
	_cleanup_buf_ struct buf out = {0};

	(void)state;
	credentials_print_imds(c, NULL, &out);
	assert_string_equal(out.data, recorded);

	buf_reset(&out);
	credentials_print_imds(c, "123456789012", &out);
	assert_memory_equal(out.data, recorded, strlen(recorded) - 2);
	assert_string_equal(out.data + strlen(recorded) - 2,
			    ",\n  \"AccountId\" : \"123456789012\"\n}");

	buf_reset(&out);
	credentials_print_ecs(c, "arn:aws:iam::123456789012:role/web", &out);
	assert_string_equal(out.data, "{\"RoleArn\":\"arn:aws:iam::123456789012:role/web\"," KEYS
				      "," WHEN "}");

	buf_reset(&out);
	credentials_print_eks(c, "123456789012", &out);
	assert_string_equal(out.data, "{" KEYS ",\"AccountId\":\"123456789012\"," WHEN "}");
}

static void test_print_error(void **state)
{
	static const struct {
		const char *message, *printed;
	} cases[] = {
		{"plain", "plain"},
		{"a \"quote\" and \\", "a \\\"quote\\\" and \\\\"},
		{"line\nend\t\x7f", "line\\u000aend\\u0009\\u007f"},
		{"caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80",
		 "caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80"},
		{"cut \xe2\x82", "cut \xef\xbf\xbd\xef\xbf\xbd"},
		{"\xc0\xaf\xed\xa0\x80",
		 "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
		{"\xf4\x90\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
	};

	(void)state;
	for (size_t i = 0; i < N(cases); i++) {
		_cleanup_buf_ struct buf out = {0}, expected = {0};
		json_error_t error;

		credentials_print_imds_error("AccessDenied", cases[i].message, UPDATED_S, &out);
		buf_printf(&expected,
			   "{\n  \"Code\" : \"AccessDenied\",\n  \"Message\" : \"%s\",\n"
			   "  \"LastUpdated\" : \"2026-11-24T21:00:00Z\"\n}",
			   cases[i].printed);
		assert_string_equal(out.data, expected.data);
		json_t *document = json_loads(out.data, JSON_REJECT_DUPLICATES, &error);
		assert_non_null(document);
		json_decref(document);
	}
}

static void test_set_keys_keeps_on_failure(void **state)
{
	_cleanup_credentials_ struct credentials *c = sample();

	(void)state;
	assert_int_equal(credentials_set_keys(c, "B", "b", "new\nline"), -EBADMSG);
	assert_string_equal(c->access_key_id, "ASIAX");
	assert_string_equal(c->session_token, "t");
	assert_int_equal(credentials_set_keys(c, "B", "b", NULL), 0);
	assert_string_equal(c->access_key_id, "B");
	assert_null(c->session_token);
}

static void test_references(void **state)
{
	struct credentials *c = sample();

	(void)state;
	assert_ptr_equal(credentials_ref(c), c);
	assert_null(credentials_unref(c));
	assert_string_equal(c->access_key_id, "ASIAX"); /* one reference is left */
	assert_null(credentials_unref(c));
	assert_null(credentials_unref(NULL));
	assert_null(credentials_ref(NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse_imds),
		cmocka_unit_test(test_parse_imds_code),
		cmocka_unit_test(test_long_token),
		cmocka_unit_test(test_too_long),
		cmocka_unit_test(test_parse_file),
		cmocka_unit_test(test_no_secrets_in_errors),
		cmocka_unit_test(test_print),
		cmocka_unit_test(test_print_error),
		cmocka_unit_test(test_set_keys_keeps_on_failure),
		cmocka_unit_test(test_references),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
