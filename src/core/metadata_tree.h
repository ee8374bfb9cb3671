/* metadata_tree: the one table of what the metadata service holds: every path with its class, and
 * the listings computed from it. What is not in the table is 404.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "util/buf.h"

enum metadata_class {
	METADATA_NONE,	    /* not in the table */
	METADATA_DIRECTORY, /* has children in the table */
	METADATA_OWN,	    /* answered by rolegate alone */
};

/* metadata_tree_classify(path): `path` is what follows the version: "meta-data/iam/info". */
enum metadata_class metadata_tree_classify(const char *path);

/* metadata_tree_list(path, out): the listing of a directory as EC2 prints it: sorted, one a line, a
 * slash after directories (but not at the version's own level), no final LF. */
void metadata_tree_list(const char *path, struct buf *out);
