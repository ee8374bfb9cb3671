#include "net/turns.h"

#define DOOR_REQUESTS 32
#define ROUND_REQUESTS 64

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

static void arm_turns(struct frontend *f)
{
	static const struct timeval now = {0, 0};

	/* Not event_active(): that would run before the loop has looked at the sockets again. */
	event_add(f->turn, &now);
}

void turns_wait(struct connection *c)
{
	struct frontend_door *door = c->door;
	struct frontend *f = door->frontend;

	if (c->waits_turn)
		return;
	if (TAILQ_EMPTY(&f->turns))
		arm_turns(f);
	if (TAILQ_EMPTY(&door->turns))
		TAILQ_INSERT_TAIL(&f->turns, door, turns_link);
	c->waits_turn = true;
	TAILQ_INSERT_TAIL(&door->turns, c, turn_link);
}

bool turns_had_enough(struct frontend_door *door, int64_t now_ms)
{
	if (door->window_ms != now_ms) {
		door->window_ms = now_ms;
		door->window_requests = 0;
	}
	return door->window_requests >= DOOR_REQUESTS;
}

void turns_give(struct frontend *f, int64_t now_ms)
{
	struct frontend_door *door;
	struct connection *c;
	unsigned left = ROUND_REQUESTS;

	while (left > 0 && (door = TAILQ_FIRST(&f->turns))) {
		TAILQ_REMOVE(&f->turns, door, turns_link);
		TAILQ_INSERT_TAIL(&f->turns, door, turns_link);
		door->window_ms = now_ms;
		door->window_requests = 0;
		while (left > 0 && door->window_requests < DOOR_REQUESTS &&
		       (c = TAILQ_FIRST(&door->turns))) {
			turns_leave(c);
			unsigned before = door->window_requests;
			connection_take_turn(c, now_ms);
			/* A turn that answers nothing has cost something, too. */
			if (door->window_requests == before)
				door->window_requests++;
			unsigned cost = door->window_requests - before;
			left -= cost < left ? cost : left;
		}
	}
	if (!TAILQ_EMPTY(&f->turns))
		arm_turns(f);
}
