#include "rolegate/launch_options.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/buf.h"
#include "util/file.h"

#define PIDS_DEFAULT 1024
#define APPARMOR_ENABLED "/sys/module/apparmor/parameters/enabled"
#define APPARMOR_PROFILES "/sys/kernel/security/apparmor/profiles"
#define APPARMOR_DEFAULT "rolegate-container"

/* What can be had with --cap: nothing that reaches beyond the container. */
static const char *const capabilities[] = {
	"CHOWN",   "DAC_OVERRIDE",     "FOWNER",     "FSETID",	    "KILL",    "SETGID", "SETUID",
	"SETPCAP", "NET_BIND_SERVICE", "SYS_CHROOT", "AUDIT_WRITE", "SETFCAP", "MKNOD",
};

typedef int (*apply_fn)(const struct cli *cli, const char *value, struct oci_spec *spec);

static int apply_env(const struct cli *cli, const char *value, struct oci_spec *spec)
{
	if (value[0] == '=' || !strchr(value, '='))
		return cli_usage(cli, "--env must be NAME=VALUE, not \"%s\"", value);
	oci_spec_add_env(spec, value);
	return CLI_DONE;
}

static int apply_workdir(const struct cli *cli, const char *value, struct oci_spec *spec)
{
	if (value[0] != '/')
		return cli_usage(cli, "--workdir must be an absolute path");
	oci_spec_set_cwd(spec, value);
	return CLI_DONE;
}

static bool parse_id(const char *text, char end, uint32_t *ret, const char **ret_rest)
{
	char *rest;

	errno = 0;
	unsigned long long n = strtoull(text, &rest, 10);
	*ret = (uint32_t)n;
	*ret_rest = rest;
	return !errno && isdigit((unsigned char)text[0]) && n < 65536 &&
	       (*rest == '\0' || *rest == end);
}

static int apply_user(const struct cli *cli, const char *value, struct oci_spec *spec)
{
	uint32_t uid, gid;
	const char *rest;

	bool fine = parse_id(value, ':', &uid, &rest);
	gid = uid;
	if (fine && *rest)
		fine = parse_id(rest + 1, '\0', &gid, &rest);
	if (!fine)
		return cli_usage(cli, "--user must be UID or UID:GID in numbers below 65536");
	oci_spec_set_user(spec, uid, gid);
	return CLI_DONE;
}

static int apply_hostname(const struct cli *cli, const char *value, struct oci_spec *spec)
{
	(void)cli;
	oci_spec_set_hostname(spec, value);
	return CLI_DONE;
}

static int apply_mount(const struct cli *cli, const char *value, struct oci_spec *spec)
{
	const char *colon = strchr(value, ':');
	const char *end = colon ? strchr(colon + 1, ':') : NULL;
	bool read_only = end && strcmp(end, ":ro") == 0;

	if (!colon || value[0] != '/' || colon[1] != '/' || (end && !read_only))
		return cli_usage(cli, "--mount must be SRC:DST or SRC:DST:ro, with absolute paths");
	_cleanup_free_ char *source = strndup(value, (size_t)(colon - value));
	_cleanup_free_ char *destination =
		end ? strndup(colon + 1, (size_t)(end - colon) - 1) : strdup(colon + 1);
	if (!source || !destination)
		return CLI_FAILED;
	oci_spec_add_mount(spec, source, destination, "bind",
			   read_only ? "rbind,ro,nosuid,nodev" : "rbind,rw,nosuid,nodev");
	return CLI_DONE;
}

static int apply_tmpfs(const struct cli *cli, const char *value, struct oci_spec *spec)
{
	if (value[0] != '/')
		return cli_usage(cli, "--tmpfs must be an absolute path");
	oci_spec_add_mount(spec, "tmpfs", value, "tmpfs", "nosuid,nodev,mode=1777,size=65536k");
	return CLI_DONE;
}

static int apply_read_only(const struct cli *cli, const char *value, struct oci_spec *spec)
{
	(void)cli;
	(void)value;
	oci_spec_set_read_only(spec);
	return CLI_DONE;
}

static int apply_cap(const struct cli *cli, const char *value, struct oci_spec *spec)
{
	const char *name = strncmp(value, "CAP_", 4) == 0 ? value + 4 : value;
	_cleanup_buf_ struct buf full = {0};

	for (size_t i = 0; i < sizeof(capabilities) / sizeof(capabilities[0]); i++) {
		if (strcmp(capabilities[i], name) != 0)
			continue;
		buf_printf(&full, "CAP_%s", name);
		if (!buf_ok(&full))
			return CLI_FAILED;
		oci_spec_add_capability(spec, full.data);
		return CLI_DONE;
	}
	return cli_usage(cli, "--cap %s: it is no capability that a container here can have",
			 value);
}

static bool parse_limit(const char *text, char end, int64_t *ret, const char **ret_rest)
{
	char *rest;

	errno = 0;
	long long n = strtoll(text, &rest, 10);
	*ret = n;
	*ret_rest = rest;
	return !errno && isdigit((unsigned char)text[0]) && (*rest == '\0' || *rest == end);
}

