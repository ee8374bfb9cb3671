#include "rolegate-netd/host_guard.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "privileged/nft_generation.h"
#include "rolegate-netd/bridge.h"
#include "rolegate-netd/job.h"
#include "util/clock.h"
#include "util/fd.h"
#include "util/log.h"

#define REORDER_PERIOD_MS 60000

struct input {
	struct firewall_host rules;
	struct firewall_state state;
	bool force;
	bool sync;
	bool may_reorder;
	struct bridge_state bridge;
	uint16_t bridge_port;
	const struct attachments *attachments;
};

static void set_rules(struct netd *netd)
{
	netd->guard.rules = (struct firewall_host){
		.protect_host = netd->config.intercept.protect_host,
		.rolegate_uid = netd->user_uid,
	};
}

int host_guard_apply(struct netd *netd, struct diag *diag)
{
	set_rules(netd);
	int r = firewall_host_apply(&netd->guard.rules, &netd->guard.state, diag);
	/* What an earlier life has left is nobody's now. Where there is no nft, there is nothing. */
	if (r == 0)
		(void)bridge_rules_remove(&netd->guard.bridge, NULL);
	return r;
}

/* From here to check() in the worker. */
static int write_bridge(const struct input *input, struct worker_message *message)
{
	struct bridge_client *clients;
	struct attachment *attachment;
	size_t n = 0;

	clients = calloc(input->attachments->n + 1, sizeof(*clients));
	if (!clients)
		return diag_fail(ENOMEM, &message->diag, NULL, "out of memory");
	for (size_t slot = 0; (attachment = attachments_next(input->attachments, &slot));)
		if (attachment->mode == NETD_MODE_BRIDGE)
			clients[n++] = (struct bridge_client){attachment->mark, attachment->paths};
	int r = bridge_rules_apply(input->bridge_port, clients, n, &message->bridge,
				   &message->diag);
	free(clients);
	return r;
}

static int raise_bridge(const struct input *input, struct worker_message *message, bool *changed)
{
	if (!input->sync && !input->force && bridge_rules_intact(&input->bridge))
		return 0;
	if (!input->sync && !input->force)
		log_warning(NULL, "bridge mode's rules were changed; putting them back");
	*changed = true;
	return write_bridge(input, message);
}

static int check_host(const struct input *input, struct worker_message *message, bool *changed)
{
	enum firewall_drift drift = FIREWALL_CHANGED;
	int r = 0;

	if (!input->force)
		r = firewall_host_check(&input->state, &drift, &message->diag);
	*changed |= drift != FIREWALL_INTACT;
	if (r < 0 || drift == FIREWALL_INTACT ||
	    (drift == FIREWALL_OVERTAKEN && !input->may_reorder))
		return r;
	if (!input->force)
		log_warning(NULL, "%s; putting them back", message->diag.text);
	message->reordered = drift == FIREWALL_OVERTAKEN;
	return firewall_host_apply(&input->rules, &message->host, &message->diag);
}

/* Nothing is let in before the rules that look at it stand, or after they have gone. */
static void check(int sock, int netns_fd, const void *user)
{
	const struct input *input = user;
	struct worker_message message = {
		.kind = WORKER_DONE, .host = input->state, .bridge = input->bridge};
	bool changed = input->sync;
	uint32_t generation = 0;
	int r = 0;

	(void)netns_fd;
	/* First, so that no change slips in between. */
	(void)nft_generation_get(&generation);
	if (input->rules.bridge)
		r = raise_bridge(input, &message, &changed);
	/* Who waits for bridge mode's rules need not wait for a check of the others. */
	if (r == 0 && (input->force || !input->sync))
		r = check_host(input, &message, &changed);
	if (r == 0 && !input->rules.bridge && input->bridge.standing) {
		changed = true;
		r = bridge_rules_remove(&message.bridge, &message.diag);
	}
	message.generation = changed ? 0 : generation;
	message.error = r;
	worker_send(sock, &message, NULL, 0);
}

static void on_worker_message(struct worker *worker, const struct worker_message *message,
			      int fds[FD_PASS_MAX], size_t n_fds)
{
	struct netd *netd = worker->user;

	(void)n_fds;
	for (size_t i = 0; i < FD_PASS_MAX; i++)
		fd_close(fds[i]);
	netd->guard.error = message->error;
	netd->guard.diag = message->diag;
	netd->guard.bridge = message->bridge;
	if (message->error) {
		log_error(NULL, "host rules: %s", message->diag.text);
		return;
	}
	netd->guard.state = message->host;
	netd->guard.bridge_let_in = netd->guard.rules.bridge;
	netd->guard.generation = message->generation;
	if (message->reordered)
		netd->guard.reorder_after_ms = clock_now_ms() + REORDER_PERIOD_MS;
}

