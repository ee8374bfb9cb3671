/* register: give a container its role. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "rolegate/cli.h"
#include "rolegate/registration_options.h"
#include "rolegate/role_table.h"
#include "util/clock.h"
#include "util/file.h"
#include "wire/role_map.h"

/* STS takes 2048 characters; what is far longer is not the file that was meant. */
#define SESSION_POLICY_MAX (64 * 1024)

static const struct option_spec options_register[] = {
	{"netns", "PATH", false, "the container's network namespace, absolute path"},
	{"pid", "N", false, "a process in the container; it is unregistered when that exits"},
	{"intercept", "netns|bridge", false, "how its requests are caught"},
	REGISTRATION_OPTIONS,
	{NULL, NULL, false, NULL},
};

/* JSON, or @FILE. */
static int set_session_policy(const struct cli *cli, const char *value,
			      struct rolegate_registration *registration,
			      struct rolegate_error *error)
{
	_cleanup_secret_ char *text = NULL;

	if (value[0] != '@')
		return rolegate_registration_set(registration, "session_policy", value, error);
	int r = file_read(value + 1, SESSION_POLICY_MAX, &text, NULL);
	if (r < 0) {
		cli_error(cli, "--session-policy: %s cannot be read: %s", value + 1, strerror(-r));
		error->message[0] = '\0';
		return r;
	}
	return rolegate_registration_set(registration, "session_policy", text, error);
}

static int set_fields(const struct cli *cli, const struct options *options,
		      struct rolegate_registration *registration)
{
	struct rolegate_error error = {0};

	for (size_t i = 0; i < options->n_values; i++) {
		const struct option_value *option = &options->values[i];
		const char *field = registration_field(option->spec->name);
		int r = 0;
		if (!field)
			continue; /* a global one */
		if (strcmp(field, "session_policy") == 0)
			r = set_session_policy(cli, option->value, registration, &error);
		else
			r = rolegate_registration_set(registration, field, option->value, &error);
		if (r == 0)
			continue;
		if (r == -EINVAL && error.message[0])
			return cli_usage(cli, "--%s: %s", option->spec->name, error.message);
		if (error.message[0])
			cli_error(cli, "%s", error.message);
		return CLI_FAILED;
	}
	return CLI_DONE;
}

/* "web-1: registered: role team/web, credentials expire in 59 min" */
static void print_done(const struct cli *cli, const struct rolegate_reply *reply)
{
	_cleanup_role_map_ struct role_map *map = NULL;
	_cleanup_buf_ struct buf line = {0};

	buf_printf(&line, "%s: %s", cli->subject,
		   reply->status == 200 ? "was registered already" : "registered");
	if (role_map_parse(reply->body, reply->len, &map, NULL) == 0 && map->n_entries == 1) {
		const struct role_map_entry *entry = &map->entries[0];
		char left[ROLE_TABLE_TIME_SIZE];
		if (entry->role_arn) {
			buf_puts(&line, ": role ");
			terminal_escape(&cli->terminal, role_table_role(entry->role_arn), &line);
		}
		role_table_time(entry->expiration_s, clock_wall_s(), left);
		if (entry->role_arn && entry->expiration_s > clock_wall_s())
			buf_printf(&line, ", credentials expire %s", left);
	}
	buf_puts(&line, "\n");
	if (buf_ok(&line))
		(void)fwrite(line.data, 1, line.len, stdout);
}

static int check_options(const struct cli *cli, const struct options *options)
{
	const char *netns = options_get(options, "netns");

	if (!options_get(options, "role"))
		return cli_usage(cli, "--role is missing: the ARN of the role to assume");
	if (!netns && !options_get(options, "pid"))
		return cli_usage(cli, "say --netns PATH or --pid N: which container it is");
	/* The daemon has another working directory. */
	if (netns && netns[0] != '/')
		return cli_usage(cli, "--netns must be an absolute path, not \"%s\"", netns);
	return CLI_DONE;
}

static int send_registration(struct cli *cli, const char *id, const struct options *options,
			     struct rolegate_registration *registration)
{
	struct rolegate_reply reply = {0};
	struct rolegate_error error;

	int code = set_fields(cli, options, registration);
	if (code == CLI_DONE)
		code = cli_connect(cli);
	if (code != CLI_DONE)
		return code;
	int r = rolegate_register(cli->client, id, registration, &reply, &error);
	if (r < 0)
		return cli_failure(cli, r, &error);
	if (!cli->json)
		print_done(cli, &reply);
	else if (reply.len > 0)
		code = cli_print_json(cli, reply.body, reply.len);
	rolegate_reply_clear(&reply);
	return code;
}

static int run_register(struct cli *cli, const struct options *options)
{
	cli->subject = options->args[0];
	int code = check_options(cli, options);
	if (code != CLI_DONE)
		return code;
	struct rolegate_registration *registration = rolegate_registration_new();
	if (!registration) {
		cli_error(cli, "out of memory");
		return CLI_FAILED;
	}
	code = send_registration(cli, options->args[0], options, registration);
	rolegate_registration_free(registration);
	return code;
}

const struct verb verb_register = {
	.name = "register",
	.synopsis = "ID --role ARN --netns PATH|--pid N ...",
	.summary = "Register a container, and wait until its credentials are there",
	.details = "The same command again changes nothing; with other options it is refused "
		   "(unregister "
		   "first).",
	.options = options_register,
	.min_args = 1,
	.max_args = 1,
	.run = run_register,
};
