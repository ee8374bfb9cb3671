#include "wire/image_record.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#define DIGEST_PREFIX "sha256:"

void image_record_deinit(struct image_record *record)
{
	free(record->ref);
	free(record->id);
	free(record->digest);
	for (size_t i = 0; i < record->n_annotations; i++) {
		free(record->annotations[i].key);
		free(record->annotations[i].value);
	}
	free(record->annotations);
	*record = (struct image_record){0};
}

static int load(const char *text, size_t len, json_t **ret)
{
	json_error_t error;

	*ret = json_loadb(text, len, JSON_DECODE_INT_AS_REAL, &error);
	if (*ret)
		return 0;
	return json_error_code(&error) == json_error_out_of_memory ? -ENOMEM : -EINVAL;
}

static const char *text_at(json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text && text[0] ? text : NULL;
}

/* Does the reference name its registry? As docker does: by a dot or a colon in its first part. */
static bool has_registry(const char *ref)
{
	size_t len = strcspn(ref, "/");

	return ref[len] == '/' &&
	       (memchr(ref, '.', len) || memchr(ref, ':', len) ||
		(len == strlen("localhost") && strncmp(ref, "localhost", len) == 0));
}

/* What docker's short names stand for. The policy and everyone else write them in full. */
static int complete_ref(const char *ref, char **ret)
{
	const char *last = strrchr(ref, '/');
	bool has_tag = strchr(last ? last : ref, ':') || strchr(ref, '@');
	const char *registry = has_registry(ref)  ? ""
			       : strchr(ref, '/') ? "docker.io/"
						  : "docker.io/library/";

	if (asprintf(ret, "%s%s%s", registry, ref, has_tag ? "" : ":latest") < 0) {
		*ret = NULL;
		return -ENOMEM;
	}
	return 0;
}

static int take_digest_of_ref(struct image_record *record)
{
	const char *at = record->ref ? strrchr(record->ref, '@') : NULL;

	if (!at || record->digest)
		return 0;
	record->digest = strdup(at + 1);
	return record->digest ? 0 : -ENOMEM;
}

int image_record_docker(const char *text, size_t len, struct image_record *ret)
{
	struct image_record record = {0};
	json_auto_t *root = NULL;

	int r = load(text, len, &root);
	if (r < 0)
		return r;
	const char *ref = text_at(json_object_get(root, "Config"), "Image");
	const char *id = text_at(root, "Image");
	if (!id)
		return -EINVAL;
	record.id = strdup(id);
	r = record.id ? 0 : -ENOMEM;
	/* By its id it may be run, too: that is no reference. */
	if (r == 0 && ref && strncmp(ref, DIGEST_PREFIX, strlen(DIGEST_PREFIX)) != 0)
		r = complete_ref(ref, &record.ref);
	if (r == 0)
		r = take_digest_of_ref(&record);
	if (r < 0)
		image_record_deinit(&record);
	else
		*ret = record;
	return r;
}

/* Without tag and digest: how many bytes of it. */
static size_t repository_len(const char *ref)
{
	const char *at = strchr(ref, '@');
	size_t len = at ? (size_t)(at - ref) : strlen(ref);

	for (size_t i = len; i > 0 && ref[i - 1] != '/'; i--)
		if (ref[i - 1] == ':')
			return i - 1;
	return len;
}

/* Is `name`, as docker writes it (maybe short), the repository of `ref`, which is full? */
static bool is_repository_of(const char *name, const char *ref)
{
	char *full = NULL;

	if (complete_ref(name, &full) < 0)
		return false;
	size_t len = repository_len(full);
	bool same = len == repository_len(ref) && strncmp(full, ref, len) == 0;
	free(full);
	return same;
}

int image_record_docker_digest(const char *text, size_t len, struct image_record *record)
{
	json_auto_t *root = NULL;
	const char *name, *ref;
	json_t *repository, *id;

	if (!record->ref || record->digest)
		return 0;
	int r = load(text, len, &root);
	if (r < 0)
		return r;
	json_object_foreach (json_object_get(root, "Repositories"), name, repository) {
		if (!is_repository_of(name, record->ref))
			continue;
		json_object_foreach (repository, ref, id) {
			const char *at = strrchr(ref, '@');
			const char *value = json_string_value(id);
			if (!at || !value || strcmp(value, record->id) != 0)
				continue;
			record->digest = strdup(at + 1);
			return record->digest ? 0 : -ENOMEM;
		}
	}
	return -ENOENT;
}

static json_t *find_id(json_t *list, const char *id)
{
	json_t *item;
	size_t i;

	json_array_foreach (list, i, item) {
		const char *text = text_at(item, "id");
		if (text && strcmp(text, id) == 0)
			return item;
	}
	return NULL;
}

int image_record_storage(const char *text, size_t len, const char *container_id,
			 struct image_record *ret)
{
	struct image_record record = {0};
	json_auto_t *root = NULL, *metadata = NULL;

	int r = load(text, len, &root);
	if (r < 0)
		return r;
	json_t *container = find_id(root, container_id);
	const char *id = text_at(container, "image");
	const char *inner = text_at(container, "metadata");
	if (!container)
		return -ENOENT;
	/* JSON within JSON, of the program that made the container. */
	if (inner)
		r = load(inner, strlen(inner), &metadata);
	const char *ref = text_at(metadata, "image-name");
	if (r != -ENOMEM) {
		record.in_pod = text_at(metadata, "pod-id");
		record.id = id ? strdup(id) : NULL;
		record.ref = ref ? strdup(ref) : NULL;
		r = (id && !record.id) || (ref && !record.ref) ? -ENOMEM
							       : take_digest_of_ref(&record);
	}
	if (r < 0)
		image_record_deinit(&record);
	else
		*ret = record;
	return r;
}

int image_record_storage_digest(const char *text, size_t len, struct image_record *record)
{
	json_auto_t *root = NULL;

	if (record->digest || !record->id)
		return 0;
	int r = load(text, len, &root);
	if (r < 0)
		return r;
	const char *digest = text_at(find_id(root, record->id), "digest");
	if (!digest)
		return -ENOENT;
	record->digest = strdup(digest);
	return record->digest ? 0 : -ENOMEM;
}

static int add_annotations(json_t *object, struct image_record *record)
{
	const char *key;
	json_t *value;

	struct oci_pair *grown = reallocarray(record->annotations,
					      record->n_annotations + json_object_size(object) + 1,
					      sizeof(struct oci_pair));
	if (!grown)
		return -ENOMEM;
	record->annotations = grown;
	json_object_foreach (object, key, value) {
		if (!json_is_string(value))
			continue;
		struct oci_pair *pair = &grown[record->n_annotations++];
		pair->key = strdup(key);
		pair->value = strdup(json_string_value(value));
		if (!pair->key || !pair->value)
			return -ENOMEM;
	}
	return 0;
}

int image_record_manifest(const char *text, size_t len, struct image_record *record)
{
	json_error_t error;
	/* Of a member that is there twice, Go's JSON merges both. */
	json_auto_t *root =
		json_loadb(text, len, JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL, &error);
	const char *key;
	json_t *value;
	int r = 0;

	if (!root && json_error_code(&error) == json_error_out_of_memory)
		return -ENOMEM;
	if (!json_is_object(root))
		return -EINVAL;
	json_object_foreach (root, key, value)
		if (r == 0 && json_is_object(value))
			r = add_annotations(value, record);
	return r;
}
