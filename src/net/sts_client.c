#include "net/sts_client.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/sts_endpoint.h"
#include "util/clock.h"
#include "util/log.h"
#include "wire/sigv4.h"

#define CONNECT_TIMEOUT_MS 3000
#define REPLY_MAX (256 * 1024)
#define SKEW_LOGGED_S 60

#define CONTENT_TYPE "application/x-www-form-urlencoded; charset=utf-8"

struct sts_client {
	struct fetch_loop *loop;
	struct host_credentials *base;
	const struct config *config;
	char *environment_region;
	int64_t offset_s; /* STS's clock less ours */
};

struct sts_call {
	struct sts_client *client;
	struct buf body;
	int64_t timeout_ms;
	struct fetch *fetch;
	bool waiting;			   /* for base credentials */
	bool skew_corrected, base_renewed; /* each once only */
	struct credentials *credentials;   /* what the request under way is signed with */
	struct event *finish;		   /* hands `result` over */
	struct sts_result result;
	sts_call_cb *cb;
	void *data;
};

static void on_base(struct credentials *credentials, const struct diag *diag, void *data);
static void on_reply(const struct fetch_reply *reply, void *data);

static void call_free(struct sts_call *call)
{
	if (!call)
		return;
	if (call->waiting)
		host_credentials_cancel(call->client->base, on_base, call);
	fetch_cancel(call->fetch);
	if (call->finish)
		event_free(call->finish);
	credentials_unref(call->credentials);
	sts_result_deinit(&call->result);
	buf_deinit(&call->body);
	free(call);
}
DEFINE_CLEANUP(struct sts_call *, call_free)
#define _cleanup_call_ _cleanup_(call_freep)

static void on_finish(evutil_socket_t fd, short events, void *data)
{
	struct sts_call *call = data;
	_cleanup_(sts_result_deinit) struct sts_result result = call->result;
	sts_call_cb *cb = call->cb;

	(void)fd, (void)events;
	data = call->data;
	call->result.credentials = NULL; /* moved */
	call_free(call);
	cb(&result, data);
}

/* call->result is set: hand it over, from the loop. */
static void call_finish(struct sts_call *call)
{
	event_active(call->finish, EV_TIMEOUT, 0);
}

#define call_fail(call, ...)                                                                       \
	do {                                                                                       \
		sts_result_fail(&(call)->result, STS_RETRY, __VA_ARGS__);                          \
		call_finish(call);                                                                 \
	} while (0)

static const char *client_region(const struct sts_client *client)
{
	if (client->config->aws.region)
		return client->config->aws.region;
	if (client->environment_region)
		return client->environment_region;
	return host_credentials_region(client->base);
}

/* "Name: value" lines for the request; all but User-Agent and Authorization itself are signed. */
enum { MAX_LINES = 6 };
struct request_headers {
	struct buf lines[MAX_LINES];
	const char *pointers[MAX_LINES + 1];
	size_t n;
};

static void headers_deinit(struct request_headers *headers)
{
	for (size_t i = 0; i < MAX_LINES; i++)
		buf_deinit(&headers->lines[i]);
}

static void headers_add(struct request_headers *headers, const char *name, const char *value)
{
	struct buf *line = &headers->lines[headers->n];

	buf_printf(line, "%s: %s", name, value);
	headers->pointers[headers->n++] = line->data;
}

static int headers_build(const struct sts_call *call, const struct sts_endpoint *endpoint,
			 struct request_headers *headers)
{
	const struct credentials *c = call->credentials;
	int64_t now_s = clock_wall_s() + call->client->offset_s;
	char date[SIGV4_DATE_SIZE];
	_cleanup_buf_ struct buf authorization = {0};

	sigv4_format_date(now_s, date);
	const struct sigv4_header signed_headers[] = {
		{"Content-Type", CONTENT_TYPE},
		{"Host", endpoint->host},
		{"X-Amz-Date", date},
		{"X-Amz-Security-Token", c->session_token}, /* last: long-lived keys have none */
	};
	const struct sigv4_request request = {
		.method = "POST",
		.path = endpoint->path,
		.query = "",
		.headers = signed_headers,
		.n_headers = c->session_token ? 4 : 3,
		.body = call->body.data,
		.body_len = call->body.len,
	};
	const struct sigv4_scope scope = {
		.access_key_id = c->access_key_id,
		.secret_access_key = c->secret_access_key,
		.region = endpoint->signing_region,
		.service = "sts",
		.time_s = now_s,
	};
	int r = sigv4_authorization(&request, &scope, &authorization);
	if (r < 0)
		return r;
	for (size_t i = 0; i < request.n_headers; i++)
		headers_add(headers, signed_headers[i].name, signed_headers[i].value);
	headers_add(headers, "Authorization", authorization.data);
	for (size_t i = 0; i < headers->n; i++)
		if (!buf_ok(&headers->lines[i]))
			return -ENOMEM;
	return 0;
}

