#include "wire/oci_hooks.h"

#include <string.h>

#include <jansson.h>

#define HOOKS "hooks"
#define TIMEOUT_POSTSTOP_S 30

/* Walking over text that is known to be JSON: where does the token, or the value, at `at` end? */
static size_t skip_space(const char *text, size_t len, size_t at)
{
	while (at < len && text[at] && strchr(" \t\r\n", text[at]))
		at++;
	return at;
}

static size_t skip_string(const char *text, size_t len, size_t at)
{
	for (at++; at < len && text[at] != '"'; at++)
		if (text[at] == '\\')
			at++;
	return at < len ? at + 1 : len;
}

static size_t skip_value(const char *text, size_t len, size_t at)
{
	size_t depth = 0;

	while (at < len) {
		if (text[at] == '"') {
			at = skip_string(text, len, at);
		} else if (strchr("{[", text[at])) {
			depth++;
			at++;
		} else if (strchr("}]", text[at])) {
			if (depth == 0)
				return at; /* what holds the value ends */
			depth--;
			at++;
		} else if (depth == 0 && strchr(", \t\r\n", text[at])) {
			return at;
		} else {
			at++;
			continue; /* inside a number or word */
		}
		if (depth == 0)
			return at;
		at = skip_space(text, len, at);
	}
	return at;
}

struct span {
	size_t begin, end; /* the value's */
};

/* Where the value of "hooks" is in the object that `text` holds. A key may be written with escapes:
 * so each is decoded. False if there is none. */
static bool find_hooks(const char *text, size_t len, struct span *ret)
{
	size_t at = skip_space(text, len, 0) + 1;

	for (;;) {
		at = skip_space(text, len, at);
		if (at >= len || text[at] != '"')
			return false; /* the end: '}' */
		size_t end = skip_string(text, len, at);
		json_auto_t *key = json_loadb(text + at, end - at, JSON_DECODE_ANY, NULL);
		bool found = key && strcmp(json_string_value(key), HOOKS) == 0;
		at = skip_space(text, len, skip_space(text, len, end) + 1);
		ret->begin = at;
		ret->end = at = skip_value(text, len, at);
		if (found)
			return true;
		at = skip_space(text, len, at);
		if (at >= len || text[at] != ',')
			return false;
		at++;
	}
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static void remove_ours(json_t *list, const struct oci_hook *hook)
{
	for (size_t i = json_array_size(list); i-- > 0;) {
		const char *path =
			json_string_value(json_object_get(json_array_get(list, i), "path"));
		if (path && strcmp(base_name(path), base_name(hook->path)) == 0)
			json_array_remove(list, i);
	}
}

static int add_ours(json_t *hooks, const char *stage, const struct oci_hook *hook, int timeout_s)
{
	json_t *list = json_object_get(hooks, stage);
	json_t *entry =
		json_pack("{s:s, s:[s, s, s], s:i}", "path", hook->path, "args",
			  base_name(hook->path), stage, hook->argument, "timeout", timeout_s);

	if (entry && hook->env)
		json_object_set_new(entry, "env", json_pack("[s]", hook->env));
	if (!json_is_array(list) && json_object_set_new(hooks, stage, json_array()) == 0)
		list = json_object_get(hooks, stage);
	/* First: what other hooks do may need the credentials already. */
	return !entry || !list || json_array_insert_new(list, 0, entry) < 0 ? -ENOMEM : 0;
}

static int edit(json_t *hooks, const struct oci_hook *hook, bool wanted)
{
	static const char *const stages[] = {"createRuntime", "poststop"};

	for (size_t i = 0; i < 2; i++) {
		json_t *list = json_object_get(hooks, stages[i]);
		remove_ours(list, hook);
		if (list && json_array_size(list) == 0)
			json_object_del(hooks, stages[i]);
		if (wanted && add_ours(hooks, stages[i], hook,
				       i == 0 ? hook->timeout_s : TIMEOUT_POSTSTOP_S) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int no_memory(struct diag *diag)
{
	return diag_fail(ENOMEM, diag, NULL, "out of memory");
}

static int check(const char *text, size_t len, struct diag *diag)
{
	json_error_t error;
	json_auto_t *root =
		json_loadb(text, len, JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL, &error);

	if (memchr(text, '\0', len)) /* jansson reads over one behind a number */
		return diag_fail(EINVAL, diag, NULL, "config.json has a NUL byte");
	if (!json_is_object(root))
		return diag_fail(EINVAL, diag, NULL, "config.json is no JSON object%s%s",
				 root ? "" : ": ", root ? "" : error.text);
	return 0;
}

int oci_hooks_set(const char *text, size_t len, const struct oci_hook *hook, bool wanted,
		  struct buf *out, struct diag *diag)
{
	struct span span = {0};
	json_auto_t *hooks = NULL;

	int r = check(text, len, diag);
	if (r < 0)
		return r;
	bool found = find_hooks(text, len, &span);
	if (found)
		hooks = json_loadb(text + span.begin, span.end - span.begin, JSON_DECODE_ANY, NULL);
	if (!hooks || json_is_null(hooks)) {
		json_decref(hooks);
		hooks = json_object();
	}
	if (!json_is_object(hooks))
		return diag_fail(EINVAL, diag, HOOKS, "hooks is no object");
	if (edit(hooks, hook, wanted) < 0)
		return no_memory(diag);
	char *printed = json_dumps(hooks, JSON_COMPACT);
	if (!printed)
		return no_memory(diag);
	size_t begin = skip_space(text, len, 0) + 1;
	if (found) {
		buf_put(out, text, span.begin);
		buf_puts(out, printed);
		buf_put(out, text + span.end, len - span.end);
	} else if (wanted) {
		bool empty = text[skip_space(text, len, begin)] == '}';
		buf_put(out, text, begin);
		buf_printf(out, "\"" HOOKS "\":%s%s", printed, empty ? "" : ",");
		buf_put(out, text + begin, len - begin);
	} else {
		buf_put(out, text, len);
	}
	free(printed);
	return buf_ok(out) ? 0 : no_memory(diag);
}
