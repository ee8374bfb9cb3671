#include "rolegate-netd/kept.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "util/fd.h"

#define SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

int kept_set(struct netd *netd, int fd, struct diag *diag)
{
	struct stat st;

	if (fd >= 0) {
		int seals = fcntl(fd, F_GET_SEALS);
		if (seals < 0 || (seals & SEALS) != SEALS || fstat(fd, &st) < 0)
			return diag_fail(EINVAL, diag, "fds",
					 "what is to be kept is no sealed "
					 "memory file");
		if (st.st_size > NETD_KEEP_MAX)
			return diag_fail(EFBIG, diag, "fds", "%lld bytes are too many to keep",
					 (long long)st.st_size);
	}
	fd_close(netd->kept_fd);
	netd->kept_fd = fd;
	return 0;
}
