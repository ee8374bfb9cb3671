/* Looking for a way to the host's metadata service from inside a container's netns. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "privileged/firewall.h"
#include "privileged/metadata_address.h"
#include "privileged/netns.h"
#include "rolegate/doctor.h"
#include "util/clock.h"
#include "util/fd.h"

#define CONNECT_MS 1000
#define CHILD_MS 15000
#define TABLE_READS 3
#define TABLE_PAUSE_MS 20
#define METADATA_PORT 80

/* A metadata service answers on 80 alone; whatever answers on these is no good sign either. */
static const uint16_t other_ports[] = {443, 8080, 16925};
#define N_PORTS (1 + sizeof(other_ports) / sizeof(other_ports[0]))

struct attempt {
	size_t address;
	uint16_t port;
	int fd; /* -1: it failed */
	bool connected;
};

static socklen_t fill_address(const struct metadata_address *address, uint16_t port,
			      struct sockaddr_storage *ret)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)ret;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)ret;

	memset(ret, 0, sizeof(*ret));
	if (address->family == AF_INET) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons(port);
		(void)inet_pton(AF_INET, address->text, &v4->sin_addr);
		return sizeof(*v4);
	}
	v6->sin6_family = AF_INET6;
	v6->sin6_port = htons(port);
	(void)inet_pton(AF_INET6, address->text, &v6->sin6_addr);
	return sizeof(*v6);
}

static void begin(struct attempt *a)
{
	const struct metadata_address *address = &metadata_addresses[a->address];
	struct sockaddr_storage to;
	socklen_t len = fill_address(address, a->port, &to);

	a->fd = socket(address->family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (a->fd < 0)
		return;
	if (connect(a->fd, (struct sockaddr *)&to, len) == 0)
		a->connected = true;
	else if (errno != EINPROGRESS)
		a->fd = fd_close(a->fd);
}

/* All at once, so that what is dropped costs one timeout and not twenty. */
static void await(struct attempt *attempts, size_t n)
{
	int64_t end_ms = clock_now_ms() + CONNECT_MS;
	struct pollfd fds[METADATA_ADDRESSES * N_PORTS];

	for (;;) {
		size_t waiting = 0;
		for (size_t i = 0; i < n; i++) {
			bool wait = attempts[i].fd >= 0 && !attempts[i].connected;
			fds[i] = (struct pollfd){.fd = wait ? attempts[i].fd : -1,
						 .events = POLLOUT};
			waiting += wait;
		}
		int64_t left_ms = end_ms - clock_now_ms();
		if (waiting == 0 || left_ms <= 0 || poll(fds, (nfds_t)n, (int)left_ms) < 0)
			return;
		for (size_t i = 0; i < n; i++) {
			int error = 0;
			socklen_t len = sizeof(error);
			if (!fds[i].revents)
				continue;
			(void)getsockopt(attempts[i].fd, SOL_SOCKET, SO_ERROR, &error, &len);
			attempts[i].connected = error == 0;
			if (error)
				attempts[i].fd = fd_close(attempts[i].fd);
		}
	}
}

static uint16_t own_port(int fd)
{
	struct sockaddr_storage own;
	socklen_t len = sizeof(own);

	if (getsockname(fd, (struct sockaddr *)&own, &len) < 0)
		return 0;
	return ntohs(own.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&own)->sin6_port
					       : ((struct sockaddr_in *)&own)->sin_port);
}

/* Where redirected connections end. */
struct listener {
	uint16_t port;
	bool on_host; /* bridge mode; else in the same netns */
};

/* Redirected to our listener, the other end of the connection is in this netns, or the host's: the
 * kernel's table there shows it, at the listener's port. A client cannot tell by the answers alone: the
 * host's service looks just as ours does, which is the point of ours. */
