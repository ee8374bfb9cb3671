#include "rolegated/registrar.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/interception.h"
#include "rolegated/admission.h"
#include "rolegated/keeper.h"
#include "rolegated/waits.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/process.h"

/* How long after a start STS is not asked: netd may have the credentials of the daemon before. */
#define TAKE_MS 250

struct registrar {
	struct registrar_deps deps;
	struct interception *interception;
	struct keeper *keeper;
	struct issuer *issuer;
	struct policy *policy;
	bool restore_waits; /* for a policy: without one, nothing is judged and nothing forgotten */
	struct waits waits;
};

static void report(registrar_cb *cb, void *data, int status, const char *code,
		   const struct diag *diag)
{
	struct registrar_outcome outcome = {.status = status, .code = code, .diag = diag};

	cb(&outcome, data);
}

/* A registration that did not come to be. */
static void record_refusal(struct registrar *r, const char *id, const char *code,
			   const struct diag *diag)
{
	const struct record record = {
		.type = RECORD_REFUSED,
		.container = id,
		.code = code,
		.field = diag->field[0] ? diag->field : NULL,
		.message = diag->text,
	};

	recorder_publish(r->deps.recorder, &record);
}

/* Forget a container that netd holds nothing of (any more). */
static void discard(struct registrar *r, struct container *c)
{
	if (c->exit_event)
		event_free(c->exit_event);
	c->exit_event = NULL;
	c->pidfd = fd_close(c->pidfd);
	interception_forget(r->interception, c);
	waits_orphan(&r->waits, c);
	container_remove(r->deps.registry, r->deps.pool, c);
}

/* A registration that cannot stand: everyone who waits for it hears why, and it is gone. */
static void abandon(struct registrar *r, struct container *c, int status, const char *code,
		    const struct diag *diag)
{
	if (c->phase == CONTAINER_ATTACHING)
		record_refusal(r, c->id, code, diag);
	int error = state_drop(r->deps.state, c->id);

	if (error < 0)
		log_error(c->id, "cannot remove its state file: %s", strerror(-error));
	waits_finish(&r->waits, c, status, code, diag);
	discard(r, c);
	keeper_changed(r->keeper);
}

/* Start taking a container down: from here on it has no credentials and no door. */
static void take_down(struct registrar *r, struct container *c, const char *why)
{
	struct diag diag = {0};

	log_info(c->id, "unregistered: %s", why);
	recorder_departed(r->deps.recorder, c);
	recorder_container(r->deps.recorder, RECORD_UNREGISTERED, c, why);
	diag_set(&diag, NULL, "it was unregistered meanwhile: %s", why);
	waits_finish(&r->waits, c, 409, "unregistered", &diag);
	int error = state_drop(r->deps.state, c->id);
	if (error < 0)
		log_error(c->id, "cannot remove its state file: %s", strerror(-error));
	container_retire(r->deps.registry, r->deps.pool, c);
	keeper_save(r->keeper); /* without its credentials */
	interception_detach(r->interception, c);
	issuer_kick(r->issuer);
}

static void on_exit_event(evutil_socket_t fd, short what, void *data)
{
	struct registrar *r = data;
	struct container *c, *next;

	(void)what;
	for (c = TAILQ_FIRST(&r->deps.registry->containers); c; c = next) {
		next = TAILQ_NEXT(c, link);
		if (c->pidfd == (int)fd)
			take_down(r, c, "its process has exited");
	}
}

/* Watch the registration's process. `expected` is when it must have started; 0: any. */
static int watch_process(struct registrar *r, struct container *c, uint64_t expected,
			 struct diag *diag)
{
	pid_t pid = c->registration->pid;

	if (pid == 0)
		return 0;
	int error = process_open(pid, &c->pidfd, &c->pid_started);
	if (error == -ESRCH || (error == 0 && expected && c->pid_started != expected))
		return diag_fail(ESRCH, diag, "pid", "there is no process %d", (int)pid);
	if (error < 0)
		return diag_fail(-error, diag, "pid", "cannot watch process %d: %s", (int)pid,
				 strerror(-error));
	c->exit_event = event_new(r->deps.base, c->pidfd, EV_READ, on_exit_event, r);
	if (!c->exit_event || event_add(c->exit_event, NULL) < 0)
		return diag_fail(ENOMEM, diag, "pid", "out of memory");
	return 0;
}

