#include "wire/oci_config.h"

#include <string.h>

#include <jansson.h>

#define SYSTEM_IDS 1000

static int no_memory(struct diag *diag)
{
	return diag_fail(ENOMEM, diag, NULL, "out of memory");
}

/* A member that may be absent or null, but if it is there must be of this type. */
static int get(json_t *object, const char *key, json_type type, json_t **ret, struct diag *diag)
{
	*ret = json_object_get(object, key);
	if (json_is_null(*ret))
		*ret = NULL;
	if (*ret && json_typeof(*ret) != type)
		return diag_fail(EINVAL, diag, key, "%s is not of the type that the OCI says", key);
	return 0;
}

static int take_annotations(json_t *root, struct oci_config *config, struct diag *diag)
{
	json_t *object, *value;
	const char *key;

	int r = get(root, "annotations", JSON_OBJECT, &object, diag);
	if (r < 0 || !object)
		return r;
	config->annotations = calloc(json_object_size(object) + 1, sizeof(struct oci_pair));
	if (!config->annotations)
		return no_memory(diag);
	json_object_foreach (object, key, value) {
		struct oci_pair *pair = &config->annotations[config->n_annotations++];
		if (!json_is_string(value))
			return diag_fail(EINVAL, diag, "annotations",
					 "annotation %.64s is no string", key);
		pair->key = strdup(key);
		pair->value = strdup(json_string_value(value));
		if (!pair->key || !pair->value)
			return no_memory(diag);
	}
	return 0;
}

/* "NAME=VALUE" strings; what has no '=' is no variable. */
static int take_env(json_t *process, struct oci_config *config, struct diag *diag)
{
	json_t *list, *item;
	size_t i;

	int r = get(process, "env", JSON_ARRAY, &list, diag);
	if (r < 0 || !list)
		return r;
	config->env = calloc(json_array_size(list) + 1, sizeof(struct oci_pair));
	if (!config->env)
		return no_memory(diag);
	json_array_foreach (list, i, item) {
		const char *text = json_string_value(item);
		const char *equals = text ? strchr(text, '=') : NULL;
		if (!text)
			return diag_fail(EINVAL, diag, "env", "process.env has what is no string");
		if (!equals)
			continue;
		struct oci_pair *pair = &config->env[config->n_env++];
		pair->key = strndup(text, (size_t)(equals - text));
		pair->value = strdup(equals + 1);
		if (!pair->key || !pair->value)
			return no_memory(diag);
	}
	return 0;
}

static int add_string(char ***list, size_t *n, const char *text, struct diag *diag)
{
	char **grown = reallocarray(*list, *n + 1, sizeof(char *));

	if (!grown)
		return no_memory(diag);
	*list = grown;
	grown[*n] = strdup(text);
	if (!grown[*n])
		return no_memory(diag);
	(*n)++;
	return 0;
}

static int take_capabilities(json_t *process, struct oci_config *config, struct diag *diag)
{
	json_t *object, *list = NULL, *item;
	size_t i;

	int r = get(process, "capabilities", JSON_OBJECT, &object, diag);
	if (r == 0 && object)
		r = get(object, "bounding", JSON_ARRAY, &list, diag);
	if (r < 0 || !list)
		return r;
	json_array_foreach (list, i, item) {
		if (!json_is_string(item))
			return diag_fail(EINVAL, diag, "capabilities", "a capability is no string");
		r = add_string(&config->capabilities, &config->n_capabilities,
			       json_string_value(item), diag);
		if (r < 0)
			return r;
	}
	return 0;
}

static bool is_bind(json_t *mount)
{
	const char *type = json_string_value(json_object_get(mount, "type"));
	json_t *option;
	size_t i;

	if (type && strcmp(type, "bind") == 0)
		return true;
	json_array_foreach (json_object_get(mount, "options"), i, option) {
		const char *text = json_string_value(option);
		if (text && (strcmp(text, "bind") == 0 || strcmp(text, "rbind") == 0))
			return true;
	}
	return false;
}

static int take_host_paths(json_t *root, struct oci_config *config, struct diag *diag)
{
	json_t *list, *mount;
	const char *path =
		json_string_value(json_object_get(json_object_get(root, "root"), "path"));
	size_t i;

	int r = path ? add_string(&config->host_paths, &config->n_host_paths, path, diag) : 0;
	if (r == 0 && path)
		config->root_path = config->host_paths[0];
	if (r == 0)
		r = get(root, "mounts", JSON_ARRAY, &list, diag);
	if (r < 0)
		return r;
	json_array_foreach (list, i, mount) {
		path = json_string_value(json_object_get(mount, "source"));
		if (!path || !is_bind(mount))
			continue;
		r = add_string(&config->host_paths, &config->n_host_paths, path, diag);
		if (r < 0)
			return r;
	}
	return 0;
}

