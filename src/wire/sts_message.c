/* The request side: limits, session names, the form-encoded body. The reply is in sts_reply.c. */
#include "wire/sts_message.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <jansson.h>
#include <openssl/sha.h>

#define ROLE_ARN_MIN 20
#define ARN_MAX 2048
#define SESSION_NAME_MIN 2
#define SESSION_NAME_MAX 64
#define EXTERNAL_ID_MIN 2
#define EXTERNAL_ID_MAX 1224
#define SESSION_POLICY_MAX 2048
#define TAG_KEY_MAX 128
#define TAG_VALUE_MAX 256
#define DURATION_MIN 900
#define DURATION_MAX 43200

#define ALPHANUMERIC "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
#define NAME_CHARS ALPHANUMERIC "_+=,.@-"
#define EXTERNAL_ID_CHARS NAME_CHARS ":/"
#define TAG_CHARS ALPHANUMERIC " _.:/=+-@"

static bool all_in(const char *text, const char *chars)
{
	return text[strspn(text, chars)] == '\0';
}

static int check_text(const char *text, const char *field, size_t min, size_t max,
		      const char *chars, const char *chars_shown, struct diag *diag)
{
	size_t len = strlen(text);

	if (len < min || len > max)
		return diag_fail(EINVAL, diag, field, "must have %zu to %zu characters, not %zu",
				 min, max, len);
	if (!all_in(text, chars))
		return diag_fail(EINVAL, diag, field, "may hold letters, digits and %s only",
				 chars_shown);
	return 0;
}

/* arn:PARTITION:iam:REGION:ACCOUNT:RESOURCE. Region and account may be empty or names: on-premises
 * STS writes arn:aws:iam:::role/x, or a tenant for the account. */
static int check_arn(const char *arn, const char *field, const char *resource, struct diag *diag)
{
	size_t len = strlen(arn);

	if (len < ROLE_ARN_MIN || len > ARN_MAX)
		return diag_fail(EINVAL, diag, field, "must have %d to %d characters, not %zu",
				 ROLE_ARN_MIN, ARN_MAX, len);
	for (const char *p = arn; *p; p++)
		if (*p <= ' ' || *p >= 0x7f)
			return diag_fail(EINVAL, diag, field,
					 "holds blanks, control bytes or non-ASCII");

	const char *parts[6] = {arn};
	size_t n = 1;
	for (const char *p = arn; n < 6 && (p = strchr(p, ':')); n++)
		parts[n] = ++p;
	if (n < 6 || strncmp(arn, "arn:", 4) != 0 || *parts[1] == ':' ||
	    strncmp(parts[2], "iam:", 4) != 0 ||
	    strncmp(parts[5], resource, strlen(resource)) != 0 ||
	    parts[5][strlen(resource)] == '\0')
		return diag_fail(EINVAL, diag, field,
				 "must look like arn:aws:iam::123456789012:%sNAME", resource);
	return 0;
}

/* The role's name is a segment of the metadata path under which its credentials are asked for, and
 * not every SDK escapes it. IAM allows none of what is refused here. */