static void on_attached(struct container *c, void *data)
{
	struct registrar *r = data;
	struct diag diag = {0};

	/* netd opened /proc/PID/ns/net by number: had the process died by then, the number might be
	 * another's. It has not if it is alive now. */
	if (process_exited(c->pidfd)) {
		take_down(r, c, "its process has exited");
		return;
	}
	int error = c->restored ? 0 : state_save(r->deps.state, c);
	if (error < 0) {
		diag_set(&diag, NULL, "the state file cannot be written: %s", strerror(-error));
		log_error(c->id, "not registered: %s", diag.text);
		waits_finish(&r->waits, c, 500, "state_not_saved", &diag);
		take_down(r, c, diag.text);
		return;
	}
	log_info(c->id, "%s: %s intercepted in netns %s (inode %llu)",
		 c->restored ? "taken up again" : "registered", c->registration->role.role_arn,
		 c->registration->netns, (unsigned long long)c->netns_ino);
	recorder_container(r->deps.recorder, RECORD_REGISTERED, c,
			   c->restored ? "taken up again" : NULL);
	c->restored = true;
	waits_check(&r->waits, c);
}

static void on_failed(struct container *c, const struct netd_answer *answer, void *data)
{
	struct registrar *r = data;
	struct diag diag = {0};

	diag_set(&diag, answer->field[0] ? answer->field : NULL, "%s", answer->text);
	/* One that was attached before is given up only when its netns is no more: whatever else is
	 * in the way may pass. */
	if (c->restored && answer->error != -ESTALE && answer->error != -ENOENT &&
	    answer->error != -EINVAL) {
		log_warning(c->id, "not taken up again yet: %s; trying again", diag.text);
		interception_retry(r->interception);
		return;
	}
	log_warning(c->id, "not registered: %s", diag.text);
	if (answer->error == -EEXIST || answer->error == -EBUSY)
		abandon(r, c, 409, "netns_taken", &diag);
	else if (diag.field[0])
		abandon(r, c, 422, "invalid", &diag);
	else
		abandon(r, c, 500, "interception_failed", &diag);
}

static void on_detached(struct container *c, void *data)
{
	struct registrar *r = data;

	if (c->phase != CONTAINER_DETACHING)
		return;
	waits_finish(&r->waits, c, 204, NULL, NULL);
	discard(r, c);
}

static void on_gone(struct container *c, void *data)
{
	struct registrar *r = data;
	struct diag diag = {0};

	log_info(c->id, "unregistered: its netns is gone");
	recorder_departed(r->deps.recorder, c);
	recorder_container(r->deps.recorder, RECORD_UNREGISTERED, c, "its netns is gone");
	diag_set(&diag, "netns", "its netns is gone");
	abandon(r, c, 409, "unregistered", &diag);
}

static void on_taken(int fd, void *data)
{
	struct registrar *r = data;

	keeper_restore(r->keeper, fd);
	issuer_release(r->issuer);
}

static void on_replaced(void *data)
{
	struct registrar *r = data;

	r->deps.replaced(r->deps.replaced_data);
}

static void on_refused(const char *text, void *data)
{
	struct registrar *r = data;

	r->deps.refused(text, r->deps.replaced_data);
}

/* A netd that was restarted keeps nothing. */
static void on_ready(void *data)
{
	struct registrar *r = data;

	keeper_changed(r->keeper);
}

int registrar_new(const struct registrar_deps *deps, struct registrar **ret)
{
	static const struct interception_events events = {
		.attached = on_attached,
		.failed = on_failed,
		.detached = on_detached,
		.gone = on_gone,
		.taken = on_taken,
		.replaced = on_replaced,
		.refused = on_refused,
		.ready = on_ready,
	};
	struct interception_deps interception = {
		.base = deps->base,
		.netd_socket = deps->config->netd.socket,
		.owner = deps->state->identity,
		.registry = deps->registry,
		.frontend = deps->frontend,
	};
	struct registrar *r = calloc(1, sizeof(*r));

	if (!r)
		return -ENOMEM;
	r->deps = *deps;
	waits_init(&r->waits, deps->base);
	int error = interception_new(&interception, &events, r, &r->interception);
	struct keeper_deps keeper = {
		.base = deps->base,
		.pool = deps->pool,
		.interception = r->interception,
		.master_key = deps->registry->master_key,
	};
	if (error == 0)
		error = keeper_new(&keeper, &r->keeper);
	if (error < 0) {
		interception_free(r->interception);
		free(r);
		return error;
	}
	*ret = r;
	return 0;
}

