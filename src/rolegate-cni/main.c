/* rolegate-cni: a chained CNI plugin that gives a container its AWS role once its network is there.
 * See rolegate-cni(8).
 *
 * It changes nothing of the network: its result is that of the plugin before it. The network
 * namespace is registered under the id of the container (of the pod, in Kubernetes).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "launch/enrolment.h"
#include "launch/identity.h"
#include "launch/report.h"
#include "launch/settings.h"
#include "rolegate-cni/kube_lookup.h"
#include "wire/cni_config.h"
#include "wire/container_id.h"

#define PROGRAM "rolegate-cni"

struct call {
	const char *command, *id, *netns, *args; /* of the environment; may be NULL */
	struct cni_config *network;
	struct config config;
	struct diag diag;
	enum cni_error error; /* what a failure is called */
};

static int fail(struct call *call, enum cni_error error, const char *what)
{
	call->error = error;
	diag_set(&call->diag, NULL, "%s", what);
	return -EINVAL;
}

static int read_network(struct call *call)
{
	_cleanup_buf_ struct buf input = {0};

	for (;;) {
		char *to = buf_reserve(&input, 4096);
		ssize_t n = to ? read(STDIN_FILENO, to, 4096) : -1;
		if (n < 0 && to && errno == EINTR)
			continue;
		if (n < 0 || input.len > CNI_CONFIG_MAX)
			return fail(call, CNI_IO_FAILURE, "standard input cannot be read");
		if (n == 0)
			break;
		input.len += (size_t)n;
	}
	return cni_config_parse(input.data, input.len, &call->network, &call->error, &call->diag);
}

static int check_environment(struct call *call, bool needs_netns)
{
	if (!call->id || container_id_check(call->id) < 0)
		return fail(call, CNI_INVALID_ENVIRONMENT, "CNI_CONTAINERID is missing or invalid");
	if (needs_netns && (!call->netns || call->netns[0] != '/'))
		return fail(call, CNI_INVALID_ENVIRONMENT,
			    "CNI_NETNS is missing, or no absolute path");
	return 0;
}

static int load_settings(struct call *call)
{
	const char *path = call->network->rolegate_config;

	call->error = CNI_INVALID_CONFIG;
	return path ? config_load(path, &call->config, &call->diag)
		    : settings_load(&call->config, &call->diag);
}

/* The value of KEY in CNI_ARGS, "KEY=VALUE;KEY=VALUE": the caller's to free; NULL if it is not there. */
static int get_arg(const struct call *call, const char *key, char **ret)
{
	size_t len = strlen(key);

	*ret = NULL;
	for (const char *at = call->args; at; at = strchr(at, ';'), at = at ? at + 1 : NULL) {
		if (strncmp(at, key, len) != 0 || at[len] != '=')
			continue;
		*ret = strndup(at + len + 1, strcspn(at + len + 1, ";"));
		return *ret ? 0 : -ENOMEM;
	}
	return 0;
}

/* Which pod it is, in Kubernetes; each may be NULL. */
struct pod {
	char *namespace, *name, *uid;
};

static void pod_deinit(struct pod *pod)
{
	free(pod->namespace);
	free(pod->name);
	free(pod->uid);
}

static int find_pod(struct call *call, struct pod *ret)
{
	int r = get_arg(call, "K8S_POD_NAMESPACE", &ret->namespace);

	if (r == 0)
		r = get_arg(call, "K8S_POD_NAME", &ret->name);
	if (r == 0)
		r = get_arg(call, "K8S_POD_UID", &ret->uid);
	if (r == 0 && ret->name)
		r = cni_config_annotate(call->network, "io.kubernetes.cri.sandbox-name", ret->name);
	if (r == 0 && ret->namespace)
		r = cni_config_annotate(call->network, "io.kubernetes.cri.sandbox-namespace",
					ret->namespace);
	if (r < 0) {
		call->error = CNI_INTERNAL;
		diag_set(&call->diag, NULL, "out of memory");
	}
	return r;
}

static int ask_kubernetes(struct call *call, const struct pod *pod)
{
	if (!call->network->kubeconfig || !pod->namespace || !pod->name)
		return 0;
	int r = kube_lookup(call->network->kubeconfig, pod->namespace, pod->name, pod->uid,
			    call->network, &call->diag);
	call->error = r == -EINVAL ? CNI_INVALID_CONFIG : CNI_TRY_AGAIN_LATER;
	return r;
}

