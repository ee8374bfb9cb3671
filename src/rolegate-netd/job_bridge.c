/* Jobs of bridge mode: a worker looks, the host guard writes. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "privileged/listen_socket.h"
#include "rolegate-netd/bridge.h"
#include "rolegate-netd/host_guard.h"
#include "rolegate-netd/job_private.h"
#include "rolegate-netd/liveness.h"
#include "util/log.h"

int job_bridge_start_attach(struct job *job)
{
	return job_start_worker(job, job_worker_find, -1);
}

/* The descriptors are a peer's: believe nothing of them. */
int job_bridge_start_adopt(struct job *job)
{
	static const int families[NETD_LISTENERS_MAX] = {AF_INET, AF_INET6};
	struct netd *netd = job->netd;

	for (size_t i = 0; i < job->n_fds; i++) {
		_cleanup_fd_ int netns_fd = -1;
		struct netns_id id;
		int r = listen_socket_check(job->fds[i], LISTEN_ANY, families[i],
					    (uint16_t)netd->config.intercept.bridge_port,
					    &job->diag);
		if (r < 0) {
			job->error = -r;
			return r;
		}
		if (netns_of_socket(job->fds[i], &netns_fd, &id) < 0 ||
		    !netns_id_equal(&id, &netd->hosts.own))
			return job_fail(job, EINVAL, "fds", "a listener is not of netd's netns");
	}
	int r = bridge_open(netd, job->fds, job->n_fds, &job->diag);
	if (r < 0) {
		job->error = -r;
		return r;
	}
	job->netns = (struct netns_id){job->request.netns_dev, job->request.netns_ino};
	return job_start_worker(job, job_worker_find, -1);
}

int job_bridge_start_detach(struct job *job, struct attachment *attachment)
{
	attachments_remove(&job->netd->attachments, attachment);
	job->syncing = true;
	job->sync = host_guard_sync(job->netd);
	return 0;
}

static bool veths_exist(const struct veth_paths *paths)
{
	for (size_t i = 0; i < paths->n; i++)
		if (!veth_exists(&paths->list[i]))
			return false;
	return true;
}

void job_bridge_keep(struct job *job)
{
	struct netd *netd = job->netd;
	struct attachment *attachment = NULL;

	if (!job->error) {
		int r = bridge_open(netd, NULL, 0, &job->diag);
		job->error = -r;
	}
	/* From now on the links are watched; one that has gone before would not be missed. */
	if (!job->error && !veths_exist(&job->paths))
		(void)job_fail(job, ENODEV, "netns", "the veth of the netns has gone meanwhile");
	if (!job->error) {
		attachment = attachments_add(&netd->attachments, job->request.id, &job->netns);
		if (!attachment)
			(void)job_fail(job, ENOMEM, NULL, "out of memory");
	}
	if (!attachment) {
		job_answer(job, NULL);
		return;
	}
	attachment->mode = NETD_MODE_BRIDGE;
	attachment->port = netd->bridge.port;
	attachment->paths = job->paths;
	attachment->link = job->paths.list[0].port;
	attachment->mark = bridge_new_mark(netd, job->request.mark);
	memcpy(attachment->witness, job->witness, sizeof(attachment->witness));
	liveness_arm(netd);
	job->syncing = true;
	job->sync = host_guard_sync(netd);
}

/* The rules stand, or cannot. */
static void finish_sync(struct job *job, int error, const struct diag *diag)
{
	struct netd *netd = job->netd;
	struct attachment *attachment = attachments_find(&netd->attachments, job->request.id);

	job->syncing = false;
	if (error) {
		job->error = -error;
		job->diag = *diag;
	}
	if (job->request.verb == NETD_DETACH) {
		if (!error)
			log_info(job->request.id, "detached");
		attachment = NULL;
	} else if (error && attachment) {
		liveness_bury(netd, attachment, "its rules cannot be written");
		attachment = NULL;
	} else if (!error && !attachment) {
		(void)job_fail(job, ENODEV, "netns", "the veth of the netns has gone meanwhile");
	} else if (attachment) {
		log_info(job->request.id, "netns %llu is marked %#x at its veth",
			 (unsigned long long)job->netns.ino, attachment->mark);
	}
	if (!job->running)
		job_finish(job, attachment);
	else
		job_answer(job, attachment); /* its worker's exit finishes it */
	bridge_close_unused(netd);
}

void job_synced(struct netd *netd, uint64_t pass, int error, const struct diag *diag)
{
	struct job *job, *next;

	for (job = TAILQ_FIRST(&netd->jobs); job; job = next) {
		next = TAILQ_NEXT(job, entry);
		if (job->syncing && job->sync <= pass)
			finish_sync(job, error, diag);
	}
	job_schedule(netd);
}

bool job_uses_bridge(const struct netd *netd)
{
	const struct job *job;

	TAILQ_FOREACH (job, &netd->jobs, entry)
		if (job->request.mode == NETD_MODE_BRIDGE)
			return true;
	return false;
}
