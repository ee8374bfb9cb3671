#include "privileged/netns.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/nsfs.h>
#include <linux/sockios.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "util/fd.h"

static void id_of_stat(const struct stat *st, struct netns_id *ret)
{
	*ret = (struct netns_id){.dev = st->st_dev, .ino = st->st_ino};
}

int netns_of_path(const char *path, struct netns_id *ret)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return -errno;
	id_of_stat(&st, ret);
	return 0;
}

int netns_hosts_init(struct netns_hosts *ret, struct diag *diag)
{
	int r = netns_of_path("/proc/self/ns/net", &ret->own);
	if (r < 0)
		return diag_fail(-r, diag, NULL, "/proc/self/ns/net: %s", strerror(-r));
	if (netns_of_path("/proc/1/ns/net", &ret->init) < 0)
		ret->init = ret->own;
	return 0;
}

bool netns_is_host(const struct netns_hosts *hosts, const struct netns_id *id)
{
	/* Below the first inode that is given out (0xf0000000), so no other can have it. */
	return netns_id_equal(id, &hosts->own) || netns_id_equal(id, &hosts->init) ||
	       id->ino == NETNS_INITIAL_INODE;
}

/* Look at what O_PATH opened, then open it for real, by the descriptor: a path can change. */
static int reopen_nsfs(int path_fd, const char *path, int *ret_fd, struct diag *diag)
{
	struct statfs fs;
	char link[64];

	if (fstatfs(path_fd, &fs) < 0)
		return diag_fail(errno, diag, "netns", "netns path %s: %s", path, strerror(errno));
	if (fs.f_type != NSFS_MAGIC)
		return diag_fail(EINVAL, diag, "netns", "netns path %s is no namespace", path);
	snprintf(link, sizeof(link), "/proc/self/fd/%d", path_fd);
	_cleanup_fd_ int fd = open(link, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return diag_fail(errno, diag, "netns", "netns path %s: %s", path, strerror(errno));
	/* pidfds live in their own file system nowadays, but did not always */
	if (ioctl(fd, NS_GET_NSTYPE) != CLONE_NEWNET)
		return diag_fail(EINVAL, diag, "netns",
				 "netns path %s is a namespace, but not of the network", path);
	*ret_fd = fd;
	fd = -1;
	return 0;
}

int netns_open(const char *path, const struct netns_hosts *hosts, int *ret_fd,
	       struct netns_id *ret_id, struct diag *diag)
{
	_cleanup_fd_ int fd = -1;
	struct netns_id id;
	struct stat st;

	_cleanup_fd_ int path_fd = open(path, O_PATH | O_CLOEXEC);
	if (path_fd < 0)
		return diag_fail(errno, diag, "netns", "netns path %s: %s", path, strerror(errno));
	int r = reopen_nsfs(path_fd, path, &fd, diag);
	if (r < 0)
		return r;
	if (fstat(fd, &st) < 0)
		return diag_fail(errno, diag, "netns", "netns path %s: %s", path, strerror(errno));
	id_of_stat(&st, &id);
	if (netns_is_host(hosts, &id))
		return diag_fail(EINVAL, diag, "netns",
				 "netns path %s is the host's own network namespace", path);
	*ret_fd = fd;
	*ret_id = id;
	fd = -1;
	return 0;
}

int netns_of_socket(int sock, int *ret_fd, struct netns_id *ret_id)
{
	struct stat st;

	_cleanup_fd_ int fd = ioctl(sock, SIOCGSKNS);
	if (fd < 0)
		return -errno;
	if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 || fstat(fd, &st) < 0)
		return -errno;
	id_of_stat(&st, ret_id);
	*ret_fd = fd;
	fd = -1;
	return 0;
}

int netns_enter(int fd, struct diag *diag)
{
	if (setns(fd, CLONE_NEWNET) < 0)
		return diag_fail(errno, diag, NULL, "cannot enter the netns: %s", strerror(errno));
	return 0;
}
