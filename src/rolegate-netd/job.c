#include "rolegate-netd/job.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "privileged/listen_socket.h"
#include "rolegate-netd/bridge.h"
#include "rolegate-netd/job_private.h"
#include "rolegate-netd/liveness.h"
#include "rolegate-netd/peer.h"
#include "util/log.h"

/* For the workers' sockets and pidfds, the peers, the logs, and what is adopted or handed out. */
#define DESCRIPTORS_RESERVED 80

void job_copy_diag(struct netd_reply *reply, const struct diag *diag)
{
	snprintf(reply->field, sizeof(reply->field), "%.*s", (int)sizeof(reply->field) - 1,
		 diag->field);
	snprintf(reply->text, sizeof(reply->text), "%s", diag->text);
}

static void job_close_fds(struct job *job)
{
	for (size_t i = 0; i < job->n_fds; i++)
		fd_close(job->fds[i]);
	job->n_fds = 0;
}

static void job_free(struct job *job)
{
	struct netd *netd = job->netd;

	job_close_fds(job);
	TAILQ_REMOVE(&netd->jobs, job, entry);
	netd->n_jobs--;
	netd->n_running -= job->running;
	free(job);
}

void job_free_all(struct netd *netd)
{
	while (!TAILQ_EMPTY(&netd->jobs)) {
		struct job *job = TAILQ_FIRST(&netd->jobs);
		worker_kill(&job->worker);
		job_free(job);
	}
}

bool job_queue_is_full(const struct netd *netd)
{
	return netd->n_jobs >= JOBS_MAX;
}

bool job_touches(const struct netd *netd, const char *id)
{
	struct job *job;

	TAILQ_FOREACH (job, &netd->jobs, entry)
		if (strcmp(job->request.id, id) == 0)
			return true;
	return false;
}

static const char *verb_name(uint32_t verb)
{
	switch (verb) {
	case NETD_ATTACH:
		return "attach";
	case NETD_ADOPT:
		return "adopt";
	default:
		return "detach";
	}
}

int job_fail(struct job *job, int error, const char *field, const char *text)
{
	job->error = error;
	diag_set(&job->diag, field, "%s", text);
	return -error;
}

void job_answer(struct job *job, const struct attachment *attachment)
{
	struct netd_reply reply = {
		.version = NETD_PROTOCOL_VERSION,
		.verb = job->request.verb,
		.serial = job->request.serial,
		.error = job->error,
	};

	const int *listeners = NULL;

	memcpy(reply.id, job->request.id, sizeof(reply.id));
	if (job->error) {
		job_copy_diag(&reply, &job->diag);
		log_warning(reply.id, "%s failed: %s", verb_name(reply.verb), job->diag.text);
	} else if (attachment) {
		listeners = bridge_describe(job->netd, attachment, &reply);
		if (reply.verb != NETD_ATTACH)
			reply.n_fds = 0;
	}
	job->answered = true;
	peer_answer(job->netd, job->peer_id, &reply, listeners);
}

void job_finish(struct job *job, const struct attachment *attachment)
{
	struct netd *netd = job->netd;
	bool was_full = job_queue_is_full(netd);

	if (!job->answered)
		job_answer(job, attachment);
	job_free(job);
	if (was_full)
		peer_update_all(netd);
}

/* Another job that is about to attach the same netns under another id? */
static bool netns_is_contested(const struct job *job)
{
	struct job *other;

	TAILQ_FOREACH (other, &job->netd->jobs, entry)
		if (other != job && other->allowed && other->request.verb != NETD_DETACH &&
		    netns_id_equal(&other->netns, &job->netns))
			return true;
	return false;
}

/* Would its listeners take what workers and peers need? Then nothing could be detached any more. */
static bool descriptors_are_scarce(const struct netd *netd)
{
	struct rlimit limit;

	return getrlimit(RLIMIT_NOFILE, &limit) == 0 &&
	       (netd->attachments.n + JOBS_RUNNING_MAX) * NETD_LISTENERS_MAX +
			       DESCRIPTORS_RESERVED >
		       limit.rlim_cur;
}

