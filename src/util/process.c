#include "util/process.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "util/buf.h"
#include "util/fd.h"
#include "util/file.h"

/* starttime is the 22nd field; the second, the command's name, may hold spaces and parentheses, so
 * counting begins after its last parenthesis. */
static int parse_started(const char *stat, uint64_t *ret)
{
	const char *p = strrchr(stat, ')');
	unsigned long long started;

	for (int field = 2; p && field < 22; field++)
		p = strchr(p + 1, ' ');
	if (!p || sscanf(p, " %llu", &started) != 1)
		return -EIO;
	*ret = started;
	return 0;
}

bool process_exited(int pidfd)
{
	struct pollfd p = {.fd = pidfd, .events = POLLIN};

	return poll(&p, 1, 0) > 0;
}

int process_open(pid_t pid, int *ret_pidfd, uint64_t *ret_started)
{
	_cleanup_secret_ char *stat = NULL;
	char path[64];

	_cleanup_fd_ int fd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (fd < 0)
		return -errno;
	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	int r = file_read(path, 4096, &stat, NULL);
	if (r == -ENOENT)
		return -ESRCH;
	if (r == 0)
		r = parse_started(stat, ret_started);
	if (r < 0)
		return r;
	/* One that only waits for its parent to look has no namespaces any more. */
	if (process_exited(fd))
		return -ESRCH;
	*ret_pidfd = fd;
	fd = -1;
	return 0;
}

int64_t process_loginuid(pid_t pid)
{
	_cleanup_secret_ char *text = NULL;
	char path[64];
	unsigned uid;

	snprintf(path, sizeof(path), "/proc/%d/loginuid", (int)pid);
	if (file_read(path, 64, &text, NULL) < 0 || sscanf(text, "%u", &uid) != 1)
		return -1;
	return uid == UINT32_MAX ? -1 : (int64_t)uid;
}
