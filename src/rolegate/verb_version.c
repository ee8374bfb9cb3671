/* version: of this program, and of the daemon if it is there. */
#include <stdio.h>

#include "rolegate/cli.h"
#include "wire/json_text.h"

static int print_as_json(const struct cli *cli, const struct rolegate_reply *reply)
{
	_cleanup_buf_ struct buf text = {0}, daemon = {0};

	if (!reply->body || json_text_compact(reply->body, reply->len, &daemon) < 0) {
		buf_reset(&daemon);
		buf_puts(&daemon, "null");
	}
	buf_printf(&text, "{\"client\":{\"version\":\"%s\"},\"daemon\":", ROLEGATE_VERSION);
	buf_put(&text, daemon.data, daemon.len);
	buf_puts(&text, "}");
	return cli_print_json(cli, text.data, text.len);
}

static void print_as_text(const struct cli *cli, const struct rolegate_reply *reply,
			  const struct rolegate_error *error)
{
	_cleanup_buf_ struct buf version = {0}, line = {0};

	printf("rolegate %s\n", ROLEGATE_VERSION);
	if (!reply->body) {
		buf_puts(&line, "rolegated: ");
		terminal_escape(&cli->terminal, error->message, &line);
	} else if (json_text_string(reply->body, reply->len, "version", &version) == 0) {
		buf_puts(&line, "rolegated ");
		terminal_escape(&cli->terminal, version.data, &line);
	} else {
		buf_puts(&line, "rolegated: does not say");
	}
	if (buf_ok(&line))
		printf("%s\n", line.data);
}

/* A daemon that is away is an answer here, not a failure. */
static int run_version(struct cli *cli, const struct options *options)
{
	struct rolegate_reply reply = {0};
	struct rolegate_error error = {0};
	int code = CLI_DONE;

	(void)options;
	if (cli_connect(cli) == CLI_DONE)
		(void)rolegate_version(cli->client, &reply, &error);
	else
		snprintf(error.message, sizeof(error.message), "no socket to ask at");
	if (cli->json)
		code = print_as_json(cli, &reply);
	else
		print_as_text(cli, &reply, &error);
	rolegate_reply_clear(&reply);
	return code;
}

const struct verb verb_version = {
	.name = "version",
	.synopsis = "",
	.summary = "Print the version of this program and of the daemon",
	.run = run_version,
};
