#include "wire/registration.h"

#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "util/buf.h"
#include "wire/template.h"

#define LABEL_KEY_MAX 128
#define LABEL_VALUE_MAX 256
#define ALLOW_PATH_MAX 256
/* What sts_assume_role_check() judges in characters cannot be longer in bytes: UTF-8, of Latin-1 alone in
 * a policy. */
#define SESSION_POLICY_BYTES_MAX (2 * 2048)
#define TAG_KEY_BYTES_MAX (4 * 128)
#define TAG_VALUE_BYTES_MAX (4 * 256)
#define IMAGE_REF_MAX 512
#define SESSION_NAME_TEXT_MAX 256 /* a template; without places STS's 64 */

/* One parse: the struct being filled, the canonical JSON beside it, the diag for errors. */
struct parse {
	const char *id;
	const struct registration_defaults *defaults;
	struct registration *r;
	json_t *canonical;
	struct diag *diag;
};

static int no_memory(struct parse *p)
{
	return diag_fail(ENOMEM, p->diag, NULL, "out of memory");
}

/* A JSON string of 1..max bytes without control bytes; "" is as good as absent (*ret NULL). */
static int take_string(struct parse *p, const char *field, json_t *value, size_t max, char **ret)
{
	if (!json_is_string(value))
		return diag_fail(EINVAL, p->diag, field, "must be a string");
	const char *s = json_string_value(value);
	size_t n = json_string_length(value);
	if (n > max)
		return diag_fail(EINVAL, p->diag, field, "is longer than %zu bytes", max);
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)s[i] < 0x20 && s[i] != '\t' && s[i] != '\n' && s[i] != '\r')
			return diag_fail(EINVAL, p->diag, field, "has a control byte");
	if (n == 0)
		return 0;
	char *copy = strdup(s);
	if (!copy)
		return no_memory(p);
	free(*ret);
	*ret = copy;
	return 0;
}

static int take_integer(struct parse *p, const char *field, json_t *value, int64_t min, int64_t max,
			int64_t *ret)
{
	if (!json_is_integer(value))
		return diag_fail(EINVAL, p->diag, field, "must be a whole number");
	json_int_t n = json_integer_value(value);
	if (n < min || n > max)
		return diag_fail(EINVAL, p->diag, field, "must be %lld to %lld, not %lld",
				 (long long)min, (long long)max, (long long)n);
	*ret = n;
	return 0;
}

static int take_string_list(struct parse *p, const char *field, json_t *value, size_t max_items,
			    size_t max_bytes, char ***ret, size_t *ret_n)
{
	size_t i;
	json_t *item;

	if (!json_is_array(value))
		return diag_fail(EINVAL, p->diag, field, "must be a list of strings");
	if (json_array_size(value) > max_items)
		return diag_fail(EINVAL, p->diag, field, "has more than %zu items", max_items);
	if (json_array_size(value) == 0)
		return 0;
	*ret = calloc(json_array_size(value), sizeof(char *));
	if (!*ret)
		return no_memory(p);
	json_array_foreach (value, i, item) {
		int r = take_string(p, field, item, max_bytes, &(*ret)[i]);
		if (r < 0)
			return r;
		if (!(*ret)[i])
			return diag_fail(EINVAL, p->diag, field, "has an empty item");
		(*ret_n)++;
	}
	return 0;
}

static int parse_role_arn(struct parse *p, const char *field, json_t *value)
{
	return take_string(p, field, value, 2048, &p->r->role.role_arn);
}

static int parse_session_name(struct parse *p, const char *field, json_t *value)
{
	return take_string(p, field, value, SESSION_NAME_TEXT_MAX, &p->r->role.session_name);
}

static int parse_external_id(struct parse *p, const char *field, json_t *value)
{
	return take_string(p, field, value, 1224, &p->r->role.external_id);
}

static int parse_source_identity(struct parse *p, const char *field, json_t *value)
{
	return take_string(p, field, value, 64, &p->r->role.source_identity);
}

static int parse_session_policy(struct parse *p, const char *field, json_t *value)
{
	return take_string(p, field, value, SESSION_POLICY_BYTES_MAX, &p->r->role.session_policy);
}

static int parse_duration(struct parse *p, const char *field, json_t *value)
{
	return take_integer(p, field, value, 900, 43200, &p->r->role.duration_s);
}

static int parse_policy_arns(struct parse *p, const char *field, json_t *value)
{
	return take_string_list(p, field, value, STS_POLICY_ARNS_MAX, 2048, &p->r->role.policy_arns,
				&p->r->role.n_policy_arns);
}

