#include "wire/config_value.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SECTION_MAX 50 /* of inih, its NUL included */

bool config_value_word(const char *value)
{
	return value[strspn(value, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				   "0123456789-_.")] == '\0';
}

bool config_value_account(const char *value)
{
	return strlen(value) == 12 && strspn(value, "0123456789") == 12;
}

bool config_value_url(const char *value)
{
	size_t scheme = strncmp(value, "http://", 7) == 0    ? 7
			: strncmp(value, "https://", 8) == 0 ? 8
							     : 0;

	if (scheme == 0 || strchr("/:?#@", value[scheme])) /* or its NUL */
		return false;
	for (const char *c = value; *c; c++)
		if ((unsigned char)*c <= ' ' || *c == 0x7f)
			return false;
	return true;
}

int config_value_address(const char *value, char *host, size_t host_size, const char **ret_port)
{
	const char *colon = strrchr(value, ':');
	size_t len = colon ? (size_t)(colon - value) : 0;

	if (len > 2 && value[0] == '[' && value[len - 1] == ']') {
		value++;
		len -= 2;
	} else if (memchr(value, ':', len) || memchr(value, '[', len)) {
		return -EINVAL; /* an IPv6 address without its brackets, or what else? */
	}
	if (len == 0 || (host && len >= host_size))
		return -EINVAL;
	size_t digits = strspn(colon + 1, "0123456789");
	int port = digits > 0 && digits <= 5 && colon[1 + digits] == '\0' ? atoi(colon + 1) : 0;
	if (port < 1 || port > 65535)
		return -EINVAL;
	if (host) {
		memcpy(host, value, len);
		host[len] = '\0';
	}
	*ret_port = colon + 1;
	return 0;
}

/* A section's line; anything else is left to inih. */
static int check_section(const char *line, size_t len, bool known(const char *section),
			 struct diag *diag)
{
	const char *end = memchr(line, ']', len);
	size_t name_len = end ? (size_t)(end - line) - 1 : 0;
	char name[SECTION_MAX];

	if (!end)
		return diag_fail(EINVAL, diag, NULL, "[ has no ]");
	if (name_len < sizeof(name)) {
		memcpy(name, line + 1, name_len);
		name[name_len] = '\0';
		if (known(name))
			return 0;
	}
	return diag_fail(EINVAL, diag, NULL, "[%.*s] is no section", (int)name_len, line + 1);
}

int config_value_lines(const char *text, bool known(const char *section), struct diag *diag)
{
	int number = 0;

	while (*text) {
		size_t len = strcspn(text, "\n"), indent = 0;
		const char *next = text + len + (text[len] == '\n');
		number++;
		if (number == 1 && strncmp(text, "\xef\xbb\xbf", 3) == 0)
			indent = 3;
		while (indent < len && isspace((unsigned char)text[indent]))
			indent++;
		const char *line = text + indent;
		if (len > CONFIG_LINE_MAX) {
			diag_set(diag, NULL, "is longer than %d bytes", CONFIG_LINE_MAX);
			return number;
		}
		if (line[0] == '[' && check_section(line, len - indent, known, diag) < 0)
			return number;
		text = next;
	}
	return 0;
}
