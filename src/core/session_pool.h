/* session_pool: all sessions of the host, and which of them calls STS next. No I/O.
 *
 * Sessions are shared by equal requests: containers that ask for exactly the same session cause one
 * call. Who goes first: those a registration, an operator or a workload without credentials waits
 * for; then those without (or almost without) valid credentials; then renewals. Within each, roles
 * take turns, and of one role the session that has been due longest goes.
 *
 * Four bounds, each for a trouble of its own:
 *
 *	in flight	at most max_in_flight calls at a time
 *	rate		a token bucket: max_rate calls a second, with SESSION_POOL_BURST_S seconds' worth
 *			of burst, so that a host can start all its containers at once
 *	throttling	STS says "too fast": the rate falls to what STS has been taking (to 0.7 of it
 *			at most), then rises by a call a second each second; after a minute without it the
 *			configured rate is back
 *	outage		SESSION_POOL_OUTAGE failures in a row, of whatever sessions, mean that STS (or
 *			the way there) is down: one call at a time probes it, with pauses that double
 *			from 1 s to 15 s (2 s while someone waits). The first answer ends it: those
 *			without credentials become due, and the rate rises from one call a second,
 *			doubling every three seconds or so
 */
#pragma once

#include "core/session.h"

TAILQ_HEAD(session_list, session);

#define SESSION_POOL_BURST_S 10
#define SESSION_POOL_OUTAGE 5

#define N_STS_CLASSES (STS_SKEW + 1)

/* Calls of one second, to see what STS takes. */
struct session_pool_second {
	int64_t began_ms;
	unsigned started, answered;
};

struct session_pool {
	struct session_list sessions;
	size_t n_sessions;
	void *by_request, *roles; /* tsearch(3) trees */
	uint64_t turn;
	unsigned in_flight, max_in_flight;

	double rate, max_rate; /* calls a second: now, and as configured */
	double slow_start;     /* below this the rate rises exponentially; 0: no slow start */
	double tokens;	       /* calls that may start at once */
	int64_t tokens_ms;     /* when `tokens` was right */
	int64_t slowed_ms;     /* when the rate was last lowered; INT64_MIN: never */
	struct session_pool_second second, second_before;

	unsigned failures;	/* in a row */
	int64_t failed_ms;	/* the last of them */
	int64_t probe_pause_ms; /* from it to the next probe, if this is an outage */
	int64_t troubled_ms;	/* when an outage was last seen; INT64_MIN: never */

	uint64_t calls[N_STS_CLASSES]; /* finished, by class */
};

void session_pool_init(struct session_pool *pool, unsigned max_in_flight, unsigned max_per_second,
		       int64_t now_ms);
void session_pool_deinit(struct session_pool *pool);

/* session_pool_configure(pool, …): other bounds from now on. */
void session_pool_configure(struct session_pool *pool, unsigned max_in_flight,
			    unsigned max_per_second, int64_t now_ms);

/* session_pool_acquire(pool, request, role_arn, now_ms): the session with this request, made if
 * there is none; one reference. NULL: out of memory. */
struct session *session_pool_acquire(struct session_pool *pool, const char *request,
				     const char *role_arn, int64_t now_ms);

/* session_pool_find(pool, request): the session that makes this request; NULL: none. */
struct session *session_pool_find(const struct session_pool *pool, const char *request);

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

/* session_pool_retry(pool, now_ms): whatever was in the way may have been mended: what has no valid
 * credentials need not sit its backoff out. */
void session_pool_retry(struct session_pool *pool, int64_t now_ms);

/* What an operator sees of it. */
struct session_pool_view {
	size_t queue;	/* due, and not called for yet */
	size_t waiting; /* of these, with someone waiting */
	unsigned in_flight;
	double rate; /* calls a second that may be made now */
	bool throttled, outage;
};
struct session_pool_view session_pool_view(struct session_pool *pool, int64_t now_ms);
