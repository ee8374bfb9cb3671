/* image_record: what engines write down of a container's image, where their runtime is not told.
 *
 * Sources: moby, container/container.go (config.v2.json) and reference/store.go (repositories.json);
 * containers/storage, containers.go (containers.json) and images.go (images.json); CRI-O,
 * internal/storage/runtime.go (its metadata).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "util/cleanup.h"
#include "wire/oci_config.h"

/* All may be NULL: unknown. */
struct image_record {
	char *ref;    /* full: registry.example.com/web:1, docker.io/library/busybox:latest */
	char *id;     /* of the image, within the engine */
	char *digest; /* of its manifest, in a registry */
	bool in_pod;  /* it is CRI-O's: annotations io.kubernetes.* are CRI-O's own word */
	struct oci_pair *annotations; /* the image's own, which Podman makes the container's */
	size_t n_annotations;
};

void image_record_deinit(struct image_record *record);
#define _cleanup_image_record_ _cleanup_(image_record_deinit)

/* image_record_docker(text, len, ret): of a container's config.v2.json. image_record_docker_digest()
 * adds the digest, if repositories.json has one of the image in the repository of its reference.
 * 0, -ENOENT if it has no such digest, -EINVAL, -ENOMEM. */
int image_record_docker(const char *text, size_t len, struct image_record *ret);
int image_record_docker_digest(const char *text, size_t len, struct image_record *record);

/* image_record_storage(text, len, container_id, ret): of containers.json;
 * image_record_storage_digest() adds the digest from images.json. As above; -ENOENT, too, if there is
 * no such container. One without image (of a plain root file system) is known all the same. */
int image_record_storage(const char *text, size_t len, const char *container_id,
			 struct image_record *ret);
int image_record_storage_digest(const char *text, size_t len, struct image_record *record);

/* image_record_manifest(text, len, record): add the annotations of an OCI image's manifest. 0, -EINVAL,
 * -ENOMEM. Go's JSON, which engines read it with, takes names in any case: so the strings of every
 * object on the first level are taken for annotations, which only ever takes too many. */
int image_record_manifest(const char *text, size_t len, struct image_record *record);
