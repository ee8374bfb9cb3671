#include "rolegate-netd/loop.h"

#include <errno.h>
#include <limits.h>
#include <sys/epoll.h>

#include "util/clock.h"
#include "util/fd.h"

int loop_init(struct loop *loop)
{
	*loop = (struct loop){0};
	LIST_INIT(&loop->timers);
	loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	return loop->epoll_fd < 0 ? -errno : 0;
}

void loop_deinit(struct loop *loop)
{
	loop->epoll_fd = fd_close(loop->epoll_fd);
}

int loop_add(struct loop *loop, struct loop_source *source, int fd, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.ptr = source};

	if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
		return -errno;
	source->fd = fd;
	return 0;
}

void loop_change(struct loop *loop, struct loop_source *source, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.ptr = source};

	(void)epoll_ctl(loop->epoll_fd, EPOLL_CTL_MOD, source->fd, &event);
}

void loop_remove(struct loop *loop, struct loop_source *source)
{
	if (source->fd >= 0)
		(void)epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, source->fd, NULL);
	source->fd = -1;
}

void loop_timer_set(struct loop *loop, struct loop_timer *timer, int64_t delay_ms)
{
	if (timer->due_ms == 0)
		LIST_INSERT_HEAD(&loop->timers, timer, entry);
	timer->due_ms = clock_now_ms() + delay_ms;
}

void loop_timer_stop(struct loop_timer *timer)
{
	if (timer->due_ms != 0)
		LIST_REMOVE(timer, entry);
	timer->due_ms = 0;
}

static struct loop_timer *first_timer(const struct loop *loop)
{
	struct loop_timer *first = NULL, *timer;

	LIST_FOREACH (timer, &loop->timers, entry)
		if (!first || timer->due_ms < first->due_ms)
			first = timer;
	return first;
}

int loop_run(struct loop *loop)
{
	while (!loop->stopped) {
		struct epoll_event event;
		struct loop_timer *timer = first_timer(loop);
		int timeout = -1;

		if (timer) {
			int64_t left = timer->due_ms - clock_now_ms();
			if (left <= 0) {
				loop_timer_stop(timer);
				timer->handle(timer->user);
				continue;
			}
			timeout = left > INT_MAX ? INT_MAX : (int)left;
		}
		int n = epoll_wait(loop->epoll_fd, &event, 1, timeout);
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n == 1) {
			struct loop_source *source = event.data.ptr;
			source->handle(source->user, event.events);
		}
	}
	return 0;
}

void loop_stop(struct loop *loop)
{
	loop->stopped = true;
}
