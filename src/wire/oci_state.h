/* oci_state: what an OCI runtime tells a hook on its standard input. Source: runtime-spec,
 * runtime.md, "State".
 */
#pragma once

#include <stddef.h>
#include <sys/types.h>

#include "util/cleanup.h"
#include "util/diag.h"

#define OCI_STATE_MAX ((size_t)1024 * 1024)

enum oci_status { OCI_CREATING, OCI_CREATED, OCI_RUNNING, OCI_STOPPED };

struct oci_state {
	char *id;
	char *bundle; /* absolute path */
	pid_t pid;    /* 0: none */
	enum oci_status status;
};

/* oci_state_parse(text, len, ret, diag): 0, -EINVAL or -ENOMEM. */
int oci_state_parse(const char *text, size_t len, struct oci_state *ret, struct diag *diag);
void oci_state_deinit(struct oci_state *state);
#define _cleanup_oci_state_ _cleanup_(oci_state_deinit)
