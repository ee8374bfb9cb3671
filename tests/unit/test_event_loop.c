/* event_loop: what is urgent goes first, and ordinary work looks up from itself now and then. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "net/event_loop.h"

#define N_ORDINARY (4 * EVENT_LOOP_BATCH)

static char order[2 * N_ORDINARY];
static size_t n_order;

static void note(evutil_socket_t fd, short what, void *data)
{
	(void)fd, (void)what;
	order[n_order++] = *(const char *)data;
}

static struct event *make(struct event_base *base, const char *name, bool urgent)
{
	struct event *ev = event_new(base, -1, 0, note, (void *)name);

	assert_non_null(ev);
	if (urgent)
		event_loop_rank(ev, true);
	return ev;
}

static void test_urgent_first(void **state)
{
	struct event_base *base = event_loop_new();
	struct event *ordinary = make(base, "o", false), *urgent = make(base, "u", true);

	(void)state;
	n_order = 0;
	event_active(ordinary, EV_TIMEOUT, 0);
	event_active(urgent, EV_TIMEOUT, 0);
	event_base_loop(base, EVLOOP_NONBLOCK);
	event_base_loop(base, EVLOOP_NONBLOCK);
	assert_memory_equal(order, "uo", 2);

	/* Stepping back: it takes its place among the ordinary ones. */
	n_order = 0;
	event_loop_rank(urgent, false);
	event_active(ordinary, EV_TIMEOUT, 0);
	event_active(urgent, EV_TIMEOUT, 0);
	event_base_loop(base, EVLOOP_NONBLOCK);
	assert_memory_equal(order, "ou", 2);
	event_free(ordinary);
	event_free(urgent);
	event_base_free(base);
}

/* A byte that arrives while a long row of ordinary work is under way. */
static evutil_socket_t pair[2];

static void write_first(evutil_socket_t fd, short what, void *data)
{
	if (n_order == 0)
		assert_int_equal(send(pair[1], "x", 1, 0), 1);
	note(fd, what, data);
}

static void test_ordinary_work_looks_up(void **state)
{
	struct event_base *base = event_loop_new();
	struct event *ordinary[N_ORDINARY];

	(void)state;
	n_order = 0;
	assert_int_equal(evutil_socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	struct event *urgent = event_new(base, pair[0], EV_READ, note, (void *)"u");
	event_loop_rank(urgent, true);
	event_add(urgent, NULL);
	for (size_t i = 0; i < N_ORDINARY; i++) {
		ordinary[i] = event_new(base, -1, 0, write_first, (void *)"o");
		event_active(ordinary[i], EV_TIMEOUT, 0);
	}
	for (int i = 0; i < 2 * N_ORDINARY && n_order <= N_ORDINARY; i++)
		event_base_loop(base, EVLOOP_NONBLOCK);
	assert_int_equal(n_order, N_ORDINARY + 1);
	const char *at = memchr(order, 'u', n_order);
	assert_non_null(at);
	assert_true(at - order <= EVENT_LOOP_BATCH);
	for (size_t i = 0; i < N_ORDINARY; i++)
		event_free(ordinary[i]);
	event_free(urgent);
	event_base_free(base);
	evutil_closesocket(pair[0]);
	evutil_closesocket(pair[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_urgent_first),
		cmocka_unit_test(test_ordinary_work_looks_up),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
