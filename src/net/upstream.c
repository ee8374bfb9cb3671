#include "net/upstream.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "core/metadata_tree.h"
#include "net/imds_client.h"
#include "util/clock.h"
#include "util/log.h"
#include "wire/metadata_path.h"

#define IN_FLIGHT_MAX 4

/* Of one listing, what is fetched before anybody asks. What the cache holds bounds what it can be:
 * metadata_view.c shows no more, either. */
#define PREFETCH_NAMES_MAX 128

struct request {
	LIST_ENTRY(request) link;
	struct upstream *upstream;
	struct metadata_item *item;
	struct imds_call *call;
};

struct upstream {
	const struct config *config;
	struct imds_client *imds;
	struct metadata_cache cache;
	LIST_HEAD(, request) requests;
	unsigned in_flight;
	bool down; /* that it does not answer has been said */
	upstream_cb *cb;
	void *data;
};

int upstream_new(struct fetch_loop *loop, const struct config *config, struct upstream **ret)
{
	struct upstream *u = calloc(1, sizeof(*u));

	if (!u)
		return -ENOMEM;
	u->config = config;
	LIST_INIT(&u->requests);
	metadata_cache_init(&u->cache);
	int r = imds_client_new(loop, config, &u->imds);
	if (r < 0) {
		free(u);
		return r;
	}
	*ret = u;
	return 0;
}

static void request_free(struct request *request)
{
	LIST_REMOVE(request, link);
	request->upstream->in_flight--;
	imds_call_cancel(request->call);
	free(request);
}

struct upstream *upstream_free(struct upstream *u)
{
	if (!u)
		return NULL;
	while (!LIST_EMPTY(&u->requests))
		request_free(LIST_FIRST(&u->requests));
	metadata_cache_deinit(&u->cache);
	imds_client_free(u->imds);
	free(u);
	return NULL;
}

void upstream_set_callback(struct upstream *u, upstream_cb *cb, void *data)
{
	u->cb = cb;
	u->data = data;
}

struct metadata_cache *upstream_cache(struct upstream *u)
{
	return &u->cache;
}

/* One line when it stops answering, one when it answers again. */
static void tell(struct upstream *u, const char *why)
{
	bool down = metadata_cache_outage(&u->cache);

	if (down && !u->down)
		log_warning(NULL,
			    "the host's metadata at %s does not answer: %s; containers get what "
			    "is cached",
			    u->config->aws.imds_endpoint, why);
	else if (!down && u->down)
		log_info(NULL, "the host's metadata at %s answers again",
			 u->config->aws.imds_endpoint);
	u->down = down;
}

static void prefetch_children(struct upstream *u, const struct metadata_item *item);

static enum metadata_result judge(const struct fetch_reply *reply, const char *path)
{
	if (reply->error == 0 && reply->status == 200)
		return METADATA_GOT;
	if (reply->error == 0 && reply->status == 404)
		return METADATA_NOTHING;
	log_debug(NULL, "the host's metadata has no answer to GET %s: HTTP %d %s", path,
		  reply->status, reply->error_text);
	switch (-reply->error) {
	case 0:
	case EACCES:
	case EFBIG:
	case EIO:
		return METADATA_REFUSED; /* it did answer, if not as it should */
	default:
		return METADATA_NO_REPLY;
	}
}

static void finish(struct upstream *u, struct metadata_item *item, enum metadata_result result,
		   const struct fetch_reply *reply)
{
	int64_t modified_s = 0;

	if (clock_parse_http_date(reply->last_modified, &modified_s) < 0)
		modified_s = 0;
	metadata_cache_finished(&u->cache, item, result, reply->body.data, reply->body.len,
				modified_s, clock_now_ms());
	tell(u, reply->error_text);
	prefetch_children(u, item);
	if (u->cb)
		u->cb(item, u->data);
	upstream_run(u);
}

static void on_reply(const struct fetch_reply *reply, void *data)
{
	struct request *request = data;
	struct upstream *u = request->upstream;
	struct metadata_item *item = request->item;

	request->call = NULL; /* gone after this */
	request_free(request);
	finish(u, item, judge(reply, item->path), reply);
}

