/* A load of fixed rate: latency at less than full load, counted from when a request was due, so that
 * a server that stalls pays for all that should have been asked meanwhile.
 *
 *	load PORT REQUEST_FILE RATE SECONDS CONNECTIONS
 *
 * Connections are kept alive; one that has no answer yet is passed over. Prints, in microseconds,
 * "p50 p99 p99.9" and the requests that were answered.
 */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CONNECTIONS_MAX 1024

struct client {
	int fd;
	int64_t due_us; /* of the request under way; 0: none */
	size_t have;	/* of its answer */
};

static char request[16384], answer[65536];
static size_t request_len, answer_len;
static struct client clients[CONNECTIONS_MAX];

static int64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static int dial(int port)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_port = htons((uint16_t)port),
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int one = 1, fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		die("connect");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return fd;
}

/* All answers are of one length: the first one tells. */
static void learn(int fd)
{
	if (send(fd, request, request_len, 0) != (ssize_t)request_len)
		die("send");
	ssize_t n = recv(fd, answer, sizeof(answer) - 1, 0);
	if (n <= 0 || strncmp(answer, "HTTP/1.1 200", 12) != 0)
		die("first answer");
	answer_len = (size_t)n;
}

static int compare(const void *a, const void *b)
{
	const int32_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static void report(int32_t *latency, size_t n)
{
	qsort(latency, n, sizeof(*latency), compare);
	printf("%d %d %d %zu\n", latency[n / 2], latency[n * 99 / 100], latency[n * 999 / 1000], n);
}

/* Send what is due on whoever is free; returns how many were sent. */
static int64_t send_due(int64_t begin, int64_t sent, double gap_us, int n_clients)
{
	static int turn;
	int64_t now = now_us();

	for (int i = 0; i < n_clients && begin + (int64_t)((double)sent * gap_us) <= now; i++) {
		struct client *c = &clients[turn++ % n_clients];
		if (c->due_us)
			continue;
		c->due_us = begin + (int64_t)((double)sent * gap_us);
		c->have = 0;
		if (send(c->fd, request, request_len, 0) != (ssize_t)request_len)
			die("send");
		sent++;
	}
	return sent;
}

static size_t receive(int epoll, int32_t *latency, size_t n, size_t max)
{
	struct epoll_event events[64];
	int ready = epoll_wait(epoll, events, 64, 0);

	for (int i = 0; i < ready; i++) {
		struct client *c = events[i].data.ptr;
		ssize_t got = recv(c->fd, answer, sizeof(answer), 0);
		if (got <= 0)
			die("recv");
		c->have += (size_t)got;
		if (c->have < answer_len)
			continue;
		if (n < max)
			latency[n++] = (int32_t)(now_us() - c->due_us);
		c->due_us = 0;
	}
	return n;
}

int main(int argc, char *argv[])
{
	if (argc != 6) {
		fprintf(stderr, "usage: load PORT REQUEST_FILE RATE SECONDS CONNECTIONS\n");
		return 2;
	}
	FILE *f = fopen(argv[2], "r");
	if (!f)
		die(argv[2]);
	request_len = fread(request, 1, sizeof(request), f);
	fclose(f);
	double rate = atof(argv[3]), seconds = atof(argv[4]);
	int n_clients = atoi(argv[5]), epoll = epoll_create1(0);
	size_t max = (size_t)(rate * seconds) + 1, n = 0;
	int32_t *latency = calloc(max, sizeof(*latency));

	if (n_clients < 1 || n_clients > CONNECTIONS_MAX || !latency)
		die("arguments");
	for (int i = 0; i < n_clients; i++) {
		struct epoll_event event = {.events = EPOLLIN, .data.ptr = &clients[i]};
		clients[i].fd = dial(atoi(argv[1]));
		if (i == 0)
			learn(clients[i].fd);
		epoll_ctl(epoll, EPOLL_CTL_ADD, clients[i].fd, &event);
	}
	int64_t begin = now_us(), sent = 0, end = begin + (int64_t)(seconds * 1e6);
	while (now_us() < end && n < max) {
		sent = send_due(begin, sent, 1e6 / rate, n_clients);
		n = receive(epoll, latency, n, max);
	}
	if (n == 0)
		die("no answers");
	report(latency, n);
	return 0;
}
