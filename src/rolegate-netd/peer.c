#include "rolegate-netd/peer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "rolegate-netd/bridge.h"
#include "rolegate-netd/job.h"
#include "rolegate-netd/kept.h"
#include "util/fd.h"
#include "util/log.h"

/* Answers that may wait for a peer to read before its requests wait, too. */
#define ANSWERS_SOFT_MAX 64
/* GONE comes unasked: so many of them unread, and the peer is as good as dead. */
#define ANSWERS_HARD_MAX (2 * ATTACHMENTS_MAX)

/* How long a rolegated may take to leave something for the one that replaces it. */
#define TAKE_WAIT_MS 200

struct answer {
	struct netd_reply reply;
	int fds[NETD_LISTENERS_MAX]; /* owned */
	TAILQ_ENTRY(answer) entry;
};

struct peer {
	struct netd *netd;
	uint64_t id; /* never used twice, unlike its address */
	int sock;
	pid_t pid; /* for messages: who connected */
	struct loop_source source;
	uint32_t events;
	TAILQ_HEAD(, answer) answers;
	size_t n_answers;
	char owner[CONTAINER_ID_SIZE]; /* of the registrations, by its HELLO; "": not said */
	bool serves;		       /* has sent TAKE or LIST, and no other since */
	bool replaced;		       /* another has, since */
	bool owes;		       /* ... and has not had what this one leaves */
	uint64_t take_serial;	       /* 0: no TAKE waits */
	uint64_t list_serial;	       /* 0: no listing under way */
	size_t list_slot;	       /* how far it has come */
	TAILQ_ENTRY(peer) entry;
};

static void answer_free(struct answer *answer)
{
	for (size_t i = 0; i < answer->reply.n_fds; i++)
		fd_close(answer->fds[i]);
	free(answer);
}

static void peer_free(struct peer *peer)
{
	struct netd *netd = peer->netd;
	struct answer *answer;

	while ((answer = TAILQ_FIRST(&peer->answers))) {
		TAILQ_REMOVE(&peer->answers, answer, entry);
		answer_free(answer);
	}
	loop_remove(&peer->netd->loop, &peer->source);
	fd_close(peer->sock);
	TAILQ_REMOVE(&netd->peers, peer, entry);
	netd->n_peers--;
	/* TAKE waits no longer for one that has left. */
	if (peer->owes)
		loop_timer_set(&netd->loop, &netd->take_timer, 0);
	free(peer);
}

void peer_free_all(struct netd *netd)
{
	while (!TAILQ_EMPTY(&netd->peers))
		peer_free(TAILQ_FIRST(&netd->peers));
}

/* What to wait for: requests only while there is room for what they cause. */
static void update_events(struct peer *peer)
{
	uint32_t events = 0;

	if (peer->n_answers < ANSWERS_SOFT_MAX && !peer->list_serial &&
	    !job_queue_is_full(peer->netd))
		events |= EPOLLIN;
	if (peer->n_answers > 0 || peer->list_serial)
		events |= EPOLLOUT;
	if (events != peer->events)
		loop_change(&peer->netd->loop, &peer->source, events);
	peer->events = events;
}

static int enqueue(struct peer *peer, const struct netd_reply *reply, const int *fds)
{
	if (peer->n_answers >= ANSWERS_HARD_MAX)
		return -ENOBUFS;
	struct answer *answer = calloc(1, sizeof(*answer));
	if (!answer)
		return -ENOMEM;
	answer->reply = *reply;
	answer->reply.n_fds = 0;
	for (size_t i = 0; i < reply->n_fds; i++) {
		answer->fds[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, 3);
		if (answer->fds[i] < 0) {
			answer_free(answer);
			return -EMFILE;
		}
		answer->reply.n_fds++;
	}
	TAILQ_INSERT_TAIL(&peer->answers, answer, entry);
	peer->n_answers++;
	return 0;
}

