/* event_loop: the process's one libevent loop, with two ranks of events, so that a workload that asks
 * for its credentials waits for nothing but another workload.
 *
 *	urgent		the metadata front end's, for containers within their share
 *	ordinary	all else: control calls, STS, rolegate-netd, timers, containers past their share
 *
 * Whatever is urgent and ready goes before what is ordinary, and among ordinary callbacks the loop looks
 * for urgent ones every half a millisecond: a thousand registrations at once delay an answer by a few
 * callbacks, not by a thousand. So an ordinary callback must be short: it does a part of what there is to
 * do, and asks to be called again.
 *
 * The other way round there is no such promise by itself: frontend_rank() keeps it.
 */
#pragma once

#include <stdbool.h>

#include <event2/event.h>

#define EVENT_LOOP_BATCH 64 /* or as many, if they are that short */

/* event_loop_new(): NULL: out of memory. event_base_free() is the way back. */
struct event_base *event_loop_new(void);

/* event_loop_rank(ev, urgent): from its next activation on; `ev` must not be active. A new event, and one
 * after event_assign(), is ordinary. */
void event_loop_rank(struct event *ev, bool urgent);