static int parse_transitive(struct parse *p, const char *field, json_t *value)
{
	return take_string_list(p, field, value, STS_TAGS_MAX, TAG_KEY_BYTES_MAX,
				&p->r->role.transitive_tag_keys, &p->r->role.n_transitive_tag_keys);
}

static int compare_tags(const void *a, const void *b)
{
	return strcmp(((const struct sts_tag *)a)->key, ((const struct sts_tag *)b)->key);
}

static int parse_tags(struct parse *p, const char *field, json_t *value)
{
	const char *key;
	json_t *item;
	struct sts_assume_role *role = &p->r->role;

	if (!json_is_object(value))
		return diag_fail(EINVAL, p->diag, field, "must be an object of strings");
	if (json_object_size(value) > STS_TAGS_MAX)
		return diag_fail(EINVAL, p->diag, field, "has more than %d tags", STS_TAGS_MAX);
	role->tags = calloc(json_object_size(value) + 1, sizeof(*role->tags));
	if (!role->tags)
		return no_memory(p);
	json_object_foreach (value, key, item) {
		struct sts_tag *tag = &role->tags[role->n_tags++];
		tag->key = strdup(key);
		int r = tag->key ? take_string(p, field, item, TAG_VALUE_BYTES_MAX, &tag->value)
				 : no_memory(p);
		if (r == 0 && !tag->value && !(tag->value = strdup("")))
			r = no_memory(p);
		if (r < 0)
			return r;
	}
	/* Equal sets of tags make equal requests. */
	qsort(role->tags, role->n_tags, sizeof(*role->tags), compare_tags);
	return 0;
}

static int parse_netns(struct parse *p, const char *field, json_t *value)
{
	int r = take_string(p, field, value, 511, &p->r->netns);
	if (r == 0 && p->r->netns && p->r->netns[0] != '/')
		return diag_fail(EINVAL, p->diag, field, "must be an absolute path");
	return r;
}

static int parse_pid(struct parse *p, const char *field, json_t *value)
{
	int64_t pid = 0;
	int r = take_integer(p, field, value, 0, 4194304, &pid);

	if (r == 0 && pid == 1)
		return diag_fail(EINVAL, p->diag, field, "is the host's init");
	p->r->pid = (pid_t)pid;
	return r;
}

static int parse_choice(struct parse *p, const char *field, json_t *value, const char *if_false,
			const char *if_true, bool *ret)
{
	const char *s = json_string_value(value);

	if (s && strcmp(s, if_true) == 0)
		*ret = true;
	else if (s && strcmp(s, if_false) == 0)
		*ret = false;
	else
		return diag_fail(EINVAL, p->diag, field, "must be \"%s\" or \"%s\"", if_false,
				 if_true);
	return 0;
}

static int parse_intercept(struct parse *p, const char *field, json_t *value)
{
	bool bridge = false;
	int r = parse_choice(p, field, value, "netns", "bridge", &bridge);

	p->r->intercept = bridge ? INTERCEPT_BRIDGE : INTERCEPT_NETNS;
	return r;
}

static int parse_tokens(struct parse *p, const char *field, json_t *value)
{
	const char *s = json_string_value(value);

	p->r->imds_disabled = s && strcmp(s, "disabled") == 0;
	if (p->r->imds_disabled) {
		p->r->tokens_required = true;
		return 0;
	}
	if (parse_choice(p, field, value, "optional", "required", &p->r->tokens_required) < 0)
		return diag_fail(EINVAL, p->diag, field,
				 "must be \"required\", \"optional\" or \"disabled\"");
	return 0;
}

static int parse_hop_limit(struct parse *p, const char *field, json_t *value)
{
	return take_integer(p, field, value, 1, 64, &p->r->hop_limit);
}

static int parse_wait(struct parse *p, const char *field, json_t *value)
{
	return take_integer(p, field, value, 0, REGISTRATION_WAIT_MAX_S, &p->r->wait_s);
}

static int parse_image(struct parse *p, const char *field, json_t *value)
{
	char unknown[sizeof(p->diag->field)];
	const char *key;
	json_t *item;
	int r = 0;

	if (!json_is_object(value))
		return diag_fail(EINVAL, p->diag, field, "must be an object of ref and digest");
	json_object_foreach (value, key, item) {
		if (strcmp(key, "ref") == 0)
			r = take_string(p, "image.ref", item, IMAGE_REF_MAX, &p->r->image_ref);
		else if (strcmp(key, "digest") == 0)
			r = take_string(p, "image.digest", item, IMAGE_REF_MAX,
					&p->r->image_digest);
		else {
			snprintf(unknown, sizeof(unknown), "%s.%s", field, key);
			r = diag_fail(EINVAL, p->diag, unknown, "is no field of an image");
		}
		if (r < 0)
			return r;
	}
	return 0;
}

