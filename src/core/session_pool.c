#include "core/session_pool.h"

#include <string.h>

/* One halving for a burst of throttled answers: they were all sent at the old rate. */
#define SLOW_DOWN_INTERVAL_MS 1000
#define RATE_MIN 1.0

void session_pool_init(struct session_pool *pool, unsigned max_in_flight, unsigned max_per_second,
		       int64_t now_ms)
{
	*pool = (struct session_pool){
		.max_in_flight = max_in_flight,
		.rate = max_per_second,
		.max_rate = max_per_second,
		.tokens = max_per_second,
		.tokens_ms = now_ms,
	};
	TAILQ_INIT(&pool->sessions);
}

static void forget(struct session_pool *pool, struct session *s)
{
	TAILQ_REMOVE(&pool->sessions, s, link);
	pool->n_sessions--;
	session_free(s);
}

void session_pool_deinit(struct session_pool *pool)
{
	struct session *s;

	while ((s = TAILQ_FIRST(&pool->sessions)))
		forget(pool, s);
}

struct session *session_pool_acquire(struct session_pool *pool, const char *request,
				     const char *role_arn, int64_t now_ms)
{
	struct session *s;

	TAILQ_FOREACH (s, &pool->sessions, link) {
		if (strcmp(s->request, request) == 0) {
			s->refs++;
			return s;
		}
	}
	s = session_new(request, role_arn, now_ms);
	if (!s)
		return NULL;
	s->refs = 1;
	TAILQ_INSERT_TAIL(&pool->sessions, s, link);
	pool->n_sessions++;
	return s;
}

void session_pool_release(struct session_pool *pool, struct session *s)
{
	if (--s->refs == 0 && !s->in_flight)
		forget(pool, s);
}

static void refill(struct session_pool *pool, int64_t now_ms)
{
	if (now_ms > pool->tokens_ms)
		pool->tokens += pool->rate * (double)(now_ms - pool->tokens_ms) / 1000;
	pool->tokens_ms = now_ms;
	if (pool->tokens > pool->rate)
		pool->tokens = pool->rate;
}

/* Does `a` go before `b`? Those someone waits for, then those due longest. */
static bool goes_first(const struct session *a, const struct session *b)
{
	if ((a->waiters > 0) != (b->waiters > 0))
		return a->waiters > 0;
	return a->next_ms < b->next_ms;
}

struct session *session_pool_next(struct session_pool *pool, int64_t now_ms, int64_t *ret_wait_ms)
{
	struct session *s, *best = NULL;
	int64_t due = INT64_MAX;

	*ret_wait_ms = -1;
	if (pool->in_flight >= pool->max_in_flight)
		return NULL;
	TAILQ_FOREACH (s, &pool->sessions, link) {
		if (s->in_flight || s->refs == 0)
			continue;
		if (s->next_ms < due)
			due = s->next_ms;
		if (s->next_ms <= now_ms && (!best || goes_first(s, best)))
			best = s;
	}
	if (!best) {
		if (due < INT64_MAX)
			*ret_wait_ms = due - now_ms;
		return NULL;
	}
	refill(pool, now_ms);
	if (pool->tokens < 1) {
		*ret_wait_ms = (int64_t)((1 - pool->tokens) * 1000 / pool->rate) + 1;
		return NULL;
	}
	pool->tokens -= 1;
	pool->in_flight++;
	session_started(best);
	return best;
}

static void adapt_rate(struct session_pool *pool, enum sts_class class, int64_t now_ms)
{
	if (class == STS_THROTTLED) {
		if (now_ms - pool->slowed_ms < SLOW_DOWN_INTERVAL_MS)
			return;
		refill(pool, now_ms);
		pool->slowed_ms = now_ms;
		pool->rate = pool->rate / 2 < RATE_MIN ? RATE_MIN : pool->rate / 2;
		if (pool->tokens > 0)
			pool->tokens = 0;
	} else if (class == STS_OK && pool->rate < pool->max_rate) {
		/* About one call a second more for each second of calls answered well. */
		refill(pool, now_ms);
		pool->rate += 1 / pool->rate;
		if (pool->rate > pool->max_rate)
			pool->rate = pool->max_rate;
	}
}

struct session *session_pool_finished(struct session_pool *pool, struct session *s,
				      const struct sts_result *result, int64_t now_ms,
				      int64_t wall_s, uint32_t random)
{
	pool->in_flight--;
	adapt_rate(pool, result->class, now_ms);
	session_finished(s, result, now_ms, wall_s, random);
	if (s->refs == 0) {
		forget(pool, s);
		return NULL;
	}
	return s;
}
