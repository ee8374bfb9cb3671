#include "rolegate/cli.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/socket_path.h"
#include "wire/json_text.h"

static void print_error(const struct cli *cli, const char *text)
{
	_cleanup_buf_ struct buf line = {0};

	buf_puts(&line, "rolegate: ");
	if (cli->verb)
		buf_puts(&line, cli->verb);
	if (cli->verb && cli->subject) {
		buf_puts(&line, " ");
		terminal_escape(&cli->terminal, cli->subject, &line);
	}
	if (cli->verb)
		buf_puts(&line, ": ");
	terminal_escape(&cli->terminal, text, &line);
	buf_puts(&line, "\n");
	if (buf_ok(&line))
		(void)fwrite(line.data, 1, line.len, stderr);
}

void cli_error(const struct cli *cli, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	print_error(cli, text);
}

int cli_usage(const struct cli *cli, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	print_error(cli, text);
	(void)fprintf(stderr, "Try: rolegate help%s%s\n", cli->verb ? " " : "",
		      cli->verb ? cli->verb : "");
	return CLI_USAGE;
}

int cli_failure(const struct cli *cli, int r, const struct rolegate_error *error)
{
	if (error->field[0])
		cli_error(cli, "%s: %s", error->field, error->message);
	else
		cli_error(cli, "%s", error->message);
	switch (r) {
	case -EINVAL:
		return CLI_USAGE;
	case -ENOTCONN:
		return CLI_UNREACHABLE;
	case -EREMOTEIO:
		return error->status == 403 ? CLI_DENIED : CLI_FAILED;
	default:
		return CLI_FAILED;
	}
}

int cli_connect(struct cli *cli)
{
	_cleanup_free_ char *path = NULL;
	struct diag diag = {0};
	int r = 0;

	if (cli->socket)
		path = strdup(cli->socket);
	else
		r = socket_path_default(cli->config, &path, &diag);
	if (r == 0 && path)
		r = rolegate_client_new(path, &cli->client);
	else if (r == 0)
		r = -ENOMEM;
	if (r == 0) {
		rolegate_client_set_timeout(cli->client, cli->timeout_ms);
		return CLI_DONE;
	}
	if (diag.text[0])
		cli_error(cli, "%s (say --socket PATH to do without)", diag.text);
	else if (r == -EINVAL)
		return cli_usage(cli, "\"%s\" is no path for a socket (1 to 107 bytes)", path);
	else
		cli_error(cli, "out of memory");
	return CLI_FAILED;
}

int cli_print_json(const struct cli *cli, const char *text, size_t len)
{
	_cleanup_buf_ struct buf out = {0};

	if (json_text_pretty(text, len, &out) < 0) {
		cli_error(cli, "the daemon's answer is no JSON");
		return CLI_FAILED;
	}
	(void)fwrite(out.data, 1, out.len, stdout);
	return CLI_DONE;
}

int cli_number(const struct cli *cli, const char *option, const char *text, long long min,
	       long long max, long long *ret)
{
	char *end;

	errno = 0;
	long long n = strtoll(text, &end, 10);
	if (errno || *end || text[0] < '0' || text[0] > '9' || n < min || n > max)
		return cli_usage(cli, "--%s must be a whole number from %lld to %lld, not \"%s\"",
				 option, min, max, text);
	*ret = n;
	return CLI_DONE;
}
