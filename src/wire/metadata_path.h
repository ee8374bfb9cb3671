/* metadata_path: what a request target means: decoded once, normalised, checked.
 *
 * After this, a path is plain text with one form: no leading, trailing or double slash, no dot
 * segments, no percent signs that mean anything, no control bytes. The router looks it up in an
 * allow-list; nothing else ever sees what the client wrote.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define METADATA_PATH_MAX 512

struct metadata_path {
	char text[METADATA_PATH_MAX]; /* "latest/meta-data/iam"; "" is the root */
	size_t len;
};

/* metadata_path_parse(target, len, ret): `target` is an origin-form, with or without a query (which
 * is ignored, as EC2 does). -EINVAL (the client gets 400): a bad percent escape, or a control byte,
 * backslash or slash hidden by one; -ENAMETOOLONG (404): longer than anything served. */
int metadata_path_parse(const char *target, size_t len, struct metadata_path *ret);

/* metadata_path_rest(path, ret_version_known): what follows the version segment ("meta-data/iam"),
 * or NULL if the path has no version segment, i.e. is the root. ret_version_known tells whether the
 * first segment is a version that EC2 serves; ret_latest whether it is "latest". */
const char *metadata_path_rest(const struct metadata_path *path, bool *ret_version_known,
			       bool *ret_latest);

/* The body of GET /: every version, one a line, no final LF. */
extern const char metadata_versions[];
