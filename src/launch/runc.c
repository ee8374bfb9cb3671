#include "launch/runc.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const int forwarded[] = {SIGHUP,	 SIGINT,  SIGQUIT, SIGTERM,
				SIGUSR1, SIGUSR2, SIGCONT, SIGWINCH};

static void make_set(sigset_t *ret, bool with_child)
{
	sigemptyset(ret);
	for (size_t i = 0; i < sizeof(forwarded) / sizeof(forwarded[0]); i++)
		sigaddset(ret, forwarded[i]);
	if (with_child)
		sigaddset(ret, SIGCHLD);
}

void runc_block_signals(void)
{
	sigset_t set;

	make_set(&set, true);
	(void)signal(SIGCHLD, SIG_DFL);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
}

/* In the child. */
static void become(const struct runc *runc, char *const argv[], bool quiet)
{
	sigset_t none;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	int fd = quiet ? open("/dev/null", O_RDWR | O_CLOEXEC) : -1;
	for (int i = 0; fd >= 0 && i < 3; i++)
		(void)dup2(fd, i);
	(void)execvp(runc->path, argv);
	(void)fprintf(stderr, "rolegate: [runtime] path = %s: %s\n", runc->path, strerror(errno));
	_exit(127);
}

static pid_t start(const struct runc *runc, char *const argv[], bool quiet)
{
	pid_t parent = getpid(), pid = fork();

	if (pid == 0) {
		if (getppid() != parent)
			_exit(127);
		become(runc, argv, quiet);
	}
	return pid;
}

/* Pass signals on until the child's end. Those that a terminal sends went to it, too. */
static int attend(pid_t pid)
{
	sigset_t set;
	siginfo_t info;
	int status;

	make_set(&set, true);
	for (;;) {
		int number = sigwaitinfo(&set, &info);
		if (number == SIGCHLD) {
			if (waitpid(pid, &status, WNOHANG) != pid)
				continue; /* another child of ours */
			return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
		} else if (number > 0 && info.si_code <= 0) {
			(void)kill(pid, number);
		}
	}
}

static bool is_interrupted(void)
{
	static const int ending[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM};
	sigset_t pending;

	if (sigpending(&pending) < 0)
		return false;
	for (size_t i = 0; i < sizeof(ending) / sizeof(ending[0]); i++)
		if (sigismember(&pending, ending[i]))
			return true;
	return false;
}

int runc_run(const struct runc *runc, const char *id, const char *bundle, int *ret_status,
	     struct diag *diag)
{
	char root[PATH_MAX], name[160], dir[PATH_MAX];
	char program[] = "runc", option_root[] = "--root", verb[] = "run", keep[] = "--bundle";
	char *const argv[] = {program, option_root, root, verb, keep, dir, name, NULL};

	snprintf(root, sizeof(root), "%s/runc", runc->state_root);
	snprintf(name, sizeof(name), "%s", id);
	snprintf(dir, sizeof(dir), "%s", bundle);
	if (is_interrupted())
		return diag_fail(EINTR, diag, NULL, "a signal came before its start");
	pid_t pid = start(runc, argv, false);
	if (pid < 0)
		return diag_fail(errno, diag, NULL, "cannot fork: %s", strerror(errno));
	*ret_status = attend(pid);
	return 0;
}

void runc_delete(const struct runc *runc, const char *id)
{
	char root[PATH_MAX], name[160];
	char program[] = "runc", option_root[] = "--root", verb[] = "delete", force[] = "--force";
	char *const argv[] = {program, option_root, root, verb, force, name, NULL};

	snprintf(root, sizeof(root), "%s/runc", runc->state_root);
	snprintf(name, sizeof(name), "%s", id);
	pid_t pid = start(runc, argv, true);
	while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}
