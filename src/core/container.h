/* container: the registered containers, by id. No I/O. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "core/container_metadata.h"
#include "core/session_pool.h"
#include "core/token.h"
#include "wire/registration.h"

/* How far a registration has come. */
enum container_phase { CONTAINER_ATTACHING, CONTAINER_ATTACHED, CONTAINER_DETACHING };

struct frontend_door;
struct metrics;
#define CONTAINER_N_RESULTS 9
struct event;

struct container {
	TAILQ_ENTRY(container) link;
	char *id;
	struct registration *registration;
	struct container_metadata *metadata;
	struct session *session;   /* one reference in the pool */
	struct session *successor; /* likewise: takes over once STS has spoken; NULL: none */
	enum container_phase phase;
	bool restored;			       /* from its state file */
	uint8_t instance[TOKEN_INSTANCE_SIZE]; /* random, new for each registration */
	uint8_t token_key[TOKEN_KEY_SIZE];
	char ecs_id[TOKEN_ECS_ID_LEN + 1];
	char eks_token[TOKEN_EKS_BEARER_LEN + 1];
	uint64_t
		netns_cookie; /* never used again while the host is up, as inode numbers are; 0: unknown */
	uint64_t netns_dev, netns_ino; /* 0 until attached; a restored one knows them before */
	uint64_t pid_started; /* of the registration's pid, see util/process.h; 0: no pid */
	int64_t registered_at_s;
	int64_t allowance_ms; /* when what it has asked for will be paid off; see router.c */
	uint64_t requests;    /* answered by the metadata front end */
	uint64_t results[CONTAINER_N_RESULTS]; /* of these, by result: see core/metrics.h */
	uint64_t served_serial;	     /* session->serial of the credentials it got last; 0: none */
	uint64_t served_count;	     /* how often it got those */
	char served_key[132];	     /* their access key id */
	int64_t refused_ms;	     /* when a refused path was last recorded; 0: never */
	uint64_t refused_unrecorded; /* refused since, and not recorded */
	struct metrics *metrics;     /* the registry's */

	/* Opaque here; the rooms above keep them with the container they belong to. */
	struct frontend_door *door; /* listeners and connections; NULL: not served */
	bool netd_asked;	    /* a request about it is under way */
	bool netd_knows;	    /* netd holds its listeners too */
	struct event *exit_event;   /* fires when `pid` exits */
	int pidfd;		    /* -1: none */
};

TAILQ_HEAD(container_list, container);

struct container_registry {
	struct container_list containers; /* in the order of registration */
	struct container_list departing;  /* DETACHING: their ids are free again */
	size_t n_containers;
	void *by_id; /* tsearch(3) tree */
	uint8_t master_key[TOKEN_KEY_SIZE];
	struct metrics *metrics; /* for containers that come; may be NULL */
};

void container_registry_init(struct container_registry *registry,
			     const uint8_t master_key[static TOKEN_KEY_SIZE]);
/* container_registry_deinit(registry, pool): frees every container and wipes the keys. */
void container_registry_deinit(struct container_registry *registry, struct session_pool *pool);

struct container *container_find(const struct container_registry *registry, const char *id);

/* container_find_netns(registry, dev, ino): who is registered with this network namespace. */
struct container *container_find_netns(const struct container_registry *registry, uint64_t dev,
				       uint64_t ino);

/* container_add(registry, pool, id, registration, metadata, instance, now_ms, wall_s, ret): a new
 * container in phase ATTACHING. Takes over `registration` and `metadata` (made from it) on success.
 * `instance` NULL: drawn here. 0, -EEXIST, -ENOMEM or -EIO. */
int container_add(struct container_registry *registry, struct session_pool *pool, const char *id,
		  struct registration *registration, struct container_metadata *metadata,
		  const uint8_t *instance, int64_t now_ms, int64_t wall_s, struct container **ret);

/* container_rescope(c, pool, registration, metadata, now_ms): the policy has changed what the
 * container's session is. Takes over `registration` (of the same body) and `metadata`. If its session would be another, that
 * becomes the successor: the old one, while valid, serves until STS has answered for the new. 0 or
 * -ENOMEM (then nothing has changed). */
int container_rescope(struct container *c, struct session_pool *pool,
		      struct registration *registration, struct container_metadata *metadata,
		      int64_t now_ms);

/* container_succeed(c, now_ms): let the successor take over if STS has given it credentials
 * or refused, or if there are none to serve meanwhile. Returns the session to release with
 * session_pool_release() once nothing points to it, or NULL: nothing has changed. */
struct session *container_succeed(struct container *c, int64_t now_ms);

/* container_retire(registry, pool, c): it is DETACHING from now on: no id, no session, no keys. */
void container_retire(struct container_registry *registry, struct session_pool *pool,
		      struct container *c);

/* container_find_departing(registry, id): the last one retired under this id. */
struct container *container_find_departing(const struct container_registry *registry,
					   const char *id);

/* container_remove(registry, pool, c): forget it: its session reference, keys and memory. */
void container_remove(struct container_registry *registry, struct session_pool *pool,
		      struct container *c);
