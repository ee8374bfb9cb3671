#include "net/control_server.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/http.h>
#include <event2/http_struct.h>

#include "util/fd.h"
#include "util/log.h"
#include "util/process.h"

#define HEADERS_MAX 8192
#define BODY_MAX (64 * 1024)
#define IDLE_TIMEOUT_S 330	  /* longer than the longest wait_s */
#define STREAM_WRITE_TIMEOUT_S 60 /* for a reader that has stopped reading */
#define BACKLOG 512
#define GROUPS_MAX 256

struct control_request {
	TAILQ_ENTRY(control_request) link;
	struct control_server *server;
	struct evhttp_request *http;
	/* Kept here: when the client leaves, evhttp may take it away from the request first. */
	struct evhttp_connection *connection;
	char *path;
	struct control_peer peer;
	void (*gone)(void *);
	void *gone_data;
};

TAILQ_HEAD(control_request_list, control_request);

struct control_server {
	struct evhttp *http;
	gid_t group;
	bool has_group;
	control_handler *handler;
	void *data;
	struct control_request_list requests;
};

static bool find_group(const char *name, gid_t *ret)
{
	const struct group *group = getgrnam(name);

	if (group)
		*ret = group->gr_gid;
	return group != NULL;
}

/* By a descriptor: the directory may be rolegated's user's, and root must not be led elsewhere by what
 * lies there under that name by now. */
static int give_to_group(const char *path, gid_t group)
{
	struct stat st;

	_cleanup_fd_ int fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;
	return fchownat(fd, "", (uid_t)-1, group, AT_EMPTY_PATH) < 0 ? -errno : 0;
}

/* Bound under another name, then renamed: while a new daemon takes over from an old one, there is
 * no moment without a socket, and the old one's stays connected to whom it serves. */
static int bind_aside(int fd, const char *path, gid_t group, bool has_group)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	int n = snprintf(address.sun_path, sizeof(address.sun_path), "%s.%d", path, (int)getpid());
	if (n < 0 || (size_t)n >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	const char *aside = address.sun_path;
	(void)unlink(aside); /* of one that had our pid, and was killed here */
	/* The mode of the descriptor becomes that of the file. Nobody can connect before listen(). */
	mode_t old = umask(0117);
	int r = fchmod(fd, has_group ? 0660 : 0600) < 0 ||
				bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0
			? -errno
			: 0;
	umask(old);
	if (r < 0)
		return r;
	if (has_group)
		r = give_to_group(aside, group);
	if (r == 0 && listen(fd, BACKLOG) < 0)
		r = -errno;
	if (r == 0 && rename(aside, path) < 0)
		r = -errno;
	if (r < 0)
		(void)unlink(aside);
	return r;
}

static int bind_socket(const char *path, gid_t group, bool has_group)
{
	struct stat st;

	/* A socket left by a daemon that was killed, or of one that still serves; anything else in
	 * its place is not ours. */
	if (lstat(path, &st) == 0 && !S_ISSOCK(st.st_mode))
		return -EEXIST;
	_cleanup_fd_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	int r = bind_aside(fd, path, group, has_group);
	if (r < 0)
		return r;
	int taken = fd;
	fd = -1;
	return taken;
}

int control_server_listen(const char *path, const char *group, int *ret_fd, struct diag *diag)
{
	gid_t gid = 0;
	bool has_group = find_group(group, &gid);

	if (!has_group)
		log_warning(NULL, "there is no group %s: only root may use the control socket",
			    group);
	int fd = bind_socket(path, gid, has_group);
	if (fd < 0)
		return diag_fail(-fd, diag, "socket", "cannot listen on %s: %s", path,
				 fd == -EEXIST ? "something that is no socket is in its place"
					       : strerror(-fd));
	*ret_fd = fd;
	return 0;
}

