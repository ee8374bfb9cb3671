/* waits: who waits for a registration to be ready, or for a container to be gone.
 *
 * A registration is ready when interception stands and credentials are cached. A role that STS
 * denies ends the wait at once: waiting longer would not help. Both, like running out of time, are
 * 504: the container stays registered and goes on trying, so that it heals by itself.
 */
#pragma once

#include <sys/queue.h>

#include <event2/event.h>

#include "core/container.h"
#include "rolegated/registrar.h"

struct registrar_wait;
TAILQ_HEAD(wait_list, registrar_wait);

struct waits {
	struct event_base *base;
	struct wait_list list;
};

void waits_init(struct waits *waits, struct event_base *base);
void waits_deinit(struct waits *waits);

/* waits_add(waits, c, created, wait_s, cb, data): wait until `c` is ready. If it is, or if there is
 * no memory, cb runs at once and NULL is returned. */
struct registrar_wait *waits_add(struct waits *waits, struct container *c, bool created,
				 int64_t wait_s, registrar_cb *cb, void *data);
/* waits_add_departure(waits, c, cb, data): wait until `c` is gone. */
struct registrar_wait *waits_add_departure(struct waits *waits, struct container *c,
					   registrar_cb *cb, void *data);
void waits_cancel(struct registrar_wait *wait);

/* waits_finish(waits, c, status, code, diag): answer those who wait for `c`; with status 204 those
 * who wait for its departure, else those who wait for its readiness. */
void waits_finish(struct waits *waits, struct container *c, int status, const char *code,
		  const struct diag *diag);
/* waits_abort(waits, status, code, why): answer everyone. True if there was anyone. */
bool waits_abort(struct waits *waits, int status, const char *code, const char *why);
/* waits_orphan(waits, c): `c` is about to be freed: whoever still waits is told it is gone. */
void waits_orphan(struct waits *waits, struct container *c);

/* Answer those whose container is ready, or never will be. */
void waits_check(struct waits *waits, struct container *c);
void waits_check_session(struct waits *waits, const struct session *s);

/* waits_move(waits, c, old): `c` has another session than `old` now: who waits for it, waits for
 * that. */
void waits_move(struct waits *waits, struct container *c, struct session *old);
