#include "net/control_connection.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <event2/buffer.h>

#include "net/control_tls.h"
#include "util/clock.h"
#include "util/fd.h"
#include "util/log.h"
#include "wire/container_json.h"
#include "wire/hex.h"

#define BODY_MAX (64 * 1024)
#define IN_MAX (HTTP_HEAD_MAX + BODY_MAX)
/* A client that does not read its answers gets no more of them than this before it does. */
#define OUT_MAX (256 * 1024)
#define WRITE_TIMEOUT_S 60 /* for one that has stopped reading */

static const int state_s[] = {
	[CONTROL_HANDSHAKE] = 10, [CONTROL_IDLE] = 330,	 [CONTROL_READING] = 10,
	[CONTROL_ANSWERING] = 0,  [CONTROL_LEAVING] = 0, /* see WRITE_TIMEOUT_S */
	[CONTROL_DRAINING] = 2,
};

static void enter(struct control_connection *c, enum control_state state)
{
	struct timeval tv = {.tv_sec = state_s[state]};

	c->state = state;
	if (tv.tv_sec > 0)
		event_add(c->deadline, &tv);
	else
		event_del(c->deadline);
}

static void touch(struct control_connection *c)
{
	TAILQ_REMOVE(&c->door->connections, c, link);
	TAILQ_INSERT_TAIL(&c->door->connections, c, link);
}

static void request_reset(struct control_request *request)
{
	free(request->path);
	buf_deinit(&request->body);
	*request = (struct control_request){.connection = request->connection};
}

void control_connection_free(struct control_connection *c)
{
	if (c->freed)
		*c->freed = true;
	if (c->request.open && c->request.gone)
		c->request.gone(c->request.gone_data);
	request_reset(&c->request);
	TAILQ_REMOVE(&c->door->connections, c, link);
	c->door->n_connections--;
	event_free(c->deadline);
	bufferevent_free(c->bev);
	free(c);
}

/* Answering */

static struct evbuffer *output(const struct control_connection *c)
{
	return bufferevent_get_output(c->bev);
}

/* With the code and the message of those that are refused here. */
static const struct {
	int status;
	const char *reason, *code, *message;
} statuses[] = {
	{200, "OK", NULL, NULL},
	{201, "Created", NULL, NULL},
	{202, "Accepted", NULL, NULL},
	{204, "No Content", NULL, NULL},
	{400, "Bad Request", "bad_request", "this is no HTTP/1.1 request"},
	{403, "Forbidden", "forbidden", "root and the group of [control] group may call"},
	{404, "Not Found", NULL, NULL},
	{405, "Method Not Allowed", NULL, NULL},
	{408, "Request Timeout", "timeout", "the request did not come whole in 10 seconds"},
	{409, "Conflict", NULL, NULL},
	{413, "Content Too Large", "too_large", "the body is larger than 65536 bytes"},
	{414, "URI Too Long", "too_large", "the path is longer than 2048 bytes"},
	{417, "Expectation Failed", "bad_request", "only 100-continue can be expected"},
	{422, "Unprocessable Content", NULL, NULL},
	{431, "Request Header Fields Too Large", "too_large",
	 "the head is larger than 8192 bytes or has more than 64 headers"},
	{501, "Not Implemented", "bad_request", "the only transfer encoding is chunked"},
	{503, "Service Unavailable", NULL, NULL},
	{504, "Gateway Timeout", NULL, NULL},
	{505, "HTTP Version Not Supported", "bad_request", "HTTP/1.1 is spoken here"},
	/* The last: for all that is not here. */
	{500, "Internal Server Error", "internal", "out of memory"},
};

static size_t find_status(int status)
{
	size_t i = 0;

	while (statuses[i].status != status && i + 1 < sizeof(statuses) / sizeof(statuses[0]))
		i++;
	return i;
}

