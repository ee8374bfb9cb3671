/* cni_config: what a container network runtime gives a plugin, and what it wants back.
 *
 * Source: CNI specification 0.4.0 and 1.0.0, and its conventions document (CNI_ARGS, args.cni,
 * capabilities).
 */
#pragma once

#include <stddef.h>

#include "util/buf.h"
#include "util/cleanup.h"
#include "util/diag.h"
#include "wire/oci_config.h"

#define CNI_CONFIG_MAX ((size_t)4 * 1024 * 1024)

/* Error codes of the specification, and our own from 100 on. */
enum cni_error {
	CNI_INCOMPATIBLE_VERSION = 1,
	CNI_UNKNOWN_CONTAINER = 3,
	CNI_INVALID_ENVIRONMENT = 4,
	CNI_IO_FAILURE = 5,
	CNI_DECODING_FAILURE = 6,
	CNI_INVALID_CONFIG = 7,
	CNI_TRY_AGAIN_LATER = 11,
	CNI_DENIED = 100, /* by the policy, by STS, or by what the netns is already */
	CNI_INTERNAL = 999,
};

struct cni_config {
	char *version;
	char *network;	       /* its name */
	char *prev_result;     /* JSON text; NULL: this plugin is the first */
	char *rolegate_config; /* "rolegate_config": the configuration file, or NULL */
	char *kubeconfig;      /* "kubeconfig": the API server to ask for a pod's role, or NULL */
	/* Where a role may be, in runtimeConfig and in args.cni: what is under "rolegate", as
	 * annotations rolegate.io/KEY; keys rolegate.io/KEY and iam.amazonaws.com/role, also of
	 * args.cni.labels; io.kubernetes.cri.pod-annotations; and the network's own labels of
	 * Podman. Only annotations are set in it. */
	struct oci_config *container;
};

/* cni_config_parse(text, len, ret, ret_error, diag): 0, or -EINVAL or -ENOMEM with the CNI error
 * code. */
int cni_config_parse(const char *text, size_t len, struct cni_config **ret,
		     enum cni_error *ret_error, struct diag *diag);
struct cni_config *cni_config_free(struct cni_config *config);
DEFINE_CLEANUP(struct cni_config *, cni_config_free)
#define _cleanup_cni_config_ _cleanup_(cni_config_freep)

/* cni_config_annotate(config, key, value): one more annotation. 0 or -ENOMEM. */
int cni_config_annotate(struct cni_config *config, const char *key, const char *value);

/* The answers. `version` NULL: the newest known. */
void cni_print_result(const struct cni_config *config, struct buf *out);
void cni_print_versions(struct buf *out);
void cni_print_error(const char *version, enum cni_error error, const char *message,
		     const char *details, struct buf *out);