/* May the job's netns be attached under its id? 0, 1 if it is already (*ret_existing), or -errno.
 */
static int job_decide(struct job *job, struct attachment **ret_existing)
{
	const struct attachments *all = &job->netd->attachments;
	struct attachment *existing = attachments_find(all, job->request.id);
	struct attachment *holder = attachments_find_netns(all, &job->netns);
	char text[256];

	if (existing && existing->mode != job->request.mode)
		return job_fail(job, EBUSY, "id",
				"the id is attached in another mode: detach it first");
	if (existing && existing == holder) {
		*ret_existing = existing;
		return 1;
	}
	if (existing)
		return job_fail(job, EBUSY, "id",
				"the id is attached to another netns: detach it first");
	if (holder) {
		snprintf(text, sizeof(text), "the netns is attached under the id %s", holder->id);
		return job_fail(job, EEXIST, "netns", text);
	}
	if (netns_is_contested(job))
		return job_fail(job, EEXIST, "netns",
				"the netns is being attached under another id");
	if (all->n >= ATTACHMENTS_MAX)
		return job_fail(job, ENOSPC, NULL, "too many containers are attached");
	if (descriptors_are_scarce(job->netd))
		return job_fail(job, EMFILE, NULL,
				"too many containers for netd's descriptors: raise LimitNOFILE=");
	return 0;
}

/* The worker has done its work: keep what it made. */
static struct attachment *job_keep(struct job *job)
{
	struct attachment *attachment =
		attachments_add(&job->netd->attachments, job->request.id, &job->netns);

	if (!attachment) {
		(void)job_fail(job, ENOMEM, NULL, "out of memory");
		return NULL;
	}
	attachment->port = (uint16_t)job->netd->config.intercept.port;
	memcpy(attachment->witness, job->witness, sizeof(attachment->witness));
	for (size_t i = 0; i < job->n_fds; i++)
		attachment->listeners[attachment->n_listeners++] = job->fds[i];
	job->n_fds = 0;
	liveness_arm(job->netd);
	log_info(job->request.id, "%sed netns %llu", verb_name(job->request.verb),
		 (unsigned long long)job->netns.ino);
	return attachment;
}

static void on_opened(struct job *job, const struct worker_message *message)
{
	struct attachment *existing = NULL;

	job->netns = message->netns;
	job->paths = message->paths;
	memcpy(job->witness, message->witness, sizeof(job->witness));
	int r = job_decide(job, &existing);
	if (r == 0) {
		job->allowed = true;
		worker_go(&job->worker);
		return;
	}
	/* Its exit finishes the job: with the error, or by finding the attachment there. */
	job->reported = true;
	worker_kill(&job->worker);
}

/* Here the container waits: answer at once. The end of a DETACH is its worker's, which is in the
 * netns until then. */
static void on_done(struct job *job)
{
	/* Whoever comes next has perhaps listed the attachments already, and would never hear of it. */
	if (job->request.verb == NETD_ATTACH && !job->error &&
	    !peer_is_there(job->netd, job->peer_id)) {
		(void)job_fail(job, ECONNABORTED, NULL, "whoever asked for it has left");
		job->orphaned = true;
		return;
	}
	if (job->request.mode == NETD_MODE_BRIDGE)
		job_bridge_keep(job);
	else if (job->request.verb != NETD_DETACH)
		job_answer(job, job->error ? NULL : job_keep(job));
}

static void on_worker_message(struct worker *worker, const struct worker_message *message,
			      int fds[FD_PASS_MAX], size_t n_fds)
{
	struct job *job = worker->user;

	if (message->kind == WORKER_OPENED && !job->reported) {
		on_opened(job, message);
	} else if (message->kind == WORKER_DONE && job->cleaning) {
		if (message->error)
			log_warning(job->request.id, "clean-up failed: %s", message->diag.text);
	} else if (message->kind == WORKER_DONE && !job->reported) {
		job->reported = true;
		job->error = -message->error;
		job->diag = message->diag;
		if (job->request.verb == NETD_ATTACH && !job->error)
			while (job->n_fds < n_fds && job->n_fds < NETD_LISTENERS_MAX) {
				job->fds[job->n_fds] = fds[job->n_fds];
				fds[job->n_fds++] = -1;
			}
		on_done(job);
	}
	for (size_t i = 0; i < FD_PASS_MAX; i++)
		fd_close(fds[i]);
}

