#include "rolegated/control_api.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/container_credentials.h"
#include "util/clock.h"
#include "rolegated/metrics_page.h"
#include "util/log.h"
#include "wire/container_json.h"

#define JSON "application/json"
#define CONTAINERS "/v1/containers"

/* A request that waits for the registrar. */
struct pending {
	const struct control_api *api;
	struct control_request *request;
	struct registrar_wait *wait;
};

static void reply_buf(struct control_request *request, int status, struct buf *body)
{
	buf_puts(body, "\n");
	if (buf_ok(body))
		control_reply(request, status, JSON, body->data);
	else
		control_reply(request, 500, NULL, NULL);
	buf_deinit(body);
}

static void reply_error(struct control_request *request, int status, const char *code,
			const struct diag *diag)
{
	struct buf body = {0};

	control_json_error(code, diag, &body);
	reply_buf(request, status, &body);
}

static void reply_not_found(struct control_request *request, const char *what)
{
	struct diag diag = {0};

	diag_set(&diag, NULL, "there is no %s", what);
	reply_error(request, 404, "not_found", &diag);
}

static void reply_method(struct control_request *request)
{
	struct diag diag = {0};

	const char *method = control_request_method(request);
	diag_set(&diag, NULL, "%s is not allowed here", method[0] ? method : "this method");
	reply_error(request, 405, "method_not_allowed", &diag);
}

/* `environment` NULL: it is not told. */
static void print_container(const struct container *c, bool full,
			    const struct container_environment *environment, struct buf *out)
{
	const struct session *s = c->session;
	int64_t now_ms = clock_now_ms();
	bool valid = session_valid(s, now_ms);
	struct container_view view = {
		.id = c->id,
		.canonical = c->registration->canonical,
		.state =
			session_state_name(c->phase == CONTAINER_ATTACHED ? session_state(s, now_ms)
									  : SESSION_PENDING),
		.access_key_id = valid ? s->credentials->access_key_id : NULL,
		.expiration_s = valid ? s->credentials->expiration_s : 0,
		.last_refresh_s = s->last_refresh_s,
		.registered_at_s = c->registered_at_s,
		.requests = c->requests,
		.netns_ino = c->netns_ino,
		.environment = environment,
		.detail = session_state_detail(session_state(s, now_ms)),
		.policy_rule = c->registration->policy_rule,
		.request_id = s->last_request_id[0] ? s->last_request_id : NULL,
		.last_attempt_s = s->last_attempt_s,
		.role = &c->registration->role,
	};
	char error[sizeof(s->last_code) + SESSION_MESSAGE_MAX + 3];

	if (s->last_class != STS_OK) {
		snprintf(error, sizeof(error), "%s: %s", s->last_code, session_message(s));
		view.last_error = error;
	}
	container_json_print(&view, full, out);
}

static void list_containers(struct control_request *request, const struct control_api *api)
{
	struct buf body = {0};
	const struct container *c;
	bool first = true;

	buf_puts(&body, "{\"containers\":[");
	TAILQ_FOREACH (c, &api->registry->containers, link) {
		if (!first)
			buf_puts(&body, ",");
		first = false;
		print_container(c, false, NULL, &body);
	}
	/* How busy the way to STS is: who is pending waits for this. */
	struct session_pool_view sts = session_pool_view(api->pool, clock_now_ms());
	buf_printf(&body,
		   "],\"sts\":{\"queue\":%zu,\"waiting\":%zu,\"in_flight\":%u,"
		   "\"calls_per_second\":%.2f,\"throttled\":%s,\"outage\":%s}}",
		   sts.queue, sts.waiting, sts.in_flight, sts.rate,
		   sts.throttled ? "true" : "false", sts.outage ? "true" : "false");
	reply_buf(request, 200, &body);
}

static void show_container(struct control_request *request, const struct control_api *api,
			   const char *id)
{
	const struct container *c = container_find(api->registry, id);
	struct buf body = {0};

	if (!c) {
		reply_not_found(request, "such container");
		return;
	}
	print_container(c, true, NULL, &body);
	reply_buf(request, 200, &body);
}

/* The two sets of variables for a container; `uri` is memory for one of their values. */
#define ECS_URI_SIZE (sizeof(CONTAINER_CREDENTIALS_ECS_PATH) + TOKEN_ECS_ID_LEN)