/* False if the peer had to be freed. */
static bool send_or_enqueue(struct peer *peer, const struct netd_reply *reply, const int *fds)
{
	int r = peer->n_answers > 0 ? -EAGAIN
				    : fd_send(peer->sock, reply, sizeof(*reply), fds, reply->n_fds);
	/* ETOOMANYREFS: too many descriptors are under way on Unix sockets; they will arrive. */
	if (r == -EAGAIN || r == -ETOOMANYREFS)
		r = enqueue(peer, reply, fds);
	if (r < 0) {
		log_warning(NULL, "peer %llu cannot be answered, closing it: %s",
			    (unsigned long long)peer->id, strerror(-r));
		peer_free(peer);
		return false;
	}
	update_events(peer);
	return true;
}

void peer_answer(struct netd *netd, uint64_t peer_id, const struct netd_reply *reply,
		 const int *fds)
{
	struct peer *peer;

	TAILQ_FOREACH (peer, &netd->peers, entry)
		if (peer->id == peer_id) {
			(void)send_or_enqueue(peer, reply, fds);
			return;
		}
}

bool peer_is_there(const struct netd *netd, uint64_t peer_id)
{
	const struct peer *peer;

	TAILQ_FOREACH (peer, &netd->peers, entry)
		if (peer->id == peer_id)
			return true;
	return false;
}

void peer_answer_all(struct netd *netd, const struct netd_reply *reply)
{
	struct peer *peer, *next;

	for (peer = TAILQ_FIRST(&netd->peers); peer; peer = next) {
		next = TAILQ_NEXT(peer, entry);
		(void)send_or_enqueue(peer, reply, NULL);
	}
}

void peer_update_all(struct netd *netd)
{
	struct peer *peer;

	TAILQ_FOREACH (peer, &netd->peers, entry)
		update_events(peer);
}

static void reply_init(struct netd_reply *reply, uint32_t verb, uint64_t serial)
{
	*reply = (struct netd_reply){
		.version = NETD_PROTOCOL_VERSION, .verb = verb, .serial = serial};
}

/* Send what waits, as far as the peer takes it. Returns 0, or -errno for a peer that has gone. */
static int flush(struct peer *peer)
{
	struct answer *answer;

	while ((answer = TAILQ_FIRST(&peer->answers))) {
		int r = fd_send(peer->sock, &answer->reply, sizeof(answer->reply), answer->fds,
				answer->reply.n_fds);
		if (r < 0)
			return r;
		TAILQ_REMOVE(&peer->answers, answer, entry);
		peer->n_answers--;
		answer_free(answer);
	}
	while (peer->list_serial) {
		struct netd_reply reply;
		size_t slot = peer->list_slot;
		struct attachment *attachment = attachments_next(&peer->netd->attachments, &slot);
		reply_init(&reply, NETD_LIST, peer->list_serial);
		const int *listeners =
			attachment ? bridge_describe(peer->netd, attachment, &reply) : NULL;
		int r = fd_send(peer->sock, &reply, sizeof(reply), listeners, reply.n_fds);
		if (r < 0)
			return r;
		peer->list_slot = slot;
		if (!attachment)
			peer->list_serial = 0;
	}
	return 0;
}

/* Serving both would be fatal for the containers of the one that came first. */
static int check_owner(const struct peer *peer, struct diag *diag)
{
	const struct peer *other;

	TAILQ_FOREACH (other, &peer->netd->peers, entry)
		if (other != peer && other->serves && strcmp(other->owner, peer->owner) != 0)
			return diag_fail(
				EBUSY, diag, NULL,
				"another rolegated is served, with another state directory "
				"(pid %d): stop that one first",
				(int)other->pid);
	return 0;
}

static void answer_hello(struct peer *peer, const struct netd_request *request)
{
	struct netd_reply reply;
	struct diag diag = {0};

	memcpy(peer->owner, request->id, sizeof(peer->owner));
	reply_init(&reply, NETD_HELLO, request->serial);
	reply.error = -check_owner(peer, &diag);
	job_copy_diag(&reply, &diag);
	reply.port = (uint16_t)peer->netd->config.intercept.port;
	reply.netns_dev = peer->netd->hosts.own.dev;
	reply.netns_ino = peer->netd->hosts.own.ino;
	(void)send_or_enqueue(peer, &reply, NULL);
}

