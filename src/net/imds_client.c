#include "net/imds_client.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "util/clock.h"

#define CONNECT_TIMEOUT_MS 1000
#define TIMEOUT_MS 5000

#define TOKEN_PATH "/latest/api/token"
#define TOKEN_TTL_S 21600
#define TOKEN_MARGIN_S 60 /* a token with less left is not used for another request */
#define TOKEN_SIZE_MAX 1024

struct imds_client {
	struct fetch_loop *loop;
	const struct config *config;
	char *token;
	int64_t token_until_ms; /* clock_now_ms() until which it may be used */
	unsigned token_number;	/* counts tokens: which one did a request go out with? */
	struct fetch *token_fetch;
	TAILQ_HEAD(, imds_call) waiting; /* for the token */
};

struct imds_call {
	TAILQ_ENTRY(imds_call) entry;
	bool waiting; /* it is in client->waiting */
	struct imds_client *client;
	char *path;
	size_t reply_max;
	struct fetch *fetch;
	unsigned token_number;
	bool token_renewed;   /* after a 401; once only */
	struct event *failed; /* answers with `failure` */
	struct fetch_reply failure;
	fetch_cb *cb;
	void *data;
};

static void call_free(struct imds_call *call)
{
	if (!call)
		return;
	if (call->waiting)
		TAILQ_REMOVE(&call->client->waiting, call, entry);
	fetch_cancel(call->fetch);
	if (call->failed)
		event_free(call->failed);
	free(call->path);
	free(call);
}
DEFINE_CLEANUP(struct imds_call *, call_free)
#define _cleanup_call_ _cleanup_(call_freep)

static void on_failed(evutil_socket_t fd, short events, void *data)
{
	struct imds_call *call = data;
	struct fetch_reply failure = call->failure;
	fetch_cb *cb = call->cb;

	(void)fd, (void)events;
	data = call->data;
	call_free(call);
	cb(&failure, data);
}

/* Answer the call with an error, from the loop. */
static void fail_later(struct imds_call *call, int error, const char *text)
{
	call->failure = (struct fetch_reply){.error = error, .token_ttl_s = -1};
	snprintf(call->failure.error_text, sizeof(call->failure.error_text), "%s", text);
	event_active(call->failed, EV_TIMEOUT, 0);
}

static void forget_token(struct imds_client *client)
{
	secret_free(client->token);
	client->token = NULL;
}

/* Start one request; `header` holds a secret and is wiped by the caller. */
static int send_request(struct imds_client *client, const char *method, const char *path,
			const char *header, size_t reply_max, fetch_cb *cb, void *data,
			struct fetch **ret)
{
	_cleanup_buf_ struct buf url = {0};
	const char *endpoint = client->config->aws.imds_endpoint;
	size_t len = strlen(endpoint);
	const char *headers[] = {header, NULL};

	while (len > 0 && endpoint[len - 1] == '/')
		len--;
	buf_put(&url, endpoint, len);
	buf_puts(&url, path);
	if (!buf_ok(&url))
		return -ENOMEM;
	const struct fetch_request request = {
		.method = method,
		.url = url.data,
		.headers = headers,
		.ca_file = client->config->aws.ca_file,
		.connect_timeout_ms = CONNECT_TIMEOUT_MS,
		.timeout_ms = TIMEOUT_MS,
		.reply_max = reply_max,
	};
	return fetch_start(client->loop, &request, cb, data, ret);
}

static int call_proceed(struct imds_call *call);

static void on_get(const struct fetch_reply *reply, void *data)
{
	struct imds_call *call = data;
	struct imds_client *client = call->client;

	call->fetch = NULL;
	if (reply->error == 0 && reply->status == 401 && !call->token_renewed) {
		call->token_renewed = true;
		/* Unless another call has replaced it since. */
		if (call->token_number == client->token_number)
			forget_token(client);
		int r = call_proceed(call);
		if (r < 0)
			fail_later(call, r, strerror(-r));
		return;
	}
	fetch_cb *cb = call->cb;
	data = call->data;
	call_free(call);
	cb(reply, data);
}

static int send_get(struct imds_call *call)
{
	struct imds_client *client = call->client;
	_cleanup_buf_ struct buf header = {0};

	buf_printf(&header, "X-aws-ec2-metadata-token: %s", client->token);
	if (!buf_ok(&header))
		return -ENOMEM;
	call->token_number = client->token_number;
	return send_request(client, "GET", call->path, header.data, call->reply_max, on_get, call,
			    &call->fetch);
}

