#include "wire/option_text.h"

#include <ctype.h>
#include <string.h>

#include <jansson.h>

#include "util/buf.h"

static int not_strings(struct diag *diag)
{
	return diag_fail(EINVAL, diag, NULL, "must hold nothing but strings");
}

static int split_json(const char *text, option_text_visit_fn visit, void *user, struct diag *diag)
{
	json_error_t error;
	json_auto_t *json = json_loads(text, JSON_REJECT_DUPLICATES, &error);
	const char *key;
	json_t *value;
	size_t i;
	int r = 0;

	if (!json)
		return diag_fail(EINVAL, diag, NULL, "is no JSON: %s", error.text);
	json_array_foreach (json, i, value) {
		r = json_is_string(value) ? visit(json_string_value(value), user)
					  : not_strings(diag);
		if (r != 0)
			return r;
	}
	json_object_foreach (json, key, value) {
		_cleanup_buf_ struct buf pair = {0};
		if (!json_is_string(value))
			return not_strings(diag);
		buf_printf(&pair, "%s=%s", key, json_string_value(value));
		r = buf_ok(&pair) ? visit(pair.data, user)
				  : diag_fail(ENOMEM, diag, NULL, "out of memory");
		if (r != 0)
			return r;
	}
	return 0;
}

int option_text_split(const char *text, option_text_visit_fn visit, void *user, struct diag *diag)
{
	while (isspace((unsigned char)*text))
		text++;
	if (*text == '{' || *text == '[')
		return split_json(text, visit, user, diag);
	while (*text) {
		size_t len = strcspn(text, ",");
		const char *begin = text, *end = text + len;
		while (begin < end && isspace((unsigned char)*begin))
			begin++;
		while (end > begin && isspace((unsigned char)end[-1]))
			end--;
		if (begin < end) {
			_cleanup_free_ char *item = strndup(begin, (size_t)(end - begin));
			int r = item ? visit(item, user)
				     : diag_fail(ENOMEM, diag, NULL, "out of memory");
			if (r != 0)
				return r;
		}
		text += len + (text[len] == ',');
	}
	return 0;
}
