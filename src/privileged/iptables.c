#include "privileged/iptables.h"

#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/fd.h"

/* What iptables-save may write before it counts as an attack on our memory; also rlimited. */
#define OUTPUT_MAX ((size_t)8 * 1024 * 1024)

/* Files in memory instead of pipes: nobody has to feed and drain them while the program runs. */
struct process {
	pid_t pid; /* 0: not started */
	int in_fd, out_fd, err_fd;
	char name[32];
};

const char *iptables_family_name(enum iptables_family family)
{
	return family == IPTABLES_V4 ? "IPv4" : "IPv6";
}

static void process_deinit(struct process *p)
{
	if (p->pid > 0) {
		(void)kill(p->pid, SIGKILL);
		(void)waitpid(p->pid, NULL, 0);
	}
	fd_close(p->in_fd);
	fd_close(p->out_fd);
	fd_close(p->err_fd);
}
#define _cleanup_process_ _cleanup_(process_deinit)
#define PROCESS_NONE                                                                               \
	{                                                                                          \
		.in_fd = -1, .out_fd = -1, .err_fd = -1                                            \
	}

static int find_program(const char *name, char *ret_path, size_t size, struct diag *diag)
{
	static const char *const directories[] = {"/usr/sbin", "/sbin"};

	for (size_t i = 0; i < sizeof(directories) / sizeof(directories[0]); i++) {
		snprintf(ret_path, size, "%s/%s", directories[i], name);
		if (access(ret_path, X_OK) == 0)
			return 0;
	}
	return diag_fail(ENOENT, diag, NULL,
			 "%s is in neither /usr/sbin nor /sbin: install iptables", name);
}

static int memory_file(const char *text, int *ret_fd)
{
	_cleanup_fd_ int fd = memfd_create("iptables", MFD_CLOEXEC);
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

static int spawn(struct process *p, const char *path, char *const argv[])
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

static int process_start(struct process *p, enum iptables_family family, const char *verb,
			 const char *const arguments[3], const char *input, struct diag *diag)
{
	char path[64];

	snprintf(p->name, sizeof(p->name), "ip%stables-%s", family == IPTABLES_V6 ? "6" : "", verb);
	int r = find_program(p->name, path, sizeof(path), diag);
	if (r < 0)
		return r;
	r = memory_file(input, &p->in_fd);
	if (r == 0)
		r = memory_file(NULL, &p->out_fd);
	if (r == 0)
		r = memory_file(NULL, &p->err_fd);
	if (r < 0)
		return diag_fail(-r, diag, NULL, "memory file for %s: %s", p->name, strerror(-r));

	char *argv[] = {p->name, NULL, NULL, NULL, NULL, NULL};
	size_t n = 1;
	if (strcmp(verb, "restore") == 0) {
		argv[n++] = (char *)"--noflush";
		/* Wait for the lock that all users of iptables-legacy share. */
		argv[n++] = (char *)"-w";
		argv[n++] = (char *)"10";
	}
	for (size_t i = 0; arguments && i < 3 && arguments[i] && n < 5; i++)
		argv[n++] = (char *)arguments[i];
	r = spawn(p, path, argv);
	if (r < 0)
		return diag_fail(-r, diag, NULL, "%s cannot be run: %s", path, strerror(-r));
	return 0;
}

/* The first line of what the program complained about. */
static void complain(const struct process *p, int status, struct diag *diag)
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

static int process_wait(struct process *p, struct diag *diag)
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

int iptables_restore(const char *const rules[IPTABLES_FAMILIES], int ret_error[IPTABLES_FAMILIES],
		     struct diag *diag)
{
	_cleanup_process_ struct process v4 = PROCESS_NONE;
	_cleanup_process_ struct process v6 = PROCESS_NONE;
	struct process *const processes[IPTABLES_FAMILIES] = {&v4, &v6};
	int first = 0;

	for (int i = 0; i < IPTABLES_FAMILIES; i++) {
		ret_error[i] = 0;
		if (rules[i] && rules[i][0])
			ret_error[i] = process_start(processes[i], i, "restore", NULL, rules[i],
						     first ? NULL : diag);
		first = first ? first : ret_error[i];
	}
	for (int i = 0; i < IPTABLES_FAMILIES; i++) {
		if (!processes[i]->pid)
			continue;
		ret_error[i] = process_wait(processes[i], first ? NULL : diag);
		first = first ? first : ret_error[i];
	}
	return first;
}

static int save(const char *table, bool counters, bool want_v6, struct buf ret[IPTABLES_FAMILIES],
		struct diag *diag)
{
	_cleanup_process_ struct process v4 = PROCESS_NONE;
	_cleanup_process_ struct process v6 = PROCESS_NONE;
	struct process *const processes[IPTABLES_FAMILIES] = {&v4, &v6};
	const char *const arguments[3] = {
		counters ? "-c"
		: table	 ? "-t"
			 : NULL,
		counters && table ? "-t" : table,
		counters ? table : NULL,
	};
	int families = want_v6 ? IPTABLES_FAMILIES : IPTABLES_V6;

	for (int i = 0; i < families; i++) {
		int r = process_start(processes[i], i, "save", arguments, NULL, diag);
		if (r < 0)
			return r;
	}
	for (int i = 0; i < families; i++) {
		int r = process_wait(processes[i], diag);
		if (r < 0)
			return r;
		r = read_memory_file(processes[i]->out_fd, &ret[i]);
		if (r < 0)
			return diag_fail(-r, diag, NULL, "reading from %s: %s", processes[i]->name,
					 strerror(-r));
		buf_puts(&ret[i], ""); /* "" rather than NULL */
		if (!buf_ok(&ret[i]))
			return -ENOMEM;
	}
	return 0;
}

int iptables_save(const char *table, bool want_v6, struct buf ret[IPTABLES_FAMILIES],
		  struct diag *diag)
{
	return save(table, false, want_v6, ret, diag);
}

int iptables_save_counters(const char *table, bool want_v6, struct buf ret[IPTABLES_FAMILIES],
			   struct diag *diag)
{
	return save(table, true, want_v6, ret, diag);
}
