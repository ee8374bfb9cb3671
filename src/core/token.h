/* token: IMDSv2 session tokens, stateless: a token is a signed note, so that ten thousand of them
 * cost nothing and they outlive a restart of the daemon.
 *
 *	42 bytes, base64url without padding, 56 characters as EC2's are:
 *	version 1 | expiry 5 (seconds of CLOCK_BOOTTIME) | nonce 12 | MAC 24
 *
 * The MAC is HMAC-SHA256, cut to 192 bits, under a key derived from the daemon's key, the
 * container's id and the nonce of its registration: another container's token, or one from before
 * the container was registered anew, does not verify.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define TOKEN_LEN 56
#define TOKEN_TTL_MIN_S 1
#define TOKEN_TTL_MAX_S 21600
#define TOKEN_KEY_SIZE 32
#define TOKEN_INSTANCE_SIZE 16

/* token_container_key(master, id, instance, ret): the key for one registration of a container. */
int token_container_key(const uint8_t master[static TOKEN_KEY_SIZE], const char *id,
			const uint8_t instance[static TOKEN_INSTANCE_SIZE],
			uint8_t ret[static TOKEN_KEY_SIZE]);

#define TOKEN_ECS_ID_LEN 36	/* as a UUID is written */
#define TOKEN_EKS_BEARER_LEN 43 /* base64url of 32 bytes */

/* token_container_secrets(key, ret_ecs_id, ret_eks_token): what a container shows to get its
 * credentials the way of ECS (a part of the path) and EKS (a bearer token). Derived from its key:
 * they last as long as the registration, restarts of the daemon included. 0 or -EIO. */
int token_container_secrets(const uint8_t key[static TOKEN_KEY_SIZE],
			    char ret_ecs_id[static TOKEN_ECS_ID_LEN + 1],
			    char ret_eks_token[static TOKEN_EKS_BEARER_LEN + 1]);

/* token_issue(key, now_ms, ttl_s, ret): write TOKEN_LEN characters and a NUL. 0 or -EIO when there
 * is no randomness or no digest. */
int token_issue(const uint8_t key[static TOKEN_KEY_SIZE], int64_t now_ms, int64_t ttl_s,
		char ret[static TOKEN_LEN + 1]);

/* token_verify(key, text, len, now_ms, ret_expires_ms): 0 and when it expires; -EACCES if it is no
 * token of this key; -ETIME if it has expired. Takes the same time whatever is wrong. */
int token_verify(const uint8_t key[static TOKEN_KEY_SIZE], const char *text, size_t len,
		 int64_t now_ms, int64_t *ret_expires_ms);
