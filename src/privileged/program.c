#include "privileged/program.h"

#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/fd.h"

/* What a program may write before it counts as an attack on our memory; also rlimited. */
#define OUTPUT_MAX ((size_t)8 * 1024 * 1024)
#define ARGUMENTS_MAX 6

void program_deinit(struct program *p)
{
	if (p->pid > 0) {
		(void)kill(p->pid, SIGKILL);
		(void)waitpid(p->pid, NULL, 0);
	}
	fd_close(p->in_fd);
	fd_close(p->out_fd);
	fd_close(p->err_fd);
}
static int find_program(const char *name, char *ret_path, size_t size, const char *package,
			struct diag *diag)
{
	static const char *const directories[] = {"/usr/sbin", "/sbin"};

	for (size_t i = 0; i < sizeof(directories) / sizeof(directories[0]); i++) {
		snprintf(ret_path, size, "%s/%s", directories[i], name);
		if (access(ret_path, X_OK) == 0)
			return 0;
	}
	return diag_fail(ENOENT, diag, NULL, "%s is in neither /usr/sbin nor /sbin: install %s",
			 name, package);
}

static int memory_file(const char *text, int *ret_fd)
{
	_cleanup_fd_ int fd = memfd_create("rolegate", MFD_CLOEXEC);
	if (fd < 0)
		return -errno;
	size_t len = text ? strlen(text) : 0;
	for (size_t done = 0; done < len;) {
		ssize_t n = pwrite(fd, text + done, len - done, (off_t)done);
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		done += (size_t)n;
	}
	*ret_fd = fd;
	fd = -1;
	return 0;
}

static int read_memory_file(int fd, struct buf *ret)
{
	for (off_t at = 0;;) {
		char *to = buf_reserve(ret, 16384);
		if (!to)
			return -ENOMEM;
		ssize_t n = pread(fd, to, 16384, at);
		if (n < 0)
			return -errno;
		ret->len += (size_t)n;
		ret->data[ret->len] = '\0';
		if (n == 0)
			return 0;
		at += n;
		if ((size_t)at > OUTPUT_MAX)
			return -EFBIG;
	}
}

static int spawn(struct program *p, const char *path, char *const argv[])
{
	static char *const environment[] = {(char *)"PATH=/usr/sbin:/usr/bin:/sbin:/bin",
					    (char *)"LC_ALL=C", NULL};
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	sigset_t none, ignored;

	int r = posix_spawn_file_actions_init(&actions);
	if (r != 0)
		return -r;
	r = posix_spawnattr_init(&attr);
	if (r != 0) {
		posix_spawn_file_actions_destroy(&actions);
		return -r;
	}
	/* dup2() clears close-on-exec; all else stays closed. */
	posix_spawn_file_actions_adddup2(&actions, p->in_fd, STDIN_FILENO);
	posix_spawn_file_actions_adddup2(&actions, p->out_fd, STDOUT_FILENO);
	posix_spawn_file_actions_adddup2(&actions, p->err_fd, STDERR_FILENO);
	sigemptyset(&none);
	sigemptyset(&ignored);
	sigaddset(&ignored, SIGPIPE); /* by netd */
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setsigdefault(&attr, &ignored);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	r = posix_spawn(&p->pid, path, &actions, &attr, argv, environment);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&actions);
	if (r != 0)
		p->pid = 0;
	return -r;
}

int program_start(struct program *p, const char *name, const char *const arguments[],
		  const char *input, const char *package, struct diag *diag)
{
	char *argv[ARGUMENTS_MAX + 2] = {p->name};
	char path[64];

	snprintf(p->name, sizeof(p->name), "%s", name);
	int r = find_program(p->name, path, sizeof(path), package, diag);
	if (r < 0)
		return r;
	r = memory_file(input, &p->in_fd);
	if (r == 0)
		r = memory_file(NULL, &p->out_fd);
	if (r == 0)
		r = memory_file(NULL, &p->err_fd);
	if (r < 0)
		return diag_fail(-r, diag, NULL, "memory file for %s: %s", p->name, strerror(-r));
	for (size_t i = 0; i < ARGUMENTS_MAX && arguments[i]; i++)
		argv[i + 1] = (char *)arguments[i];
	r = spawn(p, path, argv);
	if (r < 0)
		return diag_fail(-r, diag, NULL, "%s cannot be run: %s", path, strerror(-r));
	return 0;
}

/* The first line of what the program complained about. */
static void complain(const struct program *p, int status, struct diag *diag)
{
	_cleanup_buf_ struct buf text = {0};

	(void)read_memory_file(p->err_fd, &text);
	const char *words = text.data ? text.data : "";
	words += strspn(words, " \n");
	int len = (int)strcspn(words, "\n");
	if (len > 300)
		len = 300;
	if (WIFSIGNALED(status))
		diag_set(diag, NULL, "%s was killed by signal %d", p->name, WTERMSIG(status));
	else
		diag_set(diag, NULL, "%s failed with status %d: %.*s", p->name, WEXITSTATUS(status),
			 len, words);
}

int program_wait(struct program *p, struct diag *diag)
{
	int status;

	while (waitpid(p->pid, &status, 0) < 0)
		if (errno != EINTR)
			return diag_fail(errno, diag, NULL, "waiting for %s: %s", p->name,
					 strerror(errno));
	p->pid = 0;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	complain(p, status, diag);
	return -EIO;
}

int program_output(struct program *p, struct buf *ret, struct diag *diag)
{
	int r = read_memory_file(p->out_fd, ret);

	if (r < 0)
		return diag_fail(-r, diag, NULL, "reading from %s: %s", p->name, strerror(-r));
	buf_puts(ret, ""); /* "" rather than NULL */
	return buf_ok(ret) ? 0 : -ENOMEM;
}
