#include "launch/launch.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "launch/confinement.h"
#include "launch/enrolment.h"
#include "launch/guardian.h"
#include "launch/launch_state.h"
#include "launch/network.h"
#include "launch/report.h"
#include "launch/rootfs.h"
#include "launch/runc.h"
#include "util/fd.h"
#include "util/file.h"
#include "wire/json_text.h"
#include "wire/oci_config.h"

/* What stands, to be taken down in reverse order. */
struct standing {
	const struct launch *launch;
	struct launch_state state;
	struct guardian guardian;
	struct network network;
	bool has_state, has_network, is_enrolled, has_container;
};

static struct runc runc_of(const struct launch *launch)
{
	return (struct runc){.path = launch->config->runtime.path,
			     .state_root = launch->state_root};
}

static void take_down(struct standing *s)
{
	const struct launch *launch = s->launch;
	struct runc runc = runc_of(launch);
	struct diag diag = {0};

	if (s->has_container)
		runc_delete(&runc, launch->id);
	if (s->is_enrolled && enrolment_unregister(launch->config->control.socket, launch->id,
						   s->network.keeper, &diag) < 0)
		report_warning("container %s: not unregistered: %s", launch->id, diag.text);
	if (s->has_network) {
		network_disconnect(launch->id, s->network.path, &s->state);
		network_close(&s->network);
	}
	guardian_dismiss(&s->guardian);
	if (s->has_state) {
		char path[512];
		for (size_t i = 0; i < 2; i++) {
			snprintf(path, sizeof(path), "%s/%s", s->state.dir, i ? "sys" : "rootfs");
			(void)umount2(path, MNT_DETACH);
		}
		launch_state_remove(&s->state);
	}
}

/* A registration's answer has the variables for both kinds of clients. */
struct variables {
	struct oci_spec *spec;
	const char *prefix;
};

static void add_variable(const char *key, const char *value, void *user)
{
	const struct variables *v = user;
	size_t len = strlen(v->prefix);
	_cleanup_buf_ struct buf variable = {0};

	if (strncmp(key, v->prefix, len) != 0)
		return;
	buf_printf(&variable, "%s=%s", key + len, value);
	if (buf_ok(&variable))
		oci_spec_add_env(v->spec, variable.data);
}

static int enrol(struct standing *s, struct diag *diag)
{
	const struct launch *launch = s->launch;
	_cleanup_buf_ struct buf reply = {0};
	enum enrolment_outcome outcome = ENROLMENT_READY;
	struct enrolment e = {
		.socket = launch->config->control.socket,
		.id = launch->id,
		.pid = s->network.keeper,
		.netns = s->network.path,
		.identity = launch->identity,
		.may_lag = launch->config->runtime.on_not_ready == NOT_READY_START,
		.reply = &reply,
	};
	struct variables v = {.spec = launch->spec,
			      .prefix = launch->credentials == LAUNCH_ECS ? "environment.ecs."
									  : "environment.eks."};

	if (!launch->identity->role_arn)
		return 0;
	int r = enrolment_register(&e, &outcome, diag);
	if (r < 0)
		return r;
	s->is_enrolled = true;
	if (outcome == ENROLMENT_LAGGING)
		report_warning("container %s starts without credentials: %s", launch->id,
			       diag->text);
	if (launch->credentials != LAUNCH_IMDS && reply.len > 0)
		(void)json_text_flatten(reply.data, reply.len, add_variable, &v);
	return 0;
}

/* The file system, as far as it does not depend on what is mounted where. */
static void finish_spec(const struct launch *launch, const char *dir, const char *netns,
			uint32_t ids_base)
{
	struct oci_spec *spec = launch->spec;
	char path[512];
	struct stat st;

	snprintf(path, sizeof(path), "%s/rootfs", dir);
	oci_spec_set_root(spec, path);
	snprintf(path, sizeof(path), "%s/sys", dir);
	oci_spec_add_mount(spec, path, "/sys", "bind", "rbind,ro,nosuid,noexec,nodev");
	snprintf(path, sizeof(path), "%s/etc/resolv.conf", launch->rootfs);
	if (launch->n_networks > 0 && stat(path, &st) == 0)
		oci_spec_add_mount(spec, "/etc/resolv.conf", "/etc/resolv.conf", "bind",
				   "rbind,ro,nosuid,noexec,nodev");
	if (oci_spec_is_read_only(spec))
		oci_spec_add_mount(spec, "tmpfs", "/tmp", "tmpfs",
				   "nosuid,nodev,mode=1777,size=65536k");
	if (launch->user_namespace)
		oci_spec_set_user_namespace(spec, ids_base, LAUNCH_IDS_SIZE);
	oci_spec_set_netns(spec, netns);
	snprintf(path, sizeof(path), "/rolegate-launch-%s", launch->id);
	oci_spec_set_cgroup(spec, path);
}

