/* launch: run a container with its role, without an engine. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "launch/image.h"
#include "launch/launch.h"
#include "launch/launch_state.h"
#include "launch/report.h"
#include "launch/settings.h"
#include "launch/syscalls.h"
#include "rolegate/cli.h"
#include "rolegate/launch_options.h"
#include "rolegate/launch_policy.h"
#include "rolegate/registration_options.h"
#include "util/cleanup.h"
#include "util/file.h"
#include "wire/container_id.h"
#include "wire/oci_config.h"

#define SESSION_POLICY_MAX ((size_t)64 * 1024)

static const struct option_spec options_launch[] = {
	{"name", "ID", false, "the container's name; default a new one"},
	REGISTRATION_OPTIONS,
	LAUNCH_OPTIONS,
	{"network", "LIST", true, "a CNI network: its name, or the path of its configuration"},
	{"credentials", "imds|ecs|eks", false, "the way it is told to get its credentials"},
	{"no-userns", NULL, false, "root in it is root on the host: only if it must be"},
	{"print-config", NULL, false, "print the OCI config.json instead of running it"},
	{"reap", NULL, false, "clean up what killed launchers left, and do nothing else"},
	{"state-dir", "DIR", false, "where launches are known; default " LAUNCH_STATE_DIR},
	{NULL, NULL, false, NULL},
};

/* All of one launch, to be freed together. */
struct job {
	struct cli *cli;
	const struct options *options;
	struct config config;
	struct launch launch;
	struct identity *identity;
	struct oci_config *bundle; /* NULL: a root file system was given */
	char *text;		   /* of the bundle's config.json */
	size_t len;
	char directory[PATH_MAX], rootfs[PATH_MAX];
	char id[CONTAINER_ID_SIZE];
	const char **networks;
};

static int print_diag(const struct cli *cli, int r, const struct diag *diag)
{
	cli_error(cli, "%s", diag->text);
	return r == -EACCES ? CLI_DENIED : r == -ENOTCONN ? CLI_UNREACHABLE : CLI_FAILED;
}

static int name_it(struct job *job)
{
	const char *name = options_get(job->options, "name");
	unsigned char random[6];

	if (name && container_id_check(name) < 0)
		return cli_usage(job->cli, "--name must be 1 to 128 letters, digits and the "
					   "characters _ . -, the first a letter or digit");
	if (name) {
		snprintf(job->id, sizeof(job->id), "%s", name);
	} else {
		if (getrandom(random, sizeof(random), 0) != sizeof(random))
			return CLI_FAILED;
		snprintf(job->id, sizeof(job->id), "launch-%02x%02x%02x%02x%02x%02x", random[0],
			 random[1], random[2], random[3], random[4], random[5]);
	}
	job->cli->subject = job->id;
	oci_spec_set_hostname(job->launch.spec, job->id);
	return CLI_DONE;
}

static int read_bundle(struct job *job, const char *file)
{
	struct diag diag = {0};

	int r = file_read(file, OCI_CONFIG_MAX, &job->text, &job->len);
	if (r < 0) {
		cli_error(job->cli, "%s: %s", file, strerror(-r));
		return CLI_FAILED;
	}
	r = oci_config_parse(job->text, job->len, &job->bundle, &diag);
	if (r == 0)
		r = oci_spec_take_bundle(job->launch.spec, job->directory, job->text, job->len,
					 &diag);
	if (r < 0) {
		cli_error(job->cli, "%s: %s", file, diag.text);
		return CLI_FAILED;
	}
	return CLI_DONE;
}

/* The argument is a bundle if there is a config.json in it, and a root file system if not. */
static int find_rootfs(struct job *job)
{
	char file[PATH_MAX + 16], path[2 * PATH_MAX];
	struct stat st;
	int code = CLI_DONE;

	bool found =
		realpath(job->options->args[0], job->directory) && stat(job->directory, &st) == 0;
	if (!found || !S_ISDIR(st.st_mode)) {
		cli_error(job->cli, "%s: %s", job->options->args[0],
			  strerror(found ? ENOTDIR : errno));
		return CLI_FAILED;
	}
	snprintf(file, sizeof(file), "%s/config.json", job->directory);
	snprintf(path, sizeof(path), "%s", job->directory);
	if (access(file, F_OK) == 0) {
		code = read_bundle(job, file);
		const char *root = code == CLI_DONE ? job->bundle->root_path : NULL;
		if (code == CLI_DONE && !root) {
			cli_error(job->cli, "%s: it has no root.path", file);
			return CLI_FAILED;
		}
		if (root)
			snprintf(path, sizeof(path), "%s%s%s", root[0] == '/' ? "" : job->directory,
				 root[0] == '/' ? "" : "/", root);
	}
	if (code == CLI_DONE && !realpath(path, job->rootfs)) {
		cli_error(job->cli, "%s: %s", path, strerror(errno));
		code = CLI_FAILED;
	}
	job->launch.rootfs = job->rootfs;
	return code;
}

