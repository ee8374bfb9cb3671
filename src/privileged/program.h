/* program: running iptables-restore, nft and their like: a text in, a text out.
 *
 * Looked for in fixed directories, with an empty environment, in the network namespace of the
 * calling process. Calls block; netd makes them in worker processes, which it kills when they take
 * too long.
 */
#pragma once

#include <sys/types.h>

#include "util/buf.h"
#include "util/cleanup.h"
#include "util/diag.h"

#define PROGRAM_NAME_SIZE 32

/* Files in memory instead of pipes: nobody has to feed and drain them while the program runs. */
struct program {
	pid_t pid; /* 0: not started */
	int in_fd, out_fd, err_fd;
	char name[PROGRAM_NAME_SIZE];
};
#define PROGRAM_NONE                                                                               \
	{                                                                                          \
		.in_fd = -1, .out_fd = -1, .err_fd = -1                                            \
	}

/* program_deinit(p): one that still runs is killed. */
void program_deinit(struct program *p);
#define _cleanup_program_ _cleanup_(program_deinit)

/* program_start(p, name, arguments, input, package, diag): `arguments` ends with NULL; `package` is
 * what to install where there is no such program. 0 or -errno. */
int program_start(struct program *p, const char *name, const char *const arguments[],
		  const char *input, const char *package, struct diag *diag);

/* program_wait(p, diag): 0, or -EIO with the program's own first words in `diag`. */
int program_wait(struct program *p, struct diag *diag);

/* program_output(p, ret, diag): append what it wrote. After program_wait(). */
int program_output(struct program *p, struct buf *ret, struct diag *diag);
