/* role_map: the daemon's role map (GET /v1/containers), JSON to struct, as far as a table shows it.
 *
 * Only an entry's id must be there: a table with a gap helps more than an error does when daemon
 * and client differ by a version.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/cleanup.h"
#include "util/diag.h"

struct role_map_entry {
	char *id;
	char *state; /* the texts below are NULL when unknown */
	char *role_arn;
	char *image; /* its reference, or its digest if that is all there is */
	char *last_error;
	int64_t expiration_s; /* seconds since the epoch; 0: no credentials */
	int64_t requests;     /* -1: unknown */
	uint64_t netns_inode; /* 0: unknown (it is being registered) */
	char *netns;	      /* a path; NULL: unknown */
	int64_t pid;	      /* 0: none, or unknown */
	bool bridged;	      /* intercepted in bridge mode */
};

struct role_map {
	struct role_map_entry *entries;
	size_t n_entries;
};

/* role_map_parse(text, len, ret, diag): `{"containers":[…]}`, a bare list, or one bare entry.
 * 0, -EBADMSG or -ENOMEM. */
int role_map_parse(const char *text, size_t len, struct role_map **ret, struct diag *diag);
struct role_map *role_map_free(struct role_map *map);
DEFINE_CLEANUP(struct role_map *, role_map_free)
#define _cleanup_role_map_ _cleanup_(role_map_freep)