/* Podman's --uidmap 0:0:65536, say, makes a user namespace whose root is the host's. */
static bool maps_system_ids(json_t *linux_part)
{
	static const char *const kinds[] = {"uidMappings", "gidMappings"};
	json_t *mapping;
	size_t i;

	for (size_t kind = 0; kind < 2; kind++)
		json_array_foreach (json_object_get(linux_part, kinds[kind]), i, mapping)
			if (json_number_value(json_object_get(mapping, "hostID")) < SYSTEM_IDS)
				return true;
	return false;
}

static int take_namespaces(json_t *linux_part, struct oci_config *config, struct diag *diag)
{
	json_t *list, *item;
	size_t i;

	int r = get(linux_part, "namespaces", JSON_ARRAY, &list, diag);
	if (r < 0)
		return r;
	json_array_foreach (list, i, item) {
		const char *type = json_string_value(json_object_get(item, "type"));
		const char *path = json_string_value(json_object_get(item, "path"));
		if (!type)
			return diag_fail(EINVAL, diag, "namespaces", "a namespace has no type");
		/* Without a path it is made of the mappings; with one they may be left out. */
		if (strcmp(type, "user") == 0 &&
		    ((path && path[0]) ||
		     json_array_size(json_object_get(linux_part, "uidMappings")) > 0))
			config->has_user_namespace = !maps_system_ids(linux_part);
		if (strcmp(type, "pid") == 0)
			config->has_pid_namespace = true;
		if (strcmp(type, "network") != 0)
			continue;
		if (config->netns != OCI_NETNS_HOST)
			return diag_fail(EINVAL, diag, "namespaces",
					 "there are two of the network");
		config->netns = path && path[0] ? OCI_NETNS_PATH : OCI_NETNS_NEW;
		if (config->netns == OCI_NETNS_NEW)
			continue;
		config->netns_path = strdup(path);
		if (!config->netns_path)
			return no_memory(diag);
	}
	return 0;
}

static int take_all(json_t *root, struct oci_config *config, struct diag *diag)
{
	json_t *process = NULL, *linux_part = NULL;

	if (!json_is_object(root))
		return diag_fail(EINVAL, diag, NULL, "config.json is no object");
	int r = get(root, "process", JSON_OBJECT, &process, diag);
	if (r == 0)
		r = get(root, "linux", JSON_OBJECT, &linux_part, diag);
	if (r == 0)
		r = take_annotations(root, config, diag);
	if (r == 0 && process)
		r = take_env(process, config, diag);
	if (r == 0 && process) {
		json_t *user = json_object_get(process, "user");
		config->uid = (uint32_t)json_number_value(json_object_get(user, "uid"));
		config->no_new_privileges =
			json_is_true(json_object_get(process, "noNewPrivileges"));
	}
	if (r == 0 && process)
		r = take_capabilities(process, config, diag);
	if (r == 0)
		r = take_host_paths(root, config, diag);
	if (r == 0 && linux_part)
		r = take_namespaces(linux_part, config, diag);
	return r;
}

int oci_config_parse(const char *text, size_t len, struct oci_config **ret, struct diag *diag)
{
	json_error_t error;
	/* Limits go up to 2^64 - 1, which jansson holds in no integer; none of them matters here.
	 */
	json_auto_t *root =
		json_loadb(text, len, JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL, &error);

	if (!root && json_error_code(&error) == json_error_out_of_memory)
		return no_memory(diag);
	if (memchr(text, '\0', len)) /* jansson reads over one behind a number */
		return diag_fail(EINVAL, diag, NULL, "config.json has a NUL byte");
	if (!root)
		return diag_fail(EINVAL, diag, NULL, "config.json is no JSON: line %d: %s",
				 error.line, error.text);
	_cleanup_oci_config_ struct oci_config *config = calloc(1, sizeof(*config));
	if (!config)
		return no_memory(diag);
	int r = take_all(root, config, diag);
	if (r == 0)
		*ret = TAKE(config);
	return r;
}

static void free_pairs(struct oci_pair *pairs, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		free(pairs[i].key);
		free(pairs[i].value);
	}
	free(pairs);
}

static void free_strings(char **strings, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(strings[i]);
	free(strings);
}

struct oci_config *oci_config_free(struct oci_config *config)
{
	if (!config)
		return NULL;
	free_pairs(config->annotations, config->n_annotations);
	free_pairs(config->env, config->n_env);
	free_strings(config->capabilities, config->n_capabilities);
	free_strings(config->host_paths, config->n_host_paths);
	free(config->netns_path);
	free(config);
	return NULL;
}

static const char *find_last(const struct oci_pair *pairs, size_t n, const char *key)
{
	while (n-- > 0)
		if (strcmp(pairs[n].key, key) == 0)
			return pairs[n].value;
	return NULL;
}

const char *oci_config_annotation(const struct oci_config *config, const char *key)
{
	return find_last(config->annotations, config->n_annotations, key);
}

const char *oci_config_env(const struct oci_config *config, const char *name)
{
	return find_last(config->env, config->n_env, name);
}

bool oci_config_has_capability(const struct oci_config *config, const char *name)
{
	for (size_t i = 0; i < config->n_capabilities; i++)
		if (strcmp(config->capabilities[i], name) == 0)
			return true;
	return false;
}
