/* metadata_view: the metadata service as one container may see it: its own values, what is harmless
 * of the host's, what was opened for it, as far as the host really has it. No I/O.
 *
 * What the host is asked for is put together from the table's names and, for a '*', from the name
 * that the host itself has listed: no byte that a client sent goes upstream.
 */
#pragma once

#include "core/container_metadata.h"
#include "core/metadata_cache.h"
#include "core/metadata_tree.h"
#include "util/buf.h"

enum metadata_answer {
	METADATA_FOUND,
	METADATA_NOT_FOUND,
	METADATA_WAIT,	 /* view->wait is being asked for; look again when it has been answered */
	METADATA_FAILED, /* the host's metadata cannot be had now */
};

struct metadata_view {
	const struct container_metadata *own;
	const struct metadata_allow *host_allow; /* opened for every container */
	struct metadata_cache *cache;
	int64_t now_ms;
	bool final;		    /* no more waiting: METADATA_FAILED instead */
	struct metadata_item *wait; /* set with METADATA_WAIT */
};

struct metadata_text {
	const char *text; /* lives until the next call on the view */
	size_t len;
	int64_t modified_s; /* 0: unknown */
};

/* metadata_view_get(view, node, path, ret): what the path, whose node this is, answers. For nodes
 * that are neither directories nor OWN. */
enum metadata_answer metadata_view_get(struct metadata_view *view, const struct metadata_node *node,
				       const char *path, struct metadata_text *ret);

/* metadata_view_look(view, path, ret): the same by path alone; NOT_FOUND for directories. */
enum metadata_answer metadata_view_look(struct metadata_view *view, const char *path,
					struct metadata_text *ret);

/* metadata_view_list(view, node, path, out): append a directory's listing as EC2 prints it: sorted,
 * one a line, a slash after directories (but not at the version's own level), no final LF. It holds
 * exactly what can be read at this moment. NOT_FOUND when it would be empty. */
enum metadata_answer metadata_view_list(struct metadata_view *view,
					const struct metadata_node *node, const char *path,
					struct buf *out);
