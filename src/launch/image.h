/* image: what the engine says of a container's image and pod, for the policy to go by.
 *
 *	containerd	io.kubernetes.cri.{image-name,sandbox-name,sandbox-namespace}
 *	CRI-O		io.kubernetes.cri-o.{ImageName,ImageRef}, io.kubernetes.pod.{name,namespace}
 *	Podman		io.podman.annotations.… hold none: see image.c
 */
#pragma once

#include "launch/identity.h"

/* Labels of the registration that only the engine gives: the pod's name and namespace. */
#define IMAGE_LABEL_PREFIX "io.kubernetes."

/* image_describe(oci, identity, diag): add image.ref, image.digest and labels, as far as they are
 * known. 0, -EINVAL or -ENOMEM. */
int image_describe(const struct oci_config *oci, struct identity *identity, struct diag *diag);
