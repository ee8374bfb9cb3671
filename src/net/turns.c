#include "net/turns.h"

#define DOOR_REQUESTS 32
#define ROUND_REQUESTS 64
#define CONNECTION_COST 4 /* accepting and closing one, in requests */

/* For so long after another container's last request does one pace itself. */
#define CROWDED_MS 1000
#define PACE_US 1000

static void arm_turns(struct frontend *f, long wait_us)
{
	const struct timeval wait = {.tv_usec = wait_us};

	/* Not event_active(): that would run before the loop has looked at the sockets again. */
	event_add(f->turn, &wait);
}

/* Do several containers ask? */
static bool is_crowded(const struct frontend *f, int64_t now_ms)
{
	return now_ms < f->crowded_until_ms;
}

void turns_spend(struct frontend_door *door, int64_t now_ms)
{
	struct frontend *f = door->frontend;

	door->window_requests++;
	if (f->last_door == door)
		return;
	if (f->last_door)
		f->crowded_until_ms = now_ms + CROWDED_MS;
	f->last_door = door;
}

bool turns_had_enough(struct frontend_door *door, int64_t now_ms)
{
	if (door->window_ms != now_ms) {
		door->window_ms = now_ms;
		door->window_requests = 0;
	}
	return door->window_requests >= DOOR_REQUESTS;
}

void turns_leave(struct connection *c)
{
	struct frontend_door *door = c->door;

	if (!c->waits_turn)
		return;
	c->waits_turn = false;
	TAILQ_REMOVE(&door->turns, c, turn_link);
	if (TAILQ_EMPTY(&door->turns))
		TAILQ_REMOVE(&door->frontend->turns, door, turns_link);
}

void turns_wait(struct connection *c, int64_t now_ms)
{
	struct frontend_door *door = c->door;
	struct frontend *f = door->frontend;

	if (c->waits_turn)
		return;
	if (TAILQ_EMPTY(&f->turns))
		arm_turns(f, 0);
	if (TAILQ_EMPTY(&door->turns))
		TAILQ_INSERT_TAIL(&f->turns, door, turns_link);
	c->waits_turn = true;
	TAILQ_INSERT_TAIL(&door->turns, c, turn_link);
	if (is_crowded(f, now_ms)) {
		c->muted = true;
		event_del(&c->event);
	}
}

bool turns_may_accept(struct frontend_door *door, int64_t now_ms)
{
	struct frontend *f = door->frontend;

	if (!turns_had_enough(door, now_ms) || !is_crowded(f, now_ms)) {
		turns_spend(door, now_ms);
		door->window_requests += CONNECTION_COST - 1;
		return true;
	}
	for (size_t i = 0; i < door->n_listeners; i++)
		event_del(door->listeners[i]);
	door->hushed = true;
	TAILQ_INSERT_TAIL(&f->hushed, door, hushed_link);
	if (!evtimer_pending(f->turn, NULL))
		arm_turns(f, PACE_US);
	return false;
}

void turns_unhush(struct frontend_door *door)
{
	struct frontend *f = door->frontend;

	if (!door->hushed)
		return;
	door->hushed = false;
	TAILQ_REMOVE(&f->hushed, door, hushed_link);
	for (size_t i = 0; !f->deaf && !door->paused && i < door->n_listeners; i++)
		event_add(door->listeners[i], NULL);
}

/* Serve connections of one door, up to its share or `left` requests. What of `left` remains. */
static unsigned give_turn(struct frontend_door *door, unsigned left, int64_t now_ms)
{
	struct connection *c;

	while (left > 0 && door->window_requests < DOOR_REQUESTS &&
	       (c = TAILQ_FIRST(&door->turns))) {
		turns_leave(c);
		if (c->muted)
			event_add(&c->event, NULL);
		c->muted = false;
		unsigned before = door->window_requests;
		connection_take_turn(c, now_ms);
		unsigned cost = door->window_requests - before;
		left -= cost < left ? cost : left;
	}
	return left;
}

void turns_give(struct frontend *f, int64_t now_ms)
{
	struct frontend_door *door, *full = NULL;
	unsigned left = ROUND_REQUESTS;

	while ((door = TAILQ_FIRST(&f->hushed)))
		turns_unhush(door);
	while (left > 0 && (door = TAILQ_FIRST(&f->turns)) && door != full) {
		TAILQ_REMOVE(&f->turns, door, turns_link);
		TAILQ_INSERT_TAIL(&f->turns, door, turns_link);
		bool enough = turns_had_enough(door, now_ms);
		if (!is_crowded(f, now_ms)) {
			door->window_requests = 0;
		} else if (enough) {
			full = full ? full : door;
			continue;
		}
		left = give_turn(door, left, now_ms);
	}
	if (!TAILQ_EMPTY(&f->turns))
		arm_turns(f, left > 0 ? PACE_US : 0);
}
