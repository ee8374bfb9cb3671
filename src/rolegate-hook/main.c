/* rolegate-hook: registers a container before its first process runs, and unregisters it after its
 * end. An OCI hook: rolegate-runtime puts it into a bundle, or hooks.d does. See rolegate-hook(8).
 *
 *	rolegate-hook [createRuntime|poststop [CONFIG.JSON]] <STATE
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "launch/applicant.h"
#include "launch/enrolment.h"
#include "launch/report.h"
#include "launch/settings.h"
#include "util/buf.h"
#include "wire/oci_state.h"

#define PROGRAM "rolegate-hook"

enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

static const char usage[] =
	"usage: " PROGRAM " [createRuntime|poststop [CONFIG.JSON]] <STATE\n"
	"\n"
	"An OCI hook: the runtime calls it with the container's state on standard input.\n"
	"Without an argument, the state says what to do: register one that is being created,\n"
	"unregister one that has stopped.\n";

enum stage { BY_STATE, CREATE_RUNTIME, POSTSTOP };

static int read_input(struct buf *ret, struct diag *diag)
{
	while (ret->len <= OCI_STATE_MAX) {
		char *to = buf_reserve(ret, 4096);
		if (!to)
			return diag_fail(ENOMEM, diag, NULL, "out of memory");
		ssize_t n = read(STDIN_FILENO, to, 4096);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return diag_fail(errno, diag, NULL, "standard input: %s", strerror(errno));
		if (n == 0)
			return 0;
		ret->len += (size_t)n;
		ret->data[ret->len] = '\0';
	}
	return diag_fail(EFBIG, diag, NULL, "the state is too large");
}

static int enrol(const struct oci_state *state, const struct config *config,
		 const struct identity *identity, struct diag *diag)
{
	enum enrolment_outcome outcome;
	struct enrolment e = {
		.socket = config->control.socket,
		.id = state->id,
		.pid = state->pid,
		.identity = identity,
		.may_lag = config->runtime.on_not_ready == NOT_READY_START,
	};

	int r = enrolment_register(&e, &outcome, diag);
	if (r == 0 && outcome == ENROLMENT_LAGGING)
		report_warning("container %s starts without credentials: %s", state->id,
			       diag->text);
	return r;
}

static int on_create(const struct oci_state *state, const char *file, const struct config *config,
		     struct diag *diag)
{
	_cleanup_applicant_ struct applicant applicant = {0};
	char default_file[PATH_MAX];

	if (!file) {
		snprintf(default_file, sizeof(default_file), "%s/config.json", state->bundle);
		file = default_file;
	}
	int r = applicant_read(state->id, file, state->bundle, config, &applicant, diag);
	if (r < 0)
		return r;
	if (applicant.has_warning)
		report_warning("container %s: %s", state->id, applicant.warning.text);
	if (!applicant.identity->role_arn)
		return 0;
	if (state->pid == 0)
		return diag_fail(EINVAL, diag, "pid", "the state has no pid");
	return enrol(state, config, applicant.identity, diag);
}

static int on_poststop(const struct oci_state *state, const struct config *config)
{
	struct diag diag = {0};

	int r = enrolment_unregister(config->control.socket, state->id, 0, &diag);
	if (r < 0)
		report_warning("container %s: not unregistered: %s", state->id, diag.text);
	/* A daemon that is away will find out when it comes up: nothing for the engine to act on.
	 */
	return r == -ENOTCONN || r == -EINVAL ? 0 : r;
}

static int run(enum stage stage, const char *file)
{
	_cleanup_oci_state_ struct oci_state state = {0};
	_cleanup_buf_ struct buf input = {0};
	struct config config = {0};
	struct diag diag = {0};

	int r = read_input(&input, &diag);
	if (r == 0)
		r = oci_state_parse(input.data ? input.data : "", input.len, &state, &diag);
	if (r == 0)
		r = settings_load(&config, &diag);
	if (r < 0) {
		report_error("%s", diag.text);
		return EXIT_FAILED;
	}
	if (stage == BY_STATE && state.status != OCI_RUNNING)
		stage = state.status == OCI_STOPPED ? POSTSTOP : CREATE_RUNTIME;
	if (stage == POSTSTOP)
		r = on_poststop(&state, &config);
	else if (stage == CREATE_RUNTIME)
		r = on_create(&state, file, &config, &diag);
	else
		r = diag_fail(EINVAL, &diag, NULL,
			      "it runs already: call this hook at createRuntime and poststop");
	if (r < 0 && diag.text[0])
		report_error("container %s is not started: %s", state.id, diag.text);
	config_deinit(&config);
	return r < 0 ? EXIT_FAILED : EXIT_OK;
}

int main(int argc, char *argv[])
{
	const char *word = argc > 1 ? argv[1] : NULL;
	enum stage stage = BY_STATE;

	report_setup(PROGRAM, NULL, false);
	if (word && strcmp(word, "--version") == 0) {
		puts(PROGRAM " " ROLEGATE_VERSION);
		return EXIT_OK;
	}
	if (word && strcmp(word, "--help") == 0) {
		fputs(usage, stdout);
		return EXIT_OK;
	}
	if (word && (strcmp(word, "createRuntime") == 0 || strcmp(word, "prestart") == 0))
		stage = CREATE_RUNTIME;
	else if (word && strcmp(word, "poststop") == 0)
		stage = POSTSTOP;
	else if (word) {
		fputs(usage, stderr);
		return EXIT_USAGE;
	}
	return run(stage, argc > 2 ? argv[2] : NULL);
}