static struct container_environment environment_of(const struct control_api *api,
						   const struct container *c,
						   char uri[static ECS_URI_SIZE])
{
	const struct metadata_value *own =
		container_metadata_get(c->metadata, "meta-data/placement/region");
	const char *region = own ? own->text : api->config->aws.region;

	snprintf(uri, ECS_URI_SIZE, CONTAINER_CREDENTIALS_ECS_PATH "%s", c->ecs_id);
	return (struct container_environment){
		.ecs_uri = uri,
		.eks_uri = CONTAINER_CREDENTIALS_EKS_URI,
		.eks_token = c->eks_token,
		.region = region ? region : host_credentials_region(api->base_credentials),
	};
}

static void show_environment(struct control_request *request, const struct control_api *api,
			     const char *id)
{
	const struct container *c = container_find(api->registry, id);
	char uri[ECS_URI_SIZE];
	struct buf body = {0};

	if (!c) {
		reply_not_found(request, "such container");
		return;
	}
	struct container_environment environment = environment_of(api, c, uri);
	container_environment_print(&environment, &body);
	reply_buf(request, 200, &body);
}

/* Who registers is told the environment; who only looks is not: `rolegate show` may be pasted
 * anywhere. */
static void print_registered(const struct control_api *api, const struct container *c,
			     struct buf *out)
{
	char uri[ECS_URI_SIZE];
	struct container_environment environment = environment_of(api, c, uri);

	print_container(c, true, &environment, out);
}

static void on_outcome(const struct registrar_outcome *outcome, void *data)
{
	struct pending *pending = data;
	const struct control_api *api = pending->api;
	struct control_request *request = pending->request;
	struct buf body = {0};

	free(pending);
	control_request_on_gone(request, NULL, NULL);
	if (outcome->container) {
		print_registered(api, outcome->container, &body);
		reply_buf(request, outcome->status, &body);
	} else if (outcome->status == 204) {
		control_reply(request, 204, NULL, NULL);
	} else {
		reply_error(request, outcome->status, outcome->code, outcome->diag);
	}
}

/* The client left: the registration goes on without it. */
static void on_client_gone(void *data)
{
	struct pending *pending = data;

	registrar_wait_cancel(pending->wait);
	free(pending);
}

typedef struct registrar_wait *start_fn(struct control_api *api, const char *id,
					struct control_request *request, struct pending *pending);

static struct registrar_wait *start_register(struct control_api *api, const char *id,
					     struct control_request *request,
					     struct pending *pending)
{
	size_t len;
	const char *body = control_request_body(request, &len);

	return registrar_register(api->registrar, id, body, len, on_outcome, pending);
}

static struct registrar_wait *start_unregister(struct control_api *api, const char *id,
					       struct control_request *request,
					       struct pending *pending)
{
	(void)request;
	return registrar_unregister(api->registrar, id, on_outcome, pending);
}

static void start(struct control_request *request, struct control_api *api, const char *id,
		  start_fn *fn)
{
	struct pending *pending = calloc(1, sizeof(*pending));

	if (!pending) {
		control_reply(request, 500, NULL, NULL);
		return;
	}
	pending->api = api;
	pending->request = request;
	struct registrar_wait *wait = fn(api, id, request, pending);
	if (!wait)
		return; /* answered, and `pending` is gone */
	pending->wait = wait;
	control_request_on_gone(request, on_client_gone, pending);
}

/* A call that changes something is audited before it is made. */
static void record_call(const struct control_api *api, const struct control_request *request,
			const char *id)
{
	const struct control_peer *peer = control_request_peer(request);
	const struct record record = {
		.type = RECORD_OPERATOR_CALL,
		.container = id,
		.method = control_request_method(request),
		.path = control_request_path(request),
		.has_peer = !peer->subject,
		.uid = peer->uid,
		.pid = peer->pid,
		.loginuid = peer->loginuid,
		.tls_subject = peer->subject,
		.tls_address = peer->address,
	};

	if (strcmp(record.method, "GET") != 0)
		recorder_publish(api->recorder, &record);
}

static void follow_events(struct control_request *request, const struct control_api *api)
{
	struct diag diag = {0};

	if (control_request_is_head(request)) {
		control_reply(request, 200, EVENTS_TYPE, "");
		return;
	}
	if (events_follow(&api->recorder->events, request))
		return;
	diag_set(&diag, NULL, "%d clients follow the events already", EVENTS_CLIENTS_MAX);
	reply_error(request, 503, "too_many_followers", &diag);
}

