/* router: one parsed request of one container to one response. No I/O; the clock is passed in.
 *
 * It decides everything: method, Host, token, path, role. What it does not know is 404; what a
 * retry can cure is 503 with Retry-After. It never waits and calls no one.
 */
#pragma once

#include "core/container.h"
#include "wire/http_request.h"
#include "wire/http_response.h"

/* What a connection remembers: the token it verified last, so that a client which sends the same
 * one again and again costs one comparison instead of one HMAC. */
struct router_memo {
	char token[TOKEN_LEN];
	int64_t expires_ms; /* 0: nothing remembered */
};

struct router {
	struct buf scratch; /* bodies made for one answer (listings, tokens) */
};

void router_init(struct router *router);
void router_deinit(struct router *router);

/* router_answer(router, c, request, memo, now_ms, ret_token): `ret_token_issued` tells that the
 * body is a session token, which must leave with the container's hop limit as its IP TTL. The
 * response points into `router`, `c` or constants: print it before the next call. */
struct http_response router_answer(struct router *router, struct container *c,
				   const struct http_request *request, struct router_memo *memo,
				   int64_t now_ms, bool *ret_token_issued);
