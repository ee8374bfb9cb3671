#include "net/netd_client.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "util/log.h"

#define RECONNECT_MIN_MS 50
#define RECONNECT_MAX_MS 2000
/* Requests sent in one go: a thousand at once would keep containers waiting. */
#define SEND_BATCH 8

/* A request that is queued or under way. */
struct netd_op {
	TAILQ_ENTRY(netd_op) link;
	struct netd_request request;
	int fds[FD_PASS_MAX]; /* ADOPT's, duplicated: ours until sent */
	size_t n_fds;
	netd_client_cb *cb;
	void *data;
	bool sent;
};

TAILQ_HEAD(netd_op_list, netd_op);

struct netd_client {
	struct event_base *base;
	char *path, *owner;
	struct netd_client_events events;
	void *data;
	int fd;
	bool ready, retired;
	bool has_taken; /* what our predecessor left */
	struct event *read_event, *write_event, *timer;
	unsigned attempts;
	uint64_t serial;
	struct netd_op_list ops;
};

static void op_free(struct netd_client *client, struct netd_op *op)
{
	TAILQ_REMOVE(&client->ops, op, link);
	for (size_t i = 0; i < op->n_fds; i++)
		fd_close(op->fds[i]);
	free(op);
}

static void schedule_connect(struct netd_client *client)
{
	int64_t wait = RECONNECT_MIN_MS;

	if (client->retired)
		return;
	for (unsigned i = 0; i < client->attempts && wait < RECONNECT_MAX_MS; i++)
		wait *= 2;
	if (wait > RECONNECT_MAX_MS)
		wait = RECONNECT_MAX_MS;
	client->attempts++;
	struct timeval tv = {.tv_sec = wait / 1000, .tv_usec = wait % 1000 * 1000};
	evtimer_add(client->timer, &tv);
}

/* The connection is gone: everything under way fails, and we try again. */
static void disconnected(struct netd_client *client, const char *why)
{
	struct netd_op_list failed = TAILQ_HEAD_INITIALIZER(failed);
	struct netd_op *op;
	bool was_ready = client->ready;

	if (client->read_event)
		event_free(client->read_event);
	if (client->write_event)
		event_free(client->write_event);
	client->read_event = client->write_event = NULL;
	client->fd = fd_close(client->fd);
	client->ready = false;
	if ((was_ready || client->attempts == 1) && !client->retired)
		log_warning(NULL, "rolegate-netd is not reachable on %s: %s; trying again",
			    client->path, why);
	schedule_connect(client);
	if (was_ready)
		client->events.lost(client->data);

	/* Callbacks may add requests; those belong to the next connection. */
	TAILQ_CONCAT(&failed, &client->ops, link);
	while ((op = TAILQ_FIRST(&failed))) {
		struct netd_answer answer = {.error = -ECONNRESET,
					     .field = "",
					     .text = "the connection to rolegate-netd was lost"};
		TAILQ_REMOVE(&failed, op, link);
		TAILQ_INSERT_HEAD(&client->ops, op, link);
		netd_client_cb *cb = op->cb;
		void *data = op->data;
		op_free(client, op);
		if (cb)
			cb(&answer, client->data, data);
	}
}

static struct netd_op *find_op(struct netd_client *client, uint64_t serial)
{
	struct netd_op *op;

	TAILQ_FOREACH (op, &client->ops, link)
		if (op->request.serial == serial)
			return op;
	return NULL;
}

static int enqueue_request(struct netd_client *client, const struct netd_request *request,
			   const int *fds, size_t n_fds, netd_client_cb *cb, void *data)
{
	if (client->fd < 0)
		return -ENOTCONN;
	struct netd_op *op = calloc(1, sizeof(*op));
	if (!op)
		return -ENOMEM;
	op->request = *request;
	op->request.version = NETD_PROTOCOL_VERSION;
	op->request.serial = ++client->serial;
	op->cb = cb;
	op->data = data;
	TAILQ_INSERT_TAIL(&client->ops, op, link);
	for (size_t i = 0; i < n_fds; i++) {
		op->fds[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, 3);
		if (op->fds[i] < 0) {
			op_free(client, op);
			return -ENOMEM;
		}
		op->n_fds++;
	}
	event_add(client->write_event, NULL);
	return 0;
}