static bool is_in_table(const struct attempt *a, const struct listener *listener)
{
	bool v6 = metadata_addresses[a->address].family == AF_INET6;
	char line[512], path[64] = "/proc/thread-self/net/tcp";
	bool found = false;

	/* The parent has not entered the netns. */
	if (listener->on_host)
		snprintf(path, sizeof(path), "/proc/%d/net/tcp", (int)getppid());
	if (v6)
		strcat(path, "6");
	FILE *table = fopen(path, "re");
	if (!table)
		return false;
	while (!found && fgets(line, sizeof(line), table)) {
		unsigned local, remote;
		if (sscanf(line, " %*u: %*32[0-9A-Fa-f]:%x %*32[0-9A-Fa-f]:%x", &local, &remote) ==
		    2)
			found = local == listener->port && remote == own_port(a->fd);
	}
	(void)fclose(table);
	return found;
}

static bool leads_to_us(const struct attempt *a, const struct listener *listener)
{
	/* The table is read in pieces while it changes, and a line may slip between two. */
	for (int i = 0; i < TABLE_READS; i++) {
		if (is_in_table(a, listener))
			return true;
		(void)poll(NULL, 0, TABLE_PAUSE_MS);
	}
	return false;
}

static void probe_addresses(const struct listener *listener, struct doctor_probe *ret)
{
	struct attempt attempts[METADATA_ADDRESSES * N_PORTS];
	size_t n = 0;

	for (size_t i = 0; i < METADATA_ADDRESSES; i++)
		for (size_t k = 0; k < N_PORTS; k++) {
			attempts[n] = (struct attempt){.address = i, .fd = -1};
			attempts[n].port = k == 0 ? METADATA_PORT : other_ports[k - 1];
			begin(&attempts[n++]);
		}
	await(attempts, n);
	for (size_t i = 0; i < n; i++) {
		unsigned bit = 1u << attempts[i].address;
		if (!attempts[i].connected)
			continue;
		if (attempts[i].port != METADATA_PORT)
			ret->other |= bit;
		else if (leads_to_us(&attempts[i], listener))
			ret->served |= bit;
		else
			ret->open |= bit;
	}
}

static void probe(const char *path, const struct listener *listener, struct doctor_probe *ret)
{
	struct firewall_report rules[IPTABLES_FAMILIES] = {0};
	_cleanup_fd_ int fd = -1;
	struct netns_hosts hosts;
	struct netns_id id;
	struct diag diag = {0};

	int r = netns_hosts_init(&hosts, &diag);
	if (r == 0)
		r = netns_open(path, &hosts, &fd, &id, &diag);
	if (r == 0)
		r = netns_enter(fd, &diag);
	if (r == 0)
		probe_addresses(listener, ret);
	/* Bridge mode has none in there. */
	if (r == 0 && !listener->on_host)
		r = firewall_netns_report(listener->port, rules, &diag);
	ret->error = r;
	snprintf(ret->text, sizeof(ret->text), "%.200s", diag.text);
	ret->has_rules = r == 0;
	for (int i = 0; r == 0 && i < IPTABLES_FAMILIES; i++)
		if (rules[i].want && (rules[i].have != rules[i].want || !rules[i].first))
			ret->has_rules = false;
}

static void receive(int fd, struct doctor_probe *ret)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	if (poll(&p, 1, CHILD_MS) == 1 && read(fd, ret, sizeof(*ret)) == (ssize_t)sizeof(*ret))
		return;
	*ret = (struct doctor_probe){.error = -ETIMEDOUT};
	snprintf(ret->text, sizeof(ret->text), "the probe did not come back");
}

void doctor_probe_netns(const char *path, uint16_t port, bool on_host, struct doctor_probe *ret)
{
	const struct listener listener = {.port = port, .on_host = on_host};
	int pair[2];

	*ret = (struct doctor_probe){0};
	pid_t pid = pipe2(pair, O_CLOEXEC) == 0 ? fork() : -1;
	if (pid < 0) {
		ret->error = -errno;
		snprintf(ret->text, sizeof(ret->text), "%s", strerror(errno));
		return;
	}
	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		probe(path, &listener, ret);
		_exit(write(pair[1], ret, sizeof(*ret)) == (ssize_t)sizeof(*ret) ? 0 : 1);
	}
	fd_close(pair[1]);
	receive(pair[0], ret);
	fd_close(pair[0]);
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
}
