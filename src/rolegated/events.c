#include "rolegated/events.h"

#include <stdlib.h>
#include <string.h>

#include "util/log.h"

struct events_client {
	TAILQ_ENTRY(events_client) link;
	struct events *events;
	struct control_request *request;
};

void events_init(struct events *events)
{
	*events = (struct events){0};
	TAILQ_INIT(&events->clients);
}

static void client_free(struct events_client *client)
{
	TAILQ_REMOVE(&client->events->clients, client, link);
	client->events->n_clients--;
	free(client);
}

void events_deinit(struct events *events)
{
	while (!TAILQ_EMPTY(&events->clients))
		client_free(TAILQ_FIRST(&events->clients));
}

static void on_gone(void *data)
{
	client_free(data);
}

bool events_follow(struct events *events, struct control_request *request)
{
	if (events->n_clients >= EVENTS_CLIENTS_MAX)
		return false;
	struct events_client *client = calloc(1, sizeof(*client));
	if (!client)
		return false;
	client->events = events;
	client->request = request;
	TAILQ_INSERT_TAIL(&events->clients, client, link);
	events->n_clients++;
	control_request_on_gone(request, on_gone, client);
	control_stream_start(request, EVENTS_TYPE);
	return true;
}

void events_publish(struct events *events, const char *line)
{
	struct events_client *client, *next;
	size_t len = strlen(line);

	events->published++;
	for (client = TAILQ_FIRST(&events->clients); client; client = next) {
		next = TAILQ_NEXT(client, link);
		if (control_stream_pending(client->request) + len <= EVENTS_QUEUE_MAX) {
			control_stream_send(client->request, line, len);
			continue;
		}
		static const char note[] =
			"{\"event\":\"dropped\",\"message\":\"this client reads too "
			"slowly: the stream ends here\"}\n";
		const struct control_peer *peer = control_request_peer(client->request);
		if (peer->subject)
			log_warning(NULL, "%s reads events too slowly: its stream is ended",
				    peer->address);
		else
			log_warning(NULL, "pid %d reads events too slowly: its stream is ended",
				    (int)peer->pid);
		events->dropped_clients++;
		control_stream_send(client->request, note, sizeof(note) - 1);
		control_stream_end(client->request);
		client_free(client);
	}
}
