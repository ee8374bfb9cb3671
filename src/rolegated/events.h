/* events: GET /v1/events: what happens, one JSON line each, to every client that follows.
 *
 * A client that does not read is no reason to hold events for ever: past EVENTS_QUEUE_MAX bytes
 * waiting for it, it gets a last line saying so and its stream ends.
 */
#pragma once

#include "net/control_server.h"

#define EVENTS_TYPE "application/x-ndjson"
#define EVENTS_CLIENTS_MAX 32
#define EVENTS_QUEUE_MAX (256 * 1024)

struct events_client;
TAILQ_HEAD(events_client_list, events_client);

struct events {
	struct events_client_list clients;
	size_t n_clients;
	uint64_t published, dropped_clients;
};

void events_init(struct events *events);
/* events_deinit(events): the streams are the control server's to end. */
void events_deinit(struct events *events);

/* events_follow(events, request): answer it with the stream. False if there are too many already:
 * then the request is still the caller's to answer. */
bool events_follow(struct events *events, struct control_request *request);

/* events_publish(events, line): to all; `line` ends in LF. */
void events_publish(struct events *events, const char *line);
