/* The reply side of sts_message.h: XML in, classified result out. */
#include "wire/sts_message.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <expat.h>

#include "util/clock.h"
#include "util/wiping.h"

#define DEPTH_MAX 16
#define NAME_MAX_KEPT 40 /* longer element names are none of ours */

/* What STS's error codes mean, read from the top; the first row that fits decides. A row without a
 * message part fits any message. What no row knows is judged by its status. */
static const struct rule {
	const char *code;
	const char *message_part;
	enum sts_class class;
} rules[] = {
	/* The clock. "Signature expired: … is now earlier than …", or "not yet current". */
	{"SignatureDoesNotMatch", "Signature expired", STS_SKEW},
	{"SignatureDoesNotMatch", "not yet current", STS_SKEW},
	{"RequestTimeTooSkewed", NULL, STS_SKEW},
	{"RequestExpired", NULL, STS_SKEW},
	{"RequestInTheFuture", NULL, STS_SKEW},

	/* The host's own keys: they may just have been rotated, so new ones are worth one try;
	 * sts_client turns those below ExpiredToken into STS_DENIED when the new ones fare no
	 * better. */
	{"ExpiredToken", NULL, STS_BASE_EXPIRED},
	{"ExpiredTokenException", NULL, STS_BASE_EXPIRED},
	{"InvalidClientTokenId", NULL, STS_BASE_EXPIRED},
	{"UnrecognizedClientException", NULL, STS_BASE_EXPIRED},
	{"InvalidAccessKeyId", NULL, STS_BASE_EXPIRED}, /* Ceph, MinIO */
	{"SignatureDoesNotMatch", NULL, STS_BASE_EXPIRED},

	/* Too many calls: STS says so with status 400. */
	{"Throttling", NULL, STS_THROTTLED},
	{"ThrottlingException", NULL, STS_THROTTLED},
	{"ThrottledException", NULL, STS_THROTTLED},
	{"RequestThrottled", NULL, STS_THROTTLED},
	{"RequestThrottledException", NULL, STS_THROTTLED},
	{"RequestLimitExceeded", NULL, STS_THROTTLED},
	{"TooManyRequestsException", NULL, STS_THROTTLED},
	{"BandwidthLimitExceeded", NULL, STS_THROTTLED},
	{"LimitExceededException", NULL, STS_THROTTLED},
	{"SlowDown", NULL, STS_THROTTLED},
	{"PriorRequestNotComplete", NULL, STS_THROTTLED},

	/* Trouble that passes, whatever the status. */
	{"IDPCommunicationError", NULL, STS_RETRY},
	{"RequestTimeout", NULL, STS_RETRY},
	{"RequestTimeoutException", NULL, STS_RETRY},
	{"InternalFailure", NULL, STS_RETRY},
	{"InternalError", NULL, STS_RETRY},
	{"ServiceUnavailable", NULL, STS_RETRY},

	/* Final: AccessDenied, MalformedPolicyDocument, PackedPolicyTooLarge,
	 * RegionDisabledException, ValidationError, InvalidParameterValue, … and any other code
	 * with a status of 4xx: a request that STS understood and refused is refused again. */
};
#define N_RULES (sizeof(rules) / sizeof(rules[0]))

static enum sts_class classify(int status, const char *code, const char *message)
{
	for (size_t i = 0; i < N_RULES; i++) {
		if (strcmp(rules[i].code, code) != 0)
			continue;
		if (!rules[i].message_part || strstr(message, rules[i].message_part))
			/* A server in trouble says odd things: 5xx only means "later". */
			return status >= 500 && rules[i].class != STS_THROTTLED ? STS_RETRY
										: rules[i].class;
	}
	if (status == 429)
		return STS_THROTTLED;
	return status >= 500 ? STS_RETRY : STS_DENIED;
}

/* The elements that are read, each by its own and its parent's name: namespace prefixes, order, and
 * wrappers around (moto's Errors) do not matter. */
enum field {
	ACCESS_KEY_ID,
	SECRET_ACCESS_KEY,
	SESSION_TOKEN,
	EXPIRATION,
	ROLE_ID,
	ROLE_ARN,
	CODE,
	MESSAGE,
	REQUEST_ID,
	N_FIELDS,
	NO_FIELD = N_FIELDS
};
static const struct {
	const char *parent; /* NULL: any */
	const char *name;
	enum field field;
} elements[] = {
	{"Credentials", "AccessKeyId", ACCESS_KEY_ID},
	{"Credentials", "SecretAccessKey", SECRET_ACCESS_KEY},
	{"Credentials", "SessionToken", SESSION_TOKEN},
	{"Credentials", "Expiration", EXPIRATION},
	{"AssumedRoleUser", "AssumedRoleId", ROLE_ID},
	{"AssumedRoleUser", "AssumeRoleId", ROLE_ID}, /* older Ceph */
	{"AssumedRoleUser", "Arn", ROLE_ARN},
	{"Error", "Code", CODE},
	{"Error", "Message", MESSAGE},
	{NULL, "RequestId", REQUEST_ID},
	{NULL, "RequestID", REQUEST_ID},
};

