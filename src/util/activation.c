#include "util/activation.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "util/fd.h"

#define FIRST_FD 3 /* SD_LISTEN_FDS_START */

/* How many were passed to this very process. */
static long long count_passed(void)
{
	const char *pid = getenv("LISTEN_PID"), *n = getenv("LISTEN_FDS");
	long long passed = 0;

	if (pid && n && strtoll(pid, NULL, 10) == (long long)getpid())
		passed = strtoll(n, NULL, 10);
	/* Not for the programs that we run. */
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
	return passed;
}

static int get_option(int fd, int option)
{
	int value = -1;
	socklen_t len = sizeof(value);

	return getsockopt(fd, SOL_SOCKET, option, &value, &len) < 0 ? -1 : value;
}

static int check(int fd, int type, const char *path, struct diag *diag)
{
	struct sockaddr_un address = {0};
	socklen_t len = sizeof(address) - 1; /* leaves a NUL */

	if (get_option(fd, SO_DOMAIN) != AF_UNIX || get_option(fd, SO_TYPE) != type ||
	    get_option(fd, SO_ACCEPTCONN) != 1)
		return diag_fail(
			EINVAL, diag, "socket",
			"the service manager has passed what is no listening Unix %s socket",
			type == SOCK_STREAM ? "stream" : "sequential-packet");
	if (getsockname(fd, (struct sockaddr *)&address, &len) < 0)
		return diag_fail(errno, diag, "socket", "getsockname: %s", strerror(errno));
	if (strcmp(address.sun_path, path) != 0)
		return diag_fail(EINVAL, diag, "socket",
				 "the service manager listens at \"%s\", the configuration says "
				 "\"%s\": make them the same",
				 address.sun_path, path);
	if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 || fcntl(fd, F_SETFL, O_NONBLOCK) < 0)
		return diag_fail(errno, diag, "socket", "fcntl: %s", strerror(errno));
	return 0;
}

int activation_take(int type, const char *path, int *ret_fd, struct diag *diag)
{
	long long n = count_passed();

	*ret_fd = -1;
	if (n == 0)
		return 0;
	if (n != 1)
		return diag_fail(EINVAL, diag, "socket",
				 "the service manager has passed %lld sockets, not one", n);
	int r = check(FIRST_FD, type, path, diag);
	if (r == 0)
		*ret_fd = FIRST_FD;
	return r;
}