static int start(struct upstream *u, struct metadata_item *item)
{
	struct request *request = calloc(1, sizeof(*request));

	if (!request)
		return -ENOMEM;
	request->upstream = u;
	request->item = item;
	LIST_INSERT_HEAD(&u->requests, request, link);
	u->in_flight++;
	int r = imds_get(u->imds, item->path, METADATA_VALUE_MAX, on_reply, request,
			 &request->call);
	if (r < 0)
		request_free(request);
	return r;
}

void upstream_run(struct upstream *u)
{
	struct metadata_item *item;

	while (u->in_flight < IN_FLIGHT_MAX && (item = metadata_cache_next(&u->cache)))
		if (start(u, item) < 0)
			/* Out of memory. Whoever waits for it finds out when his time is up. */
			metadata_cache_finished(&u->cache, item, METADATA_REFUSED, NULL, 0, 0,
						clock_now_ms());
}

/* The directory's path upstream, with a slash at its end. */
static bool print_directory(const struct metadata_node *node, char out[METADATA_PATH_MAX])
{
	const struct metadata_node *chain[8];
	size_t depth = 0;

	for (; node->parent; node = node->parent) {
		if (depth == 8 || metadata_node_variable(node))
			return false;
		chain[depth++] = node;
	}
	int n = snprintf(out, METADATA_PATH_MAX, "/latest/");
	while (depth-- > 0)
		n += snprintf(out + n, METADATA_PATH_MAX - (size_t)n, "%.*s/",
			      (int)chain[depth]->len, chain[depth]->name);
	return true;
}

static void prefetch_below(struct upstream *u, const struct metadata_node *node)
{
	char path[METADATA_PATH_MAX];

	for (const struct metadata_node *n = node->children; n; n = n->next) {
		prefetch_below(u, n);
		if (metadata_node_class(n) != METADATA_CACHED)
			continue;
		if (!metadata_node_variable(n))
			snprintf(path, sizeof(path), "/latest/%s", n->entry->path);
		else if (!print_directory(n->parent, path))
			continue;
		metadata_cache_prefetch(&u->cache, path, n->entry->life);
	}
}

/* The directory whose names all stand for values that are fetched, or NULL. */
static const struct metadata_node *find_listed(const struct metadata_item *item)
{
	static const char version[] = "/latest/";
	size_t len = strlen(item->path);
	char path[METADATA_PATH_MAX];
	const char *rest;

	if (!item->value || item->path[len - 1] != '/' || len >= sizeof(path))
		return NULL;
	snprintf(path, sizeof(path), "%.*s", (int)(len - sizeof(version)),
		 item->path + sizeof(version) - 1);
	const struct metadata_node *node = metadata_tree_find(path, &rest);
	if (!node || !node->children || !metadata_node_variable(node->children) ||
	    metadata_node_class(node->children) != METADATA_CACHED)
		return NULL;
	return node->children;
}

/* The listing of such a directory has come: what it lists. */
static void prefetch_children(struct upstream *u, const struct metadata_item *item)
{
	_cleanup_buf_ struct buf listing = {0};
	char path[METADATA_PATH_MAX];
	size_t dir_len = strlen(item->path);
	const struct metadata_node *child = find_listed(item);

	if (!child)
		return;
	/* Copies: a new item may take the place of this one. */
	snprintf(path, sizeof(path), "%s", item->path);
	buf_put(&listing, item->value, item->len);
	const char *line = buf_ok(&listing) ? listing.data : "";
	for (size_t i = 0; *line && i < PREFETCH_NAMES_MAX; i++) {
		size_t n = strcspn(line, "\n");
		if (metadata_name_ok(line, n) && dir_len + n < sizeof(path)) {
			snprintf(path + dir_len, sizeof(path) - dir_len, "%.*s", (int)n, line);
			metadata_cache_prefetch(&u->cache, path, child->entry->life);
		}
		line += n + (line[n] == '\n');
	}
}

void upstream_prefetch(struct upstream *u)
{
	prefetch_below(u, metadata_tree_root());
	upstream_run(u);
}