static int enqueue(struct netd_client *client, enum netd_verb verb, const char *id,
		   const char *path, const int *fds, size_t n_fds, netd_client_cb *cb, void *data)
{
	struct netd_request request = {.verb = verb};

	snprintf(request.id, sizeof(request.id), "%s", id);
	snprintf(request.path, sizeof(request.path), "%s", path);
	return enqueue_request(client, &request, fds, n_fds, cb, data);
}

static void on_writable(evutil_socket_t fd, short what, void *data)
{
	struct netd_client *client = data;
	struct netd_op *op, *next;
	unsigned sent = 0;

	(void)what;
	for (op = TAILQ_FIRST(&client->ops); op; op = next) {
		next = TAILQ_NEXT(op, link);
		if (op->sent)
			continue;
		if (sent++ == SEND_BATCH) {
			event_add(client->write_event, NULL);
			return;
		}
		int r = fd_send((int)fd, &op->request, sizeof(op->request), op->fds, op->n_fds);
		if (r == -EAGAIN) {
			event_add(client->write_event, NULL);
			return;
		}
		if (r < 0) {
			disconnected(client, strerror(-r));
			return;
		}
		op->sent = true;
		while (op->n_fds > 0)
			fd_close(op->fds[--op->n_fds]);
	}
}

static void close_all(const int *fds, size_t n_fds)
{
	for (size_t i = 0; i < n_fds; i++)
		fd_close(fds[i]);
}

static void to_answer(const struct netd_reply *reply, const int *fds, size_t n_fds,
		      struct netd_answer *ret)
{
	*ret = (struct netd_answer){
		.error = -reply->error,
		.field = reply->field,
		.text = reply->text,
		.netns_dev = reply->netns_dev,
		.netns_ino = reply->netns_ino,
		.mode = reply->mode,
		.door = {.mark = reply->mark, .n_sources = reply->n_sources, .link = reply->link},
		.n_fds = n_fds,
	};
	memcpy(ret->door.sources, reply->sources, sizeof(reply->sources));
	memcpy(ret->fds, fds, sizeof(ret->fds));
}

static void finish_op(struct netd_client *client, struct netd_op *op,
		      const struct netd_reply *reply, const int *fds, size_t n_fds)
{
	struct netd_answer answer;
	netd_client_cb *cb = op->cb;
	void *data = op->data;

	to_answer(reply, fds, n_fds, &answer);
	op_free(client, op);
	if (cb)
		cb(&answer, client->data, data);
	else
		close_all(fds, n_fds);
}

/* By a netd that serves another. Who has been served once tries again, for the sake of its
 * containers; who has not must not lie in wait for a restart of the other. */
static void refused(struct netd_client *client, int error, const char *text)
{
	if (error == -EBUSY && !client->has_taken) {
		netd_client_retire(client);
		client->events.refused(text, client->data);
		return;
	}
	log_error(NULL, "rolegate-netd refused us: %s", text);
	if (error == -EBUSY)
		disconnected(client, text);
}

static void on_list(struct netd_client *client, const struct netd_reply *reply, const int *fds,
		    size_t n_fds)
{
	struct netd_op *op = find_op(client, reply->serial);

	if (reply->id[0] != '\0') {
		struct netd_answer answer;
		to_answer(reply, fds, n_fds, &answer);
		client->events.attachment(reply->id, &answer, client->data);
		return;
	}
	close_all(fds, n_fds);
	if (op)
		op_free(client, op);
	if (reply->error) {
		refused(client, -reply->error, reply->text);
		return;
	}
	client->ready = true;
	client->attempts = 0;
	log_info(NULL, "connected to rolegate-netd on %s", client->path);
	client->events.ready(client->data);
}

