#include "net/event_loop.h"

enum rank { URGENT, ORDINARY, N_RANKS };

#define BATCH_US 500

struct event_base *event_loop_new(void)
{
	static const struct timeval batch = {.tv_usec = BATCH_US};
	struct event_config *config = event_config_new();
	struct event_base *base = NULL;

	if (config &&
	    event_config_set_max_dispatch_interval(config, &batch, EVENT_LOOP_BATCH, ORDINARY) == 0)
		base = event_base_new_with_config(config);
	if (config)
		event_config_free(config);
	/* Of two, libevent gives a new event the second. */
	if (base && event_base_priority_init(base, N_RANKS) < 0) {
		event_base_free(base);
		return NULL;
	}
	return base;
}

void event_loop_rank(struct event *ev, bool urgent)
{
	(void)event_priority_set(ev, urgent ? URGENT : ORDINARY);
}
