#include "wire/container_json.h"

#include <string.h>

#include <jansson.h>

#include "util/clock.h"

/* The keys of the role map that the registration gives, in this order. */
static const char *const registration_keys[] = {"role_arn",  "session_name", "netns", "pid",
						"intercept", "image",	     "labels"};

static void put_json(json_t *json, size_t flags, struct buf *out)
{
	char *text = json ? json_dumps(json, flags) : NULL;

	if (text)
		buf_puts(out, text);
	else
		out->failed = true;
	if (text)
		explicit_bzero(text, strlen(text));
	free(text);
}

static json_t *string_or_null(const char *s)
{
	return s ? json_string(s) : json_null();
}

static json_t *time_or_null(int64_t t)
{
	char text[CLOCK_ISO8601_SIZE];

	if (t == 0)
		return json_null();
	clock_format_iso8601(t, text);
	return json_string(text);
}

/* One set of variables, the region with it. */
static json_t *add_region(json_t *variables, const char *region)
{
	/* botocore reads only the second. */
	if (region) {
		json_object_set_new(variables, "AWS_REGION", json_string(region));
		json_object_set_new(variables, "AWS_DEFAULT_REGION", json_string(region));
	}
	return variables;
}

static json_t *environment_json(const struct container_environment *e)
{
	json_t *ecs = json_pack("{s:s}", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", e->ecs_uri);
	json_t *eks = json_pack("{s:s, s:s}", "AWS_CONTAINER_CREDENTIALS_FULL_URI", e->eks_uri,
				"AWS_CONTAINER_AUTHORIZATION_TOKEN", e->eks_token);

	return json_pack("{s:o, s:o}", "ecs", add_region(ecs, e->region), "eks",
			 add_region(eks, e->region));
}

void container_environment_print(const struct container_environment *e, struct buf *out)
{
	json_t *json = environment_json(e);

	put_json(json, JSON_COMPACT, out);
	json_decref(json);
}

static json_t *strings(char *const *list, size_t n)
{
	json_t *array = json_array();

	for (size_t i = 0; i < n; i++)
		json_array_append_new(array, json_string(list[i]));
	return array;
}

/* The session as STS is asked for it; without the external id, which is half a secret. */
static json_t *session_of(const struct sts_assume_role *role)
{
	json_t *session = json_object(), *tags = json_object();

	for (size_t i = 0; i < role->n_tags; i++)
		json_object_set_new(tags, role->tags[i].key, json_string(role->tags[i].value));
	json_object_set_new(session, "session_name", json_string(role->session_name));
	json_object_set_new(session, "duration_s", json_integer((json_int_t)role->duration_s));
	json_object_set_new(session, "session_tags", tags);
	json_object_set_new(session, "source_identity", string_or_null(role->source_identity));
	json_object_set_new(session, "session_policy", string_or_null(role->session_policy));
	json_object_set_new(session, "policy_arns",
			    strings(role->policy_arns, role->n_policy_arns));
	return session;
}

void container_json_print(const struct container_view *view, bool full, struct buf *out)
{
	json_t *registration = json_loads(view->canonical, 0, NULL);
	json_t *entry = json_object();

	json_object_set_new(entry, "id", json_string(view->id));
	for (size_t i = 0; i < sizeof(registration_keys) / sizeof(registration_keys[0]); i++) {
		json_t *value = json_object_get(registration, registration_keys[i]);
		json_object_set(entry, registration_keys[i], value ? value : json_null());
	}
	if (view->role) /* the policy may name it otherwise than the registration */
		json_object_set_new(entry, "session_name", json_string(view->role->session_name));
	json_object_set_new(entry, "state", json_string(view->state));
	json_object_set_new(entry, "access_key_id", string_or_null(view->access_key_id));
	json_object_set_new(entry, "expiration", time_or_null(view->expiration_s));
	json_object_set_new(entry, "last_refresh", time_or_null(view->last_refresh_s));
	json_object_set_new(entry, "last_error", string_or_null(view->last_error));
	json_object_set_new(entry, "requests", json_integer((json_int_t)view->requests));
	json_object_set_new(entry, "registered_at", time_or_null(view->registered_at_s));
	json_object_set_new(entry, "netns_inode", json_integer((json_int_t)view->netns_ino));
	if (full) {
		json_object_set_new(entry, "state_detail", string_or_null(view->detail));
		json_object_set_new(entry, "policy_rule", string_or_null(view->policy_rule));
		json_object_set_new(entry, "last_attempt", time_or_null(view->last_attempt_s));
		json_object_set_new(entry, "sts_request_id", string_or_null(view->request_id));
		if (view->role)
			json_object_set_new(entry, "effective_session", session_of(view->role));
		json_object_update_missing(entry, registration);
	}
	if (view->environment)
		json_object_set_new(entry, "environment", environment_json(view->environment));
	put_json(entry, JSON_COMPACT, out);
	json_decref(entry);
	json_decref(registration);
}

void control_json_error(const char *code, const struct diag *diag, struct buf *out)
{
	json_t *json = json_pack("{s:{s:s, s:s, s:s?}}", "error", "code", code, "message",
				 diag->text, "field", diag->field[0] ? diag->field : NULL);

	/* A message may quote what a peer sent, cut inside a character: then say less. */
	if (!json)
		json = json_pack("{s:{s:s, s:s, s:n}}", "error", "code", code, "message",
				 "the request is invalid", "field");
	put_json(json, JSON_COMPACT, out);
	json_decref(json);
}

void container_state_print(const struct container_state *state, struct buf *out)
{
	json_t *registration = json_loads(state->registration, 0, NULL);
	json_t *json = json_pack(
		"{s:i, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:s, s:O}", "version", STATE_VERSION,
		"id", state->id, "instance", state->instance, "registered_at_s",
		(json_int_t)state->registered_at_s, "netns_dev", (json_int_t)state->netns_dev,
		"netns_ino", (json_int_t)state->netns_ino, "netns_cookie",
		(json_int_t)state->netns_cookie, "pid_started", (json_int_t)state->pid_started,
		"boot_id", state->boot_id, "registration", registration);

	put_json(json, JSON_INDENT(1), out);
	buf_puts(out, "\n");
	json_decref(json);
	json_decref(registration);
}

static bool is_instance(const char *text)
{
	size_t n = strlen(text);

	return n == STATE_INSTANCE_HEX_SIZE - 1 && strspn(text, "0123456789abcdefABCDEF") == n;
}

int container_state_parse(const char *text, size_t len, struct container_state *ret,
			  struct diag *diag)
{
	json_error_t error;
	json_t *json = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);
	json_t *registration = NULL;
	const char *id = NULL, *instance = NULL;
	json_int_t registered_at_s = 0, netns_dev = 0, netns_ino = 0, netns_cookie = 0;
	json_int_t pid_started = 0;
	const char *boot_id = "";
	int version = 0;

	if (!json)
		return diag_fail(EINVAL, diag, NULL, "is no JSON: line %d: %s", error.line,
				 error.text);
	int r = json_unpack_ex(json, &error, 0, "{s:i}", "version", &version);
	if (r == 0 && version > STATE_VERSION) {
		json_decref(json);
		return diag_fail(EPROTONOSUPPORT, diag, "version",
				 "is of version %d; this rolegated knows up to %d", version,
				 STATE_VERSION);
	}
	if (r == 0)
		r = json_unpack_ex(json, &error, 0, "{s:s, s:s, s:I, s:I, s:I, s?I, s:I, s?s, s:o}",
				   "id", &id, "instance", &instance, "registered_at_s",
				   &registered_at_s, "netns_dev", &netns_dev, "netns_ino",
				   &netns_ino, "netns_cookie", &netns_cookie, "pid_started",
				   &pid_started, "boot_id", &boot_id, "registration",
				   &registration);
	const char *bad = r < 0					  ? error.text
			  : !is_instance(instance)		  ? "bad instance"
			  : strlen(boot_id) >= STATE_BOOT_ID_SIZE ? "bad boot_id"
			  : !json_is_object(registration)	  ? "the registration is no object"
								  : NULL;
	if (bad) {
		r = diag_fail(EINVAL, diag, NULL, "is no state file: %s", bad);
		json_decref(json);
		return r;
	}
	*ret = (struct container_state){.registered_at_s = registered_at_s,
					.netns_dev = (uint64_t)netns_dev,
					.netns_ino = (uint64_t)netns_ino,
					.netns_cookie = (uint64_t)netns_cookie,
					.pid_started = (uint64_t)pid_started};
	memcpy(ret->instance, instance, STATE_INSTANCE_HEX_SIZE);
	memcpy(ret->boot_id, boot_id, strlen(boot_id) + 1);
	ret->id = strdup(id);
	ret->registration = json_dumps(registration, JSON_COMPACT);
	json_decref(json);
	if (ret->id && ret->registration)
		return 0;
	container_state_deinit(ret);
	return diag_fail(ENOMEM, diag, NULL, "out of memory");
}

void container_state_deinit(struct container_state *state)
{
	free(state->id);
	free(state->registration);
	*state = (struct container_state){0};
}