void control_connection_head(struct control_connection *c, int status, const char *type,
			     int64_t length)
{
	struct evbuffer *out = output(c);
	const struct control_request *request = &c->request;
	char date[CLOCK_HTTP_DATE_SIZE];

	clock_format_http_date(clock_wall_s(), date);
	evbuffer_add_printf(out, "HTTP/1.1 %d %s\r\nDate: %s\r\n", status,
			    statuses[find_status(status)].reason, date);
	if (type)
		evbuffer_add_printf(out, "Content-Type: %s\r\n", type);
	if (length >= 0 && status != 204)
		evbuffer_add_printf(out, "Content-Length: %" PRId64 "\r\n", length);
	else if (length < 0 && request->minor > 0)
		evbuffer_add_printf(out, "Transfer-Encoding: chunked\r\n");
	if (!request->keep_alive)
		evbuffer_add_printf(out, "Connection: close\r\n");
	else if (request->minor == 0)
		evbuffer_add_printf(out, "Connection: keep-alive\r\n");
	evbuffer_add(out, "\r\n", 2);
}

void control_connection_reply(struct control_connection *c, int status, const char *type,
			      const char *body)
{
	size_t len = type ? strlen(body) : 0;

	control_connection_head(c, status, type, (int64_t)len);
	if (c->request.method != HTTP_HEAD)
		evbuffer_add(output(c), body, len);
	control_connection_answered(c);
}

/* What is refused before it is a request, or whoever asks. The connection ends with it: where the
 * next request would begin is not known. */
void control_connection_refuse(struct control_connection *c, int status)
{
	size_t i = find_status(status);
	_cleanup_buf_ struct buf body = {0};
	struct diag diag = {0};

	diag_set(&diag, NULL, "%s", statuses[i].message);
	control_json_error(statuses[i].code, &diag, &body);
	buf_puts(&body, "\n");
	c->request.keep_alive = false;
	control_connection_reply(c, status, "application/json", buf_ok(&body) ? body.data : "");
}

/* All is sent; the client is told so. */
static void finish(struct control_connection *c)
{
	control_tls_shutdown(c->bev);
	(void)shutdown(bufferevent_getfd(c->bev), SHUT_WR);
	if (c->half_closed)
		control_connection_free(c);
	else
		enter(c, CONTROL_DRAINING);
}

static void leave(struct control_connection *c)
{
	enter(c, CONTROL_LEAVING);
	if (evbuffer_get_length(output(c)) == 0)
		finish(c);
}

/* Taking requests */

/* The path, without its query, decoded. What is no escape, or one of NUL, stays as it is: no call and
 * no id has a "%". */
static char *decode_path(struct http_slice target)
{
	const char *query = memchr(target.at, '?', target.len);
	size_t len = query ? (size_t)(query - target.at) : target.len, n = 0;
	char *path = malloc(len + 1);

	for (size_t i = 0; path && i < len; i++) {
		char byte = target.at[i];
		int high = byte == '%' && i + 2 < len ? hex_digit(target.at[i + 1]) : -1;
		int low = high >= 0 ? hex_digit(target.at[i + 2]) : -1;
		if (low >= 0 && high + low > 0) {
			byte = (char)(high * 16 + low);
			i += 2;
		}
		path[n++] = byte;
	}
	if (path)
		path[n] = '\0';
	return path;
}

/* A head has come whole; what it says is kept. */
static bool begin_request(struct control_connection *c, const struct http_request *head)
{
	struct control_request *request = &c->request;

	request->method = head->method;
	request->minor = head->minor;
	request->keep_alive = head->keep_alive;
	request->path = decode_path(head->target);
	int status = http_body_start(head, BODY_MAX, &c->reading);
	if (!request->path)
		status = 500;
	if (status != 0) {
		control_connection_refuse(c, status);
		return false;
	}
	if (head->expect_continue && (head->chunked || head->content_length > 0))
		evbuffer_add_printf(output(c), "HTTP/1.1 100 Continue\r\n\r\n");
	c->has_head = true;
	return true;
}

/* More must come first: by the same deadline as the rest. */
static bool wait_for_more(struct control_connection *c)
{
	if (c->state != CONTROL_READING)
		enter(c, CONTROL_READING);
	return false;
}

