/* roles, show: the role map, whole and of one container. */
#include <stdio.h>
#include <string.h>

#include "rolegate/cli.h"
#include "rolegate/role_table.h"
#include "util/clock.h"
#include "wire/json_text.h"
#include "wire/role_map.h"

static int print_table(const struct cli *cli, const struct rolegate_reply *reply)
{
	_cleanup_role_map_ struct role_map *map = NULL;
	_cleanup_buf_ struct buf table = {0};
	struct diag diag = {0};

	if (role_map_parse(reply->body, reply->len, &map, &diag) < 0) {
		cli_error(cli, "%s", diag.text);
		return CLI_FAILED;
	}
	role_table_print(map, clock_wall_s(), &cli->terminal, &table);
	if (!buf_ok(&table)) {
		cli_error(cli, "out of memory");
		return CLI_FAILED;
	}
	(void)fwrite(table.data, 1, table.len, stdout);
	return CLI_DONE;
}

static int run_roles(struct cli *cli, const struct options *options)
{
	struct rolegate_reply reply = {0};
	struct rolegate_error error;

	(void)options;
	int code = cli_connect(cli);
	if (code != CLI_DONE)
		return code;
	int r = rolegate_roles(cli->client, &reply, &error);
	if (r < 0)
		return cli_failure(cli, r, &error);
	code = cli->json ? cli_print_json(cli, reply.body, reply.len) : print_table(cli, &reply);
	rolegate_reply_clear(&reply);
	return code;
}

const struct verb verb_roles = {
	.name = "roles",
	.synopsis = "",
	.summary = "Print a table of all containers and their roles",
	.run = run_roles,
};

static void print_field(const char *key, const char *value, void *user)
{
	const struct cli *cli = user;
	_cleanup_buf_ struct buf line = {0};
	int64_t expiration;

	terminal_escape(&cli->terminal, key, &line);
	buf_puts(&line, ": ");
	terminal_escape(&cli->terminal, value[0] ? value : "-", &line);
	if (strcmp(key, "expiration") == 0 && clock_parse_iso8601(value, &expiration) == 0) {
		char left[ROLE_TABLE_TIME_SIZE];
		role_table_time(expiration, clock_wall_s(), left);
		buf_printf(&line, " (%s)", left);
	}
	buf_puts(&line, "\n");
	if (buf_ok(&line))
		(void)fwrite(line.data, 1, line.len, stdout);
}

static int run_show(struct cli *cli, const struct options *options)
{
	struct rolegate_reply reply = {0};
	struct rolegate_error error;

	cli->subject = options->args[0];
	int code = cli_connect(cli);
	if (code != CLI_DONE)
		return code;
	int r = rolegate_show(cli->client, options->args[0], &reply, &error);
	if (r < 0)
		return cli_failure(cli, r, &error);
	if (cli->json) {
		code = cli_print_json(cli, reply.body, reply.len);
	} else if (json_text_flatten(reply.body, reply.len, print_field, cli) < 0) {
		cli_error(cli, "the daemon's answer is no JSON object");
		code = CLI_FAILED;
	}
	rolegate_reply_clear(&reply);
	return code;
}

const struct verb verb_show = {
	.name = "show",
	.synopsis = "ID",
	.summary = "Print all that is known of a container",
	.min_args = 1,
	.max_args = 1,
	.run = run_show,
};
