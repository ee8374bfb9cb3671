/* control_server: the control API's transport: HTTP/1.1 with JSON on a Unix socket, and by TLS.
 *
 * It checks who connects (SO_PEERCRED: root, the daemon's own user, members of the control group;
 * by TLS: a certificate of the configured authority), bounds what they send, and hands whole
 * requests to one handler, which answers now or later. What is no request is answered here.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/queue.h>

#include <event2/event.h>

#include "net/control_socket.h"
#include "net/control_tls.h"

struct control_server;
struct control_request; /* one request; lives until it is answered */

/* The handler must answer every request once, now or later, with control_reply(). */
typedef void control_handler(struct control_request *request, void *data);

/* control_server_new(base, fd, group, handler, data, ret): serve the listening Unix socket `fd`,
 * which becomes the server's if this succeeds. */
int control_server_new(struct event_base *base, int fd, const char *group, control_handler *handler,
		       void *data, struct control_server **ret);

/* control_server_add_tls(server, fd, tls): serve a listening TCP socket too. Both become the
 * server's if this succeeds. */
int control_server_add_tls(struct control_server *server, int fd, struct control_tls *tls);

/* control_server_set_tls(server, tls): new connections are made with these certificates; those of
 * clients whom an authority vouched for that is not trusted any more end. `tls` becomes the
 * server's. Nothing but that happens without a TLS port. */
void control_server_set_tls(struct control_server *server, struct control_tls *tls);

/* control_server_leave_tls(server): someone else serves the TLS port from now on. */
void control_server_leave_tls(struct control_server *server);

struct control_server *control_server_free(struct control_server *server);

/* control_request_method: "GET", …; a HEAD is a GET whose answer's body is left out. "": of no
 * method that this program knows. */
const char *control_request_method(const struct control_request *request);
bool control_request_is_head(const struct control_request *request);
const char *control_request_path(const struct control_request *request); /* decoded; no query */
const char *control_request_body(const struct control_request *request, size_t *ret_len);
const struct control_peer *control_request_peer(const struct control_request *request);

/* control_request_on_gone(request, cb, data): the client left before its answer: cb runs once, and
 * the request is gone; do not answer it. cb NULL takes that back. */
void control_request_on_gone(struct control_request *request, void (*cb)(void *), void *data);

/* A reply without a foreseeable end: control_stream_start(), then lines as they come, then
 * control_stream_end() (the request is gone then), or the client leaves (see
 * control_request_on_gone()). control_stream_pending(): bytes that the client has not taken yet. */
void control_stream_start(struct control_request *request, const char *type);
void control_stream_send(struct control_request *request, const char *text, size_t len);
size_t control_stream_pending(const struct control_request *request);
void control_stream_end(struct control_request *request);

/* control_reply(request, status, type, body): answer with a body that is copied; `type` NULL: no
 * body, or with an error the one that the status has. */
void control_reply(struct control_request *request, int status, const char *type, const char *body);
