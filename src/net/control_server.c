#include "net/control_server.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <event2/buffer.h>
#include <event2/listener.h>

#include "net/control_connection.h"
#include "util/fd.h"
#include "util/log.h"

/* A thousand containers may be registered at once, each with a client that waits. */
#define UNIX_CONNECTIONS_MAX 4096
#define TLS_CONNECTIONS_MAX 128
/* Connections accepted in one go: a thousand would keep containers waiting. */
#define ACCEPT_BATCH 8
#define PAUSE_MS 100 /* after accept() found no descriptor */

static void format_address(const struct sockaddr *address, int len, char out[CONTROL_ADDRESS_SIZE])
{
	char host[48], port[8];

	if (getnameinfo(address, (socklen_t)len, host, sizeof(host), port, sizeof(port),
			NI_NUMERICHOST | NI_NUMERICSERV) != 0)
		snprintf(out, CONTROL_ADDRESS_SIZE, "unknown");
	else
		snprintf(out, CONTROL_ADDRESS_SIZE, strchr(host, ':') ? "[%s]:%s" : "%s:%s", host,
			 port);
}

/* The one that has been in this state for longest; NULL: none is. */
static struct control_connection *find_oldest(const struct control_door *door,
					      enum control_state state)
{
	struct control_connection *c;

	TAILQ_FOREACH (c, &door->connections, link)
		if (c->state == state)
			return c;
	return NULL;
}

/* Room for one more: at the cost of one that has not shown who it is, or that asks nothing. */
static bool make_room(struct control_door *door)
{
	if (door->n_connections < door->max)
		return true;
	struct control_connection *c = find_oldest(door, CONTROL_HANDSHAKE);
	if (!c)
		c = find_oldest(door, CONTROL_IDLE);
	if (c)
		control_connection_free(c);
	return c != NULL;
}

