#include "wire/json_text.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>

#include "wire/display_text.h"

/* Objects within objects that flattening follows; far more than the API has. */
#define FLATTEN_DEPTH 8
#define KEY_MAX_LEN 512
/* Deeper levels line up, so that a text of nothing but brackets does not grow without bound. */
#define INDENT_MAX 32

static int load(const char *text, size_t len, json_t **ret)
{
	json_error_t error;

	*ret = NULL;
	/* jansson passes over a NUL that follows a number. */
	if (len > 0 && memchr(text, '\0', len))
		return -EBADMSG;
	*ret = json_loadb(text, len, JSON_DECODE_ANY, &error);
	if (*ret)
		return 0;
	return json_error_code(&error) == json_error_out_of_memory ? -ENOMEM : -EBADMSG;
}

static void put_escape(struct buf *out, uint32_t c)
{
	if (c >= 0x10000)
		buf_printf(out, "\\u%04x\\u%04x", 0xd800u + ((c - 0x10000) >> 10),
			   0xdc00u + (c & 0x3ff));
	else
		buf_printf(out, "\\u%04x", c);
}

/* Copy a string token that starts at text[at], its quotes included; returns where it ends. */
static size_t copy_string(const char *text, size_t len, size_t at, struct buf *out)
{
	bool escaped = false;

	buf_puts(out, "\"");
	for (at++; at < len;) {
		uint32_t c;
		bool safe;
		size_t n = display_next(text + at, len - at, &c, &safe);
		if (safe)
			buf_put(out, text + at, n);
		else
			put_escape(out, c);
		at += n;
		if (c == '"' && !escaped)
			break;
		escaped = c == '\\' && !escaped;
	}
	return at;
}

static void put_newline(struct buf *out, size_t depth)
{
	buf_puts(out, "\n");
	for (size_t i = 0; i < depth && i < INDENT_MAX; i++)
		buf_puts(out, "  ");
}

static size_t skip_space(const char *text, size_t len, size_t at)
{
	while (at < len && text[at] && strchr(" \t\r\n", text[at]))
		at++;
	return at;
}

/* Lay out text that is known to be valid JSON. */
static void lay_out(const char *text, size_t len, bool pretty, struct buf *out)
{
	size_t depth = 0;

	for (size_t i = skip_space(text, len, 0); i < len; i = skip_space(text, len, i)) {
		char c = text[i];
		if (c == '"') {
			i = copy_string(text, len, i, out);
			continue;
		}
		i++;
		if ((c == '}' || c == ']') && depth > 0) {
			depth--;
			if (pretty)
				put_newline(out, depth);
		}
		buf_put(out, &c, 1);
		if (c == ':' && pretty)
			buf_puts(out, " ");
		if (c == ',' && pretty)
			put_newline(out, depth);
		if (c != '{' && c != '[')
			continue;
		size_t next = skip_space(text, len, i);
		if (next < len && (text[next] == '}' || text[next] == ']')) {
			buf_put(out, &text[next], 1);
			i = next + 1;
			continue;
		}
		depth++;
		if (pretty)
			put_newline(out, depth);
	}
}

int json_text_pretty(const char *text, size_t len, struct buf *out)
{
	json_auto_t *json = NULL;

	int r = load(text, len, &json);
	if (r < 0)
		return r;
	lay_out(text, len, true, out);
	buf_puts(out, "\n");
	return buf_ok(out) ? 0 : -ENOMEM;
}

int json_text_compact(const char *text, size_t len, struct buf *out)
{
	json_auto_t *json = NULL;

	int r = load(text, len, &json);
	if (r < 0)
		return r;
	lay_out(text, len, false, out);
	return buf_ok(out) ? 0 : -ENOMEM;
}

static void put_scalar(const json_t *value, struct buf *out)
{
	switch (json_typeof(value)) {
	case JSON_STRING:
		buf_puts(out, json_string_value(value));
		break;
	case JSON_INTEGER:
		buf_printf(out, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
		break;
	case JSON_REAL:
		buf_printf(out, "%g", json_real_value(value));
		break;
	case JSON_TRUE:
		buf_puts(out, "yes");
		break;
	case JSON_FALSE:
		buf_puts(out, "no");
		break;
	default:
		break;
	}
}

static bool is_container(const json_t *value)
{
	return json_is_object(value) || json_is_array(value);
}

struct flatten {
	json_text_visit_fn visit;
	void *user;
};

static int flatten_value(const struct flatten *f, const char *key, json_t *value, int depth);

static int flatten_list(const struct flatten *f, const char *key, json_t *list, int depth)
{
	_cleanup_buf_ struct buf joined = {0};
	bool plain = true;
	json_t *item;
	size_t i;

	json_array_foreach (list, i, item) {
		plain = plain && !is_container(item);
		buf_puts(&joined, i ? ", " : "");
		put_scalar(item, &joined);
	}
	if (plain) {
		if (!buf_ok(&joined))
			return -ENOMEM;
		f->visit(key, joined.data ? joined.data : "", f->user);
		return 0;
	}
	json_array_foreach (list, i, item) {
		char name[KEY_MAX_LEN];
		snprintf(name, sizeof(name), "%s.%zu", key, i);
		int r = flatten_value(f, name, item, depth + 1);
		if (r < 0)
			return r;
	}
	return 0;
}

static int flatten_value(const struct flatten *f, const char *key, json_t *value, int depth)
{
	_cleanup_buf_ struct buf text = {0};
	const char *member;
	json_t *item;

	if (depth > FLATTEN_DEPTH)
		return -EBADMSG;
	if (json_is_array(value))
		return flatten_list(f, key, value, depth);
	if (json_is_object(value) && json_object_size(value) > 0) {
		json_object_foreach (value, member, item) {
			char name[KEY_MAX_LEN];
			snprintf(name, sizeof(name), "%s%s%s", key, key[0] ? "." : "", member);
			int r = flatten_value(f, name, item, depth + 1);
			if (r < 0)
				return r;
		}
		return 0;
	}
	put_scalar(value, &text);
	if (!buf_ok(&text))
		return -ENOMEM;
	f->visit(key, text.data ? text.data : "", f->user);
	return 0;
}

int json_text_flatten(const char *text, size_t len, json_text_visit_fn visit, void *user)
{
	const struct flatten f = {.visit = visit, .user = user};
	json_auto_t *json = NULL;

	int r = load(text, len, &json);
	if (r < 0)
		return r;
	if (!json_is_object(json))
		return -EBADMSG;
	return json_object_size(json) > 0 ? flatten_value(&f, "", json, 0) : 0;
}

int json_text_string(const char *text, size_t len, const char *key, struct buf *out)
{
	json_auto_t *json = NULL;

	int r = load(text, len, &json);
	if (r < 0)
		return r;
	json_t *value = json_object_get(json, key);
	if (!json_is_string(value))
		return -ENOENT;
	buf_puts(out, json_string_value(value));
	return buf_ok(out) ? 0 : -ENOMEM;
}

void json_text_quote(const char *s, struct buf *out)
{
	size_t len = strlen(s);

	buf_puts(out, "\"");
	for (size_t i = 0; i < len;) {
		uint32_t c;
		bool safe;
		size_t n = display_next(s + i, len - i, &c, &safe);
		if (c == '"' || c == '\\')
			buf_printf(out, "\\%c", (char)c);
		else if (safe)
			buf_put(out, s + i, n);
		else if (n == 1 && c >= 0x80)
			buf_puts(out, "\xef\xbf\xbd");
		else
			put_escape(out, c);
		i += n;
	}
	buf_puts(out, "\"");
}
