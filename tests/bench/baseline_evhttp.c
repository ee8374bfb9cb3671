/* The same fixed answer by libevent's evhttp: what taking its HTTP server would have cost.
 *
 *	baseline_evhttp PORT BODY_FILE
 */
#include <stdio.h>
#include <stdlib.h>

#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>

static char body[32768];
static size_t body_len;

static void answer(struct evhttp_request *request, void *data)
{
	struct evbuffer *out = evbuffer_new();

	(void)data;
	evbuffer_add_reference(out, body, body_len, NULL, NULL);
	evhttp_add_header(evhttp_request_get_output_headers(request), "Content-Type", "text/plain");
	evhttp_send_reply(request, 200, "OK", out);
	evbuffer_free(out);
}

int main(int argc, char **argv)
{
	FILE *f = argc == 3 ? fopen(argv[2], "r") : NULL;

	if (!f)
		return 2;
	body_len = fread(body, 1, sizeof(body), f);
	fclose(f);
	struct event_base *base = event_base_new();
	struct evhttp *http = evhttp_new(base);
	evhttp_set_gencb(http, answer, NULL);
	if (evhttp_bind_socket(http, "127.0.0.1", (unsigned short)atoi(argv[1])) < 0)
		return 1;
	return event_base_dispatch(base);
}