/* The peer serves from now on: whoever did before must end. */
static void replace_others(struct peer *peer)
{
	struct netd_reply reply;
	struct peer *other, *next;

	reply_init(&reply, NETD_REPLACED, 0);
	for (other = TAILQ_FIRST(&peer->netd->peers); other; other = next) {
		next = TAILQ_NEXT(other, entry);
		if (other == peer || !other->serves)
			continue;
		log_info(NULL, "peer %llu is replaced by peer %llu", (unsigned long long)other->id,
			 (unsigned long long)peer->id);
		other->serves = false;
		other->replaced = true;
		other->owes = true;
		(void)send_or_enqueue(other, &reply, NULL);
	}
	peer->serves = true;
	peer->replaced = false;
}

static void keep(struct peer *peer, uint64_t serial, int fds[FD_PASS_MAX])
{
	struct netd_reply reply;
	struct diag diag = {0};

	reply_init(&reply, NETD_KEEP, serial);
	int r = peer->replaced && !peer->owes
			? diag_fail(ESTALE, &diag, NULL, "another rolegated serves now")
			: kept_set(peer->netd, fds[0], &diag);
	/* It is netd's now, or nobody's: before the answer says so. */
	fds[0] = r == 0 ? -1 : fd_close(fds[0]);
	reply.error = -r;
	job_copy_diag(&reply, &diag);
	if (peer->owes) {
		peer->owes = false;
		loop_timer_set(&peer->netd->loop, &peer->netd->take_timer, 0);
	}
	(void)send_or_enqueue(peer, &reply, NULL);
}

static void answer_take(struct peer *peer)
{
	struct netd_reply reply;

	reply_init(&reply, NETD_TAKE, peer->take_serial);
	peer->take_serial = 0;
	reply.n_fds = peer->netd->kept_fd >= 0;
	(void)send_or_enqueue(peer, &reply, &peer->netd->kept_fd);
}

/* The last word of a peer that was replaced has come, or will not. */
static void handle_take_timer(void *user)
{
	struct netd *netd = user;
	struct peer *peer, *next;

	for (peer = TAILQ_FIRST(&netd->peers); peer; peer = next) {
		next = TAILQ_NEXT(peer, entry);
		peer->owes = false;
		if (peer->take_serial)
			answer_take(peer);
	}
}

static void take(struct peer *peer, uint64_t serial)
{
	struct peer *other;

	replace_others(peer);
	peer->take_serial = serial;
	TAILQ_FOREACH (other, &peer->netd->peers, entry)
		if (other->owes) {
			loop_timer_set(&peer->netd->loop, &peer->netd->take_timer, TAKE_WAIT_MS);
			return;
		}
	answer_take(peer);
}

void peer_init(struct netd *netd)
{
	netd->take_timer = (struct loop_timer){.handle = handle_take_timer, .user = netd};
}

/* A request that breaks a rule. Its envelope may be anything. */
static void answer_broken(struct peer *peer, const struct netd_request *raw,
			  const struct diag *diag)
{
	struct netd_reply reply;
	bool known = raw->verb >= NETD_HELLO && raw->verb <= NETD_TAKE && raw->verb != NETD_GONE;

	/* Without a serial there is no request to answer; HELLO stands for "I cannot say which". */
	if (raw->serial == 0)
		return;
	reply_init(&reply, known ? raw->verb : NETD_HELLO, raw->serial);
	reply.error = EPROTO;
	job_copy_diag(&reply, diag);
	(void)send_or_enqueue(peer, &reply, NULL);
}

static void refuse(struct peer *peer, const struct netd_request *request, const struct diag *diag)
{
	struct netd_reply reply;

	log_warning(NULL, "peer %llu is refused: %s", (unsigned long long)peer->id, diag->text);
	reply_init(&reply, request->verb, request->serial);
	reply.error = EBUSY;
	job_copy_diag(&reply, diag);
	(void)send_or_enqueue(peer, &reply, NULL);
}

