/* asker: how long cached answers take while something else is going on. One thread, asking one after
 * the other over connections that stay open, so that it waits for nothing but the answer.
 *
 *	asker PERIOD_US FILE		a line of FILE: KIND NETNS_PATH PORT PATH
 *
 * KIND is "metadata" (an IMDSv2 token is got first) or "bare" (asked as it is). It says "ready" when
 * every connection stands, asks until its standard input ends, and prints a line for each kind:
 * KIND N FAILED P50_US P99_US MAX_US.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define TARGETS_MAX 2048
#define TIMES_MAX (1 << 20)

static struct target {
	int kind, fd;
	size_t len;
	char request[1024];
} targets[TARGETS_MAX];
static const char *const kinds[] = {"metadata", "bare"};
static int times[2][TIMES_MAX];
static int n_times[2], n_failed[2];

static long long now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000LL + t.tv_nsec / 1000;
}

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static int connect_in(const char *netns, int kind, int port)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	struct timeval limit = {.tv_sec = 10};
	int one = 1, ns = open(netns, O_RDONLY | O_CLOEXEC);

	inet_pton(AF_INET, kind == 0 ? "169.254.169.254" : "127.0.0.1", &address.sin_addr);
	if (ns < 0 || setns(ns, CLONE_NEWNET) < 0)
		die(netns);
	close(ns);
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		die("connect");
	return fd;
}

/* The status; the body in `answer`. Answers come with a Content-Length. */
static int ask(int fd, const char *request, size_t request_len, char *answer, size_t size)
{
	size_t len = 0, whole = 0;

	if (send(fd, request, request_len, MSG_NOSIGNAL) < 0)
		return -1;
	while (whole == 0 || len < whole) {
		ssize_t n = recv(fd, answer + len, size - 1 - len, 0);
		if (n <= 0)
			return -1;
		len += (size_t)n;
		answer[len] = '\0';
		char *body = strstr(answer, "\r\n\r\n");
		char *length = strcasestr(answer, "content-length:");
		if (body && length)
			whole = (size_t)(body + 4 - answer) + strtoul(length + 15, NULL, 10);
	}
	int status = atoi(answer + 9);
	char *body = strstr(answer, "\r\n\r\n") + 4;
	memmove(answer, body, strlen(body) + 1);
	return status;
}

static void prepare(struct target *t, const char *kind, const char *netns, int port,
		    const char *path)
{
	static const char put[] = "PUT /latest/api/token HTTP/1.1\r\nHost: 169.254.169.254\r\n"
				  "X-aws-ec2-metadata-token-ttl-seconds: 21600\r\n\r\n";
	char token[4096] = "";

	t->kind = strcmp(kind, "bare") == 0;
	t->fd = connect_in(netns, t->kind, port);
	if (t->kind == 0 && ask(t->fd, put, sizeof(put) - 1, token, sizeof(token)) != 200)
		die("token");
	t->len = (size_t)snprintf(t->request, sizeof(t->request),
				  "GET %s HTTP/1.1\r\nHost: 169.254.169.254\r\n"
				  "X-aws-ec2-metadata-token: %s\r\n\r\n",
				  path, token);
}

static int by_value(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

int main(int argc, char *argv[])
{
	static char answer[65536];
	struct sched_param first = {.sched_priority = 1};
	struct pollfd end = {.fd = STDIN_FILENO, .events = POLLIN};
	char kind[16], netns[256], path[512];
	int n = 0, port;

	FILE *list = argc == 3 ? fopen(argv[2], "r") : NULL;
	if (!list)
		die("asker PERIOD_US FILE");
	while (n < TARGETS_MAX &&
	       fscanf(list, "%15s %255s %d %511s", kind, netns, &port, path) == 4)
		prepare(&targets[n++], kind, netns, port, path);
	fclose(list);
	/* What is measured is the server's delay: ours must not add to it. */
	if (sched_setscheduler(0, SCHED_FIFO, &first) < 0)
		die("SCHED_FIFO");
	puts("ready");
	fflush(stdout);
	for (int i = 0; n > 0 && poll(&end, 1, 0) == 0; i = (i + 1) % n) {
		struct target *t = &targets[i];
		long long began = now_us();
		if (ask(t->fd, t->request, t->len, answer, sizeof(answer)) != 200)
			n_failed[t->kind]++;
		if (n_times[t->kind] < TIMES_MAX)
			times[t->kind][n_times[t->kind]++] = (int)(now_us() - began);
		usleep((useconds_t)atoi(argv[1]));
	}
	for (int k = 0; k < 2; k++) {
		qsort(times[k], (size_t)n_times[k], sizeof(int), by_value);
		if (n_times[k] > 0)
			printf("%s %d %d %d %d %d\n", kinds[k], n_times[k], n_failed[k],
			       times[k][n_times[k] / 2], times[k][(long)n_times[k] * 99 / 100],
			       times[k][n_times[k] - 1]);
	}
	return 0;
}
