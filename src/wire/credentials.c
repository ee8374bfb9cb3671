#include "wire/credentials.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "util/clock.h"
#include "util/wiping.h"
#include "wire/json_text.h"

/* Real documents have 1 to 2 KiB; tokens may grow, but not to this. */
#define DOCUMENT_MAX (256 * 1024)

struct credentials *credentials_new(void)
{
	struct credentials *c = calloc(1, sizeof(*c));
	if (c)
		c->refs = 1;
	return c;
}

struct credentials *credentials_ref(struct credentials *c)
{
	if (c)
		c->refs++;
	return c;
}

struct credentials *credentials_unref(struct credentials *c)
{
	if (!c || --c->refs > 0)
		return NULL;
	secret_free(c->access_key_id);
	secret_free(c->secret_access_key);
	secret_free(c->session_token);
	wiping_free(c);
	return NULL;
}

static bool is_key_text(const char *s)
{
	if (!*s)
		return false;
	for (; *s; s++)
		if (*s <= ' ' || *s >= 0x7f) /* char may be signed: non-ASCII is below ' ' then */
			return false;
	return true;
}

int credentials_set_keys(struct credentials *c, const char *id, const char *secret,
			 const char *token)
{
	if (!is_key_text(id) || !is_key_text(secret) || (token && !is_key_text(token)))
		return -EBADMSG;

	_cleanup_secret_ char *new_id = strdup(id);
	_cleanup_secret_ char *new_secret = strdup(secret);
	_cleanup_secret_ char *new_token = token ? strdup(token) : NULL;
	if (!new_id || !new_secret || (token && !new_token))
		return -ENOMEM;
	secret_free(c->access_key_id);
	secret_free(c->secret_access_key);
	secret_free(c->session_token);
	c->access_key_id = TAKE(new_id);
	c->secret_access_key = TAKE(new_secret);
	c->session_token = TAKE(new_token);
	return 0;
}

/* A member's text, or NULL if it is absent or no string. */
static const char *member(const json_t *document, const char *name)
{
	return json_string_value(json_object_get(document, name));
}

static int read_document(const json_t *document, struct credentials *c, struct diag *diag)
{
	const char *code = member(document, "Code");
	const char *message = member(document, "Message");
	const char *id = member(document, "AccessKeyId");
	const char *secret = member(document, "SecretAccessKey");
	const char *token = member(document, "Token");
	const char *expiration = member(document, "Expiration");
	const char *updated = member(document, "LastUpdated");

	if (code && strcmp(code, "Success") != 0)
		return diag_fail(EACCES, diag, "Code", "%.96s: %.300s", code,
				 message ? message : "no message");
	if (!id || !secret || !token || !expiration)
		return diag_fail(EBADMSG, diag,
				 !id	   ? "AccessKeyId"
				 : !secret ? "SecretAccessKey"
				 : !token  ? "Token"
					   : "Expiration",
				 "the credentials document lacks one of AccessKeyId, "
				 "SecretAccessKey, Token and Expiration");
	if (clock_parse_iso8601(expiration, &c->expiration_s) < 0)
		return diag_fail(EBADMSG, diag, "Expiration",
				 "the credentials document's Expiration is no time");
	if (updated && clock_parse_iso8601(updated, &c->last_updated_s) < 0)
		c->last_updated_s = 0; /* some imitations leave it empty; nothing depends on it */
	int r = credentials_set_keys(c, id, secret, token);
	if (r == -EBADMSG)
		return diag_fail(EBADMSG, diag, NULL,
				 "the credentials document holds a key with impossible bytes");
	return r < 0 ? diag_fail(-r, diag, NULL, "out of memory") : 0;
}

int credentials_parse_imds(const char *text, size_t len, struct credentials **ret,
			   struct diag *diag)
{
	_cleanup_credentials_ struct credentials *c = credentials_new();
	json_malloc_t old_malloc;
	json_free_t old_free;
	json_error_t error;

