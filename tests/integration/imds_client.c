/* imds_client: the smallest unmodified IMDSv2 client, to be process 1 of a container: what it does is
 * the container's first instruction. Static, without retries: one refusal and it has failed.
 *
 *	imds_client [hold]	prints "role NAME" and "key ACCESS_KEY_ID", or "failed WHERE STATUS ERRNO"
 *
 * With `hold` it then waits for SIGTERM. Exits 0 if it got credentials, else 1.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define ROLES "/latest/meta-data/iam/security-credentials/"

static char answer[16384];

/* One request; its status, or -errno. `answer` is the body. */
static int request(const char *method, const char *path, const char *header)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(80)};
	struct timeval second = {.tv_sec = 1};
	char text[1024];
	size_t len = 0;

	inet_pton(AF_INET, "169.254.169.254", &address.sin_addr);
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &second, sizeof(second));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &second, sizeof(second));
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		goto fail;
	snprintf(text, sizeof(text),
		 "%s %s HTTP/1.1\r\nHost: 169.254.169.254\r\n%s\r\nConnection: close\r\n\r\n",
		 method, path, header);
	if (write(fd, text, strlen(text)) < 0)
		goto fail;
	for (ssize_t n; (n = read(fd, answer + len, sizeof(answer) - 1 - len)) != 0;
	     len += (size_t)n)
		if (n < 0)
			goto fail;
	close(fd);
	answer[len] = '\0';
	int status = len > 12 ? atoi(answer + 9) : -EBADMSG;
	char *body = strstr(answer, "\r\n\r\n");
	if (body)
		memmove(answer, body + 4, strlen(body + 4) + 1);
	return status;
fail:
	close(fd);
	return -errno;
}

static int failed(const char *where, int status)
{
	printf("failed %s %d %s\n", where, status, status < 0 ? strerror(-status) : answer);
	return 1;
}

static int run(void)
{
	char header[256], path[512];

	int status =
		request("PUT", "/latest/api/token", "X-aws-ec2-metadata-token-ttl-seconds: 60");
	if (status != 200)
		return failed("token", status);
	snprintf(header, sizeof(header), "X-aws-ec2-metadata-token: %s", answer);
	status = request("GET", ROLES, header);
	if (status != 200)
		return failed("role", status);
	printf("role %s\n", answer);
	snprintf(path, sizeof(path), ROLES "%s", answer);
	status = request("GET", path, header);
	char *key = strstr(answer, "\"AccessKeyId\" : \"");
	if (status != 200 || !key)
		return failed("credentials", status);
	key += strlen("\"AccessKeyId\" : \"");
	printf("key %.*s\n", (int)strcspn(key, "\""), key);
	return 0;
}

static void on_term(int number)
{
	(void)number;
	_exit(0);
}

int main(int argc, char *argv[])
{
	signal(SIGTERM, on_term);
	int code = run();
	fflush(stdout);
	while (argc > 1 && strcmp(argv[1], "hold") == 0)
		pause();
	return code;
}
