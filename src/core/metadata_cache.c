#include "core/metadata_cache.h"

#include <stdlib.h>
#include <string.h>

#define S 1000
#define MIN (60 * S)

/* How long an answer counts as new, and whether an old one is better than none. While a new one is
 * fetched, or cannot be had, an old one is served if `stale` says so. */
static const struct {
	int64_t present_ms, absent_ms;
	bool stale;
} lives[] = {
	[METADATA_FIXED] = {60 * MIN, 5 * MIN, true},
	[METADATA_SLOW] = {1 * MIN, 1 * MIN, true},
	/* A little more than nothing: many containers that poll are one request. */
	[METADATA_LIVE] = {2 * S, 2 * S, false},
};

#define RETRY_MIN_MS (1 * S)
#define RETRY_MAX_MS (30 * S)

void metadata_cache_init(struct metadata_cache *cache)
{
	*cache = (struct metadata_cache){0};
	TAILQ_INIT(&cache->items);
	TAILQ_INIT(&cache->urgent);
	TAILQ_INIT(&cache->prefetch);
}

static unsigned hash(const char *path)
{
	uint32_t h = 2166136261u; /* FNV-1a; the paths are our own table's and the host's */

	for (; *path; path++)
		h = (h ^ (unsigned char)*path) * 16777619u;
	return h % METADATA_BUCKETS;
}

static void drop_value(struct metadata_cache *cache, struct metadata_item *item)
{
	if (item->value) {
		explicit_bzero(item->value, item->len); /* may be user-data */
		cache->n_bytes -= item->len;
	}
	free(item->value);
	item->value = NULL;
	item->len = 0;
}

static void unqueue(struct metadata_cache *cache, struct metadata_item *item)
{
	if (item->state == ITEM_URGENT)
		TAILQ_REMOVE(&cache->urgent, item, queue);
	else if (item->state == ITEM_PREFETCH)
		TAILQ_REMOVE(&cache->prefetch, item, queue);
	item->state = ITEM_IDLE;
}

static void item_free(struct metadata_cache *cache, struct metadata_item *item)
{
	struct metadata_item **at = &cache->buckets[hash(item->path)];

	while (*at != item)
		at = &(*at)->bucket;
	*at = item->bucket;
	TAILQ_REMOVE(&cache->items, item, link);
	unqueue(cache, item);
	cache->n_items--;
	drop_value(cache, item);
	free(item->path);
	free(item);
}

void metadata_cache_deinit(struct metadata_cache *cache)
{
	while (!TAILQ_EMPTY(&cache->items))
		item_free(cache, TAILQ_FIRST(&cache->items));
}

void metadata_cache_forget(struct metadata_cache *cache)
{
	struct metadata_item *item, *next;

	for (item = TAILQ_FIRST(&cache->items); item; item = next) {
		next = TAILQ_NEXT(item, link);
		if (item->state == ITEM_IDLE)
			item_free(cache, item);
	}
	cache->retry_ms = 0;
	cache->failures = 0;
}

/* Make room: false if everything is in use. */
static bool evict_one(struct metadata_cache *cache, const struct metadata_item *keep)
{
	struct metadata_item *item;

	TAILQ_FOREACH (item, &cache->items, link) {
		if (item->state != ITEM_IDLE || item == keep)
			continue;
		item_free(cache, item);
		return true;
	}
	return false;
}

static struct metadata_item *find(const struct metadata_cache *cache, const char *path)
{
	struct metadata_item *item = cache->buckets[hash(path)];

	while (item && strcmp(item->path, path) != 0)
		item = item->bucket;
	return item;
}

static struct metadata_item *add(struct metadata_cache *cache, const char *path,
				 enum metadata_life life)
{
	if (cache->n_items >= METADATA_ITEMS_MAX && !evict_one(cache, NULL))
		return NULL;
	struct metadata_item *item = calloc(1, sizeof(*item));
	if (!item)
		return NULL;
	item->path = strdup(path);
	item->life = life;
	if (!item->path) {
		free(item);
		return NULL;
	}
	unsigned h = hash(path);
	item->bucket = cache->buckets[h];
	cache->buckets[h] = item;
	TAILQ_INSERT_TAIL(&cache->items, item, link);
	cache->n_items++;
	return item;
}