static int add_field(struct job *job, const char *option, const char *field, const char *value)
{
	_cleanup_secret_ char *text = NULL;
	struct diag diag = {0};
	char source[64];

	snprintf(source, sizeof(source), "--%s", option);
	if (strcmp(field, "session_policy") == 0 && value[0] == '@') {
		int r = file_read(value + 1, SESSION_POLICY_MAX, &text, NULL);
		if (r < 0) {
			cli_error(job->cli, "%s: %s: %s", source, value + 1, strerror(-r));
			return CLI_FAILED;
		}
		value = text;
	}
	if (identity_add(job->identity, field, value, source, &diag) < 0) {
		cli_error(job->cli, "%s", diag.text);
		return CLI_FAILED;
	}
	return CLI_DONE;
}

/* By the options if they give a role; else by the bundle's annotations and environment. */
static int find_identity(struct job *job)
{
	const char *role = options_get(job->options, "role");
	struct diag diag = {0};
	int r = 0;

	if (!role && job->bundle) {
		r = image_disown_bundle(job->bundle, &diag);
		if (r == 0)
			r = identity_read(job->bundle, NULL, &job->config, &job->identity, &diag);
	} else {
		job->identity = calloc(1, sizeof(*job->identity));
		if (!job->identity)
			return CLI_FAILED;
		if (role)
			r = identity_complete_arn(role, &job->config, &job->identity->role_arn,
						  &diag);
	}
	if (r < 0) {
		cli_error(job->cli, "%s%s", role ? "--role: " : "", diag.text);
		return CLI_FAILED;
	}
	if (job->identity->role_arn && !job->identity->role_source)
		job->identity->role_source = strdup("--role");
	for (size_t i = 0; i < job->options->n_values; i++) {
		const struct option_value *option = &job->options->values[i];
		const char *field = registration_field(option->spec->name);
		if (!field || strcmp(field, "role_arn") == 0)
			continue;
		if (!role)
			return cli_usage(job->cli, "--%s needs --role", option->spec->name);
		int code = add_field(job, option->spec->name, field, option->value);
		if (code != CLI_DONE)
			return code;
	}
	job->launch.identity = job->identity;
	r = role ? image_check_signature(&job->config, job->identity, &diag) : 0;
	return r < 0 ? print_diag(job->cli, r, &diag) : CLI_DONE;
}

static int find_credentials(struct job *job)
{
	static const char *const names[] = {
		[LAUNCH_IMDS] = "imds", [LAUNCH_ECS] = "ecs", [LAUNCH_EKS] = "eks"};
	const char *value = options_get(job->options, "credentials");

	job->launch.credentials = LAUNCH_IMDS;
	for (size_t i = 0; value && i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(names[i], value) == 0) {
			job->launch.credentials = (enum launch_credentials)i;
			return CLI_DONE;
		}
	}
	return value ? cli_usage(job->cli, "--credentials must be imds, ecs or eks") : CLI_DONE;
}

static int find_networks(struct job *job)
{
	job->networks = calloc(job->options->n_values + 1, sizeof(char *));
	if (!job->networks)
		return CLI_FAILED;
	for (size_t i = 0; i < job->options->n_values; i++) {
		const struct option_value *option = &job->options->values[i];
		if (strcmp(option->spec->name, "network") != 0)
			continue;
		if (strcmp(option->value, "host") == 0)
			return cli_usage(job->cli, "--network host: the host's network namespace "
						   "has the host's credentials");
		job->networks[job->launch.n_networks++] = option->value;
	}
	job->launch.networks = job->networks;
	return CLI_DONE;
}

