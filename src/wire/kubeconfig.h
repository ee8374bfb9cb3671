/* kubeconfig: where a Kubernetes API server is and how to speak to it, from the file that kubectl and
 * kubelets use, and what it answers of pods and service accounts.
 *
 * Source: kubernetes, staging/src/k8s.io/client-go/tools/clientcmd/api/v1/types.go. Of a user's ways
 * to authenticate: token, token file, client certificate; not `exec` and other plugins.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "util/cleanup.h"
#include "util/diag.h"
#include "wire/cni_config.h"

#define KUBECONFIG_MAX ((size_t)1024 * 1024)

/* The current context. Of each pair a file's path or its contents, in PEM; NULL: not given. */
struct kubeconfig {
	char *server; /* https://… */
	char *tls_server_name;
	char *ca_file, *ca_data;
	char *certificate_file, *certificate_data;
	char *key_file, *key_data; /* secret */
	char *token_file, *token;  /* secret */
};

/* kubeconfig_parse(text, len, ret, diag): 0, -EINVAL (also for what is not supported) or -ENOMEM. */
int kubeconfig_parse(const char *text, size_t len, struct kubeconfig **ret, struct diag *diag);
struct kubeconfig *kubeconfig_free(struct kubeconfig *config);
DEFINE_CLEANUP(struct kubeconfig *, kubeconfig_free)
#define _cleanup_kubeconfig_ _cleanup_(kubeconfig_freep)
