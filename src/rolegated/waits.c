#include "rolegated/waits.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/clock.h"

/* How long a DELETE waits for netd. */
#define DEPARTURE_WAIT_S 15

struct registrar_wait {
	TAILQ_ENTRY(registrar_wait) link;
	struct waits *waits;
	struct container *container;
	bool departure, created;
	int64_t wait_s;
	unsigned attempts; /* the session's, when the wait began */
	registrar_cb *cb;
	void *data;
	struct event *timer;
};

void waits_init(struct waits *waits, struct event_base *base)
{
	*waits = (struct waits){.base = base};
	TAILQ_INIT(&waits->list);
}

static void wait_free(struct registrar_wait *wait)
{
	TAILQ_REMOVE(&wait->waits->list, wait, link);
	if (!wait->departure && wait->container->session)
		session_unwait(wait->container->session);
	event_free(wait->timer);
	free(wait);
}

void waits_deinit(struct waits *waits)
{
	struct registrar_wait *wait;

	while ((wait = TAILQ_FIRST(&waits->list)))
		wait_free(wait);
}

void waits_cancel(struct registrar_wait *wait)
{
	wait_free(wait);
}

static void answer(struct registrar_wait *wait, int status, const char *code,
		   const struct diag *diag)
{
	struct registrar_outcome outcome = {.status = status, .code = code, .diag = diag};
	registrar_cb *cb = wait->cb;
	void *data = wait->data;

	if (status == 200 || status == 201)
		outcome.container = wait->container;
	wait_free(wait);
	cb(&outcome, data);
}

/* What the session has to say for itself, for someone who waited in vain. */
static void explain(const struct registrar_wait *wait, struct diag *ret)
{
	const struct container *c = wait->container;
	const struct session *s = c->session;

	if (wait->departure)
		diag_set(ret, NULL, "rolegate-netd has not taken the interception down yet");
	else if (c->phase != CONTAINER_ATTACHED)
		diag_set(ret, NULL, "interception does not stand after %lld s: rolegate-netd %s",
			 (long long)wait->wait_s,
			 c->netd_asked ? "has not answered" : "cannot be reached");
	else if (s && s->last_code[0])
		diag_set(ret, "role_arn", "no credentials for %s after %lld s: %s: %s", s->role_arn,
			 (long long)wait->wait_s, s->last_code, session_message(s));
	else
		diag_set(ret, NULL, "STS has not answered within %lld s", (long long)wait->wait_s);
}

static void on_timer(evutil_socket_t fd, short what, void *data)
{
	struct registrar_wait *wait = data;
	struct diag diag = {0};

	(void)fd;
	(void)what;
	explain(wait, &diag);
	answer(wait, 504, wait->departure ? "not_detached" : "not_ready", &diag);
}

/* Answer a wait for readiness if its time has come. */
static bool settle(struct registrar_wait *wait)
{
	struct container *c = wait->container;
	const struct session *s = c->session;
	int64_t now_ms = clock_now_ms();
	struct diag diag = {0};

	if (c->phase != CONTAINER_ATTACHED || !s)
		return false;
	if (session_valid(s, now_ms)) {
		answer(wait, wait->created ? 201 : 200, NULL, NULL);
		return true;
	}
	/* A denial of long ago may have been mended since: only one of now ends the wait. */
	if (session_state(s, now_ms) != SESSION_DENIED || s->in_flight ||
	    (s->attempts == wait->attempts && s->next_ms <= now_ms))
		return false;
	diag_set(&diag, "role_arn", "STS denies %s: %s: %s", s->role_arn, s->last_code,
		 session_message(s));
	answer(wait, 504, "role_denied", &diag);
	return true;
}

static struct registrar_wait *new_wait(struct waits *waits, struct container *c, int64_t wait_s,
				       registrar_cb *cb, void *data)
{
	struct registrar_wait *wait = calloc(1, sizeof(*wait));
	struct timeval tv = {.tv_sec = wait_s};

	if (wait)
		wait->timer = evtimer_new(waits->base, on_timer, wait);
	if (!wait || !wait->timer || evtimer_add(wait->timer, &tv) < 0) {
		struct registrar_outcome outcome = {.status = 500, .code = "internal"};
		struct diag diag = {.text = "out of memory"};
		outcome.diag = &diag;
		if (wait && wait->timer)
			event_free(wait->timer);
		free(wait);
		cb(&outcome, data);
		return NULL;
	}
	wait->waits = waits;
	wait->container = c;
	wait->wait_s = wait_s;
	wait->cb = cb;
	wait->data = data;
	TAILQ_INSERT_TAIL(&waits->list, wait, link);
	return wait;
}

struct registrar_wait *waits_add(struct waits *waits, struct container *c, bool created,
				 int64_t wait_s, registrar_cb *cb, void *data)
{
	struct registrar_wait *wait = new_wait(waits, c, wait_s, cb, data);

	if (!wait)
		return NULL;
	wait->created = created;
	if (c->session) {
		wait->attempts = c->session->attempts;
		session_wait(c->session, clock_now_ms());
	}
	return settle(wait) ? NULL : wait;
}

struct registrar_wait *waits_add_departure(struct waits *waits, struct container *c,
					   registrar_cb *cb, void *data)
{
	struct registrar_wait *wait = new_wait(waits, c, DEPARTURE_WAIT_S, cb, data);

	if (wait)
		wait->departure = true;
	return wait;
}

void waits_finish(struct waits *waits, struct container *c, int status, const char *code,
		  const struct diag *diag)
{
	struct registrar_wait *wait, *next;

	for (wait = TAILQ_FIRST(&waits->list); wait; wait = next) {
		next = TAILQ_NEXT(wait, link);
		if (wait->container == c && wait->departure == (status == 204))
			answer(wait, status, code, diag);
	}
}

bool waits_abort(struct waits *waits, int status, const char *code, const char *why)
{
	struct registrar_wait *wait;
	struct diag diag = {0};

	bool any = !TAILQ_EMPTY(&waits->list);

	diag_set(&diag, NULL, "%s", why);
	while ((wait = TAILQ_FIRST(&waits->list)))
		answer(wait, status, code, &diag);
	return any;
}

void waits_orphan(struct waits *waits, struct container *c)
{
	struct diag diag = {.text = "it was unregistered meanwhile"};

	waits_finish(waits, c, 409, "unregistered", &diag);
	waits_finish(waits, c, 204, NULL, NULL);
}

void waits_check(struct waits *waits, struct container *c)
{
	struct registrar_wait *wait, *next;

	for (wait = TAILQ_FIRST(&waits->list); wait; wait = next) {
		next = TAILQ_NEXT(wait, link);
		if (wait->container == c && !wait->departure)
			(void)settle(wait);
	}
}

void waits_check_session(struct waits *waits, const struct session *s)
{
	struct registrar_wait *wait, *next;

	for (wait = TAILQ_FIRST(&waits->list); wait; wait = next) {
		next = TAILQ_NEXT(wait, link);
		if (wait->container->session == s && !wait->departure)
			(void)settle(wait);
	}
}

void waits_move(struct waits *waits, struct container *c, struct session *old)
{
	struct registrar_wait *wait;

	TAILQ_FOREACH (wait, &waits->list, link) {
		if (wait->container != c || wait->departure)
			continue;
		session_unwait(old);
		wait->attempts = c->session->attempts;
		session_wait(c->session, clock_now_ms());
	}
}
