#include "net/connection.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util/fd.h"

#define DRAIN_MS 2000
#define WRITE_MS 10000

static const int64_t state_ms[N_CONNECTION_STATES] = {
	[CONNECTION_IDLE] = FRONTEND_IDLE_MS,
	[CONNECTION_READING] = FRONTEND_REQUEST_MS,
	[CONNECTION_WRITING] = WRITE_MS,
	[CONNECTION_DRAINING] = DRAIN_MS,
};

static void arm_timer(struct frontend *f, int64_t deadline_ms, int64_t now_ms)
{
	if (deadline_ms >= f->timer_ms)
		return;
	int64_t wait = deadline_ms > now_ms ? deadline_ms - now_ms : 0;
	struct timeval tv = {.tv_sec = wait / 1000, .tv_usec = wait % 1000 * 1000};
	f->timer_ms = deadline_ms;
	event_add(f->timer, &tv);
}

/* Enter a state, with its deadline counted from now. */
static void enter(struct connection *c, enum connection_state state, int64_t now_ms)
{
	struct frontend *f = c->door->frontend;

	TAILQ_REMOVE(&f->waiting[c->state], c, wait_link);
	c->state = state;
	c->deadline_ms = now_ms + state_ms[state];
	TAILQ_INSERT_TAIL(&f->waiting[state], c, wait_link);
	arm_timer(f, c->deadline_ms, now_ms);
}

static void touch(struct connection *c)
{
	struct frontend_door *door = c->door;

	if (TAILQ_NEXT(c, door_link)) {
		TAILQ_REMOVE(&door->connections, c, door_link);
		TAILQ_INSERT_TAIL(&door->connections, c, door_link);
	}
}

void connection_free(struct connection *c)
{
	struct frontend_door *door = c->door;

	if (c->freed)
		*c->freed = true;
	event_del(&c->event);
	TAILQ_REMOVE(&door->frontend->waiting[c->state], c, wait_link);
	TAILQ_REMOVE(&door->connections, c, door_link);
	door->n_connections--;
	fd_close(c->fd);
	buf_deinit(&c->in);
	buf_deinit(&c->out);
	explicit_bzero(&c->memo, sizeof(c->memo));
	free(c);
}

static const char *current_date(struct frontend *f)
{
	int64_t now_s = clock_wall_s();

	if (now_s != f->date_s) {
		clock_format_http_date(now_s, f->date);
		f->date_s = now_s;
	}
	return f->date;
}

static void print(struct connection *c, const struct http_response *response)
{
	struct frontend *f = c->door->frontend;

	http_response_print(response, current_date(f), &f->out);
	if (response->close)
		c->close_after_write = true;
}

static void print_error(struct connection *c, int status)
{
	struct http_response response = http_response_error(status);

	response.close = true;
	c->drain_after_write = true;
	print(c, &response);
}

static void set_ttl(const struct connection *c, int ttl)
{
	/* -1 goes back to the system's default. A kernel that refuses is no reason to refuse the
	 * token: the hop limit is a second line of defence. */
	if (c->ipv6)
		(void)setsockopt(c->fd, IPPROTO_IPV6, IPV6_UNICAST_HOPS, &ttl, sizeof(ttl));
	else
		(void)setsockopt(c->fd, IPPROTO_IP, IP_TTL, &ttl, sizeof(ttl));
}

/* Send f->out. Returns 0 when all is sent, 1 when the rest must wait, or -errno. */
static int send_out(struct connection *c)
{
	struct buf *out = &c->door->frontend->out;
	size_t sent = 0;

	if (!buf_ok(out))
		return -ENOMEM;
	while (sent < out->len) {
		ssize_t n = send(c->fd, out->data + sent, out->len - sent, MSG_NOSIGNAL);
		if (n < 0) {
			if (errno == EINTR)
				continue;
			if (errno != EAGAIN)
				return -errno;
			buf_put(&c->out, out->data + sent, out->len - sent);
			c->out_sent = 0;
			return buf_ok(&c->out) ? 1 : -ENOMEM;
		}
		sent += (size_t)n;
	}
	return 0;
}

/* Answer one whole request; its body, if chunked, has been read. */
static void answer(struct connection *c, const struct http_request *request, int64_t now_ms)
{
	struct frontend *f = c->door->frontend;
	struct container *container = c->door->container;
	bool token_issued;
	struct http_response response =
		router_answer(&f->router, container, request, &c->memo, now_ms, &token_issued);

	print(c, &response);
	if (token_issued) {
		/* The token must not travel further than the operator allows; what was printed
		 * before it (a pipelined answer) may share the fate. */
		set_ttl(c, (int)container->registration->hop_limit);
		int r = send_out(c);
		if (r == 0)
			buf_reset(&f->out);
		set_ttl(c, -1);
		if (r != 0)
			c->close_after_write = true;
		if (r > 0)
			buf_reset(&f->out);
		else if (r < 0)
			f->out.failed = true;
	}
}

enum step { STEP_MORE, STEP_PARTIAL, STEP_STOP };

/* Take one request off data[*at..len). */
static enum step take_request(struct connection *c, const char *data, size_t len, size_t *at,
			      int64_t now_ms)
{
	struct http_request request = {0};
	size_t body_len = 0;
	int status;

	enum http_parse parsed =
		http_request_parse(data + *at, len - *at, c->in_seen, &request, &status);
	if (parsed == HTTP_PARSE_DONE && request.content_length > 0) {
		parsed = HTTP_PARSE_BAD;
		status = 413;
	} else if (parsed == HTTP_PARSE_DONE && request.chunked) {
		if (request.expect_continue && !c->continued) {
			buf_puts(&c->door->frontend->out, "HTTP/1.1 100 Continue\r\n\r\n");
			c->continued = true;
		}
		parsed = http_empty_body_parse(data + *at + request.head_len,
					       len - *at - request.head_len, &body_len, &status);
	}
	if (parsed == HTTP_PARSE_PARTIAL) {
		/* The head's end may be found already; then it is cheap to find again. */
		c->in_seen = request.head_len && request.chunked ? 0 : len - *at;
		return STEP_PARTIAL;
	}
	c->in_seen = 0;
	c->continued = false;
	if (parsed == HTTP_PARSE_BAD) {
		print_error(c, status);
		return STEP_STOP;
	}
	*at += request.head_len + body_len;
	answer(c, &request, now_ms);
	return c->close_after_write ? STEP_STOP : STEP_MORE;
}

