/* worker: a forked child that does what blocks or changes netns: netd itself never leaves the
 * host's netns and never waits for iptables.
 *
 * The child talks with netd over a SOCK_SEQPACKET pair: one struct worker_message a message. It
 * closes every descriptor but those it needs at once, so that it pins no other container's netns.
 * One that takes longer than WORKER_TIMEOUT_MS is killed with all that it started.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "privileged/bridge_rules.h"
#include "privileged/firewall.h"
#include "privileged/netns.h"
#include "rolegate-netd/loop.h"
#include "util/fd.h"
#include "wire/netd_message.h"

#define WORKER_TIMEOUT_MS 15000

enum worker_kind {
	WORKER_OPENED, /* the netns is found: may I go on? (a byte answers) */
	WORKER_DONE,   /* the last message; `error` tells */
};

struct worker_message {
	enum worker_kind kind;
	int error; /* 0 or -errno, with `diag` */
	struct diag diag;
	struct netns_id netns;	      /* OPENED */
	char witness[NETD_PATH_SIZE]; /* OPENED: see struct attachment */
	struct veth_paths paths;      /* OPENED in bridge mode */
	struct firewall_state host;   /* DONE of the host guard */
	struct bridge_state bridge;   /* likewise */
	uint32_t generation;	      /* likewise: nftables' when all was seen intact, 0: unknown */
	bool reordered;		      /* likewise: others' rules were overtaken */
};

struct worker {
	pid_t pid;  /* 0: not running */
	int pid_fd; /* owned */
	int sock;   /* owned */
	struct loop *loop;
	struct loop_source sock_source, pid_source;
	struct loop_timer timeout;

	/* on_message gets what the child sends; it owns the descriptors. on_exit comes last, once,
	 * with `timed_out` if netd had to kill it; it may free or restart the worker. */
	void (*on_message)(struct worker *worker, const struct worker_message *message,
			   int fds[FD_PASS_MAX], size_t n_fds);
	void (*on_exit)(struct worker *worker, bool timed_out);
	bool timed_out;
	void *user;
};

/* What the child does. `netns_fd` is the descriptor that worker_start() was given (or -1). */
typedef void (*worker_main)(int sock, int netns_fd, const void *input);

/* worker_start(worker, loop, main, netns_fd, input): fork. The caller has set on_message, on_exit
 * and user; all else is initialised here. `input` is read in the child's copy of memory.
 * `netns_fd` stays the caller's. 0 or -errno. */
int worker_start(struct worker *worker, struct loop *loop, worker_main main, int netns_fd,
		 const void *input);

/* worker_go(worker): answer WORKER_OPENED with yes; worker_kill() is the no. */
void worker_go(struct worker *worker);
void worker_kill(struct worker *worker);

/* In the child. */
void worker_send(int sock, const struct worker_message *message, const int *fds, size_t n_fds);
bool worker_may_go(int sock);