struct registrar *registrar_free(struct registrar *r)
{
	struct container *c;

	if (!r)
		return NULL;
	while ((c = TAILQ_FIRST(&r->deps.registry->containers)))
		discard(r, c);
	while ((c = TAILQ_FIRST(&r->deps.registry->departing)))
		discard(r, c);
	waits_deinit(&r->waits);
	keeper_free(r->keeper);
	interception_free(r->interception);
	policy_free(r->policy);
	free(r);
	return NULL;
}

bool registrar_stop(struct registrar *r)
{
	interception_retire(r->interception);
	return waits_abort(&r->waits, 503, "stopping", "rolegated is being restarted; ask again");
}

void registrar_set_issuer(struct registrar *r, struct issuer *issuer)
{
	r->issuer = issuer;
}

void registrar_leave(struct registrar *r)
{
	keeper_save(r->keeper);
}

bool registrar_netd_ready(const struct registrar *r)
{
	return interception_ready(r->interception);
}

/* The successor of a container's session takes over if it can. */
static void succeed(struct registrar *r, struct container *c)
{
	struct session *old = container_succeed(c, clock_now_ms());

	if (!old)
		return;
	log_info(c->id, "its session is the one that the policy wants now: %s",
		 session_state_name(session_state(c->session, clock_now_ms())));
	waits_move(&r->waits, c, old);
	session_pool_release(r->deps.pool, old);
	waits_check(&r->waits, c);
}

/* Judge a registered container by the policy in force. */
static void judge_again(struct registrar *r, struct container *c)
{
	struct admission admitted = {0};
	struct diag diag = {0};
	const char *code;

	if (admission_admit(r->deps.config, r->policy, NULL, c->id, c->registration->canonical,
			    strlen(c->registration->canonical), &admitted, &code, &diag)) {
		log_warning(c->id, "the policy forbids it now: %s", diag.text);
		take_down(r, c, "the policy forbids it now");
		return;
	}
	if (container_rescope(c, r->deps.pool, admitted.registration, admitted.metadata,
			      clock_now_ms()) < 0) {
		admission_deinit(&admitted);
		log_error(c->id, "out of memory: taken down, as the policy cannot be applied");
		take_down(r, c, "out of memory");
		return;
	}
	succeed(r, c);
}

void registrar_set_policy(struct registrar *r, struct policy *policy)
{
	struct container *c, *next;

	policy_free(r->policy);
	r->policy = policy;
	for (c = TAILQ_FIRST(&r->deps.registry->containers); c; c = next) {
		next = TAILQ_NEXT(c, link);
		judge_again(r, c);
	}
	if (policy && r->restore_waits)
		registrar_restore(r);
	if (r->issuer)
		issuer_kick(r->issuer);
}

const struct policy *registrar_policy(const struct registrar *r)
{
	return r->policy;
}

/* The id is taken: by the same registration, or by another. */
static struct registrar_wait *register_again(struct registrar *r, struct container *c,
					     struct admission *again, registrar_cb *cb, void *data)
{
	const char *different = registration_difference(c->registration, again->registration);
	int64_t wait_s = again->registration->wait_s;
	struct diag diag = {0};

	admission_deinit(again);
	if (different) {
		diag_set(&diag, different, "%s is registered with another %s; unregister it first",
			 c->id, different);
		record_refusal(r, c->id, "conflict", &diag);
		report(cb, data, 409, "conflict", &diag);
		return NULL;
	}
	struct registrar_wait *wait = waits_add(&r->waits, c, false, wait_s, cb, data);
	issuer_kick(r->issuer);
	return wait;
}

struct registrar_wait *registrar_register(struct registrar *r, const char *id, const char *body,
					  size_t len, registrar_cb *cb, void *data)
{
	struct admission admitted = {0};
	struct container *c = container_find(r->deps.registry, id);
	struct diag diag = {0};
	const char *code;

	int status = admission_admit(r->deps.config, r->policy, c ? c->registration : NULL, id,
				     body, len, &admitted, &code, &diag);
	if (status) {
		if (status == 403)
			log_warning(id, "refused by policy: %s", diag.text);
		record_refusal(r, id, code, &diag);
		report(cb, data, status, code, &diag);
		return NULL;
	}
	if (c)
		return register_again(r, c, &admitted, cb, data);

	int error = container_add(r->deps.registry, r->deps.pool, id, admitted.registration,
				  admitted.metadata, NULL, clock_now_ms(), clock_wall_s(), &c);
	if (error < 0) {
		admission_deinit(&admitted);
		diag_set(&diag, NULL, "cannot register: %s", strerror(-error));
		report(cb, data, 500, "internal", &diag);
		return NULL;
	}
	if (watch_process(r, c, 0, &diag) < 0) {
		discard(r, c);
		record_refusal(r, id, "invalid", &diag);
		report(cb, data, 422, "invalid", &diag);
		return NULL;
	}
	struct registrar_wait *wait =
		waits_add(&r->waits, c, true, c->registration->wait_s, cb, data);
	issuer_kick(r->issuer);
	interception_attach(r->interception, c);
	return wait;
}

