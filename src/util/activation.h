/* activation: listening sockets that a service manager has made for us and passes at the start, by
 * the protocol of sd_listen_fds(3): clients then wait while nobody serves, instead of failing.
 */
#pragma once

#include "util/diag.h"

/* activation_take(type, path, ret_fd, diag): the passed socket, which must be a listening Unix
 * socket of that type (SOCK_STREAM, SOCK_SEQPACKET) at `path`, close-on-exec and non-blocking; the
 * caller's. *ret_fd is -1 if none was passed. 0, or -EINVAL if what was passed is something else:
 * then the service manager waits at one place, and clients at another. To be called once, before
 * anything else is opened for good. */
int activation_take(int type, const char *path, int *ret_fd, struct diag *diag);
