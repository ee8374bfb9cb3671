#include "rolegate/client.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "client/socket_path.h"
#include "client/transport.h"
#include "util/buf.h"
#include "util/cleanup.h"
#include "wire/control_error.h"
#include "wire/registration.h"
#include "wire/registration_body.h"

#define CONNECT_MS 5000
#define REPLY_MS 15000
#define EVENT_LINE_MAX (64 * 1024)

struct rolegate_client {
	char *socket_path;
	int timeout_ms; /* 0: the defaults */
};

struct rolegate_registration {
	struct registration_body *body;
};

int rolegate_client_new(const char *socket_path, struct rolegate_client **ret)
{
	struct rolegate_client *client = calloc(1, sizeof(*client));
	int r = 0;

	if (!client)
		return -ENOMEM;
	if (socket_path)
		client->socket_path = strdup(socket_path);
	else
		r = socket_path_default(NULL, &client->socket_path, NULL);
	if (r == 0 && !client->socket_path)
		r = -ENOMEM;
	if (r == 0 && (client->socket_path[0] == '\0' ||
		       strlen(client->socket_path) >= sizeof(((struct sockaddr_un *)0)->sun_path)))
		r = -EINVAL;
	if (r < 0) {
		rolegate_client_free(client);
		return r == -ENOMEM ? r : -EINVAL;
	}
	*ret = client;
	return 0;
}

void rolegate_client_free(struct rolegate_client *client)
{
	if (!client)
		return;
	free(client->socket_path);
	free(client);
}

const char *rolegate_client_socket(const struct rolegate_client *client)
{
	return client->socket_path;
}

void rolegate_client_set_timeout(struct rolegate_client *client, int timeout_ms)
{
	client->timeout_ms = timeout_ms > 0 ? timeout_ms : 0;
}

void rolegate_reply_clear(struct rolegate_reply *reply)
{
	secret_free(reply->body);
	*reply = (struct rolegate_reply){0};
}

struct rolegate_registration *rolegate_registration_new(void)
{
	struct rolegate_registration *registration = calloc(1, sizeof(*registration));

	if (registration)
		registration->body = registration_body_new();
	if (registration && !registration->body) {
		free(registration);
		return NULL;
	}
	return registration;
}

void rolegate_registration_free(struct rolegate_registration *registration)
{
	if (!registration)
		return;
	registration_body_free(registration->body);
	free(registration);
}

/* Fill the public error from a diagnosis of our own. */
static int fail(int r, const struct diag *diag, struct rolegate_error *error)
{
	if (error) {
		*error = (struct rolegate_error){0};
		snprintf(error->field, sizeof(error->field), "%s", diag->field);
		snprintf(error->message, sizeof(error->message), "%s",
			 diag->text[0] ? diag->text : strerror(-r));
	}
	return r;
}

int rolegate_registration_set(struct rolegate_registration *registration, const char *field,
			      const char *value, struct rolegate_error *error)
{
	struct diag diag = {0};

	int r = registration_body_add(registration->body, field, value, &diag);
	return r < 0 ? fail(r, &diag, error) : 0;
}

/* The daemon answered with something else than 2xx. */
static int refused(int status, const struct buf *body, struct rolegate_error *error)
{
	struct control_error told;
	struct diag clean;

	if (!error)
		return -EREMOTEIO;
	*error = (struct rolegate_error){.status = status};
	if (body->len == 0 || control_error_parse(body->data, body->len, &told) < 0)
		told = (struct control_error){0};
	/* Through a diag, which takes out what a terminal or a log must not see. */
	diag_set(&clean, told.field, "%s", told.message);
	snprintf(error->field, sizeof(error->field), "%s", clean.field);
	snprintf(error->message, sizeof(error->message), "%s", clean.text);
	diag_set(&clean, NULL, "%s", told.code);
	snprintf(error->code, sizeof(error->code), "%.63s", clean.text);
	if (!error->message[0] && error->code[0])
		snprintf(error->message, sizeof(error->message), "the daemon refused: %s (HTTP %d)",
			 error->code, status);
	else if (!error->message[0])
		snprintf(error->message, sizeof(error->message),
			 "the daemon answered HTTP %d without saying why", status);
	return -EREMOTEIO;
}

struct call {
	const char *method;
	const char *path;
	const char *body; /* NULL: none */
	size_t body_len;
	int64_t reply_ms;
	transport_body_fn on_body; /* NULL: none */
	void *user;
};

static int call_path(struct rolegate_client *client, const struct call *call,
		     struct rolegate_reply *ret, struct rolegate_error *error)
{
	_cleanup_buf_ struct buf body = {0};
	struct transport_request request = {
		.socket_path = client->socket_path,
		.method = call->method,
		.path = call->path,
		.body = call->body,
		.body_len = call->body_len,
		.connect_ms = CONNECT_MS,
		.reply_ms = call->reply_ms,
	};
	struct diag diag = {0};
	int status = 0;

