#include "rolegate-runtime/real_runtime.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define SELF "/proc/self/exe"
/* Where an engine that has no $PATH has its runtime. */
#define PATH_DEFAULT "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/* Look a name without slash up as execvp() does. */
static int find(const char *name, char ret[static PATH_MAX], struct diag *diag)
{
	const char *path = getenv("PATH");

	if (strchr(name, '/')) {
		snprintf(ret, PATH_MAX, "%s", name);
		return 0;
	}
	for (path = path && path[0] ? path : PATH_DEFAULT; path;) {
		size_t len = strcspn(path, ":");
		int n = snprintf(ret, PATH_MAX, "%.*s/%s", (int)len, path, name);
		if (len > 0 && n < PATH_MAX && access(ret, X_OK) == 0)
			return 0;
		path = path[len] ? path + len + 1 : NULL;
	}
	return diag_fail(ENOENT, diag, NULL, "[runtime] path = %s: it is not in $PATH", name);
}

static int find_other(const char *name, char ret[static PATH_MAX], struct diag *diag)
{
	struct stat self, other;

	int r = find(name, ret, diag);
	if (r < 0)
		return r;
	if (stat(ret, &other) < 0)
		return diag_fail(errno, diag, NULL, "[runtime] path = %s: %s", name,
				 strerror(errno));
	if (stat(SELF, &self) == 0 && self.st_ino == other.st_ino && self.st_dev == other.st_dev)
		return diag_fail(ELOOP, diag, NULL,
				 "[runtime] path = %s is this very program, not the real runtime",
				 name);
	return 0;
}

int real_runtime_become(const char *path, char *argv[], struct diag *diag)
{
	char found[PATH_MAX];

	int r = find_other(path, found, diag);
	if (r < 0)
		return r;
	argv[0] = found;
	(void)execv(found, argv);
	return diag_fail(errno, diag, NULL, "[runtime] path = %s: %s", path, strerror(errno));
}

int real_runtime_run(const char *path, char *argv[], struct diag *diag)
{
	int status;

	/* Ignored, as a caller may leave it to us, there would be nothing to wait for. */
	(void)signal(SIGCHLD, SIG_DFL);
	pid_t parent = getpid(), pid = fork();
	if (pid < 0)
		return diag_fail(errno, diag, NULL, "cannot fork: %s", strerror(errno));
	if (pid == 0) {
		struct diag why = {0};
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() == parent)
			real_runtime_become(path, argv, &why);
		(void)fprintf(stderr, "%s\n", why.text);
		_exit(127);
	}
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return diag_fail(errno, diag, NULL, "cannot wait: %s", strerror(errno));
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int real_runtime_sibling(const char *name, char ret[static PATH_MAX], struct diag *diag)
{
	char self[PATH_MAX];

	ssize_t n = readlink(SELF, self, sizeof(self) - 1);
	if (n < 0)
		return diag_fail(errno, diag, NULL, SELF ": %s", strerror(errno));
	self[n] = '\0';
	char *slash = strrchr(self, '/');
	if (slash)
		*slash = '\0';
	if (snprintf(ret, PATH_MAX, "%s/%s", self, name) >= PATH_MAX)
		return diag_fail(ENAMETOOLONG, diag, NULL, "%s: the path is too long", name);
	if (access(ret, X_OK) < 0)
		return diag_fail(errno, diag, NULL, "%.256s: %s", ret, strerror(errno));
	return 0;
}