static bool n_fds_is_right(uint32_t verb, size_t n_fds)
{
	switch (verb) {
	case NETD_ADOPT:
		return n_fds > 0 && n_fds <= NETD_LISTENERS_MAX;
	case NETD_KEEP:
		return n_fds <= 1;
	default:
		return n_fds == 0;
	}
}

static void handle_request(struct peer *peer, const void *data, size_t len, int fds[FD_PASS_MAX],
			   size_t n_fds)
{
	struct netd_request request;
	struct diag diag = {0};

	int r = netd_request_check(data, len, &request, &diag);
	if (r == 0 && !n_fds_is_right(request.verb, n_fds))
		r = diag_fail(EPROTO, &diag, "fds", "verb %u with %zu descriptors", request.verb,
			      n_fds);
	if (r < 0) {
		log_warning(NULL, "peer %llu sent a broken request: %s",
			    (unsigned long long)peer->id, diag.text);
		answer_broken(peer, data, &diag);
	} else if (request.verb == NETD_HELLO) {
		answer_hello(peer, &request);
	} else if ((request.verb == NETD_LIST || request.verb == NETD_TAKE) &&
		   check_owner(peer, &diag) < 0) {
		refuse(peer, &request, &diag);
	} else if (request.verb == NETD_LIST) {
		peer->list_serial = request.serial;
		peer->list_slot = 0;
		replace_others(peer);
		update_events(peer);
	} else if (request.verb == NETD_KEEP) {
		keep(peer, request.serial, fds);
	} else if (request.verb == NETD_TAKE) {
		take(peer, request.serial);
	} else {
		job_submit(peer->netd, peer->id, &request, fds, n_fds);
	}
}

/* One request a turn: the callbacks below may free the peer. */
static void handle_readable(struct peer *peer)
{
	/* One byte more than a request, so that a longer message shows. */
	union {
		struct netd_request request;
		char bytes[sizeof(struct netd_request) + 1];
	} message = {0};
	int fds[FD_PASS_MAX];
	size_t n_fds;

	ssize_t n = fd_receive(peer->sock, &message, sizeof(message.bytes), fds, &n_fds);
	if (n == -EAGAIN)
		return;
	if (n != (ssize_t)sizeof(message.request)) {
		if (n > 0 || n == -EMSGSIZE)
			log_warning(NULL,
				    "peer %llu sent a message of the wrong length, closing it",
				    (unsigned long long)peer->id);
		else
			log_info(NULL, "peer %llu has left", (unsigned long long)peer->id);
		for (size_t i = 0; i < n_fds; i++)
			fd_close(fds[i]);
		peer_free(peer);
		return;
	}
	handle_request(peer, &message, (size_t)n, fds, n_fds);
	for (size_t i = 0; i < FD_PASS_MAX; i++)
		fd_close(fds[i]);
}

static void handle_event(void *user, uint32_t events)
{
	struct peer *peer = user;

	if (events & EPOLLOUT) {
		int r = flush(peer);
		if (r < 0 && r != -EAGAIN && r != -ETOOMANYREFS) {
			peer_free(peer);
			return;
		}
		update_events(peer);
	}
	if (events & EPOLLIN)
		handle_readable(peer);
	else if (events & (EPOLLHUP | EPOLLERR))
		peer_free(peer);
}

int peer_new(struct netd *netd, int sock, pid_t pid)
{
	struct peer *peer = calloc(1, sizeof(*peer));
	if (!peer)
		return -ENOMEM;
	peer->source = (struct loop_source){.fd = -1, .handle = handle_event, .user = peer};
	int r = loop_add(&netd->loop, &peer->source, sock, EPOLLIN);
	if (r < 0) {
		free(peer);
		return r;
	}
	peer->netd = netd;
	peer->id = ++netd->last_peer_id;
	peer->sock = sock;
	peer->pid = pid;
	peer->events = EPOLLIN;
	TAILQ_INIT(&peer->answers);
	TAILQ_INSERT_TAIL(&netd->peers, peer, entry);
	netd->n_peers++;
	return 0;
}
