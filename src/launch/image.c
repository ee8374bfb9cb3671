#include "launch/image.h"

#include <stdio.h>
#include <string.h>

#include "launch/image_store.h"
#include "launch/signature.h"
#include "util/buf.h"

/* What an engine says of a container's image and pod. The first that is there counts. */
struct engine {
	const char *ref, *digest[2];
	const char *pod_name, *pod_namespace;
};

static const struct engine containerd = {
	.ref = "io.kubernetes.cri.image-name",
	.digest = {"io.kubernetes.cri.image-name"},
	.pod_name = "io.kubernetes.cri.sandbox-name",
	.pod_namespace = "io.kubernetes.cri.sandbox-namespace",
};
static const struct engine crio = {
	.ref = "io.kubernetes.cri-o.ImageName",
	.digest = {"io.kubernetes.cri-o.ImageRef", "io.kubernetes.cri-o.ImageName"},
	.pod_name = "io.kubernetes.pod.name",
	.pod_namespace = "io.kubernetes.pod.namespace",
};
/* Set on every container by these engines, whatever the pod's annotations say. */
static const char containerd_type[] = "io.kubernetes.cri.container-type";
static const char *const crio_marks[] = {
	"io.kubernetes.cri-o.ContainerType",
	"io.kubernetes.cri-o.ImageName",
	"io.kubernetes.cri-o.ImageRef",
};
#define N(a) (sizeof(a) / sizeof((a)[0]))

static int add(struct identity *identity, const char *field, const char *value,
	       const char *annotation, struct diag *diag)
{
	char source[160];

	snprintf(source, sizeof(source), "annotation %.128s", annotation);
	return identity_add(identity, field, value, source, diag);
}

static int add_image(const struct oci_config *oci, const struct engine *engine,
		     struct identity *identity, struct diag *diag)
{
	const char *ref = oci_config_annotation(oci, engine->ref);
	const char *type = oci_config_annotation(oci, containerd_type);

	/* containerd says no image of a pod's sandbox: then it is the pod's word. */
	if (engine == &containerd && type && strcmp(type, "sandbox") == 0)
		return 0;
	int r = ref && ref[0] ? add(identity, "image.ref", ref, engine->ref, diag) : 0;
	for (size_t i = 0; r == 0 && i < N(engine->digest) && engine->digest[i]; i++) {
		ref = oci_config_annotation(oci, engine->digest[i]);
		const char *at = ref ? strrchr(ref, '@') : NULL;
		if (at)
			return add(identity, "image.digest", at + 1, engine->digest[i], diag);
	}
	return r;
}

static int add_label(const struct oci_config *oci, const char *annotation, const char *label,
		     struct identity *identity, struct diag *diag)
{
	const char *value = oci_config_annotation(oci, annotation);
	_cleanup_buf_ struct buf pair = {0};

	if (!value || !value[0])
		return 0;
	buf_printf(&pair, "%s=%s", label, value);
	return buf_ok(&pair) ? add(identity, "labels", pair.data, annotation, diag)
			     : diag_fail(ENOMEM, diag, NULL, "out of memory");
}

static int add_pod(const struct oci_config *oci, const struct engine *engine,
		   struct identity *identity, struct diag *diag)
{
	int r = add_label(oci, engine->pod_name, "io.kubernetes.pod.name", identity, diag);

	return r < 0 ? r
		     : add_label(oci, engine->pod_namespace, "io.kubernetes.pod.namespace",
				 identity, diag);
}

/* Without records of an engine: whose annotations are they? */
static int find_engine(const struct oci_config *oci, const struct engine **ret, struct diag *diag)
{
	*ret = &containerd;
	for (size_t i = 0; i < N(crio_marks); i++) {
		if (!oci_config_annotation(oci, crio_marks[i]))
			continue;
		if (oci_config_annotation(oci, containerd_type))
			return diag_fail(EINVAL, diag, NULL,
					 "annotations %s and %s: only one of containerd and CRI-O "
					 "can have made it",
					 containerd_type, crio_marks[i]);
		*ret = &crio;
	}
	return 0;
}

static int find_record(const struct oci_config *oci, const char *id, struct image_record *ret,
		       struct diag *diag)
{
	*ret = (struct image_record){0};
	if (!id || !oci->root_path)
		return -ENOENT;
	int r = image_store_find(oci->root_path, id, ret);
	return r < 0 && r != -ENOENT
		       ? diag_fail(-r, diag, NULL,
				   "the engine's records of its image (above %.256s): %s",
				   oci->root_path,
				   r == -EPERM ? "others than root may write them" : strerror(-r))
		       : r;
}

