#include "wire/audit_line.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/sha.h>

#define HEAD "{\"seq\":"
#define PREV ",\"prev\":\""
#define HASH ",\"hash\":\""
#define TAIL "\"}"
#define HEX_LEN (AUDIT_HASH_SIZE - 1)

void audit_chain_init(struct audit_chain *chain)
{
	*chain = (struct audit_chain){0};
	memset(chain->hash, '0', HEX_LEN);
}

static void hash(const char *text, size_t len, char ret[AUDIT_HASH_SIZE])
{
	unsigned char digest[SHA256_DIGEST_LENGTH];

	SHA256((const unsigned char *)text, len, digest);
	for (size_t i = 0; i < sizeof(digest); i++)
		snprintf(ret + 2 * i, 3, "%02x", digest[i]);
}

void audit_line_print(struct audit_chain *chain, const char *members, struct buf *out)
{
	size_t began = out->len;

	buf_printf(out, HEAD "%" PRIu64 PREV "%s\",%s", chain->seq + 1, chain->hash, members);
	if (!buf_ok(out))
		return;
	chain->seq++;
	hash(out->data + began, out->len - began, chain->hash);
	buf_printf(out, HASH "%s" TAIL "\n", chain->hash);
}

static int take_hex(const char *at, char ret[AUDIT_HASH_SIZE])
{
	if (strspn(at, "0123456789abcdef") < HEX_LEN)
		return -EBADMSG;
	memcpy(ret, at, HEX_LEN);
	ret[HEX_LEN] = '\0';
	return 0;
}

int audit_line_read(const char *line, size_t len, struct audit_chain *ret,
		    char ret_prev[AUDIT_HASH_SIZE], struct diag *diag)
{
	static const size_t end_len = sizeof(HASH) - 1 + HEX_LEN + sizeof(TAIL) - 1;
	char right[AUDIT_HASH_SIZE], prev[AUDIT_HASH_SIZE], *after;

	if (len < sizeof(HEAD) - 1 + end_len || strncmp(line, HEAD, sizeof(HEAD) - 1) != 0)
		return diag_fail(EBADMSG, diag, NULL, "is no line of an audit, or is cut");
	ret->seq = strtoull(line + sizeof(HEAD) - 1, &after, 10);
	const char *end = line + len - end_len;
	if (ret->seq == 0 || after >= end || strncmp(after, PREV, sizeof(PREV) - 1) != 0 ||
	    take_hex(after + sizeof(PREV) - 1, prev) < 0 ||
	    strncmp(end, HASH, sizeof(HASH) - 1) != 0 ||
	    take_hex(end + sizeof(HASH) - 1, ret->hash) < 0 ||
	    strncmp(line + len - (sizeof(TAIL) - 1), TAIL, sizeof(TAIL) - 1) != 0)
		return diag_fail(EBADMSG, diag, NULL, "is no line of an audit, or is cut");
	if (ret_prev)
		memcpy(ret_prev, prev, sizeof(prev));
	hash(line, (size_t)(end - line), right);
	if (strcmp(right, ret->hash) != 0)
		return diag_fail(EBADMSG, diag, NULL,
				 "was edited: its hash is not that of its text");
	return 0;
}

int audit_chain_follow(struct audit_chain *chain, const char *line, size_t len, struct diag *diag)
{
	struct audit_chain next;
	char prev[AUDIT_HASH_SIZE];
	struct audit_chain before = *chain;

	audit_chain_init(&next);
	int r = audit_line_read(line, len, &next, prev, diag);
	if (r < 0) {
		chain->unread++;
		return r;
	}
	*chain = next;
	if (before.seq == 0)
		return 0;
	/* Each line that could not be read had a number, or was torn and written anew. */
	if (next.seq <= before.seq || next.seq > before.seq + 1 + before.unread)
		return diag_fail(EBADMSG, diag, NULL,
				 "is number %" PRIu64 " where %" PRIu64
				 " should be: lines are missing",
				 next.seq, before.seq + 1 + before.unread);
	if (next.seq == before.seq + 1 && strcmp(prev, before.hash) != 0)
		return diag_fail(EBADMSG, diag, NULL,
				 "does not follow from the line before it: lines were replaced");
	return 0;
}