	if (!c)
		return diag_fail(ENOMEM, diag, NULL, "out of memory");
	if (len > DOCUMENT_MAX)
		return diag_fail(EBADMSG, diag, NULL, "the credentials document is too long");

	/* Only for this document: other JSON here holds no secrets, and is read more often. */
	json_get_alloc_funcs(&old_malloc, &old_free);
	json_set_alloc_funcs(malloc, wiping_free);
	json_t *document = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);
	int r;
	if (!json_is_object(document)) /* the error's text may quote a key: not shown */
		r = diag_fail(EBADMSG, diag, NULL,
			      "the credentials document is no JSON object (line %d)", error.line);
	else
		r = read_document(document, c, diag);
	json_decref(document);
	json_set_alloc_funcs(old_malloc, old_free);
	if (r < 0)
		return r;
	*ret = TAKE(c);
	return 0;
}

/* How one dialect lays out its members. */
struct layout {
	const char *open, *before, *colon, *after, *close;
};
static const struct layout imds = {"{\n", "  ", " : ", ",\n", "\n}"};
static const struct layout compact = {"{", "", ":", ",", "}"};

struct pair {
	const char *name, *value;
};

static void put_object(struct buf *out, const struct layout *layout, const struct pair *pairs,
		       size_t n)
{
	buf_puts(out, layout->open);
	for (size_t i = 0; i < n; i++) {
		buf_printf(out, "%s%s\"%s\"%s", i > 0 ? layout->after : "", layout->before,
			   pairs[i].name, layout->colon);
		json_text_quote(pairs[i].value ? pairs[i].value : "", out);
	}
	buf_puts(out, layout->close);
}

void credentials_print_imds(const struct credentials *c, const char *account_id, struct buf *out)
{
	char updated[CLOCK_ISO8601_SIZE], expiration[CLOCK_ISO8601_SIZE];

	clock_format_iso8601(c->last_updated_s, updated);
	clock_format_iso8601(c->expiration_s, expiration);
	const struct pair pairs[] = {
		{"Code", "Success"},
		{"LastUpdated", updated},
		{"Type", "AWS-HMAC"},
		{"AccessKeyId", c->access_key_id},
		{"SecretAccessKey", c->secret_access_key},
		{"Token", c->session_token},
		{"Expiration", expiration},
		{"AccountId", account_id},
	};
	put_object(out, &imds, pairs, account_id ? 8 : 7);
}

void credentials_print_imds_error(const char *code, const char *message, int64_t now_s,
				  struct buf *out)
{
	char now[CLOCK_ISO8601_SIZE];

	clock_format_iso8601(now_s, now);
	const struct pair pairs[] = {
		{"Code", code},
		{"Message", message},
		{"LastUpdated", now},
	};
	put_object(out, &imds, pairs, sizeof(pairs) / sizeof(pairs[0]));
}

void credentials_print_ecs(const struct credentials *c, const char *role_arn, struct buf *out)
{
	char expiration[CLOCK_ISO8601_SIZE];

	clock_format_iso8601(c->expiration_s, expiration);
	const struct pair pairs[] = {
		{"RoleArn", role_arn},
		{"AccessKeyId", c->access_key_id},
		{"SecretAccessKey", c->secret_access_key},
		{"Token", c->session_token},
		{"Expiration", expiration},
	};
	put_object(out, &compact, pairs, sizeof(pairs) / sizeof(pairs[0]));
}

void credentials_print_eks(const struct credentials *c, const char *account_id, struct buf *out)
{
	char expiration[CLOCK_ISO8601_SIZE];

	clock_format_iso8601(c->expiration_s, expiration);
	const struct pair pairs[] = {
		{"AccessKeyId", c->access_key_id}, {"SecretAccessKey", c->secret_access_key},
		{"Token", c->session_token},	   {"AccountId", account_id},
		{"Expiration", expiration},
	};
	put_object(out, &compact, pairs, sizeof(pairs) / sizeof(pairs[0]));
}
