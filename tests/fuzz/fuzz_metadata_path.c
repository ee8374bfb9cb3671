/* metadata_path: any target. What is accepted is in normal form, and stays as it is when written
 * as a target and parsed again. */
#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "wire/metadata_path.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check_segments(const struct metadata_path *path)
{
	const char *at = path->text, *end = path->text + path->len;

	while (at < end) {
		const char *slash = memchr(at, '/', (size_t)(end - at));
		size_t n = (size_t)((slash ? slash : end) - at);
		assert(n > 0 && !(n == 1 && at[0] == '.') &&
		       !(n == 2 && at[0] == '.' && at[1] == '.'));
		/* A slash is between two segments, never last. */
		assert(!slash || slash + 1 < end);
		at += n + 1;
	}
}

static void check_idempotent(const struct metadata_path *path)
{
	static char target[3 * METADATA_PATH_MAX + 1];
	struct metadata_path again;
	size_t n = 0;

	target[n++] = '/';
	for (size_t i = 0; i < path->len; i++) {
		if (path->text[i] == '%' || path->text[i] == '?')
			n += (size_t)snprintf(target + n, 4, "%%%02x", (unsigned)path->text[i]);
		else
			target[n++] = path->text[i];
	}
	assert(metadata_path_parse(target, n, &again) == 0);
	assert(again.len == path->len && memcmp(again.text, path->text, path->len + 1) == 0);
}

/* What must not be there in any spelling: an escaped slash, backslash, NUL, LF. */
static bool hides_something(const char *target, size_t len)
{
	for (size_t i = 0; i + 2 < len && target[i] != '?'; i++)
		if (target[i] == '%' && (strncasecmp(target + i, "%2f", 3) == 0 ||
					 strncasecmp(target + i, "%5c", 3) == 0 ||
					 strncasecmp(target + i, "%00", 3) == 0 ||
					 strncasecmp(target + i, "%0a", 3) == 0))
			return true;
	return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct metadata_path path;
	bool known = false, latest = false;

	memset(&path, 0xa5, sizeof(path));
	int r = metadata_path_parse((const char *)data, len, &path);
	assert(r == 0 || r == -EINVAL || r == -ENAMETOOLONG);
	if (r < 0)
		return 0;
	assert(!hides_something((const char *)data, len));
	assert(path.len < METADATA_PATH_MAX && path.text[path.len] == '\0');
	for (size_t i = 0; i < path.len; i++) {
		unsigned char c = (unsigned char)path.text[i];
		assert(c >= 0x20 && c != 0x7f && c != '\\');
	}
	check_segments(&path);
	check_idempotent(&path);
	const char *rest = metadata_path_rest(&path, &known, &latest);
	assert((rest == NULL) == (path.len == 0) && (known || !latest));
	assert(!rest || (rest > path.text && rest <= path.text + path.len && *rest != '/'));
	return 0;
}
