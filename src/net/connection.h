/* connection: one client connection of the metadata front end. Private to frontend.c and
 * connection.c.
 */
#pragma once

#include <event2/event_struct.h>
#include <sys/socket.h>

#include "net/frontend.h"

TAILQ_HEAD(connection_list, connection);
TAILQ_HEAD(frontend_door_list, frontend_door);

/* What the doors of bridge mode share. */
struct shared_doors {
	struct frontend_door *hall; /* of no container: it has the listeners; NULL without doors */
	void *by_mark;		    /* tsearch(3) tree of doors */
	size_t n_doors;
	int64_t complained_ms; /* when a stranger was last logged */
};

struct frontend_door {
	struct frontend *frontend;
	struct container *container; /* NULL: see struct shared_doors */
	struct event *listeners[FD_PASS_MAX];
	size_t n_listeners;	/* 0 in bridge mode */
	bool shared;		/* bridge mode */
	struct netd_door known; /* bridge mode: by what its connections are; else mark 0 */
	struct connection_list connections; /* the least recently active first */
	size_t n_connections;
	TAILQ_ENTRY(frontend_door) doors_link;
	bool paused; /* its listeners are not watched: no descriptors */
	/* Fairness, see turns.h. */
	struct connection_list turns; /* connections with something to do that wait for a turn */
	TAILQ_ENTRY(frontend_door) turns_link; /* in the frontend's, while `turns` is not empty */
	int64_t window_ms;		       /* requests answered in this millisecond: */
	unsigned window_requests;
	bool hushed; /* its listeners are not watched until the next turn */
	TAILQ_ENTRY(frontend_door) hushed_link;
};

/* Why a connection has a deadline. */
enum connection_state {
	CONNECTION_IDLE,     /* between requests */
	CONNECTION_READING,  /* part of a request is here */
	CONNECTION_WRITING,  /* the peer is slow to take its answer; nothing is read meanwhile */
	CONNECTION_PARKED,   /* the answer needs the host's metadata, which is being asked; nothing
			      * is read meanwhile */
	CONNECTION_DRAINING, /* answered and shut down; reading only so that the answer is not reset
			      */
};

struct connection {
	TAILQ_ENTRY(connection) door_link;
	TAILQ_ENTRY(connection) wait_link; /* in the frontend's list for its state */
	struct frontend_door *door;
	struct event event;
	int fd;
	bool ipv6;
	bool close_after_write;
	bool drain_after_write; /* there may be unread input: closing at once would reset the answer
				 */
	enum connection_state state;
	int64_t deadline_ms;
	int64_t read_us;  /* when it was last read from, clock_now_us(): for the latencies */
	bool waits_turn;  /* it is in door->turns */
	bool muted;	  /* and not watched meanwhile */
	bool unprocessed; /* `in` may hold whole requests */
	TAILQ_ENTRY(connection) turn_link;
	struct metadata_item *awaited; /* PARKED: what for */
	int64_t answer_by_ms; /* the request at hand has been parked: answer it by then; 0: not */
	struct buf in;	      /* input that is not answered yet */
	size_t in_seen;	      /* of it, already searched for the end of the head */
	bool continued;	      /* 100 Continue was sent for the request that is coming */
	struct buf out;	      /* what the peer has not taken yet */
	size_t out_sent;
	bool short_ttl; /* `out` holds the rest of a token's answer: see send_token() */
	struct router_memo memo;
	bool *freed; /* set to true when the connection is; NULL: no one asks */
};

/* Connections waiting for the same kind of deadline, so the first is always the next to expire. */
#define N_CONNECTION_STATES 5

#define FRONTEND_READ_SIZE (16 * 1024)

enum frontend_phase {
	FRONTEND_SERVING,
	FRONTEND_LINGERING, /* every answer closes its connection */
	FRONTEND_LEAVING,   /* nothing new is accepted */
	FRONTEND_DRAINED,
};

struct frontend {
	struct event_base *base;
	struct router router;
	struct upstream *upstream;
	struct shared_doors shared;
	struct event
		*timer;	  /* the next deadline of any connection; not armed without connections */
	int64_t timer_ms; /* what it is armed for; INT64_MAX: not armed */
	struct connection_list waiting[N_CONNECTION_STATES];
	struct frontend_door_list doors;
	size_t n_connections, n_listeners; /* of all doors */
	size_t descriptors_max;		   /* what both may take together; the rest is for others */
	struct event *resume;		   /* watches paused listeners again */
	frontend_broken_cb *broken;
	void *broken_data;
	struct frontend_door_list turns; /* doors with connections that wait for a turn */
	struct event *turn;		 /* gives turns, one loop iteration later or more */
	struct event *others; /* ordinary: has run when all that was there before it has */
	bool others_wait;
	int64_t others_ms; /* since when, or when they last had their turn */
	struct frontend_door_list hushed;
	struct frontend_door *last_door; /* whose request was the last; NULL: unknown */
	int64_t crowded_until_ms;	 /* till then it is not the only one that asks */
	char read[HTTP_HEAD_MAX + FRONTEND_READ_SIZE];
	struct buf out;
	char date[CLOCK_HTTP_DATE_SIZE];
	int64_t date_s;
	int64_t complained_ms; /* when descriptor exhaustion was last logged */

	enum frontend_phase phase;
	bool deaf;		   /* nothing is accepted any more */
	struct event *drain_timer; /* NULL while serving */
	frontend_drained_cb *drained;
	void *drained_data;
};

/* frontend_rank(f, ev, door, now_ms): called by an event of a door's that runs: how urgent it is the next
 * time (see event_loop.h). A container within its share (turns.h) is urgent; one past it is as ordinary as
 * all else, and so is everyone once all else has been waiting for long. */
void frontend_rank(struct frontend *f, struct event *ev, struct frontend_door *door,
		   int64_t now_ms);

/* frontend_connection_gone(f): a connection was freed; a drain may have come to its end. */
void frontend_connection_gone(struct frontend *f);

/* A door without listeners, and one more for it, which becomes the door's. frontend_close() is the
 * way back. NULL or -ENOMEM. */
struct frontend_door *frontend_door_new(struct frontend *f, struct container *container);
int frontend_door_listen(struct frontend_door *door, int fd);

/* shared_door.c: whose is an accepted connection? NULL: nobody's. */
struct frontend_door *shared_door_find(struct frontend *f, int fd,
				       const struct sockaddr_storage *peer, int64_t now_ms);
/* A listener is none any more: every door behind it is broken. */
void shared_doors_broken(struct frontend *f);
/* Take the door out; with the last one go the listeners. */
void shared_door_remove(struct frontend_door *door);

/* connection_new(door, fd, ipv6, now_ms): take over an accepted socket, and answer at once what has
 * already come: a client that sends one request a connection then costs no wait for an event. */
int connection_new(struct frontend_door *door, int fd, bool ipv6, int64_t now_ms);
void connection_free(struct connection *c);

/* connection_expire(c, now_ms): its deadline has passed. PARKED: answered with what is known; 408
 * for a request that did not come whole, then close. */
void connection_expire(struct connection *c, int64_t now_ms);

/* connection_wake(c, now_ms): a PARKED one: what it waits for may be there. */
void connection_wake(struct connection *c, int64_t now_ms);

/* connection_take_turn(c, now_ms): read, if there is nothing to answer yet, and answer. */
void connection_take_turn(struct connection *c, int64_t now_ms);