static int parse_labels(struct parse *p, const char *field, json_t *value)
{
	const char *key;
	json_t *item;

	if (!json_is_object(value))
		return diag_fail(EINVAL, p->diag, field, "must be an object of strings");
	if (json_object_size(value) > REGISTRATION_LABELS_MAX)
		return diag_fail(EINVAL, p->diag, field, "has more than %d labels",
				 REGISTRATION_LABELS_MAX);
	p->r->labels = calloc(json_object_size(value) + 1, sizeof(*p->r->labels));
	if (!p->r->labels)
		return no_memory(p);
	json_object_foreach (value, key, item) {
		struct policy_label *label = &p->r->labels[p->r->n_labels++];
		if (!*key || strlen(key) > LABEL_KEY_MAX)
			return diag_fail(EINVAL, p->diag, field,
					 "has a key that is not 1 to %d bytes long", LABEL_KEY_MAX);
		label->key = strdup(key);
		int r = label->key ? take_string(p, field, item, LABEL_VALUE_MAX, &label->value)
				   : no_memory(p);
		if (r == 0 && !label->value && !(label->value = strdup("")))
			r = no_memory(p);
		if (r < 0)
			return r;
	}
	return 0;
}

static int parse_metadata(struct parse *p, const char *field, json_t *value)
{
	(void)field; /* errors name metadata.KEY */
	return registration_metadata_parse(value, &p->r->metadata, &p->r->n_metadata, p->diag);
}

static int parse_allow(struct parse *p, const char *field, json_t *value)
{
	return take_string_list(p, field, value, REGISTRATION_ALLOW_MAX, ALLOW_PATH_MAX,
				&p->r->allow, &p->r->n_allow);
}

struct field {
	const char *name;
	int (*parse)(struct parse *p, const char *field, json_t *value);
};

static const struct field fields[] = {
	{"role_arn", parse_role_arn},
	{"netns", parse_netns},
	{"pid", parse_pid},
	{"intercept", parse_intercept},
	{"session_name", parse_session_name},
	{"external_id", parse_external_id},
	{"duration_s", parse_duration},
	{"session_tags", parse_tags},
	{"transitive_tag_keys", parse_transitive},
	{"source_identity", parse_source_identity},
	{"session_policy", parse_session_policy},
	{"policy_arns", parse_policy_arns},
	{"tokens", parse_tokens},
	{"hop_limit", parse_hop_limit},
	{"image", parse_image},
	{"labels", parse_labels},
	{"metadata", parse_metadata},
	{"allow", parse_allow},
	{"wait_s", parse_wait},
};

static const struct field *find_field(const char *name)
{
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		if (strcmp(fields[i].name, name) == 0)
			return &fields[i];
	return NULL;
}

static int parse_fields(struct parse *p, json_t *body)
{
	const char *key;
	json_t *value;

	if (!json_is_object(body))
		return diag_fail(EINVAL, p->diag, NULL, "the body must be a JSON object");
	json_object_foreach (body, key, value) {
		const struct field *field = find_field(key);
		if (!field)
			return diag_fail(EINVAL, p->diag, key, "is no field of a registration");
		if (json_is_null(value))
			continue;
		int r = field->parse(p, field->name, value);
		if (r < 0)
			return r;
	}
	return 0;
}

/* The session's name: by default from the id; a template gets its places filled in. Only what was
 * made here is cut and cleaned: a name that was given outright is as STS wants it, or an error. */
static int name_session(struct parse *p)
{
	struct registration *r = p->r;
	const struct template_values values = {
		.id = p->id, .labels = r->labels, .n_labels = r->n_labels};
	const char *given = r->role.session_name;
	_cleanup_buf_ struct buf text = {0};
	char name[STS_SESSION_NAME_SIZE];

	if (given && !template_is(given))
		return 0;
	struct diag why = {0};
	if (template_expand(given ? given : "rolegate-{id}", &values, &text, &why) < 0)
		return diag_fail(EINVAL, p->diag, "session_name", "%s", why.text);
	if (!buf_ok(&text))
		return no_memory(p);
	sts_session_name(text.data, name);
	free(r->role.session_name);
	r->role.session_name = strdup(name);
	return r->role.session_name ? 0 : no_memory(p);
}

