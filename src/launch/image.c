#include "launch/image.h"

#include <stdio.h>
#include <string.h>

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

int image_describe(const struct oci_config *oci, struct identity *identity, struct diag *diag)
{
	int r = add_image(oci, identity, diag);

	return r < 0 ? r : add_pod(oci, identity, diag);
}
