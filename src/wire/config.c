#include "wire/config.h"

#include <ctype.h>
#include <errno.h>
#include <ini.h>
#include <inttypes.h>
#include <limits.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "util/buf.h"
#include "util/file.h"
#include "util/log.h"
#include "wire/config_value.h"

#define CONFIG_SIZE_MAX (256 * 1024)

enum type {
	STRING,	    /* any non-empty text */
	WORD,	    /* a name without blanks and the like */
	ACCOUNT,    /* twelve digits */
	ADDRESS,    /* HOST:PORT */
	PATH,	    /* absolute path */
	URL,	    /* http:// or https:// */
	LIST,	    /* text that may continue on indented lines */
	NUMBER,	    /* int64_t within min..max */
	BOOLEAN,    /* yes/no */
	TOKENS,	    /* required | optional */
	BASE,	    /* imds | environment | file:PATH[#PROFILE] */
	NOT_READY,  /* fail | start */
	UNCONFINED, /* refuse | warn */
	LEVEL,	    /* error | warning | info | debug */
	FORMAT,	    /* text | json */
	AUDIT,	    /* absolute path | journal */
	SOCKET,	    /* absolute path that fits a sockaddr_un */
};

struct key {
	const char *section, *name;
	enum type type;
	size_t offset;
	const char *initial; /* default, parsed like a value from the file; NULL: none */
	int64_t min, max;    /* NUMBER */
};

#define AT(member) offsetof(struct config, member)

static const struct key keys[] = {
	{"aws", "region", WORD, AT(aws.region), NULL, 0, 0},
	{"aws", "partition", WORD, AT(aws.partition), NULL, 0, 0},
	{"aws", "sts_endpoint", URL, AT(aws.sts_endpoint), NULL, 0, 0},
	{"aws", "ec2_endpoint", URL, AT(aws.ec2_endpoint), NULL, 0, 0},
	{"aws", "imds_endpoint", URL, AT(aws.imds_endpoint), "http://169.254.169.254", 0, 0},
	{"aws", "ca_file", PATH, AT(aws.ca_file), NULL, 0, 0},
	{"aws", "base_credentials", BASE, AT(aws.base_credentials), "imds", 0, 0},
	{"aws", "session_duration_s", NUMBER, AT(aws.session_duration_s), "3600", 900, 43200},
	{"aws", "sts_max_per_second", NUMBER, AT(aws.sts_max_per_second), "100", 1, 10000},
	{"aws", "sts_max_in_flight", NUMBER, AT(aws.sts_max_in_flight), "32", 1, 1000},
	{"intercept", "port", NUMBER, AT(intercept.port), "16925", 1024, 65535},
	{"intercept", "bridge_port", NUMBER, AT(intercept.bridge_port), "16926", 1024, 65535},
	{"intercept", "protect_host", BOOLEAN, AT(intercept.protect_host), "no", 0, 0},
	{"imds", "tokens", TOKENS, AT(imds.tokens_required), "required", 0, 0},
	{"imds", "hop_limit", NUMBER, AT(imds.hop_limit), "1", 1, 64},
	{"imds", "allow", LIST, AT(imds.allow), NULL, 0, 0},
	{"control", "socket", SOCKET, AT(control.socket), "/run/rolegate/control.sock", 0, 0},
	{"control", "group", STRING, AT(control.group), "rolegate", 0, 0},
	{"control", "tls_listen", ADDRESS, AT(control.tls_listen), NULL, 0, 0},
	{"control", "tls_cert", PATH, AT(control.tls_cert), NULL, 0, 0},
	{"control", "tls_key", PATH, AT(control.tls_key), NULL, 0, 0},
	{"control", "tls_client_ca", PATH, AT(control.tls_client_ca), NULL, 0, 0},
	{"netd", "socket", SOCKET, AT(netd.socket), "/run/rolegate/netd.sock", 0, 0},
	{"runtime", "path", STRING, AT(runtime.path), "runc", 0, 0},
	{"runtime", "on_not_ready", NOT_READY, AT(runtime.on_not_ready), "fail", 0, 0},
	{"runtime", "unconfined", UNCONFINED, AT(runtime.refuse_unconfined), "refuse", 0, 0},
	{"runtime", "account", ACCOUNT, AT(runtime.account), NULL, 0, 0},
	{"runtime", "role_annotations", LIST, AT(runtime.role_annotations), NULL, 0, 0},
	{"runtime", "role_env", LIST, AT(runtime.role_env), NULL, 0, 0},
	{"runtime", "trust_env", BOOLEAN, AT(runtime.trust_env), "yes", 0, 0},
	{"runtime", "image_keys", LIST, AT(runtime.image_keys), NULL, 0, 0},
	{"runtime", "image_signatures", PATH, AT(runtime.image_signatures),
	 "/etc/rolegate/signatures", 0, 0},
	{"state", "dir", PATH, AT(state.dir), "/run/rolegate", 0, 0},
	{"policy", "file", PATH, AT(policy.file), "/etc/rolegate/policy.json", 0, 0},
	{"log", "level", LEVEL, AT(log.level), "info", 0, 0},
	{"log", "format", FORMAT, AT(log.json), "text", 0, 0},
	{"log", "audit", AUDIT, AT(log.audit), NULL, 0, 0},
};
#define N_KEYS (sizeof(keys) / sizeof(keys[0]))

