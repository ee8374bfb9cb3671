/* issuer: drives the session pool: starts the STS calls that are due, and only those; wakes up for
 * nothing else.
 */
#pragma once

#include <event2/event.h>

#include "core/session_pool.h"
#include "net/sts_client.h"

struct issuer;

/* How a session was before an attempt. */
struct issuer_before {
	enum session_state state;
	char code[96];
};

/* Told after each finished attempt of a session that someone still holds. */
typedef void issuer_changed_cb(struct session *s, const struct issuer_before *before, void *data);

/* `pool` and `sts` must outlive the issuer. 0 or -ENOMEM. */
int issuer_new(struct event_base *base, struct session_pool *pool, struct sts_client *sts,
	       issuer_changed_cb *changed, void *data, struct issuer **ret);
/* issuer_free(i): calls under way are cancelled. NULL is fine. Returns NULL. */
struct issuer *issuer_free(struct issuer *i);

/* issuer_hold(i, ms): call nobody for so long, or until issuer_release(i): there may soon be
 * credentials without. */
void issuer_hold(struct issuer *i, int64_t ms);
void issuer_release(struct issuer *i);

/* issuer_kick(i): the pool has changed: look again, from the event loop. */
void issuer_kick(struct issuer *i);
