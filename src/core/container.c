#include "core/container.h"

#include <errno.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

static int compare_ids(const void *a, const void *b)
{
	return strcmp(((const struct container *)a)->id, ((const struct container *)b)->id);
}

void container_registry_init(struct container_registry *registry,
			     const uint8_t master_key[static TOKEN_KEY_SIZE])
{
	*registry = (struct container_registry){0};
	TAILQ_INIT(&registry->containers);
	TAILQ_INIT(&registry->departing);
	memcpy(registry->master_key, master_key, TOKEN_KEY_SIZE);
}

void container_registry_deinit(struct container_registry *registry, struct session_pool *pool)
{
	struct container *c;

	while ((c = TAILQ_FIRST(&registry->containers)))
		container_remove(registry, pool, c);
	while ((c = TAILQ_FIRST(&registry->departing)))
		container_remove(registry, pool, c);
	explicit_bzero(registry->master_key, sizeof(registry->master_key));
}

struct container *container_find(const struct container_registry *registry, const char *id)
{
	struct container key = {.id = (char *)id};
	struct container *const *found = tfind(&key, &registry->by_id, compare_ids);

	return found ? *found : NULL;
}

struct container *container_find_netns(const struct container_registry *registry, uint64_t dev,
				       uint64_t ino)
{
	struct container *c;

	TAILQ_FOREACH (c, &registry->containers, link)
		if (c->netns_ino == ino && c->netns_dev == dev && ino != 0)
			return c;
	return NULL;
}

static void container_free(struct container *c, struct session_pool *pool)
{
	if (c->session)
		session_pool_release(pool, c->session);
	if (c->successor)
		session_pool_release(pool, c->successor);
	registration_free(c->registration);
	container_metadata_free(c->metadata);
	free(c->id);
	explicit_bzero(c, sizeof(*c));
	free(c);
}

static struct session *acquire(struct session_pool *pool, const struct registration *registration,
			       int64_t now_ms)
{
	_cleanup_buf_ struct buf request = {0};

	sts_print_assume_role(&registration->role, &request);
	if (!buf_ok(&request))
		return NULL;
	return session_pool_acquire(pool, request.data, registration->role.role_arn, now_ms);
}

/* The parts of a new container that can fail. */
static int fill(struct container *c, const struct container_registry *registry,
		struct session_pool *pool, const uint8_t *instance, int64_t now_ms)
{
	if (instance)
		memcpy(c->instance, instance, TOKEN_INSTANCE_SIZE);
	else if (getrandom(c->instance, TOKEN_INSTANCE_SIZE, 0) != TOKEN_INSTANCE_SIZE)
		return -EIO;
	int r = token_container_key(registry->master_key, c->id, c->instance, c->token_key);
	if (r == 0)
		r = token_container_secrets(c->token_key, c->ecs_id, c->eks_token);
	if (r < 0)
		return r;

	c->session = acquire(pool, c->registration, now_ms);
	return c->session ? 0 : -ENOMEM;
}

int container_add(struct container_registry *registry, struct session_pool *pool, const char *id,
		  struct registration *registration, struct container_metadata *metadata,
		  const uint8_t *instance, int64_t now_ms, int64_t wall_s, struct container **ret)
{
	if (container_find(registry, id))
		return -EEXIST;
	struct container *c = calloc(1, sizeof(*c));
	if (!c)
		return -ENOMEM;
	c->id = strdup(id);
	c->registration = registration;
	c->metadata = metadata;
	c->registered_at_s = wall_s;
	c->metrics = registry->metrics;
	c->pidfd = -1;
	int r = c->id ? fill(c, registry, pool, instance, now_ms) : -ENOMEM;
	if (r == 0 && !tsearch(c, &registry->by_id, compare_ids))
		r = -ENOMEM;
	if (r < 0) {
		c->registration = NULL; /* still the caller's */
		c->metadata = NULL;
		container_free(c, pool);
		return r;
	}
	TAILQ_INSERT_TAIL(&registry->containers, c, link);
	registry->n_containers++;
	*ret = c;
	return 0;
}

void container_remove(struct container_registry *registry, struct session_pool *pool,
		      struct container *c)
{
	if (c->phase == CONTAINER_DETACHING) {
		TAILQ_REMOVE(&registry->departing, c, link);
	} else {
		tdelete(c, &registry->by_id, compare_ids);
		TAILQ_REMOVE(&registry->containers, c, link);
		registry->n_containers--;
	}
	container_free(c, pool);
}

int container_rescope(struct container *c, struct session_pool *pool,
		      struct registration *registration, struct container_metadata *metadata,
		      int64_t now_ms)
{
	struct session *next = acquire(pool, registration, now_ms);

	if (!next)
		return -ENOMEM;
	registration_free(c->registration);
	container_metadata_free(c->metadata);
	c->registration = registration;
	c->metadata = metadata;
	if (c->successor)
		session_pool_release(pool, c->successor);
	c->successor = NULL;
	if (next == c->session)
		session_pool_release(pool, next);
	else
		c->successor = next;
	return 0;
}

struct session *container_succeed(struct container *c, int64_t now_ms)
{
	struct session *old = c->session;

	if (!c->successor)
		return NULL;
	if (session_valid(old, now_ms) && !session_valid(c->successor, now_ms) &&
	    session_state(c->successor, now_ms) != SESSION_DENIED)
		return NULL;
	c->session = c->successor;
	c->successor = NULL;
	return old;
}

void container_retire(struct container_registry *registry, struct session_pool *pool,
		      struct container *c)
{
	tdelete(c, &registry->by_id, compare_ids);
	TAILQ_REMOVE(&registry->containers, c, link);
	registry->n_containers--;
	TAILQ_INSERT_TAIL(&registry->departing, c, link);
	c->phase = CONTAINER_DETACHING;
	session_pool_release(pool, c->session);
	c->session = NULL;
	if (c->successor)
		session_pool_release(pool, c->successor);
	c->successor = NULL;
	explicit_bzero(c->token_key, sizeof(c->token_key));
	explicit_bzero(c->ecs_id, sizeof(c->ecs_id));
	explicit_bzero(c->eks_token, sizeof(c->eks_token));
}

struct container *container_find_departing(const struct container_registry *registry,
					   const char *id)
{
	struct container *c;

	TAILQ_FOREACH_REVERSE(c, &registry->departing, container_list, link)
	if (strcmp(c->id, id) == 0)
		return c;
	return NULL;
}
