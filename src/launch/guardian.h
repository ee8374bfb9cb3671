/* guardian: a process that waits for the launcher's end, and cleans up if it was not an orderly one. */
#pragma once

#include <sys/types.h>

#include "util/diag.h"
#include "wire/config.h"

struct guardian {
	pid_t pid;
	int fd; /* its end is ours: it sees it close */
};

int guardian_start(const struct config *config, const char *state_root, struct guardian *ret,
		   struct diag *diag);

/* guardian_dismiss(guardian): all is cleaned up. One that was not started is fine. */
void guardian_dismiss(struct guardian *guardian);
