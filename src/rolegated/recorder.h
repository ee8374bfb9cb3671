/* recorder: what happened, to those who must hear of it: followers of GET /v1/events and the audit.
 *
 * Credentials handed out are audited once for each container and access key, and once more with
 * their count when the container gets others or goes; refused paths at most once a second for each
 * container, with the count of those in between: a workload must not fill the disk.
 */
#pragma once

#include "core/container.h"
#include "core/metrics.h"
#include "net/issuer.h"
#include "rolegated/audit.h"
#include "rolegated/events.h"
#include "wire/record.h"

struct recorder {
	struct container_registry *registry;
	struct audit audit;
	struct events events;
	struct metrics metrics;
};

/* recorder_init(r, registry): the registry's containers are counted by it from now on. Without an
 * audit; see audit_open(). */
void recorder_init(struct recorder *r, struct container_registry *registry);
void recorder_deinit(struct recorder *r);

void recorder_publish(struct recorder *r, const struct record *record);

/* recorder_container(r, type, c, message): about a container. `message` may be NULL. */
void recorder_container(struct recorder *r, enum record_type type, const struct container *c,
			const char *message);

/* recorder_session(r, s, before): an attempt of a session has finished. */
void recorder_session(struct recorder *r, const struct session *s,
		      const struct issuer_before *before);

/* recorder_departed(r, c): sum up what it was served. */
void recorder_departed(struct recorder *r, struct container *c);
