#include "wire/control_error.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>

static void copy_member(json_t *object, const char *key, char *ret, size_t size)
{
	const char *text = json_string_value(json_object_get(object, key));

	if (text)
		snprintf(ret, size, "%s", text);
}

int control_error_parse(const char *text, size_t len, struct control_error *ret)
{
	json_error_t ignored;

	*ret = (struct control_error){0};
	json_auto_t *json = json_loadb(text, len, 0, &ignored);
	json_t *error = json_object_get(json, "error");
	if (!json_is_object(error))
		return -EBADMSG;
	copy_member(error, "code", ret->code, sizeof(ret->code));
	copy_member(error, "field", ret->field, sizeof(ret->field));
	copy_member(error, "message", ret->message, sizeof(ret->message));
	return 0;
}