static int apply_rlimit(const struct cli *cli, const char *value, struct oci_spec *spec)
{
	static const char *const names[] = {"AS",      "CORE",	 "CPU",	  "DATA", "FSIZE",
					    "MEMLOCK", "NOFILE", "NPROC", "RSS",  "STACK"};
	const char *equals = strchr(value, '='), *rest;
	int64_t soft, hard;

	bool fine = equals && parse_limit(equals + 1, ':', &soft, &rest);
	hard = fine ? soft : 0;
	if (fine && *rest)
		fine = parse_limit(rest + 1, '\0', &hard, &rest);
	for (size_t i = 0; fine && hard >= soft && i < sizeof(names) / sizeof(names[0]); i++) {
		_cleanup_buf_ struct buf type = {0};
		if (strlen(names[i]) != (size_t)(equals - value) ||
		    strncmp(names[i], value, strlen(names[i])) != 0)
			continue;
		buf_printf(&type, "RLIMIT_%s", names[i]);
		if (!buf_ok(&type))
			return CLI_FAILED;
		oci_spec_set_rlimit(spec, type.data, soft, hard);
		return CLI_DONE;
	}
	return cli_usage(cli,
			 "--rlimit must be NAME=SOFT[:HARD], as in NOFILE=1024:4096, not "
			 "\"%s\"",
			 value);
}

static int apply_apparmor(const struct cli *cli, const char *value, struct oci_spec *spec)
{
	(void)cli;
	oci_spec_set_apparmor(spec, value);
	return CLI_DONE;
}

static int apply_selinux(const struct cli *cli, const char *value, struct oci_spec *spec)
{
	(void)cli;
	oci_spec_set_selinux(spec, value);
	return CLI_DONE;
}

static int apply_tty(const struct cli *cli, const char *value, struct oci_spec *spec)
{
	(void)value;
	if (!isatty(STDIN_FILENO))
		return cli_usage(cli, "--tty needs a terminal at standard input");
	oci_spec_set_terminal(spec, true);
	return CLI_DONE;
}

static const struct {
	const char *option;
	apply_fn apply;
} appliers[] = {
	{"env", apply_env},
	{"workdir", apply_workdir},
	{"user", apply_user},
	{"hostname", apply_hostname},
	{"mount", apply_mount},
	{"tmpfs", apply_tmpfs},
	{"read-only", apply_read_only},
	{"cap", apply_cap},
	{"rlimit", apply_rlimit},
	{"apparmor", apply_apparmor},
	{"selinux", apply_selinux},
	{"tty", apply_tty},
};

/* BYTES with K, M or G behind it. */
static int parse_memory(const struct cli *cli, const char *text, int64_t *ret)
{
	static const char units[] = "KMG";
	char *end;

	errno = 0;
	long long n = strtoll(text, &end, 10);
	const char *unit = *end ? strchr(units, toupper((unsigned char)*end)) : NULL;
	int shift = unit ? 10 * (int)(unit - units + 1) : 0;
	if (errno || !isdigit((unsigned char)text[0]) || n < 1 || (*end && (!unit || end[1])) ||
	    n > INT64_MAX >> shift)
		return cli_usage(cli, "--memory must be a number of bytes, as in 512M, not \"%s\"",
				 text);
	*ret = n << shift;
	return CLI_DONE;
}

static int parse_cpus(const struct cli *cli, const char *text, int64_t *ret)
{
	char *end;
	double n = strtod(text, &end);

	if (*end || !isdigit((unsigned char)text[0]) || !(n >= 0.01 && n <= 4096))
		return cli_usage(cli, "--cpus must be a number from 0.01, not \"%s\"", text);
	*ret = (int64_t)(n * 100 + 0.5);
	return CLI_DONE;
}

static int apply_limits(const struct cli *cli, const struct options *options, struct oci_spec *spec)
{
	const char *memory = options_get(options, "memory"), *pids = options_get(options, "pids");
	const char *cpus = options_get(options, "cpus");
	int64_t bytes = 0, percent = 0;
	long long n = PIDS_DEFAULT;

	int code = memory ? parse_memory(cli, memory, &bytes) : CLI_DONE;
	if (code == CLI_DONE && pids)
		code = cli_number(cli, "pids", pids, 1, 4194304, &n);
	if (code == CLI_DONE && cpus)
		code = parse_cpus(cli, cpus, &percent);
	if (code == CLI_DONE)
		oci_spec_set_limits(spec, bytes, n, percent);
	return code;
}

/* Ours, where the kernel has AppArmor and somebody has loaded it (deploy/apparmor). */
static void apply_default_apparmor(struct oci_spec *spec)
{
	_cleanup_free_ char *enabled = NULL, *profiles = NULL;

	if (file_read(APPARMOR_ENABLED, 16, &enabled, NULL) == 0 && enabled[0] == 'Y' &&
	    file_read(APPARMOR_PROFILES, (size_t)1024 * 1024, &profiles, NULL) == 0 &&
	    strstr(profiles, APPARMOR_DEFAULT " ("))
		oci_spec_set_apparmor(spec, APPARMOR_DEFAULT);
}

int launch_options_apply(const struct cli *cli, const struct options *options,
			 struct oci_spec *spec)
{
	apply_default_apparmor(spec);
	for (size_t i = 0; i < options->n_values; i++) {
		for (size_t k = 0; k < sizeof(appliers) / sizeof(appliers[0]); k++) {
			if (strcmp(appliers[k].option, options->values[i].spec->name) != 0)
				continue;
			int code = appliers[k].apply(cli, options->values[i].value, spec);
			if (code != CLI_DONE)
				return code;
		}
	}
	return apply_limits(cli, options, spec);
}