static void on_event(evutil_socket_t fd, short what, void *data);

static void watch(struct connection *c, short what)
{
	struct frontend *f = c->door->frontend;

	event_del(&c->event);
	event_assign(&c->event, f->base, c->fd, (short)(what | EV_PERSIST), on_event, c);
	event_add(&c->event, NULL);
}

/* All answers are with the kernel: close, drain or go on. */
static void written(struct connection *c, int64_t now_ms)
{
	if (!c->close_after_write) {
		enter(c, c->in.len > 0 ? CONNECTION_READING : CONNECTION_IDLE, now_ms);
		return;
	}
	if (!c->drain_after_write || shutdown(c->fd, SHUT_WR) < 0) {
		connection_free(c);
		return;
	}
	buf_reset(&c->in);
	enter(c, CONNECTION_DRAINING, now_ms);
}

/* Keep what did not make a whole request. */
static int keep_rest(struct connection *c, const char *rest, size_t len)
{
	if (len == 0) {
		buf_deinit(&c->in); /* idle connections hold no buffer */
		return 0;
	}
	buf_reset(&c->in);
	buf_put(&c->in, rest, len);
	return buf_ok(&c->in) ? 0 : -ENOMEM;
}

/* f->read[0..len) holds everything that has come and is not answered. */
static void process(struct connection *c, size_t len, int64_t now_ms)
{
	struct frontend *f = c->door->frontend;
	enum connection_state before = c->state;
	size_t at = 0;
	enum step step = STEP_MORE;

	buf_reset(&f->out);
	while (step == STEP_MORE && at < len)
		step = take_request(c, f->read, len, &at, now_ms);
	if (step == STEP_STOP)
		at = len; /* what follows a request that closes is not read */
	if (keep_rest(c, f->read + at, len - at) < 0) {
		connection_free(c);
		return;
	}

	int r = c->out.len > 0 ? 1 : send_out(c);
	if (r < 0) {
		connection_free(c);
	} else if (r > 0) {
		enter(c, CONNECTION_WRITING, now_ms);
		watch(c, EV_WRITE);
	} else if (c->close_after_write || at > 0 || before != CONNECTION_READING) {
		written(c, now_ms);
	}
	/* Else: more of the same unfinished request; its deadline stands. */
}

static void on_readable(struct connection *c, int64_t now_ms)
{
	struct frontend *f = c->door->frontend;
	size_t kept = c->in.len;

	/* in.len is under HTTP_HEAD_MAX: at that size the parser has answered 431. */
	if (kept > 0)
		memcpy(f->read, c->in.data, kept);
	ssize_t n = recv(c->fd, f->read + kept, sizeof(f->read) - kept, 0);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		connection_free(c);
		return;
	}
	if (c->state == CONNECTION_DRAINING)
		return;
	touch(c);
	process(c, kept + (size_t)n, now_ms);
}

static void on_writable(struct connection *c, int64_t now_ms)
{
	while (c->out_sent < c->out.len) {
		ssize_t n = send(c->fd, c->out.data + c->out_sent, c->out.len - c->out_sent,
				 MSG_NOSIGNAL);
		if (n < 0) {
			if (errno == EAGAIN || errno == EINTR)
				return;
			connection_free(c);
			return;
		}
		c->out_sent += (size_t)n;
	}
	buf_deinit(&c->out);
	c->out_sent = 0;
	watch(c, EV_READ);
	written(c, now_ms);
}

static void on_event(evutil_socket_t fd, short what, void *data)
{
	struct connection *c = data;

	(void)fd;
	if (what & EV_WRITE)
		on_writable(c, clock_now_ms());
	else
		on_readable(c, clock_now_ms());
}

int connection_new(struct frontend_door *door, int fd, bool ipv6, int64_t now_ms)
{
	struct frontend *f = door->frontend;
	struct connection *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	c->door = door;
	c->fd = fd;
	c->ipv6 = ipv6;
	event_assign(&c->event, f->base, fd, EV_READ | EV_PERSIST, on_event, c);
	TAILQ_INSERT_TAIL(&door->connections, c, door_link);
	door->n_connections++;
	/* A connection that sends nothing is as slow as one that sends half a request. */
	c->state = CONNECTION_READING;
	TAILQ_INSERT_TAIL(&f->waiting[c->state], c, wait_link);
	c->deadline_ms = now_ms + state_ms[c->state];
	arm_timer(f, c->deadline_ms, now_ms);

	bool freed = false;
	c->freed = &freed;
	on_readable(c, now_ms);
	if (freed)
		return 0;
	c->freed = NULL;
	if (!event_pending(&c->event, EV_READ | EV_WRITE, NULL) && event_add(&c->event, NULL) < 0)
		connection_free(c);
	return 0;
}

void connection_expire(struct connection *c, int64_t now_ms)
{
	if (c->state == CONNECTION_READING && c->in.len > 0) {
		buf_reset(&c->door->frontend->out);
		print_error(c, 408);
		if (send_out(c) == 0) {
			written(c, now_ms);
			return;
		}
	}
	connection_free(c);
}
