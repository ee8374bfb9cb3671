/* cni_plugin: running one CNI plugin. */
#pragma once

#include "util/buf.h"
#include "util/diag.h"

struct cni_plugin_call {
	const char *command; /* ADD, DEL */
	const char *type;    /* the program's name */
	const char *id, *netns, *interface;
	const struct buf *input; /* its network configuration */
};

/* cni_plugin_run(call, out, diag): look for the plugin in $CNI_PATH, or where Debian and Kubernetes
 * have them; give it the input, and append what it answers. 0, or -errno with its own words. */
int cni_plugin_run(const struct cni_plugin_call *call, struct buf *out, struct diag *diag);
