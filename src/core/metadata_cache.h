/* metadata_cache: what the host's metadata service has said, for how long that is good, and what it
 * is to be asked next. No I/O: net/upstream does the asking; time is passed in.
 *
 * Any number of clients that need the same path cause one request. Everything is bounded: items,
 * bytes, requests under way. After a failure an item, and after METADATA_OUTAGE requests without a
 * reply the whole service, is left alone for a while: clients then have their answer at once instead
 * of waiting.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "core/metadata_tree.h"

#define METADATA_ITEMS_MAX 512
#define METADATA_BYTES_MAX (1024 * 1024) /* of values, all together */
#define METADATA_OUTAGE 3		 /* fewer may be the fault of a single path */
#define METADATA_VALUE_MAX (64 * 1024)	 /* of one; IMDS's largest is user-data with 16 KiB */

enum metadata_known {
	METADATA_PRESENT,
	METADATA_ABSENT,      /* the host has no such path */
	METADATA_PENDING,     /* being asked for: worth a short wait */
	METADATA_UNAVAILABLE, /* cannot be had at the moment */
};

struct metadata_item {
	TAILQ_ENTRY(metadata_item) link;  /* all items, the least recently used first */
	TAILQ_ENTRY(metadata_item) queue; /* in `urgent` or `prefetch` */
	struct metadata_item *bucket;	  /* the next with the same hash */
	char *path;			  /* "/latest/meta-data/ami-id" */
	enum metadata_life life;
	enum { ITEM_IDLE, ITEM_PREFETCH, ITEM_URGENT, ITEM_FETCHING } state;
	bool known;  /* `value` says what was there at the last answer */
	char *value; /* NULL: nothing was (404) */
	size_t len;
	int64_t modified_s; /* its Last-Modified; 0: unknown */
	int64_t fresh_until_ms;
	int64_t retry_ms; /* not to be asked for before; after failures */
	unsigned failures;
};

#define METADATA_BUCKETS 256

struct metadata_cache {
	TAILQ_HEAD(, metadata_item) items;
	TAILQ_HEAD(metadata_queue, metadata_item) urgent, prefetch; /* to be asked for */
	struct metadata_item *buckets[METADATA_BUCKETS];
	size_t n_items, n_bytes;
	int64_t retry_ms;  /* the service does not answer: not to be asked before */
	unsigned failures; /* requests without a reply since the last reply */
};

void metadata_cache_init(struct metadata_cache *cache);
void metadata_cache_deinit(struct metadata_cache *cache);

/* metadata_cache_look(cache, path, life, now_ms, ret): what is known of this path of the host's,
 * queueing a request for it if one is due. `ret` is the item for PRESENT and PENDING; it lives
 * until the next call that is not const, and while PENDING until its answer. */
enum metadata_known metadata_cache_look(struct metadata_cache *cache, const char *path,
					enum metadata_life life, int64_t now_ms,
					struct metadata_item **ret);

/* metadata_cache_prefetch(cache, path, life): queue a request, behind those that clients need. */
void metadata_cache_prefetch(struct metadata_cache *cache, const char *path,
			     enum metadata_life life);

/* metadata_cache_next(cache): an item to ask for, which is FETCHING now; NULL: none. */
struct metadata_item *metadata_cache_next(struct metadata_cache *cache);

/* How asking ended. */
enum metadata_result {
	METADATA_GOT,	   /* 200 */
	METADATA_NOTHING,  /* 404 */
	METADATA_REFUSED,  /* any other answer */
	METADATA_NO_REPLY, /* no connection, or none in time */
};

/* metadata_cache_finished(cache, item, result, value, len, modified_s, now_ms): copies the value.
 */
void metadata_cache_finished(struct metadata_cache *cache, struct metadata_item *item,
			     enum metadata_result result, const char *value, size_t len,
			     int64_t modified_s, int64_t now_ms);

/* metadata_cache_outage(cache): the service as a whole does not answer. */
bool metadata_cache_outage(const struct metadata_cache *cache);

/* metadata_cache_forget(cache): everything that is not being asked for right now. */
void metadata_cache_forget(struct metadata_cache *cache);