static bool take_head(struct control_connection *c)
{
	struct evbuffer *in = bufferevent_get_input(c->bev);
	size_t len = evbuffer_get_length(in);
	struct http_request head;
	int status = 0;

	if (len == 0)
		return false;
	if (len > HTTP_HEAD_MAX)
		len = HTTP_HEAD_MAX;
	const char *data = (const char *)evbuffer_pullup(in, (ev_ssize_t)len);
	enum http_parse parsed =
		data ? http_request_parse(data, len, 0, &head, &status) : HTTP_PARSE_BAD;
	if (parsed == HTTP_PARSE_PARTIAL)
		return wait_for_more(c);
	if (parsed == HTTP_PARSE_BAD) {
		control_connection_refuse(c, status ? status : 500);
		return false;
	}
	bool good = begin_request(c, &head);
	if (good)
		evbuffer_drain(in, head.head_len);
	return good;
}

static bool take_body(struct control_connection *c)
{
	struct evbuffer *in = bufferevent_get_input(c->bev);
	size_t len = evbuffer_get_length(in), used = 0;
	int status = 0;

	const char *data = len > 0 ? (const char *)evbuffer_pullup(in, -1) : "";
	enum http_parse parsed =
		data ? http_body_feed(&c->reading, data, len, &used, &c->request.body, &status)
		     : HTTP_PARSE_BAD;
	if (parsed == HTTP_PARSE_BAD || !buf_ok(&c->request.body)) {
		control_connection_refuse(c, status ? status : 500);
		return false;
	}
	evbuffer_drain(in, used);
	return parsed == HTTP_PARSE_PARTIAL ? wait_for_more(c) : true;
}

/* One request, if there is a whole one and it is its turn. */
static bool take_request(struct control_connection *c)
{
	bool reads = c->state == CONTROL_IDLE || c->state == CONTROL_READING;

	if (!reads || evbuffer_get_length(output(c)) > OUT_MAX)
		return false;
	if ((!c->has_head && !take_head(c)) || !take_body(c))
		return false;
	c->has_head = false;
	c->request.open = true;
	enter(c, CONTROL_ANSWERING);
	touch(c);
	if (c->allowed)
		c->door->server->handler(&c->request, c->door->server->data);
	else
		control_connection_refuse(c, 403);
	return true;
}

static void take_requests(struct control_connection *c)
{
	bool freed = false;

	c->taking = true;
	c->freed = &freed;
	while (!freed && take_request(c))
		;
	if (freed)
		return;
	c->taking = false;
	c->freed = NULL;
	/* What is not whole now will never be. */
	if (c->half_closed && (c->state == CONTROL_IDLE || c->state == CONTROL_READING))
		leave(c);
}

void control_connection_answered(struct control_connection *c)
{
	bool more = c->request.keep_alive;

	request_reset(&c->request);
	c->has_head = false;
	touch(c);
	if (!more) {
		leave(c);
		return;
	}
	enter(c, CONTROL_IDLE);
	if (!c->taking)
		take_requests(c);
}

/* What happens on the connection */

static void on_read(struct bufferevent *bev, void *data)
{
	struct control_connection *c = data;

	if (c->state == CONTROL_LEAVING || c->state == CONTROL_DRAINING)
		evbuffer_drain(bufferevent_get_input(bev),
			       evbuffer_get_length(bufferevent_get_input(bev)));
	else if (!c->taking)
		take_requests(c);
}

static void on_written(struct bufferevent *bev, void *data)
{
	struct control_connection *c = data;

	(void)bev;
	/* By TLS it comes late: meanwhile there may be more to write. */
	if (c->state == CONTROL_LEAVING && evbuffer_get_length(output(c)) == 0)
		finish(c);
	else if (!c->taking)
		take_requests(c); /* what had to wait for room */
}

