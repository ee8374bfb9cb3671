#include "util/fd.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int fd_close(int fd)
{
	if (fd >= 0) {
		int saved = errno;
		(void)close(fd);
		errno = saved;
	}
	return -1;
}

union fd_control {
	char buf[CMSG_SPACE(sizeof(int) * FD_PASS_MAX)];
	struct cmsghdr align;
};

int fd_send(int sock, const void *data, size_t len, const int *fds, size_t n_fds)
{
	union fd_control control = {0};
	struct iovec iov = {.iov_base = (void *)data, .iov_len = len};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

	if (n_fds > FD_PASS_MAX)
		return -EINVAL;
	if (n_fds > 0) {
		msg.msg_control = control.buf;
		msg.msg_controllen = CMSG_SPACE(sizeof(int) * n_fds);
		struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(sizeof(int) * n_fds);
		memcpy(CMSG_DATA(cmsg), fds, sizeof(int) * n_fds);
	}

	ssize_t n;
	do {
		n = sendmsg(sock, &msg, MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	return (size_t)n == len ? 0 : -EMSGSIZE;
}

/* Collect the descriptors of one message; more than FD_PASS_MAX are closed by the kernel, which
 * then sets MSG_CTRUNC. */
static void collect_fds(struct msghdr *msg, int ret_fds[FD_PASS_MAX], size_t *ret_n_fds)
{
	for (struct cmsghdr *cmsg = CMSG_FIRSTHDR(msg); cmsg; cmsg = CMSG_NXTHDR(msg, cmsg)) {
		if (cmsg->cmsg_level != SOL_SOCKET || cmsg->cmsg_type != SCM_RIGHTS)
			continue;
		size_t n = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < n; i++) {
			int fd;
			memcpy(&fd, CMSG_DATA(cmsg) + i * sizeof(int), sizeof(fd));
			if (*ret_n_fds < FD_PASS_MAX)
				ret_fds[(*ret_n_fds)++] = fd;
			else
				fd_close(fd);
		}
	}
}

ssize_t fd_receive(int sock, void *data, size_t cap, int ret_fds[FD_PASS_MAX], size_t *ret_n_fds)
{
	union fd_control control = {0};
	struct iovec iov = {.iov_base = data, .iov_len = cap};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control.buf,
			     .msg_controllen = sizeof(control.buf)};

	for (size_t i = 0; i < FD_PASS_MAX; i++)
		ret_fds[i] = -1;
	*ret_n_fds = 0;

	ssize_t n;
	do {
		n = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;

	collect_fds(&msg, ret_fds, ret_n_fds);
	if (msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) {
		for (size_t i = 0; i < *ret_n_fds; i++)
			ret_fds[i] = fd_close(ret_fds[i]);
		*ret_n_fds = 0;
		return -EMSGSIZE;
	}
	return n;
}
