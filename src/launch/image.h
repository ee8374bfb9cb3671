/* image: what is known of a container's image and pod, for the policy to go by: from the engine, and
 * nobody else.
 *
 *	Docker		its own records (image_store.h)
 *	Podman, CRI-O	containers/storage's records, likewise
 *	containerd	annotations io.kubernetes.cri.{image-name,sandbox-name,sandbox-namespace}
 *	CRI-O		io.kubernetes.cri-o.{ImageName,ImageRef}, io.kubernetes.pod.{name,namespace}
 *
 * Each engine's annotations count on that engine alone: another's are set there by whoever can annotate
 * a pod (CRI-O hands all of a pod's on) or a container, or by the image itself (Podman).
 */
#pragma once

#include "launch/identity.h"

/* Labels of the registration that only the engine gives: the pod's name and namespace. */
#define IMAGE_LABEL_PREFIX "io.kubernetes."

/* The label of who signed the image. */
#define IMAGE_SIGNER_LABEL "rolegate.io/image-signer"

/* image_describe(oci, id, identity, diag): add image.ref, image.digest and labels, as far as they are
 * known. `id`, the container's, may be NULL. 0, -EINVAL or -ENOMEM. */
int image_describe(const struct oci_config *oci, const char *id, struct identity *identity,
		   struct diag *diag);

/* image_disown(oci, id, ret_key, diag): take out of `oci` the annotations that Podman has from the
 * image's own manifest: nobody has asked for them. *ret_key, the caller's to free, is one that rolegate
 * would have heeded, or NULL. 0, -EINVAL, -ENOMEM. */
int image_disown(struct oci_config *oci, const char *id, char **ret_key, struct diag *diag);

/* image_disown_bundle(oci, diag): of a bundle that no engine made. What annotations say in an engine's name
 * is taken out; labels and metadata to allow (which the policy or the host's secrets hang on) are
 * -EINVAL if the bundle was made of an image, whose labels are its annotations then. */
int image_disown_bundle(struct oci_config *oci, struct diag *diag);

/* image_check_signature(config, identity, diag): with [runtime] image_keys, the image must be signed
 * with one of them; the signer becomes a label. 0, -EACCES, -EINVAL or -ENOMEM. */
int image_check_signature(const struct config *config, struct identity *identity,
			  struct diag *diag);
