#include "rolegate-netd/server.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <linux/un.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rolegate-netd/bridge.h"
#include "rolegate-netd/host_guard.h"
#include "rolegate-netd/job.h"
#include "rolegate-netd/liveness.h"
#include "rolegate-netd/peer.h"
#include "util/activation.h"
#include "util/clock.h"
#include "util/fd.h"
#include "util/log.h"
#include "util/notify.h"

#define REFUSAL_LOG_PERIOD_MS 5000
#define ACCEPT_RETRY_MS 1000

static int make_directory(const char *socket_path, struct diag *diag)
{
	char directory[sizeof(((struct sockaddr_un *)NULL)->sun_path)];

	snprintf(directory, sizeof(directory), "%s", socket_path);
	char *slash = strrchr(directory, '/');
	if (!slash || slash == directory)
		return 0;
	*slash = '\0';
	if (mkdir(directory, 0755) < 0)
		return errno == EEXIST ? 0
				       : diag_fail(errno, diag, "socket", "%s: %s", directory,
						   strerror(errno));
	/* The umask has made it narrower. Its owner is root, until a service manager says other. */
	if (chmod(directory, 0755) < 0)
		return diag_fail(errno, diag, "socket", "%s: %s", directory, strerror(errno));
	return 0;
}

/* Make way for our socket, unless somebody is there. */
static int remove_stale(const struct sockaddr_un *address, struct diag *diag)
{
	struct stat st;

	if (lstat(address->sun_path, &st) < 0)
		return errno == ENOENT ? 0
				       : diag_fail(errno, diag, "socket", "%s: %s",
						   address->sun_path, strerror(errno));
	if (!S_ISSOCK(st.st_mode))
		return diag_fail(EEXIST, diag, "socket", "%s is in the way: it is no socket",
				 address->sun_path);
	_cleanup_fd_ int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return diag_fail(errno, diag, NULL, "socket: %s", strerror(errno));
	if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 || errno == EAGAIN)
		return diag_fail(EADDRINUSE, diag, "socket",
				 "another rolegate-netd is listening at %s", address->sun_path);
	if (unlink(address->sun_path) < 0 && errno != ENOENT)
		return diag_fail(errno, diag, "socket", "%s: %s", address->sun_path,
				 strerror(errno));
	return 0;
}

/* Give the socket's file to rolegated: by its descriptor, for the directory may be rolegated's own,
 * and a path in there could be swapped for one to another's file. */
static int give_away(const struct netd *netd, struct diag *diag)
{
	_cleanup_fd_ int file = ioctl(netd->listen_fd, SIOCUNIXFILE);

	if (file < 0 || fchownat(file, "", netd->user_uid, 0, AT_EMPTY_PATH) < 0)
		return diag_fail(errno, diag, "socket", "cannot give %s to the user %s: %s",
				 netd->config.netd.socket, NETD_USER, strerror(errno));
	return 0;
}

int server_open(struct netd *netd, struct diag *diag)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	const char *path = netd->config.netd.socket;

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	int r = activation_take(SOCK_SEQPACKET, path, &netd->listen_fd, diag);
	if (r < 0 || netd->listen_fd >= 0)
		return r;
	r = make_directory(path, diag);
	if (r == 0)
		r = remove_stale(&address, diag);
	if (r < 0)
		return r;
	netd->listen_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	/* The mode of the descriptor becomes that of the file: there is no wider moment. The group
	 * is root's, for a rolegated that had to stay root and has no capability to pass by a mode.
	 */
	mode_t mask = umask(0117);
	if (netd->listen_fd < 0 || fchmod(netd->listen_fd, 0660) < 0 ||
	    bind(netd->listen_fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		r = diag_fail(errno, diag, "socket", "%s: %s", path, strerror(errno));
	umask(mask);
	if (r < 0)
		return r;
	r = netd->user_uid != 0 ? give_away(netd, diag) : 0;
	if (r == 0 && listen(netd->listen_fd, 16) < 0)
		r = diag_fail(errno, diag, "socket", "%s: %s", path, strerror(errno));
	return r;
}

/* One line for a crowd of strangers. */
static void log_refusal(struct netd *netd, const struct ucred *who, const char *why)
{
	int64_t now = clock_now_ms();

	netd->refusals++;
	if (netd->refusal_logged_ms && now - netd->refusal_logged_ms < REFUSAL_LOG_PERIOD_MS)
		return;
	log_warning(NULL,
		    "refused a connection of uid %u, pid %d: %s (%u refused since the last line)",
		    who->uid, who->pid, why, netd->refusals);
	netd->refusal_logged_ms = now;
	netd->refusals = 0;
}

static void accept_peer(struct netd *netd, int sock)
{
	struct ucred who = {.uid = (uid_t)-1};
	socklen_t len = sizeof(who);

	if (getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &who, &len) < 0 ||
	    (who.uid != 0 && who.uid != netd->user_uid)) {
		log_refusal(netd, &who, "neither root nor the user " NETD_USER);
		fd_close(sock);
	} else if (netd->n_peers >= PEERS_MAX) {
		log_refusal(netd, &who, "too many connections");
		fd_close(sock);
	} else if (peer_new(netd, sock, who.pid) < 0) {
		log_refusal(netd, &who, "out of memory");
		fd_close(sock);
	} else {
		log_info(NULL, "peer %llu: uid %u, pid %d", (unsigned long long)netd->last_peer_id,
			 who.uid, who.pid);
	}
}

