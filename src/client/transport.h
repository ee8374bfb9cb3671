/* transport: one HTTP exchange over the control socket, blocking, with deadlines.
 *
 * A connection serves one request: calls are rare, and nothing then depends on the state in which
 * an earlier call left it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/buf.h"
#include "util/diag.h"

struct transport_request {
	const char *socket_path;
	const char *method;
	const char *path;
	const char *body; /* NULL: none */
	size_t body_len;
	int64_t connect_ms; /* how long connecting may take */
	int64_t reply_ms;   /* how long, from then on, the whole answer may; INT64_MAX: for ever */
};

/* How large an answer may be: a role map of some ten thousand containers. */
#define TRANSPORT_BODY_MAX ((size_t)32 * 1024 * 1024)

/* Called with what has come of the body of a 2xx answer so far, and may take from its front by
 * shortening it. Non-zero ends the exchange and is returned. */
typedef int (*transport_body_fn)(struct buf *body, void *user);

/* transport_exchange(request, on_body, user, ret_status, body, diag): send the request, receive the
 * whole answer. `on_body` may be NULL. 0 (whatever the status), -ENOTCONN, -ETIMEDOUT, -EBADMSG,
 * -EMSGSIZE, -ENOMEM, or what `on_body` returned. */
int transport_exchange(const struct transport_request *request, transport_body_fn on_body,
		       void *user, int *ret_status, struct buf *body, struct diag *diag);
