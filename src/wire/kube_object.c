#include "wire/kube_object.h"

#include <ctype.h>
#include <string.h>

#include <jansson.h>

#define NAME_MAX_LEN 253 /* RFC 1123, as Kubernetes has it */

static int copy(json_t *object, const char *key, char **ret)
{
	const char *text = json_string_value(json_object_get(object, key));

	if (!text)
		return 0;
	*ret = strdup(text);
	return *ret ? 0 : -ENOMEM;
}

static int take_annotations(json_t *annotations, struct kube_object *ret)
{
	const char *key;
	json_t *value;

	ret->annotations = calloc(json_object_size(annotations) + 1, sizeof(struct oci_pair));
	if (!ret->annotations)
		return -ENOMEM;
	json_object_foreach (annotations, key, value) {
		struct oci_pair *pair = &ret->annotations[ret->n_annotations];
		if (!json_is_string(value))
			continue;
		ret->n_annotations++;
		pair->key = strdup(key);
		pair->value = strdup(json_string_value(value));
		if (!pair->key || !pair->value)
			return -ENOMEM;
	}
	return 0;
}

int kube_object_parse(const char *text, size_t len, struct kube_object *ret, struct diag *diag)
{
	json_error_t error;
	json_auto_t *json = json_loadb(text, len, JSON_DECODE_INT_AS_REAL, &error);
	json_t *metadata = json_object_get(json, "metadata");

	*ret = (struct kube_object){0};
	if (!json_is_object(metadata))
		return diag_fail(EINVAL, diag, NULL, "the API server's answer is no object of its");
	int r = copy(metadata, "uid", &ret->uid);
	if (r == 0)
		r = copy(json_object_get(json, "spec"), "serviceAccountName",
			 &ret->service_account);
	if (r == 0)
		r = take_annotations(json_object_get(metadata, "annotations"), ret);
	if (r == 0)
		return 0;
	kube_object_deinit(ret);
	return diag_fail(ENOMEM, diag, NULL, "out of memory");
}

void kube_object_deinit(struct kube_object *object)
{
	for (size_t i = 0; i < object->n_annotations; i++) {
		free(object->annotations[i].key);
		free(object->annotations[i].value);
	}
	free(object->annotations);
	free(object->uid);
	free(object->service_account);
	*object = (struct kube_object){0};
}

int kube_name_check(const char *name)
{
	size_t len = strlen(name);

	if (len == 0 || len > NAME_MAX_LEN || name[0] == '.' || name[0] == '-')
		return -EINVAL;
	for (size_t i = 0; i < len; i++)
		if (!islower((unsigned char)name[i]) && !isdigit((unsigned char)name[i]) &&
		    name[i] != '-' && name[i] != '.')
			return -EINVAL;
	return 0;
}
