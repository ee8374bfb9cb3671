/* credentials: one set of AWS credentials, and the JSON documents that carry them.
 *
 * Sources: IMDS iam/security-credentials/ROLE (EC2 user guide, "Retrieve security credentials from
 * instance metadata"), ECS container credentials, EKS Pod Identity.
 */
#pragma once

#include <stdint.h>

#include "util/buf.h"
#include "util/diag.h"

struct credentials {
	unsigned refs;
	char *access_key_id;
	char *secret_access_key;
	char *session_token;	/* NULL for a long-lived access key; any length */
	int64_t expiration_s;	/* seconds since the epoch, as the issuer said; 0: never expires */
	int64_t last_updated_s; /* seconds since the epoch when they were issued, by the issuer's
				   clock */
	int64_t expires_ms;	/* clock_now_ms() at which they expire here; INT64_MAX: never */
};

/* credentials_new(): all empty, one reference; NULL when out of memory. */
struct credentials *credentials_new(void);
struct credentials *credentials_ref(struct credentials *c);

/* credentials_unref(c): the last reference wipes and frees. NULL is fine. Returns NULL. */
struct credentials *credentials_unref(struct credentials *c);
static inline void credentials_unrefp(struct credentials **c)
{
	credentials_unref(*c);
}
#define _cleanup_credentials_ _cleanup_(credentials_unrefp)

/* credentials_set_keys(c, id, secret, token): copies of the three; `token` may be NULL. -EBADMSG
 * when one is empty or holds what no key has (they become HTTP headers: blanks, control bytes,
 * non-ASCII). On failure `c` is as it was. */
int credentials_set_keys(struct credentials *c, const char *id, const char *secret,
			 const char *token);

/* credentials_parse_imds(text, len, ret, diag): parse the document that EC2's IMDS serves for a
 * role. A Code other than "Success" is -EACCES with Code and Message in `diag`; anything malformed
 * is -EBADMSG. An absent Code is taken for "Success", an absent LastUpdated for 0, as botocore
 * does. Sets everything but expires_ms. */
int credentials_parse_imds(const char *text, size_t len, struct credentials **ret,
			   struct diag *diag);

/* credentials_parse_file(text, name, profile, ret, diag): the shared credentials file's INI
 * (aws_access_key_id, aws_secret_access_key, aws_session_token), one profile of it. "[profile X]"
 * is accepted for "[X]". Never expires. -ENOENT when the profile is not there, -EBADMSG with file
 * and line when the file or the profile is wrong. */
int credentials_parse_file(const char *text, const char *name, const char *profile,
			   struct credentials **ret, struct diag *diag);

/* The document of iam/security-credentials/ROLE, byte for byte in EC2's layout (`"K" : "V"`, two
 * spaces of indent, LF between lines, none at the end). `account_id` non-NULL adds AccountId
 * (security-credentials-extended). */
void credentials_print_imds(const struct credentials *c, const char *account_id, struct buf *out);

/* The document IMDS serves when the role cannot be assumed: Code, Message, LastUpdated. */
void credentials_print_imds_error(const char *code, const char *message, int64_t now_s,
				  struct buf *out);

/* ECS: RoleArn, AccessKeyId, SecretAccessKey, Token, Expiration. */
void credentials_print_ecs(const struct credentials *c, const char *role_arn, struct buf *out);

/* EKS Pod Identity: AccessKeyId, SecretAccessKey, Token, AccountId, Expiration. */
void credentials_print_eks(const struct credentials *c, const char *account_id, struct buf *out);
