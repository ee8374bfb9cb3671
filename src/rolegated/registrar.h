/* registrar: the life of a registration: policy, interception, credentials, and the way back.
 *
 *	register:    parse -> policy -> session (STS starts at once) -> netd ATTACH -> state file
 *	             -> doors open -> wait for credentials -> answer
 *	unregister:  state file -> doors shut -> session, keys -> netd DETACH -> answer
 *
 * A step that fails undoes the ones before it, in reverse order; credentials that do not come are no
 * such failure: the container stays registered (504) and goes on trying. After a restart every stored
 * container is taken up again: with the listeners that netd kept, or by a new ATTACH.
 */
#pragma once

#include <event2/event.h>

#include "core/container.h"
#include "core/policy.h"
#include "net/frontend.h"
#include "net/issuer.h"
#include "rolegated/recorder.h"
#include "rolegated/state.h"
#include "wire/config.h"

struct registrar;
struct registrar_wait; /* someone who waits for a registration or its end */

/* How a call ended: the HTTP status, see rolegated(8); for errors, a code and a diag. `container`
 * is set for 200 and 201. Runs once. */
struct registrar_outcome {
	int status;
	const char *code;
	const struct diag *diag;
	const struct container *container;
};
typedef void registrar_cb(const struct registrar_outcome *outcome, void *data);

/* Everything is the caller's and must outlive the registrar. */
struct registrar_deps {
	struct event_base *base;
	const struct config *config;
	struct container_registry *registry;
	struct session_pool *pool;
	struct frontend *frontend;
	const struct state *state;
	struct recorder *recorder;
	void (*replaced)(void *data); /* another rolegated serves from now on */
	/* rolegate-netd serves one with another state directory. */
	void (*refused)(const char *text, void *data);
	void *replaced_data; /* both functions' */
};

int registrar_new(const struct registrar_deps *deps, struct registrar **ret);
/* registrar_free(r): shuts every door here, but leaves netd's rules and listeners as they are: the
 * next rolegated takes them over. */
struct registrar *registrar_free(struct registrar *r);

/* registrar_stop(r): the daemon is about to end: whoever waits is told to ask its successor. True
 * if there was anyone. */
bool registrar_stop(struct registrar *r);

void registrar_set_issuer(struct registrar *r, struct issuer *issuer);

/* registrar_set_policy(r, policy): from now on; takes it over. NULL denies everything. Containers
 * that it forbids are unregistered; those whose session it shapes otherwise get another. */
void registrar_set_policy(struct registrar *r, struct policy *policy);
const struct policy *registrar_policy(const struct registrar *r);

/* registrar_restore(r): take up the stored containers. Once, at start. */
void registrar_restore(struct registrar *r);

/* registrar_register(r, id, body, len, cb, data): cb may run before this returns; if it has not,
 * the returned wait can be cancelled (the registration goes on). NULL otherwise. */
struct registrar_wait *registrar_register(struct registrar *r, const char *id, const char *body,
					  size_t len, registrar_cb *cb, void *data);

/* registrar_unregister(r, id, cb, data): likewise; 204, also for an id that is
 * not registered. */
struct registrar_wait *registrar_unregister(struct registrar *r, const char *id, registrar_cb *cb,
					    void *data);

/* registrar_refresh(r, id): 0, or -ENOENT. */
int registrar_refresh(struct registrar *r, const char *id);

void registrar_wait_cancel(struct registrar_wait *wait);

/* registrar_session_changed(r, s): a session got credentials or an error (the issuer tells). */
void registrar_session_changed(struct registrar *r, const struct session *s);

/* registrar_leave(r): the daemon ends now: leave the credentials to the next one. */
void registrar_leave(struct registrar *r);

/* registrar_netd_ready(r): is interception possible right now? */
bool registrar_netd_ready(const struct registrar *r);