/* Sign with call->credentials and send. */
static int call_send_to(struct sts_call *call, const struct sts_endpoint *endpoint)
{
	_cleanup_(headers_deinit) struct request_headers headers = {0};

	int r = headers_build(call, endpoint, &headers);
	if (r < 0)
		return r;
	const struct fetch_request request = {
		.method = "POST",
		.url = endpoint->url,
		.headers = headers.pointers,
		.body = call->body.data,
		.body_len = call->body.len,
		.ca_file = call->client->config->aws.ca_file,
		.connect_timeout_ms = CONNECT_TIMEOUT_MS,
		.timeout_ms = call->timeout_ms,
		.reply_max = REPLY_MAX,
	};
	return fetch_start(call->client->loop, &request, on_reply, call, &call->fetch);
}

static void call_send(struct sts_call *call)
{
	_cleanup_(sts_endpoint_deinit) struct sts_endpoint endpoint = {0};
	struct diag diag = {0};

	int r = sts_endpoint_resolve(call->client->config, client_region(call->client), &endpoint,
				     &diag);
	if (r < 0) {
		call_fail(call,
			  r == -ENOMEM	  ? "OutOfMemory"
			  : r == -ENODATA ? "NoRegion"
					  : "BadEndpoint",
			  "%s", diag.text);
		return;
	}
	r = call_send_to(call, &endpoint);
	if (r < 0)
		call_fail(call, r == -ENOMEM ? "OutOfMemory" : "BadEndpoint", "%s: %s",
			  endpoint.url, strerror(-r));
}

static void on_base(struct credentials *credentials, const struct diag *diag, void *data)
{
	struct sts_call *call = data;

	call->waiting = false;
	if (!credentials) {
		call_fail(call, "NoHostCredentials", "%s", diag->text);
		return;
	}
	credentials_unref(call->credentials);
	call->credentials = credentials_ref(credentials);
	call_send(call);
}

/* Get base credentials, then send. */
static void call_begin(struct sts_call *call)
{
	struct credentials *cached = host_credentials_get(call->client->base);

	if (cached) {
		on_base(cached, NULL, call);
		return;
	}
	int r = host_credentials_fetch(call->client->base, on_base, call);
	if (r < 0)
		call_fail(call, "NoHostCredentials", "%s", strerror(-r));
	else
		call->waiting = true;
}

static void call_fail_transport(struct sts_call *call, const struct fetch_reply *reply)
{
	static const struct {
		int error;
		const char *code;
	} codes[] = {
		{-ETIMEDOUT, "TimedOut"}, {-ECONNREFUSED, "ConnectFailed"},
		{-EPROTO, "TlsFailed"},	  {-EHOSTUNREACH, "NameResolution"},
		{-EFBIG, "TooLarge"},	  {-EADDRNOTAVAIL, "ConnectFailed"},
		{-ENOMEM, "OutOfMemory"}, {-EINVAL, "BadEndpoint"},
	};
	_cleanup_(sts_endpoint_deinit) struct sts_endpoint endpoint = {0};
	const char *code = "BadReply"; /* cut short, or no HTTP */

	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		if (codes[i].error == reply->error)
			code = codes[i].code;
	/* libcurl's words often lack the address, and an operator needs it. */
	(void)sts_endpoint_resolve(call->client->config, client_region(call->client), &endpoint,
				   NULL);
	call_fail(call, code, "STS at %s: %s", endpoint.url ? endpoint.url : "?",
		  reply->error_text);
}

/* Learn STS's clock from a reply that is surely STS's. */
static void learn_clock(struct sts_client *client, const struct fetch_reply *reply)
{
	int64_t offset_s = reply->date_s - clock_wall_s();

	/* A second or two are the reply's way here, not the clock. */
	int64_t change_s = offset_s - client->offset_s;
	if (change_s >= -2 && change_s <= 2)
		return;
	if (change_s < -SKEW_LOGGED_S || change_s > SKEW_LOGGED_S)
		log_warning(NULL,
			    "this host's clock and STS's differ by %" PRId64 " s: allowed for in "
			    "signatures",
			    offset_s);
	client->offset_s = offset_s;
}