/* What is left out gets its default; what cannot be is an error. */
static int fill_in(struct parse *p)
{
	struct registration *r = p->r;

	if (!r->role.role_arn)
		return diag_fail(EINVAL, p->diag, "role_arn", "is required");
	if (!r->netns && r->pid == 0)
		return diag_fail(EINVAL, p->diag, "netns", "is required, unless pid is given");
	if (!r->netns && asprintf(&r->netns, "/proc/%d/ns/net", (int)r->pid) < 0) {
		r->netns = NULL;
		return no_memory(p);
	}
	int error = name_session(p);
	if (error < 0)
		return error;
	return sts_assume_role_check(&r->role, p->diag);
}

/* The body, less wait_s and nulls, with the defaults that were filled in. */
static int make_canonical(struct parse *p, json_t *body)
{
	struct registration *r = p->r;
	const char *key;
	json_t *value;
	void *next;

	json_object_foreach_safe(body, next, key, value)
	{
		if (json_is_null(value) || strcmp(key, "wait_s") == 0 ||
		    (json_is_string(value) && json_string_length(value) == 0))
			json_object_del(body, key);
	}
	json_t *defaults = json_pack(
		"{s:s, s:s, s:I, s:s, s:I, s:s, s:i}", "netns", r->netns, "session_name",
		r->role.session_name, "duration_s", (json_int_t)r->role.duration_s, "tokens",
		r->imds_disabled     ? "disabled"
		: r->tokens_required ? "required"
				     : "optional",
		"hop_limit", (json_int_t)r->hop_limit, "intercept",
		r->intercept == INTERCEPT_BRIDGE ? "bridge" : "netns", "pid", (int)r->pid);
	int failed = !defaults || json_object_update(body, defaults) < 0;
	json_decref(defaults);
	if (!failed)
		r->canonical = json_dumps(body, JSON_SORT_KEYS | JSON_COMPACT);
	return r->canonical ? 0 : no_memory(p);
}

int registration_parse(const char *id, const char *body, size_t len,
		       const struct registration_defaults *defaults, struct registration **ret,
		       struct diag *diag)
{
	json_error_t error;

	if (container_id_check(id) < 0)
		return diag_fail(EINVAL, diag, "id", "must be [A-Za-z0-9][A-Za-z0-9_.-]{0,127}");
	json_t *json = json_loadb(body, len, JSON_REJECT_DUPLICATES, &error);
	if (!json)
		return diag_fail(EINVAL, diag, NULL, "the body is no JSON: line %d: %s", error.line,
				 error.text);

	struct parse p = {.id = id, .defaults = defaults, .diag = diag};
	p.r = calloc(1, sizeof(*p.r));
	int r = p.r ? 0 : no_memory(&p);
	if (r == 0) {
		p.r->tokens_required = defaults->tokens_required;
		p.r->hop_limit = defaults->hop_limit;
		p.r->role.duration_s = defaults->duration_s;
		p.r->wait_s = REGISTRATION_WAIT_DEFAULT_S;
		r = parse_fields(&p, json);
	}
	if (r == 0)
		r = fill_in(&p);
	if (r == 0)
		r = make_canonical(&p, json);
	json_decref(json);
	if (r < 0)
		registration_free(p.r);
	else
		*ret = p.r;
	return r;
}

struct registration *registration_free(struct registration *r)
{
	if (!r)
		return NULL;
	sts_assume_role_deinit(&r->role);
	free(r->netns);
	free(r->image_ref);
	free(r->image_digest);
	for (size_t i = 0; i < r->n_labels; i++) {
		free(r->labels[i].key);
		free(r->labels[i].value);
	}
	free(r->labels);
	registration_metadata_free(r->metadata, r->n_metadata);
	for (size_t i = 0; i < r->n_allow; i++)
		free(r->allow[i]);
	free(r->allow);
	free(r->policy_rule);
	free(r->canonical);
	free(r);
	return NULL;
}

const char *registration_role_name(const struct registration *r)
{
	const char *slash = strrchr(r->role.role_arn, '/');

	return slash ? slash + 1 : r->role.role_arn;
}

const char *registration_difference(const struct registration *a, const struct registration *b)
{
	const char *different = NULL;

	if (strcmp(a->canonical, b->canonical) == 0)
		return NULL;
	json_t *left = json_loads(a->canonical, 0, NULL),
	       *right = json_loads(b->canonical, 0, NULL);
	for (size_t i = 0; !different && i < sizeof(fields) / sizeof(fields[0]); i++)
		if (!json_equal(json_object_get(left, fields[i].name),
				json_object_get(right, fields[i].name)) &&
		    (json_object_get(left, fields[i].name) ||
		     json_object_get(right, fields[i].name)))
			different = fields[i].name;
	json_decref(left);
	json_decref(right);
	return different ? different : "id";
}
