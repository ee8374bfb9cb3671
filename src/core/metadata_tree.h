/* metadata_tree: the one table of what the metadata service holds: every path with its class. What
 * is not in the table is 404.
 *
 * The table (metadata_tree.c) is meant to be read next to AWS's own: "Instance metadata categories"
 * and "Dynamic data categories" in the EC2 user guide.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/diag.h"

enum metadata_class {
	METADATA_DIRECTORY, /* no entry of its own: it has children */
	METADATA_OWN,	    /* answered by rolegate alone */
	METADATA_OVERRIDE,  /* tells who the instance is: a container's own value or 404; the host's
			     * only if opened */
	METADATA_CACHED,    /* the host's, harmless */
	METADATA_OPT_IN,    /* the host's, changing: only if opened */
	METADATA_BLOCKED, /* the host's secrets and proofs: only if opened for the one container */
	METADATA_NEVER,	  /* nothing opens it */
};

/* How long the host's value is good for. */
enum metadata_life {
	METADATA_FIXED, /* as long as the instance lives */
	METADATA_SLOW,	/* an API call may change it */
	METADATA_LIVE,	/* it is there to announce something: never served stale */
};

struct metadata_entry {
	/* '*' is a segment that only the host's metadata or a registration can name. A path that
	 * ends in '/' stands for all that is below it. */
	const char *path;
	enum metadata_class class;
	enum metadata_life life;
	unsigned flags;
};

#define METADATA_SETTABLE 1 /* a registration may say what it answers */
#define METADATA_UNLISTED 2 /* served, but not in its directory's listing */

struct metadata_node {
	const char *name; /* the segment: not NUL-terminated; "*" for a variable one */
	size_t len;
	const struct metadata_entry *entry; /* NULL: a directory */
	struct metadata_node *parent;	    /* NULL: the root */
	struct metadata_node *children;	    /* sorted by name */
	struct metadata_node *next;
	unsigned index; /* of the entry, for metadata_allow */
};

/* metadata_tree_root(): what stands below every version: "dynamic", "meta-data", "user-data". */
const struct metadata_node *metadata_tree_root(void);

/* metadata_tree_find(path, ret_rest): `path` is what follows the version, normalised:
 * "meta-data/iam/info". NULL if it is not in the table. For an entry that stands for all below it,
 * `ret_rest` is what follows its own path ("" for itself), else "". */
const struct metadata_node *metadata_tree_find(const char *path, const char **ret_rest);

static inline enum metadata_class metadata_node_class(const struct metadata_node *node)
{
	return node->entry ? node->entry->class : METADATA_DIRECTORY;
}

static inline bool metadata_node_variable(const struct metadata_node *node)
{
	return node->len == 1 && node->name[0] == '*';
}

#define METADATA_ENTRIES_MAX 128

/* Which entries an operator has opened. */
struct metadata_allow {
	uint64_t bits[METADATA_ENTRIES_MAX / 64];
};

static inline bool metadata_allows(const struct metadata_allow *allow, unsigned index)
{
	return allow->bits[index / 64] >> index % 64 & 1;
}

/* metadata_allow_add(allow, path, blocked_too, diag): open a path of the table, or all that is
 * below it: "meta-data/spot", with or without a leading slash or "latest/". What never opens stays
 * shut, and what is BLOCKED too unless `blocked_too`. -EINVAL when the path is not in the table, or
 * when nothing in it can be opened. `diag` is a sentence without a field. */
int metadata_allow_add(struct metadata_allow *allow, const char *path, bool blocked_too,
		       struct diag *diag);

/* metadata_allow_parse(list, ret, diag): the value of [imds] allow: paths separated by spaces and
 * commas; NULL is the empty list. BLOCKED paths cannot be in it. */
int metadata_allow_parse(const char *list, struct metadata_allow *ret, struct diag *diag);

/* metadata_name_ok(name, len): can it stand for a '*'? 1..128 of what AWS uses there: letters,
 * digits and + = . , _ : @ -; no dot segment. Such a name needs no escaping in a URL. */
bool metadata_name_ok(const char *name, size_t len);
