#include "wire/role_map.h"

#include <jansson.h>
#include <stdbool.h>
#include <string.h>

#include "util/clock.h"

static int no_memory(struct diag *diag)
{
	return diag_fail(ENOMEM, diag, NULL, "out of memory");
}

/* The first of `keys` (NULL-terminated) that holds a string with something in it, copied. */
static int take_string(json_t *object, const char *const *keys, char **ret)
{
	for (size_t i = 0; keys[i]; i++) {
		const char *text = json_string_value(json_object_get(object, keys[i]));
		if (!text || !text[0])
			continue;
		*ret = strdup(text);
		return *ret ? 0 : -ENOMEM;
	}
	return 0;
}

#define KEYS(...)                                                                                  \
	(const char *const[])                                                                      \
	{                                                                                          \
		__VA_ARGS__, NULL                                                                  \
	}

static int parse_entry(json_t *object, struct role_map_entry *ret, struct diag *diag)
{
	const char *expiration = json_string_value(json_object_get(object, "expiration"));
	json_t *requests = json_object_get(object, "requests");

	if (take_string(object, KEYS("id"), &ret->id) < 0 ||
	    take_string(object, KEYS("state"), &ret->state) < 0 ||
	    take_string(object, KEYS("role_arn"), &ret->role_arn) < 0 ||
	    take_string(object, KEYS("last_error"), &ret->last_error) < 0 ||
	    take_string(object, KEYS("netns"), &ret->netns) < 0 ||
	    take_string(json_object_get(object, "image"), KEYS("ref", "digest"), &ret->image) < 0)
		return no_memory(diag);
	if (!ret->id)
		return diag_fail(EBADMSG, diag, "id", "the role map has an entry without an id");
	if (!expiration || clock_parse_iso8601(expiration, &ret->expiration_s) < 0)
		ret->expiration_s = 0;
	ret->requests = json_is_integer(requests) ? json_integer_value(requests) : -1;
	ret->pid = json_integer_value(json_object_get(object, "pid"));
	const char *intercept = json_string_value(json_object_get(object, "intercept"));
	ret->bridged = intercept && strcmp(intercept, "bridge") == 0;
	ret->netns_inode = (uint64_t)json_integer_value(json_object_get(object, "netns_inode"));
	return 0;
}

static int parse_entries(json_t *list, struct role_map *map, struct diag *diag)
{
	json_t *item;
	size_t i;

	map->entries = calloc(json_array_size(list) + 1, sizeof(*map->entries));
	if (!map->entries)
		return no_memory(diag);
	json_array_foreach (list, i, item) {
		int r = parse_entry(item, &map->entries[i], diag);
		map->n_entries = i + 1;
		if (r < 0)
			return r;
	}
	return 0;
}

int role_map_parse(const char *text, size_t len, struct role_map **ret, struct diag *diag)
{
	json_error_t error;
	int r;

	json_auto_t *json = json_loadb(text, len, 0, &error);
	if (!json && json_error_code(&error) == json_error_out_of_memory)
		return no_memory(diag);
	if (!json)
		return diag_fail(EBADMSG, diag, NULL, "the answer is no JSON: line %d: %s",
				 error.line, error.text);
	_cleanup_role_map_ struct role_map *map = calloc(1, sizeof(*map));
	if (!map)
		return no_memory(diag);
	json_t *list = json_is_object(json) ? json_object_get(json, "containers") : json;
	if (!list && json_object_get(json, "id")) {
		json_auto_t *one = json_pack("[O]", json);
		r = one ? parse_entries(one, map, diag) : no_memory(diag);
	} else if (json_is_array(list)) {
		r = parse_entries(list, map, diag);
	} else {
		r = diag_fail(EBADMSG, diag, NULL, "the answer is no role map");
	}
	if (r < 0)
		return r;
	*ret = TAKE(map);
	return 0;
}

struct role_map *role_map_free(struct role_map *map)
{
	if (!map)
		return NULL;
	for (size_t i = 0; i < map->n_entries; i++) {
		struct role_map_entry *entry = &map->entries[i];
		free(entry->id);
		free(entry->state);
		free(entry->role_arn);
		free(entry->image);
		free(entry->last_error);
		free(entry->netns);
	}
	free(map->entries);
	free(map);
	return NULL;
}
