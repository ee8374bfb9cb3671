/* control_server: the control API's transport: HTTP/1.1 with JSON on a Unix socket, by evhttp.
 *
 * It checks who connects (SO_PEERCRED: root, the daemon's own user, members of the control group),
 * bounds what they send, and hands whole requests to one handler, which answers now or later.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

#include <event2/event.h>

#include "util/diag.h"

struct control_server;
struct control_request; /* one request; lives until it is answered */

struct control_peer {
	pid_t pid;
	uid_t uid;
	gid_t gid;
	int64_t loginuid; /* who logged in, whatever became of him by sudo; -1: nobody did */
};

/* The handler must answer every request once, now or later, with control_reply(). */
typedef void control_handler(struct control_request *request, void *data);

/* control_server_listen(path, group, ret_fd, diag): bind the socket (replacing a stale one) with
 * mode 0660 and the group, if it exists. Apart from _new, so that it can happen before privileges
 * are given up. */
int control_server_listen(const char *path, const char *group, int *ret_fd, struct diag *diag);

/* control_server_new(base, fd, group, handler, data, ret): serve the listening socket `fd`, which
 * becomes the server's. */
int control_server_new(struct event_base *base, int fd, const char *group, control_handler *handler,
		       void *data, struct control_server **ret);
struct control_server *control_server_free(struct control_server *server);

const char *control_request_method(const struct control_request *request); /* "GET", … */
const char *control_request_path(const struct control_request *request);   /* decoded; no query */
const char *control_request_body(const struct control_request *request, size_t *ret_len);
struct control_peer control_request_peer(const struct control_request *request);

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
 * body. */
void control_reply(struct control_request *request, int status, const char *type, const char *body);
