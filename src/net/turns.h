/* turns: fairness between containers. Private to frontend.c and connection.c.
 *
 * A container whose connections have had DOOR_REQUESTS answered within one millisecond
 * has the rest wait: its connections queue at its door, the doors take turns, and between two
 * rounds of turns the loop looks at everyone else's sockets. So no container, however many
 * connections it floods, delays another's request by more than a round.
 *
 * With no one else there it loses nothing, since a turn follows at once. While others ask, too, its
 * turn comes in the next millisecond, and until then neither its requests nor its new connections
 * are looked at: else rolegated and the flooder kept two processors busy, and whoever woke up to
 * send or read a request waited for the scheduler, which takes longer than any round.
 */
#pragma once

#include "net/connection.h"

/* turns_spend(door, now_ms): its container has had a request answered, or something that is as much
 * work. */
void turns_spend(struct frontend_door *door, int64_t now_ms);

/* turns_had_enough(door, now_ms): its container has had its share of this millisecond. */
bool turns_had_enough(struct frontend_door *door, int64_t now_ms);

/* turns_may_accept(door, now_ms): one connection from its listeners; if not, they are not watched
 * until the next turn. turns_unhush(door): they are again. */
bool turns_may_accept(struct frontend_door *door, int64_t now_ms);
void turns_unhush(struct frontend_door *door);

/* turns_wait(c, now_ms): queue for a turn; no matter if it does already. turns_leave(c): do not. */
void turns_wait(struct connection *c, int64_t now_ms);
void turns_leave(struct connection *c);

/* turns_give(f, now_ms): serve connections that wait for their turn, for a bounded time. */
void turns_give(struct frontend *f, int64_t now_ms);
