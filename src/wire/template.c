#include "wire/template.h"

#include <string.h>

#define LABEL_PREFIX "label."

bool template_is(const char *text)
{
	return strpbrk(text, "{}") != NULL;
}

static const char *find_label(const struct template_values *values, const char *key, size_t len)
{
	for (size_t i = 0; i < values->n_labels; i++)
		if (strlen(values->labels[i].key) == len &&
		    memcmp(values->labels[i].key, key, len) == 0)
			return values->labels[i].value;
	return NULL;
}

/* One place: what stands between the braces. */
static int fill_place(const char *name, size_t len, const struct template_values *values,
		      struct buf *out, struct diag *diag)
{
	const size_t prefix = sizeof(LABEL_PREFIX) - 1;

	if (len == 2 && memcmp(name, "id", 2) == 0) {
		if (values)
			buf_puts(out, values->id);
		return 0;
	}
	if (len <= prefix || memcmp(name, LABEL_PREFIX, prefix) != 0)
		return diag_fail(EINVAL, diag, NULL,
				 "{%.*s} is unknown: there are {id} and {label.KEY}",
				 len > 64 ? 64 : (int)len, name);
	if (!values)
		return 0;
	const char *value = find_label(values, name + prefix, len - prefix);
	if (!value)
		return diag_fail(ENOENT, diag, NULL, "{%.*s}: the container has no such label",
				 len > 64 ? 64 : (int)len, name);
	buf_puts(out, value);
	return 0;
}

int template_expand(const char *text, const struct template_values *values, struct buf *out,
		    struct diag *diag)
{
	while (*text) {
		size_t plain = strcspn(text, "{}");
		buf_put(out, text, plain);
		text += plain;
		if (!*text)
			break;
		size_t len = strcspn(text + 1, "{}");
		if (*text == '}' || text[1 + len] != '}')
			return diag_fail(EINVAL, diag, NULL, "has a brace without its other half");
		int r = fill_place(text + 1, len, values, out, diag);
		if (r < 0)
			return r;
		text += len + 2;
	}
	return 0;
}
