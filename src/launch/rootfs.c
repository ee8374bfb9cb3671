#include "launch/rootfs.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/fd.h"

int rootfs_isolate(struct diag *diag)
{
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
		return diag_fail(errno, diag, NULL, "cannot make a mount namespace: %s",
				 strerror(errno));
	return 0;
}

static int write_map(pid_t pid, const char *name, uint32_t base, uint32_t size)
{
	char path[64], text[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	_cleanup_fd_ int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	int n = snprintf(text, sizeof(text), "0 %u %u\n", base, size);
	return write(fd, text, (size_t)n) == n ? 0 : -errno;
}

/* A user namespace that maps 0 to size - 1 to base and on: a child makes it, and is gone once it is
 * open. */
static int open_user_namespace(uint32_t base, uint32_t size, int *ret_fd)
{
	char path[64], byte;
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	_cleanup_fd_ int read_fd = fds[0], write_fd = fds[1];
	pid_t parent = getpid(), pid = fork();
	if (pid < 0)
		return -errno;
	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent || unshare(CLONE_NEWUSER) < 0 ||
		    write(write_fd, "", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	write_fd = fd_close(write_fd);
	int r = read(read_fd, &byte, 1) == 1 ? 0 : -EPERM;
	if (r == 0)
		r = write_map(pid, "uid_map", base, size);
	if (r == 0)
		r = write_map(pid, "gid_map", base, size);
	snprintf(path, sizeof(path), "/proc/%d/ns/user", (int)pid);
	if (r == 0) {
		*ret_fd = open(path, O_RDONLY | O_CLOEXEC);
		r = *ret_fd < 0 ? -errno : 0;
	}
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
	return r;
}

static int set_ids(int tree_fd, uint32_t base, uint32_t size)
{
	struct mount_attr attr = {.attr_set = MOUNT_ATTR_IDMAP};
	_cleanup_fd_ int user_fd = -1;

	int r = open_user_namespace(base, size, &user_fd);
	if (r < 0)
		return r;
	attr.userns_fd = (uint64_t)user_fd;
	return mount_setattr(tree_fd, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0 ? -errno : 0;
}

int rootfs_mount(const char *source, const char *target, uint32_t ids_base, uint32_t ids_size,
		 bool *ret_plain, struct diag *diag)
{
	struct mount_attr attr = {.attr_set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV,
				  .propagation = MS_PRIVATE};

	*ret_plain = false;
	if (mkdir(target, 0711) < 0 && errno != EEXIST)
		return diag_fail(errno, diag, NULL, "%s: %s", target, strerror(errno));
	_cleanup_fd_ int fd = open_tree(AT_FDCWD, source, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (fd < 0 || mount_setattr(fd, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0)
		return diag_fail(errno, diag, "rootfs", "%s: %s", source, strerror(errno));
	int r = ids_size ? set_ids(fd, ids_base, ids_size) : 0;
	*ret_plain = r == -EINVAL || r == -EOPNOTSUPP;
	if (r < 0 && !*ret_plain)
		return diag_fail(-r, diag, "rootfs", "%s: its owners cannot be mapped: %s", source,
				 strerror(-r));
	if (move_mount(fd, "", AT_FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return diag_fail(errno, diag, NULL, "%s: %s", target, strerror(errno));
	return 0;
}

int rootfs_mount_sys(const char *target, const char *netns, struct diag *diag)
{
	int status = 0;

	if (mkdir(target, 0711) < 0 && errno != EEXIST)
		return diag_fail(errno, diag, NULL, "%s: %s", target, strerror(errno));
	pid_t pid = fork();
	if (pid < 0)
		return diag_fail(errno, diag, NULL, "cannot fork: %s", strerror(errno));
	if (pid == 0) {
		/* sysfs shows the network of whoever mounts it. */
		int fd = open(netns, O_RDONLY | O_CLOEXEC);
		if (fd < 0 || setns(fd, CLONE_NEWNET) < 0 ||
		    mount("sysfs", target, "sysfs", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC,
			  NULL) < 0)
			_exit(errno ? errno : 1);
		_exit(0);
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	int error = WIFEXITED(status) ? WEXITSTATUS(status) : EIO;
	return diag_fail(error, diag, NULL, "cannot mount a sysfs: %s", strerror(error));
}
