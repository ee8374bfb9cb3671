#include "wire/policy_document.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "util/buf.h"
#include "util/file.h"
#include "wire/sts_message.h"
#include "wire/template.h"

/* Nobody writes such policies by hand; past these bounds a generator has run away. */
#define RULES_MAX 10000
#define LIST_MAX 1000
#define NAME_MAX_LEN 128
#define PATTERN_MAX_LEN 2048 /* IAM's bound on an ARN */

/* STS's bounds on DurationSeconds */
#define DURATION_MIN_S 900
#define DURATION_MAX_S 43200

DEFINE_CLEANUP(struct policy *, policy_free)

/* Where in the file we are, for messages: "FILE: rule "web": images: …" */
struct place {
	const char *file;
	const char *rule; /* its name, or "#3" before the name is known */
	struct diag *diag;
};

static int fail(const struct place *at, const char *key, const char *what)
{
	if (!at->rule)
		return diag_fail(EINVAL, at->diag, key, "%s: %s %s", at->file, key, what);
	return diag_fail(EINVAL, at->diag, key, "%s: rule %s: %s %s", at->file, at->rule, key,
			 what);
}

static int fail_value(const struct place *at, const char *key, const char *value, const char *what)
{
	return diag_fail(EINVAL, at->diag, key, "%s: rule %s: %s: \"%.200s\" %s", at->file,
			 at->rule, key, value, what);
}

static int no_memory(const struct place *at)
{
	return diag_fail(ENOMEM, at->diag, NULL, "%s: out of memory", at->file);
}

static bool has_control_byte(const char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			return true;
	return false;
}

/* Every key of `object` must be one of `keys` (NULL-terminated): a misspelt "images" that was
 * ignored would allow every image. */
static int check_keys(const struct place *at, json_t *object, const char *const *keys)
{
	const char *key;
	json_t *value;

	json_object_foreach (object, key, value) {
		bool known = false;
		for (size_t i = 0; keys[i] && !known; i++)
			known = strcmp(keys[i], key) == 0;
		if (!known && at->rule)
			return diag_fail(EINVAL, at->diag, key,
					 "%s: rule %s: unknown key \"%.64s\"", at->file, at->rule,
					 key);
		if (!known)
			return diag_fail(EINVAL, at->diag, key, "%s: unknown key \"%.64s\"",
					 at->file, key);
	}
	return 0;
}

static int check_pattern(const struct place *at, const char *key, const char *pattern)
{
	if (strlen(pattern) > PATTERN_MAX_LEN)
		return fail_value(at, key, pattern, "is too long (2048 bytes at most)");
	if (has_control_byte(pattern))
		return fail_value(at, key, pattern, "holds a control byte");
	return 0;
}

/* A role pattern has an ARN's six fields, and its account is literal: a wildcard there would hand
 * out whatever role of that name anybody makes in an account of his own. */
static int check_role(const struct place *at, const char *key, const char *pattern)
{
	const char *field[6];
	size_t n = 0;

	int r = check_pattern(at, key, pattern);
	if (r < 0)
		return r;
	for (const char *p = pattern; p && n < 6; n++) {
		field[n] = p;
		p = strchr(p, ':');
		if (p)
			p++;
	}
	if (n < 6 || strncmp(pattern, "arn:", 4) != 0 || field[5][0] == '\0')
		return fail_value(at, key, pattern,
				  "is no role ARN (arn:PARTITION:iam::ACCOUNT:role/NAME)");
	size_t account_len = (size_t)(field[5] - field[4] - 1);
	if (memchr(field[4], '*', account_len) || memchr(field[4], '?', account_len))
		return fail_value(at, key, pattern,
				  "has a wildcard in its account id, which must be literal");
	return 0;
}

static int check_image(const struct place *at, const char *key, const char *pattern)
{
	if (pattern[0] == '\0')
		return fail(at, key, "holds an empty pattern");
	return check_pattern(at, key, pattern);
}

typedef int (*check_fn)(const struct place *at, const char *key, const char *pattern);

/* A key that holds a list of patterns; absent is fine, empty is not: it could be read both as
 * "none" and as "any". */
