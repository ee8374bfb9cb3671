/* rolegate: the command line over rolegated's control socket. See man rolegate(1). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rolegate/cli.h"

static const struct option_spec globals[] = {
	{"socket", "PATH", false, "the daemon's control socket"},
	{"config", "FILE", false, "where to look for [control] socket"},
	{"timeout", "S", false, "how long a call may take"},
	{"json", NULL, false, "print JSON for programs"},
	{"help", NULL, true, "print help"},
	{NULL, NULL, false, NULL},
};

static const struct verb *const verbs[] = {
	&verb_roles,  &verb_show,   &verb_register, &verb_unregister, &verb_refresh, &verb_events,
	&verb_launch, &verb_policy, &verb_audit,    &verb_doctor,     &verb_version,
};
#define N_VERBS (sizeof(verbs) / sizeof(verbs[0]))

static const struct verb *find_verb(const char *name)
{
	for (size_t i = 0; i < N_VERBS; i++)
		if (strcmp(verbs[i]->name, name) == 0)
			return verbs[i];
	return NULL;
}

static void print_options(const char *title, const struct option_spec *specs)
{
	if (!specs || !specs->name)
		return;
	printf("\n%s:\n", title);
	for (; specs->name; specs++) {
		char left[64];
		snprintf(left, sizeof(left), "--%s%s%s", specs->name, specs->value ? " " : "",
			 specs->value ? specs->value : "");
		printf("  %-35s %s%s\n", left, specs->help,
		       specs->repeats && specs->value ? " (may be repeated)" : "");
	}
}

static void print_verb_help(const struct verb *verb)
{
	printf("Usage: rolegate [OPTIONS] %s%s%s\n\n%s.\n", verb->name,
	       verb->synopsis[0] ? " " : "", verb->synopsis, verb->summary);
	if (verb->details)
		printf("\n%s\n", verb->details);
	print_options("Options", verb->options);
	print_options("Global options", globals);
}

static void print_help(void)
{
	printf("Usage: rolegate [OPTIONS] VERB ...\n\n"
	       "Gives every container its own AWS identity: the operator's end of rolegated.\n\n"
	       "Verbs:\n");
	for (size_t i = 0; i < N_VERBS; i++)
		printf("  %-12s %s\n", verbs[i]->name, verbs[i]->summary);
	printf("  %-12s %s\n", "help", "Print this, or help on a verb");
	print_options("Options", globals);
	printf("\nExit status: 0 done, 1 failed, 2 usage, 3 daemon not reachable, 4 denied by "
	       "policy.\nMore: man rolegate, or rolegate help VERB\n");
}

static int run_help(const struct cli *cli, const struct options *options)
{
	if (options->n_args == 0 || strcmp(options->args[0], "--help") == 0) {
		print_help();
		return CLI_DONE;
	}
	const struct verb *verb = find_verb(options->args[0]);
	if (!verb)
		return cli_usage(cli, "there is no verb \"%s\"", options->args[0]);
	print_verb_help(verb);
	return CLI_DONE;
}

/* Globals may stand before the verb and after it. */
static int take_globals(struct cli *cli, const struct options *options)
{
	const char *socket = options_get(options, "socket");
	const char *config = options_get(options, "config");
	const char *timeout = options_get(options, "timeout");
	long long seconds;

	if (socket)
		cli->socket = socket;
	if (config)
		cli->config = config;
	if (options_get(options, "json"))
		cli->json = true;
	if (timeout) {
		if (cli_number(cli, "timeout", timeout, 1, 3600, &seconds) != CLI_DONE)
			return CLI_USAGE;
		cli->timeout_ms = (int)seconds * 1000;
	}
	return CLI_DONE;
}

static int run_verb(struct cli *cli, const struct verb *verb, int argc, char **argv)
{
	struct options options;
	struct diag diag;
	int r;

	if (options_parse(argc, argv, globals, verb->options, false, &options, &diag) < 0)
		return cli_usage(cli, "%s", diag.text);
	if (options_get(&options, "help")) {
		print_verb_help(verb);
		r = CLI_DONE;
	} else if (options.n_args < verb->min_args) {
		r = cli_usage(cli, "an argument is missing: rolegate %s %s", verb->name,
			      verb->synopsis);
	} else if (options.n_args > verb->max_args) {
		r = cli_usage(cli, "\"%s\" is one argument too many", options.args[verb->max_args]);
	} else {
		r = take_globals(cli, &options);
		if (r == CLI_DONE)
			r = verb->run(cli, &options);
	}
	options_deinit(&options);
	return r;
}

static int run(struct cli *cli, int argc, char **argv)
{
	struct options options;
	struct diag diag;
	int r;

	if (options_parse(argc, argv, globals, NULL, true, &options, &diag) < 0)
		return cli_usage(cli, "%s", diag.text);
	r = take_globals(cli, &options);
	if (r != CLI_DONE) {
		options_deinit(&options);
		return r;
	}
	const char *name = options.n_args > 0 ? options.args[0] : "help";
	const struct verb *verb = find_verb(name);
	if (options_get(&options, "help") || (options.n_args > 0 && strcmp(name, "help") == 0)) {
		/* `--help VERB` and `help VERB` are the same. */
		bool is_word = options.n_args > 0 && strcmp(name, "help") == 0;
		const struct options rest = {.args = options.args + is_word,
					     .n_args = options.n_args - is_word};
		r = run_help(cli, &rest);
	} else if (options.n_args == 0) {
		r = cli_usage(cli, "which verb?");
	} else if (!verb) {
		r = cli_usage(cli, "there is no verb \"%s\"", name);
	} else {
		cli->verb = verb->name;
		r = run_verb(cli, verb, (int)options.n_args - 1, options.args + 1);
	}
	options_deinit(&options);
	return r;
}

int main(int argc, char **argv)
{
	static char version[] = "version", help[] = "--help";
	struct cli cli = {.terminal = terminal_setup()};

	/* What every program answers. */
	if (argc > 1 && strcmp(argv[1], "--version") == 0)
		argv[1] = version;
	else if (argc > 1 && strcmp(argv[1], "-h") == 0)
		argv[1] = help;
	int r = run(&cli, argc > 0 ? argc - 1 : 0, argv + (argc > 0));
	rolegate_client_free(cli.client);
	/* A full disk behind a redirection must not look like success. */
	if ((fflush(stdout) != 0 || ferror(stdout)) && r == CLI_DONE) {
		cli.subject = NULL;
		cli_error(&cli, "standard output cannot be written");
		r = CLI_FAILED;
	}
	return r;
}