/* Returns whether a second worker is on its way. */
static bool job_clean_up(struct job *job)
{
	if (job->cleaning || !job->allowed || job->request.mode == NETD_MODE_BRIDGE)
		return false;
	job->cleaning = true;
	if (job->request.verb == NETD_ATTACH)
		return job_start_worker(job, job_worker_clean_up, -1) == 0;
	if (job->request.verb != NETD_ADOPT || job->n_fds == 0)
		return false;
	struct netns_id id;
	_cleanup_fd_ int netns_fd = -1;
	return netns_of_socket(job->fds[0], &netns_fd, &id) == 0 &&
	       job_start_worker(job, job_worker_detach, netns_fd) == 0;
}

static void on_exit_detach(struct job *job)
{
	struct netd *netd = job->netd;
	struct attachment *attachment = attachments_find(&netd->attachments, job->request.id);

	/* Even if rules stay: they lead to no listener, and keep the container from the rest. */
	if (attachment)
		attachments_remove(&netd->attachments, attachment);
	if (!job->error)
		log_info(job->request.id, "detached");
	job_finish(job, NULL);
}

static void on_worker_exit(struct worker *worker, bool timed_out)
{
	struct job *job = worker->user;
	struct netd *netd = job->netd;
	struct attachment *attachment = NULL;

	if (job->syncing) { /* the slot is another's, the job waits for the host guard */
		job->running = false;
		netd->n_running--;
		job_schedule(netd);
		return;
	}
	if (!job->reported && !job->cleaning) {
		(void)job_fail(job, timed_out ? ETIMEDOUT : EIO, NULL,
			       timed_out ? "setting up the netns took too long"
					 : "the worker for the netns died");
		if (job_clean_up(job))
			return;
	}
	if (job->orphaned && job_clean_up(job))
		return;
	if (job->request.verb == NETD_DETACH) {
		on_exit_detach(job);
	} else {
		/* What job_decide() found there already. */
		if (!job->error && !job->answered)
			attachment = attachments_find(&netd->attachments, job->request.id);
		job_finish(job, attachment);
		bridge_close_unused(netd);
	}
	job_schedule(netd);
}

int job_start_worker(struct job *job, worker_main main, int netns_fd)
{
	const struct job_input input = {
		.id = job->request.id,
		.path = job->request.path,
		.port = (uint16_t)job->netd->config.intercept.port,
		.hosts = job->netd->hosts,
		.netns = job->netns,
	};

	job->worker.on_message = on_worker_message;
	job->worker.on_exit = on_worker_exit;
	job->worker.user = job;
	int r = worker_start(&job->worker, &job->netd->loop, main, netns_fd, &input);
	if (r < 0)
		return job_fail(job, -r, NULL, "cannot start a worker process");
	job->netd->n_running += !job->running;
	job->running = true;
	return 0;
}

/* Each start_*() returns 0 with a worker under way, 1 if there is nothing to do, or -errno with the
 * job's error set. */
static int start_attach(struct job *job)
{
	if (job->request.mode == NETD_MODE_BRIDGE)
		return job_bridge_start_attach(job);
	return job_start_worker(job, job_worker_attach, -1);
}

/* The descriptors are a peer's: believe nothing of them. */
static int check_adopted(struct job *job, int *ret_netns_fd)
{
	static const int families[NETD_LISTENERS_MAX] = {AF_INET, AF_INET6};
	uint16_t port = (uint16_t)job->netd->config.intercept.port;

	for (size_t i = 0; i < job->n_fds; i++) {
		_cleanup_fd_ int netns_fd = -1;
		struct netns_id id;
		int r = listen_socket_check(job->fds[i], LISTEN_LOOPBACK, families[i], port,
					    &job->diag);
		if (r < 0) {
			job->error = -r;
			return r;
		}
		if (netns_of_socket(job->fds[i], &netns_fd, &id) < 0)
			return job_fail(job, EINVAL, "fds", "a listener's netns cannot be found");
		if (i > 0 && !netns_id_equal(&id, &job->netns))
			return job_fail(job, EINVAL, "fds", "the listeners are of two netns");
		job->netns = id;
		if (i > 0)
			continue;
		*ret_netns_fd = netns_fd;
		netns_fd = -1;
	}
	return 0;
}