/* sizeof(sockaddr_un.sun_path), less its NUL */
#define SOCKET_PATH_MAX 107

static int set_string(char **to, const char *value)
{
	char *copy = strdup(value);
	if (!copy)
		return -ENOMEM;
	free(*to);
	*to = copy;
	return 0;
}

/* A list's continuation line arrives as a further call for the same key. */
static int append_list(char **to, const char *value)
{
	if (!*to)
		return set_string(to, value);
	_cleanup_buf_ struct buf b = {0};
	buf_printf(&b, "%s %s", *to, value);
	char *joined = buf_steal(&b);
	if (!joined)
		return -ENOMEM;
	free(*to);
	*to = joined;
	return 0;
}

static int set_choice(const struct key *key, const char *value, const char *if_false,
		      const char *if_true, bool *to, struct diag *diag)
{
	if (strcmp(value, if_true) == 0)
		*to = true;
	else if (strcmp(value, if_false) == 0)
		*to = false;
	else
		return diag_fail(EINVAL, diag, key->name, "must be %s or %s, not \"%s\"", if_true,
				 if_false, value);
	return 0;
}

static int set_number(const struct key *key, const char *value, int64_t *to, struct diag *diag)
{
	char *end;

	errno = 0;
	long long n = strtoll(value, &end, 10);
	if (errno || *end || end == value || isspace((unsigned char)value[0]))
		return diag_fail(EINVAL, diag, key->name, "must be a whole number, not \"%s\"",
				 value);
	if (n < key->min || n > key->max)
		return diag_fail(EINVAL, diag, key->name, "must be %lld to %lld, not %lld",
				 (long long)key->min, (long long)key->max, n);
	*to = n;
	return 0;
}

static int set_path(const struct key *key, const char *value, char **to, struct diag *diag)
{
	if (value[0] != '/')
		return diag_fail(EINVAL, diag, key->name, "must be an absolute path, not \"%s\"",
				 value);
	if (strlen(value) >= PATH_MAX)
		return diag_fail(EINVAL, diag, key->name, "is too long for a path");
	if (key->type == SOCKET && strlen(value) > SOCKET_PATH_MAX)
		return diag_fail(EINVAL, diag, key->name,
				 "is too long for a socket (%d bytes at most)", SOCKET_PATH_MAX);
	return set_string(to, value);
}

static bool is_address(const char *value)
{
	const char *port;

	return config_value_address(value, NULL, 0, &port) == 0;
}

/* Text that must look a certain way. */
static int set_checked(const struct key *key, const char *value, char **to, struct diag *diag)
{
	static const struct {
		enum type type;
		bool (*is)(const char *value);
		const char *what;
	} checks[] = {
		{URL, config_value_url, "an http:// or https:// URL"},
		{WORD, config_value_word, "a name of letters, digits and - _ ."},
		{ACCOUNT, config_value_account, "an account's twelve digits"},
		{ADDRESS, is_address, "HOST:PORT or [IPV6]:PORT"},
	};

	for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++)
		if (checks[i].type == key->type && !checks[i].is(value))
			return diag_fail(EINVAL, diag, key->name, "must be %s, not \"%s\"",
					 checks[i].what, value);
	return set_string(to, value);
}

/* imds | environment | file:PATH[#PROFILE] */
static int set_base(const struct key *key, const char *value, struct config *config,
		    struct diag *diag)
{
	if (strcmp(value, "imds") == 0 || strcmp(value, "environment") == 0) {
		config->aws.base_credentials = value[0] == 'i' ? BASE_IMDS : BASE_ENVIRONMENT;
		return 0;
	}
	if (strncmp(value, "file:/", 6) != 0)
		return diag_fail(EINVAL, diag, key->name,
				 "must be imds, environment or file:/PATH[#PROFILE], not \"%s\"",
				 value);
	_cleanup_free_ char *path = strdup(value + 5);
	if (!path)
		return -ENOMEM;
	char *profile = strrchr(path, '#');
	if (profile)
		*profile++ = '\0';
	config->aws.base_credentials = BASE_FILE;
	if (set_string(&config->aws.base_profile, profile && *profile ? profile : "default") < 0)
		return -ENOMEM;
	return set_string(&config->aws.base_file, path);
}