static void complete_credentials(struct sts_call *call, const struct fetch_reply *reply)
{
	struct credentials *c = call->result.credentials;
	int64_t issuer_now_s =
		reply->date_s > 0 ? reply->date_s : clock_wall_s() + call->client->offset_s;

	c->last_updated_s = issuer_now_s;
	c->expires_ms = clock_now_ms() + (c->expiration_s - issuer_now_s) * 1000;
}

/* What STS would not take even when fresh is wrong rather than old: then trying again is no use. */
static void settle_base_error(struct sts_result *result)
{
	if (strcmp(result->code, "ExpiredToken") != 0 &&
	    strcmp(result->code, "ExpiredTokenException") != 0)
		result->class = STS_DENIED;
}

/* The failures that this client cures itself: true if the call is on its way again. */
static bool call_again(struct sts_call *call, const struct fetch_reply *reply)
{
	struct sts_client *client = call->client;
	enum sts_class class = call->result.class;

	if (class == STS_SKEW && !call->skew_corrected && reply->date_s > 0) {
		call->skew_corrected = true;
		sts_result_deinit(&call->result);
		call_send(call);
		return true;
	}
	if (class == STS_BASE_EXPIRED && !call->base_renewed) {
		call->base_renewed = true;
		host_credentials_forget(client->base, call->credentials);
		sts_result_deinit(&call->result);
		call_begin(call);
		return true;
	}
	if (class == STS_BASE_EXPIRED)
		settle_base_error(&call->result);
	return false;
}

static void on_reply(const struct fetch_reply *reply, void *data)
{
	struct sts_call *call = data;
	struct sts_result *result = &call->result;

	call->fetch = NULL;
	if (reply->error < 0) {
		call_fail_transport(call, reply);
		return;
	}
	sts_parse_reply(reply->status, reply->body.data, reply->body.len, result);
	if (!result->request_id[0])
		snprintf(result->request_id, sizeof(result->request_id), "%s", reply->request_id);
	if (reply->date_s > 0 && strcmp(result->code, "BadReply") != 0)
		learn_clock(call->client, reply);
	if (result->class == STS_OK)
		complete_credentials(call, reply);
	if (!call_again(call, reply))
		call_finish(call);
}

int sts_call_start(struct sts_client *client, const char *body, int64_t timeout_ms, sts_call_cb *cb,
		   void *data, struct sts_call **ret)
{
	_cleanup_call_ struct sts_call *call = calloc(1, sizeof(*call));
	if (!call)
		return -ENOMEM;
	call->client = client;
	call->timeout_ms = timeout_ms;
	call->cb = cb;
	call->data = data;
	buf_puts(&call->body, body);
	call->finish = event_new(fetch_loop_base(client->loop), -1, 0, on_finish, call);
	if (!buf_ok(&call->body) || !call->finish)
		return -ENOMEM;
	call_begin(call);
	*ret = TAKE(call);
	return 0;
}

struct sts_call *sts_call_cancel(struct sts_call *call)
{
	call_free(call);
	return NULL;
}

int64_t sts_client_clock_offset(const struct sts_client *client)
{
	return client->offset_s;
}

static int take_environment_region(struct sts_client *client)
{
	const char *region = getenv("AWS_REGION");

	if (!region || !*region)
		region = getenv("AWS_DEFAULT_REGION");
	if (!region || !*region)
		return 0;
	client->environment_region = strdup(region);
	return client->environment_region ? 0 : -ENOMEM;
}

int sts_client_new(struct fetch_loop *loop, struct host_credentials *base,
		   const struct config *config, struct sts_client **ret, struct diag *diag)
{
	_cleanup_(sts_endpoint_deinit) struct sts_endpoint endpoint = {0};
	struct sts_client *client = calloc(1, sizeof(*client));
	if (!client)
		return diag_fail(ENOMEM, diag, NULL, "out of memory");
	client->loop = loop;
	client->base = base;
	client->config = config;
	int r = take_environment_region(client);
	if (r < 0)
		diag_set(diag, NULL, "out of memory");
	/* Say at start what is wrong for good. A region not known yet may come from IMDS. */
	if (r == 0)
		r = sts_endpoint_resolve(config, client_region(client), &endpoint, diag);
	if (r < 0 && r != -ENODATA) {
		sts_client_free(client);
		return r;
	}
	*ret = client;
	return 0;
}

struct sts_client *sts_client_free(struct sts_client *client)
{
	if (!client)
		return NULL;
	free(client->environment_region);
	free(client);
	return NULL;
}
