#include "net/issuer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "util/clock.h"
#include "util/fd.h"
#include "util/log.h"

/* How long a call may take. The first attempt for someone who waits is given up early: a connection
 * that hangs must not use up his patience when another would do. */
#define CALL_TIMEOUT_MS 15000
#define FIRST_CALL_TIMEOUT_MS 5000

/* Calls started in one go: what takes longer than one request of a container's comes in parts. */
#define START_BATCH 2

struct issuer_call {
	TAILQ_ENTRY(issuer_call) link;
	struct issuer *issuer;
	struct session *session;
	struct sts_call *call;
};

TAILQ_HEAD(issuer_call_list, issuer_call);

struct issuer {
	struct session_pool *pool;
	struct sts_client *sts;
	/* Not a timer of libevent's, whose clock stops while the host is suspended: credentials go
	 * on ageing. */
	int timer_fd; /* CLOCK_BOOTTIME, as clock_now_ms() */
	struct event *timer;
	int64_t held_until_ms; /* 0: not held */
	issuer_changed_cb *changed;
	void *data;
	struct issuer_call_list calls;
};

static void log_outcome(const struct session *s, const struct sts_result *result,
			const struct issuer_before *before, bool first)
{
	/* The same failure again, over a whole outage, tells nothing new. */
	bool repeated = s->failures > 1 && strcmp(before->code, s->last_code) == 0;

	if (result->class == STS_OK)
		log_write(first ? LOG_LEVEL_INFO : LOG_LEVEL_DEBUG, NULL,
			  "assumed %s: access key %s, STS request %s", s->role_arn,
			  result->credentials->access_key_id, result->request_id);
	else
		log_write(repeated ? LOG_LEVEL_DEBUG : LOG_LEVEL_WARNING, NULL,
			  "cannot assume %s: %s: %s%s%s; trying again in %lld s", s->role_arn,
			  result->code, result->message,
			  result->request_id[0] ? "; STS request " : "", result->request_id,
			  (long long)(s->next_ms - clock_now_ms() + 999) / 1000);
}

static void finished(struct issuer *i, struct session *s, const struct sts_result *result)
{
	struct issuer_before before = {.state = session_state(s, clock_now_ms())};
	bool first = !s->credentials;

	snprintf(before.code, sizeof(before.code), "%s", s->last_code);
	s = session_pool_finished(i->pool, s, result, clock_now_ms(), clock_wall_s(), arc4random());
	if (s) {
		log_outcome(s, result, &before, first);
		i->changed(s, &before, i->data);
	}
	issuer_kick(i);
}

static void on_result(const struct sts_result *result, void *data)
{
	struct issuer_call *call = data;
	struct issuer *i = call->issuer;
	struct session *s = call->session;

	TAILQ_REMOVE(&i->calls, call, link);
	free(call);
	finished(i, s, result);
}

static void start(struct issuer *i, struct session *s)
{
	struct issuer_call *call = calloc(1, sizeof(*call));
	int r = -ENOMEM;

	if (call) {
		call->issuer = i;
		call->session = s;
		r = sts_call_start(i->sts, s->request,
				   s->waiters > 0 && s->failures == 0 ? FIRST_CALL_TIMEOUT_MS
								      : CALL_TIMEOUT_MS,
				   on_result, call, &call->call);
	}
	if (r < 0) {
		struct sts_result result = {.class = STS_RETRY};
		free(call);
		snprintf(result.code, sizeof(result.code), "CallFailed");
		snprintf(result.message, sizeof(result.message), "the call could not be started");
		finished(i, s, &result);
		return;
	}
	TAILQ_INSERT_TAIL(&i->calls, call, link);
}

/* Wake up in `wait_ms`; negative: not by the clock. */
static void arm(struct issuer *i, int64_t wait_ms)
{
	struct itimerspec spec = {0};

	/* All zero would disarm it. */
	if (wait_ms >= 0)
		spec.it_value = (struct timespec){.tv_sec = wait_ms / 1000,
						  .tv_nsec = wait_ms % 1000 * 1000000 + 1};
	if (timerfd_settime(i->timer_fd, 0, &spec, NULL) < 0)
		log_error(NULL, "cannot set the timer: %s", strerror(errno));
}

static void on_timer(evutil_socket_t fd, short what, void *data)
{
	struct issuer *i = data;
	struct session *s;
	int64_t wait_ms = i->held_until_ms - clock_now_ms();
	unsigned started = 0;
	uint64_t ticks;

	(void)what;
	/* Nothing to read after a kick. */
	ssize_t n = read((int)fd, &ticks, sizeof(ticks));
	(void)n;
	if (wait_ms <= 0)
		while (started < START_BATCH &&
		       (s = session_pool_next(i->pool, clock_now_ms(), &wait_ms))) {
			start(i, s);
			started++;
		}
	arm(i, started < START_BATCH ? wait_ms : 0);
}

void issuer_hold(struct issuer *i, int64_t ms)
{
	i->held_until_ms = clock_now_ms() + ms;
}

void issuer_release(struct issuer *i)
{
	i->held_until_ms = 0;
	issuer_kick(i);
}

void issuer_kick(struct issuer *i)
{
	event_active(i->timer, EV_READ, 0);
}

int issuer_new(struct event_base *base, struct session_pool *pool, struct sts_client *sts,
	       issuer_changed_cb *changed, void *data, struct issuer **ret)
{
	struct issuer *i = calloc(1, sizeof(*i));

	if (!i)
		return -ENOMEM;
	i->pool = pool;
	i->sts = sts;
	i->changed = changed;
	i->data = data;
	TAILQ_INIT(&i->calls);
	i->timer_fd = timerfd_create(CLOCK_BOOTTIME, TFD_NONBLOCK | TFD_CLOEXEC);
	int r = i->timer_fd < 0 ? -errno : 0;
	if (r == 0) {
		i->timer = event_new(base, i->timer_fd, EV_READ | EV_PERSIST, on_timer, i);
		r = i->timer && event_add(i->timer, NULL) == 0 ? 0 : -ENOMEM;
	}
	if (r < 0) {
		issuer_free(i);
		return r;
	}
	*ret = i;
	return 0;
}

struct issuer *issuer_free(struct issuer *i)
{
	struct issuer_call *call;

	if (!i)
		return NULL;
	while ((call = TAILQ_FIRST(&i->calls))) {
		TAILQ_REMOVE(&i->calls, call, link);
		sts_call_cancel(call->call);
		free(call);
	}
	if (i->timer)
		event_free(i->timer);
	fd_close(i->timer_fd);
	free(i);
	return NULL;
}