/* Is the peer in the control group, as its main group or one of the others? */
static bool in_group(int fd, const struct ucred *cred, gid_t group)
{
	gid_t groups[GROUPS_MAX];
	socklen_t len = sizeof(groups);

	if (cred->gid == group)
		return true;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &len) < 0)
		return false;
	for (size_t i = 0; i < len / sizeof(gid_t); i++)
		if (groups[i] == group)
			return true;
	return false;
}

static bool peer_allowed(const struct control_server *server, int fd, struct control_peer *ret)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
		return false;
	*ret = (struct control_peer){.pid = cred.pid,
				     .uid = cred.uid,
				     .gid = cred.gid,
				     .loginuid = process_loginuid(cred.pid)};
	return cred.uid == 0 || cred.uid == geteuid() ||
	       (server->has_group && in_group(fd, &cred, server->group));
}

static void request_free(struct control_request *request)
{
	TAILQ_REMOVE(&request->server->requests, request, link);
	free(request->path);
	free(request);
}

/* The connection closed under a request that waits for its answer; evhttp frees its own. */
static void on_close(struct evhttp_connection *connection, void *data)
{
	struct control_server *server = data;
	struct control_request *request, *next;

	for (request = TAILQ_FIRST(&server->requests); request; request = next) {
		next = TAILQ_NEXT(request, link);
		if (request->connection != connection)
			continue;
		if (!evhttp_request_get_connection(request->http))
			evhttp_request_free(request->http); /* it is ours alone by now */
		void (*gone)(void *) = request->gone;
		void *gone_data = request->gone_data;
		request_free(request);
		if (gone)
			gone(gone_data);
		return; /* evhttp serves one request a connection at a time */
	}
}

static void on_request(struct evhttp_request *http, void *data)
{
	struct control_server *server = data;
	struct evhttp_connection *connection = evhttp_request_get_connection(http);
	struct control_peer peer = {0};
	const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(http);
	const char *path = uri ? evhttp_uri_get_path(uri) : NULL;

	int fd = (int)bufferevent_getfd(evhttp_connection_get_bufferevent(connection));
	if (!peer_allowed(server, fd, &peer)) {
		log_warning(NULL, "refused a control request of uid %u (pid %d)", peer.uid,
			    (int)peer.pid);
		evhttp_send_error(http, 403, NULL);
		return;
	}
	struct control_request *request = calloc(1, sizeof(*request));
	size_t decoded_len = 0;
	char *decoded = evhttp_uridecode(path ? path : "", 0, &decoded_len);
	/* A decoded NUL would cut the path short: "a%00b" is not "a". */
	bool cut = decoded && strlen(decoded) != decoded_len;
	if (!request || !decoded || cut) {
		free(request);
		free(decoded);
		evhttp_send_error(http, cut ? 404 : 500, NULL);
		return;
	}
	request->server = server;
	request->http = http;
	request->connection = connection;
	request->path = decoded;
	request->peer = peer;
	TAILQ_INSERT_TAIL(&server->requests, request, link);
	evhttp_connection_set_closecb(connection, on_close, server);
	server->handler(request, server->data);
}

int control_server_new(struct event_base *base, int fd, const char *group, control_handler *handler,
		       void *data, struct control_server **ret)
{
	struct control_server *server = calloc(1, sizeof(*server));

	if (!server)
		return -ENOMEM;
	server->handler = handler;
	server->data = data;
	server->has_group = find_group(group, &server->group);
	TAILQ_INIT(&server->requests);
	server->http = evhttp_new(base);
	if (!server->http) {
		free(server);
		return -ENOMEM;
	}
	evhttp_set_max_headers_size(server->http, HEADERS_MAX);
	evhttp_set_max_body_size(server->http, BODY_MAX);
	evhttp_set_timeout(server->http, IDLE_TIMEOUT_S);
	evhttp_set_allowed_methods(server->http, EVHTTP_REQ_GET | EVHTTP_REQ_HEAD | EVHTTP_REQ_PUT |
							 EVHTTP_REQ_POST | EVHTTP_REQ_DELETE);
	evhttp_set_gencb(server->http, on_request, server);
	if (evhttp_accept_socket(server->http, fd) < 0) {
		evhttp_free(server->http);
		free(server);
		return -ENOMEM;
	}
	*ret = server;
	return 0;
}

