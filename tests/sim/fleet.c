#include "fleet.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/session_pool.h"

#define WALL_BEGAN_S 1800000000LL
#define CALL_TIMEOUT_MS (15 * SECOND)
#define SDK_LEFT_MS (15 * MINUTE)
#define CLIENT_RETRY_MS (5 * SECOND)
#define START_GRACE_MS (10 * SECOND)
#define WAIT_MS (10 * SECOND) /* a registration's default wait_s */

enum kind { WAKE, DONE, START, ASK, GIVE_UP };

struct event {
	int64_t at_ms;
	uint64_t serial; /* equal times keep their order */
	enum kind kind;
	unsigned host;
	unsigned container; /* START, ASK, GIVE_UP */
	unsigned generation;
	struct session *session; /* DONE */
	enum sts_class class;
};

struct container {
	struct session *session;
	int64_t started_ms;
	unsigned generation;
	bool idle, sdk, hurt, waiting;
};

struct host {
	struct session_pool pool;
	struct container *containers;
	int64_t wake_ms; /* the earliest wake-up planned; INT64_MAX: none */
};

struct fleet {
	const struct fleet_config *config;
	struct fleet_result *result;
	struct host *hosts;
	struct event *heap;
	size_t n_heap, cap_heap;
	uint64_t serial, random;
	int64_t now_ms;
	double tokens;
	int64_t tokens_ms;
	size_t n_pending; /* sessions that never had credentials */
	bool failed;
};

static uint32_t draw(struct fleet *f)
{
	f->random ^= f->random << 13;
	f->random ^= f->random >> 7;
	f->random ^= f->random << 17;
	return (uint32_t)(f->random >> 32);
}

static int64_t draw_below(struct fleet *f, int64_t n)
{
	return (int64_t)((uint64_t)draw(f) * (uint64_t)n >> 32);
}

static bool before(const struct event *a, const struct event *b)
{
	return a->at_ms != b->at_ms ? a->at_ms < b->at_ms : a->serial < b->serial;
}

static void push(struct fleet *f, struct event event)
{
	event.serial = f->serial++;
	if (f->n_heap == f->cap_heap) {
		size_t cap = f->cap_heap ? 2 * f->cap_heap : 1024;
		struct event *grown = realloc(f->heap, cap * sizeof(*grown));
		if (!grown) {
			f->failed = true;
			return;
		}
		f->heap = grown;
		f->cap_heap = cap;
	}
	size_t i = f->n_heap++;
	while (i > 0 && before(&event, &f->heap[(i - 1) / 2])) {
		f->heap[i] = f->heap[(i - 1) / 2];
		i = (i - 1) / 2;
	}
	f->heap[i] = event;
}

static struct event pop(struct fleet *f)
{
	struct event first = f->heap[0], last = f->heap[--f->n_heap];
	size_t i = 0;

	for (;;) {
		size_t child = 2 * i + 1;
		if (child >= f->n_heap)
			break;
		if (child + 1 < f->n_heap && before(&f->heap[child + 1], &f->heap[child]))
			child++;
		if (!before(&f->heap[child], &last))
			break;
		f->heap[i] = f->heap[child];
		i = child;
	}
	if (f->n_heap > 0)
		f->heap[i] = last;
	return first;
}

static const struct fleet_outage *outage_at(const struct fleet *f, int64_t at_ms)
{
	for (unsigned i = 0; i < f->config->n_outages; i++)
		if (at_ms >= f->config->outages[i].from_ms && at_ms < f->config->outages[i].to_ms)
			return &f->config->outages[i];
	return NULL;
}

static bool within_quota(struct fleet *f)
{
	const struct fleet_config *c = f->config;

	if (c->quota_per_second <= 0)
		return true;
	f->tokens += c->quota_per_second * (double)(f->now_ms - f->tokens_ms) / 1000;
	f->tokens_ms = f->now_ms;
	if (f->tokens > c->quota_per_second * c->burst_s)
		f->tokens = c->quota_per_second * c->burst_s;
	if (f->tokens < 1)
		return false;
	f->tokens -= 1;
	return true;
}

static int64_t latency(struct fleet *f)
{
	int64_t ms = f->config->latency_ms;

	return f->config->hosts == 1 ? ms : ms / 2 + draw_below(f, ms + 1);
}

/* A call reaches STS: what will come of it, and when? */
static void call(struct fleet *f, unsigned host, struct session *s)
{
	const struct fleet_outage *outage = outage_at(f, f->now_ms);
	struct event done = {.kind = DONE, .host = host, .session = s, .class = STS_OK};
	size_t second = (size_t)(f->now_ms / SECOND);

	f->result->calls++;
	if (second < f->result->n_seconds)
		f->result->per_second[second]++;
	done.at_ms = f->now_ms + latency(f);
	if (outage) {
		done.class = STS_RETRY;
		f->result->failed++;
		if (outage->kind == OUTAGE_REFUSED)
			done.at_ms = f->now_ms + 1;
		else if (outage->kind == OUTAGE_HANGS)
			done.at_ms = f->now_ms + CALL_TIMEOUT_MS;
	} else if (!within_quota(f)) {
		done.class = STS_THROTTLED;
		f->result->throttled++;
	} else {
		f->result->accepted++;
	}
	push(f, done);
}

