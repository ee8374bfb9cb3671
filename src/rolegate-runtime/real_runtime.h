/* real_runtime: the OCI runtime that does the work. */
#pragma once

#include <limits.h>

#include "util/diag.h"

/* real_runtime_become(path, argv, diag): replace this process by `path` (looked for in $PATH if it
 * has no slash) with the arguments argv[1] and on. Returns only when it fails, -errno. */
int real_runtime_become(const char *path, char *argv[], struct diag *diag);

/* real_runtime_run(path, argv, diag): the same in a child, which dies with this process. Its exit
 * status (128 + the signal that ended it), or -errno. */
int real_runtime_run(const char *path, char *argv[], struct diag *diag);

/* real_runtime_sibling(name, ret, diag): the program `name` in the directory that this program is
 * in, wherever that was installed. 0 or -errno. */
int real_runtime_sibling(const char *name, char ret[static PATH_MAX], struct diag *diag);
