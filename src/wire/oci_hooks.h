/* oci_hooks: putting a hook into the config.json of an OCI bundle, and taking it out again.
 *
 * The text is spliced, not parsed and printed: every byte but those of "hooks" stays as the engine
 * wrote it, so that limits of 2^64 - 1 and members that nobody here knows survive.
 */
#pragma once

#include "util/buf.h"
#include "util/diag.h"

/* The hook to put in: `path` is run at the end of a container's namespaces' making (createRuntime)
 * and after its end (poststop), in the runtime's own namespaces. */
struct oci_hook {
	const char *path;     /* absolute; its last component tells our hooks from others' */
	const char *argument; /* its last, behind its name and the stage */
	const char *env; /* its whole environment, "NAME=VALUE", or NULL: that of the runtime */
	int timeout_s;	 /* of createRuntime; the runtime kills it then, and the container fails */
};

/* oci_hooks_set(text, len, hook, wanted, out, diag): append config.json with the hook in it if
 * `wanted`, and without it if not, whatever earlier runs left there. 0, -EINVAL if the text is no
 * config.json, -ENOMEM. */
int oci_hooks_set(const char *text, size_t len, const struct oci_hook *hook, bool wanted,
		  struct buf *out, struct diag *diag);
