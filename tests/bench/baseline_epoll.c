/* The floor: a bare epoll loop that answers whatever ends in an empty line with fixed bytes. No
 * parser, no token, no limits: what the kernel and the client alone allow.
 *
 *	baseline_epoll PORT BODY_FILE
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

static char response[65536];
static size_t response_len;

static void load(const char *path)
{
	char body[32768];
	FILE *f = fopen(path, "r");
	size_t n = f ? fread(body, 1, sizeof(body), f) : 0;

	if (!f || n == 0) {
		perror(path);
		exit(1);
	}
	fclose(f);
	int head = snprintf(response, sizeof(response),
			    "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %zu\r\n"
			    "Server: bare\r\n\r\n",
			    n);
	memcpy(response + head, body, n);
	response_len = (size_t)head + n;
}

static int listen_on(int port)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_port = htons((uint16_t)port),
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, 4096) < 0) {
		perror("listen");
		exit(1);
	}
	return fd;
}

/* The number of requests that end in these bytes; a request is never split by the clients used
 * here. */
static void serve(int fd)
{
	char request[16384];
	ssize_t n = recv(fd, request, sizeof(request), 0);

	if (n <= 0) {
		if (n == 0 || errno != EAGAIN)
			close(fd);
		return;
	}
	if (n < 4 || memcmp(request + n - 4, "\r\n\r\n", 4) != 0)
		return;
	request[n - 1] = '\0';
	if (send(fd, response, response_len, MSG_NOSIGNAL) < 0 ||
	    strstr(request, "Connection: close"))
		close(fd);
}

int main(int argc, char **argv)
{
	struct epoll_event events[256];

	if (argc != 3)
		return 2;
	load(argv[2]);
	int listener = listen_on(atoi(argv[1])), epoll = epoll_create1(0);
	struct epoll_event ev = {.events = EPOLLIN, .data.fd = listener};
	epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &ev);
	for (;;) {
		int n = epoll_wait(epoll, events, 256, -1);
		for (int i = 0; i < n; i++) {
			if (events[i].data.fd != listener) {
				serve(events[i].data.fd);
				continue;
			}
			int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
			struct epoll_event client = {.events = EPOLLIN, .data.fd = fd};
			if (fd >= 0)
				epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &client);
		}
	}
}
