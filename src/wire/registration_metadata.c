#include "wire/registration_metadata.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "util/buf.h"

#define DEPTH_MAX 8

/* "metadata.KEY", for messages. */
static const char *name_field(const char *key, char out[static 96])
{
	snprintf(out, 96, "metadata.%s", key);
	return out;
}

/* One line of a text: what reads it, reads to the end of the line. */
static int add_line(const char *key, json_t *value, struct buf *text, struct diag *diag)
{
	const char *s = json_string_value(value);
	char field[96];

	name_field(key, field);
	if (!s)
		return diag_fail(EINVAL, diag, field,
				 "must be a string or a list of strings, or an object of these");
	if (*s == '\0')
		return 0;
	for (const char *c = s; *c; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			return diag_fail(EINVAL, diag, field, "has a control byte");
	if (text->len > 0)
		buf_puts(text, "\n");
	buf_puts(text, s);
	if (text->len > REGISTRATION_METADATA_VALUE_MAX)
		return diag_fail(EINVAL, diag, field, "is longer than %d bytes",
				 REGISTRATION_METADATA_VALUE_MAX);
	return 0;
}

static int read_text(const char *key, json_t *value, struct buf *text, struct diag *diag)
{
	size_t i;
	json_t *line;

	if (!json_is_array(value))
		return add_line(key, value, text, diag);
	json_array_foreach (value, i, line) {
		int r = add_line(key, line, text, diag);
		if (r < 0)
			return r;
	}
	return 0;
}

/* One value. */
static int add(struct registration_metadata *list, size_t *n, const char *key, json_t *value,
	       struct diag *diag)
{
	_cleanup_buf_ struct buf name = {0}, text = {0};
	char field[96];

	int r = read_text(key, value, &text, diag);
	if (r < 0 || text.len == 0)
		return r;
	buf_puts(&name, key);
	if (*n >= REGISTRATION_METADATA_MAX)
		return diag_fail(EINVAL, diag, name_field(key, field),
				 "is one too many: %d are allowed, tags included",
				 REGISTRATION_METADATA_MAX);
	list[*n] =
		(struct registration_metadata){.key = buf_steal(&name), .text = buf_steal(&text)};
	if (!list[*n].key || !list[*n].text) {
		free(list[*n].key);
		free(list[*n].text);
		return diag_fail(ENOMEM, diag, NULL, "out of memory");
	}
	(*n)++;
	return 0;
}

/* What is in an object; in one within it, keys go on where the outer one ends. */
static int add_object(struct registration_metadata *list, size_t *n, const char *prefix,
		      json_t *object, int depth, struct diag *diag)
{
	const char *key;
	json_t *value;
	char field[96];
	int r = 0;

	if (json_object_size(object) == 0 || depth > DEPTH_MAX)
		return diag_fail(EINVAL, diag, name_field(prefix, field),
				 "is an object that is empty or too deep");
	json_object_foreach (object, key, value) {
		_cleanup_buf_ struct buf name = {0};
		buf_printf(&name, "%s/%s", prefix, key);
		if (!buf_ok(&name))
			return diag_fail(ENOMEM, diag, NULL, "out of memory");
		r = json_is_object(value) ? add_object(list, n, name.data, value, depth + 1, diag)
					  : add(list, n, name.data, value, diag);
		if (r < 0)
			return r;
	}
	return 0;
}

/* {"Name":"x"}, short for {"instance":{"Name":"x"}}: there are no other tags. */
static int add_tags(struct registration_metadata *list, size_t *n, json_t *tags, struct diag *diag)
{
	json_t *instance = json_object_get(tags, "instance"), *value;
	const char *key;

	if (json_is_object(instance) && json_object_size(tags) == 1)
		tags = instance;
	json_object_foreach (tags, key, value)
		if (!json_is_string(value))
			return diag_fail(EINVAL, diag, "metadata.tags",
					 "must be an object of strings");
	return json_object_size(tags) == 0 ? 0
					   : add_object(list, n, "tags/instance", tags, 2, diag);
}

int registration_metadata_parse(json_t *value, struct registration_metadata **ret, size_t *ret_n,
				struct diag *diag)
{
	const char *key;
	json_t *item;
	int r;

	if (!json_is_object(value))
		return diag_fail(EINVAL, diag, "metadata", "must be an object");
	*ret_n = 0;
	*ret = calloc(REGISTRATION_METADATA_MAX, sizeof(**ret));
	if (!*ret)
		return diag_fail(ENOMEM, diag, NULL, "out of memory");
	json_object_foreach (value, key, item) {
		if (strcmp(key, "tags") == 0 && json_is_object(item))
			r = add_tags(*ret, ret_n, item, diag);
		else if (json_is_object(item))
			r = add_object(*ret, ret_n, key, item, 1, diag);
		else
			r = add(*ret, ret_n, key, item, diag);
		if (r < 0)
			return r;
	}
	return 0;
}

void registration_metadata_free(struct registration_metadata *metadata, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		free(metadata[i].key);
		free(metadata[i].text);
	}
	free(metadata);
}
