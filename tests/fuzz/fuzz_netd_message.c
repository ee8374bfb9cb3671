/* Both ends of the netd protocol, on arbitrary bytes. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "wire/netd_message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_request(const void *data, size_t size)
{
	struct netd_request request;
	struct diag diag;

	if (netd_request_check(data, size, &request, &diag) == 0 &&
	    (request.serial == 0 || strnlen(request.id, sizeof(request.id)) >= CONTAINER_ID_SIZE ||
	     strnlen(request.path, sizeof(request.path)) >= NETD_PATH_SIZE ||
	     (request.path[0] && request.path[0] != '/') ||
	     (request.id[0] && container_id_check(request.id) < 0)))
		abort();
}

static void check_reply(const void *data, size_t size)
{
	struct netd_reply reply;
	struct diag diag;

	if (netd_reply_check(data, size, &reply, &diag) == 0 &&
	    (reply.error < 0 || reply.n_fds > NETD_LISTENERS_MAX ||
	     strnlen(reply.text, sizeof(reply.text)) >= sizeof(reply.text)))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct netd_request request = {0};
	struct netd_reply reply = {0};

	check_request(data, size);
	check_reply(data, size);
	/* And with the length right, which no fuzzer would stumble upon. */
	memcpy(&request, data, size < sizeof(request) ? size : sizeof(request));
	memcpy(&reply, data, size < sizeof(reply) ? size : sizeof(reply));
	check_request(&request, sizeof(request));
	check_reply(&reply, sizeof(reply));
	return 0;
}