struct reader {
	XML_Parser parser;
	char path[DEPTH_MAX][NAME_MAX_KEPT + 1]; /* local names of the open elements */
	size_t depth;
	char root[NAME_MAX_KEPT + 1];
	enum field open; /* its text is being collected */
	bool seen[N_FIELDS];
	struct buf fields[N_FIELDS];
	const char *refused; /* why the parser was stopped */
};

static void refuse(struct reader *reader, const char *why)
{
	if (!reader->refused)
		reader->refused = why;
	XML_StopParser(reader->parser, XML_FALSE);
}

static enum field find_field(const struct reader *reader)
{
	const char *name = reader->path[reader->depth - 1];
	const char *parent = reader->depth > 1 ? reader->path[reader->depth - 2] : "";

	for (size_t i = 0; i < sizeof(elements) / sizeof(elements[0]); i++)
		if (strcmp(elements[i].name, name) == 0 &&
		    (!elements[i].parent || strcmp(elements[i].parent, parent) == 0))
			return elements[i].field;
	return NO_FIELD;
}

static void XMLCALL on_start(void *data, const XML_Char *name, const XML_Char **attributes)
{
	struct reader *reader = data;
	const char *colon = strrchr(name, ':');

	(void)attributes;
	if (reader->refused)
		return;
	if (reader->depth == DEPTH_MAX) {
		refuse(reader, "elements nested too deep");
		return;
	}
	if (reader->open != NO_FIELD) {
		refuse(reader, "elements where text should be");
		return;
	}
	snprintf(reader->path[reader->depth], sizeof(reader->path[0]), "%s",
		 colon ? colon + 1 : name);
	if (reader->depth++ == 0)
		memcpy(reader->root, reader->path[0], sizeof(reader->root));
	reader->open = find_field(reader);
	if (reader->open == NO_FIELD)
		return;
	if (!reader->seen[reader->open])
		reader->seen[reader->open] = true;
	else if (reader->open <= EXPIRATION)
		refuse(reader, "a part of the credentials is there twice");
	else
		reader->open = NO_FIELD; /* of several errors or request ids, the first */
}

static void XMLCALL on_end(void *data, const XML_Char *name)
{
	struct reader *reader = data;

	(void)name;
	if (reader->depth > 0)
		reader->depth--;
	reader->open = NO_FIELD;
}

static void XMLCALL on_text(void *data, const XML_Char *text, int len)
{
	struct reader *reader = data;

	if (reader->open != NO_FIELD && !reader->refused)
		buf_put(&reader->fields[reader->open], text, (size_t)len);
}

/* Without a DTD there are no entities to declare, and so none to expand. */
static void XMLCALL on_doctype(void *data, const XML_Char *name, const XML_Char *system_id,
			       const XML_Char *public_id, int has_internal_subset)
{
	(void)name, (void)system_id, (void)public_id, (void)has_internal_subset;
	refuse(data, "a document type declaration");
}

/* The collected text of a field without blanks around it; "" if there was none. */
static const char *field_text(struct reader *reader, enum field field)
{
	struct buf *b = &reader->fields[field];

	if (!b->data)
		return "";
	while (b->len > 0 && strchr(" \t\r\n", b->data[b->len - 1]))
		b->data[--b->len] = '\0';
	return b->data + strspn(b->data, " \t\r\n");
}

static int parse_xml(struct reader *reader, const char *text, size_t len)
{
	static const XML_Memory_Handling_Suite suite = {malloc, wiping_realloc, wiping_free};

	if (len > INT_MAX) {
		reader->refused = "too long";
		return -EBADMSG;
	}
	reader->parser = XML_ParserCreate_MM(NULL, &suite, NULL);
	if (!reader->parser)
		return -ENOMEM;
	XML_SetUserData(reader->parser, reader);
	XML_SetElementHandler(reader->parser, on_start, on_end);
	XML_SetCharacterDataHandler(reader->parser, on_text);
	XML_SetStartDoctypeDeclHandler(reader->parser, on_doctype);
	enum XML_Status status = XML_Parse(reader->parser, text, (int)len, XML_TRUE);
	enum XML_Error error = XML_GetErrorCode(reader->parser);
	XML_ParserFree(reader->parser);
	if (error == XML_ERROR_NO_MEMORY)
		return -ENOMEM;
	if (status != XML_STATUS_OK && !reader->refused)
		reader->refused = XML_ErrorString(error);
	for (size_t i = 0; i < N_FIELDS; i++)
		if (!buf_ok(&reader->fields[i]))
			return -ENOMEM;
	return reader->refused ? -EBADMSG : 0;
}