static int start_adopt(struct job *job)
{
	_cleanup_fd_ int netns_fd = -1;

	if (job->request.mode == NETD_MODE_BRIDGE)
		return job_bridge_start_adopt(job);
	int r = check_adopted(job, &netns_fd);
	if (r < 0)
		return r;
	if (netns_is_host(&job->netd->hosts, &job->netns))
		return job_fail(job, EINVAL, "netns", "the listeners are in the host's own netns");
	return job_start_worker(job, job_worker_adopt, netns_fd);
}

static int start_detach(struct job *job)
{
	struct netd *netd = job->netd;
	struct attachment *attachment = attachments_find(&netd->attachments, job->request.id);
	_cleanup_fd_ int netns_fd = -1;

	if (!attachment)
		return 1;
	if (attachment->mode == NETD_MODE_BRIDGE)
		return job_bridge_start_detach(job, attachment);
	/* With the netns its rules will go, as soon as our listeners do. */
	bool alive = liveness_is_alive(netd, attachment);
	int r = alive ? netns_of_socket(attachment->listeners[0], &netns_fd, &job->netns) : 0;
	if (alive && r == 0) {
		r = job_start_worker(job, job_worker_detach, netns_fd);
		if (r == 0)
			return 0;
	}
	/* As in on_exit_detach(): let go, even if the rules stay. */
	attachments_remove(&netd->attachments, attachment);
	if (r < 0)
		return job->error ? r : job_fail(job, -r, NULL, "the netns cannot be found");
	log_info(job->request.id, "detached, its netns being dead");
	return 1;
}

static int job_start(struct job *job)
{
	const struct config *config = &job->netd->config;
	bool bridge = job->request.mode == NETD_MODE_BRIDGE;
	int64_t port = bridge ? config->intercept.bridge_port : config->intercept.port;

	if (job->request.port != 0 && job->request.port != port)
		return job_fail(job, EINVAL, "port", "[intercept] port of netd is another one");
	switch (job->request.verb) {
	case NETD_ATTACH:
		return start_attach(job);
	case NETD_ADOPT:
		return start_adopt(job);
	default:
		return start_detach(job);
	}
}

/* Must it wait for one before it? */
static bool is_held_up(const struct netd *netd, const struct job *job)
{
	struct job *earlier;

	TAILQ_FOREACH (earlier, &netd->jobs, entry) {
		if (earlier == job)
			return false;
		if (strcmp(earlier->request.id, job->request.id) == 0)
			return true;
	}
	return false;
}

void job_schedule(struct netd *netd)
{
	struct job *job = TAILQ_FIRST(&netd->jobs);

	while (job && netd->n_running < JOBS_RUNNING_MAX) {
		struct job *next = TAILQ_NEXT(job, entry);
		if (!job->running && !job->syncing && !is_held_up(netd, job) &&
		    job_start(job) != 0) {
			job_finish(job, NULL);
			/* One that it held up may be anywhere. */
			next = TAILQ_FIRST(&netd->jobs);
		}
		job = next;
	}
}

void job_submit(struct netd *netd, uint64_t peer_id, const struct netd_request *request, int *fds,
		size_t n_fds)
{
	struct job *job = calloc(1, sizeof(*job));
	if (!job) {
		log_error(request->id, "out of memory: a request is dropped");
		return;
	}
	job->netd = netd;
	job->peer_id = peer_id;
	job->request = *request;
	for (size_t i = 0; i < n_fds && i < NETD_LISTENERS_MAX; i++) {
		job->fds[job->n_fds++] = fds[i];
		fds[i] = -1;
	}
	TAILQ_INSERT_TAIL(&netd->jobs, job, entry);
	netd->n_jobs++;
	job_schedule(netd);
	if (job_queue_is_full(netd))
		peer_update_all(netd);
}
