/* turns: fairness between containers. Private to frontend.c and connection.c.
 *
 * A container whose connections have had DOOR_REQUESTS answered within one millisecond
 * has the rest wait: its connections queue at its door, the doors take turns, and between two
 * rounds of turns the loop looks at everyone else's sockets. So no container, however many
 * connections it floods, delays another's request by more than a round; and with no one else there
 * it loses nothing, since a turn follows at once.
 */
#pragma once

#include "net/connection.h"

/* turns_had_enough(door, now_ms): its container has had its share of this millisecond. */
bool turns_had_enough(struct frontend_door *door, int64_t now_ms);

/* turns_wait(c): queue for a turn; no matter if it does already. turns_leave(c): do not. */
void turns_wait(struct connection *c);
void turns_leave(struct connection *c);

/* turns_give(f, now_ms): serve connections that wait for their turn, for a bounded time. */
void turns_give(struct frontend *f, int64_t now_ms);
