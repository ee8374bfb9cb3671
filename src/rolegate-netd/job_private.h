/* What job.c and job_bridge.c share. */
#pragma once

#include "rolegate-netd/job.h"
#include "rolegate-netd/job_worker.h"

struct job {
	struct netd *netd;
	uint64_t peer_id;
	struct netd_request request;
	int fds[NETD_LISTENERS_MAX]; /* owned: ADOPT's, later ATTACH's */
	size_t n_fds;
	struct worker worker;
	bool running;
	bool allowed;  /* its worker may have changed the netns */
	bool cleaning; /* a second worker takes out what the first, killed, left behind */
	bool reported; /* its worker has said how it ended */
	bool orphaned; /* an ATTACH that was done when its peer had left: to be undone */
	bool answered; /* the peer knows; only the worker's exit is awaited */
	bool syncing;  /* bridge mode: the host guard is to write the rules */
	uint64_t sync; /* its pass that must have ended */
	int error;     /* positive errno */
	struct diag diag;
	struct netns_id netns;
	struct veth_paths paths; /* bridge mode */
	char witness[NETD_PATH_SIZE];
	TAILQ_ENTRY(job) entry;
};

int job_fail(struct job *job, int error, const char *field, const char *text);

/* job_answer(job, attachment): `attachment` is what ATTACH and ADOPT have led to, if all went well.
 */
void job_answer(struct job *job, const struct attachment *attachment);

/* job_finish(job, attachment): answer, if that has not been done, and forget the job. */
void job_finish(struct job *job, const struct attachment *attachment);

int job_start_worker(struct job *job, worker_main main, int netns_fd);
void job_schedule(struct netd *netd);

/* job_bridge.c. Each start returns 0, or -errno with the job's error set. */
int job_bridge_start_attach(struct job *job);
int job_bridge_start_adopt(struct job *job);
int job_bridge_start_detach(struct job *job, struct attachment *attachment);

/* job_bridge_keep(job): its worker has found the veths. */
void job_bridge_keep(struct job *job);