static void add_region(const struct job *job)
{
	static const char *const names[] = {"AWS_REGION", "AWS_DEFAULT_REGION"};

	for (size_t i = 0; job->config.aws.region && i < 2; i++) {
		_cleanup_buf_ struct buf variable = {0};
		buf_printf(&variable, "%s=%s", names[i], job->config.aws.region);
		if (buf_ok(&variable))
			oci_spec_add_env(job->launch.spec, variable.data);
	}
}

static int prepare(struct job *job)
{
	int code = name_it(job);

	add_region(job);
	if (code == CLI_DONE)
		code = find_rootfs(job);
	if (code == CLI_DONE && job->options->n_args > 1)
		oci_spec_set_args(job->launch.spec, job->options->args + 1,
				  job->options->n_args - 1);
	if (code == CLI_DONE && !oci_spec_has_args(job->launch.spec))
		return cli_usage(job->cli, "say what to run: rolegate launch ROOTFS -- COMMAND");
	if (code == CLI_DONE)
		code = launch_options_apply(job->cli, job->options, job->launch.spec);
	if (code == CLI_DONE)
		code = find_networks(job);
	if (code == CLI_DONE)
		code = find_credentials(job);
	return code == CLI_DONE ? find_identity(job) : code;
}

static int print_config(struct job *job)
{
	_cleanup_buf_ struct buf out = {0};
	struct diag diag = {0};

	int r = launch_print(&job->launch, &out, &diag);
	if (r < 0)
		return print_diag(job->cli, r, &diag);
	(void)fwrite(out.data, 1, out.len, stdout);
	return CLI_DONE;
}

static int start(struct job *job)
{
	struct diag diag = {0};
	int status = 0, r = 0;

	int code = prepare(job);
	if (code != CLI_DONE)
		return code;
	if (job->identity->role_arn)
		r = launch_policy_check(&job->config, job->id, job->identity, &diag);
	if (r < 0)
		return print_diag(job->cli, r, &diag);
	if (options_get(job->options, "print-config"))
		return print_config(job);
	r = launch_run(&job->launch, &status, &diag);
	return r < 0 ? print_diag(job->cli, r, &diag) : status;
}

static void job_deinit(struct job *job)
{
	oci_spec_free(job->launch.spec);
	identity_free(job->identity);
	oci_config_free(job->bundle);
	free(job->text);
	free(job->networks);
	config_deinit(&job->config);
}

static int load_config(struct job *job, struct diag *diag)
{
	return job->cli->config ? config_load(job->cli->config, &job->config, diag)
				: settings_load(&job->config, diag);
}

static int run_launch(struct cli *cli, const struct options *options)
{
	const char *state_root = options_get(options, "state-dir");
	struct job job = {.cli = cli, .options = options};
	struct diag diag = {0};

	if (geteuid() != 0) {
		cli_error(cli, "it must run as root: it makes namespaces and mounts");
		return CLI_FAILED;
	}
	report_setup("rolegate", NULL, false);
	int r = load_config(&job, &diag);
	if (r < 0)
		return print_diag(cli, r, &diag);
	job.launch = (struct launch){
		.config = &job.config,
		.state_root = state_root ? state_root : LAUNCH_STATE_DIR,
		.id = job.id,
		.user_namespace = !options_get(options, "no-userns"),
		.spec = oci_spec_new(launch_syscalls),
	};
	int code = CLI_FAILED;
	if (options_get(options, "reap") && options->n_args > 0) {
		code = cli_usage(cli, "--reap takes no argument");
	} else if (options_get(options, "reap")) {
		r = launch_reap(&job.config, job.launch.state_root, &diag);
		code = r < 0 ? print_diag(cli, r, &diag) : CLI_DONE;
	} else if (options->n_args == 0) {
		code = cli_usage(cli, "an argument is missing: rolegate launch ROOTFS|BUNDLE");
	} else if (job.launch.spec) {
		code = start(&job);
	}
	job_deinit(&job);
	return code;
}

const struct verb verb_launch = {
	.name = "launch",
	.synopsis = "ROOTFS|BUNDLE [--role ARN ...] [-- COMMAND ...]",
	.summary = "Run a container with its role on a host that has no engine",
	.details = "The container's exit status is that of this program. It has no capabilities, a "
		   "user namespace, and no network but those that --network names.",
	.options = options_launch,
	.min_args = 0,
	.max_args = 4096,
	.run = run_launch,
};
