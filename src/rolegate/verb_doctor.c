/* doctor: is this host safe, and if not, why not? */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "rolegate/doctor.h"
#include "wire/json_text.h"

static const char *const level_names[] = {"ok", "warn", "FAIL"};
static const char *const level_colours[] = {"\033[32m", "\033[33m", "\033[1;31m"};

void doctor_add(struct doctor *d, enum doctor_level level, const char *check, const char *todo,
		const char *fmt, ...)
{
	struct doctor_finding *grown =
		reallocarray(d->findings, d->n_findings + 1, sizeof(*d->findings));
	char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	int n = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (grown)
		d->findings = grown;
	if (!grown || n < 0) {
		if (n >= 0)
			free(text);
		d->failed = true;
		return;
	}
	d->findings[d->n_findings++] =
		(struct doctor_finding){.level = level, .check = check, .text = text, .todo = todo};
}

static enum doctor_level worst(const struct doctor *d)
{
	enum doctor_level level = DOCTOR_OK;

	for (size_t i = 0; i < d->n_findings; i++)
		if (d->findings[i].level > level)
			level = d->findings[i].level;
	return level;
}

static void print_finding(const struct terminal *terminal, const struct doctor_finding *f)
{
	_cleanup_buf_ struct buf line = {0};

	if (terminal->colour)
		buf_puts(&line, level_colours[f->level]);
	buf_printf(&line, "%-4s", level_names[f->level]);
	if (terminal->colour)
		buf_puts(&line, "\033[0m");
	buf_printf(&line, "  %-10s  ", f->check);
	terminal_escape(terminal, f->text, &line);
	if (f->todo)
		buf_printf(&line, "\n%18s-> %s", "", f->todo);
	if (buf_ok(&line))
		puts(line.data);
}

static void print_as_text(const struct doctor *d)
{
	size_t n[3] = {0};

	/* The worst last: that is where a person looks. */
	for (enum doctor_level level = DOCTOR_OK; level <= DOCTOR_FAIL; level++)
		for (size_t i = 0; i < d->n_findings; i++)
			if (d->findings[i].level == level) {
				print_finding(&d->cli->terminal, &d->findings[i]);
				n[level]++;
			}
	if (n[DOCTOR_FAIL])
		printf("\nThis host is not safe: %zu failed, %zu to look at, %zu fine\n",
		       n[DOCTOR_FAIL], n[DOCTOR_WARN], n[DOCTOR_OK]);
	else
		printf("\nNothing fails: %zu to look at, %zu fine\n", n[DOCTOR_WARN], n[DOCTOR_OK]);
}

static int print_as_json(const struct doctor *d)
{
	static const char *const names[] = {"ok", "warn", "fail"};
	_cleanup_buf_ struct buf text = {0};

	buf_printf(&text, "{\"ok\":%s,\"checks\":[", worst(d) == DOCTOR_FAIL ? "false" : "true");
	for (size_t i = 0; i < d->n_findings; i++) {
		const struct doctor_finding *f = &d->findings[i];
		buf_printf(&text, "%s{\"check\":\"%s\",\"level\":\"%s\",\"text\":", i ? "," : "",
			   f->check, names[f->level]);
		json_text_quote(f->text, &text);
		buf_puts(&text, ",\"do\":");
		if (f->todo)
			json_text_quote(f->todo, &text);
		else
			buf_puts(&text, "null");
		buf_puts(&text, "}");
	}
	buf_puts(&text, "]}");
	return buf_ok(&text) ? cli_print_json(d->cli, text.data, text.len) : CLI_FAILED;
}

static void doctor_deinit(struct doctor *d)
{
	for (size_t i = 0; i < d->n_findings; i++)
		free(d->findings[i].text);
	free(d->findings);
	role_map_free(d->map);
	config_deinit(&d->config);
}

static int run_doctor(struct cli *cli, const struct options *options)
{
	const char *path = cli->config ? cli->config : CONFIG_DEFAULT_PATH;
	_cleanup_(doctor_deinit) struct doctor d = {.cli = cli};
	struct diag diag = {0};

	(void)options;
	if (config_load(path, &d.config, &diag) < 0) {
		cli_error(cli, "%s", diag.text);
		return CLI_FAILED;
	}
	int code = cli_connect(cli);
	if (code != CLI_DONE)
		return code;
	doctor_look_at_daemons(&d);
	doctor_look_at_roles(&d);
	doctor_look_at_rules(&d);
	doctor_look_at_imds(&d);
	doctor_look_at_sts(&d);
	doctor_look_at_policy(&d);
	doctor_look_at_containers(&d);
	if (d.failed) {
		cli_error(cli, "out of memory");
		return CLI_FAILED;
	}
	if (!cli->json)
		print_as_text(&d);
	else if (print_as_json(&d) != CLI_DONE)
		return CLI_FAILED;
	return worst(&d) == DOCTOR_FAIL ? CLI_FAILED : CLI_DONE;
}

const struct verb verb_doctor = {
	.name = "doctor",
	.synopsis = "",
	.summary = "Say whether this host is safe, and if not, why not",
	.details = "Looks at the instance, the host's rules, STS, the policy, the daemons and, "
		   "from inside,\nat every container. Run it as root, on the host. Exit status: 0 "
		   "if nothing fails, else 1.",
	.options = NULL,
	.min_args = 0,
	.max_args = 0,
	.run = run_doctor,
};