static void on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *address,
		      int len, void *data)
{
	static const char full[] = "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\n"
				   "Content-Type: application/json\r\nContent-Length: 82\r\n\r\n"
				   "{\"error\":{\"code\":\"too_many_connections\",\"message\":"
				   "\"ask again later\",\"field\":null}}";
	static const struct timeval next_turn = {0, 0};
	struct control_door *door = data;
	char peer[CONTROL_ADDRESS_SIZE] = "";

	if (++door->accepted % ACCEPT_BATCH == 0 && event_add(door->resume, &next_turn) == 0)
		evconnlistener_disable(listener);
	if (!make_room(door)) {
		if (!door->tls)
			(void)send(fd, full, sizeof(full) - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
		fd_close(fd);
		return;
	}
	if (door->tls)
		format_address(address, len, peer);
	control_connection_new(door, fd, peer);
}

static void on_accept_error(struct evconnlistener *listener, void *data)
{
	static const struct timeval pause = {.tv_usec = PAUSE_MS * 1000};
	struct control_door *door = data;

	/* No descriptors, as a rule: what waits in the backlog would wake us without end. */
	log_warning(NULL, "cannot accept a control connection: %s", strerror(errno));
	evconnlistener_disable(listener);
	event_add(door->resume, &pause);
}

static void on_resume(evutil_socket_t fd, short what, void *data)
{
	struct control_door *door = data;

	(void)fd;
	(void)what;
	evconnlistener_enable(door->listener);
}

static int door_open(struct control_door *door, struct event_base *base, int fd)
{
	door->resume = event_new(base, -1, 0, on_resume, door);
	if (door->resume)
		door->listener = evconnlistener_new(base, on_accept, door,
						    LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC,
						    0 /* it listens already */, fd);
	if (!door->listener)
		return -ENOMEM;
	evconnlistener_set_error_cb(door->listener, on_accept_error);
	return 0;
}

static void door_stop(struct control_door *door)
{
	if (door->listener)
		evconnlistener_free(door->listener);
	if (door->resume)
		event_free(door->resume);
	door->listener = NULL;
	door->resume = NULL;
}

static void door_close(struct control_door *door)
{
	struct control_connection *c;

	door_stop(door);
	while ((c = TAILQ_FIRST(&door->connections)))
		control_connection_free(c);
	door->tls = control_tls_free(door->tls);
}

static size_t unix_connections_max(void)
{
	struct rlimit files;

	/* Most of the descriptors are the containers'. */
	if (getrlimit(RLIMIT_NOFILE, &files) < 0 || files.rlim_cur / 4 > UNIX_CONNECTIONS_MAX)
		return UNIX_CONNECTIONS_MAX;
	return files.rlim_cur / 4 + 1;
}

int control_server_new(struct event_base *base, int fd, const char *group, control_handler *handler,
		       void *data, struct control_server **ret)
{
	struct control_server *server = calloc(1, sizeof(*server));

	if (!server)
		return -ENOMEM;
	server->base = base;
	server->handler = handler;
	server->data = data;
	server->group = control_group_find(group);
	server->unix_door.server = server->tls_door.server = server;
	server->unix_door.max = unix_connections_max();
	server->tls_door.max = TLS_CONNECTIONS_MAX;
	TAILQ_INIT(&server->unix_door.connections);
	TAILQ_INIT(&server->tls_door.connections);
	if (door_open(&server->unix_door, base, fd) < 0) {
		control_server_free(server);
		return -ENOMEM;
	}
	*ret = server;
	return 0;
}

int control_server_add_tls(struct control_server *server, int fd, struct control_tls *tls)
{
	int r = door_open(&server->tls_door, server->base, fd);

	if (r == 0)
		server->tls_door.tls = tls;
	return r;
}

void control_server_set_tls(struct control_server *server, struct control_tls *tls)
{
	struct control_door *door = &server->tls_door;
	struct control_connection *c;

	if (!door->tls) {
		control_tls_free(tls);
		return;
	}
	bool same = control_tls_trusts_as(door->tls, tls);
	control_tls_free(door->tls);
	door->tls = tls;
	while (!same && (c = TAILQ_FIRST(&door->connections)))
		control_connection_free(c);
}

void control_server_leave_tls(struct control_server *server)
{
	door_stop(&server->tls_door);
}

struct control_server *control_server_free(struct control_server *server)
{
	if (!server)
		return NULL;
	door_close(&server->unix_door);
	door_close(&server->tls_door);
	free(server);
	return NULL;
}

const char *control_request_method(const struct control_request *request)
{
	static const char *const names[] = {
		[HTTP_GET] = "GET",	  [HTTP_HEAD] = "GET",	    [HTTP_PUT] = "PUT",
		[HTTP_POST] = "POST",	  [HTTP_DELETE] = "DELETE", [HTTP_OPTIONS] = "OPTIONS",
		[HTTP_OTHER_METHOD] = "",
	};

	return names[request->method];
}

bool control_request_is_head(const struct control_request *request)
{
	return request->method == HTTP_HEAD;
}

const char *control_request_path(const struct control_request *request)
{
	return request->path;
}

const char *control_request_body(const struct control_request *request, size_t *ret_len)
{
	*ret_len = request->body.len;
	return request->body.data ? request->body.data : "";
}

const struct control_peer *control_request_peer(const struct control_request *request)
{
	return &request->connection->peer;
}

void control_request_on_gone(struct control_request *request, void (*cb)(void *), void *data)
{
	request->gone = cb;
	request->gone_data = data;
}

void control_reply(struct control_request *request, int status, const char *type, const char *body)
{
	if (!type && status >= 400)
		control_connection_refuse(request->connection, status);
	else
		control_connection_reply(request->connection, status, type, body);
}

static struct evbuffer *output(const struct control_request *request)
{
	return bufferevent_get_output(request->connection->bev);
}

void control_stream_start(struct control_request *request, const char *type)
{
	request->streams = true;
	if (request->minor == 0)
		request->keep_alive = false; /* its end is the stream's */
	control_connection_head(request->connection, 200, type, -1);
	request->keep_alive = false; /* in any case: it may end at any moment */
}

void control_stream_send(struct control_request *request, const char *text, size_t len)
{
	struct evbuffer *out = output(request);

	if (request->minor == 0)
		evbuffer_add(out, text, len);
	else
		evbuffer_add_printf(out, "%zx\r\n%.*s\r\n", len, (int)len, text);
}

size_t control_stream_pending(const struct control_request *request)
{
	return evbuffer_get_length(output(request));
}

void control_stream_end(struct control_request *request)
{
	if (request->minor > 0)
		evbuffer_add_printf(output(request), "0\r\n\r\n");
	control_connection_answered(request->connection);
}