static int set_value(const struct key *key, const char *value, struct config *config,
		     struct diag *diag)
{
	void *to = (char *)config + key->offset;
	enum log_level level;
	bool flag = false;
	int r;

	if (value[0] == '\0')
		return diag_fail(EINVAL, diag, key->name, "has no value");
	switch (key->type) {
	case STRING:
		return set_string(to, value);
	case LIST:
		return append_list(to, value);
	case PATH:
	case SOCKET:
		return set_path(key, value, to, diag);
	case AUDIT:
		return strcmp(value, "journal") == 0 ? set_string(to, value)
						     : set_path(key, value, to, diag);
	case URL:
	case WORD:
	case ACCOUNT:
	case ADDRESS:
		return set_checked(key, value, to, diag);
	case NUMBER:
		return set_number(key, value, to, diag);
	case BOOLEAN:
		return set_choice(key, value, "no", "yes", to, diag);
	case TOKENS:
		return set_choice(key, value, "optional", "required", to, diag);
	case FORMAT:
		return set_choice(key, value, "text", "json", to, diag);
	case UNCONFINED:
		return set_choice(key, value, "warn", "refuse", to, diag);
	case NOT_READY:
		r = set_choice(key, value, "fail", "start", &flag, diag);
		if (r == 0)
			*(enum config_not_ready *)to = flag ? NOT_READY_START : NOT_READY_FAIL;
		return r;
	case BASE:
		return set_base(key, value, config, diag);
	case LEVEL:
		if (log_level_parse(value, &level) < 0)
			return diag_fail(EINVAL, diag, key->name,
					 "must be error, warning, info or debug, not \"%s\"",
					 value);
		return set_string(to, value);
	}
	return -EINVAL;
}

struct parse {
	struct config *config;
	struct diag *diag; /* the first error */
	bool seen[N_KEYS];
	size_t last; /* the key of the line before, for continuation lines */
	int error;
};

static int handle_line(void *user, const char *section, const char *name, const char *value)
{
	struct parse *parse = user;
	bool section_known = false;
	int r;

	if (parse->error)
		return 0;
	for (size_t i = 0; i < N_KEYS; i++) {
		if (strcmp(keys[i].section, section) != 0)
			continue;
		section_known = true;
		if (strcmp(keys[i].name, name) != 0)
			continue;
		if (parse->seen[i] && !(keys[i].type == LIST && parse->last == i))
			r = diag_fail(EINVAL, parse->diag, name, "is given twice");
		else
			r = set_value(&keys[i], value, parse->config, parse->diag);
		parse->seen[i] = true;
		parse->last = i;
		parse->error = r;
		return r == 0;
	}
	parse->error = section_known
			       ? diag_fail(EINVAL, parse->diag, name, "is no key of [%s]", section)
			       : diag_fail(EINVAL, parse->diag, name,
					   "is in [%s], which is no section", section);
	return 0;
}

/* What no single key can tell. */
static int check_whole(const struct config *config, const char *name, struct diag *diag)
{
	if (config->intercept.port == config->intercept.bridge_port)
		return diag_fail(EINVAL, diag, "bridge_port",
				 "%s: [intercept] bridge_port must differ from port", name);
	if (config->control.tls_listen && (!config->control.tls_cert || !config->control.tls_key ||
					   !config->control.tls_client_ca))
		return diag_fail(EINVAL, diag, "tls_listen",
				 "%s: [control] tls_listen needs tls_cert, tls_key and "
				 "tls_client_ca: clients are always verified",
				 name);
	return 0;
}

static int set_defaults(struct config *config)
{
	*config = (struct config){0};
	for (size_t i = 0; i < N_KEYS; i++)
		if (keys[i].initial && set_value(&keys[i], keys[i].initial, config, NULL) < 0)
			return -ENOMEM;
	return 0;
}

static bool is_section(const char *name)
{
	for (size_t i = 0; i < N_KEYS; i++)
		if (strcmp(keys[i].section, name) == 0)
			return true;
	return false;
}

/* By itself inih takes 200 bytes a line, the line's end and a NUL included, and the rest for the next
 * line. */
