/* keeper: leaves the credentials sealed with rolegate-netd, so that the next rolegated serves them
 * at once, also after a crash; and takes up what the one before has left. See core/handover.h.
 */
#pragma once

#include <event2/event.h>

#include "core/handover.h"
#include "net/interception.h"

struct keeper;

struct keeper_deps {
	struct event_base *base;
	struct session_pool *pool;
	struct interception *interception;
	const uint8_t *master_key; /* TOKEN_KEY_SIZE bytes */
};

/* What `deps` points to must outlive the keeper. 0 or -ENOMEM. */
int keeper_new(const struct keeper_deps *deps, struct keeper **ret);
struct keeper *keeper_free(struct keeper *k);

/* keeper_restore(k, fd): give the sessions in the pool what lies in there. Closes `fd`. */
void keeper_restore(struct keeper *k, int fd);

/* keeper_changed(k): credentials came: leave them too, soon; renewals come in bursts. */
void keeper_changed(struct keeper *k);

/* keeper_save(k): now: some must not be left any more, or we end. */
void keeper_save(struct keeper *k);