/* The issuer's loop: start what may start, and plan the next look. */
static void work(struct fleet *f, unsigned index)
{
	struct host *host = &f->hosts[index];
	struct session *s;
	int64_t wait_ms;

	while ((s = session_pool_next(&host->pool, f->now_ms, &wait_ms)))
		call(f, index, s);
	host->wake_ms = wait_ms < 0 ? INT64_MAX : f->now_ms + wait_ms;
	if (wait_ms >= 0)
		push(f, (struct event){.kind = WAKE, .host = index, .at_ms = f->now_ms + wait_ms});
}

static void finish_waits(struct fleet *f, struct host *host, const struct session *s)
{
	if (s->waiters == 0)
		return;
	for (unsigned i = 0; i < f->config->containers; i++) {
		struct container *c = &host->containers[i];
		if (c->session == s && c->waiting) {
			c->waiting = false;
			session_unwait(c->session);
		}
	}
}

static void done(struct fleet *f, const struct event *event)
{
	struct host *host = &f->hosts[event->host];
	struct session *s = event->session;
	struct sts_result result = {.class = event->class};
	bool first = !s->credentials, lapsed = !session_valid(s, f->now_ms);

	if (event->class == STS_OK) {
		result.credentials = credentials_new();
		if (!result.credentials ||
		    credentials_set_keys(result.credentials, "ASIA", "secret", "token") < 0) {
			f->failed = true;
			return;
		}
		result.credentials->expires_ms = f->now_ms + f->config->life_s * SECOND;
		result.credentials->last_updated_s = WALL_BEGAN_S + f->now_ms / SECOND;
		result.credentials->expiration_s =
			result.credentials->last_updated_s + f->config->life_s;
	} else {
		snprintf(result.code, sizeof(result.code), "Simulated");
	}
	s = session_pool_finished(&host->pool, s, &result, f->now_ms,
				  WALL_BEGAN_S + f->now_ms / SECOND, draw(f));
	sts_result_deinit(&result);
	if (s && event->class == STS_OK) {
		if (first && --f->n_pending == 0 && f->result->ready_ms < 0)
			f->result->ready_ms = f->now_ms;
		if (lapsed)
			f->result->healed_ms = f->now_ms;
		finish_waits(f, host, s);
	}
	work(f, event->host);
}

static void start(struct fleet *f, const struct event *event)
{
	struct host *host = &f->hosts[event->host];
	struct container *c = &host->containers[event->container];
	unsigned shared = f->config->shared;
	char request[64], role[96];

	c->generation = event->generation;
	if (c->session) {
		if (c->waiting)
			session_unwait(c->session);
		session_pool_release(&host->pool, c->session);
	}
	snprintf(request, sizeof(request), "%u/%u", event->container,
		 shared ? 0 : event->generation);
	if (shared)
		snprintf(request, sizeof(request), "%u", event->container % shared);
	snprintf(role, sizeof(role), "arn:aws:iam::123456789012:role/r%u", event->container % 10);
	size_t before_n = host->pool.n_sessions;
	c->session = session_pool_acquire(&host->pool, request, role, f->now_ms);
	if (!c->session) {
		f->failed = true;
		return;
	}
	if (host->pool.n_sessions > before_n)
		f->n_pending++;
	c->started_ms = f->now_ms;
	c->waiting = !session_valid(c->session, f->now_ms);
	if (c->waiting)
		session_wait(c->session, f->now_ms);
	push(f, (struct event){.kind = GIVE_UP,
			       .host = event->host,
			       .container = event->container,
			       .generation = event->generation,
			       .at_ms = f->now_ms + WAIT_MS});
	if (!c->idle)
		push(f, (struct event){.kind = ASK,
				       .host = event->host,
				       .container = event->container,
				       .generation = event->generation,
				       .at_ms = f->now_ms + 2 * SECOND});
	work(f, event->host);
}

static void ask(struct fleet *f, const struct event *event)
{
	struct container *c = &f->hosts[event->host].containers[event->container];
	struct fleet_result *r = f->result;
	struct event next = *event;

	if (c->generation != event->generation)
		return;
	c->session->asked = true;
	r->asks++;
	if (!session_valid(c->session, f->now_ms)) {
		next.at_ms = f->now_ms + CLIENT_RETRY_MS;
		if (f->now_ms - c->started_ms < START_GRACE_MS) {
			r->starting++;
		} else {
			r->errors++;
			r->hurt += !c->hurt;
			c->hurt = true;
			r->errors_per_minute[f->now_ms / MINUTE]++;
			if (c->session->credentials &&
			    c->session->credentials->expires_ms > f->now_ms)
				r->errors_unexpired++;
		}
		push(f, next);
		return;
	}
	int64_t left_ms = c->session->credentials->expires_ms - f->now_ms;
	if (left_ms < SDK_LEFT_MS) {
		r->late++;
		r->late_per_minute[f->now_ms / MINUTE]++;
	}
	if (left_ms < r->least_left_ms)
		r->least_left_ms = left_ms;
	if (c->sdk && left_ms > SDK_LEFT_MS + CLIENT_RETRY_MS)
		next.at_ms = f->now_ms + left_ms - SDK_LEFT_MS;
	else
		next.at_ms = f->now_ms + f->config->ask_every_ms / 2 +
			     draw_below(f, f->config->ask_every_ms);
	push(f, next);
}

