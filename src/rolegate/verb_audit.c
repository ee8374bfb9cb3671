/* audit verify: is an audit whole? Reads the files, asks no daemon. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "rolegate/cli.h"
#include "util/cleanup.h"
#include "wire/audit_line.h"
#include "wire/json_text.h"

/* Faults shown in full; after so many they are only counted. */
#define FAULTS_SHOWN 100

struct verification {
	struct audit_chain chain;
	uint64_t lines, faults, first;
	const char *anchor; /* a hash that must be some line's, or NULL */
	bool has_anchor;
};

static void complain(const struct cli *cli, struct verification *v, const char *file,
		     uint64_t number, const char *what)
{
	if (v->faults++ < FAULTS_SHOWN)
		cli_error(cli, "%s:%" PRIu64 ": %s", file, number, what);
}

static int verify_stream(const struct cli *cli, FILE *stream, const char *file,
			 struct verification *v)
{
	_cleanup_free_ char *line = NULL;
	size_t cap = 0;
	ssize_t n;
	uint64_t number = 0;

	while ((n = getline(&line, &cap, stream)) > 0) {
		struct diag diag = {0};
		bool whole = line[n - 1] == '\n';
		number++;
		v->lines++;
		if (whole)
			line[--n] = '\0';
		if (!whole)
			complain(cli, v, file, number, "is cut: the file ends within the line");
		else if (audit_chain_follow(&v->chain, line, (size_t)n, &diag) < 0)
			complain(cli, v, file, number, diag.text);
		if (v->first == 0)
			v->first = v->chain.seq;
		if (v->anchor && strcmp(v->chain.hash, v->anchor) == 0)
			v->has_anchor = true;
	}
	if (ferror(stream)) {
		cli_error(cli, "%s cannot be read: %s", file, strerror(errno));
		return CLI_FAILED;
	}
	return CLI_DONE;
}

static int verify_file(const struct cli *cli, const char *file, struct verification *v)
{
	FILE *stream = fopen(file, "re");

	if (!stream) {
		cli_error(cli, "%s cannot be read: %s", file, strerror(errno));
		return CLI_FAILED;
	}
	int code = verify_stream(cli, stream, file, v);
	fclose(stream);
	return code;
}

/* What a chain cannot tell by itself: lines cut off at either end. */
static void check_ends(const struct cli *cli, struct verification *v, bool from_first)
{
	if (from_first && v->first != 1) {
		v->faults++;
		cli_error(cli, "begins with number %" PRIu64 ": lines before it are missing",
			  v->first);
	}
	if (v->anchor && !v->has_anchor) {
		v->faults++;
		cli_error(cli, "no line has the hash %.64s: lines at the end are missing",
			  v->anchor);
	}
}

static int report(const struct cli *cli, const struct verification *v)
{
	_cleanup_buf_ struct buf text = {0};

	if (cli->json) {
		buf_printf(&text,
			   "{\"lines\":%" PRIu64 ",\"faults\":%" PRIu64 ",\"first\":%" PRIu64
			   ",\"last\":%" PRIu64 ",\"hash\":\"%s\"}",
			   v->lines, v->faults, v->first, v->chain.seq, v->chain.hash);
		return buf_ok(&text) ? cli_print_json(cli, text.data, text.len) : CLI_FAILED;
	}
	if (v->faults == 0 && v->lines == 0)
		printf("no lines\n");
	else if (v->faults == 0)
		printf("%" PRIu64 " line%s, whole: %" PRIu64 " to %" PRIu64 ", ends in %s\n",
		       v->lines, v->lines == 1 ? "" : "s", v->first, v->chain.seq, v->chain.hash);
	else
		printf("%" PRIu64 " lines, %" PRIu64 " fault%s\n", v->lines, v->faults,
		       v->faults == 1 ? "" : "s");
	return CLI_DONE;
}

static int run_audit(struct cli *cli, const struct options *options)
{
	struct verification v = {.anchor = options_get(options, "last")};

	if (strcmp(options->args[0], "verify") != 0)
		return cli_usage(cli, "there is no \"audit %s\", only \"audit verify\"",
				 options->args[0]);
	cli->subject = "verify";
	audit_chain_init(&v.chain);
	for (size_t i = 1; i < options->n_args; i++) {
		int code = verify_file(cli, options->args[i], &v);
		if (code != CLI_DONE)
			return code;
	}
	check_ends(cli, &v, options_get(options, "from-first") != NULL);
	int code = report(cli, &v);
	return code == CLI_DONE && v.faults > 0 ? CLI_FAILED : code;
}

static const struct option_spec audit_options[] = {
	{"from-first", NULL, false, "the first line must be the first one ever written"},
	{"last", "HASH", false, "the line that was the last one earlier must be there"},
	{NULL, NULL, false, NULL},
};

const struct verb verb_audit = {
	.name = "audit",
	.synopsis = "verify FILE... [--from-first] [--last HASH]",
	.summary = "Check that the lines of an audit are all there and as written",
	.details = "Several files are taken for one audit that was rotated: the oldest first.\n"
		   "\n"
		   "Lines that were cut off at the end show by --last, with the hash that an\n"
		   "earlier verification printed; at the beginning by --from-first.",
	.options = audit_options,
	.min_args = 2,
	.max_args = 1000,
	.run = run_audit,
};
