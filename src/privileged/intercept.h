/* intercept: the whole of what stands inside a container's netns: lo, routes, listeners, rules.
 *
 * All calls act on the netns of the calling process: a worker that has entered it. They may be
 * repeated over whatever a crash left behind.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "util/diag.h"

#define INTERCEPT_LISTENERS_MAX 2

struct intercept {
	int listeners[INTERCEPT_LISTENERS_MAX]; /* 127.0.0.1, then [::1]; -1: none */
	size_t n_listeners;
};

/* intercept_open(port, ret, diag): listeners first, then the rules that send traffic to them. On
 * failure everything is undone in reverse order. The listeners are the caller's. 0 or -errno. */
int intercept_open(uint16_t port, struct intercept *ret, struct diag *diag);

/* intercept_ensure(port, diag): the same around listeners that exist already. */
int intercept_ensure(uint16_t port, struct diag *diag);

/* intercept_close(diag): rules and routes are gone; listeners are closed by who holds them. */
int intercept_close(struct diag *diag);
