#include "wire/registration_body.h"

#include <jansson.h>
#include <stdbool.h>
#include <string.h>

#include "wire/registration.h"

struct registration_body {
	json_t *json;
};

enum kind {
	TEXT,
	NUMBER,
	POLICY, /* the text of a JSON object */
	LIST,
	MAP,	  /* KEY=VALUE, each key once */
	METADATA, /* KEY=VALUE, a repeated key makes a list */
};

static const struct field {
	const char *name;
	enum kind kind;
} fields[] = {
	{"role_arn", TEXT},	   {"netns", TEXT},	   {"pid", NUMBER},
	{"intercept", TEXT},	   {"session_name", TEXT}, {"external_id", TEXT},
	{"duration_s", NUMBER},	   {"session_tags", MAP},  {"transitive_tag_keys", LIST},
	{"source_identity", TEXT}, {"policy_arns", LIST},  {"session_policy", POLICY},
	{"tokens", TEXT},	   {"hop_limit", NUMBER},  {"image.ref", TEXT},
	{"image.digest", TEXT},	   {"labels", MAP},	   {"metadata", METADATA},
	{"allow", LIST},	   {"wait_s", NUMBER},
};

/* Metadata that EC2 prints one item a line: a list even if there is only one. */
static const char *const list_metadata[] = {"security-groups"};

struct registration_body *registration_body_new(void)
{
	struct registration_body *body = calloc(1, sizeof(*body));

	if (body)
		body->json = json_object();
	if (body && !body->json)
		return registration_body_free(body);
	return body;
}

struct registration_body *registration_body_free(struct registration_body *body)
{
	if (body)
		json_decref(body->json);
	free(body);
	return NULL;
}

static int no_memory(struct diag *diag)
{
	return diag_fail(ENOMEM, diag, NULL, "out of memory");
}

/* The member `key` of `object`, made if it is not there yet. */
static json_t *member(json_t *object, const char *key, json_t *(*make)(void))
{
	json_t *value = json_object_get(object, key);

	if (!value && json_object_set_new(object, key, make()) == 0)
		value = json_object_get(object, key);
	return value;
}

static int add_text(json_t *object, const struct field *field, const char *key, const char *value,
		    struct diag *diag)
{
	if (json_object_get(object, key))
		return diag_fail(EINVAL, diag, field->name, "is given twice");
	return json_object_set_new(object, key, json_string(value)) < 0 ? no_memory(diag) : 0;
}

static int add_number(json_t *object, const struct field *field, const char *value,
		      struct diag *diag)
{
	char *end;

	if (json_object_get(object, field->name))
		return diag_fail(EINVAL, diag, field->name, "is given twice");
	errno = 0;
	long long n = strtoll(value, &end, 10);
	if (errno || *end || value[0] < '0' || value[0] > '9')
		return diag_fail(EINVAL, diag, field->name, "must be a whole number, not \"%.64s\"",
				 value);
	return json_object_set_new(object, field->name, json_integer(n)) < 0 ? no_memory(diag) : 0;
}

static int add_policy(json_t *object, const struct field *field, const char *value,
		      struct diag *diag)
{
	json_error_t error;
	json_auto_t *policy = json_loads(value, 0, &error);

	if (!json_is_object(policy))
		return diag_fail(EINVAL, diag, field->name, "must be a JSON object%s%s",
				 policy ? "" : ": ", policy ? "" : error.text);
	return add_text(object, field, field->name, value, diag);
}

static int add_item(json_t *object, const struct field *field, const char *value, struct diag *diag)
{
	json_t *list = member(object, field->name, json_array);

	return !list || json_array_append_new(list, json_string(value)) < 0 ? no_memory(diag) : 0;
}

static bool is_list_metadata(const char *key)
{
	for (size_t i = 0; i < sizeof(list_metadata) / sizeof(list_metadata[0]); i++)
		if (strcmp(list_metadata[i], key) == 0)
			return true;
	return false;
}

/* One more value for a metadata key: a second one turns the first into a list. */
static int add_metadata(json_t *map, const char *key, const char *value, struct diag *diag)
{
	json_t *old = json_object_get(map, key);

	if (!old && !is_list_metadata(key))
		return json_object_set_new(map, key, json_string(value)) < 0 ? no_memory(diag) : 0;
	if (!json_is_array(old)) {
		json_t *list = json_array();
		if (old && json_array_append(list, old) < 0) {
			json_decref(list);
			return no_memory(diag);
		}
		if (json_object_set_new(map, key, list) < 0)
			return no_memory(diag);
		old = list;
	}
	return json_array_append_new(old, json_string(value)) < 0 ? no_memory(diag) : 0;
}

static int add_pair(json_t *object, const struct field *field, const char *pair, struct diag *diag)
{
	const char *equals = strchr(pair, '=');

	if (!equals || equals == pair)
		return diag_fail(EINVAL, diag, field->name, "must be KEY=VALUE, not \"%.64s\"",
				 pair);
	_cleanup_free_ char *key = strndup(pair, (size_t)(equals - pair));
	json_t *map = member(object, field->name, json_object);
	if (!key || !map)
		return no_memory(diag);
	if (field->kind == METADATA)
		return add_metadata(map, key, equals + 1, diag);
	if (json_object_get(map, key))
		return diag_fail(EINVAL, diag, field->name, "has the key \"%.64s\" twice", key);
	return json_object_set_new(map, key, json_string(equals + 1)) < 0 ? no_memory(diag) : 0;
}

static bool is_utf8(const char *text)
{
	json_auto_t *string = json_string(text);

	return string;
}

static const struct field *find_field(const char *name)
{
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		if (strcmp(fields[i].name, name) == 0)
			return &fields[i];
	return NULL;
}

int registration_body_add(struct registration_body *body, const char *name, const char *value,
			  struct diag *diag)
{
	const struct field *field = find_field(name);
	json_t *object = body->json;
	const char *dot = strchr(name, '.');

	if (!field)
		return diag_fail(EINVAL, diag, name, "is no field of a registration");
	if (!is_utf8(value))
		return diag_fail(EINVAL, diag, name, "is no UTF-8 text");
	if (dot)
		object = member(object, "image", json_object);
	if (!object)
		return no_memory(diag);
	switch (field->kind) {
	case TEXT:
		return add_text(object, field, dot ? dot + 1 : name, value, diag);
	case NUMBER:
		return add_number(object, field, value, diag);
	case POLICY:
		return add_policy(object, field, value, diag);
	case LIST:
		return add_item(object, field, value, diag);
	case MAP:
	case METADATA:
		return add_pair(object, field, value, diag);
	}
	return -EINVAL;
}

int64_t registration_body_wait_s(const struct registration_body *body)
{
	json_t *wait = json_object_get(body->json, "wait_s");

	return wait ? json_integer_value(wait) : REGISTRATION_WAIT_DEFAULT_S;
}

int registration_body_print(const struct registration_body *body, struct buf *out)
{
	char *text = json_dumps(body->json, JSON_COMPACT);

	if (!text)
		return -ENOMEM;
	buf_puts(out, text);
	free(text);
	return buf_ok(out) ? 0 : -ENOMEM;
}
