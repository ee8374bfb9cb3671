/* The shared credentials file. Not read with libinih, which is of another mind about indented lines
 * and "#", and keeps copies of what it reads.
 */
#include "wire/credentials.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

struct reader {
	const char *name;
	const char *profile;
	int line;
	bool in_profile, profile_seen;
	char *id, *secret, *token;
};

/* Cut blanks off both ends, in place. */
static char *trim(char *s)
{
	while (isspace((unsigned char)*s))
		s++;
	size_t len = strlen(s);
	while (len > 0 && isspace((unsigned char)s[len - 1]))
		s[--len] = '\0';
	return s;
}

static int read_section(struct reader *reader, char *line, struct diag *diag)
{
	char *end = strchr(line, ']');
	if (!end)
		return diag_fail(EBADMSG, diag, NULL, "%s:%d: a [profile] line lacks its ]",
				 reader->name, reader->line);
	*end = '\0';
	char *section = trim(line + 1);
	if (strncmp(section, "profile", 7) == 0 && isspace((unsigned char)section[7]))
		section = trim(section + 7);
	reader->in_profile = strcmp(section, reader->profile) == 0;
	reader->profile_seen = reader->profile_seen || reader->in_profile;
	return 0;
}

static int read_key(struct reader *reader, char *line, struct diag *diag)
{
	char *equals = strchr(line, '=');
	if (!equals) /* not quoted: it may be half a secret */
		return diag_fail(EBADMSG, diag, NULL, "%s:%d: is neither [profile] nor key = value",
				 reader->name, reader->line);
	*equals = '\0';
	const char *key = trim(line);
	const char *value = trim(equals + 1);
	char **to = strcasecmp(key, "aws_access_key_id") == 0	    ? &reader->id
		    : strcasecmp(key, "aws_secret_access_key") == 0 ? &reader->secret
		    : strcasecmp(key, "aws_session_token") == 0	    ? &reader->token
								    : NULL;
	if (!to)
		return 0; /* region, output and others that are not ours */
	if (*to)
		return diag_fail(EBADMSG, diag, key, "%s:%d: %s is given twice in [%s]",
				 reader->name, reader->line, key, reader->profile);
	*to = strdup(value);
	return *to ? 0 : diag_fail(ENOMEM, diag, NULL, "out of memory");
}

static int read_lines(struct reader *reader, char *text, struct diag *diag)
{
	int r = 0;

	for (char *next = text; r == 0 && next;) {
		char *line = strsep(&next, "\n");
		/* An indented line belongs to a nested setting ("s3 =") of the line before. */
		bool nested = *line == ' ' || *line == '\t';
		reader->line++;
		line = trim(line);
		if (*line == '\0' || *line == '#' || *line == ';')
			continue;
		if (*line == '[')
			r = read_section(reader, line, diag);
		else if (reader->in_profile && !nested)
			r = read_key(reader, line, diag);
	}
	return r;
}

static int make_credentials(const struct reader *reader, struct credentials **ret,
			    struct diag *diag)
{
	_cleanup_credentials_ struct credentials *c = credentials_new();

	if (!c)
		return diag_fail(ENOMEM, diag, NULL, "out of memory");
	if (!reader->profile_seen)
		return diag_fail(ENOENT, diag, NULL, "%s: has no profile [%s]", reader->name,
				 reader->profile);
	if (!reader->id || !reader->secret)
		return diag_fail(EBADMSG, diag,
				 reader->id ? "aws_secret_access_key" : "aws_access_key_id",
				 "%s: [%s] lacks %s", reader->name, reader->profile,
				 reader->id ? "aws_secret_access_key" : "aws_access_key_id");
	/* "aws_session_token =" with nothing behind it means none. */
	const char *token = reader->token && *reader->token ? reader->token : NULL;
	int r = credentials_set_keys(c, reader->id, reader->secret, token);
	if (r == -EBADMSG)
		return diag_fail(EBADMSG, diag, NULL,
				 "%s: a key of [%s] is empty or holds impossible bytes",
				 reader->name, reader->profile);
	if (r < 0)
		return diag_fail(-r, diag, NULL, "out of memory");
	c->expires_ms = INT64_MAX;
	*ret = TAKE(c);
	return 0;
}

int credentials_parse_file(const char *text, const char *name, const char *profile,
			   struct credentials **ret, struct diag *diag)
{
	struct reader reader = {.name = name, .profile = profile};

	/* Some editors put a byte order mark in front. */
	if (strncmp(text, "\xef\xbb\xbf", 3) == 0)
		text += 3;
	char *copy = strdup(text);
	if (!copy)
		return diag_fail(ENOMEM, diag, NULL, "out of memory");
	size_t len = strlen(copy);
	int r = read_lines(&reader, copy, diag);
	if (r == 0)
		r = make_credentials(&reader, ret, diag);
	explicit_bzero(copy, len); /* it is full of NULs by now: secret_free() would stop early */
	secret_free(copy);
	secret_free(reader.id);
	secret_free(reader.secret);
	secret_free(reader.token);
	return r;
}