static void on_verified(struct control_connection *c)
{
	if (!control_tls_subject(c->bev, c->subject, sizeof(c->subject))) {
		control_connection_free(c);
		return;
	}
	c->allowed = true;
	enter(c, CONTROL_IDLE);
}

static void log_handshake(struct control_connection *c)
{
	int64_t now_ms = clock_now_ms();
	char why[256];

	control_tls_failure(c->bev, why, sizeof(why));
	if (c->door->complained_ms != 0 && now_ms - c->door->complained_ms < 1000)
		return;
	c->door->complained_ms = now_ms;
	log_warning(NULL, "refused a TLS client at %s: %s", c->address, why);
}

/* Has the client closed for good, so that no answer can reach it? */
static bool is_closed(const struct control_connection *c)
{
	struct pollfd pfd = {.fd = bufferevent_getfd(c->bev)};

	return poll(&pfd, 1, 0) < 0 || (pfd.revents & (POLLHUP | POLLERR));
}

static void on_end(struct control_connection *c)
{
	bool waits = c->state == CONTROL_ANSWERING && !c->request.streams;
	bool has_answer = evbuffer_get_length(output(c)) > 0;

	if ((!waits && !has_answer) || c->request.streams || is_closed(c)) {
		control_connection_free(c);
		return;
	}
	c->half_closed = true;
	bufferevent_disable(c->bev, EV_READ);
	if (c->state == CONTROL_IDLE || c->state == CONTROL_READING)
		leave(c);
}

static void on_event(struct bufferevent *bev, short what, void *data)
{
	struct control_connection *c = data;

	(void)bev;
	if (what & BEV_EVENT_CONNECTED) {
		on_verified(c);
		return;
	}
	if (c->state == CONTROL_HANDSHAKE)
		log_handshake(c);
	if ((what & BEV_EVENT_EOF) && c->state != CONTROL_HANDSHAKE)
		on_end(c);
	else
		control_connection_free(c);
}

static void on_deadline(evutil_socket_t fd, short what, void *data)
{
	struct control_connection *c = data;

	(void)fd;
	(void)what;
	if (c->state == CONTROL_READING)
		control_connection_refuse(c, 408);
	else
		control_connection_free(c);
}

void control_connection_new(struct control_door *door, int fd, const char *address)
{
	static const struct timeval write_timeout = {.tv_sec = WRITE_TIMEOUT_S};
	struct event_base *base = door->server->base;
	struct control_connection *c = calloc(1, sizeof(*c));

	if (c)
		c->deadline = event_new(base, -1, 0, on_deadline, c);
	if (c && c->deadline)
		c->bev = door->tls ? control_tls_accept(door->tls, base, fd)
				   : bufferevent_socket_new(base, fd, BEV_OPT_CLOSE_ON_FREE);
	if (!c || !c->bev) {
		if (c && c->deadline)
			event_free(c->deadline);
		free(c);
		fd_close(fd);
		return;
	}
	c->door = door;
	c->request.connection = c;
	TAILQ_INSERT_TAIL(&door->connections, c, link);
	door->n_connections++;
	if (door->tls) {
		snprintf(c->address, sizeof(c->address), "%s", address);
		c->peer = (struct control_peer){
			.pid = -1, .uid = (uid_t)-1, .gid = (gid_t)-1, .loginuid = -1};
		c->peer.subject = c->subject;
		c->peer.address = c->address;
	} else {
		c->allowed = control_socket_peer(fd, door->server->group, &c->peer);
	}
	if (!c->allowed && !door->tls)
		log_warning(NULL, "refused uid %u (pid %d) on the control socket", c->peer.uid,
			    (int)c->peer.pid);
	bufferevent_setcb(c->bev, on_read, on_written, on_event, c);
	bufferevent_setwatermark(c->bev, EV_READ, 0, IN_MAX);
	bufferevent_set_timeouts(c->bev, NULL, &write_timeout);
	enter(c, door->tls ? CONTROL_HANDSHAKE : CONTROL_IDLE);
	bufferevent_enable(c->bev, EV_READ | EV_WRITE);
}
