/* loop: netd's event loop: descriptors and a handful of timers on epoll. One event a turn, so that
 * a callback may remove any source or timer, its own included.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

struct loop_source {
	int fd; /* -1: not in the loop. Not owned */
	void (*handle)(void *user, uint32_t events);
	void *user;
};

struct loop_timer {
	int64_t due_ms; /* clock_now_ms(); 0: not set */
	void (*handle)(void *user);
	void *user;
	LIST_ENTRY(loop_timer) entry;
};

struct loop {
	int epoll_fd;
	bool stopped;
	LIST_HEAD(, loop_timer) timers;
};

int loop_init(struct loop *loop);
void loop_deinit(struct loop *loop);

/* The source belongs to the caller, who removes it before closing its descriptor. 0 or -errno. */
int loop_add(struct loop *loop, struct loop_source *source, int fd, uint32_t events);
void loop_change(struct loop *loop, struct loop_source *source, uint32_t events);
void loop_remove(struct loop *loop, struct loop_source *source);

/* loop_timer_set(loop, timer, delay_ms): call back once, then; a timer already set is moved.
 * An unset timer costs nothing and causes no wake-up. */
void loop_timer_set(struct loop *loop, struct loop_timer *timer, int64_t delay_ms);
void loop_timer_stop(struct loop_timer *timer);

/* loop_run(loop): until loop_stop(). 0 or -errno. */
int loop_run(struct loop *loop);
void loop_stop(struct loop *loop);