struct registrar_wait *registrar_unregister(struct registrar *r, const char *id, registrar_cb *cb,
					    void *data)
{
	struct container *c = container_find(r->deps.registry, id);

	if (!c)
		c = container_find_departing(r->deps.registry, id);
	if (!c) { /* unregistering twice is no error */
		report(cb, data, 204, NULL, NULL);
		return NULL;
	}
	if (c->phase == CONTAINER_DETACHING)
		return waits_add_departure(&r->waits, c, cb, data);
	if (c->phase == CONTAINER_ATTACHING && !c->netd_asked && c->netns_ino == 0) {
		struct diag diag = {0};
		diag_set(&diag, NULL, "it was unregistered meanwhile");
		abandon(r, c, 409, "unregistered", &diag);
		report(cb, data, 204, NULL, NULL);
		return NULL;
	}
	take_down(r, c, "on request");
	return waits_add_departure(&r->waits, c, cb, data);
}

int registrar_refresh(struct registrar *r, const char *id)
{
	struct container *c = container_find(r->deps.registry, id);

	if (!c || !c->session)
		return -ENOENT;
	session_refresh(c->successor ? c->successor : c->session, clock_now_ms());
	issuer_kick(r->issuer);
	return 0;
}

void registrar_wait_cancel(struct registrar_wait *wait)
{
	waits_cancel(wait);
}

void registrar_session_changed(struct registrar *r, const struct session *s)
{
	struct container *c;

	TAILQ_FOREACH (c, &r->deps.registry->containers, link)
		if (c->successor == s)
			succeed(r, c);
	waits_check_session(&r->waits, s);
	if (s->last_class == STS_OK)
		keeper_changed(r->keeper);
}

/* Take up one stored container. What has died meanwhile is dropped. */
static void restore_one(const struct container_state *stored,
			const uint8_t instance[static TOKEN_INSTANCE_SIZE], void *data)
{
	struct registrar *r = data;
	struct admission admitted = {0};
	struct container *c;
	struct diag diag = {0};
	const char *code;

	int status =
		admission_admit(r->deps.config, r->policy, NULL, stored->id, stored->registration,
				strlen(stored->registration), &admitted, &code, &diag);
	if (status) {
		log_warning(stored->id, "not taken up again: %s: %s", code, diag.text);
		record_refusal(r, stored->id, code, &diag);
		if (status == 403) /* anything else may pass, or be another version's business */
			(void)state_drop(r->deps.state, stored->id);
		return;
	}
	if (container_add(r->deps.registry, r->deps.pool, stored->id, admitted.registration,
			  admitted.metadata, instance, clock_now_ms(), stored->registered_at_s,
			  &c) < 0) {
		admission_deinit(&admitted);
		log_error(stored->id, "not taken up again: out of memory");
		return;
	}
	c->netns_dev = stored->netns_dev;
	c->netns_ino = stored->netns_ino;
	c->netns_cookie = stored->netns_cookie;
	c->restored = true;
	if (watch_process(r, c, stored->pid_started, &diag) < 0) {
		log_info(stored->id, "not taken up again: %s", diag.text);
		abandon(r, c, 409, "unregistered", &diag);
	}
}

void registrar_restore(struct registrar *r)
{
	struct container *c;

	r->restore_waits = !r->policy;
	if (r->restore_waits) {
		log_warning(NULL, "without a policy no stored container is taken up");
		return;
	}
	state_load(r->deps.state, restore_one, r);
	TAILQ_FOREACH (c, &r->deps.registry->containers, link)
		if (c->phase == CONTAINER_ATTACHING)
			interception_attach(r->interception, c);
	if (r->deps.registry->n_containers > 0)
		log_info(NULL, "taking up %zu stored containers", r->deps.registry->n_containers);
	issuer_hold(r->issuer, TAKE_MS);
	issuer_kick(r->issuer);
}
