/* job_worker: what a job's worker does in its process. Each is a worker_main; `input` is a struct
 * job_input.
 */
#pragma once

#include "rolegate-netd/worker.h"

struct job_input {
	const char *id;
	const char *path; /* "": none */
	uint16_t port;
	struct netns_hosts hosts;
	struct netns_id netns; /* what `path` must lead to (adopt, clean up); ino 0: anything */
};

/* Open `path`, ask, enter, set everything up; the listeners go with WORKER_DONE. */
void job_worker_attach(int sock, int netns_fd, const void *input);
/* See whether `path` leads to the netns of netns_fd (it becomes the witness), ask, enter, ensure.
 */
void job_worker_adopt(int sock, int netns_fd, const void *input);
/* Bridge mode: open `path`, which must lead to `netns` if that is given, and look for the veths. */
void job_worker_find(int sock, int netns_fd, const void *input);
/* Enter netns_fd, take everything out. */
void job_worker_detach(int sock, int netns_fd, const void *input);
/* The same in the netns at `path`, after a worker of attach had to be killed. */
void job_worker_clean_up(int sock, int netns_fd, const void *input);
