/* session_pool: all sessions of the host, and which of them calls STS next. No I/O.
 *
 * Sessions are shared by equal requests: containers that ask for exactly the same session cause one
 * call. A token bucket bounds calls a second, a limit bounds calls in flight; a session that a
 * registration waits for goes first, then the one due longest. Throttling by STS halves the rate,
 * success raises it again (additive increase, multiplicative decrease).
 */
#pragma once

#include "core/session.h"

TAILQ_HEAD(session_list, session);

struct session_pool {
	struct session_list sessions;
	size_t n_sessions;
	unsigned in_flight, max_in_flight;
	double rate, max_rate; /* calls a second: now, and as configured */
	double tokens;	       /* calls that may start at once */
	int64_t tokens_ms;     /* when `tokens` was right */
	int64_t slowed_ms;     /* when the rate was last halved */
};

void session_pool_init(struct session_pool *pool, unsigned max_in_flight, unsigned max_per_second,
		       int64_t now_ms);
void session_pool_deinit(struct session_pool *pool);

/* session_pool_acquire(pool, request, role_arn, now_ms): the session with this request, made if
 * there is none; one reference. NULL: out of memory. */
struct session *session_pool_acquire(struct session_pool *pool, const char *request,
				     const char *role_arn, int64_t now_ms);

/* session_pool_release(pool, s): give a reference back. The last one frees the session (wiping its
 * credentials), unless a call is out: session_pool_finished() frees it then. */
void session_pool_release(struct session_pool *pool, struct session *s);

/* session_pool_next(pool, now_ms, ret_wait_ms): a session to call STS for now (marked as started),
 * or NULL with the time until there may be one (-1: not before something else happens). */
struct session *session_pool_next(struct session_pool *pool, int64_t now_ms, int64_t *ret_wait_ms);

/* session_pool_finished(pool, s, result, …): a call came back. Returns the session, or NULL if it
 * was let go meanwhile and is now freed. */
struct session *session_pool_finished(struct session_pool *pool, struct session *s,
				      const struct sts_result *result, int64_t now_ms,
				      int64_t wall_s, uint32_t random);
