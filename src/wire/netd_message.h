/* netd_message: the closed, fixed-size protocol between rolegated and rolegate-netd.
 *
 * One SOCK_SEQPACKET message carries one struct; both ends run on one host and come from one build,
 * so the structs travel as they are. netd trusts nothing in a request: its length must be exact,
 * every string is checked for its NUL and its alphabet, unused bytes are zero.
 *
 *	rolegated                              netd
 *	HELLO          ------------------->
 *	               <-------------------    HELLO   (protocol version, host netns)
 *	LIST           ------------------->
 *	               <-------------------    LIST    one for each attachment, with its listeners
 *	               <-------------------    LIST    id "" ends the list
 *	ATTACH         ------------------->
 *	               <-------------------    ATTACH  error, or the netns and its listeners
 *	ADOPT + fds    ------------------->            (netd was restarted: its sockets again)
 *	               <-------------------    ADOPT
 *	DETACH         ------------------->
 *	               <-------------------    DETACH  rules, routes and sockets are gone
 *	               <-------------------    GONE    serial 0, unasked: the netns has died
 *
 *	KEEP [+ fd]    ------------------->            (for the next rolegated; without fd: forget)
 *	               <-------------------    KEEP
 *	TAKE           ------------------->
 *	               <-------------------    TAKE    [+ fd] what was kept last; netd keeps it, too
 *	               <-------------------    REPLACED  serial 0, unasked: another peer has sent
 *	                                       TAKE or LIST, and is going to serve: KEEP once
 *	                                       more, which that peer's TAKE waits for, and leave
 *
 * Answers carry the request's serial and may come in another order than the requests. Requests for
 * one id are carried out in the order they were sent. A request that breaks a rule is answered with
 * EPROTO (and its serial, if it had one); one of the wrong length closes the connection.
 *
 * ATTACH fails with EINVAL (the path names no netns, or the host's), EEXIST (the netns is attached
 * under another id), EBUSY (the id has another netns), EADDRINUSE (a workload has the port),
 * EPERM (netd may not), ENOSPC or EMFILE (too many attachments), ETIMEDOUT, or what the system
 * said. The same id and netns again is no error: it returns the same listeners. ADOPT takes 1 or 2
 * listeners, in the order in which netd handed them out. DETACH of an unknown id is no error. KEEP
 * takes a sealed memory file and nothing else (EINVAL; EFBIG past NETD_KEEP_MAX), as netd never
 * reads it; of a peer that has been REPLACED it takes one more (ESTALE).
 *
 * HELLO, TAKE and LIST fail with EBUSY while a peer is served that named another owner in its HELLO:
 * a rolegated with another state directory knows none of the containers, and would take them all
 * down.
 *
 * Bridge mode: the netns is looked at, never entered. The listeners are in the host's netns and the
 * same for all such containers; an accepted connection is a container's if its socket carries the
 * container's mark (SO_MARK & NETD_MARK_MASK) and its peer's address is one of the container's
 * sources. Mark and sources come with ATTACH, ADOPT and LIST. ADOPT names the netns by its path,
 * its inode and the mark it had.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "util/diag.h"
#include "wire/container_id.h"

#define NETD_PROTOCOL_VERSION 2
#define NETD_PATH_SIZE 512
#define NETD_LISTENERS_MAX 2		 /* 127.0.0.1 and [::1] */
#define NETD_KEEP_MAX (64 * 1024 * 1024) /* bytes */
#define NETD_ERRNO_MAX 4095
#define NETD_SOURCES_MAX 8

/* The bits of a packet's mark that bridge mode uses. Left free are those of kube-proxy (0xc000),
 * the portmap plugin and netavark (0x2000), Amazon's VPC CNI (0x80), Tailscale (0xff0000). */
#define NETD_MARK_MASK UINT32_C(0xff001f7f)

enum netd_verb {
	NETD_HELLO = 1,
	NETD_LIST = 2,
	NETD_ATTACH = 3,
	NETD_ADOPT = 4,
	NETD_DETACH = 5,
	NETD_GONE = 6,
	NETD_KEEP = 7,
	NETD_TAKE = 8,
	NETD_REPLACED = 9,
};

/* How a container's traffic is intercepted. */
enum netd_mode {
	NETD_MODE_NETNS = 0,
	NETD_MODE_BRIDGE = 1,
};

/* An address that a container of bridge mode connects from; IPv4 as ::ffff:a.b.c.d. */
struct netd_source {
	uint8_t address[16];
};

struct netd_request {
	uint32_t version; /* NETD_PROTOCOL_VERSION */
	uint32_t verb;
	uint64_t serial; /* echoed; never 0 */
	uint32_t mode;	 /* enum netd_mode */
	uint16_t port;	 /* ATTACH, ADOPT: 0, or the port rolegated expects, which must be netd's */
	uint16_t pad;
	uint64_t netns_dev; /* ADOPT in bridge mode: the netns it was; else 0 */
	uint64_t netns_ino;
	uint32_t mark;		    /* ADOPT in bridge mode: the mark it had; else 0 */
	char id[CONTAINER_ID_SIZE]; /* container id: ATTACH, ADOPT, DETACH; HELLO: whose
				     * registrations the peer serves, or "" */
	char path[NETD_PATH_SIZE];  /* netns path, absolute: ATTACH; ADOPT: the same, or "" */
	char unused[3];
};

struct netd_reply {
	uint32_t version;
	uint32_t verb;
	uint64_t serial;
	int32_t error; /* 0 or a positive errno */
	uint16_t port;
	uint16_t
		n_fds; /* TAKE: 0 or 1; listeners with an ATTACH or LIST reply: 127.0.0.1 first, then [::1] where
			 * IPv6 exists. Their close-on-exec flag is the receiver's business */
	uint64_t netns_dev;
	uint64_t netns_ino;
	uint32_t mode;	    /* enum netd_mode, of what is attached */
	uint32_t mark;	    /* bridge mode: the container's, never 0 */
	uint32_t n_sources; /* bridge mode */
	uint32_t link;	    /* bridge mode: index of the host's end of its (first) veth */
	struct netd_source sources[NETD_SOURCES_MAX];
	char id[CONTAINER_ID_SIZE];
	char field[32]; /* what is at fault: "netns", "id", "port", "mode", "fds", …; else "" */
	char text[512]; /* what went wrong, one line */
	char unused[7];
};

/* netd_request_check(data, len, ret, diag): copy and validate one received request.
 * 0 or -EPROTO with `diag` saying what was wrong. */
int netd_request_check(const void *data, size_t len, struct netd_request *ret, struct diag *diag);

/* The same for a reply, on rolegated's side. */
int netd_reply_check(const void *data, size_t len, struct netd_reply *ret, struct diag *diag);