static int take_token(struct imds_client *client, const struct fetch_reply *reply)
{
	const char *text = reply->body.data;
	size_t len = reply->body.len;

	/* Imitations end it with a newline. */
	while (len > 0 && (text[len - 1] == '\n' || text[len - 1] == '\r'))
		len--;
	if (reply->status != 200 || len == 0)
		return -EACCES;
	for (size_t i = 0; i < len; i++)
		if (text[i] <= ' ' || text[i] >= 0x7f)
			return -EACCES;
	char *token = strndup(text, len);
	if (!token)
		return -ENOMEM;
	int64_t ttl_s = reply->token_ttl_s > 0 ? reply->token_ttl_s : TOKEN_TTL_S;
	int64_t margin_s = ttl_s > 2 * TOKEN_MARGIN_S ? TOKEN_MARGIN_S : ttl_s / 2;
	forget_token(client);
	client->token = token;
	client->token_until_ms = clock_now_ms() + (ttl_s - margin_s) * 1000;
	client->token_number++;
	return 0;
}

static void on_token(const struct fetch_reply *reply, void *data)
{
	struct imds_client *client = data;
	char text[256];

	client->token_fetch = NULL;
	int r = reply->error;
	snprintf(text, sizeof(text), "%s", reply->error_text);
	if (r == 0) {
		r = take_token(client, reply);
		if (r == -EACCES && reply->status == 200)
			snprintf(text, sizeof(text), "the reply to PUT " TOKEN_PATH " is no token");
		else if (r == -EACCES)
			snprintf(text, sizeof(text), "HTTP %d to PUT " TOKEN_PATH, reply->status);
		else if (r < 0)
			snprintf(text, sizeof(text), "%s", strerror(-r));
	}
	while (!TAILQ_EMPTY(&client->waiting)) {
		struct imds_call *call = TAILQ_FIRST(&client->waiting);
		TAILQ_REMOVE(&client->waiting, call, entry);
		call->waiting = false;
		int e = r == 0 ? send_get(call) : r;
		if (e < 0)
			fail_later(call, e, r < 0 ? text : strerror(-e));
	}
}

static int call_proceed(struct imds_call *call)
{
	struct imds_client *client = call->client;

	if (client->token && clock_now_ms() < client->token_until_ms)
		return send_get(call);
	if (!client->token_fetch) {
		char header[64];
		snprintf(header, sizeof(header), "X-aws-ec2-metadata-token-ttl-seconds: %d",
			 TOKEN_TTL_S);
		int r = send_request(client, "PUT", TOKEN_PATH, header, TOKEN_SIZE_MAX, on_token,
				     client, &client->token_fetch);
		if (r < 0)
			return r;
	}
	TAILQ_INSERT_TAIL(&client->waiting, call, entry);
	call->waiting = true;
	return 0;
}

int imds_get(struct imds_client *client, const char *path, size_t reply_max, fetch_cb *cb,
	     void *data, struct imds_call **ret)
{
	if (*path != '/')
		return -EINVAL;
	for (const char *p = path; *p; p++)
		if (*p <= ' ' || *p >= 0x7f)
			return -EINVAL;

	_cleanup_call_ struct imds_call *call = calloc(1, sizeof(*call));
	if (!call)
		return -ENOMEM;
	call->client = client;
	call->reply_max = reply_max;
	call->cb = cb;
	call->data = data;
	call->path = strdup(path);
	call->failed = event_new(fetch_loop_base(client->loop), -1, 0, on_failed, call);
	if (!call->path || !call->failed)
		return -ENOMEM;
	int r = call_proceed(call);
	if (r < 0)
		return r;
	*ret = TAKE(call);
	return 0;
}

struct imds_call *imds_call_cancel(struct imds_call *call)
{
	call_free(call);
	return NULL;
}

int imds_client_new(struct fetch_loop *loop, const struct config *config, struct imds_client **ret)
{
	struct imds_client *client = calloc(1, sizeof(*client));
	if (!client)
		return -ENOMEM;
	client->loop = loop;
	client->config = config;
	TAILQ_INIT(&client->waiting);
	*ret = client;
	return 0;
}

struct imds_client *imds_client_free(struct imds_client *client)
{
	if (!client)
		return NULL;
	fetch_cancel(client->token_fetch);
	forget_token(client);
	free(client);
	return NULL;
}
