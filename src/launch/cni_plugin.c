#include "launch/cni_plugin.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/clock.h"
#include "util/fd.h"
#include "wire/cni_list.h"

#define PATH_DEFAULT "/usr/lib/cni:/opt/cni/bin:/usr/libexec/cni"
#define TIMEOUT_MS 60000
#define OUTPUT_MAX ((size_t)1024 * 1024)

static const char *plugin_path(void)
{
	const char *path = getenv("CNI_PATH");

	return path && path[0] ? path : PATH_DEFAULT;
}

static int find(const char *type, char ret[static PATH_MAX], struct diag *diag)
{
	for (const char *path = plugin_path(); path;) {
		size_t len = strcspn(path, ":");
		int n = snprintf(ret, PATH_MAX, "%.*s/%s", (int)len, path, type);
		if (len > 0 && n < PATH_MAX && access(ret, X_OK) == 0)
			return 0;
		path = path[len] ? path + len + 1 : NULL;
	}
	return diag_fail(ENOENT, diag, "network", "CNI plugin %.64s is not in %.256s", type,
			 plugin_path());
}

static void run_plugin(const char *program, const struct cni_plugin_call *call, int fd)
{
	sigset_t none;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	if (dup2(fd, STDIN_FILENO) < 0 || dup2(fd, STDOUT_FILENO) < 0 ||
	    setenv("CNI_COMMAND", call->command, 1) < 0 ||
	    setenv("CNI_CONTAINERID", call->id, 1) < 0 || setenv("CNI_NETNS", call->netns, 1) < 0 ||
	    setenv("CNI_IFNAME", call->interface, 1) < 0 ||
	    setenv("CNI_PATH", plugin_path(), 1) < 0)
		_exit(127);
	(void)unsetenv("CNI_ARGS");
	(void)execl(program, program, (char *)NULL);
	_exit(127);
}

static int send_input(int fd, const struct buf *input)
{
	for (size_t sent = 0; sent < input->len;) {
		ssize_t n = send(fd, input->data + sent, input->len - sent, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		/* One that does not care for its input is not wrong. */
		if (n < 0)
			return errno == EPIPE ? 0 : -errno;
		sent += (size_t)n;
	}
	return shutdown(fd, SHUT_WR) < 0 ? -errno : 0;
}

static int receive_output(int fd, struct buf *out)
{
	int64_t deadline = clock_now_ms() + TIMEOUT_MS;

	for (;;) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		int64_t left = deadline - clock_now_ms();
		if (left <= 0)
			return -ETIMEDOUT;
		if (poll(&p, 1, (int)left) <= 0)
			continue;
		char *to = buf_reserve(out, 4096);
		if (!to || out->len > OUTPUT_MAX)
			return -ENOMEM;
		ssize_t n = read(fd, to, 4096);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : 0;
		out->len += (size_t)n;
		out->data[out->len] = '\0';
	}
}

int cni_plugin_run(const struct cni_plugin_call *call, struct buf *out, struct diag *diag)
{
	char program[PATH_MAX];
	int fds[2], status = 0;

	int r = find(call->type, program, diag);
	if (r < 0)
		return r;
	/* A socket pair, for a plugin that has gone must not raise SIGPIPE. */
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
		return diag_fail(errno, diag, NULL, "cannot make a pipe: %s", strerror(errno));
	_cleanup_fd_ int ours = fds[0], theirs = fds[1];
	pid_t pid = fork();
	if (pid == 0)
		run_plugin(program, call, theirs);
	if (pid < 0)
		return diag_fail(errno, diag, NULL, "cannot fork: %s", strerror(errno));
	theirs = fd_close(theirs);
	r = send_input(ours, call->input);
	if (r == 0)
		r = receive_output(ours, out);
	if (r < 0)
		(void)kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (r < 0)
		return diag_fail(-r, diag, "network", "CNI plugin %.64s (%s): %s", call->type,
				 call->command, strerror(-r));
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	_cleanup_buf_ struct buf words = {0};
	cni_error_text(out->data ? out->data : "", out->len, &words);
	return diag_fail(EIO, diag, "network", "CNI plugin %.64s (%s): %s", call->type,
			 call->command, words.len > 0 ? words.data : "it failed without a word");
}