static void handle_reply(struct netd_client *client, const struct netd_reply *reply, const int *fds,
			 size_t n_fds)
{
	struct netd_op *op = reply->serial ? find_op(client, reply->serial) : NULL;

	if (reply->verb == NETD_GONE) {
		close_all(fds, n_fds);
		client->events.gone(reply->id, client->data);
	} else if (reply->verb == NETD_REPLACED) {
		close_all(fds, n_fds);
		client->events.replaced(client->data);
	} else if (!op || op->request.verb != reply->verb) {
		close_all(fds, n_fds);
		log_warning(NULL, "rolegate-netd answered what nobody asked (verb %u); ignoring",
			    reply->verb);
	} else if (reply->verb == NETD_LIST) {
		on_list(client, reply, fds, n_fds);
	} else {
		finish_op(client, op, reply, fds, n_fds);
	}
}

static void on_readable(evutil_socket_t fd, short what, void *data)
{
	struct netd_client *client = data;
	char message[sizeof(struct netd_reply) + 1];
	int fds[FD_PASS_MAX];
	size_t n_fds;
	struct netd_reply reply;
	struct diag diag = {0};

	(void)what;
	ssize_t n = fd_receive((int)fd, message, sizeof(message), fds, &n_fds);
	if (n == -EAGAIN)
		return;
	if (n <= 0) {
		disconnected(client, n == 0 ? "it closed the connection" : strerror((int)-n));
		return;
	}
	if (netd_reply_check(message, (size_t)n, &reply, &diag) < 0) {
		close_all(fds, n_fds);
		disconnected(client, diag.text);
		return;
	}
	handle_reply(client, &reply, fds, n_fds);
}

static void on_taken(const struct netd_answer *answer, void *context, void *data)
{
	struct netd_client *client = data;

	(void)context;
	if (answer->error == -ECONNRESET)
		return;
	if (answer->error == -EBUSY) {
		refused(client, answer->error, answer->text);
		return;
	}
	(void)enqueue(client, NETD_LIST, "", "", NULL, 0, NULL, NULL);
	if (answer->error < 0) {
		log_warning(NULL, "rolegate-netd hands nothing over: %s", answer->text);
		return;
	}
	client->has_taken = true;
	for (size_t i = 1; i < answer->n_fds; i++)
		fd_close(answer->fds[i]);
	client->events.taken(answer->n_fds > 0 ? answer->fds[0] : -1, client->data);
}

/* HELLO was answered: the same protocol. */
static void on_hello(const struct netd_answer *answer, void *context, void *data)
{
	(void)context;
	struct netd_client *client = data;

	if (answer->error == -ECONNRESET)
		return;
	if (answer->error < 0)
		refused(client, answer->error, answer->text);
	else if (!client->has_taken)
		(void)enqueue(client, NETD_TAKE, "", "", NULL, 0, on_taken, client);
	else
		(void)enqueue(client, NETD_LIST, "", "", NULL, 0, NULL, NULL);
}

