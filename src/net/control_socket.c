#include "net/control_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "util/activation.h"
#include "util/fd.h"
#include "util/log.h"
#include "util/process.h"
#include "wire/config_value.h"

#define BACKLOG 512
#define GROUPS_MAX 256

struct control_group control_group_find(const char *name)
{
	const struct group *group = getgrnam(name);

	return group ? (struct control_group){.known = true, .gid = group->gr_gid}
		     : (struct control_group){0};
}

/* By a descriptor: the directory may be rolegated's user's, and root must not be led elsewhere by what
 * lies there under that name by now. */
static int give_to_group(const char *path, gid_t group)
{
	struct stat st;

	_cleanup_fd_ int fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;
	return fchownat(fd, "", (uid_t)-1, group, AT_EMPTY_PATH) < 0 ? -errno : 0;
}

/* Bound under another name, then renamed: while a new daemon takes over from an old one, there is
 * no moment without a socket, and the old one's stays connected to whom it serves. */
static int bind_aside(int fd, const char *path, struct control_group group)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	int n = snprintf(address.sun_path, sizeof(address.sun_path), "%s.%d", path, (int)getpid());
	if (n < 0 || (size_t)n >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	const char *aside = address.sun_path;
	(void)unlink(aside); /* of one that had our pid, and was killed here */
	/* The mode of the descriptor becomes that of the file. Nobody can connect before listen(). */
	mode_t old = umask(0117);
	int r = fchmod(fd, group.known ? 0660 : 0600) < 0 ||
				bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0
			? -errno
			: 0;
	umask(old);
	if (r < 0)
		return r;
	if (group.known)
		r = give_to_group(aside, group.gid);
	if (r == 0 && listen(fd, BACKLOG) < 0)
		r = -errno;
	if (r == 0 && rename(aside, path) < 0)
		r = -errno;
	if (r < 0)
		(void)unlink(aside);
	return r;
}

static int bind_socket(const char *path, struct control_group group)
{
	struct stat st;

	/* A socket left by a daemon that was killed, or of one that still serves; anything else in
	 * its place is not ours. */
	if (lstat(path, &st) == 0 && !S_ISSOCK(st.st_mode))
		return -EEXIST;
	_cleanup_fd_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	int r = bind_aside(fd, path, group);
	if (r < 0)
		return r;
	int taken = fd;
	fd = -1;
	return taken;
}

int control_socket_listen(const char *path, const char *group, int *ret_fd, struct diag *diag)
{
	struct control_group found = control_group_find(group);

	if (!found.known)
		log_warning(NULL, "there is no group %s: only root may use the control socket",
			    group);
	int r = activation_take(SOCK_STREAM, path, ret_fd, diag);
	if (r < 0 || *ret_fd >= 0)
		return r;
	int fd = bind_socket(path, found);
	if (fd < 0)
		return diag_fail(-fd, diag, "socket", "cannot listen on %s: %s", path,
				 fd == -EEXIST ? "something that is no socket is in its place"
					       : strerror(-fd));
	*ret_fd = fd;
	return 0;
}

static int bind_tcp(const struct addrinfo *ai)
{
	const int one = 1;

	_cleanup_fd_ int fd =
		socket(ai->ai_family, ai->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	/* The port is shared with whoever we take over from, who must be of the same user. */
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one)) < 0 ||
	    bind(fd, ai->ai_addr, ai->ai_addrlen) < 0 || listen(fd, BACKLOG) < 0)
		return -errno;
	int taken = fd;
	fd = -1;
	return taken;
}

int control_socket_listen_tcp(const char *where, int *ret_fd, struct diag *diag)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
	struct addrinfo *found = NULL;
	char host[256];
	const char *port;

	if (config_value_address(where, host, sizeof(host), &port) < 0)
		return diag_fail(EINVAL, diag, "tls_listen",
				 "[control] tls_listen must be HOST:PORT or [IPV6]:PORT, not "
				 "\"%s\"",
				 where);
	int r = getaddrinfo(host, port, &hints, &found);
	if (r != 0)
		return diag_fail(EADDRNOTAVAIL, diag, "tls_listen",
				 "[control] tls_listen: cannot resolve %s: %s", where,
				 gai_strerror(r));
	int fd = bind_tcp(found);
	freeaddrinfo(found);
	if (fd < 0)
		return diag_fail(-fd, diag, "tls_listen",
				 "[control] tls_listen: cannot listen on %s: %s", where,
				 strerror(-fd));
	*ret_fd = fd;
	return 0;
}

/* Is the peer in the control group, as its main group or one of the others? */
static bool in_group(int fd, const struct ucred *cred, gid_t group)
{
	gid_t groups[GROUPS_MAX];
	socklen_t len = sizeof(groups);

	if (cred->gid == group)
		return true;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &len) < 0)
		return false;
	for (size_t i = 0; i < len / sizeof(gid_t); i++)
		if (groups[i] == group)
			return true;
	return false;
}

bool control_socket_peer(int fd, struct control_group group, struct control_peer *ret)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);

	*ret = (struct control_peer){.pid = -1, .uid = (uid_t)-1, .gid = (gid_t)-1, .loginuid = -1};
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
		return false;
	*ret = (struct control_peer){.pid = cred.pid,
				     .uid = cred.uid,
				     .gid = cred.gid,
				     .loginuid = process_loginuid(cred.pid)};
	return cred.uid == 0 || cred.uid == geteuid() ||
	       (group.known && in_group(fd, &cred, group.gid));
}
