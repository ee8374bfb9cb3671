/* image_record: what engines write down of a container's image, where their runtime is not told.
 *
 * Sources: moby, container/container.go (config.v2.json) and reference/store.go (repositories.json);
 * containers/storage, containers.go (containers.json) and images.go (images.json).
 */
#pragma once

#include <stddef.h>

#include "util/cleanup.h"

/* All may be NULL: unknown. */
struct image_record {
	char *ref;    /* full: registry.example.com/web:1, docker.io/library/busybox:latest */
	char *id;     /* of the image, within the engine */
	char *digest; /* of its manifest, in a registry */
};

void image_record_deinit(struct image_record *record);
#define _cleanup_image_record_ _cleanup_(image_record_deinit)

/* image_record_docker(text, len, ret): of a container's config.v2.json. image_record_docker_digest()
 * adds the digest, if repositories.json has one of the image in the repository of its reference.
 * 0, -ENOENT if it says nothing of an image, -EINVAL, -ENOMEM. */
int image_record_docker(const char *text, size_t len, struct image_record *ret);
int image_record_docker_digest(const char *text, size_t len, struct image_record *record);

/* image_record_storage(text, len, container_id, ret): of containers.json;
 * image_record_storage_digest() adds the digest from images.json. As above. */
int image_record_storage(const char *text, size_t len, const char *container_id,
			 struct image_record *ret);
int image_record_storage_digest(const char *text, size_t len, struct image_record *record);
