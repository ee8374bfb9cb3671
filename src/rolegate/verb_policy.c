/* policy check: is the file valid, and whom does it allow what? Asks no daemon. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/policy.h"
#include "rolegate/cli.h"
#include "util/cleanup.h"
#include "wire/json_text.h"

#define DEFAULT_DURATION_S 3600

DEFINE_CLEANUP(struct policy *, policy_free)

static const struct option_spec options_policy[] = {
	{"role", "ARN", false, "ask whether a container may have this role"},
	{"image", "REF", false, "... if this is its image"},
	{"digest", "SHA", false, "... with this digest (sha256:HEX)"},
	{"label", "KEY=VALUE", true, "... and this label"},
	{"tag", "KEY=VALUE", true, "... and it asks for this session tag"},
	{"duration", "S", false, "... and its credentials live so long; default 3600"},
	{NULL, NULL, false, NULL},
};

struct labels {
	struct policy_label *list;
	size_t n;
};

static void labels_deinit(struct labels *labels)
{
	for (size_t i = 0; i < labels->n; i++)
		free(labels->list[i].key); /* the value is behind it */
	free(labels->list);
}

/* The KEY=VALUE options of one name. */
static int parse_labels(const struct cli *cli, const struct options *options, const char *name,
			struct labels *ret)
{
	ret->list = calloc(options->n_values + 1, sizeof(*ret->list));
	for (size_t i = 0; ret->list && i < options->n_values; i++) {
		const char *text = options->values[i].value;
		const char *equals = strchr(text, '=');
		if (strcmp(options->values[i].spec->name, name) != 0)
			continue;
		if (!equals || equals == text)
			return cli_usage(cli, "--%s must be KEY=VALUE, not \"%s\"", name, text);
		char *key = strdup(text);
		if (!key)
			return CLI_FAILED;
		char *value = key + (equals - text);
		*value++ = '\0';
		ret->list[ret->n++] = (struct policy_label){.key = key, .value = value};
	}
	return ret->list ? CLI_DONE : CLI_FAILED;
}

/* {"file":…,"rules":N} and, if a question was asked, "allowed", "rule", "field" and "reason". */
static int print_json(const struct cli *cli, const char *file, const struct policy *policy,
		      bool asked, const struct policy_rule *rule, const struct diag *diag)
{
	_cleanup_buf_ struct buf text = {0};

	buf_puts(&text, "{\"file\":");
	json_text_quote(file, &text);
	buf_printf(&text, ",\"rules\":%zu", policy->n_rules);
	if (asked) {
		buf_printf(&text, ",\"allowed\":%s,\"rule\":", rule ? "true" : "false");
		if (rule)
			json_text_quote(rule->name, &text);
		else
			buf_puts(&text, "null");
	}
	if (asked && !rule) {
		buf_puts(&text, ",\"field\":");
		json_text_quote(diag->field, &text);
		buf_puts(&text, ",\"reason\":");
		json_text_quote(diag->text, &text);
	}
	buf_puts(&text, "}");
	return buf_ok(&text) ? cli_print_json(cli, text.data, text.len) : CLI_FAILED;
}

static int answer(const struct cli *cli, const char *file, const struct policy *policy,
		  const struct policy_question *question)
{
	_cleanup_buf_ struct buf name = {0};
	const struct policy_rule *rule = NULL;
	struct diag diag = {0};

	(void)policy_decide(policy, question, &rule, &diag);
	int code = cli->json ? print_json(cli, file, policy, true, rule, &diag) : CLI_DONE;
	if (!rule) {
		cli_error(cli, "%s", diag.text);
		return CLI_DENIED;
	}
	if (!cli->json) {
		terminal_escape(&cli->terminal, rule->name, &name);
		printf("allowed by rule \"%s\"\n", buf_ok(&name) ? name.data : "");
	}
	return code;
}

static int ask(const struct cli *cli, const struct options *options, const char *file,
	       const struct policy *policy)
{
	_cleanup_(labels_deinit) struct labels labels = {0}, tags = {0};
	struct sts_tag session_tags[STS_TAGS_MAX];
	struct sts_assume_role role = {.tags = session_tags};
	const char *duration = options_get(options, "duration");
	long long duration_s = DEFAULT_DURATION_S;

	int code = parse_labels(cli, options, "label", &labels);
	if (code == CLI_DONE)
		code = parse_labels(cli, options, "tag", &tags);
	if (code == CLI_DONE && tags.n > STS_TAGS_MAX)
		code = cli_usage(cli, "--tag can be given %d times at most", STS_TAGS_MAX);
	if (code == CLI_DONE && duration)
		code = cli_number(cli, "duration", duration, 900, 43200, &duration_s);
	if (code != CLI_DONE)
		return code;
	for (; role.n_tags < tags.n; role.n_tags++)
		session_tags[role.n_tags] = (struct sts_tag){.key = tags.list[role.n_tags].key,
							     .value = tags.list[role.n_tags].value};
	const struct policy_question question = {
		.role_arn = options_get(options, "role"),
		.image_ref = options_get(options, "image"),
		.image_digest = options_get(options, "digest"),
		.duration_s = duration_s,
		.labels = labels.list,
		.n_labels = labels.n,
		.id = "",
		.role = &role,
	};
	return answer(cli, file, policy, &question);
}

static int run_policy(struct cli *cli, const struct options *options)
{
	_cleanup_(policy_freep) struct policy *policy = NULL;
	const char *file = options->args[1];
	struct diag diag = {0};

	if (strcmp(options->args[0], "check") != 0)
		return cli_usage(cli, "there is no \"policy %s\", only \"policy check\"",
				 options->args[0]);
	cli->subject = "check";
	bool asked = options_get(options, "role");
	if (!asked && (options_get(options, "image") || options_get(options, "digest") ||
		       options_get(options, "label") || options_get(options, "tag") ||
		       options_get(options, "duration")))
		return cli_usage(cli, "say --role ARN too: which role is it about?");
	if (policy_load(file, &policy, &diag) < 0) {
		cli_error(cli, "%s", diag.text);
		return CLI_FAILED;
	}
	if (asked)
		return ask(cli, options, file, policy);
	if (cli->json)
		return print_json(cli, file, policy, false, NULL, NULL);
	printf("%zu rule%s, valid\n", policy->n_rules, policy->n_rules == 1 ? "" : "s");
	return CLI_DONE;
}

const struct verb verb_policy = {
	.name = "policy",
	.synopsis = "check FILE [--role ARN ...]",
	.summary = "Check a policy file, and whom it allows a role",
	.details = "With --role it says which rule allows it (exit status 0), or what came nearest "
		   "(4).",
	.options = options_policy,
	.min_args = 2,
	.max_args = 2,
	.run = run_policy,
};
