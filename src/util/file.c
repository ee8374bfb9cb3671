#include "util/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/buf.h"
#include "util/fd.h"

static int read_all(int fd, size_t max, struct buf *ret)
{
	for (;;) {
		char *to = buf_reserve(ret, 4096);
		if (!to)
			return -ENOMEM;
		ssize_t n = read(fd, to, 4096);
		if (n < 0) {
			if (errno == EINTR)
				continue;
			return -errno;
		}
		ret->len += (size_t)n;
		ret->data[ret->len] = '\0';
		if (n == 0)
			return 0;
		if (ret->len > max)
			return -EFBIG;
	}
}

int file_read_at(int dir_fd, const char *path, size_t max, char **ret_text, size_t *ret_len)
{
	_cleanup_buf_ struct buf text = {0};
	struct stat st;

	/* Non-blocking, so that a FIFO in the file's place cannot hang the daemon. */
	_cleanup_fd_ int fd = openat(dir_fd, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL;

	int r = read_all(fd, max, &text);
	if (r < 0)
		return r;
	if (!ret_len && strlen(text.data) != text.len)
		return -EINVAL;
	if (ret_len)
		*ret_len = text.len;
	*ret_text = buf_steal(&text);
	return *ret_text ? 0 : -ENOMEM;
}

int file_read(const char *path, size_t max, char **ret_text, size_t *ret_len)
{
	return file_read_at(AT_FDCWD, path, max, ret_text, ret_len);
}

static int write_all(int fd, const char *data, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, data, len);
		if (n < 0) {
			if (errno == EINTR)
				continue;
			return -errno;
		}
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

static int write_and_rename(int dir_fd, const char *name, const void *data, size_t len, mode_t mode,
			    bool sync)
{
	char temporary[300];

	/* The leading dot keeps it out of a listing of state files if we die half way. */
	int n = snprintf(temporary, sizeof(temporary), ".%s.new", name);
	if (n < 0 || (size_t)n >= sizeof(temporary))
		return -ENAMETOOLONG;
	_cleanup_fd_ int fd = openat(dir_fd, temporary,
				     O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode);
	if (fd < 0)
		return -errno;
	int r = write_all(fd, data, len);
	if (r == 0 && sync && fsync(fd) < 0)
		r = -errno;
	if (r == 0 && renameat(dir_fd, temporary, dir_fd, name) < 0)
		r = -errno;
	if (r < 0)
		(void)unlinkat(dir_fd, temporary, 0);
	return r;
}

int file_write_atomic(int dir_fd, const char *name, const void *data, size_t len, mode_t mode)
{
	return write_and_rename(dir_fd, name, data, len, mode, true);
}

int file_write_unsynced(int dir_fd, const char *name, const void *data, size_t len, mode_t mode)
{
	return write_and_rename(dir_fd, name, data, len, mode, false);
}

int file_replace(const char *path, const void *data, size_t len)
{
	char real[PATH_MAX], temporary[PATH_MAX + 16];
	struct stat st;

	/* Not the symbolic link is to be replaced, but what it leads to. */
	if (!realpath(path, real) || stat(real, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	snprintf(temporary, sizeof(temporary), "%s.XXXXXX", real);
	_cleanup_fd_ int fd = mkostemp(temporary, O_CLOEXEC);
	if (fd < 0)
		return -errno;
	int r = write_all(fd, data, len);
	if (r == 0 && (fchown(fd, st.st_uid, st.st_gid) < 0 || fchmod(fd, st.st_mode & 07777) < 0 ||
		       rename(temporary, real) < 0))
		r = -errno;
	if (r < 0)
		(void)unlink(temporary);
	return r;
}
