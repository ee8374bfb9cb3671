/* The daemons, the user, the host's rules, the policy. */
#include <errno.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "client/transport.h"
#include "core/policy.h"
#include "privileged/firewall.h"
#include "rolegate/doctor.h"
#include "util/fd.h"

#define READY_MS 5000

DEFINE_CLEANUP(struct policy *, policy_free)

static int connect_to(const char *path, int type, struct ucred *ret)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	socklen_t len = sizeof(*ret);

	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	memcpy(address.sun_path, path, strlen(path));
	_cleanup_fd_ int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, ret, &len) < 0)
		return -errno;
	return 0;
}

static void look_at_user(struct doctor *d)
{
	const struct passwd *user = getpwnam("rolegate");

	d->user_uid = user ? user->pw_uid : 0;
	if (d->user_uid != 0)
		doctor_add(d, DOCTOR_OK, "user", NULL, "the user rolegate exists");
	else
		doctor_add(d, DOCTOR_WARN, "user",
			   "create it (systemd-sysusers) and restart both daemons",
			   "there is no user rolegate: rolegated stays root, without capabilities");
}

static bool is_ready(const char *socket_path, struct diag *diag)
{
	_cleanup_buf_ struct buf body = {0};
	const struct transport_request request = {.socket_path = socket_path,
						  .method = "GET",
						  .path = "/readyz",
						  .connect_ms = READY_MS,
						  .reply_ms = READY_MS};
	int status = 0;

	return transport_exchange(&request, NULL, NULL, &status, &body, diag) == 0 && status == 200;
}

/* What getsockopt() tells is who listened; rolegated may have given up root since. */
static uid_t uid_now(pid_t pid)
{
	char path[64], line[128];
	unsigned uid = 0;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	FILE *status = fopen(path, "re");
	while (status && fgets(line, sizeof(line), status))
		if (sscanf(line, "Uid: %*u %u", &uid) == 1)
			break;
	if (status)
		(void)fclose(status);
	return uid;
}

void doctor_look_at_daemons(struct doctor *d)
{
	const char *socket_path = rolegate_client_socket(d->cli->client);
	struct rolegate_reply reply = {0};
	struct rolegate_error error = {0};
	struct diag diag = {0};
	struct ucred peer;

	look_at_user(d);
	int r = connect_to(d->config.netd.socket, SOCK_SEQPACKET, &peer);
	if (r < 0)
		doctor_add(d, DOCTOR_FAIL, "netd", "systemctl start rolegate-netd; read its log",
			   "rolegate-netd is not reachable on %s: %s", d->config.netd.socket,
			   strerror(-r));
	else
		doctor_add(d, DOCTOR_OK, "netd", NULL, "rolegate-netd runs (pid %d)",
			   (int)peer.pid);
	r = connect_to(socket_path, SOCK_STREAM, &peer);
	if (r < 0) {
		doctor_add(d, DOCTOR_FAIL, "rolegated", "systemctl start rolegated; read its log",
			   "rolegated is not reachable on %s: %s", socket_path, strerror(-r));
		return;
	}
	if (!is_ready(socket_path, &diag))
		doctor_add(d, DOCTOR_FAIL, "rolegated", "read the logs of both daemons",
			   "rolegated runs (pid %d), but is not ready: it is not connected to "
			   "rolegate-netd",
			   (int)peer.pid);
	else if (uid_now(peer.pid) == 0 && d->user_uid != 0)
		doctor_add(d, DOCTOR_WARN, "rolegated",
			   "its log says which file the user rolegate cannot reach",
			   "rolegated runs as root (pid %d), without capabilities", (int)peer.pid);
	else
		doctor_add(d, DOCTOR_OK, "rolegated", NULL, "rolegated runs and is ready (pid %d)",
			   (int)peer.pid);
	if (rolegate_roles(d->cli->client, &reply, &error) < 0 ||
	    role_map_parse(reply.body, reply.len, &d->map, &diag) < 0)
		doctor_add(d, DOCTOR_FAIL, "rolegated", "run as root, or as one of its group",
			   "the role map cannot be read: %s",
			   error.message[0] ? error.message : diag.text);
	rolegate_reply_clear(&reply);
}

