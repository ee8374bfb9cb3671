/* AssumeRole replies: what is accepted, and what each failure means. */
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
#define EXPIRATION_S 1795575600 /* 2026-11-25T03:00:00Z */

#define NS " xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\""
#define USER                                                                                       \
	"<AssumedRoleUser><Arn>arn:aws:sts::1:assumed-role/web/x</Arn>"                            \
	"<AssumedRoleId>AROAX:x</AssumedRoleId></AssumedRoleUser>"
#define ID "<AccessKeyId>ASIAX</AccessKeyId>"
#define SECRET "<SecretAccessKey>s/+=</SecretAccessKey>"
#define TOKEN "<SessionToken>t</SessionToken>"
#define EXPIRATION(t) "<Expiration>" t "</Expiration>"
#define WHEN EXPIRATION("2026-11-25T03:00:00Z")
#define REPLY(inner)                                                                               \
	"<AssumeRoleResponse" NS "><AssumeRoleResult>" inner "</AssumeRoleResult>"                 \
	"<ResponseMetadata><RequestId>r-1</RequestId></ResponseMetadata></AssumeRoleResponse>"
#define CREDENTIALS(inner) "<Credentials>" inner "</Credentials>"
#define ERROR(code, message)                                                                       \
	"<ErrorResponse" NS "><Error><Type>Sender</Type><Code>" code "</Code><Message>" message    \
	"</Message></Error><RequestId>r-1</RequestId></ErrorResponse>"

static void parse(int status, const char *text, struct sts_result *result)
{
	memset(result, 0xa5, sizeof(*result)); /* what was there before may not matter */
	sts_parse_reply(status, text, strlen(text), result);
}

static void test_success(void **state)
{
	static const char *const cases[] = {
		REPLY(USER CREDENTIALS(
			ID SECRET TOKEN WHEN) "<PackedPolicySize>6</PackedPolicySize>"),
		REPLY(CREDENTIALS(WHEN TOKEN SECRET ID) USER), /* any order */
		REPLY(USER CREDENTIALS(ID SECRET TOKEN EXPIRATION("2026-11-25T03:00:00.123456Z"))),
		REPLY(USER CREDENTIALS(ID SECRET TOKEN EXPIRATION("2026-11-25T04:00:00+01:00"))),
		"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!-- c -->\n" REPLY("\n  " CREDENTIALS(
			"\n" ID "\n" SECRET "\n" TOKEN "\n" WHEN "\n") "\n" USER) "\n",
		REPLY(USER CREDENTIALS("<AccessKeyId>\n ASIAX\t</AccessKeyId>" SECRET TOKEN WHEN)),
		REPLY(USER CREDENTIALS(
			ID "<SecretAccessKey>s<!-- -->/&#43;&#x3D;</SecretAccessKey>" TOKEN WHEN)),
		REPLY(USER CREDENTIALS(ID SECRET
				       "<SessionToken><![CDATA[t]]></SessionToken>" WHEN)),
		REPLY(USER CREDENTIALS(ID SECRET TOKEN WHEN "<New><Deep>x</Deep></New>")),
		"<s:AssumeRoleResponse xmlns:s=\"u\"><s:AssumeRoleResult><s:AssumedRoleUser>"
		"<s:Arn>arn:aws:sts::1:assumed-role/web/x</s:Arn><s:AssumedRoleId>AROAX:x"
		"</s:AssumedRoleId></s:AssumedRoleUser><s:Credentials><s:AccessKeyId>ASIAX"
		"</s:AccessKeyId><s:SecretAccessKey>s/+=</s:SecretAccessKey><s:SessionToken>t"
		"</s:SessionToken><s:Expiration>2026-11-25T03:00:00Z</s:Expiration>"
		"</s:Credentials></s:AssumeRoleResult><s:ResponseMetadata><s:RequestId>r-1"
		"</s:RequestId></s:ResponseMetadata></s:AssumeRoleResponse>",
	};

	(void)state;
	for (size_t i = 0; i < N(cases); i++) {
		struct sts_result result;
		parse(200, cases[i], &result);
		if (result.class != STS_OK)
			fail_msg("%s: %s %s", cases[i], result.code, result.message);
		assert_string_equal(result.credentials->access_key_id, "ASIAX");
		assert_string_equal(result.credentials->secret_access_key, "s/+=");
		assert_string_equal(result.credentials->session_token, "t");
		assert_int_equal(result.credentials->expiration_s, EXPIRATION_S);
		assert_string_equal(result.assumed_role_arn, "arn:aws:sts::1:assumed-role/web/x");
		assert_string_equal(result.assumed_role_id, "AROAX:x");
		assert_string_equal(result.request_id, "r-1");
		assert_string_equal(result.code, "");
		sts_result_deinit(&result);
		assert_null(result.credentials);
	}
}

