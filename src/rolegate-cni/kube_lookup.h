/* kube_lookup: a pod's role, asked of the Kubernetes API server. */
#pragma once

#include "util/diag.h"
#include "wire/cni_config.h"

/* kube_lookup(kubeconfig, namespace, name, uid, network, diag): add the pod's annotations to `network`;
 * if they have no role, that of its service account (eks.amazonaws.com/role-arn, or the same
 * annotations as a pod's). `uid` NULL: not known. 0; -EINVAL for a bad kubeconfig or answer, -ENOENT if
 * there is no such pod (any more), -EACCES if the server does not let us look, -ECOMM if it cannot be
 * asked. */
int kube_lookup(const char *kubeconfig, const char *namespace, const char *name, const char *uid,
		struct cni_config *network, struct diag *diag);