void doctor_look_at_roles(struct doctor *d)
{
	size_t ready = 0;

	for (size_t i = 0; d->map && i < d->map->n_entries; i++) {
		const struct role_map_entry *entry = &d->map->entries[i];
		const char *state = entry->state ? entry->state : "unknown";
		if (strcmp(state, "ready") == 0) {
			ready++;
			continue;
		}
		bool denied = strcmp(state, "denied") == 0;
		doctor_add(d, denied ? DOCTOR_FAIL : DOCTOR_WARN, "role",
			   denied ? "let the host's role assume it: its trust policy, and the "
				    "host's own permissions"
				  : "see rolegate show ID; it is tried again",
			   "%s is %s: %s: %s", entry->id, state,
			   entry->role_arn ? entry->role_arn : "",
			   entry->last_error ? entry->last_error : "STS has not answered yet");
	}
	if (d->map && ready == d->map->n_entries)
		doctor_add(d, DOCTOR_OK, "role", NULL, "%zu of %zu container%s %s credentials",
			   ready, ready, ready == 1 ? "" : "s", ready == 1 ? "has" : "have");
}

static void judge_rules(struct doctor *d, const char *family, const struct firewall_report *r)
{
	if (r->want == 0)
		return;
	if (r->have != r->want)
		doctor_add(d, DOCTOR_FAIL, "rules",
			   "start rolegate-netd: it puts them back within 5 s",
			   "%s: %zu of %zu host rules are there", family, r->have, r->want);
	else if (!r->first)
		doctor_add(d, DOCTOR_WARN, "rules",
			   "rolegate-netd puts them first again within a minute; find out who does "
			   "this",
			   "%s: other rules come before rolegate's", family);
	else
		doctor_add(d, DOCTOR_OK, "rules", NULL,
			   "%s: all %zu host rules stand; they stopped %" PRIu64 " packets", family,
			   r->have, r->hits);
}

void doctor_look_at_rules(struct doctor *d)
{
	struct firewall_host host = {.protect_host = d->config.intercept.protect_host,
				     .rolegate_uid = d->user_uid};
	struct firewall_report report[IPTABLES_FAMILIES];
	struct diag diag = {0};

	if (geteuid() != 0) {
		doctor_add(d, DOCTOR_WARN, "rules", "run rolegate doctor as root",
			   "only root can look at the host's rules");
		return;
	}
	for (size_t i = 0; d->map && i < d->map->n_entries; i++)
		host.bridge |= d->map->entries[i].bridged;
	if (firewall_host_report(&host, report, &diag) < 0) {
		doctor_add(d, DOCTOR_FAIL, "rules", "install iptables",
			   "the host's rules cannot be read: %s", diag.text);
		return;
	}
	for (int i = 0; i < IPTABLES_FAMILIES; i++)
		judge_rules(d, iptables_family_name(i), &report[i]);
}

/* Does one pattern fit every role of its account? The resource is the ARN's sixth field. */
static bool fits_every_role(const char *pattern)
{
	for (int i = 0; pattern && i < 5; i++) {
		pattern = strchr(pattern, ':');
		pattern += pattern != NULL;
	}
	return pattern && (policy_glob(pattern, "role/any-name-42") &&
			   policy_glob(pattern, "role/other/path/X"));
}

static bool asks_for_nothing(const struct policy_rule *rule)
{
	bool any_image = rule->n_images == 0;

	for (size_t i = 0; i < rule->n_images; i++)
		any_image = any_image || strcmp(rule->images[i], "*") == 0;
	return any_image && rule->n_labels == 0 && !rule->require_digest;
}

void doctor_look_at_policy(struct doctor *d)
{
	_cleanup_(policy_freep) struct policy *policy = NULL;
	struct diag diag = {0};
	bool wide = false;

	if (policy_load(d->config.policy.file, &policy, &diag) < 0) {
		doctor_add(d, DOCTOR_FAIL, "policy",
			   "write one: rolegate-policy(5); check it with rolegate policy check",
			   "no container gets a role: %s", diag.text);
		return;
	}
	for (size_t i = 0; i < policy->n_rules; i++) {
		const struct policy_rule *rule = &policy->rules[i];
		bool every = false;
		for (size_t k = 0; k < rule->n_roles; k++)
			every = every || fits_every_role(rule->roles[k]);
		if (!every)
			continue;
		wide = true;
		bool anyone = asks_for_nothing(rule);
		doctor_add(d, anyone ? DOCTOR_FAIL : DOCTOR_WARN, "policy",
			   "name the roles, or a path of them, and images or labels",
			   "rule \"%s\" gives %s every role of the account", rule->name,
			   anyone ? "any container" : "the containers it fits");
	}
	if (!wide)
		doctor_add(d, DOCTOR_OK, "policy", NULL,
			   "%zu rule%s, none of which gives every role", policy->n_rules,
			   policy->n_rules == 1 ? "" : "s");
}