static int find_identity(struct call *call, struct identity **ret)
{
	_cleanup_(pod_deinit) struct pod pod = {0};

	int r = find_pod(call, &pod);
	if (r == 0)
		r = ask_kubernetes(call, &pod);
	if (r < 0)
		return r;
	call->error = CNI_INVALID_CONFIG;
	return identity_read(call->network->container, NULL, &call->config, ret, &call->diag);
}

static int add(struct call *call)
{
	_cleanup_identity_ struct identity *identity = NULL;
	enum enrolment_outcome outcome = ENROLMENT_READY;

	int r = find_identity(call, &identity);
	if (r < 0 || !identity->role_arn)
		return r;
	struct enrolment e = {
		.socket = call->config.control.socket,
		.id = call->id,
		.netns = call->netns,
		.identity = identity,
		.may_lag = call->config.runtime.on_not_ready == NOT_READY_START,
	};
	r = enrolment_register(&e, &outcome, &call->diag);
	if (r == 0 && outcome == ENROLMENT_LAGGING)
		report_warning("container %s has no credentials yet: %s", call->id,
			       call->diag.text);
	call->error = r == -EACCES || r == -EEXIST	  ? CNI_DENIED
		      : r == -ENOTCONN || r == -ETIMEDOUT ? CNI_TRY_AGAIN_LATER
		      : r == -EINVAL			  ? CNI_INVALID_CONFIG
							  : CNI_INTERNAL;
	return r;
}

/* Is everything as ADD left it? */
static int check(struct call *call)
{
	_cleanup_identity_ struct identity *identity = NULL;

	int r = find_identity(call, &identity);
	if (r < 0 || !identity->role_arn)
		return r;
	struct enrolment e = {
		.socket = call->config.control.socket,
		.id = call->id,
		.netns = call->netns,
		.identity = identity,
	};
	r = enrolment_check(&e, &call->diag);
	call->error = r == -ENOENT ? CNI_UNKNOWN_CONTAINER : CNI_TRY_AGAIN_LATER;
	return r;
}

static int del(struct call *call)
{
	call->error = CNI_TRY_AGAIN_LATER;
	int r = enrolment_unregister(call->config.control.socket, call->id, 0, &call->diag);
	/* The netns goes with the container, and what stands in it: a pod must not wait for ever for
	 * a daemon that has been removed. */
	return r == -ENOTCONN ? 0 : r;
}

static int run(struct call *call, struct buf *out)
{
	static const struct {
		const char *name;
		int (*run)(struct call *call);
		bool needs_netns, has_result;
	} commands[] = {
		{"ADD", add, true, true},
		{"CHECK", check, true, false},
		{"DEL", del, false, false},
	};

	if (call->command && strcmp(call->command, "VERSION") == 0) {
		cni_print_versions(out);
		return 0;
	}
	for (size_t i = 0; call->command && i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (strcmp(call->command, commands[i].name) != 0)
			continue;
		int r = read_network(call);
		if (r == 0)
			r = check_environment(call, commands[i].needs_netns);
		if (r == 0)
			r = load_settings(call);
		if (r == 0)
			r = commands[i].run(call);
		if (r == 0 && commands[i].has_result)
			cni_print_result(call->network, out);
		return r;
	}
	return fail(call, CNI_INVALID_ENVIRONMENT,
		    "CNI_COMMAND must be ADD, DEL, CHECK or VERSION: this is a CNI plugin");
}

int main(int argc, char *argv[])
{
	_cleanup_buf_ struct buf out = {0};
	struct call call = {
		.command = getenv("CNI_COMMAND"),
		.id = getenv("CNI_CONTAINERID"),
		.netns = getenv("CNI_NETNS"),
		.args = getenv("CNI_ARGS"),
		.error = CNI_INTERNAL,
	};

	report_setup(PROGRAM, NULL, false);
	if (argc > 1 && strcmp(argv[1], "--version") == 0) {
		puts(PROGRAM " " ROLEGATE_VERSION);
		return 0;
	}
	int r = run(&call, &out);
	if (r < 0) {
		report_error("%s: %s", call.id ? call.id : "no container", call.diag.text);
		cni_print_error(call.network ? call.network->version : NULL, call.error,
				call.diag.text, call.diag.field, &out);
	}
	if (!buf_ok(&out) || (out.len > 0 && fwrite(out.data, 1, out.len, stdout) != out.len) ||
	    fflush(stdout) != 0)
		r = -EIO;
	cni_config_free(call.network);
	config_deinit(&call.config);
	return r < 0 ? 1 : 0;
}