	if (ret)
		*ret = (struct rolegate_reply){0};
	if (client->timeout_ms > 0) {
		request.connect_ms = client->timeout_ms;
		if (request.reply_ms != INT64_MAX)
			request.reply_ms = client->timeout_ms;
	}
	int r = transport_exchange(&request, call->on_body, call->user, &status, &body, &diag);
	if (r != 0)
		return diag.text[0] ? fail(r, &diag, error) : r;
	if (status < 200 || status > 299)
		return refused(status, &body, error);
	if (!ret)
		return 0;
	*ret = (struct rolegate_reply){.status = status, .len = body.len};
	ret->body = buf_steal(&body);
	if (!ret->body) {
		diag_set(&diag, NULL, "out of memory");
		return fail(-ENOMEM, &diag, error);
	}
	return 0;
}

/* A call on /v1/containers/{id}{suffix}. The id is checked, so that it needs no escaping. */
static int call_container(struct rolegate_client *client, const struct call *call, const char *id,
			  const char *suffix, struct rolegate_reply *ret,
			  struct rolegate_error *error)
{
	char path[CONTAINER_ID_SIZE + 64];
	struct diag diag;

	if (container_id_check(id) < 0) {
		diag_set(&diag, "id",
			 "must begin with a letter or digit, and hold 1 to 128 letters, digits and "
			 "the characters _ . -");
		return fail(-EINVAL, &diag, error);
	}
	snprintf(path, sizeof(path), "/v1/containers/%s%s", id, suffix);
	struct call with_path = *call;
	with_path.path = path;
	return call_path(client, &with_path, ret, error);
}

int rolegate_register(struct rolegate_client *client, const char *id,
		      const struct rolegate_registration *registration, struct rolegate_reply *ret,
		      struct rolegate_error *error)
{
	_cleanup_buf_ struct buf body = {0};
	int64_t wait_s = registration_body_wait_s(registration->body);
	struct diag diag = {0};

	if (registration_body_print(registration->body, &body) < 0)
		return fail(-ENOMEM, &diag, error);
	if (wait_s > REGISTRATION_WAIT_MAX_S)
		wait_s = REGISTRATION_WAIT_MAX_S; /* the daemon will refuse it */
	const struct call call = {.method = "PUT",
				  .body = body.data,
				  .body_len = body.len,
				  .reply_ms = wait_s * 1000 + REPLY_MS};
	return call_container(client, &call, id, "", ret, error);
}

int rolegate_unregister(struct rolegate_client *client, const char *id,
			struct rolegate_error *error)
{
	const struct call call = {.method = "DELETE", .reply_ms = REPLY_MS};

	return call_container(client, &call, id, "", NULL, error);
}

int rolegate_refresh(struct rolegate_client *client, const char *id, struct rolegate_error *error)
{
	const struct call call = {.method = "POST", .reply_ms = REPLY_MS};

	return call_container(client, &call, id, "/refresh", NULL, error);
}

int rolegate_show(struct rolegate_client *client, const char *id, struct rolegate_reply *ret,
		  struct rolegate_error *error)
{
	const struct call call = {.method = "GET", .reply_ms = REPLY_MS};

	return call_container(client, &call, id, "", ret, error);
}

int rolegate_roles(struct rolegate_client *client, struct rolegate_reply *ret,
		   struct rolegate_error *error)
{
	const struct call call = {.method = "GET", .path = "/v1/containers", .reply_ms = REPLY_MS};

	return call_path(client, &call, ret, error);
}

int rolegate_version(struct rolegate_client *client, struct rolegate_reply *ret,
		     struct rolegate_error *error)
{
	const struct call call = {.method = "GET", .path = "/version", .reply_ms = REPLY_MS};

	return call_path(client, &call, ret, error);
}

struct follow {
	rolegate_event_fn on_event;
	void *user;
};

/* Hand out the whole lines that have come, and keep the rest. */
static int take_events(struct buf *body, void *user)
{
	const struct follow *follow = user;
	size_t done = 0;
	int r = 0;

	while (r == 0 && done < body->len) {
		char *line = body->data + done;
		char *lf = memchr(line, '\n', body->len - done);
		if (!lf)
			break;
		*lf = '\0';
		done += (size_t)(lf - line) + 1;
		if (lf > line && lf[-1] == '\r')
			*--lf = '\0';
		/* An empty line keeps the connection alive, nothing more. */
		if (lf > line)
			r = follow->on_event(line, (size_t)(lf - line), follow->user);
	}
	if (done > 0) {
		memmove(body->data, body->data + done, body->len - done + 1);
		body->len -= done;
	}
	return r == 0 && body->len > EVENT_LINE_MAX ? -EMSGSIZE : r;
}

int rolegate_events(struct rolegate_client *client, rolegate_event_fn on_event, void *user,
		    struct rolegate_error *error)
{
	struct follow follow = {.on_event = on_event, .user = user};
	const struct call call = {.method = "GET",
				  .path = "/v1/events",
				  .reply_ms = INT64_MAX,
				  .on_body = take_events,
				  .user = &follow};
	struct diag diag = {.text = "an event is longer than 64 KiB"};

	int r = call_path(client, &call, NULL, error);
	return r == -EMSGSIZE ? fail(r, &diag, error) : r;
}
