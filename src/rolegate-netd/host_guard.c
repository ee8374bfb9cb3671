#include "rolegate-netd/host_guard.h"

#include <errno.h>
#include <string.h>

#include "privileged/nft_generation.h"
#include "util/clock.h"
#include "util/log.h"

#define REORDER_PERIOD_MS 60000

struct input {
	struct firewall_host rules;
	struct firewall_state state;
	bool force;
	bool may_reorder;
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
	return firewall_host_apply(&netd->guard.rules, &netd->guard.state, diag);
}

/* In the worker. */
static void check(int sock, int netns_fd, const void *user)
{
	struct worker_message message = {.kind = WORKER_DONE};
	enum firewall_drift drift = FIREWALL_CHANGED;
	const struct input *input = user;
	uint32_t generation = 0;
	int r = 0;

	(void)netns_fd;
	/* First, so that no change slips in between. */
	(void)nft_generation_get(&generation);
	if (!input->force)
		r = firewall_host_check(&input->state, &drift, &message.diag);
	message.host = input->state;
	if (r == 0 &&
	    (drift == FIREWALL_INTACT || (drift == FIREWALL_OVERTAKEN && !input->may_reorder))) {
		message.generation = drift == FIREWALL_INTACT ? generation : 0;
	} else if (r == 0) {
		if (!input->force)
			log_warning(NULL, "%s; putting them back", message.diag.text);
		message.reordered = drift == FIREWALL_OVERTAKEN;
		r = firewall_host_apply(&input->rules, &message.host, &message.diag);
	}
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
	if (message->error) {
		log_error(NULL, "host rules: %s", message->diag.text);
		return;
	}
	netd->guard.state = message->host;
	netd->guard.generation = message->generation;
	if (message->reordered)
		netd->guard.reorder_after_ms = clock_now_ms() + REORDER_PERIOD_MS;
}

static void start_check(struct netd *netd)
{
	struct host_guard *guard = &netd->guard;
	const struct input input = {
		.rules = guard->rules,
		.state = guard->state,
		.force = guard->reload_pending,
		.may_reorder = clock_now_ms() >= guard->reorder_after_ms,
	};

	guard->generation = 0;
	int r = worker_start(&guard->worker, &netd->loop, check, -1, &input);
	if (r < 0) {
		log_error(NULL, "host rules cannot be checked: %s", strerror(-r));
		loop_timer_set(&netd->loop, &guard->timer, HOST_GUARD_PERIOD_MS);
		return;
	}
	guard->reload_pending = false;
}

static void on_worker_exit(struct worker *worker, bool timed_out)
{
	struct netd *netd = worker->user;

	if (timed_out)
		log_error(NULL, "host rules: the check took too long");
	if (netd->guard.reload_pending)
		start_check(netd);
	else
		loop_timer_set(&netd->loop, &netd->guard.timer, HOST_GUARD_PERIOD_MS);
}

static void handle_timer(void *user)
{
	struct netd *netd = user;
	struct host_guard *guard = &netd->guard;
	uint32_t generation;

	/* iptables-legacy changes nothing that nftables would count. */
	if (guard->state.raw[IPTABLES_V4].is_nft && guard->generation != 0 &&
	    nft_generation_get(&generation) == 0 && generation == guard->generation)
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
