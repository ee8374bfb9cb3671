#include "core/session_pool.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>

/* One lowering for a burst of throttled answers: they were all sent at the old rate. */
#define SLOW_DOWN_INTERVAL_MS 1000
#define SLOW_DOWN_FACTOR 0.7
/* A fleet of thousands may share one quota: a call in ten seconds is a fair share then. */
#define RATE_MIN 0.1
/* So long without throttling, and the configured rate is tried again. */
#define QUIET_MS (60 * 1000)
/* Fewer calls a second than this say nothing about what STS would take. */
#define EVIDENCE_CALLS 4

/* After an outage: from here, and about doubling in three seconds. */
#define SLOW_START_RATE 1.0
#define SLOW_START_STEP 0.2
#define PROBE_PAUSE_MIN_MS 1000
#define PROBE_PAUSE_MAX_MS (15 * 1000)
#define PROBE_PAUSE_WAITED_MS 2000
/* Over so long those with credentials that age are renewed after an outage, one after the other. */
#define AFTER_OUTAGE_MS (2 * 60 * 1000)
/* So long after an outage renewals are early: outages come in swarms. */
#define TROUBLED_MS (15 * 60 * 1000)

/* Credentials with less than this left are as urgent as none. */
#define URGENT_LEFT_MS (5 * 60 * 1000)

static int compare_requests(const void *a, const void *b)
{
	return strcmp(((const struct session *)a)->request, ((const struct session *)b)->request);
}

static int compare_roles(const void *a, const void *b)
{
	return strcmp(((const struct session_role *)a)->arn, ((const struct session_role *)b)->arn);
}

void session_pool_init(struct session_pool *pool, unsigned max_in_flight, unsigned max_per_second,
		       int64_t now_ms)
{
	*pool = (struct session_pool){
		.max_in_flight = max_in_flight,
		.rate = max_per_second,
		.max_rate = max_per_second,
		.tokens = SESSION_POOL_BURST_S * (double)max_per_second,
		.tokens_ms = now_ms,
		.slowed_ms = INT64_MIN,
		.troubled_ms = INT64_MIN,
	};
	TAILQ_INIT(&pool->sessions);
}

static void release_role(struct session_pool *pool, struct session_role *role)
{
	if (!role || --role->refs > 0)
		return;
	tdelete(role, &pool->roles, compare_roles);
	free(role->arn);
	free(role);
}

static int acquire_role(struct session_pool *pool, const char *arn, struct session_role **ret)
{
	struct session_role key = {.arn = (char *)arn};
	struct session_role *const *found = tfind(&key, &pool->roles, compare_roles);

	if (found) {
		(*found)->refs++;
		*ret = *found;
		return 0;
	}
	struct session_role *role = calloc(1, sizeof(*role));
	if (role)
		role->arn = strdup(arn);
	if (!role || !role->arn || !tsearch(role, &pool->roles, compare_roles)) {
		if (role)
			free(role->arn);
		free(role);
		return -1;
	}
	role->refs = 1;
	*ret = role;
	return 0;
}

static void forget(struct session_pool *pool, struct session *s)
{
	tdelete(s, &pool->by_request, compare_requests);
	TAILQ_REMOVE(&pool->sessions, s, link);
	pool->n_sessions--;
	release_role(pool, s->role);
	session_free(s);
}

void session_pool_deinit(struct session_pool *pool)
{
	struct session *s;

	while ((s = TAILQ_FIRST(&pool->sessions)))
		forget(pool, s);
}

struct session *session_pool_find(const struct session_pool *pool, const char *request)
{
	struct session key = {.request = (char *)request};
	struct session *const *found = tfind(&key, &pool->by_request, compare_requests);

	return found ? *found : NULL;
}

