/* handover: the sessions' credentials, from one rolegated to the next, sealed.
 *
 * Without it a thousand containers would get 503 after each restart until STS has answered for all
 * of them. The sealed bytes lie in an anonymous memory file that netd holds (never in a file
 * system): netd cannot read them, for they are encrypted with a key derived from the token key,
 * which netd does not have. Nothing in them is believed that does not authenticate.
 *
 *	header: "rolegate handover 1" and a salt, which makes the key new each time
 *	record: length (of what follows), AES-256-GCM ciphertext, tag; the nonce is its number
 *
 * Cutting records off the end only costs calls to STS.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/session_pool.h"
#include "core/token.h"
#include "util/buf.h"

#define HANDOVER_HEADER_SIZE 40
#define HANDOVER_RECORD_MAX (256 * 1024)

struct evp_cipher_ctx_st;

/* Sealing or opening; which record comes next. */
struct handover {
	struct evp_cipher_ctx_st *cipher; /* owned */
	uint8_t key[TOKEN_KEY_SIZE];
	uint64_t number;
};

/* handover_seal(h, master, out): begin; appends the header. 0 or -errno. */
int handover_seal(struct handover *h, const uint8_t master[static TOKEN_KEY_SIZE], struct buf *out);

/* handover_put(h, s, now_ms, out): append a session's record; nothing if it has no credentials
 * that are still good. 0 or -errno. */
int handover_put(struct handover *h, const struct session *s, int64_t now_ms, struct buf *out);

/* handover_open(h, master, header): begin reading. 0 or -errno. */
int handover_open(struct handover *h, const uint8_t master[static TOKEN_KEY_SIZE],
		  const uint8_t header[static HANDOVER_HEADER_SIZE]);

/* handover_take(h, record, len, pool, now_ms): open one record (without its length) and give its
 * credentials to the session in the pool that makes the same request and has none. 1 if so, 0 if
 * there is no such session, -EBADMSG for a record that is not one: stop then. */
int handover_take(struct handover *h, const uint8_t *record, size_t len, struct session_pool *pool,
		  int64_t now_ms);

void handover_deinit(struct handover *h);

/* The content of a record, before sealing; for the fuzzer and the unit test too. */
void handover_print(const struct session *s, struct buf *out);
int handover_parse(const uint8_t *data, size_t len, struct session_pool *pool, int64_t now_ms);
