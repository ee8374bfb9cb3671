/* fetch: outgoing HTTP requests, libcurl's multi interface on the libevent loop.
 *
 * Redirects are never followed, no proxy is taken from the environment, only http and https are
 * spoken, replies are bounded. Header values and bodies that hold secrets are wiped.
 *
 * The process must ignore SIGPIPE: TLS writes to a connection the peer has closed. Names are
 * resolved in a short-lived thread of libcurl's (a seccomp filter has to allow it).
 */
#pragma once

#include <stdint.h>

#include <event2/event.h>

#include "util/buf.h"

struct fetch_loop; /* one for the process */
struct fetch;	   /* one request under way */

struct fetch_request {
	const char *method; /* "GET", "PUT", "POST" */
	const char *url;
	const char *const *headers; /* "Name: value", NULL-terminated; may be NULL */
	const void *body;	    /* copied; NULL: none */
	size_t body_len;
	const char *ca_file;	   /* NULL: the system's */
	const char *local_address; /* NULL: any */
	int64_t connect_timeout_ms;
	int64_t timeout_ms; /* the whole request */
	size_t reply_max;   /* larger bodies fail */
};

struct fetch_reply {
	int error;	      /* 0, or a negative errno: -ETIMEDOUT, -ECONNREFUSED, -EHOSTUNREACH
			       * (name resolution), -EPROTO (TLS), -EFBIG, -EIO (cut or malformed) */
	char error_text[256]; /* libcurl's words when error != 0 */
	int status;	      /* 0 when error kept it from being read */
	struct buf body;
	int64_t date_s;	     /* the Date header, seconds since the epoch; 0: none */
	char request_id[80]; /* x-amzn-requestid, or x-amz-request-id */
	int64_t token_ttl_s; /* X-aws-ec2-metadata-token-ttl-seconds; -1: none */
	char content_type[128];
	char last_modified[64];
};

/* The callback runs once, never before fetch_start() has returned; `reply` is valid during it.
 * The struct fetch is gone after it: the callback must forget its pointer. */
typedef void fetch_cb(const struct fetch_reply *reply, void *data);

int fetch_loop_new(struct event_base *base, struct fetch_loop **ret);
/* fetch_loop_free(loop): no fetch may be under way; NULL is fine. Returns NULL. */
struct fetch_loop *fetch_loop_free(struct fetch_loop *loop);

struct event_base *fetch_loop_base(const struct fetch_loop *loop);

/* fetch_start(loop, request, cb, data, ret): 0 or -errno (then cb will not run). */
int fetch_start(struct fetch_loop *loop, const struct fetch_request *request, fetch_cb *cb,
		void *data, struct fetch **ret);

/* fetch_cancel(f): stop it; the callback will not run. NULL is fine. Returns NULL. */
struct fetch *fetch_cancel(struct fetch *f);