static void test_long_token(void **state)
{
	static const size_t lengths[] = {4096, 10240, 131072};

	(void)state;
	for (size_t i = 0; i < N(lengths); i++) {
		_cleanup_free_ char *token = malloc(lengths[i] + 1);
		_cleanup_buf_ struct buf text = {0};
		struct sts_result result;

		assert_non_null(token);
		for (size_t k = 0; k < lengths[i]; k++)
			token[k] = "ABCabc012+/="[k % 12];
		token[lengths[i]] = '\0';
		buf_printf(
			&text,
			REPLY(USER CREDENTIALS(ID SECRET "<SessionToken>%s</SessionToken>" WHEN)),
			token);
		sts_parse_reply(200, text.data, text.len, &result);
		assert_int_equal(result.class, STS_OK);
		assert_string_equal(result.credentials->session_token, token);
		sts_result_deinit(&result);
	}
}

static const struct {
	int status;
	const char *text;
} bad_replies[] = {
	{200, ""},
	{200, "not XML"},
	{200, "<html><body>Please log in</body></html>"},
	{200, "<html><body><br>HTML is no XML</body></html>"},
	{200, "{\"Credentials\":{}}"},
	{200, "<AssumeRoleResponse/>"},
	{200, REPLY("")},
	{200, REPLY(USER)},
	{200, REPLY(USER CREDENTIALS(SECRET TOKEN WHEN))},
	{200, REPLY(USER CREDENTIALS(ID TOKEN WHEN))},
	{200, REPLY(USER CREDENTIALS(ID SECRET WHEN))},
	{200, REPLY(USER CREDENTIALS(ID SECRET TOKEN))},
	{200, REPLY(USER CREDENTIALS(ID SECRET TOKEN EXPIRATION("soon")))},
	{200, REPLY(USER CREDENTIALS(ID SECRET TOKEN EXPIRATION("")))},
	{200, REPLY(USER CREDENTIALS(ID ID SECRET TOKEN WHEN))},
	{200, REPLY(CREDENTIALS(ID SECRET TOKEN WHEN) CREDENTIALS(ID SECRET TOKEN WHEN))},
	{200, REPLY(USER CREDENTIALS("<AccessKeyId>A B</AccessKeyId>" SECRET TOKEN WHEN))},
	{200, REPLY(USER CREDENTIALS("<AccessKeyId>A&#10;X: y</AccessKeyId>" SECRET TOKEN WHEN))},
	{200, REPLY(USER CREDENTIALS("<AccessKeyId><b>A</b></AccessKeyId>" SECRET TOKEN WHEN))},
	{200, REPLY(USER CREDENTIALS(ID SECRET TOKEN WHEN)) "x"},
	{200, REPLY(USER CREDENTIALS(ID SECRET TOKEN WHEN)) "<a/>"},
	/* elsewhere they are not the credentials */
	{200, REPLY(USER "<Other>" ID SECRET TOKEN WHEN "</Other>")},
	{200, "<Other><Credentials>" ID SECRET TOKEN WHEN "</Credentials></Other>"},
	{200, ERROR("AccessDenied", "with the wrong status")},
	{204, REPLY("")},
	{301, ""},
	{302, "<html>moved</html>"},
	{307, REPLY(USER CREDENTIALS(ID SECRET TOKEN WHEN))},
	{400, "<html><body>400 Bad Request</body></html>"},
	{403, ""},
	{403, "<ErrorResponse><Error><Message>no code</Message></Error></ErrorResponse>"},
	{403, "<ErrorResponse><Error><Code></Code></Error></ErrorResponse>"},
	{403, "<ErrorResponse><Error><Code>AccessDenied</Code>"}, /* cut */
	{404, REPLY(USER CREDENTIALS(ID SECRET TOKEN WHEN))},
	{0, ""},
	{100, ""},
	{-1, ""},
};

