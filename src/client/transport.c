#include "client/transport.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "util/clock.h"
#include "util/fd.h"
#include "wire/http_reply.h"

static int64_t deadline_after(int64_t ms)
{
	return ms == INT64_MAX ? INT64_MAX : clock_now_ms() + ms;
}

/* Wait until the socket is ready. 0, -ETIMEDOUT or -errno. */
static int wait_for(int fd, short events, int64_t deadline)
{
	struct pollfd pfd = {.fd = fd, .events = events};

	for (;;) {
		int timeout = -1;
		if (deadline != INT64_MAX) {
			int64_t left = deadline - clock_now_ms();
			if (left < 0)
				return -ETIMEDOUT;
			timeout = left > 60000 ? 60000 : (int)left;
		}
		int n = poll(&pfd, 1, timeout);
		if (n > 0)
			return 0;
		if (n < 0 && errno != EINTR)
			return -errno;
	}
}

/* A full backlog makes a non-blocking connect() to a Unix socket fail with EAGAIN, and poll() does
 * not wait for it to empty: so this blocks, bounded by the send timeout, which Linux applies. */
static int connect_within(int fd, const struct sockaddr_un *address, int64_t ms)
{
	struct timeval timeout = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 + 1};

	if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout)) < 0)
		return -errno;
	int r;
	do {
		r = connect(fd, (const struct sockaddr *)address, sizeof(*address));
	} while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : 0;
}

static int open_socket(const struct transport_request *request, int *ret, struct diag *diag)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	if (strlen(request->socket_path) >= sizeof(address.sun_path))
		return diag_fail(EINVAL, diag, NULL, "%s is too long for a socket's path",
				 request->socket_path);
	memcpy(address.sun_path, request->socket_path, strlen(request->socket_path));
	_cleanup_fd_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int r = fd < 0 ? -errno : connect_within(fd, &address, request->connect_ms);
	switch (r) {
	case 0:
		*ret = fd;
		fd = -1;
		return 0;
	case -ENOENT:
	case -ECONNREFUSED:
		return diag_fail(ENOTCONN, diag, NULL, "no daemon listens at %s: %s",
				 request->socket_path, strerror(-r));
	case -EACCES:
	case -EPERM:
		return diag_fail(ENOTCONN, diag, NULL,
				 "%s: %s (root and the group in [control] group may connect)",
				 request->socket_path, strerror(-r));
	case -EAGAIN:
		return diag_fail(ENOTCONN, diag, NULL, "the daemon at %s does not take connections",
				 request->socket_path);
	default:
		return diag_fail(ENOTCONN, diag, NULL, "cannot connect to %s: %s",
				 request->socket_path, strerror(-r));
	}
}

static int no_answer(int r, struct diag *diag)
{
	if (r == -ETIMEDOUT)
		return diag_fail(ETIMEDOUT, diag, NULL, "the daemon did not answer in time");
	return diag_fail(EBADMSG, diag, NULL, "the connection to the daemon broke: %s",
			 strerror(-r));
}

/* Send it all, or stop early when the daemon has already answered and closed: the answer (413, say)
 * is then worth more than the EPIPE. */
static int send_all(int fd, const struct buf *data, int64_t deadline, struct diag *diag)
{
	for (size_t sent = 0; sent < data->len;) {
		int r = wait_for(fd, POLLOUT, deadline);
		if (r < 0)
			return no_answer(r, diag);
		ssize_t n =
			send(fd, data->data + sent, data->len - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n >= 0)
			sent += (size_t)n;
		else if (errno == EPIPE || errno == ECONNRESET)
			return 0;
		else if (errno != EINTR && errno != EAGAIN)
			return no_answer(-errno, diag);
	}
	return 0;
}

static int receive_all(int fd, int64_t deadline, transport_body_fn on_body, void *user,
		       int *ret_status, struct buf *body, struct diag *diag)
{
	struct http_reply reply = {0};
	char data[16384];
	int r;

	for (;;) {
		r = wait_for(fd, POLLIN, deadline);
		if (r < 0)
			return no_answer(r, diag);
		ssize_t n = recv(fd, data, sizeof(data), MSG_DONTWAIT);
		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		/* ECONNRESET: it closed with our bytes unread, as after a 413. */
		if (n < 0 && errno != ECONNRESET)
			return no_answer(-errno, diag);
		r = n > 0 ? http_reply_feed(&reply, data, (size_t)n, body, TRANSPORT_BODY_MAX, diag)
			  : http_reply_end(&reply, diag);
		if (r < 0)
			return r;
		bool done = n <= 0 || r == 1;
		if (http_reply_has_head(&reply)) {
			*ret_status = reply.status;
			r = on_body && reply.status / 100 == 2 ? on_body(body, user) : 0;
			if (r != 0)
				return r;
		}
		if (done)
			return 0;
	}
}

/* The path is ours, or an id that was checked: nothing in it needs escaping. */
static int format_request(const struct transport_request *request, struct buf *out)
{
	buf_printf(out, "%s %s HTTP/1.1\r\nHost: localhost\r\nUser-Agent: rolegate/%s\r\n",
		   request->method, request->path, ROLEGATE_VERSION);
	buf_puts(out, "Accept: application/json\r\nConnection: close\r\n");
	if (request->body)
		buf_printf(out, "Content-Type: application/json\r\nContent-Length: %zu\r\n",
			   request->body_len);
	else if (strcmp(request->method, "GET") != 0)
		buf_puts(out, "Content-Length: 0\r\n");
	buf_puts(out, "\r\n");
	if (request->body)
		buf_put(out, request->body, request->body_len);
	return buf_ok(out) ? 0 : -ENOMEM;
}

int transport_exchange(const struct transport_request *request, transport_body_fn on_body,
		       void *user, int *ret_status, struct buf *body, struct diag *diag)
{
	_cleanup_buf_ struct buf data = {0};
	_cleanup_fd_ int fd = -1;

	if (format_request(request, &data) < 0)
		return diag_fail(ENOMEM, diag, NULL, "out of memory");
	int r = open_socket(request, &fd, diag);
	if (r < 0)
		return r;
	int64_t deadline = deadline_after(request->reply_ms);
	r = send_all(fd, &data, deadline, diag);
	if (r < 0)
		return r;
	return receive_all(fd, deadline, on_body, user, ret_status, body, diag);
}
