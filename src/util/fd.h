/* fd: owned file descriptors, and passing them over Unix sockets. */
#pragma once

#include <stddef.h>
#include <sys/types.h>

#include "util/cleanup.h"

/* fd_close(fd): close `fd` if it is not negative; errno is kept. Always returns -1, so that
 * `x->fd = fd_close(x->fd)` leaves no stale number behind. */
int fd_close(int fd);

static inline void fd_closep(int *fd)
{
	fd_close(*fd);
}
#define _cleanup_fd_ _cleanup_(fd_closep)

/* How many descriptors one message may carry here. */
#define FD_PASS_MAX 4

/* fd_send(sock, data, len, fds, n_fds): send one message with `n_fds` (<= FD_PASS_MAX) descriptors
 * attached. The descriptors stay the caller's. Returns 0 or -errno (-EAGAIN on a full socket). */
int fd_send(int sock, const void *data, size_t len, const int *fds, size_t n_fds);

/* fd_receive(sock, data, cap, ret_fds, ret_n_fds): receive one message and its descriptors
 * (close-on-exec set; unused slots of ret_fds are -1; the caller owns them).
 * Returns the length, 0 at end of stream, or -errno; -EMSGSIZE if the data or the descriptors did
 * not fit (nothing is handed out then). */
ssize_t fd_receive(int sock, void *data, size_t cap, int ret_fds[FD_PASS_MAX], size_t *ret_n_fds);
