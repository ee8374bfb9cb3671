/* attachment: the containers whose netns netd has opened, and their listeners.
 *
 * An attachment keeps its slot for life, so that a listing can go on where it stopped. Look-ups
 * walk the table: a thousand comparisons are nothing beside one run of iptables.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "privileged/netns.h"
#include "privileged/veth.h"
#include "wire/netd_message.h"

#define ATTACHMENTS_MAX 8192

struct attachment {
	char id[CONTAINER_ID_SIZE];
	struct netns_id netns;
	enum netd_mode mode;
	uint32_t mark;			   /* bridge mode; else 0 */
	uint32_t link;			   /* bridge mode: the first veth when it was attached */
	struct veth_paths paths;	   /* bridge mode */
	int listeners[NETD_LISTENERS_MAX]; /* owned; none in bridge mode, see bridge.h */
	size_t n_listeners;
	uint16_t port;
	/* A path that led to the netns when last tried: it says cheaply that the netns lives. "" if
	 * none is known. */
	char witness[NETD_PATH_SIZE];
};

struct attachments {
	struct attachment **slots; /* NULL where free */
	size_t n_slots, n;
};

void attachments_deinit(struct attachments *all);

/* attachments_add(all, id, netns): a new one without listeners. NULL if out of memory or full. */
struct attachment *attachments_add(struct attachments *all, const char *id,
				   const struct netns_id *netns);

/* attachments_remove(all, attachment): closes its listeners, frees it. */
void attachments_remove(struct attachments *all, struct attachment *attachment);

struct attachment *attachments_find(const struct attachments *all, const char *id);
struct attachment *attachments_find_netns(const struct attachments *all,
					  const struct netns_id *netns);

/* attachments_next(all, slot): the first one in *slot or later; *slot becomes the slot after it.
 * NULL at the end. Begin with *slot = 0. */
struct attachment *attachments_next(const struct attachments *all, size_t *slot);
