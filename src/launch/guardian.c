#include "launch/guardian.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "launch/launch.h"
#include "launch/report.h"
#include "util/fd.h"

/* How long the processes that die with the launcher (runc, the netns's keeper) are given. */
#define SETTLE_MS 200

static void guard(int fd, const struct config *config, const char *state_root)
{
	struct diag diag = {0};
	ssize_t n;
	char byte;

	(void)prctl(PR_SET_NAME, "rolegate-guard");
	/* Out of reach of the terminal, and of who ends the launcher's process group. */
	(void)setsid();
	(void)signal(SIGPIPE, SIG_IGN);
	/* Whoever reads the launcher's output is not to wait for us. */
	int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	for (int i = 0; null_fd >= 0 && i < 3; i++)
		(void)dup2(null_fd, i);
	do {
		n = read(fd, &byte, 1);
	} while (n < 0 && errno == EINTR);
	if (n == 1)
		_exit(0);
	(void)poll(NULL, 0, SETTLE_MS);
	if (launch_reap(config, state_root, &diag) < 0)
		report_error("%s", diag.text);
	_exit(0);
}

int guardian_start(const struct config *config, const char *state_root, struct guardian *ret,
		   struct diag *diag)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0)
		return diag_fail(errno, diag, NULL, "cannot make a pipe: %s", strerror(errno));
	pid_t pid = fork();
	if (pid == 0) {
		(void)fd_close(fds[1]);
		guard(fds[0], config, state_root);
	}
	(void)fd_close(fds[0]);
	if (pid < 0) {
		int error = errno;
		(void)fd_close(fds[1]);
		return diag_fail(error, diag, NULL, "cannot fork: %s", strerror(error));
	}
	*ret = (struct guardian){.pid = pid, .fd = fds[1]};
	return 0;
}

void guardian_dismiss(struct guardian *guardian)
{
	if (guardian->pid <= 0)
		return;
	if (write(guardian->fd, "", 1) < 0)
		(void)kill(guardian->pid, SIGKILL); /* it is gone already */
	guardian->fd = fd_close(guardian->fd);
	while (waitpid(guardian->pid, NULL, 0) < 0 && errno == EINTR)
		;
	guardian->pid = 0;
}