static void set_text(char *to, size_t size, const char *text)
{
	snprintf(to, size, "%s", text);
	/* Not in the middle of a character. */
	size_t len = strlen(to);
	if (len == size - 1 && text[len]) {
		while (len > 0 && ((unsigned char)text[len] & 0xc0) == 0x80)
			len--;
		to[len] = '\0';
	}
	for (char *p = to; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = '?';
}

void sts_result_fail(struct sts_result *ret, enum sts_class class, const char *code,
		     const char *fmt, ...)
{
	char message[2 * sizeof(ret->message)] = "";
	va_list ap;

	*ret = (struct sts_result){.class = class};
	set_text(ret->code, sizeof(ret->code), code);
	va_start(ap, fmt);
	vsnprintf(message, sizeof(message), fmt, ap);
	va_end(ap);
	set_text(ret->message, sizeof(ret->message), message);
}

static void read_success(struct reader *reader, struct sts_result *ret)
{
	_cleanup_credentials_ struct credentials *c = credentials_new();

	if (!c) {
		sts_result_fail(ret, STS_RETRY, "OutOfMemory", "out of memory");
		return;
	}
	for (enum field f = ACCESS_KEY_ID; f <= EXPIRATION; f++)
		if (*field_text(reader, f) == '\0') {
			sts_result_fail(ret, STS_RETRY, "BadReply",
					"STS's reply lacks a part of the credentials");
			return;
		}
	if (clock_parse_iso8601(field_text(reader, EXPIRATION), &c->expiration_s) < 0) {
		sts_result_fail(ret, STS_RETRY, "BadReply",
				"STS's reply: Expiration \"%.40s\" is "
				"no time",
				field_text(reader, EXPIRATION));
		return;
	}
	int r = credentials_set_keys(c, field_text(reader, ACCESS_KEY_ID),
				     field_text(reader, SECRET_ACCESS_KEY),
				     field_text(reader, SESSION_TOKEN));
	if (r < 0) {
		sts_result_fail(ret, STS_RETRY, r == -ENOMEM ? "OutOfMemory" : "BadReply",
				r == -ENOMEM ? "out of memory"
					     : "STS's reply holds a key with impossible bytes");
		return;
	}
	*ret = (struct sts_result){.class = STS_OK, .credentials = TAKE(c)};
	set_text(ret->assumed_role_id, sizeof(ret->assumed_role_id), field_text(reader, ROLE_ID));
	set_text(ret->assumed_role_arn, sizeof(ret->assumed_role_arn),
		 field_text(reader, ROLE_ARN));
}

/* There is no STS error in it: a proxy's page, a load balancer's, another service. */
static void read_foreign(const struct reader *reader, int status, struct sts_result *ret)
{
	if (status == 429 || status >= 500)
		sts_result_fail(ret, status == 429 ? STS_THROTTLED : STS_RETRY, "HttpError",
				"the STS endpoint answered HTTP %d without saying why", status);
	else if (status >= 300 && status < 400)
		sts_result_fail(ret, STS_RETRY, "BadReply",
				"the STS endpoint answered with a redirect (HTTP %d): not followed",
				status);
	else
		sts_result_fail(ret, STS_RETRY, "BadReply",
				"what answered HTTP %d is not STS, or its reply is damaged: %s",
				status,
				reader->refused ? reader->refused : "other elements than STS's");
}

void sts_parse_reply(int status, const char *text, size_t len, struct sts_result *ret)
{
	struct reader reader = {.open = NO_FIELD};
	bool success = status >= 200 && status < 300;

	int r = parse_xml(&reader, text, len);
	const char *code = field_text(&reader, CODE);
	if (r == -ENOMEM)
		sts_result_fail(ret, STS_RETRY, "OutOfMemory", "out of memory");
	else if (r == 0 && success && strcmp(reader.root, "AssumeRoleResponse") == 0)
		read_success(&reader, ret);
	else if (r == 0 && status >= 400 && *code)
		sts_result_fail(ret, classify(status, code, field_text(&reader, MESSAGE)), code,
				"%s", field_text(&reader, MESSAGE));
	else
		read_foreign(&reader, status, ret);
	if (r == 0)
		set_text(ret->request_id, sizeof(ret->request_id), field_text(&reader, REQUEST_ID));
	for (size_t i = 0; i < N_FIELDS; i++)
		buf_deinit(&reader.fields[i]);
}

void sts_result_deinit(struct sts_result *result)
{
	result->credentials = credentials_unref(result->credentials);
}
