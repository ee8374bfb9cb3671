#include "launch/image.h"

#include <stdio.h>
#include <string.h>

#include "launch/image_store.h"
#include "launch/signature.h"
#include "util/buf.h"

/* In this order; the first that is there counts. */
static const char *const ref_annotations[] = {
	"io.kubernetes.cri.image-name",
	"io.kubernetes.cri-o.ImageName",
};
static const char *const digest_annotations[] = {
	"io.kubernetes.cri-o.ImageRef",
	"io.kubernetes.cri.image-name",
	"io.kubernetes.cri-o.ImageName",
};
static const struct {
	const char *annotation, *label;
} pod_annotations[] = {
	{"io.kubernetes.cri.sandbox-name", "io.kubernetes.pod.name"},
	{"io.kubernetes.pod.name", "io.kubernetes.pod.name"},
	{"io.kubernetes.cri.sandbox-namespace", "io.kubernetes.pod.namespace"},
	{"io.kubernetes.pod.namespace", "io.kubernetes.pod.namespace"},
};
#define N(a) (sizeof(a) / sizeof((a)[0]))

static int add(struct identity *identity, const char *field, const char *value,
	       const char *annotation, struct diag *diag)
{
	char source[160];

	snprintf(source, sizeof(source), "annotation %.128s", annotation);
	return identity_add(identity, field, value, source, diag);
}

static int add_image(const struct oci_config *oci, struct identity *identity, struct diag *diag)
{
	int r = 0;

	for (size_t i = 0; i < N(ref_annotations); i++) {
		const char *ref = oci_config_annotation(oci, ref_annotations[i]);
		if (!ref || !ref[0])
			continue;
		r = add(identity, "image.ref", ref, ref_annotations[i], diag);
		break;
	}
	for (size_t i = 0; r == 0 && i < N(digest_annotations); i++) {
		const char *ref = oci_config_annotation(oci, digest_annotations[i]);
		const char *at = ref ? strrchr(ref, '@') : NULL;
		if (!at)
			continue;
		return add(identity, "image.digest", at + 1, digest_annotations[i], diag);
	}
	return r;
}

static int add_pod(const struct oci_config *oci, struct identity *identity, struct diag *diag)
{
	const char *last = NULL;

	for (size_t i = 0; i < N(pod_annotations); i++) {
		const char *value = oci_config_annotation(oci, pod_annotations[i].annotation);
		_cleanup_buf_ struct buf pair = {0};
		if (!value || !value[0] || (last && strcmp(last, pod_annotations[i].label) == 0))
			continue;
		last = pod_annotations[i].label;
		buf_printf(&pair, "%s=%s", last, value);
		int r = buf_ok(&pair) ? add(identity, "labels", pair.data,
					    pod_annotations[i].annotation, diag)
				      : diag_fail(ENOMEM, diag, NULL, "out of memory");
		if (r < 0)
			return r;
	}
	return 0;
}

/* The engine's own records say more than annotations do, and are harder to make up. */
static int add_recorded(const struct oci_config *oci, const char *id, struct identity *identity,
			struct diag *diag)
{
	_cleanup_image_record_ struct image_record record = {0};

	int r = id && oci->root_path ? image_store_find(oci->root_path, id, &record) : -ENOENT;
	if (r == -ENOENT)
		return add_image(oci, identity, diag);
	if (r == 0 && record.ref)
		r = identity_add(identity, "image.ref", record.ref, "the engine's records", diag);
	if (r == 0 && record.digest)
		r = identity_add(identity, "image.digest", record.digest, "the engine's records",
				 diag);
	return r == -ENOMEM ? diag_fail(ENOMEM, diag, NULL, "out of memory") : r;
}

int image_describe(const struct oci_config *oci, const char *id, struct identity *identity,
		   struct diag *diag)
{
	int r = add_recorded(oci, id, identity, diag);

	return r < 0 ? r : add_pod(oci, identity, diag);
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
