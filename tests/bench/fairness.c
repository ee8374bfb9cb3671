/* fairness: the two clients of tests/bench/fairness, each inside a container.
 *
 *	fairness measure COUNT keep|new TOKEN	a credential GET each millisecond, one at a time;
 *						prints "p50 p99 max" in microseconds
 *	fairness flood CONNECTIONS keep|new DATA	send DATA for ever, on so many connections, reading
 *						what comes; "new": a connection for each DATA
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CREDENTIALS "/latest/meta-data/iam/security-credentials/web"

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static int open_one(int flags)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(80)};
	int on = 1, fd = socket(AF_INET, SOCK_STREAM | flags, 0);

	inet_pton(AF_INET, "169.254.169.254", &a.sin_addr);
	if (fd < 0)
		die("socket");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0 && errno != EINPROGRESS)
		die("connect");
	return fd;
}

/* Read one answer whole: head, and as much body as it says. */
static void read_answer(int fd)
{
	char text[8192];
	size_t len = 0, want = 0;

	while (!want || len < want) {
		ssize_t n = read(fd, text + len, sizeof(text) - 1 - len);
		if (n <= 0)
			die("read");
		len += (size_t)n;
		text[len] = '\0';
		char *end = strstr(text, "\r\n\r\n"), *length = strstr(text, "Content-Length: ");
		if (!want && end && length)
			want = (size_t)(end + 4 - text) + strtoul(length + 16, NULL, 10);
	}
	if (strncmp(text, "HTTP/1.1 200 ", 13) != 0)
		exit(2);
}

static int compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static int measure(size_t count, bool fresh, const char *token)
{
	int64_t *took = calloc(count, sizeof(*took));
	struct timespec pause = {.tv_nsec = 1000000};
	char request[512];
	int fd = fresh ? -1 : open_one(0);

	int len = snprintf(request, sizeof(request),
			   "GET " CREDENTIALS " HTTP/1.1\r\nHost: 169.254.169.254\r\n"
			   "X-aws-ec2-metadata-token: %s\r\n\r\n",
			   token);
	for (size_t i = 0; took && i < count; i++) {
		int64_t began = now_ns();
		if (fresh)
			fd = open_one(0);
		if (write(fd, request, (size_t)len) != len)
			die("write");
		read_answer(fd);
		took[i] = now_ns() - began;
		if (fresh)
			close(fd);
		nanosleep(&pause, NULL);
	}
	if (!took)
		return 1;
	qsort(took, count, sizeof(*took), compare);
	printf("%ld %ld %ld\n", (long)(took[count / 2] / 1000),
	       (long)(took[count - 1 - count / 100] / 1000), (long)(took[count - 1] / 1000));
	free(took);
	return 0;
}

static void watch(int epoll, int old)
{
	struct epoll_event e = {.events = EPOLLIN | EPOLLOUT};

	if (old >= 0)
		close(old);
	e.data.fd = open_one(SOCK_NONBLOCK);
	epoll_ctl(epoll, EPOLL_CTL_ADD, e.data.fd, &e);
}

static int flood(int connections, bool fresh, const char *data)
{
	static char sink[1 << 20];
	static bool sent[65536];
	struct epoll_event events[64];
	int epoll = epoll_create1(0);

	for (int i = 0; i < connections; i++)
		watch(epoll, -1);
	puts("flooding");
	fflush(stdout);
	for (;;) {
		int n = epoll_wait(epoll, events, 64, -1);
		for (int i = 0; i < n; i++) {
			int fd = events[i].data.fd;
			bool over = events[i].events & (EPOLLHUP | EPOLLERR);
			if ((events[i].events & EPOLLOUT) && !(fresh && sent[fd])) {
				if (send(fd, data, strlen(data), MSG_NOSIGNAL) < 0 &&
				    errno != EAGAIN)
					over = true;
				sent[fd] = true;
				struct epoll_event e = {.events = EPOLLIN, .data.fd = fd};
				if (fresh)
					epoll_ctl(epoll, EPOLL_CTL_MOD, fd, &e);
			}
			if (events[i].events & EPOLLIN) {
				ssize_t got = recv(fd, sink, sizeof(sink), 0);
				over = over || got == 0 || (got < 0 && errno != EAGAIN) ||
				       (got > 0 && fresh);
			}
			if (over) {
				sent[fd] = false;
				watch(epoll, fd);
			}
		}
	}
}

int main(int argc, char **argv)
{
	if (argc == 5 && strcmp(argv[1], "measure") == 0)
		return measure(strtoul(argv[2], NULL, 10), strcmp(argv[3], "new") == 0, argv[4]);
	if (argc == 5 && strcmp(argv[1], "flood") == 0)
		return flood(atoi(argv[2]), strcmp(argv[3], "new") == 0, argv[4]);
	return 2;
}