static void test_bad_reply(void **state)
{
	(void)state;
	for (size_t i = 0; i < N(bad_replies); i++) {
		struct sts_result result;
		parse(bad_replies[i].status, bad_replies[i].text, &result);
		if (result.class != STS_RETRY || strcmp(result.code, "BadReply") != 0 ||
		    !result.message[0] || result.credentials)
			fail_msg("%d %s: %d %s %s", bad_replies[i].status, bad_replies[i].text,
				 result.class, result.code, result.message);
		sts_result_deinit(&result);
	}
}

/* No DTD, no entity, no depth, no encoding trick is worth more than "BadReply". */
static void test_hostile(void **state)
{
	static const char *const cases[] = {
		"<!DOCTYPE a [<!ENTITY x \"y\">]>" REPLY(USER CREDENTIALS(ID SECRET TOKEN WHEN)),
		"<!DOCTYPE a>" REPLY(USER CREDENTIALS(ID SECRET TOKEN WHEN)),
		"<!DOCTYPE a SYSTEM \"file:///etc/passwd\">" REPLY(
			USER CREDENTIALS(ID SECRET TOKEN WHEN)),
		"<!DOCTYPE l [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;\">"
		"<!ENTITY c \"&b;&b;&b;&b;&b;&b;\">]><AssumeRoleResponse>&c;</AssumeRoleResponse>",
		REPLY(USER CREDENTIALS("<AccessKeyId>&xxe;</AccessKeyId>" SECRET TOKEN WHEN)),
		"<a><a><a><a><a><a><a><a><a><a><a><a><a><a><a><a><a><a><a><a>",
		"<?xml version=\"1.0\" encoding=\"UTF-7\"?>" REPLY(
			USER CREDENTIALS(ID SECRET TOKEN WHEN)),
		"\xff\xfe<\0a\0",
		REPLY(USER CREDENTIALS("<AccessKeyId>\xff</AccessKeyId>" SECRET TOKEN WHEN)),
	};

	(void)state;
	for (size_t i = 0; i < N(cases); i++) {
		struct sts_result result;
		parse(200, cases[i], &result);
		if (result.class != STS_RETRY || strcmp(result.code, "BadReply") != 0)
			fail_msg("%s: %s", cases[i], result.code);
		sts_result_deinit(&result);
	}
}

static const struct {
	int status;
	const char *code, *message;
	enum sts_class class;
} classes[] = {
	{403, "AccessDenied", "User: x is not authorized to perform: sts:AssumeRole", STS_DENIED},
	{400, "MalformedPolicyDocument", "", STS_DENIED},
	{400, "PackedPolicyTooLarge", "", STS_DENIED},
	{403, "RegionDisabledException", "", STS_DENIED},
	{400, "ValidationError", "", STS_DENIED},
	{400, "InvalidParameterValue", "", STS_DENIED},
	{403, "MissingAuthenticationToken", "", STS_DENIED},
	{400, "SomethingNew", "", STS_DENIED},
	{404, "NoSuchKey", "", STS_DENIED},
	{403, "ExpiredToken", "The security token included in the request is expired",
	 STS_BASE_EXPIRED},
	{400, "ExpiredTokenException", "", STS_BASE_EXPIRED},
	{403, "InvalidClientTokenId", "", STS_BASE_EXPIRED},
	{403, "InvalidAccessKeyId", "", STS_BASE_EXPIRED},
	{403, "SignatureDoesNotMatch", "The request signature we calculated does not match",
	 STS_BASE_EXPIRED},
	{403, "SignatureDoesNotMatch",
	 "Signature expired: 20150830T123600Z is now earlier than 20150830T124500Z", STS_SKEW},
	{403, "SignatureDoesNotMatch",
	 "Signature not yet current: 20150830T123600Z is still later than 20150830T122000Z",
	 STS_SKEW},
	{403, "RequestTimeTooSkewed", "", STS_SKEW},
	{400, "RequestExpired", "", STS_SKEW},
	{400, "Throttling", "Rate exceeded", STS_THROTTLED},
	{400, "ThrottlingException", "", STS_THROTTLED},
	{503, "RequestLimitExceeded", "", STS_THROTTLED},
	{400, "TooManyRequestsException", "", STS_THROTTLED},
	{503, "SlowDown", "", STS_THROTTLED},
	{429, "SomethingNew", "", STS_THROTTLED},
	{400, "IDPCommunicationError", "", STS_RETRY},
	{400, "RequestTimeout", "", STS_RETRY},
	{500, "InternalFailure", "", STS_RETRY},
	{503, "ServiceUnavailable", "", STS_RETRY},
	{500, "SomethingNew", "", STS_RETRY},
	{500, "AccessDenied", "", STS_RETRY}, /* a server in trouble decides nothing */
	{503, "ExpiredToken", "", STS_RETRY},
	{599, "x", "", STS_RETRY},
};