static int parse_lines(const char *text, struct parse *parse)
{
	ini_use_stack = false;
	ini_max_line = ini_initial_alloc = CONFIG_LINE_MAX + 3;
	return ini_parse_string(text, handle_line, parse);
}

int config_parse(const char *text, const char *name, struct config *ret, struct diag *diag)
{
	struct config config;
	struct diag first = {0};
	struct parse parse = {.config = &config, .diag = &first, .last = N_KEYS};

	int line = config_value_lines(text, is_section, &first);
	if (line > 0)
		return diag_fail(EINVAL, diag, NULL, "%s:%d: %s", name, line, first.text);
	if (set_defaults(&config) < 0) {
		config_deinit(&config);
		return -ENOMEM;
	}
	line = parse_lines(text, &parse);
	int r = 0;
	if (line < 0 || parse.error == -ENOMEM)
		r = diag_fail(ENOMEM, diag, NULL, "%s: out of memory", name);
	else if (line > 0 && parse.error && first.text[0])
		r = diag_fail(EINVAL, diag, first.field, "%s:%d: %s %s", name, line, first.field,
			      first.text);
	else if (line > 0)
		r = diag_fail(EINVAL, diag, NULL, "%s:%d: is neither [section] nor key = value",
			      name, line);
	else
		r = check_whole(&config, name, diag);
	if (r < 0) {
		config_deinit(&config);
		return r;
	}
	*ret = config;
	return 0;
}

int config_load(const char *path, struct config *ret, struct diag *diag)
{
	_cleanup_secret_ char *text = NULL;

	int r = file_read(path, CONFIG_SIZE_MAX, &text, NULL);
	if (r == -EINVAL)
		return diag_fail(EINVAL, diag, NULL,
				 "%s: is no text file: it is special, or has a NUL byte", path);
	if (r < 0)
		return diag_fail(-r, diag, NULL, "%s: cannot be read: %s", path, strerror(-r));
	return config_parse(text, path, ret, diag);
}

/* A key's value as it may stand in a file. */
static void print_value(const struct key *key, const struct config *config, struct buf *out)
{
	const void *at = (const char *)config + key->offset;
	const char *text;

	switch (key->type) {
	case NUMBER:
		buf_printf(out, "%" PRId64, *(const int64_t *)at);
		return;
	case BOOLEAN:
		buf_puts(out, *(const bool *)at ? "yes" : "no");
		return;
	case TOKENS:
		buf_puts(out, *(const bool *)at ? "required" : "optional");
		return;
	case FORMAT:
		buf_puts(out, *(const bool *)at ? "json" : "text");
		return;
	case NOT_READY:
		buf_puts(out,
			 *(const enum config_not_ready *)at == NOT_READY_START ? "start" : "fail");
		return;
	case BASE:
		if (config->aws.base_credentials == BASE_FILE)
			buf_printf(out, "file:%s#%s", config->aws.base_file,
				   config->aws.base_profile);
		else
			buf_puts(out, config->aws.base_credentials == BASE_IMDS ? "imds"
										: "environment");
		return;
	case UNCONFINED:
		buf_puts(out, *(const bool *)at ? "refuse" : "warn");
		return;
	case STRING:
	case WORD:
	case ACCOUNT:
	case ADDRESS:
	case PATH:
	case SOCKET:
	case URL:
	case LIST:
	case LEVEL:
	case AUDIT:
		text = *(char *const *)at;
		buf_puts(out, text ? text : "(none)");
	}
}

void config_diff(const struct config *old, const struct config *new, config_diff_cb *cb, void *data)
{
	for (size_t i = 0; i < N_KEYS; i++) {
		_cleanup_buf_ struct buf before = {0}, after = {0}, change = {0};
		print_value(&keys[i], old, &before);
		print_value(&keys[i], new, &after);
		if (!buf_ok(&before) || !buf_ok(&after) || strcmp(before.data, after.data) == 0)
			continue;
		buf_printf(&change, "[%s] %s: %s -> %s", keys[i].section, keys[i].name, before.data,
			   after.data);
		if (buf_ok(&change))
			cb(change.data, data);
	}
}

void config_deinit(struct config *config)
{
	for (size_t i = 0; i < N_KEYS; i++) {
		switch (keys[i].type) {
		case STRING:
		case WORD:
		case ACCOUNT:
		case ADDRESS:
		case PATH:
		case SOCKET:
		case URL:
		case LIST:
		case LEVEL:
		case AUDIT:
			free(*(char **)((char *)config + keys[i].offset));
			break;
		default:
			break;
		}
	}
	free(config->aws.base_file);
	free(config->aws.base_profile);
	*config = (struct config){0};
}
