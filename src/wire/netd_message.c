#include "wire/netd_message.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

/* The structs are the wire format: no compiler may slip padding between their members. */
_Static_assert(sizeof(struct netd_request) == 688, "netd_request has padding");
_Static_assert(sizeof(struct netd_reply) == 864, "netd_reply has padding");

static bool is_zero(const void *data, size_t len)
{
	const unsigned char *p = data;

	for (size_t i = 0; i < len; i++)
		if (p[i] != 0)
			return false;
	return true;
}

/* A string field: NUL-terminated, printable, and nothing hidden behind its NUL. */
static int check_string(const char *s, size_t size, const char *what, struct diag *diag)
{
	const char *end = memchr(s, '\0', size);

	if (!end)
		return diag_fail(EPROTO, diag, what, "%s is not terminated", what);
	if (!is_zero(end, size - (size_t)(end - s)))
		return diag_fail(EPROTO, diag, what, "%s has bytes behind its end", what);
	for (const char *p = s; p < end; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			return diag_fail(EPROTO, diag, what, "%s has a control byte", what);
	return 0;
}

static int check_envelope(uint32_t version, uint32_t verb, uint64_t serial, struct diag *diag)
{
	if (version != NETD_PROTOCOL_VERSION)
		return diag_fail(EPROTO, diag, "version", "protocol version %u, but this is %u",
				 version, NETD_PROTOCOL_VERSION);
	if (verb < NETD_HELLO || verb > NETD_REPLACED)
		return diag_fail(EPROTO, diag, "verb", "verb %u is unknown", verb);
	/* These two answer nothing. */
	if ((serial == 0) != (verb == NETD_GONE || verb == NETD_REPLACED))
		return diag_fail(EPROTO, diag, "serial", "verb %u with serial %llu", verb,
				 (unsigned long long)serial);
	return 0;
}

/* What only ADOPT in bridge mode has: it cannot tell the netns by its sockets. */
static int check_bridge(const struct netd_request *request, struct diag *diag)
{
	bool adopts = request->verb == NETD_ADOPT && request->mode == NETD_MODE_BRIDGE;

	if (!adopts && (request->netns_dev || request->netns_ino || request->mark))
		return diag_fail(EPROTO, diag, "netns", "verb %u has no inode and no mark",
				 request->verb);
	if (adopts && (!request->path[0] || !request->netns_ino))
		return diag_fail(EPROTO, diag, "netns", "path and inode are needed in bridge mode");
	if (adopts && (request->mark & ~NETD_MARK_MASK))
		return diag_fail(EPROTO, diag, "mark", "mark %#x is none of netd's", request->mark);
	return 0;
}

/* Which of the optional members a verb has; the others must be zero. */
static int check_members(const struct netd_request *request, struct diag *diag)
{
	bool has_id = request->verb == NETD_ATTACH || request->verb == NETD_ADOPT ||
		      request->verb == NETD_DETACH;
	bool has_place = request->verb == NETD_ATTACH || request->verb == NETD_ADOPT;

	bool may_have_id = request->verb == NETD_HELLO && request->id[0];

	if ((has_id || may_have_id) && container_id_check(request->id) < 0)
		return diag_fail(EPROTO, diag, "id",
				 "id is not [A-Za-z0-9][A-Za-z0-9_.-]{0,%d}: \"%s\"",
				 CONTAINER_ID_SIZE - 2, request->id);
	if (!has_id && !may_have_id && request->id[0])
		return diag_fail(EPROTO, diag, "id", "verb %u has no id", request->verb);
	if (!has_place && (request->path[0] || request->port || request->mode))
		return diag_fail(EPROTO, diag, "path", "verb %u has no path, port or mode",
				 request->verb);
	if (request->verb == NETD_ATTACH && !request->path[0])
		return diag_fail(EPROTO, diag, "netns", "netns path is empty");
	if (request->path[0] && request->path[0] != '/')
		return diag_fail(EPROTO, diag, "netns", "netns path \"%s\" is not absolute",
				 request->path);
	if (request->mode > NETD_MODE_BRIDGE)
		return diag_fail(EPROTO, diag, "mode", "mode %u is unknown", request->mode);
	return check_bridge(request, diag);
}

int netd_request_check(const void *data, size_t len, struct netd_request *ret, struct diag *diag)
{
	struct netd_request request;

	if (len != sizeof(request))
		return diag_fail(EPROTO, diag, "length", "a request has %zu bytes, not %zu",
				 sizeof(request), len);
	memcpy(&request, data, sizeof(request));
	int r = check_envelope(request.version, request.verb, request.serial, diag);
	if (r < 0)
		return r;
	if (request.verb == NETD_GONE || request.verb == NETD_REPLACED)
		return diag_fail(EPROTO, diag, "verb", "verb %u is no request", request.verb);
	if (request.pad != 0 || !is_zero(request.unused, sizeof(request.unused)))
		return diag_fail(EPROTO, diag, "unused", "unused bytes are not zero");
	r = check_string(request.id, sizeof(request.id), "id", diag);
	if (r < 0)
		return r;
	r = check_string(request.path, sizeof(request.path), "netns", diag);
	if (r < 0)
		return r;
	r = check_members(&request, diag);
	if (r < 0)
		return r;
	*ret = request;
	return 0;
}

int netd_reply_check(const void *data, size_t len, struct netd_reply *ret, struct diag *diag)
{
	struct netd_reply reply;

	if (len != sizeof(reply))
		return diag_fail(EPROTO, diag, "length", "a reply has %zu bytes, not %zu",
				 sizeof(reply), len);
	memcpy(&reply, data, sizeof(reply));
	int r = check_envelope(reply.version, reply.verb, reply.serial, diag);
	if (r < 0)
		return r;
	if (reply.error < 0 || reply.error > NETD_ERRNO_MAX)
		return diag_fail(EPROTO, diag, "error", "error %d is no errno", reply.error);
	if (reply.n_fds > NETD_LISTENERS_MAX || (reply.error && reply.n_fds))
		return diag_fail(EPROTO, diag, "n_fds", "a reply with %u descriptors", reply.n_fds);
	if (reply.mode > NETD_MODE_BRIDGE || reply.n_sources > NETD_SOURCES_MAX)
		return diag_fail(EPROTO, diag, "mode", "mode %u with %u sources", reply.mode,
				 reply.n_sources);
	if ((reply.mode == NETD_MODE_BRIDGE) != (reply.mark != 0) ||
	    (reply.mode == NETD_MODE_BRIDGE) != (reply.n_sources != 0) ||
	    (reply.mark & ~NETD_MARK_MASK))
		return diag_fail(EPROTO, diag, "mark", "mode %u with mark %#x and %u sources",
				 reply.mode, reply.mark, reply.n_sources);
	if (!is_zero(reply.unused, sizeof(reply.unused)))
		return diag_fail(EPROTO, diag, "unused", "unused bytes are not zero");
	r = check_string(reply.id, sizeof(reply.id), "id", diag);
	if (r < 0)
		return r;
	if (reply.id[0] && container_id_check(reply.id) < 0)
		return diag_fail(EPROTO, diag, "id", "a reply with id \"%s\"", reply.id);
	r = check_string(reply.field, sizeof(reply.field), "field", diag);
	if (r < 0)
		return r;
	r = check_string(reply.text, sizeof(reply.text), "text", diag);
	if (r < 0)
		return r;
	*ret = reply;
	return 0;
}