static void give_up(struct fleet *f, const struct event *event)
{
	struct container *c = &f->hosts[event->host].containers[event->container];

	if (c->generation != event->generation || !c->waiting)
		return;
	c->waiting = false;
	session_unwait(c->session);
}

static void handle(struct fleet *f, const struct event *event)
{
	switch (event->kind) {
	case WAKE:
		/* Plans made before a later look are void. */
		if (f->hosts[event->host].wake_ms == event->at_ms)
			work(f, event->host);
		break;
	case DONE:
		done(f, event);
		break;
	case START:
		start(f, event);
		break;
	case ASK:
		ask(f, event);
		break;
	case GIVE_UP:
		give_up(f, event);
		break;
	}
}

static void plan(struct fleet *f)
{
	const struct fleet_config *config = f->config;

	for (unsigned h = 0; h < config->hosts; h++) {
		for (unsigned i = 0; i < config->containers; i++) {
			struct container *c = &f->hosts[h].containers[i];
			unsigned dice = (unsigned)draw_below(f, 100);
			c->idle = dice < config->percent_idle;
			c->sdk = !c->idle && dice < config->percent_idle + config->percent_sdk;
			struct event event = {.kind = START, .host = h, .container = i};
			event.at_ms = config->start_spread_ms
					      ? draw_below(f, config->start_spread_ms)
					      : 0;
			push(f, event);
			if (config->deploy_ms && h % 10 == 0) {
				event.at_ms = config->deploy_ms;
				event.generation = 1;
				push(f, event);
			}
		}
	}
}

static int setup(struct fleet *f, const struct fleet_config *config, struct fleet_result *ret)
{
	*ret = (struct fleet_result){.least_left_ms = INT64_MAX, .ready_ms = -1, .healed_ms = -1};
	ret->n_seconds = (size_t)(config->duration_ms / SECOND) + 1;
	ret->per_second = calloc(ret->n_seconds, sizeof(uint32_t));
	ret->errors_per_minute = calloc(ret->n_seconds / 60 + 2, sizeof(uint32_t));
	f->hosts = calloc(config->hosts, sizeof(*f->hosts));
	ret->late_per_minute = calloc(ret->n_seconds / 60 + 2, sizeof(uint32_t));
	if (!ret->per_second || !ret->errors_per_minute || !ret->late_per_minute || !f->hosts)
		return -1;
	for (unsigned h = 0; h < config->hosts; h++) {
		session_pool_init(&f->hosts[h].pool, config->max_in_flight, config->max_per_second,
				  0);
		f->hosts[h].wake_ms = INT64_MAX;
		f->hosts[h].containers = calloc(config->containers, sizeof(struct container));
		if (!f->hosts[h].containers)
			return -1;
	}
	return 0;
}

int fleet_run(const struct fleet_config *config, struct fleet_result *ret)
{
	struct fleet f = {
		.config = config,
		.result = ret,
		.random = config->seed ? config->seed : 88172645463325252ULL,
		.tokens = config->quota_per_second * config->burst_s,
	};
	int r = setup(&f, config, ret);

	if (r == 0)
		plan(&f);
	while (r == 0 && !f.failed && f.n_heap > 0) {
		struct event event = pop(&f);
		if (event.at_ms > config->duration_ms)
			break;
		f.now_ms = event.at_ms;
		handle(&f, &event);
	}
	for (unsigned h = 0; f.hosts && h < config->hosts; h++) {
		session_pool_deinit(&f.hosts[h].pool);
		free(f.hosts[h].containers);
	}
	free(f.hosts);
	free(f.heap);
	return r < 0 || f.failed ? -1 : 0;
}

void fleet_result_deinit(struct fleet_result *result)
{
	free(result->per_second);
	free(result->errors_per_minute);
	free(result->late_per_minute);
	*result = (struct fleet_result){0};
}

static int compare_counts(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

uint32_t fleet_percentile(const struct fleet_result *result, size_t from_s, size_t to_s, double p)
{
	size_t n = to_s - from_s;
	uint32_t *sorted = malloc(n * sizeof(*sorted));
	uint32_t value = 0;

	if (sorted && n > 0) {
		memcpy(sorted, result->per_second + from_s, n * sizeof(*sorted));
		qsort(sorted, n, sizeof(*sorted), compare_counts);
		value = sorted[(size_t)(p / 100 * (double)(n - 1))];
	}
	free(sorted);
	return value;
}

double fleet_mean(const struct fleet_result *result, size_t from_s, size_t to_s)
{
	double sum = 0;

	for (size_t i = from_s; i < to_s; i++)
		sum += result->per_second[i];
	return sum / (double)(to_s - from_s);
}