/* Have it asked for, unless that is under way or was in vain a moment ago. */
static bool demand(struct metadata_cache *cache, struct metadata_item *item, int64_t now_ms)
{
	if (item->state == ITEM_FETCHING || item->state == ITEM_URGENT)
		return true;
	if (now_ms < item->retry_ms || now_ms < cache->retry_ms)
		return false;
	unqueue(cache, item); /* a prefetch becomes urgent */
	item->state = ITEM_URGENT;
	TAILQ_INSERT_TAIL(&cache->urgent, item, queue);
	return true;
}

enum metadata_known metadata_cache_look(struct metadata_cache *cache, const char *path,
					enum metadata_life life, int64_t now_ms,
					struct metadata_item **ret)
{
	struct metadata_item *item = find(cache, path);

	if (!item)
		item = add(cache, path, life);
	*ret = item;
	if (!item)
		return METADATA_UNAVAILABLE;
	if (TAILQ_NEXT(item, link)) {
		TAILQ_REMOVE(&cache->items, item, link);
		TAILQ_INSERT_TAIL(&cache->items, item, link);
	}
	if (!item->known || now_ms >= item->fresh_until_ms) {
		bool coming = demand(cache, item, now_ms);
		if (!item->known || !lives[item->life].stale)
			return coming ? METADATA_PENDING : METADATA_UNAVAILABLE;
	}
	return item->value ? METADATA_PRESENT : METADATA_ABSENT;
}

void metadata_cache_prefetch(struct metadata_cache *cache, const char *path,
			     enum metadata_life life)
{
	struct metadata_item *item = find(cache, path);

	if (!item)
		item = add(cache, path, life);
	if (!item || item->state != ITEM_IDLE || item->known)
		return;
	item->state = ITEM_PREFETCH;
	TAILQ_INSERT_TAIL(&cache->prefetch, item, queue);
}

struct metadata_item *metadata_cache_next(struct metadata_cache *cache)
{
	struct metadata_item *item = TAILQ_FIRST(&cache->urgent);

	if (!item)
		item = TAILQ_FIRST(&cache->prefetch);
	if (item) {
		unqueue(cache, item);
		item->state = ITEM_FETCHING;
	}
	return item;
}

/* The service is down: what else was to be asked for would only wait for that, too. */
static void empty_queue(struct metadata_cache *cache)
{
	struct metadata_item *item;

	while ((item = TAILQ_FIRST(&cache->urgent)) || (item = TAILQ_FIRST(&cache->prefetch)))
		unqueue(cache, item);
}

bool metadata_cache_outage(const struct metadata_cache *cache)
{
	return cache->failures >= METADATA_OUTAGE;
}

static int64_t retry_at(unsigned failures, int64_t now_ms)
{
	int64_t wait_ms = RETRY_MIN_MS;

	for (unsigned i = 1; i < failures && wait_ms < RETRY_MAX_MS; i++)
		wait_ms *= 2;
	return now_ms + (wait_ms < RETRY_MAX_MS ? wait_ms : RETRY_MAX_MS);
}

/* 0, or -1: no room or no memory. */
static int set_value(struct metadata_cache *cache, struct metadata_item *item, const char *value,
		     size_t len)
{
	if (len > METADATA_VALUE_MAX)
		return -1;
	while (cache->n_bytes - item->len + len > METADATA_BYTES_MAX)
		if (!evict_one(cache, item))
			return -1;
	char *copy = malloc(len + 1);
	if (!copy)
		return -1;
	memcpy(copy, value, len);
	copy[len] = '\0';
	drop_value(cache, item);
	item->value = copy;
	item->len = len;
	cache->n_bytes += len;
	return 0;
}

void metadata_cache_finished(struct metadata_cache *cache, struct metadata_item *item,
			     enum metadata_result result, const char *value, size_t len,
			     int64_t modified_s, int64_t now_ms)
{
	item->state = ITEM_IDLE;
	if (result != METADATA_NO_REPLY)
		cache->retry_ms = cache->failures = 0;
	else if (++cache->failures >= METADATA_OUTAGE) {
		cache->retry_ms = retry_at(cache->failures - METADATA_OUTAGE + 1, now_ms);
		empty_queue(cache);
	}
	if (result == METADATA_GOT && set_value(cache, item, value, len) < 0)
		result = METADATA_REFUSED;
	if (result == METADATA_NOTHING)
		drop_value(cache, item);
	if (result == METADATA_GOT || result == METADATA_NOTHING) {
		item->known = true;
		item->failures = 0;
		item->retry_ms = 0;
		item->modified_s = modified_s;
		item->fresh_until_ms = now_ms + (item->value ? lives[item->life].present_ms
							     : lives[item->life].absent_ms);
		return;
	}
	item->retry_ms = retry_at(++item->failures, now_ms);
}
