#include "rolegate-netd/attachment.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/fd.h"

static void attachment_free(struct attachment *attachment)
{
	for (size_t i = 0; i < attachment->n_listeners; i++)
		fd_close(attachment->listeners[i]);
	free(attachment);
}

void attachments_deinit(struct attachments *all)
{
	for (size_t i = 0; i < all->n_slots; i++)
		if (all->slots[i])
			attachment_free(all->slots[i]);
	free(all->slots);
	*all = (struct attachments){0};
}

static int grow(struct attachments *all)
{
	size_t n = all->n_slots ? all->n_slots * 2 : 16;
	struct attachment **slots = reallocarray(all->slots, n, sizeof(*slots));

	if (!slots)
		return -ENOMEM;
	memset(slots + all->n_slots, 0, (n - all->n_slots) * sizeof(*slots));
	all->slots = slots;
	all->n_slots = n;
	return 0;
}

struct attachment *attachments_add(struct attachments *all, const char *id,
				   const struct netns_id *netns)
{
	size_t slot = 0;

	if (all->n >= ATTACHMENTS_MAX)
		return NULL;
	while (slot < all->n_slots && all->slots[slot])
		slot++;
	if (slot == all->n_slots && grow(all) < 0)
		return NULL;
	struct attachment *attachment = calloc(1, sizeof(*attachment));
	if (!attachment)
		return NULL;
	snprintf(attachment->id, sizeof(attachment->id), "%s", id);
	attachment->netns = *netns;
	all->slots[slot] = attachment;
	all->n++;
	return attachment;
}

void attachments_remove(struct attachments *all, struct attachment *attachment)
{
	for (size_t i = 0; i < all->n_slots; i++) {
		if (all->slots[i] != attachment)
			continue;
		all->slots[i] = NULL;
		all->n--;
		attachment_free(attachment);
		return;
	}
}

struct attachment *attachments_next(const struct attachments *all, size_t *slot)
{
	while (*slot < all->n_slots) {
		struct attachment *attachment = all->slots[(*slot)++];
		if (attachment)
			return attachment;
	}
	return NULL;
}

struct attachment *attachments_find(const struct attachments *all, const char *id)
{
	struct attachment *attachment;

	for (size_t slot = 0; (attachment = attachments_next(all, &slot));)
		if (strcmp(attachment->id, id) == 0)
			return attachment;
	return NULL;
}

struct attachment *attachments_find_netns(const struct attachments *all,
					  const struct netns_id *netns)
{
	struct attachment *attachment;

	for (size_t slot = 0; (attachment = attachments_next(all, &slot));)
		if (netns_id_equal(&attachment->netns, netns))
			return attachment;
	return NULL;
}