/* The engine's own records say more than annotations do, and are harder to make up: where there are
 * any, annotations do not speak of the image. */
int image_describe(const struct oci_config *oci, const char *id, struct identity *identity,
		   struct diag *diag)
{
	_cleanup_image_record_ struct image_record record = {0};
	const struct engine *engine;

	int r = find_record(oci, id, &record, diag);
	if (r == -ENOENT) {
		r = find_engine(oci, &engine, diag);
		if (r == 0)
			r = add_image(oci, engine, identity, diag);
		return r < 0 ? r : add_pod(oci, engine, identity, diag);
	}
	if (r == 0 && record.ref)
		r = identity_add(identity, "image.ref", record.ref, "the engine's records", diag);
	if (r == 0 && record.digest)
		r = identity_add(identity, "image.digest", record.digest, "the engine's records",
				 diag);
	return r == 0 && record.in_pod ? add_pod(oci, &crio, identity, diag) : r;
}

static bool is_of_image(const struct oci_pair *pair, const struct image_record *record)
{
	for (size_t i = 0; i < record->n_annotations; i++)
		if (strcmp(record->annotations[i].key, pair->key) == 0 &&
		    strcmp(record->annotations[i].value, pair->value) == 0)
			return true;
	return false;
}

int image_disown(struct oci_config *oci, const char *id, char **ret_key, struct diag *diag)
{
	_cleanup_image_record_ struct image_record record = {0};
	size_t kept = 0;

	*ret_key = NULL;
	int r = oci->n_annotations > 0 ? find_record(oci, id, &record, diag) : -ENOENT;
	if (r < 0 || record.in_pod)
		return r == -ENOENT ? 0 : r;
	for (size_t i = 0; i < oci->n_annotations; i++) {
		struct oci_pair *pair = &oci->annotations[i];
		if (!is_of_image(pair, &record)) {
			oci->annotations[kept++] = *pair;
			continue;
		}
		if (!*ret_key && (strncmp(pair->key, "rolegate.io/", 12) == 0 ||
				  strcmp(pair->key, "iam.amazonaws.com/role") == 0))
			*ret_key = pair->key;
		else
			free(pair->key);
		free(pair->value);
	}
	oci->n_annotations = kept;
	return 0;
}

int image_disown_bundle(struct oci_config *oci, struct diag *diag)
{
	static const char *const trusted[] = {"rolegate.io/labels", "rolegate.io/allow"};
	bool is_of_image = false;
	size_t kept = 0;

	for (size_t i = 0; i < oci->n_annotations; i++) {
		struct oci_pair *pair = &oci->annotations[i];
		is_of_image =
			is_of_image || strncmp(pair->key, "org.opencontainers.image.", 25) == 0;
		if (strncmp(pair->key, IMAGE_LABEL_PREFIX, strlen(IMAGE_LABEL_PREFIX)) != 0) {
			oci->annotations[kept++] = *pair;
			continue;
		}
		free(pair->key);
		free(pair->value);
	}
	oci->n_annotations = kept;
	for (size_t i = 0; is_of_image && i < N(trusted); i++)
		if (oci_config_annotation(oci, trusted[i]))
			return diag_fail(EINVAL, diag, NULL,
					 "annotation %s: the bundle was made of an image (it has "
					 "org.opencontainers.image.*), which may have said so "
					 "itself: give --role and what belongs to it",
					 trusted[i]);
	return 0;
}

static const char *find_field(const struct identity *identity, const char *name)
{
	for (size_t i = 0; i < identity->n_fields; i++)
		if (strcmp(identity->fields[i].name, name) == 0)
			return identity->fields[i].value;
	return NULL;
}

int image_check_signature(const struct config *config, struct identity *identity, struct diag *diag)
{
	_cleanup_free_ char *signer = NULL;
	_cleanup_buf_ struct buf label = {0};

	int r = signature_check(config, find_field(identity, "image.ref"),
				find_field(identity, "image.digest"), &signer, diag);
	if (r < 0 || !signer)
		return r;
	buf_printf(&label, IMAGE_SIGNER_LABEL "=%s", signer);
	return buf_ok(&label) ? identity_add(identity, "labels", label.data, "its signature", diag)
			      : diag_fail(ENOMEM, diag, NULL, "out of memory");
}