static int parse_list(const struct place *at, json_t *rule, const char *key, check_fn check,
		      char ***ret, size_t *ret_n)
{
	json_t *list = json_object_get(rule, key);
	json_t *item;
	size_t i;

	if (!list)
		return 0;
	if (!json_is_array(list))
		return fail(at, key, "must be a list of strings");
	if (json_array_size(list) == 0)
		return fail(at, key, "is empty; leave it out to allow any");
	if (json_array_size(list) > LIST_MAX)
		return fail(at, key, "has more than 1000 entries");
	*ret = calloc(json_array_size(list), sizeof(**ret));
	if (!*ret)
		return no_memory(at);
	json_array_foreach (list, i, item) {
		if (!json_is_string(item))
			return fail(at, key, "must be a list of strings");
		int r = check(at, key, json_string_value(item));
		if (r < 0)
			return r;
		(*ret)[i] = strdup(json_string_value(item));
		if (!(*ret)[i])
			return no_memory(at);
		*ret_n = i + 1;
	}
	return 0;
}

/* An object of names and patterns (or whatever `check` wants of the values). */
static int parse_pairs(const struct place *at, json_t *rule, const char *name, check_fn check,
		       struct policy_label **ret, size_t *ret_n)
{
	json_t *pairs = json_object_get(rule, name);
	const char *key;
	json_t *value;

	if (!pairs)
		return 0;
	if (!json_is_object(pairs))
		return fail(at, name, "must be an object of names and strings");
	if (json_object_size(pairs) > LIST_MAX)
		return fail(at, name, "has more than 1000 entries");
	*ret = calloc(json_object_size(pairs) + 1, sizeof(**ret));
	if (!*ret)
		return no_memory(at);
	json_object_foreach (pairs, key, value) {
		if (key[0] == '\0' || has_control_byte(key))
			return fail(at, name, "has an empty name, or one with control bytes");
		if (!json_is_string(value))
			return fail_value(at, name, key, "must have a string for its value");
		int r = check(at, name, json_string_value(value));
		if (r < 0)
			return r;
		struct policy_label *pair = &(*ret)[(*ret_n)++];
		pair->key = strdup(key);
		pair->value = strdup(json_string_value(value));
		if (!pair->key || !pair->value)
			return no_memory(at);
	}
	return 0;
}

static int parse_limits(const struct place *at, json_t *rule, struct policy_rule *ret)
{
	json_t *digest = json_object_get(rule, "require_digest");
	json_t *duration = json_object_get(rule, "max_duration_s");

	if (digest && !json_is_boolean(digest))
		return fail(at, "require_digest", "must be true or false");
	ret->require_digest = json_is_true(digest);
	if (!duration)
		return 0;
	if (!json_is_integer(duration) || json_integer_value(duration) < DURATION_MIN_S ||
	    json_integer_value(duration) > DURATION_MAX_S)
		return fail(at, "max_duration_s", "must be a whole number from 900 to 43200");
	ret->max_duration_s = json_integer_value(duration);
	return 0;
}

static int check_template(const struct place *at, const char *key, const char *text)
{
	_cleanup_buf_ struct buf unused = {0};
	struct diag diag = {0};

	if (text[0] == '\0')
		return fail(at, key, "is empty");
	int r = check_pattern(at, key, text);
	if (r == 0 && template_expand(text, NULL, &unused, &diag) < 0)
		r = fail(at, key, diag.text);
	return r;
}

/* A key with one string. */
static int parse_text(const struct place *at, json_t *rule, const char *key, check_fn check,
		      char **ret)
{
	json_t *value = json_object_get(rule, key);

	if (!value)
		return 0;
	if (!json_is_string(value))
		return fail(at, key, "must be a string");
	int r = check(at, key, json_string_value(value));
	if (r < 0)
		return r;
	*ret = strdup(json_string_value(value));
	return *ret ? 0 : no_memory(at);
}

/* The session policy: an object, as IAM's documents are; or its text. */
static int parse_session_policy(const struct place *at, json_t *rule, struct policy_rule *ret)
{
	json_t *value = json_object_get(rule, "session_policy");

	if (!value)
		return 0;
	if (json_is_object(value))
		ret->session_policy = json_dumps(value, JSON_COMPACT);
	else if (json_is_string(value))
		ret->session_policy = strdup(json_string_value(value));
	else
		return fail(at, "session_policy", "must be a policy document");
	return ret->session_policy ? 0 : no_memory(at);
}

static int accept_any(const struct place *at, const char *key, const char *text)
{
	(void)at, (void)key, (void)text;
	return 0;
}

