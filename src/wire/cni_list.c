#include "wire/cni_list.h"

#include <string.h>

#include <jansson.h>

#define PLUGINS_MAX 32

struct cni_list {
	json_t *root;
	json_t *plugins; /* borrowed from root, or owned: a list of one */
};

static int no_memory(struct diag *diag)
{
	return diag_fail(ENOMEM, diag, NULL, "out of memory");
}

/* It becomes part of a path. */
static bool is_file_name(const char *type)
{
	return type && type[0] && type[0] != '.' && !strchr(type, '/');
}

static int check(const struct cni_list *list, struct diag *diag)
{
	json_t *plugin;
	size_t i;

	if (!json_is_string(json_object_get(list->root, "name")))
		return diag_fail(EINVAL, diag, "name", "the network has no name");
	if (json_array_size(list->plugins) == 0 || json_array_size(list->plugins) > PLUGINS_MAX)
		return diag_fail(EINVAL, diag, "plugins", "must be a list of 1 to %d plugins",
				 PLUGINS_MAX);
	json_array_foreach (list->plugins, i, plugin)
		if (!is_file_name(json_string_value(json_object_get(plugin, "type"))))
			return diag_fail(EINVAL, diag, "type",
					 "plugin %zu has no type that is the name of a program", i);
	return 0;
}

int cni_list_parse(const char *text, size_t len, struct cni_list **ret, struct diag *diag)
{
	json_error_t error;
	_cleanup_cni_list_ struct cni_list *list = calloc(1, sizeof(*list));

	if (!list)
		return no_memory(diag);
	list->root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);
	if (!json_is_object(list->root))
		return diag_fail(EINVAL, diag, NULL, "is no JSON object%s%s",
				 list->root ? "" : ": ", list->root ? "" : error.text);
	json_t *plugins = json_object_get(list->root, "plugins");
	if (plugins && !json_is_array(plugins))
		return diag_fail(EINVAL, diag, "plugins", "must be a list");
	list->plugins = plugins ? json_incref(plugins) : json_pack("[O]", list->root);
	if (!list->plugins)
		return no_memory(diag);
	int r = check(list, diag);
	if (r == 0)
		*ret = TAKE(list);
	return r;
}

struct cni_list *cni_list_free(struct cni_list *list)
{
	if (list) {
		json_decref(list->plugins);
		json_decref(list->root);
	}
	free(list);
	return NULL;
}

const char *cni_list_name(const struct cni_list *list)
{
	return json_string_value(json_object_get(list->root, "name"));
}

size_t cni_list_size(const struct cni_list *list)
{
	return json_array_size(list->plugins);
}

const char *cni_list_type(const struct cni_list *list, size_t i)
{
	return json_string_value(json_object_get(json_array_get(list->plugins, i), "type"));
}

int cni_list_print(const struct cni_list *list, size_t i, const char *prev_result, struct buf *out)
{
	json_auto_t *config = json_copy(json_array_get(list->plugins, i));
	json_t *version = json_object_get(list->root, "cniVersion");

	if (!config || json_object_set(config, "name", json_object_get(list->root, "name")) < 0)
		return -ENOMEM;
	if (version && json_object_set(config, "cniVersion", version) < 0)
		return -ENOMEM;
	if (prev_result) {
		json_t *prev = json_loads(prev_result, 0, NULL);
		if (!json_is_object(prev)) {
			json_decref(prev);
			return -EINVAL;
		}
		if (json_object_set_new(config, "prevResult", prev) < 0)
			return -ENOMEM;
	}
	char *text = json_dumps(config, JSON_COMPACT);
	if (!text)
		return -ENOMEM;
	buf_puts(out, text);
	free(text);
	return buf_ok(out) ? 0 : -ENOMEM;
}

void cni_error_text(const char *text, size_t len, struct buf *out)
{
	json_auto_t *json = json_loadb(text, len, 0, NULL);
	const char *message = json_string_value(json_object_get(json, "msg"));
	const char *details = json_string_value(json_object_get(json, "details"));

	if (message)
		buf_puts(out, message);
	if (message && details && details[0])
		buf_printf(out, ": %s", details);
}