/* Whatever was asked for: it must not get around rolegate. */
static int judge(const struct launch *launch, const struct buf *text, struct diag *diag)
{
	_cleanup_oci_config_ struct oci_config *oci = NULL;

	int r = oci_config_parse(text->data, text->len, &oci, diag);
	if (r == 0)
		r = confinement_check(oci, "/", launch->config, diag);
	if (r == -EPERM && !launch->config->runtime.refuse_unconfined) {
		report_warning("container %s: %s", launch->id, diag->text);
		return 0;
	}
	return r;
}

int launch_print(const struct launch *launch, struct buf *out, struct diag *diag)
{
	_cleanup_buf_ struct buf dir = {0};

	buf_printf(&dir, "%s/%s", launch->state_root, launch->id);
	if (!buf_ok(&dir))
		return diag_fail(ENOMEM, diag, NULL, "out of memory");
	finish_spec(launch, dir.data, "/proc/KEEPER/ns/net", LAUNCH_IDS_BASE);
	if (oci_spec_print(launch->spec, out) < 0)
		return diag_fail(ENOMEM, diag, NULL, "out of memory");
	return judge(launch, out, diag);
}

static int write_bundle(struct standing *s, struct diag *diag)
{
	const struct launch *launch = s->launch;
	_cleanup_buf_ struct buf text = {0};

	finish_spec(launch, s->state.dir, s->network.path, s->state.ids_base);
	if (oci_spec_print(launch->spec, &text) < 0)
		return diag_fail(ENOMEM, diag, NULL, "out of memory");
	int r = judge(launch, &text, diag);
	if (r < 0)
		return r;
	r = file_write_atomic(s->state.dir_fd, "config.json", text.data, text.len, 0600);
	return r < 0 ? diag_fail(-r, diag, NULL, "%s: %s", s->state.dir, strerror(-r)) : 0;
}

static int mount_all(struct standing *s, struct diag *diag)
{
	const struct launch *launch = s->launch;
	char path[512];
	bool plain;

	snprintf(path, sizeof(path), "%s/rootfs", s->state.dir);
	int r = rootfs_mount(launch->rootfs, path, s->state.ids_base,
			     launch->user_namespace ? LAUNCH_IDS_SIZE : 0, &plain, diag);
	if (r < 0)
		return r;
	if (plain)
		report_warning("container %s: the file system of %s cannot map owners: in the "
			       "container its files are nobody's",
			       launch->id, launch->rootfs);
	snprintf(path, sizeof(path), "%s/sys", s->state.dir);
	return rootfs_mount_sys(path, s->network.path, diag);
}

static int set_up(struct standing *s, struct diag *diag)
{
	const struct launch *launch = s->launch;

	int r = launch_reap(launch->config, launch->state_root, diag);
	if (r == 0)
		r = launch_state_create(launch->state_root, launch->id, &s->state, diag);
	if (r < 0)
		return r;
	s->has_state = true;
	r = guardian_start(launch->config, launch->state_root, &s->guardian, diag);
	if (r == 0)
		r = rootfs_isolate(diag);
	if (r == 0)
		r = network_open(&s->network, diag);
	if (r < 0)
		return r;
	s->has_network = true;
	for (size_t i = 0; r == 0 && i < launch->n_networks; i++)
		r = network_connect(&s->network, launch->id, launch->networks[i], &s->state, diag);
	if (r == 0)
		r = enrol(s, diag);
	if (r == 0)
		r = mount_all(s, diag);
	return r < 0 ? r : write_bundle(s, diag);
}

int launch_run(const struct launch *launch, int *ret_status, struct diag *diag)
{
	struct standing s = {.launch = launch, .state.dir_fd = -1, .guardian.fd = -1};
	struct runc runc = runc_of(launch);

	runc_block_signals();
	int r = set_up(&s, diag);
	if (r == 0) {
		s.has_container = true;
		r = runc_run(&runc, launch->id, s.state.dir, ret_status, diag);
	}
	take_down(&s);
	return r;
}

struct reaping {
	const struct config *config;
	struct runc runc;
};

static void reap_one(const char *id, struct launch_state *state, void *user)
{
	const struct reaping *reaping = user;
	struct diag diag = {0};

	report_warning("container %s: its launcher was killed: cleaning up", id);
	runc_delete(&reaping->runc, id);
	if (enrolment_unregister(reaping->config->control.socket, id, 0, &diag) < 0)
		report_warning("container %s: not unregistered: %s", id, diag.text);
	network_disconnect(id, "", state);
	launch_state_remove(state);
}

int launch_reap(const struct config *config, const char *state_root, struct diag *diag)
{
	struct reaping reaping = {
		.config = config,
		.runc = {.path = config->runtime.path, .state_root = state_root},
	};

	return launch_state_each_dead(state_root, reap_one, &reaping, diag);
}
