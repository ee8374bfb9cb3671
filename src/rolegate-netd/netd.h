/* netd: the state of the program, shared by its parts. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

#include "privileged/firewall.h"
#include "privileged/netns.h"
#include "rolegate-netd/attachment.h"
#include "rolegate-netd/loop.h"
#include "rolegate-netd/worker.h"
#include "wire/config.h"

/* Whose requests are heard, and who is spared by protect_host. */
#define NETD_USER "rolegate"

struct job;
struct peer;

TAILQ_HEAD(job_queue, job);
TAILQ_HEAD(peer_list, peer);

/* See host_guard.h. */
struct host_guard {
	struct firewall_host rules;
	struct firewall_state state; /* as the rules stood when last put in */
	uint32_t generation;	     /* nftables', when they were last seen intact; 0: unknown */
	int64_t reorder_after_ms;
	bool reload_pending; /* put them in anew, whether changed or not */
	bool bridge_let_in;  /* as last put in: firewall_host's `bridge` */
	struct bridge_state bridge;
	/* Passes that write bridge mode's rules: the last one asked for, under way, ended. */
	uint64_t sync_wanted, sync_running, sync_done;
	int error; /* of the pass under way; -errno */
	struct diag diag;
	struct worker worker;
	struct loop_timer timer;
	int nft_fd; /* tells of changes; -1: nobody does */
	struct loop_source nft_source;
	bool removed;	    /* perhaps, since the last check began */
	int64_t hurried_ms; /* when a check was last begun for that */
};

/* See bridge.h. */
struct bridge {
	int listeners[NETD_LISTENERS_MAX]; /* owned */
	size_t n_listeners;		   /* 0: all of this is unused */
	uint16_t port;
	uint32_t last_serial;
	int links_fd;
	struct loop_source links_source;
};

struct netd {
	const char *config_path;
	struct config config;
	uid_t user_uid; /* rolegated's; 0 if there is no such user */
	gid_t user_gid;
	struct netns_hosts hosts;
	struct loop loop;

	int listen_fd, signal_fd;
	struct loop_source listen_source, signal_source;
	struct loop_timer accept_again, watchdog;
	int64_t refusal_logged_ms;
	unsigned refusals;

	struct attachments attachments;
	struct loop_timer liveness;

	struct job_queue jobs; /* queued and running, in the order they came */
	size_t n_jobs, n_running;

	struct peer_list peers;
	size_t n_peers;
	uint64_t last_peer_id;

	struct loop_timer take_timer; /* until when TAKE waits for a last KEEP */
	int kept_fd;		      /* see kept.h; -1: nothing */

	struct host_guard guard;
	struct bridge bridge;
};
