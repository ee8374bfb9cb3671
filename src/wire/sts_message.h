/* sts_message: AssumeRole, from parameters to a form-encoded body and from XML to a result.
 *
 * Source: https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html, its limits and
 * errors.
 */
#pragma once

#include <stdint.h>

#include "util/buf.h"
#include "util/diag.h"
#include "wire/credentials.h"

struct sts_tag {
	char *key;
	char *value;
};

/* Everything that distinguishes one assumed-role session from another. */
struct sts_assume_role {
	char *role_arn;
	char *session_name;
	char *external_id; /* NULL: none; so below */
	char *source_identity;
	char *session_policy; /* inline policy, JSON text */
	int64_t duration_s;
	char **policy_arns;
	size_t n_policy_arns;
	struct sts_tag *tags;
	size_t n_tags;
	char **transitive_tag_keys;
	size_t n_transitive_tag_keys;
};

#define STS_POLICY_ARNS_MAX 10
#define STS_TAGS_MAX 50

/* sts_assume_role_check(r, diag): AWS's limits, so that a bad registration fails at once, with the
 * field (as the control API names it: role_arn, session_name, external_id, duration_s,
 * session_tags, transitive_tag_keys, source_identity, session_policy, policy_arns) in `diag`.
 * Role ARNs of on-premises STS (arn:aws:iam:::role/x) are as good as AWS's. 0 or -EINVAL. */
int sts_assume_role_check(const struct sts_assume_role *r, struct diag *diag);

void sts_assume_role_deinit(struct sts_assume_role *r);

/* sts_session_name(text, out): make any text a valid RoleSessionName: what STS does not allow
 * becomes '_'; longer than 64, it is cut to 53 and gets '-' and 10 hexadecimal digits of its
 * SHA-256, so that different long names stay different; shorter than 2, it is padded with '_'. */
#define STS_SESSION_NAME_SIZE 65
void sts_session_name(const char *text, char out[static STS_SESSION_NAME_SIZE]);

/* sts_print_assume_role(r, out): the request body. Equal sessions have equal bodies, so the body is
 * also the key under which a session is shared. */
void sts_print_assume_role(const struct sts_assume_role *r, struct buf *out);

/* What an error from STS means for us; contract section 5. */
enum sts_class {
	STS_OK,
	STS_DENIED,	  /* fatal until someone changes policy or registration */
	STS_RETRY,	  /* throttled, 5xx, transport: again, later */
	STS_THROTTLED,	  /* as STS_RETRY, and slow down */
	STS_BASE_EXPIRED, /* STS does not take the host's keys: fetch them again, then retry */
	STS_SKEW,	  /* correct the clock from the Date header, then retry once */
};

struct sts_result {
	enum sts_class class;
	struct credentials *credentials; /* STS_OK: one reference, the caller's; expires_ms unset */
	char assumed_role_id[128];	 /* STS_OK: AROA…:session */
	char assumed_role_arn[2048 + 64];
	char request_id[80];
	char code[96];	   /* STS's own error code, or one of ours ("ConnectFailed", "BadReply") */
	char message[512]; /* cut, control bytes masked */
};

/* sts_parse_reply(status, text, len, ret): parse STS's answer to AssumeRole; never fails: what is
 * no answer of STS becomes STS_RETRY with code "BadReply" and a message saying why ("HttpError" for
 * 429 and 5xx without an error document). The caller passes at most a few hundred KiB; no DTD, no
 * entity expansion. An error's class is decided by the tables in sts_reply.c. */
void sts_parse_reply(int status, const char *text, size_t len, struct sts_result *ret);

/* sts_result_fail(ret, class, code, fmt, …): make `ret` (overwritten, not freed) a failure. The
 * message is cut between characters, and its control bytes become '?'. */
void sts_result_fail(struct sts_result *ret, enum sts_class class, const char *code,
		     const char *fmt, ...) __attribute__((format(printf, 4, 5)));

void sts_result_deinit(struct sts_result *result);
