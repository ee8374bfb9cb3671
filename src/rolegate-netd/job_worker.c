#include "rolegate-netd/job_worker.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "privileged/intercept.h"
#include "rolegate-netd/liveness.h"
#include "util/fd.h"

/* A path for the parent to look at later, without a peer's tricks in it: it must neither hang nor
 * mislead. That is the kernel's own name for a mounted netns, or a process's entry in /proc, its
 * descriptor of the netns included; for any other way that led here there is none, and the parent
 * searches. */
static void find_witness(int netns_fd, const char *path, char ret[static NETD_PATH_SIZE])
{
	char link[64];
	unsigned pid;
	int end = 0;

	ret[0] = '\0';
	if (sscanf(path, "/proc/%u/ns/net%n", &pid, &end) == 1 && end > 0 && path[end] == '\0') {
		snprintf(ret, NETD_PATH_SIZE, "/proc/%u/ns/net", pid);
		return;
	}
	if (liveness_is_descriptor(path)) {
		snprintf(ret, NETD_PATH_SIZE, "%s", path);
		return;
	}
	snprintf(link, sizeof(link), "/proc/self/fd/%d", netns_fd);
	ssize_t n = readlink(link, ret, NETD_PATH_SIZE - 1);
	/* "net:[4026532]" if it is no mount */
	if (n < 0 || ret[0] != '/')
		n = 0;
	ret[n] = '\0';
}

static void report(int sock, int error, struct worker_message *message)
{
	message->kind = WORKER_DONE;
	message->error = error;
	worker_send(sock, message, NULL, 0);
}

void job_worker_attach(int sock, int netns_fd, const void *user)
{
	struct worker_message message = {.kind = WORKER_OPENED};
	const struct job_input *input = user;
	struct intercept intercept;

	(void)netns_fd;
	_cleanup_fd_ int fd = -1;
	int r = netns_open(input->path, &input->hosts, &fd, &message.netns, &message.diag);
	if (r < 0) {
		report(sock, r, &message);
		return;
	}
	find_witness(fd, input->path, message.witness);
	worker_send(sock, &message, NULL, 0);
	if (!worker_may_go(sock))
		return;
	r = netns_enter(fd, &message.diag);
	if (r == 0)
		r = intercept_open(input->port, &intercept, &message.diag);
	if (r < 0) {
		report(sock, r, &message);
		return;
	}
	message.kind = WORKER_DONE;
	worker_send(sock, &message, intercept.listeners, intercept.n_listeners);
}

void job_worker_adopt(int sock, int netns_fd, const void *user)
{
	struct worker_message message = {.kind = WORKER_OPENED};
	const struct job_input *input = user;
	struct netns_id id;

	message.netns = input->netns;
	if (input->path[0]) {
		/* Without a good path it is adopted all the same: its sockets say which netns. */
		_cleanup_fd_ int fd = -1;
		if (netns_open(input->path, &input->hosts, &fd, &id, NULL) == 0 &&
		    netns_id_equal(&id, &input->netns))
			find_witness(fd, input->path, message.witness);
	}
	worker_send(sock, &message, NULL, 0);
	if (!worker_may_go(sock))
		return;
	int r = netns_enter(netns_fd, &message.diag);
	if (r == 0)
		r = intercept_ensure(input->port, &message.diag);
	report(sock, r, &message);
}

void job_worker_find(int sock, int netns_fd, const void *user)
{
	struct worker_message message = {.kind = WORKER_OPENED};
	const struct job_input *input = user;

	(void)netns_fd;
	_cleanup_fd_ int fd = -1;
	int r = netns_open(input->path, &input->hosts, &fd, &message.netns, &message.diag);
	if (r == 0 && input->netns.ino != 0 && !netns_id_equal(&message.netns, &input->netns))
		r = diag_fail(ESTALE, &message.diag, "netns", "netns path %s leads elsewhere now",
			      input->path);
	if (r == 0)
		r = veth_find(fd, &message.paths, &message.diag);
	if (r < 0) {
		report(sock, r, &message);
		return;
	}
	find_witness(fd, input->path, message.witness);
	worker_send(sock, &message, NULL, 0);
	if (worker_may_go(sock))
		report(sock, 0, &message);
}

void job_worker_detach(int sock, int netns_fd, const void *user)
{
	struct worker_message message = {0};

	(void)user;
	int r = netns_enter(netns_fd, &message.diag);
	if (r == 0)
		r = intercept_close(&message.diag);
	report(sock, r, &message);
}

void job_worker_clean_up(int sock, int netns_fd, const void *user)
{
	const struct job_input *input = user;
	struct worker_message message = {0};
	struct netns_id id;

	(void)netns_fd;
	_cleanup_fd_ int fd = -1;
	int r = netns_open(input->path, &input->hosts, &fd, &id, &message.diag);
	if (r == 0 && !netns_id_equal(&id, &input->netns))
		r = diag_fail(ESTALE, &message.diag, "netns", "netns path %s leads elsewhere now",
			      input->path);
	if (r == 0)
		job_worker_detach(sock, fd, user);
	else
		report(sock, r, &message);
}