static void test_classes(void **state)
{
	(void)state;
	for (size_t i = 0; i < N(classes); i++) {
		_cleanup_buf_ struct buf text = {0};
		struct sts_result result;
		buf_printf(&text, ERROR("%s", "%s"), classes[i].code, classes[i].message);
		parse(classes[i].status, text.data, &result);
		if (result.class != classes[i].class)
			fail_msg("%d %s: %d", classes[i].status, classes[i].code, result.class);
		assert_string_equal(result.code, classes[i].code);
		assert_string_equal(result.message, classes[i].message);
		assert_string_equal(result.request_id, "r-1");
		assert_null(result.credentials);
		sts_result_deinit(&result);
	}
}

static void test_error_forms(void **state)
{
	static const char *const cases[] = {
		ERROR("AccessDenied", "no"),
		"<ErrorResponse><Errors><Error><Code>AccessDenied</Code><Message>no</Message></"
		"Error>"
		"</Errors><RequestID>r-1</RequestID></ErrorResponse>", /* moto */
		"<Response><Errors><Error><Message>no</Message><Code> AccessDenied\n</Code></Error>"
		"</Errors><RequestID>r-1</RequestID></Response>",
		"<Error><Code>AccessDenied</Code><Message>no</Message><RequestId>r-1</RequestId>"
		"</Error>", /* Ceph */
		"<ErrorResponse><Error><Code>AccessDenied</Code><Message>no</Message></Error>"
		"<Error><Code>Throttling</Code></Error><RequestId>r-1</RequestId>"
		"<RequestId>r-2</RequestId></ErrorResponse>", /* the first counts */
	};

	(void)state;
	for (size_t i = 0; i < N(cases); i++) {
		struct sts_result result;
		parse(403, cases[i], &result);
		assert_int_equal(result.class, STS_DENIED);
		assert_string_equal(result.code, "AccessDenied");
		assert_string_equal(result.message, "no");
		assert_string_equal(result.request_id, "r-1");
	}
}

static void test_no_document(void **state)
{
	static const struct {
		int status;
		enum sts_class class;
	} cases[] = {{429, STS_THROTTLED}, {500, STS_RETRY}, {502, STS_RETRY}, {503, STS_RETRY}};

	(void)state;
	for (size_t i = 0; i < N(cases); i++) {
		struct sts_result result;
		parse(cases[i].status, "<html><body><br></body></html>", &result);
		assert_int_equal(result.class, cases[i].class);
		assert_string_equal(result.code, "HttpError");
	}
}

/* Messages end up in logs and JSON: one line, valid UTF-8, bounded. */
static void test_message_text(void **state)
{
	_cleanup_buf_ struct buf text = {0};
	struct sts_result result;

	(void)state;
	parse(403, ERROR("Access&#9;Denied", "a&#10;b&#13;c"), &result);
	assert_string_equal(result.code, "Access?Denied");
	assert_string_equal(result.message, "a?b?c");

	buf_puts(&text, "<ErrorResponse><Error><Code>X</Code><Message>x");
	for (size_t i = 0; i < 400; i++)
		buf_puts(&text, "\xe2\x82\xac");
	buf_puts(&text, "</Message></Error></ErrorResponse>");
	parse(403, text.data, &result);
	size_t len = strlen(result.message);
	assert_true(len < sizeof(result.message) && len + 3 >= sizeof(result.message) - 1);
	assert_string_equal(result.message + len - 3, "\xe2\x82\xac");
}

static void test_fail(void **state)
{
	struct sts_result result;

	(void)state;
	memset(&result, 0xa5, sizeof(result));
	sts_result_fail(&result, STS_RETRY, "ConnectFailed", "%s: %d\n", "x", 7);
	assert_int_equal(result.class, STS_RETRY);
	assert_string_equal(result.code, "ConnectFailed");
	assert_string_equal(result.message, "x: 7?");
	assert_null(result.credentials);
	sts_result_deinit(&result);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_success),	    cmocka_unit_test(test_long_token),
		cmocka_unit_test(test_bad_reply),   cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_classes),	    cmocka_unit_test(test_error_forms),
		cmocka_unit_test(test_no_document), cmocka_unit_test(test_message_text),
		cmocka_unit_test(test_fail),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