struct session *session_pool_acquire(struct session_pool *pool, const char *request,
				     const char *role_arn, int64_t now_ms)
{
	struct session *s = session_pool_find(pool, request);

	if (s) {
		s->refs++;
		return s;
	}
	s = session_new(request, role_arn, now_ms);
	if (!s)
		return NULL;
	if (acquire_role(pool, role_arn, &s->role) < 0 ||
	    !tsearch(s, &pool->by_request, compare_requests)) {
		release_role(pool, s->role);
		return session_free(s);
	}
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

static bool is_outage(const struct session_pool *pool)
{
	return pool->failures >= SESSION_POOL_OUTAGE;
}

static bool is_slowed(const struct session_pool *pool)
{
	return pool->rate < pool->max_rate;
}

static void refill(struct session_pool *pool, int64_t now_ms)
{
	if (is_slowed(pool) && now_ms - pool->slowed_ms >= QUIET_MS) {
		pool->rate = pool->max_rate;
		pool->slow_start = 0;
	}
	if (now_ms > pool->tokens_ms)
		pool->tokens += pool->rate * (double)(now_ms - pool->tokens_ms) / 1000;
	pool->tokens_ms = now_ms;
	/* While STS says "slower", no more is saved up than what a late timer may lose. */
	double most = is_slowed(pool) ? 1 + pool->rate / 4 : SESSION_POOL_BURST_S * pool->max_rate;
	if (pool->tokens > most)
		pool->tokens = most;
}

void session_pool_configure(struct session_pool *pool, unsigned max_in_flight,
			    unsigned max_per_second, int64_t now_ms)
{
	refill(pool, now_ms);
	pool->max_in_flight = max_in_flight;
	if (!is_slowed(pool) || pool->rate > max_per_second)
		pool->rate = max_per_second;
	pool->max_rate = max_per_second;
}

/* How urgent: 0 goes first. */
static int urgency(const struct session *s, int64_t now_ms)
{
	bool valid = session_valid(s, now_ms);

	if (s->waiters > 0 || s->wanted || (!valid && s->asked))
		return 0;
	return valid && s->credentials->expires_ms - now_ms >= URGENT_LEFT_MS ? 2 : 1;
}

static bool goes_first(const struct session *a, const struct session *b, int64_t now_ms)
{
	int ua = urgency(a, now_ms), ub = urgency(b, now_ms);

	if (ua != ub)
		return ua < ub;
	if (a->role->turn != b->role->turn)
		return a->role->turn < b->role->turn;
	return a->next_ms < b->next_ms;
}

/* The session to go next, or NULL with when the next one will be due (INT64_MAX: never). */
static struct session *find_next(struct session_pool *pool, int64_t now_ms, int64_t *ret_due_ms)
{
	struct session *s, *best = NULL;

	*ret_due_ms = INT64_MAX;
	TAILQ_FOREACH (s, &pool->sessions, link) {
		if (s->refs == 0)
			continue;
		if (!session_due(s, now_ms)) {
			if (s->next_ms < *ret_due_ms)
				*ret_due_ms = s->next_ms;
		} else if (!best || goes_first(s, best, now_ms)) {
			best = s;
		}
	}
	return best;
}

/* How long until `s` may go, were it the next; 0: now. -1: when a call has come back. */
static int64_t hold_ms(struct session_pool *pool, const struct session *s, int64_t now_ms)
{
	if (is_outage(pool)) {
		int64_t pause = pool->probe_pause_ms;
		if (pool->in_flight > 0)
			return -1;
		if ((s->waiters > 0 || s->wanted) && pause > PROBE_PAUSE_WAITED_MS)
			pause = PROBE_PAUSE_WAITED_MS;
		return pool->failed_ms + pause > now_ms ? pool->failed_ms + pause - now_ms : 0;
	}
	refill(pool, now_ms);
	return pool->tokens < 1 ? (int64_t)((1 - pool->tokens) * 1000 / pool->rate) + 1 : 0;
}

static void count(struct session_pool *pool, unsigned started, unsigned answered, int64_t now_ms)
{
	if (now_ms - pool->second.began_ms >= 1000) {
		/* A second without a call in between says nothing about the one before. */
		pool->second_before = now_ms - pool->second.began_ms < 2000
					      ? pool->second
					      : (struct session_pool_second){0};
		pool->second = (struct session_pool_second){.began_ms = now_ms};
	}
	pool->second.started += started;
	pool->second.answered += answered;
}

struct session *session_pool_next(struct session_pool *pool, int64_t now_ms, int64_t *ret_wait_ms)
{
	int64_t due_ms;

	*ret_wait_ms = -1;
	if (pool->in_flight >= pool->max_in_flight)
		return NULL;
	struct session *best = find_next(pool, now_ms, &due_ms);
	if (!best) {
		if (due_ms < INT64_MAX)
			*ret_wait_ms = due_ms - now_ms;
		return NULL;
	}
	int64_t hold = hold_ms(pool, best, now_ms);
	if (hold != 0) {
		*ret_wait_ms = hold;
		return NULL;
	}
	if (!is_outage(pool))
		pool->tokens -= 1;
	pool->in_flight++;
	best->role->turn = ++pool->turn;
	count(pool, 1, 0, now_ms);
	session_started(best);
	return best;
}

/* What STS throttles at full speed may be a hundred hosts that start at once: begin with what it
 * has taken in this second, be that one call, and feel the way up from there. */
static double first_rate(const struct session_pool *pool)
{
	double taken = pool->second.answered > 1 ? pool->second.answered : 1;
	double most = pool->rate * SLOW_DOWN_FACTOR;

	return taken < most ? taken : most;
}

/* Throttled though slowed already. */
static double next_rate(const struct session_pool *pool)
{
	double rate = pool->rate * SLOW_DOWN_FACTOR;
	const struct session_pool_second *before = &pool->second_before;

	if (before->started >= EVIDENCE_CALLS && rate > before->answered)
		rate = before->answered > rate / 4 ? before->answered : rate / 4;
	return rate < RATE_MIN ? RATE_MIN : rate;
}

static void on_throttled(struct session_pool *pool, int64_t now_ms)
{
	double interval = 1500 / pool->rate;

	if (interval < SLOW_DOWN_INTERVAL_MS)
		interval = SLOW_DOWN_INTERVAL_MS;
	if (pool->slowed_ms != INT64_MIN && (double)(now_ms - pool->slowed_ms) < interval)
		return;
	refill(pool, now_ms);
	bool first = !is_slowed(pool);
	pool->rate = first ? first_rate(pool) : next_rate(pool);
	pool->slow_start = first ? pool->max_rate / 2 : 0;
	pool->slowed_ms = now_ms;
	if (pool->tokens > 0)
		pool->tokens = 0;
}

static void on_answered_well(struct session_pool *pool, int64_t now_ms)
{
	if (!is_slowed(pool))
		return;
	refill(pool, now_ms);
	/* A call a second more for each second of calls answered well; but at a low rate, by a
	 * fifth a call: there, many hosts share a quota, and a single call proves little. */
	double step = 1 / pool->rate < pool->rate / 5 ? 1 / pool->rate : pool->rate / 5;
	if (pool->rate < pool->slow_start)
		step = SLOW_START_STEP;
	pool->rate += step;
	if (pool->rate >= pool->max_rate) {
		pool->rate = pool->max_rate;
		pool->slow_start = 0;
	}
}

/* STS has answered, be it in anger: it is there. */
static void on_alive(struct session_pool *pool, int64_t now_ms)
{
	struct session *s;
	int64_t i = 0;

	if (is_outage(pool)) {
		refill(pool, now_ms);
		pool->troubled_ms = now_ms;
		if (pool->rate > SLOW_START_RATE) {
			pool->slow_start = pool->rate;
			pool->rate = SLOW_START_RATE;
			pool->slowed_ms = now_ms;
		}
		pool->tokens = 1;
		TAILQ_FOREACH (s, &pool->sessions, link)
			session_hasten(s, now_ms,
				       AFTER_OUTAGE_MS * i++ / (int64_t)pool->n_sessions);
	}
	pool->failures = 0;
	pool->probe_pause_ms = 0;
}

static void on_failed(struct session_pool *pool, int64_t now_ms, uint32_t random)
{
	int64_t pause = PROBE_PAUSE_MIN_MS;

	pool->failures++;
	pool->failed_ms = now_ms;
	if (!is_outage(pool))
		return;
	pool->troubled_ms = now_ms;
	for (unsigned i = SESSION_POOL_OUTAGE; i < pool->failures && pause < PROBE_PAUSE_MAX_MS;
	     i++)
		pause *= 2;
	if (pause > PROBE_PAUSE_MAX_MS)
		pause = PROBE_PAUSE_MAX_MS;
	/* Half of it fixed, half at random: the hosts of a fleet must not probe in step. */
	pool->probe_pause_ms = pause / 2 + (int64_t)((uint64_t)random * (uint64_t)pause / 2 >> 32);
}

static void judge(struct session_pool *pool, enum sts_class class, int64_t now_ms, uint32_t random)
{
	pool->calls[class]++;
	switch (class) {
	case STS_OK:
	case STS_DENIED: /* refused, but taken */
		count(pool, 0, 1, now_ms);
		on_alive(pool, now_ms);
		on_answered_well(pool, now_ms);
		break;
	case STS_THROTTLED:
		count(pool, 0, 0, now_ms);
		on_alive(pool, now_ms);
		on_throttled(pool, now_ms);
		break;
	case STS_RETRY:
	case STS_BASE_EXPIRED:
	case STS_SKEW:
		on_failed(pool, now_ms, random);
		break;
	}
}

struct session *session_pool_finished(struct session_pool *pool, struct session *s,
				      const struct sts_result *result, int64_t now_ms,
				      int64_t wall_s, uint32_t random)
{
	bool troubled = pool->troubled_ms != INT64_MIN && now_ms - pool->troubled_ms < TROUBLED_MS;

	pool->in_flight--;
	judge(pool, result->class, now_ms, random);
	session_finished(s, result, troubled, now_ms, wall_s, random);
	if (s->refs == 0) {
		forget(pool, s);
		return NULL;
	}
	return s;
}

void session_pool_retry(struct session_pool *pool, int64_t now_ms)
{
	struct session *s;

	pool->probe_pause_ms = 0;
	TAILQ_FOREACH (s, &pool->sessions, link)
		if (!s->in_flight && !session_valid(s, now_ms) && s->next_ms > now_ms)
			s->next_ms = now_ms;
}

struct session_pool_view session_pool_view(struct session_pool *pool, int64_t now_ms)
{
	struct session_pool_view view = {.in_flight = pool->in_flight, .outage = is_outage(pool)};
	struct session *s;

	refill(pool, now_ms);
	view.rate = pool->rate;
	view.throttled = is_slowed(pool);
	TAILQ_FOREACH (s, &pool->sessions, link) {
		if (s->refs == 0 || !session_due(s, now_ms))
			continue;
		view.queue++;
		if (s->waiters > 0)
			view.waiting++;
	}
	return view;
}