struct control_server *control_server_free(struct control_server *server)
{
	struct control_request *request;

	if (!server)
		return NULL;
	/* Whoever holds one of these to answer it later must let go of it first. */
	while ((request = TAILQ_FIRST(&server->requests))) {
		void (*gone)(void *) = request->gone;
		void *gone_data = request->gone_data;
		request_free(request);
		if (gone)
			gone(gone_data);
	}
	evhttp_free(server->http);
	free(server);
	return NULL;
}

const char *control_request_method(const struct control_request *request)
{
	switch (evhttp_request_get_command(request->http)) {
	case EVHTTP_REQ_GET:
		return "GET";
	case EVHTTP_REQ_HEAD:
		return "HEAD";
	case EVHTTP_REQ_PUT:
		return "PUT";
	case EVHTTP_REQ_POST:
		return "POST";
	case EVHTTP_REQ_DELETE:
		return "DELETE";
	default:
		return "";
	}
}

const char *control_request_path(const struct control_request *request)
{
	return request->path;
}

const char *control_request_body(const struct control_request *request, size_t *ret_len)
{
	struct evbuffer *body = evhttp_request_get_input_buffer(request->http);

	*ret_len = evbuffer_get_length(body);
	return *ret_len ? (const char *)evbuffer_pullup(body, -1) : "";
}

struct control_peer control_request_peer(const struct control_request *request)
{
	return request->peer;
}

void control_request_on_gone(struct control_request *request, void (*cb)(void *), void *data)
{
	request->gone = cb;
	request->gone_data = data;
}

static const char *reason(int status)
{
	switch (status) {
	case 200:
		return "OK";
	case 201:
		return "Created";
	case 202:
		return "Accepted";
	case 204:
		return "No Content";
	case 400:
		return "Bad Request";
	case 403:
		return "Forbidden";
	case 404:
		return "Not Found";
	case 405:
		return "Method Not Allowed";
	case 409:
		return "Conflict";
	case 422:
		return "Unprocessable Content";
	case 503:
		return "Service Unavailable";
	case 504:
		return "Gateway Timeout";
	default:
		return "Internal Server Error";
	}
}

void control_reply(struct control_request *request, int status, const char *type, const char *body)
{
	struct evhttp_request *http = request->http;
	struct evbuffer *out = evbuffer_new();

	request_free(request);
	if (type)
		evhttp_add_header(evhttp_request_get_output_headers(http), "Content-Type", type);
	if (out && type)
		evbuffer_add(out, body, strlen(body));
	evhttp_send_reply(http, status, reason(status), out);
	if (out)
		evbuffer_free(out);
}

static struct bufferevent *stream_of(const struct control_request *request)
{
	return evhttp_connection_get_bufferevent(request->connection);
}

void control_stream_start(struct control_request *request, const char *type)
{
	static const struct timeval write_timeout = {.tv_sec = STREAM_WRITE_TIMEOUT_S};

	evhttp_add_header(evhttp_request_get_output_headers(request->http), "Content-Type", type);
	evhttp_send_reply_start(request->http, 200, reason(200));
	/* Silence is no fault here: neither side need say anything for hours. */
	bufferevent_set_timeouts(stream_of(request), NULL, &write_timeout);
}

void control_stream_send(struct control_request *request, const char *text, size_t len)
{
	struct evbuffer *chunk = evbuffer_new();

	if (!chunk)
		return;
	if (evbuffer_add(chunk, text, len) == 0)
		evhttp_send_reply_chunk(request->http, chunk);
	evbuffer_free(chunk);
}

size_t control_stream_pending(const struct control_request *request)
{
	return evbuffer_get_length(bufferevent_get_output(stream_of(request)));
}

void control_stream_end(struct control_request *request)
{
	struct evhttp_request *http = request->http;

	request_free(request);
	evhttp_send_reply_end(http);
}
