/* unregister, refresh: what is done to containers, one after the other. */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>

#include "rolegate/cli.h"

typedef int (*container_fn)(struct rolegate_client *client, const char *id,
			    struct rolegate_error *error);

/* Go on after one that failed; not after the daemon is found to be away. */
static int each_container(struct cli *cli, const struct options *options, container_fn act,
			  const char *done)
{
	struct rolegate_error error;
	int worst = CLI_DONE;

	int code = cli_connect(cli);
	if (code != CLI_DONE)
		return code;
	for (size_t i = 0; i < options->n_args; i++) {
		cli->subject = options->args[i];
		int r = act(cli->client, options->args[i], &error);
		if (r == 0 && !cli->json)
			printf("%s: %s\n", options->args[i], done);
		if (r == 0)
			continue;
		code = cli_failure(cli, r, &error);
		if (code == CLI_UNREACHABLE)
			return code;
		/* Of several kinds of failure the plain one stands for all. */
		worst = worst == CLI_DONE || worst == code ? code : CLI_FAILED;
	}
	return worst;
}

static int run_unregister(struct cli *cli, const struct options *options)
{
	return each_container(cli, options, rolegate_unregister, "unregistered");
}

const struct verb verb_unregister = {
	.name = "unregister",
	.synopsis = "ID ...",
	.summary = "Take containers' roles away",
	.details = "When it returns their credentials are gone. Unregistering twice is no error.",
	.min_args = 1,
	.max_args = SIZE_MAX,
	.run = run_unregister,
};

static int run_refresh(struct cli *cli, const struct options *options)
{
	return each_container(cli, options, rolegate_refresh, "refresh is under way");
}

const struct verb verb_refresh = {
	.name = "refresh",
	.synopsis = "ID ...",
	.summary = "Get new credentials before their time",
	.details =
		"It returns at once; `rolegate show ID` says what came of it. Credentials that are "
		"still valid are served until then.",
	.min_args = 1,
	.max_args = SIZE_MAX,
	.run = run_refresh,
};