static void start_check(struct netd *netd)
{
	struct host_guard *guard = &netd->guard;

	guard->rules.bridge = bridge_has_clients(netd);
	const struct input input = {
		.rules = guard->rules,
		.state = guard->state,
		.force = guard->reload_pending || guard->rules.bridge != guard->bridge_let_in,
		.sync = guard->sync_wanted > guard->sync_done,
		.may_reorder = clock_now_ms() >= guard->reorder_after_ms,
		.bridge = guard->bridge,
		.bridge_port = netd->bridge.port,
		.attachments = &netd->attachments,
	};

	loop_timer_stop(&guard->timer);
	if (guard->removed)
		guard->hurried_ms = clock_now_ms();
	guard->removed = false;
	guard->generation = 0;
	guard->sync_running = guard->sync_wanted;
	guard->error = -EIO; /* until it says how it went */
	diag_set(&guard->diag, NULL, "the worker for the host's rules died or took too long");
	int r = worker_start(&guard->worker, &netd->loop, check, -1, &input);
	if (r < 0) {
		log_error(NULL, "host rules cannot be checked: %s", strerror(-r));
		loop_timer_set(&netd->loop, &guard->timer, HOST_GUARD_PERIOD_MS);
		return;
	}
	guard->reload_pending = false;
}

/* Something may be missing: look soon. While a worker runs, its exit comes back to this. */
static void hurry(struct netd *netd)
{
	struct host_guard *guard = &netd->guard;
	int64_t now_ms = clock_now_ms();
	int64_t due_ms = guard->hurried_ms ? guard->hurried_ms + HOST_GUARD_HURRY_MS : 0;

	if (guard->worker.pid != 0)
		return;
	if (due_ms < now_ms)
		due_ms = now_ms;
	if (guard->timer.due_ms == 0 || due_ms < guard->timer.due_ms)
		loop_timer_set(&netd->loop, &guard->timer, due_ms - now_ms);
}

static void handle_nft(void *user, uint32_t events)
{
	struct netd *netd = user;

	(void)events;
	if (!nft_watch_read(netd->guard.nft_fd))
		return;
	netd->guard.removed = true;
	hurry(netd);
}

static void on_worker_exit(struct worker *worker, bool timed_out)
{
	struct netd *netd = worker->user;
	struct host_guard *guard = &netd->guard;

	if (timed_out)
		log_error(NULL, "host rules: the check took too long");
	if (guard->sync_running > guard->sync_done) {
		guard->sync_done = guard->sync_running;
		job_synced(netd, guard->sync_done, guard->error, &guard->diag);
	}
	/* job_synced() may have started the next. */
	if (guard->worker.pid != 0)
		return;
	if (guard->reload_pending || guard->sync_wanted > guard->sync_done)
		start_check(netd);
	else
		loop_timer_set(&netd->loop, &guard->timer,
			       guard->error ? HOST_GUARD_RETRY_MS : HOST_GUARD_PERIOD_MS);
	if (guard->removed)
		hurry(netd);
}

static void handle_timer(void *user)
{
	struct netd *netd = user;
	struct host_guard *guard = &netd->guard;
	uint32_t generation;

	/* iptables-legacy changes nothing that nftables would count. */
	if (guard->sync_wanted == guard->sync_done && guard->state.raw[IPTABLES_V4].is_nft &&
	    guard->generation != 0 && nft_generation_get(&generation) == 0 &&
	    generation == guard->generation)
		loop_timer_set(&netd->loop, &guard->timer, HOST_GUARD_PERIOD_MS);
	else
		start_check(netd);
}

void host_guard_run(struct netd *netd)
{
	struct host_guard *guard = &netd->guard;

	guard->worker.on_message = on_worker_message;
	guard->worker.on_exit = on_worker_exit;
	guard->worker.user = netd;
	guard->timer = (struct loop_timer){.handle = handle_timer, .user = netd};
	loop_timer_set(&netd->loop, &guard->timer, HOST_GUARD_PERIOD_MS);
	guard->nft_source = (struct loop_source){-1, handle_nft, netd};
	guard->nft_fd = nft_watch_open();
	int r = guard->nft_fd < 0
			? guard->nft_fd
			: loop_add(&netd->loop, &guard->nft_source, guard->nft_fd, EPOLLIN);
	if (r < 0)
		log_warning(NULL,
			    "the kernel does not tell of removed rules: %s; they are looked at "
			    "every %d s",
			    strerror(-r), HOST_GUARD_PERIOD_MS / 1000);
}

void host_guard_stop(struct netd *netd)
{
	worker_kill(&netd->guard.worker);
	netd->guard.nft_fd = fd_close(netd->guard.nft_fd);
}

uint64_t host_guard_sync(struct netd *netd)
{
	struct host_guard *guard = &netd->guard;

	guard->sync_wanted++;
	/* Soon: others may want the same pass. While one runs, its exit starts the next. */
	if (guard->worker.pid == 0)
		loop_timer_set(&netd->loop, &guard->timer, 0);
	return guard->sync_wanted;
}

void host_guard_reload(struct netd *netd)
{
	set_rules(netd);
	netd->guard.reload_pending = true;
	if (netd->guard.worker.pid != 0)
		return; /* its exit starts the next one */
	loop_timer_stop(&netd->guard.timer);
	start_check(netd);
}
