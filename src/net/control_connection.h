/* control_connection: one client of the control API, HTTP/1.1 on a bufferevent. Private to
 * control_server.c and control_connection.c.
 */
#pragma once

#include <event2/bufferevent.h>

#include "net/control_server.h"
#include "util/buf.h"
#include "wire/http_body.h"

#define CONTROL_SUBJECT_SIZE 512
#define CONTROL_ADDRESS_SIZE 80

TAILQ_HEAD(control_connection_list, control_connection);

/* What a connection waits for, and so for how long. */
enum control_state {
	CONTROL_HANDSHAKE,
	CONTROL_IDLE,	   /* for a request */
	CONTROL_READING,   /* for the rest of one */
	CONTROL_ANSWERING, /* for the handler; or it streams */
	CONTROL_LEAVING,   /* for the client to take its last answer */
	CONTROL_DRAINING,  /* for the client to close: what it still sends is thrown away, so that
			    * the answer is not reset */
};

/* One request; part of its connection, and there from its last byte until it is answered. */
struct control_request {
	struct control_connection *connection;
	enum http_method method;
	unsigned minor;
	bool keep_alive;
	bool open; /* the handler has it */
	bool streams;
	char *path;
	struct buf body;
	void (*gone)(void *);
	void *gone_data;
};

struct control_connection {
	TAILQ_ENTRY(control_connection) link; /* the least recently active first */
	struct bufferevent *bev;
	struct event *deadline;
	enum control_state state;
	struct control_door *door;
	bool allowed;	  /* may it call at all? */
	bool half_closed; /* the client will send no more, but may wait for its answer */
	bool taking;	  /* take_requests() is under way: it will go on by itself */
	bool *freed;	  /* set to true when the connection is; NULL: no one asks */
	struct control_peer peer;
	char subject[CONTROL_SUBJECT_SIZE], address[CONTROL_ADDRESS_SIZE]; /* what `peer` names */
	bool has_head; /* the request's head is read, its body is not */
	struct http_body reading;
	struct control_request request;
};

/* The Unix socket, or the TLS port. */
struct control_door {
	struct control_server *server;
	struct evconnlistener *listener; /* NULL: there is none */
	struct event *resume;		 /* listens again, in a while or in the loop's next turn */
	unsigned accepted;		 /* ever */
	struct control_tls *tls;	 /* NULL: the Unix socket */
	struct control_connection_list connections;
	size_t n_connections, max;
	int64_t complained_ms; /* when a stranger was last logged */
};

struct control_server {
	struct event_base *base;
	struct control_door unix_door, tls_door;
	struct control_group group;
	control_handler *handler;
	void *data;
};

/* control_connection_new(door, fd, address): serve an accepted socket, which becomes the
 * connection's, as it is closed when memory is short. `address`: of a TLS client, for the audit. */
void control_connection_new(struct control_door *door, int fd, const char *address);
void control_connection_free(struct control_connection *c);

/* control_connection_reply(c, status, type, body): as control_reply(). */
void control_connection_reply(struct control_connection *c, int status, const char *type,
			      const char *body);

/* control_connection_refuse(c, status): the like for what is refused without a word of the
 * handler's; the connection ends with it. */
void control_connection_refuse(struct control_connection *c, int status);

/* control_connection_answered(c): the request is answered: on to the next, or to the end. */
void control_connection_answered(struct control_connection *c);

/* control_connection_head(c, status, type, length): begin an answer; `length` -1: it streams. */
void control_connection_head(struct control_connection *c, int status, const char *type,
			     int64_t length);
