/* cli: what all verbs share: the global options, the client, errors and exit codes.
 *
 * A verb is a `const struct verb` in a file of its own and a line in main.c's table.
 */
#pragma once

#include <stdbool.h>

#include "rolegate/client.h"
#include "rolegate/options.h"
#include "rolegate/terminal.h"

enum cli_exit {
	CLI_DONE = 0,
	CLI_FAILED = 1,
	CLI_USAGE = 2,
	CLI_UNREACHABLE = 3,
	CLI_DENIED = 4, /* by policy: HTTP 403 */
};

struct cli {
	const char *verb;
	const char *subject; /* what the verb works on, for messages; NULL: nothing */
	const char *socket;  /* --socket, or NULL */
	const char *config;  /* --config, or NULL */
	int timeout_ms;	     /* --timeout, or 0 */
	bool json;
	struct terminal terminal;
	struct rolegate_client *client;
};

struct verb {
	const char *name;
	const char *synopsis; /* its arguments */
	const char *summary;  /* one line */
	const char *details;  /* more lines for `help VERB`, or NULL */
	const struct option_spec *options;
	size_t min_args, max_args;
	int (*run)(struct cli *cli, const struct options *options); /* enum cli_exit */
};

extern const struct verb verb_roles, verb_show, verb_register, verb_unregister, verb_refresh,
	verb_events, verb_launch, verb_policy, verb_audit, verb_doctor, verb_version;

/* cli_error(cli, fmt, …): print "rolegate: VERB SUBJECT: …" to standard error; control bytes are
 * escaped. */
void cli_error(const struct cli *cli, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The same and a hint at the help; returns CLI_USAGE. */
int cli_usage(const struct cli *cli, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* cli_failure(cli, r, error): print what a client call came back with, and say how to exit. */
int cli_failure(const struct cli *cli, int r, const struct rolegate_error *error);

/* cli_connect(cli): make cli->client. CLI_DONE, or an exit code after an error was printed. */
int cli_connect(struct cli *cli);

/* cli_print_json(cli, text, len): print JSON to standard output, indented. CLI_DONE or CLI_FAILED.
 */
int cli_print_json(const struct cli *cli, const char *text, size_t len);

/* cli_number(cli, option, text, min, max, ret): parse an option's value. CLI_DONE or CLI_USAGE. */
int cli_number(const struct cli *cli, const char *option, const char *text, long long min,
	       long long max, long long *ret);