static void show_metrics(struct control_request *request, const struct control_api *api)
{
	_cleanup_buf_ struct buf page = {0};

	metrics_page_print(api->recorder, api->pool, &page);
	if (buf_ok(&page))
		control_reply(request, 200, METRICS_PAGE_TYPE, page.data);
	else
		control_reply(request, 500, NULL, NULL);
}

static void refresh(struct control_request *request, struct control_api *api, const char *id)
{
	if (registrar_refresh(api->registrar, id) < 0)
		reply_not_found(request, "such container");
	else
		control_reply(request, 202, JSON, "{}\n");
}

/* /v1/containers/ID[/refresh|/environment]; `rest` begins with the id. */
static void handle_container(struct control_request *request, struct control_api *api,
			     const char *rest)
{
	const char *method = control_request_method(request);
	const char *slash = strchr(rest, '/');
	size_t len = slash ? (size_t)(slash - rest) : strlen(rest);
	char id[CONTAINER_ID_SIZE + 1];
	struct diag diag = {0};

	snprintf(id, sizeof(id), "%.*s", len < sizeof(id) ? (int)len : (int)sizeof(id) - 1, rest);
	if (container_id_check(id) < 0) {
		diag_set(&diag, "id", "must be [A-Za-z0-9][A-Za-z0-9_.-]{0,127}");
		reply_error(request, 422, "invalid", &diag);
		return;
	}
	if (api->stopping && strcmp(method, "GET") != 0) {
		diag_set(&diag, NULL, "rolegated is being restarted; ask again");
		reply_error(request, 503, "stopping", &diag);
		return;
	}
	record_call(api, request, id);
	if (slash && strcmp(slash, "/refresh") == 0) {
		if (strcmp(method, "POST") == 0)
			refresh(request, api, id);
		else
			reply_method(request);
	} else if (slash && strcmp(slash, "/environment") == 0) {
		if (strcmp(method, "GET") == 0)
			show_environment(request, api, id);
		else
			reply_method(request);
	} else if (slash) {
		reply_not_found(request, "such call");
	} else if (strcmp(method, "PUT") == 0) {
		start(request, api, id, start_register);
	} else if (strcmp(method, "DELETE") == 0) {
		start(request, api, id, start_unregister);
	} else if (strcmp(method, "GET") == 0) {
		show_container(request, api, id);
	} else {
		reply_method(request);
	}
}

static void handle_ready(struct control_request *request, const struct control_api *api)
{
	struct diag diag = {0};

	if (registrar_netd_ready(api->registrar)) {
		control_reply(request, 200, JSON, "{\"ready\":true}\n");
		return;
	}
	diag_set(&diag, NULL, "rolegate-netd is not connected");
	reply_error(request, 503, "not_ready", &diag);
}

static void show_health(struct control_request *request, const struct control_api *api)
{
	(void)api;
	control_reply(request, 200, JSON, "{\"alive\":true}\n");
}

static void show_version(struct control_request *request, const struct control_api *api)
{
	(void)api;
	control_reply(request, 200, JSON,
		      "{\"name\":\"rolegated\",\"version\":\"" ROLEGATE_VERSION "\"}\n");
}

static const struct {
	const char *path;
	void (*show)(struct control_request *request, const struct control_api *api);
} pages[] = {
	{CONTAINERS, list_containers}, {"/v1/events", follow_events}, {"/metrics", show_metrics},
	{"/healthz", show_health},     {"/readyz", handle_ready},     {"/version", show_version},
};

void control_api_handle(struct control_request *request, void *data)
{
	struct control_api *api = data;
	const char *path = control_request_path(request);

	if (strncmp(path, CONTAINERS "/", sizeof(CONTAINERS)) == 0 && path[sizeof(CONTAINERS)]) {
		handle_container(request, api, path + sizeof(CONTAINERS));
		return;
	}
	for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++) {
		if (strcmp(path, pages[i].path) != 0)
			continue;
		if (strcmp(control_request_method(request), "GET") == 0)
			pages[i].show(request, api);
		else
			reply_method(request);
		return;
	}
	reply_not_found(request, "such call");
}