static int check_role_name(const char *arn, struct diag *diag)
{
	const char *name = strrchr(arn, '/') + 1;

	if (name[0] == '\0' || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return diag_fail(EINVAL, diag, "role_arn",
				 "must end in a role's name, not in \"/%s\"", name);
	if (strpbrk(name, "?#%\\"))
		return diag_fail(EINVAL, diag, "role_arn",
				 "has a ?, #, %% or \\ in the role's name");
	return 0;
}

/* Count the characters of UTF-8 text: AWS's limits are in those. -1 if it is not UTF-8, or holds
 * DEL or C1 controls. */
static ssize_t count_characters(const char *text, unsigned *ret_highest)
{
	ssize_t n = 0;

	*ret_highest = 0;
	for (const unsigned char *p = (const unsigned char *)text; *p; n++) {
		size_t len = *p < 0x80 ? 1 : *p < 0xe0 ? 2 : *p < 0xf0 ? 3 : 4;
		unsigned c = len == 1 ? *p : *p & (0x7fU >> len);
		if ((*p >= 0x80 && *p < 0xc2) || *p > 0xf4)
			return -1;
		for (size_t i = 1; i < len; i++) {
			if ((p[i] & 0xc0) != 0x80)
				return -1;
			c = c << 6 | (p[i] & 0x3fU);
		}
		if ((len == 3 && c < 0x800) || (len == 4 && (c < 0x10000 || c > 0x10ffff)) ||
		    (c >= 0xd800 && c <= 0xdfff) || (c >= 0x7f && c < 0xa0))
			return -1;
		if (c > *ret_highest)
			*ret_highest = c;
		p += len;
	}
	return n;
}

/* AWS allows letters, numbers and spaces of every script, and a few signs. Which characters are
 * letters is STS's to say; here only ASCII is judged exactly. */
static int check_tag_text(const char *text, const char *field, size_t min, size_t max,
			  const char *what, struct diag *diag)
{
	unsigned highest;
	ssize_t n = count_characters(text, &highest);

	if (n < 0)
		return diag_fail(EINVAL, diag, field, "a tag's %s is no clean UTF-8", what);
	if ((size_t)n < min || (size_t)n > max)
		return diag_fail(EINVAL, diag, field,
				 "a tag's %s must have %zu to %zu characters, "
				 "not %zd",
				 what, min, max, n);
	for (const char *p = text; *p; p++)
		if (!(*p & 0x80) && !strchr(TAG_CHARS, *p))
			return diag_fail(EINVAL, diag, field,
					 "a tag's %s may hold letters, digits, spaces and _.:/=+-@ "
					 "only",
					 what);
	return 0;
}

static int check_tags(const struct sts_assume_role *r, struct diag *diag)
{
	static const char field[] = "session_tags";

	if (r->n_tags > STS_TAGS_MAX)
		return diag_fail(EINVAL, diag, field, "may hold %d tags, not %zu", STS_TAGS_MAX,
				 r->n_tags);
	for (size_t i = 0; i < r->n_tags; i++) {
		const char *key = r->tags[i].key;
		int e = check_tag_text(key, field, 1, TAG_KEY_MAX, "key", diag);
		if (e == 0)
			e = check_tag_text(r->tags[i].value, field, 0, TAG_VALUE_MAX, "value",
					   diag);
		if (e < 0)
			return e;
		if (strncasecmp(key, "aws:", 4) == 0)
			return diag_fail(EINVAL, diag, field, "keys may not begin with aws:");
		for (size_t k = 0; k < i; k++)
			if (strcasecmp(key, r->tags[k].key) == 0)
				return diag_fail(EINVAL, diag, field,
						 "\"%s\" is there twice (case does not count)",
						 key);
	}
	return 0;
}

static bool has_tag(const struct sts_assume_role *r, const char *key)
{
	for (size_t i = 0; i < r->n_tags; i++)
		if (strcasecmp(key, r->tags[i].key) == 0)
			return true;
	return false;
}

static int check_transitive(const struct sts_assume_role *r, struct diag *diag)
{
	static const char field[] = "transitive_tag_keys";

	if (r->n_transitive_tag_keys > STS_TAGS_MAX)
		return diag_fail(EINVAL, diag, field, "may hold %d keys, not %zu", STS_TAGS_MAX,
				 r->n_transitive_tag_keys);
	for (size_t i = 0; i < r->n_transitive_tag_keys; i++) {
		const char *key = r->transitive_tag_keys[i];
		if (!has_tag(r, key))
			return diag_fail(EINVAL, diag, field, "\"%s\" is no key of session_tags",
					 key);
		for (size_t k = 0; k < i; k++)
			if (strcasecmp(key, r->transitive_tag_keys[k]) == 0)
				return diag_fail(EINVAL, diag, field,
						 "\"%s\" is there twice (case does not count)",
						 key);
	}
	return 0;
}

static int check_session_policy(const char *policy, struct diag *diag)
{
	static const char field[] = "session_policy";
	json_error_t error;
	unsigned highest;

	for (const char *p = policy; *p; p++)
		if ((unsigned char)*p < ' ' && !strchr("\t\n\r", *p))
			return diag_fail(EINVAL, diag, field, "holds control bytes");
	ssize_t n = count_characters(policy, &highest);
	if (n < 0 || highest > 0xff)
		return diag_fail(EINVAL, diag, field,
				 "may hold characters up to U+00FF only, as UTF-8");
	if (n > SESSION_POLICY_MAX)
		return diag_fail(EINVAL, diag, field, "must have at most %d characters, not %zd",
				 SESSION_POLICY_MAX, n);
	json_t *document = json_loads(policy, JSON_REJECT_DUPLICATES, &error);
	if (!document)
		return diag_fail(EINVAL, diag, field, "is no JSON: %s (line %d)", error.text,
				 error.line);
	bool is_object = json_is_object(document);
	json_decref(document);
	return is_object ? 0 : diag_fail(EINVAL, diag, field, "is no JSON object");
}

static int check_policy_arns(const struct sts_assume_role *r, struct diag *diag)
{
	static const char field[] = "policy_arns";

	if (r->n_policy_arns > STS_POLICY_ARNS_MAX)
		return diag_fail(EINVAL, diag, field, "may hold %d ARNs, not %zu",
				 STS_POLICY_ARNS_MAX, r->n_policy_arns);
	for (size_t i = 0; i < r->n_policy_arns; i++) {
		int e = check_arn(r->policy_arns[i], field, "policy/", diag);
		if (e < 0)
			return e;
	}
	return 0;
}

int sts_assume_role_check(const struct sts_assume_role *r, struct diag *diag)
{
	if (!r->role_arn)
		return diag_fail(EINVAL, diag, "role_arn", "is missing");
	if (!r->session_name)
		return diag_fail(EINVAL, diag, "session_name", "is missing");
	int e = check_arn(r->role_arn, "role_arn", "role/", diag);
	if (e == 0)
		e = check_role_name(r->role_arn, diag);
	if (e == 0)
		e = check_text(r->session_name, "session_name", SESSION_NAME_MIN, SESSION_NAME_MAX,
			       NAME_CHARS, "_+=,.@-", diag);
	if (e == 0 && r->external_id)
		e = check_text(r->external_id, "external_id", EXTERNAL_ID_MIN, EXTERNAL_ID_MAX,
			       EXTERNAL_ID_CHARS, "_+=,.@-:/", diag);
	if (e == 0 && r->source_identity)
		e = check_text(r->source_identity, "source_identity", SESSION_NAME_MIN,
			       SESSION_NAME_MAX, NAME_CHARS, "_+=,.@-", diag);
	if (e == 0 && (r->duration_s < DURATION_MIN || r->duration_s > DURATION_MAX))
		e = diag_fail(EINVAL, diag, "duration_s", "must be %d to %d, not %" PRId64,
			      DURATION_MIN, DURATION_MAX, r->duration_s);
	if (e == 0 && r->session_policy)
		e = check_session_policy(r->session_policy, diag);
	if (e == 0)
		e = check_policy_arns(r, diag);
	if (e == 0)
		e = check_tags(r, diag);
	if (e == 0)
		e = check_transitive(r, diag);
	return e;
}

void sts_assume_role_deinit(struct sts_assume_role *r)
{
	free(r->role_arn);
	free(r->session_name);
	secret_free(r->external_id); /* a shared secret of sorts */
	free(r->source_identity);
	free(r->session_policy);
	for (size_t i = 0; i < r->n_policy_arns; i++)
		free(r->policy_arns[i]);
	free(r->policy_arns);
	for (size_t i = 0; i < r->n_tags; i++) {
		free(r->tags[i].key);
		free(r->tags[i].value);
	}
	free(r->tags);
	for (size_t i = 0; i < r->n_transitive_tag_keys; i++)
		free(r->transitive_tag_keys[i]);
	free(r->transitive_tag_keys);
	*r = (struct sts_assume_role){0};
}

void sts_session_name(const char *text, char out[static STS_SESSION_NAME_SIZE])
{
	enum { KEPT = 53, DIGITS = 10 };
	unsigned char digest[SHA256_DIGEST_LENGTH];
	size_t len = strlen(text);

	size_t n = len <= SESSION_NAME_MAX ? len : KEPT;
	for (size_t i = 0; i < n; i++)
		out[i] = strchr(NAME_CHARS, text[i]) ? text[i] : '_';
	while (n < SESSION_NAME_MIN)
		out[n++] = '_';
	out[n] = '\0';
	if (len <= SESSION_NAME_MAX)
		return;
	SHA256((const unsigned char *)text, len, digest);
	out[n++] = '-';
	for (size_t i = 0; i < DIGITS / 2; i++, n += 2)
		snprintf(out + n, STS_SESSION_NAME_SIZE - n, "%02x", digest[i]);
}

static void put_encoded(struct buf *out, const char *text)
{
	for (; *text; text++) {
		if (strchr(ALPHANUMERIC "-_.~", *text))
			buf_put(out, text, 1);
		else
			buf_printf(out, "%%%02X", (unsigned char)*text);
	}
}

static void put_parameter(struct buf *out, const char *name, const char *value)
{
	if (!value)
		return;
	buf_printf(out, "&%s=", name);
	put_encoded(out, value);
}

static void put_member(struct buf *out, const char *list, size_t number, const char *suffix,
		       const char *value)
{
	buf_printf(out, "&%s.member.%zu%s=", list, number, suffix);
	put_encoded(out, value);
}

static int compare_strings(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int compare_tags(const void *a, const void *b)
{
	const struct sts_tag *ta = a, *tb = b;
	int r = strcmp(ta->key, tb->key);
	return r != 0 ? r : strcmp(ta->value, tb->value);
}

/* Sorted: a set in another order is the same session, and must have the same body. */
static void put_strings(struct buf *out, const char *list, const char *suffix, char *const *strings,
			size_t n)
{
	const char *sorted[STS_TAGS_MAX];

	if (n == 0)
		return;
	memcpy(sorted, strings, n * sizeof(sorted[0]));
	qsort(sorted, n, sizeof(sorted[0]), compare_strings);
	for (size_t i = 0; i < n; i++)
		put_member(out, list, i + 1, suffix, sorted[i]);
}

static void put_tags(struct buf *out, const struct sts_tag *tags, size_t n)
{
	struct sts_tag sorted[STS_TAGS_MAX];

	if (n == 0)
		return;
	memcpy(sorted, tags, n * sizeof(sorted[0]));
	qsort(sorted, n, sizeof(sorted[0]), compare_tags);
	for (size_t i = 0; i < n; i++) {
		put_member(out, "Tags", i + 1, ".Key", sorted[i].key);
		put_member(out, "Tags", i + 1, ".Value", sorted[i].value);
	}
}

void sts_print_assume_role(const struct sts_assume_role *r, struct buf *out)
{
	char duration[24];

	if (r->n_policy_arns > STS_POLICY_ARNS_MAX || r->n_tags > STS_TAGS_MAX ||
	    r->n_transitive_tag_keys > STS_TAGS_MAX) {
		out->failed = true; /* unchecked */
		return;
	}
	buf_puts(out, "Action=AssumeRole&Version=2011-06-15");
	put_parameter(out, "RoleArn", r->role_arn);
	put_parameter(out, "RoleSessionName", r->session_name);
	snprintf(duration, sizeof(duration), "%" PRId64, r->duration_s);
	put_parameter(out, "DurationSeconds", duration);
	put_parameter(out, "ExternalId", r->external_id);
	put_parameter(out, "SourceIdentity", r->source_identity);
	put_parameter(out, "Policy", r->session_policy);
	put_strings(out, "PolicyArns", ".arn", r->policy_arns, r->n_policy_arns);
	put_tags(out, r->tags, r->n_tags);
	put_strings(out, "TransitiveTagKeys", "", r->transitive_tag_keys, r->n_transitive_tag_keys);
}
