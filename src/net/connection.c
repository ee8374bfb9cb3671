#include "net/connection.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/metrics.h"
#include "net/event_loop.h"
#include "net/original_destination.h"
#include "net/turns.h"
#include "util/fd.h"

/* A peer that does not read its answers gets no more of them than this before it does, in bytes. */
#define OUT_MAX (48 * 1024)

#define DRAIN_MS 2000
#define WRITE_MS 10000

static const int64_t state_ms[N_CONNECTION_STATES] = {
	[CONNECTION_IDLE] = FRONTEND_IDLE_MS, [CONNECTION_READING] = FRONTEND_REQUEST_MS,
	[CONNECTION_WRITING] = WRITE_MS,      [CONNECTION_PARKED] = FRONTEND_WAIT_MS,
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

static void enter_until(struct connection *c, enum connection_state state, int64_t deadline_ms,
			int64_t now_ms)
{
	struct frontend *f = c->door->frontend;
	struct connection *before;

	TAILQ_REMOVE(&f->waiting[c->state], c, wait_link);
	c->state = state;
	c->deadline_ms = deadline_ms;
	/* Only what is parked for a second time is not due last. */
	before = TAILQ_LAST(&f->waiting[state], connection_list);
	while (before && before->deadline_ms > deadline_ms)
		before = TAILQ_PREV(before, connection_list, wait_link);
	if (before)
		TAILQ_INSERT_AFTER(&f->waiting[state], before, c, wait_link);
	else
		TAILQ_INSERT_HEAD(&f->waiting[state], c, wait_link);
	arm_timer(f, c->deadline_ms, now_ms);
}

/* Enter a state, with its deadline counted from now. */
static void enter(struct connection *c, enum connection_state state, int64_t now_ms)
{
	enter_until(c, state, now_ms + state_ms[state], now_ms);
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
	struct frontend *f = door->frontend;

	if (c->freed)
		*c->freed = true;
	event_del(&c->event);
	turns_leave(c);
	TAILQ_REMOVE(&f->waiting[c->state], c, wait_link);
	TAILQ_REMOVE(&door->connections, c, door_link);
	door->n_connections--;
	f->n_connections--;
	fd_close(c->fd);
	buf_deinit(&c->in);
	buf_deinit(&c->out);
	explicit_bzero(&c->memo, sizeof(c->memo));
	free(c);
	frontend_connection_gone(f);
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

/* A token's answer must not travel further than the operator allows; what was printed before it (a
 * pipelined answer) may share the fate. If the peer does not take it all now, the rest leaves like
 * the beginning, and nothing else is answered before. */
static void send_token(struct connection *c)
{
	struct frontend *f = c->door->frontend;

	set_ttl(c, (int)c->door->container->registration->hop_limit);
	int r = send_out(c);
	if (r >= 0)
		buf_reset(&f->out); /* sent, or in c->out */
	else
		f->out.failed = true;
	if (r > 0)
		c->short_ttl = true;
	else
		set_ttl(c, -1);
}

enum step {
	STEP_MORE,
	STEP_PARTIAL, /* the next request has not come whole */
	STEP_STOP,    /* nothing more is read */
	STEP_PARK,    /* the request waits for the host's metadata */
	STEP_LATER,   /* others first */
};

/* Answer one whole request; its body, if chunked, has been read. */
static enum step answer(struct connection *c, const struct http_request *request, int64_t now_ms)
{
	struct frontend *f = c->door->frontend;
	struct container *container = c->door->container;
	bool final = c->answer_by_ms != 0 && now_ms >= c->answer_by_ms;
	struct router_answer answer;

	enum router_verdict verdict =
		router_ask(&f->router, container, request, &c->memo, now_ms, final, &answer);
	if (verdict == ROUTER_DESTINATION) {
		c->memo.destination = original_destination(c->fd, c->ipv6);
		c->memo.destination_known = true;
		verdict = router_ask(&f->router, container, request, &c->memo, now_ms, final,
				     &answer);
	}
	turns_spend(c->door, now_ms);
	if (verdict == ROUTER_WAIT) {
		if (c->answer_by_ms == 0)
			c->answer_by_ms = now_ms + FRONTEND_WAIT_MS;
		c->awaited = answer.wait;
		upstream_run(f->upstream);
		return STEP_PARK;
	}
	c->answer_by_ms = 0;
	if (f->phase != FRONTEND_SERVING) {
		/* The peer may have sent more already: closing at once would reset the answer. */
		answer.response.close = true;
		c->drain_after_write = true;
	}
	print(c, &answer.response);
	metrics_answered(container, request, &answer.response, clock_now_us() - c->read_us);
	if (answer.token_issued)
		send_token(c);
	upstream_run(f->upstream); /* what was served may have been stale */
	if (c->close_after_write || !buf_ok(&f->out))
		return STEP_STOP;
	return c->out.len > 0 ? STEP_LATER : STEP_MORE;
}

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
	if (parsed == HTTP_PARSE_BAD) {
		print_error(c, status);
		return STEP_STOP;
	}
	enum step step = answer(c, &request, now_ms);
	if (step != STEP_PARK) {
		*at += request.head_len + body_len;
		c->continued = false;
	}
	return step;
}

static void on_event(evutil_socket_t fd, short what, void *data);

static void watch(struct connection *c, short what)
{
	struct frontend *f = c->door->frontend;

	event_del(&c->event);
	event_assign(&c->event, f->base, c->fd, (short)(what | EV_PERSIST), on_event, c);
	event_loop_rank(&c->event, true);
	event_add(&c->event, NULL);
}

/* All answers are with the kernel: close, drain or go on. */
static void written(struct connection *c, int64_t now_ms)
{
	if (!c->close_after_write) {
		enter(c, c->in.len > 0 ? CONNECTION_READING : CONNECTION_IDLE, now_ms);
		if (c->unprocessed)
			turns_wait(c, now_ms);
		return;
	}
	if (!c->drain_after_write || shutdown(c->fd, SHUT_WR) < 0) {
		connection_free(c);
		return;
	}
	buf_reset(&c->in);
	enter(c, CONNECTION_DRAINING, now_ms);
}

static void park(struct connection *c, int64_t now_ms)
{
	event_del(&c->event);
	enter_until(c, CONNECTION_PARKED, c->answer_by_ms, now_ms);
}

void connection_wake(struct connection *c, int64_t now_ms)
{
	c->awaited = NULL;
	event_add(&c->event, NULL);
	enter(c, CONNECTION_READING, now_ms);
	turns_wait(c, now_ms);
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
	while (step == STEP_MORE && at < len) {
		if (turns_had_enough(c->door, now_ms) || f->out.len >= OUT_MAX)
			step = STEP_LATER;
		else
			step = take_request(c, f->read, len, &at, now_ms);
	}
	if (step == STEP_STOP)
		at = len; /* what follows a request that closes is not read */
	c->unprocessed = (step == STEP_PARK || step == STEP_LATER) && at < len;
	if (keep_rest(c, f->read + at, len - at) < 0) {
		connection_free(c);
		return;
	}

	int r = c->out.len > 0 && buf_ok(&f->out) ? 1 : send_out(c);
	if (r < 0) {
		connection_free(c);
	} else if (r > 0) {
		enter(c, CONNECTION_WRITING, now_ms);
		watch(c, EV_WRITE);
	} else if (step == STEP_PARK) {
		park(c, now_ms);
	} else if (c->close_after_write || at > 0 || c->unprocessed ||
		   before != CONNECTION_READING) {
		written(c, now_ms);
	}
	/* Else: more of the same unfinished request; its deadline stands. */
}

static void read_and_process(struct connection *c, int64_t now_ms)
{
	struct frontend *f = c->door->frontend;
	size_t kept = c->in.len;

	if (kept > 0)
		memcpy(f->read, c->in.data, kept);
	if (c->unprocessed) {
		process(c, kept, now_ms);
		return;
	}
	/* in.len is under HTTP_HEAD_MAX: at that size the parser has answered 431. */
	ssize_t n = recv(c->fd, f->read + kept, sizeof(f->read) - kept, 0);
	c->read_us = clock_now_us();
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

void connection_take_turn(struct connection *c, int64_t now_ms)
{
	struct frontend_door *door = c->door;
	unsigned before = door->window_requests;

	read_and_process(c, now_ms);
	/* What ends in no answer has cost something, too. */
	if (door->window_requests == before)
		turns_spend(door, now_ms);
}

static void on_readable(struct connection *c, int64_t now_ms)
{
	if (c->waits_turn)
		return;
	/* Behind those of the same door that have waited longer. */
	if (!TAILQ_EMPTY(&c->door->turns) || turns_had_enough(c->door, now_ms))
		turns_wait(c, now_ms);
	else
		connection_take_turn(c, now_ms);
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
	if (c->short_ttl)
		set_ttl(c, -1);
	c->short_ttl = false;
	watch(c, EV_READ);
	written(c, now_ms);
}

static void on_event(evutil_socket_t fd, short what, void *data)
{
	struct connection *c = data;
	int64_t now_ms = clock_now_ms();

	(void)fd;
	frontend_rank(c->door->frontend, &c->event, c->door, now_ms);
	if (what & EV_WRITE)
		on_writable(c, now_ms);
	else
		on_readable(c, now_ms);
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
	event_loop_rank(&c->event, true);
	TAILQ_INSERT_TAIL(&door->connections, c, door_link);
	door->n_connections++;
	f->n_connections++;
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
	if (!c->muted && !event_pending(&c->event, EV_READ | EV_WRITE, NULL) &&
	    event_add(&c->event, NULL) < 0)
		connection_free(c);
	return 0;
}

void connection_expire(struct connection *c, int64_t now_ms)
{
	if (c->state == CONNECTION_PARKED) {
		connection_wake(c, now_ms);
		return;
	}
	if (c->state == CONNECTION_READING && c->in.len > 0 && !c->waits_turn) {
		buf_reset(&c->door->frontend->out);
		print_error(c, 408);
		if (send_out(c) == 0) {
			written(c, now_ms);
			return;
		}
	}
	connection_free(c);
}
