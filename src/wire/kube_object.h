/* kube_object: what a Kubernetes API server says of a pod or a service account. */
#pragma once

#include <stddef.h>

#include "util/diag.h"
#include "wire/oci_config.h"

struct kube_object {
	char *uid;
	char *service_account; /* of a pod; NULL: none */
	struct oci_pair *annotations;
	size_t n_annotations;
};

/* kube_object_parse(text, len, ret, diag): 0, -EINVAL or -ENOMEM. */
int kube_object_parse(const char *text, size_t len, struct kube_object *ret, struct diag *diag);
void kube_object_deinit(struct kube_object *object);

/* kube_name_check(name): may this be a pod's, a namespace's, a service account's name? It becomes part
 * of a URL. 0 or -EINVAL. */
int kube_name_check(const char *name);