/* AWS's limits on what the rule adds, as far as they can be judged before there is a container. */
static int check_scope(const struct place *at, const struct policy_rule *rule)
{
	static char any_role[] = "arn:aws:iam::123456789012:role/any", any_name[] = "any",
		    empty[] = "";
	struct sts_tag tags[STS_TAGS_MAX];
	struct sts_assume_role role = {
		.role_arn = any_role,
		.session_name = any_name,
		.duration_s = DURATION_MIN_S,
		.session_policy = rule->session_policy,
		.policy_arns = rule->policy_arns,
		.n_policy_arns = rule->n_policy_arns,
		.tags = tags,
		.n_tags = rule->n_add_tags,
	};
	struct diag diag = {0};

	if (rule->n_add_tags > STS_TAGS_MAX)
		return fail(at, "add_session_tags", "has more than 50 tags");
	for (size_t i = 0; i < rule->n_add_tags; i++) {
		bool later = template_is(rule->add_tags[i].value);
		tags[i] = (struct sts_tag){.key = rule->add_tags[i].key,
					   .value = later ? empty : rule->add_tags[i].value};
	}
	if (sts_assume_role_check(&role, &diag) < 0)
		return fail(at,
			    strcmp(diag.field, "session_tags") == 0 ? "add_session_tags"
								    : diag.field,
			    diag.text);
	return 0;
}

/* What a rule requires of, and adds to, the session itself. */
static int parse_scope(const struct place *at, json_t *rule, struct policy_rule *ret)
{
	json_t *required = json_object_get(rule, "require_session_policy");

	int r = parse_pairs(at, rule, "require_session_tags", check_pattern, &ret->require_tags,
			    &ret->n_require_tags);
	if (r == 0)
		r = parse_text(at, rule, "require_source_identity", check_pattern,
			       &ret->require_source_identity);
	if (r == 0 && required && !json_is_boolean(required))
		r = fail(at, "require_session_policy", "must be true or false");
	ret->require_session_policy = json_is_true(required);
	if (r == 0)
		r = parse_pairs(at, rule, "add_session_tags", check_template, &ret->add_tags,
				&ret->n_add_tags);
	if (r == 0)
		r = parse_text(at, rule, "session_name", check_template, &ret->session_name);
	if (r == 0)
		r = parse_text(at, rule, "source_identity", check_template, &ret->source_identity);
	if (r == 0)
		r = parse_session_policy(at, rule, ret);
	if (r == 0)
		r = parse_list(at, rule, "policy_arns", accept_any, &ret->policy_arns,
			       &ret->n_policy_arns);
	if (r == 0)
		r = check_scope(at, ret);
	return r;
}

/* The name comes first: every later message carries it. */
static int parse_name(const struct place *at, json_t *rule, const struct policy *policy,
		      struct policy_rule *ret)
{
	json_t *name = json_object_get(rule, "name");

	if (!name)
		return fail(at, "name", "is missing");
	if (!json_is_string(name) || json_string_length(name) == 0 ||
	    json_string_length(name) > NAME_MAX_LEN || has_control_byte(json_string_value(name)))
		return fail(at, "name", "must be a string of 1 to 128 bytes without control bytes");
	for (size_t i = 0; i < policy->n_rules; i++)
		if (strcmp(policy->rules[i].name, json_string_value(name)) == 0)
			return fail_value(at, "name", json_string_value(name),
					  "is an earlier rule's too");
	ret->name = strdup(json_string_value(name));
	return ret->name ? 0 : no_memory(at);
}

static int parse_rule(const struct place *file, json_t *rule, size_t index, struct policy *policy,
		      struct policy_rule *ret)
{
	static const char *const keys[] = {"name",
					   "roles",
					   "images",
					   "require_digest",
					   "labels",
					   "max_duration_s",
					   "require_session_tags",
					   "require_source_identity",
					   "require_session_policy",
					   "add_session_tags",
					   "session_name",
					   "source_identity",
					   "session_policy",
					   "policy_arns",
					   NULL};
	char label[NAME_MAX_LEN + 3];
	struct place at = *file;
	int r;

	snprintf(label, sizeof(label), "#%zu", index + 1);
	at.rule = label;
	if (!json_is_object(rule))
		return diag_fail(EINVAL, at.diag, "rules", "%s: rule %s must be an object", at.file,
				 at.rule);
	r = parse_name(&at, rule, policy, ret);
	if (r < 0)
		return r;
	snprintf(label, sizeof(label), "\"%s\"", ret->name);
	r = check_keys(&at, rule, keys);
	if (r < 0)
		return r;
	if (!json_object_get(rule, "roles"))
		return fail(&at, "roles", "is missing");
	r = parse_list(&at, rule, "roles", check_role, &ret->roles, &ret->n_roles);
	if (r < 0)
		return r;
	r = parse_list(&at, rule, "images", check_image, &ret->images, &ret->n_images);
	if (r < 0)
		return r;
	r = parse_pairs(&at, rule, "labels", check_pattern, &ret->labels, &ret->n_labels);
	if (r < 0)
		return r;
	r = parse_limits(&at, rule, ret);
	if (r < 0)
		return r;
	r = parse_scope(&at, rule, ret);
	if (r < 0)
		return r;
	ret->text = json_dumps(rule, JSON_COMPACT | JSON_SORT_KEYS);
	return ret->text ? 0 : no_memory(&at);
}

