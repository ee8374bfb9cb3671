/* oci_config: the config.json of an OCI bundle, as far as rolegate looks at it.
 *
 * Source: OCI runtime-spec 1.0 and 1.1 (config.md, config-linux.md). Whoever wrote the file is the
 * engine, which is trusted; but the environment in it comes in part from the image, which is not.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/cleanup.h"
#include "util/diag.h"

#define OCI_CONFIG_MAX ((size_t)4 * 1024 * 1024)

struct oci_pair {
	char *key;
	char *value;
};

enum oci_netns {
	OCI_NETNS_HOST, /* none is asked for: that of the runtime */
	OCI_NETNS_NEW,	/* made for this container */
	OCI_NETNS_PATH, /* one that exists */
};

struct oci_config {
	struct oci_pair *annotations;
	size_t n_annotations;
	struct oci_pair *env; /* of its process, in the file's order */
	size_t n_env;
	char **capabilities; /* the bounding set */
	size_t n_capabilities;
	char **host_paths; /* what of the host's files it sees: bind mounts and the root; as
			    * written, that is, maybe relative to the bundle */
	size_t n_host_paths;
	const char *root_path; /* one of them; NULL: it says none */
	enum oci_netns netns;
	char *netns_path; /* OCI_NETNS_PATH */
	/* One of its own, in which no id is one of the host's first thousand: root, or the user or group
	 * of a daemon. */
	bool has_user_namespace;
	bool has_pid_namespace; /* its own, or another container's */
	uint32_t uid;		/* of its process, in its user namespace */
	bool no_new_privileges; /* no setuid file makes it another's */
};

/* oci_config_parse(text, len, ret, diag): 0, -EINVAL with `diag`, or -ENOMEM. */
int oci_config_parse(const char *text, size_t len, struct oci_config **ret, struct diag *diag);
struct oci_config *oci_config_free(struct oci_config *config);
DEFINE_CLEANUP(struct oci_config *, oci_config_free)
#define _cleanup_oci_config_ _cleanup_(oci_config_freep)

/* The value, or NULL. Of a variable that is there twice the last one, as the process will see it.
 */
const char *oci_config_annotation(const struct oci_config *config, const char *key);
const char *oci_config_env(const struct oci_config *config, const char *name);

bool oci_config_has_capability(const struct oci_config *config, const char *name);
