#include "wire/metadata_path.h"

#include <errno.h>
#include <string.h>

#include "wire/hex.h"

/* As the instance metadata service lists them. */
const char metadata_versions[] = "1.0\n"
				 "2007-01-19\n"
				 "2007-03-01\n"
				 "2007-08-29\n"
				 "2007-10-10\n"
				 "2007-12-15\n"
				 "2008-02-01\n"
				 "2008-09-01\n"
				 "2009-04-04\n"
				 "2011-01-01\n"
				 "2011-05-01\n"
				 "2012-01-12\n"
				 "2014-02-25\n"
				 "2014-11-05\n"
				 "2015-10-20\n"
				 "2016-04-19\n"
				 "2016-06-30\n"
				 "2016-09-02\n"
				 "2018-03-28\n"
				 "2018-08-17\n"
				 "2018-09-24\n"
				 "2019-10-01\n"
				 "2020-10-27\n"
				 "2021-01-03\n"
				 "2021-03-23\n"
				 "2021-07-15\n"
				 "2022-09-24\n"
				 "2024-04-11\n"
				 "latest";

/* One byte of the target, decoded; *at moves on. Negative for what is refused. */
static int decode_byte(const char *target, size_t len, size_t *at)
{
	unsigned char c = (unsigned char)target[*at];

	if (c != '%') {
		(*at)++;
		return c < 0x20 || c == 0x7f || c == '\\' ? -EINVAL : c;
	}
	if (len - *at < 3)
		return -EINVAL;
	int high = hex_digit(target[*at + 1]), low = hex_digit(target[*at + 2]);
	if (high < 0 || low < 0)
		return -EINVAL;
	*at += 3;
	c = (unsigned char)(high << 4 | low);
	/* A slash that only appears by decoding is an attempt at someone's path check. */
	return c < 0x20 || c == 0x7f || c == '\\' || c == '/' ? -EINVAL : c;
}

/* The segment just ended at `len`, which began at `start`: apply "." and "..", drop empty ones.
 * Returns the new length, without a trailing slash. */
static size_t end_segment(char *text, size_t start, size_t len)
{
	size_t n = len - start;

	if (n == 0 || (n == 1 && text[start] == '.'))
		return start > 0 ? start - 1 : 0;
	if (n == 2 && text[start] == '.' && text[start + 1] == '.') {
		/* RFC 3986 section 5.2.4: what goes above the root stays at the root. */
		if (start == 0)
			return 0;
		const char *slash = memrchr(text, '/', start - 1);
		return slash ? (size_t)(slash - text) : 0;
	}
	return len;
}

int metadata_path_parse(const char *target, size_t len, struct metadata_path *ret)
{
	size_t start = 0, n = 0, at = 0;

	while (at <= len) {
		bool end = at == len || target[at] == '?';
		if (end || target[at] == '/') {
			n = end_segment(ret->text, start, n);
			if (end)
				break;
			at++;
			start = n;
			if (n > 0) {
				ret->text[n++] = '/';
				start = n;
			}
		} else {
			int c = decode_byte(target, len, &at);
			if (c < 0)
				return c;
			ret->text[n++] = (char)c;
		}
		if (n >= METADATA_PATH_MAX - 1)
			return -ENAMETOOLONG;
	}
	ret->text[n] = '\0';
	ret->len = n;
	return 0;
}

static bool is_version(const char *text, size_t len)
{
	const char *line = metadata_versions;

	for (;;) {
		size_t n = strcspn(line, "\n");
		if (n == len && memcmp(line, text, len) == 0)
			return true;
		if (line[n] == '\0')
			return false;
		line += n + 1;
	}
}

const char *metadata_path_rest(const struct metadata_path *path, bool *ret_version_known,
			       bool *ret_latest)
{
	const char *slash = memchr(path->text, '/', path->len);
	size_t n = slash ? (size_t)(slash - path->text) : path->len;

	*ret_latest = n == 6 && memcmp(path->text, "latest", 6) == 0;
	*ret_version_known = *ret_latest || (n > 0 && is_version(path->text, n));
	if (path->len == 0)
		return NULL;
	return slash ? slash + 1 : path->text + path->len;
}