static int parse_document(const struct place *at, json_t *root, struct policy *policy)
{
	static const char *const keys[] = {"version", "rules", NULL};
	json_t *version = json_object_get(root, "version");
	json_t *rules = json_object_get(root, "rules");
	json_t *rule;
	size_t i;
	int r;

	if (!json_is_object(root))
		return diag_fail(EINVAL, at->diag, NULL, "%s: must be a JSON object", at->file);
	/* The version comes first: the keys of another version are no misspellings. */
	if (!version)
		return fail(at, "version", "is missing (it must be 1)");
	if (!json_is_integer(version) || json_integer_value(version) != 1)
		return fail(at, "version", "must be 1");
	r = check_keys(at, root, keys);
	if (r < 0)
		return r;
	if (!json_is_array(rules))
		return fail(at, "rules", rules ? "must be a list" : "is missing");
	if (json_array_size(rules) > RULES_MAX)
		return fail(at, "rules", "has more than 10000 entries");
	policy->rules = calloc(json_array_size(rules) + 1, sizeof(*policy->rules));
	if (!policy->rules)
		return no_memory(at);
	json_array_foreach (rules, i, rule) {
		r = parse_rule(at, rule, i, policy, &policy->rules[i]);
		/* Counted even if it failed: policy_free() then frees the half-built rule. */
		policy->n_rules = i + 1;
		if (r < 0)
			return r;
	}
	return 0;
}

int policy_parse(const char *text, const char *name, struct policy **ret, struct diag *diag)
{
	struct place at = {.file = name, .diag = diag};
	json_error_t error;

	if (strlen(text) > POLICY_SIZE_MAX)
		return diag_fail(EINVAL, diag, NULL, "%s: is larger than 1 MiB", name);
	json_auto_t *root = json_loads(text, JSON_REJECT_DUPLICATES, &error);
	if (!root && json_error_code(&error) == json_error_out_of_memory)
		return no_memory(&at);
	if (!root)
		return diag_fail(EINVAL, diag, NULL, "%s:%d: is no JSON: %s", name, error.line,
				 error.text);
	_cleanup_(policy_freep) struct policy *policy = calloc(1, sizeof(*policy));
	if (!policy)
		return no_memory(&at);
	int r = parse_document(&at, root, policy);
	if (r < 0)
		return r;
	*ret = TAKE(policy);
	return 0;
}

int policy_load(const char *path, struct policy **ret, struct diag *diag)
{
	_cleanup_secret_ char *text = NULL;

	int r = file_read(path, POLICY_SIZE_MAX, &text, NULL);
	if (r == -EFBIG)
		return diag_fail(EFBIG, diag, NULL, "%s: is larger than 1 MiB", path);
	if (r < 0)
		return diag_fail(-r, diag, NULL, "%s: cannot be read: %s", path, strerror(-r));
	return policy_parse(text, path, ret, diag);
}

static void free_strings(char **list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(list[i]);
	free(list);
}

static void free_pairs(struct policy_label *pairs, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		free(pairs[i].key);
		free(pairs[i].value);
	}
	free(pairs);
}

static void free_rule(struct policy_rule *rule)
{
	free(rule->name);
	free_strings(rule->roles, rule->n_roles);
	free_strings(rule->images, rule->n_images);
	free_pairs(rule->labels, rule->n_labels);
	free_pairs(rule->require_tags, rule->n_require_tags);
	free(rule->require_source_identity);
	free_pairs(rule->add_tags, rule->n_add_tags);
	free(rule->session_name);
	free(rule->source_identity);
	free(rule->session_policy);
	free_strings(rule->policy_arns, rule->n_policy_arns);
	free(rule->text);
}

struct policy *policy_free(struct policy *policy)
{
	if (!policy)
		return NULL;
	for (size_t i = 0; i < policy->n_rules; i++)
		free_rule(&policy->rules[i]);
	free(policy->rules);
	free(policy);
	return NULL;
}
