/* router: one parsed request of one container to one response. No I/O; the clock is passed in.
 *
 * It decides everything: dialect, method, Host, token, path, role. What it does not know is 404;
 * what a retry can cure is 503 with Retry-After. It calls no one: what it needs from outside it
 * asks for by its verdict, and is asked the same question again.
 *
 * A container may ask ROUTER_BURST times at once and then once every ROUTER_INTERVAL_MS; past that
 * it gets 429. What is cheap and what workloads depend on is not counted: session tokens, and
 * credentials as long as there are any.
 */
#pragma once

#include "core/container.h"
#include "core/dialect.h"
#include "core/metadata_cache.h"
#include "wire/http_request.h"
#include "wire/http_response.h"

#define ROUTER_INTERVAL_MS 2
#define ROUTER_BURST 1000

/* What a connection remembers. */
struct router_memo {
	/* The token it verified last, so that a client which sends the same one again and again
	 * costs one comparison instead of one HMAC. */
	char token[TOKEN_LEN];
	int64_t expires_ms; /* 0: nothing remembered */
	/* The service whose address the client connected to; UNKNOWN: not looked up, or the
	 * listener's own address. */
	enum dialect destination;
	bool destination_known;
	bool counted; /* the request at hand was asked about before */
};

struct router {
	struct metadata_cache *cache;
	const char *architecture;	  /* "x86_64", "arm64": as EC2 names it */
	struct metadata_allow host_allow; /* [imds] allow */
	struct buf scratch;		  /* bodies made for one answer (listings, tokens) */
};

/* `cache` must outlive it; `architecture` is kept as a pointer. */
void router_init(struct router *router, struct metadata_cache *cache, const char *architecture);
void router_deinit(struct router *router);

enum router_verdict {
	ROUTER_ANSWERED,
	ROUTER_WAIT,	    /* for `wait` to be answered by the host's metadata */
	ROUTER_DESTINATION, /* for memo->destination */
};

struct router_answer {
	/* Points into `router`, `c`, the cache or constants: print it before the next call. */
	struct http_response response;
	/* The body is a session token, which must leave with the container's hop limit as TTL. */
	bool token_issued;
	struct metadata_item *wait;
};

/* router_ask(router, c, request, memo, now_ms, final, ret): `final` ends the waiting: the answer is
 * what can be said now. */
enum router_verdict router_ask(struct router *router, struct container *c,
			       const struct http_request *request, struct router_memo *memo,
			       int64_t now_ms, bool final, struct router_answer *ret);
