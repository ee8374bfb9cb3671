/* rolegate-runtime: an OCI runtime that gives containers their role before they run. It prepares
 * the bundle and becomes the real runtime. See rolegate-runtime(8).
 *
 * At create, run and restore the container's role is found and checked, and hooks are put into its
 * config.json that register it as soon as its namespaces are there, and unregister it in the end.
 * At delete the real runtime is waited for, and nothing may be left then. All else is its alone.
 *
 * Nothing is undone here when the real runtime fails: the daemon watches the container's process,
 * and the runtime calls the poststop hook.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "launch/applicant.h"
#include "launch/enrolment.h"
#include "launch/oci_command.h"
#include "launch/report.h"
#include "launch/settings.h"
#include "rolegate-runtime/real_runtime.h"
#include "util/buf.h"
#include "util/file.h"
#include "wire/container_id.h"
#include "wire/oci_hooks.h"

#define PROGRAM "rolegate-runtime"
#define HOOK "rolegate-hook"

/* The hook's whole environment. */
static int make_environment(char **ret, struct diag *diag)
{
	const char *config = getenv(SETTINGS_VARIABLE);
	char real[PATH_MAX];
	int n;

	if (!config || !config[0])
		n = asprintf(ret, "PATH=/usr/sbin:/usr/bin:/sbin:/bin");
	else if (!realpath(config, real))
		return diag_fail(errno, diag, NULL, "%s: %s", config, strerror(errno));
	else
		n = asprintf(ret, SETTINGS_VARIABLE "=%s", real);
	if (n >= 0)
		return 0;
	*ret = NULL;
	return diag_fail(ENOMEM, diag, NULL, "out of memory");
}

static int edit_bundle(const char *file, const struct applicant *applicant, struct diag *diag)
{
	_cleanup_buf_ struct buf edited = {0};
	_cleanup_free_ char *environment = NULL;
	char hook_path[PATH_MAX];
	bool wanted = applicant->identity->role_arn;
	struct oci_hook hook = {.path = HOOK, .argument = file};

	if (wanted) {
		int r = real_runtime_sibling(HOOK, hook_path, diag);
		if (r == 0)
			r = make_environment(&environment, diag);
		if (r < 0)
			return r;
		hook.path = hook_path;
		hook.env = environment;
		hook.timeout_s = enrolment_time_s(applicant->identity);
	}
	int r = oci_hooks_set(applicant->text, applicant->len, &hook, wanted, &edited, diag);
	if (r < 0)
		return r;
	if (edited.len == applicant->len && memcmp(edited.data, applicant->text, edited.len) == 0)
		return 0;
	r = file_replace(file, edited.data, edited.len);
	return r < 0 ? diag_fail(-r, diag, NULL, "%s: cannot be edited: %s", file, strerror(-r))
		     : 0;
}

/* The bundle's directory and its config.json, both absolute. */
static int find_bundle(const struct oci_command *command, char bundle[static PATH_MAX],
		       char file[static PATH_MAX], struct diag *diag)
{
	char joined[2 * PATH_MAX];
	const char *name = command->config ? command->config : "config.json";

	if (!realpath(command->bundle ? command->bundle : ".", bundle))
		return diag_fail(errno, diag, NULL, "bundle %s: %s",
				 command->bundle ? command->bundle : ".", strerror(errno));
	snprintf(joined, sizeof(joined), "%s%s%s", name[0] == '/' ? "" : bundle,
		 name[0] == '/' ? "" : "/", name);
	if (!realpath(joined, file))
		return diag_fail(errno, diag, NULL, "%.256s: %s", joined, strerror(errno));
	return 0;
}

static int prepare(const struct oci_command *command, const struct config *config,
		   struct diag *diag)
{
	_cleanup_applicant_ struct applicant applicant = {0};
	char bundle[PATH_MAX], file[PATH_MAX];

	int r = find_bundle(command, bundle, file, diag);
	if (r == 0)
		r = applicant_read(command->id, file, bundle, config, &applicant, diag);
	if (r < 0)
		return r;
	if (applicant.has_warning)
		report_warning("container %s: %s", command->id, applicant.warning.text);
	if (applicant.identity->role_arn && container_id_check(command->id) < 0)
		return diag_fail(EINVAL, diag, "id",
				 "it cannot be registered under this id: that must begin with a "
				 "letter or digit, and hold 1 to 128 letters, digits and the "
				 "characters _ . -");
	return edit_bundle(file, &applicant, diag);
}

/* Delete by the real runtime, then make sure. Returns the exit status. */
static int delete_container(const struct oci_command *command, const struct config *config,
			    char *argv[])
{
	struct diag diag = {0};

	int status = real_runtime_run(config->runtime.path, argv, &diag);
	if (status < 0) {
		report_error("%s", diag.text);
		return EXIT_FAILURE;
	}
	/* As after the poststop hook, the usual way: it is the daemon's to notice if it is away
	 * now. */
	if (status == 0 && container_id_check(command->id) == 0 &&
	    enrolment_unregister(config->control.socket, command->id, 0, &diag) < 0)
		report_warning("container %s: not unregistered: %s", command->id, diag.text);
	return status;
}

/* Returns an exit status, or does not return at all. */
static int run(const struct oci_command *command, const struct config *config, char *argv[])
{
	struct diag diag = {0};

	if (command->verb == OCI_DELETE)
		return delete_container(command, config, argv);
	if (command->verb == OCI_CREATE && prepare(command, config, &diag) < 0) {
		report_error("container %s is not made: %s", command->id, diag.text);
		return EXIT_FAILURE;
	}
	(void)real_runtime_become(config->runtime.path, argv, &diag);
	report_error("%s", diag.text);
	return EXIT_FAILURE;
}

int main(int argc, char *argv[])
{
	struct oci_command command;
	struct config config;
	struct diag diag = {0};

	oci_command_parse(argc, argv, &command);
	report_setup(PROGRAM, command.log, command.log_json);
	if (settings_load(&config, &diag) < 0) {
		if (command.verb == OCI_CREATE) {
			report_error("%s", diag.text);
			return EXIT_FAILURE;
		}
		/* A slip in the file must not keep containers from being stopped. Not on standard
		 * error: engines take what is there for a part of the answer. */
		syslog(LOG_ERR, "going by the defaults: %s", diag.text);
		if (config_parse("", CONFIG_DEFAULT_PATH, &config, &diag) < 0)
			return EXIT_FAILURE;
	}
	int status = run(&command, &config, argv);
	config_deinit(&config);
	return status;
}