static int try_connect(struct netd_client *client)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	if (strlen(client->path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	memcpy(address.sun_path, client->path, strlen(client->path));
	client->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (client->fd < 0)
		return -errno;
	/* A Unix socket connects at once or fails; EAGAIN is a full backlog. */
	if (connect(client->fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return -errno;
	client->read_event =
		event_new(client->base, client->fd, EV_READ | EV_PERSIST, on_readable, client);
	client->write_event = event_new(client->base, client->fd, EV_WRITE, on_writable, client);
	if (!client->read_event || !client->write_event || event_add(client->read_event, NULL) < 0)
		return -ENOMEM;
	return enqueue(client, NETD_HELLO, client->owner, "", NULL, 0, on_hello, client);
}

static void on_timer(evutil_socket_t fd, short what, void *data)
{
	struct netd_client *client = data;

	(void)fd;
	(void)what;
	int r = try_connect(client);
	if (r < 0)
		disconnected(client, strerror(-r));
}

int netd_client_new(struct event_base *base, const char *path, const char *owner,
		    const struct netd_client_events *events, void *data, struct netd_client **ret)
{
	struct netd_client *client = calloc(1, sizeof(*client));

	if (!client)
		return -ENOMEM;
	client->base = base;
	client->fd = -1;
	client->events = *events;
	client->data = data;
	TAILQ_INIT(&client->ops);
	client->path = strdup(path);
	client->owner = strdup(owner);
	client->timer = evtimer_new(base, on_timer, client);
	if (!client->path || !client->owner || !client->timer) {
		netd_client_free(client);
		return -ENOMEM;
	}
	event_active(client->timer, EV_TIMEOUT, 1);
	*ret = client;
	return 0;
}

struct netd_client *netd_client_free(struct netd_client *client)
{
	struct netd_op *op;

	if (!client)
		return NULL;
	while ((op = TAILQ_FIRST(&client->ops)))
		op_free(client, op);
	if (client->read_event)
		event_free(client->read_event);
	if (client->write_event)
		event_free(client->write_event);
	if (client->timer)
		event_free(client->timer);
	fd_close(client->fd);
	free(client->path);
	free(client->owner);
	free(client);
	return NULL;
}

bool netd_client_is_ready(const struct netd_client *client)
{
	return client->ready;
}

int netd_client_attach(struct netd_client *client, const char *id, enum netd_mode mode,
		       const char *netns_path, netd_client_cb *cb, void *data)
{
	struct netd_request request = {.verb = NETD_ATTACH, .mode = mode};

	snprintf(request.id, sizeof(request.id), "%s", id);
	snprintf(request.path, sizeof(request.path), "%s", netns_path);
	return enqueue_request(client, &request, NULL, 0, cb, data);
}

int netd_client_adopt_bridge(struct netd_client *client, const char *id, const char *netns_path,
			     const struct netd_answer *place, netd_client_cb *cb, void *data)
{
	struct netd_request request = {
		.verb = NETD_ADOPT,
		.mode = NETD_MODE_BRIDGE,
		.netns_dev = place->netns_dev,
		.netns_ino = place->netns_ino,
		.mark = place->door.mark,
	};

	snprintf(request.id, sizeof(request.id), "%s", id);
	snprintf(request.path, sizeof(request.path), "%s", netns_path);
	return enqueue_request(client, &request, place->fds, place->n_fds, cb, data);
}

int netd_client_adopt(struct netd_client *client, const char *id, const char *netns_path,
		      const int *fds, size_t n_fds, netd_client_cb *cb, void *data)
{
	return enqueue(client, NETD_ADOPT, id, netns_path, fds, n_fds, cb, data);
}

int netd_client_detach(struct netd_client *client, const char *id, netd_client_cb *cb, void *data)
{
	return enqueue(client, NETD_DETACH, id, "", NULL, 0, cb, data);
}

static void on_kept(const struct netd_answer *answer, void *context, void *data)
{
	(void)context;
	(void)data;
	if (answer->error < 0 && answer->error != -ECONNRESET && answer->error != -ESTALE)
		log_warning(NULL, "rolegate-netd does not keep the credentials for a restart: %s",
			    answer->text);
}

int netd_client_keep(struct netd_client *client, int fd)
{
	int r = enqueue(client, NETD_KEEP, "", "", &fd, fd >= 0, on_kept, client);

	if (r == 0)
		on_writable(client->fd, EV_WRITE, client);
	return r;
}

void netd_client_retire(struct netd_client *client)
{
	client->retired = true;
	evtimer_del(client->timer);
}

void netd_client_forget(struct netd_client *client, void *data)
{
	struct netd_op *op;

	TAILQ_FOREACH (op, &client->ops, link) {
		if (op->data != data || !op->cb)
			continue;
		op->cb = NULL;
		/* Undone right behind it, before anything else is asked for this id. */
		if (op->request.verb == NETD_ATTACH)
			(void)enqueue(client, NETD_DETACH, op->request.id, "", NULL, 0, NULL, NULL);
	}
}
