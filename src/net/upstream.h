/* upstream: asks the host's own metadata service for what core/metadata_cache wants to know, with
 * IMDSv2 tokens of rolegated's own. A few requests at a time: STS calls share the loop, and IMDS
 * counts packets.
 */
#pragma once

#include "core/metadata_cache.h"
#include "net/fetch.h"
#include "wire/config.h"

struct upstream;

/* An item has its answer, or will get none: whoever waits for it may look again. */
typedef void upstream_cb(struct metadata_item *item, void *data);

/* `loop` and `config` must outlive it. */
int upstream_new(struct fetch_loop *loop, const struct config *config, struct upstream **ret);
struct upstream *upstream_free(struct upstream *u);

/* upstream_set_callback(u, cb, data): never runs inside a call of this header. NULL: none. */
void upstream_set_callback(struct upstream *u, upstream_cb *cb, void *data);

struct metadata_cache *upstream_cache(struct upstream *u);

/* upstream_run(u): start what the cache has queued. Cheap when that is nothing. */
void upstream_run(struct upstream *u);

/* upstream_prefetch(u): what every container may see, in the background, so that no one need wait
 * for it later. */
void upstream_prefetch(struct upstream *u);
