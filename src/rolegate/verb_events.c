/* events: what happens, as it happens. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "rolegate/cli.h"
#include "wire/json_text.h"

/* SIGINT is how a person ends it, so that is success. Nothing is half done then: each line is
 * flushed when it is whole. */
static void on_interrupt(int signal)
{
	(void)signal;
	_exit(CLI_DONE);
}

struct printing {
	const struct cli *cli;
	int code;
};

static int print_event(const char *line, size_t len, void *user)
{
	struct printing *printing = user;
	_cleanup_buf_ struct buf out = {0};

	if (json_text_compact(line, len, &out) < 0) {
		cli_error(printing->cli, "the daemon sent an event that is no JSON");
		printing->code = CLI_FAILED;
		return 1;
	}
	buf_puts(&out, "\n");
	if (!buf_ok(&out) || fwrite(out.data, 1, out.len, stdout) != out.len ||
	    fflush(stdout) != 0) {
		cli_error(printing->cli, "standard output cannot be written");
		printing->code = CLI_FAILED;
		return 1;
	}
	return 0;
}

static int run_events(struct cli *cli, const struct options *options)
{
	struct sigaction action = {.sa_handler = on_interrupt};
	struct printing printing = {.cli = cli, .code = CLI_DONE};
	struct rolegate_error error = {0};

	(void)options;
	int code = cli_connect(cli);
	if (code != CLI_DONE)
		return code;
	(void)sigaction(SIGINT, &action, NULL);
	int r = rolegate_events(cli->client, print_event, &printing, &error);
	return r < 0 ? cli_failure(cli, r, &error) : printing.code;
}

const struct verb verb_events = {
	.name = "events",
	.synopsis = "",
	.summary = "Follow what happens, one JSON line an event, until interrupted",
	.run = run_events,
};
