#include "rolegate-netd/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "privileged/isolate.h"
#include "util/log.h"

/* Where the child puts its descriptors, to close all above. */
#define CHILD_SOCK 3
#define CHILD_NETNS 4

static _Noreturn void run_child(int sock, int netns_fd, worker_main main, const void *input)
{
	sigset_t none;

	/* With netd dies what it was about to do: a later netd starts from what is there. */
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)setpgid(0, 0);
	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);

	/* Both first out of the way of the places they go to. */
	int high_sock = fcntl(sock, F_DUPFD_CLOEXEC, CHILD_NETNS + 1);
	int high_netns = netns_fd < 0 ? -1 : fcntl(netns_fd, F_DUPFD_CLOEXEC, CHILD_NETNS + 1);
	if (high_sock < 0 || dup3(high_sock, CHILD_SOCK, O_CLOEXEC) < 0)
		_exit(1);
	if (high_netns >= 0 && dup3(high_netns, CHILD_NETNS, O_CLOEXEC) < 0)
		_exit(1);
	int keep = high_netns >= 0 ? CHILD_NETNS : CHILD_SOCK;
	if (syscall(SYS_close_range, (unsigned)keep + 1, ~0u, 0) < 0)
		_exit(1);
	isolate_worker();
	main(CHILD_SOCK, high_netns >= 0 ? CHILD_NETNS : -1, input);
	_exit(0);
}

static void receive(struct worker *worker)
{
	for (;;) {
		struct worker_message message;
		int fds[FD_PASS_MAX];
		size_t n_fds;

		ssize_t n = fd_receive(worker->sock, &message, sizeof(message), fds, &n_fds);
		if (n != (ssize_t)sizeof(message)) {
			/* End or nothing more; the exit tells the rest. */
			if (n != -EAGAIN)
				loop_remove(worker->loop, &worker->sock_source);
			return;
		}
		worker->on_message(worker, &message, fds, n_fds);
	}
}

static void handle_sock(void *user, uint32_t events)
{
	(void)events;
	receive(user);
}

static void stop(struct worker *worker)
{
	loop_remove(worker->loop, &worker->sock_source);
	loop_remove(worker->loop, &worker->pid_source);
	loop_timer_stop(&worker->timeout);
	worker->sock = fd_close(worker->sock);
	worker->pid_fd = fd_close(worker->pid_fd);
	worker->pid = 0;
}

static void handle_exit(void *user, uint32_t events)
{
	struct worker *worker = user;

	(void)events;
	receive(worker);
	/* What it started dies too: an iptables that outlived it would write into the netns later.
	 */
	(void)kill(-worker->pid, SIGKILL);
	(void)waitpid(worker->pid, NULL, 0);
	stop(worker);
	worker->on_exit(worker, worker->timed_out);
}

static void handle_timeout(void *user)
{
	struct worker *worker = user;

	worker->timed_out = true;
	worker_kill(worker);
}

static int watch(struct worker *worker, struct loop *loop)
{
	worker->pid_fd = (int)syscall(SYS_pidfd_open, worker->pid, 0);
	if (worker->pid_fd < 0)
		return -errno;
	int r = loop_add(loop, &worker->sock_source, worker->sock, EPOLLIN);
	if (r == 0)
		r = loop_add(loop, &worker->pid_source, worker->pid_fd, EPOLLIN);
	return r;
}

int worker_start(struct worker *worker, struct loop *loop, worker_main main, int netns_fd,
		 const void *input)
{
	int pair[2];

	worker->loop = loop;
	worker->pid_fd = -1;
	worker->timed_out = false;
	worker->sock_source = (struct loop_source){.fd = -1, .handle = handle_sock, .user = worker};
	worker->pid_source = (struct loop_source){.fd = -1, .handle = handle_exit, .user = worker};
	worker->timeout = (struct loop_timer){.handle = handle_timeout, .user = worker};
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	if (fcntl(pair[0], F_SETFL, O_NONBLOCK) < 0 || (worker->pid = fork()) < 0) {
		int r = -errno;
		worker->pid = 0;
		fd_close(pair[0]);
		fd_close(pair[1]);
		return r;
	}
	if (worker->pid == 0)
		run_child(pair[1], netns_fd, main, input);
	(void)setpgid(worker->pid, worker->pid);
	fd_close(pair[1]);
	worker->sock = pair[0];
	int r = watch(worker, loop);
	if (r < 0) {
		(void)kill(-worker->pid, SIGKILL);
		(void)waitpid(worker->pid, NULL, 0);
		stop(worker);
		return r;
	}
	loop_timer_set(loop, &worker->timeout, WORKER_TIMEOUT_MS);
	return 0;
}

void worker_go(struct worker *worker)
{
	if (send(worker->sock, "y", 1, MSG_NOSIGNAL) != 1)
		worker_kill(worker);
}

void worker_kill(struct worker *worker)
{
	if (worker->pid > 0)
		(void)kill(-worker->pid, SIGKILL);
}

void worker_send(int sock, const struct worker_message *message, const int *fds, size_t n_fds)
{
	int r = fd_send(sock, message, sizeof(*message), fds, n_fds);
	if (r < 0)
		log_error(NULL, "worker cannot report: %s", strerror(-r));
}

bool worker_may_go(int sock)
{
	char byte;
	ssize_t n;

	do {
		n = recv(sock, &byte, 1, 0);
	} while (n < 0 && errno == EINTR);
	return n == 1;
}