static void handle_accept(void *user, uint32_t events)
{
	struct netd *netd = user;

	(void)events;
	int sock = accept4(netd->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (sock >= 0) {
		accept_peer(netd, sock);
	} else if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
		/* It would be readable again at once; others may end meanwhile. */
		log_error(NULL, "cannot accept a connection: %s", strerror(errno));
		loop_change(&netd->loop, &netd->listen_source, 0);
		loop_timer_set(&netd->loop, &netd->accept_again, ACCEPT_RETRY_MS);
	}
}

static void handle_accept_again(void *user)
{
	struct netd *netd = user;

	loop_change(&netd->loop, &netd->listen_source, EPOLLIN);
}

static void handle_watchdog(void *user)
{
	struct netd *netd = user;

	notify_watchdog();
	loop_timer_set(&netd->loop, &netd->watchdog, notify_watchdog_ms());
}

static void reload(struct netd *netd)
{
	struct config config;
	struct diag diag = {0};
	enum log_level level = LOG_LEVEL_INFO;

	notify_reloading();
	if (config_load(netd->config_path, &config, &diag) < 0) {
		log_error(NULL, "the old configuration stays in force: %s", diag.text);
	} else {
		if (strcmp(config.netd.socket, netd->config.netd.socket) != 0)
			log_warning(NULL, "[netd] socket changes with the next start only");
		if (config.intercept.port != netd->config.intercept.port)
			log_info(NULL, "port %lld is for containers attached from now on",
				 (long long)config.intercept.port);
		config_deinit(&netd->config);
		netd->config = config;
		(void)log_level_parse(config.log.level, &level);
		log_setup("rolegate-netd", level, config.log.json);
		log_info(NULL, "configuration reloaded");
		host_guard_reload(netd);
	}
	notify_ready();
}

static void handle_signal(void *user, uint32_t events)
{
	struct netd *netd = user;
	struct signalfd_siginfo info;

	(void)events;
	if (read(netd->signal_fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
		return;
	if (info.ssi_signo == SIGHUP) {
		reload(netd);
		return;
	}
	log_info(NULL, "stopping: %s; the rules stay", strsignal((int)info.ssi_signo));
	loop_stop(&netd->loop);
}

static int watch_signals(struct netd *netd)
{
	sigset_t signals;

	sigemptyset(&signals);
	sigaddset(&signals, SIGHUP);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	(void)signal(SIGPIPE, SIG_IGN);
	if (sigprocmask(SIG_SETMASK, &signals, NULL) < 0)
		return -errno;
	netd->signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
	return netd->signal_fd < 0
		       ? -errno
		       : loop_add(&netd->loop, &netd->signal_source, netd->signal_fd, EPOLLIN);
}

int server_run(struct netd *netd)
{
	netd->listen_source = (struct loop_source){-1, handle_accept, netd};
	netd->signal_source = (struct loop_source){-1, handle_signal, netd};
	netd->accept_again = (struct loop_timer){.handle = handle_accept_again, .user = netd};
	TAILQ_INIT(&netd->jobs);
	TAILQ_INIT(&netd->peers);
	peer_init(netd);
	liveness_init(netd);

	int r = watch_signals(netd);
	if (r == 0)
		r = loop_add(&netd->loop, &netd->listen_source, netd->listen_fd, EPOLLIN);
	if (r < 0)
		return r;
	host_guard_run(netd);
	netd->watchdog = (struct loop_timer){.handle = handle_watchdog, .user = netd};
	if (notify_watchdog_ms() > 0)
		loop_timer_set(&netd->loop, &netd->watchdog, notify_watchdog_ms());
	notify_ready();
	log_info(NULL, "serving at %s, port %lld in each netns", netd->config.netd.socket,
		 (long long)netd->config.intercept.port);
	r = loop_run(&netd->loop);
	notify_stopping();
	peer_free_all(netd);
	job_free_all(netd);
	return r;
}

void server_close(struct netd *netd)
{
	host_guard_stop(netd);
	attachments_deinit(&netd->attachments);
	netd->kept_fd = fd_close(netd->kept_fd);
	bridge_deinit(netd);
	netd->signal_fd = fd_close(netd->signal_fd);
	netd->listen_fd = fd_close(netd->listen_fd);
	loop_deinit(&netd->loop);
}
