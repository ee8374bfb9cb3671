#include "launch/oci_command.h"

#include <stddef.h>
#include <string.h>

enum place { GLOBAL = 1, LOCAL = 2 };

/* Every option of runc 1.0 to 1.4 and crun 1.x, global or of create, run, restore and delete, that
 * takes a value. */
static const struct {
	const char *name;
	int places;
} valued[] = {
	{"log", GLOBAL},
	{"log-format", GLOBAL},
	{"log-level", GLOBAL},
	{"root", GLOBAL},
	{"criu", GLOBAL},
	{"rootless", GLOBAL},
	{"cgroup-manager", GLOBAL},
	{"bundle", LOCAL},
	{"b", LOCAL},
	{"console-socket", LOCAL},
	{"pid-file", LOCAL},
	{"pidfd-socket", LOCAL},
	{"preserve-fds", LOCAL},
	{"config", LOCAL},
	{"f", LOCAL},
	{"image-path", LOCAL},
	{"work-path", LOCAL},
	{"manage-cgroups-mode", LOCAL},
	{"empty-ns", LOCAL},
	{"lsm-profile", LOCAL},
	{"lsm-mount-context", LOCAL},
	{"parent-path", LOCAL},
};

static const struct {
	const char *name;
	enum oci_verb verb;
} verbs[] = {
	{"create", OCI_CREATE},
	{"run", OCI_CREATE},
	{"restore", OCI_CREATE},
	{"delete", OCI_DELETE},
};

static enum oci_verb find_verb(const char *name)
{
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (strcmp(verbs[i].name, name) == 0)
			return verbs[i].verb;
	return OCI_OTHER;
}

static bool is(const char *name, size_t len, const char *option)
{
	return strlen(option) == len && memcmp(name, option, len) == 0;
}

static bool takes_value(const char *name, size_t len, int place, enum oci_verb verb)
{
	if (is(name, len, "f") && verb == OCI_DELETE)
		return false; /* --force there */
	for (size_t i = 0; i < sizeof(valued) / sizeof(valued[0]); i++)
		if ((valued[i].places & place) && is(name, len, valued[i].name))
			return true;
	return false;
}

static void take(struct oci_command *command, int place, const char *name, size_t len,
		 const char *value)
{
	if (place == GLOBAL && is(name, len, "log"))
		command->log = value;
	else if (place == GLOBAL && is(name, len, "log-format"))
		command->log_json = strcmp(value, "json") == 0;
	else if (place == LOCAL && (is(name, len, "bundle") || is(name, len, "b")))
		command->bundle = value;
	else if (place == LOCAL && (is(name, len, "config") || is(name, len, "f")))
		command->config = value;
}

/* The option at argv[*at]; *at moves on over its value. */
static void take_option(int argc, char *const argv[], int *at, int place,
			struct oci_command *command)
{
	const char *name = argv[*at] + 1 + (argv[*at][1] == '-');
	const char *equals = strchr(name, '=');
	size_t len = equals ? (size_t)(equals - name) : strlen(name);

	if (!takes_value(name, len, place, command->verb))
		return;
	if (equals)
		take(command, place, name, len, equals + 1);
	else if (*at + 1 < argc)
		take(command, place, name, len, argv[++*at]);
}

void oci_command_parse(int argc, char *const argv[], struct oci_command *ret)
{
	bool ended = false;
	int i;

	*ret = (struct oci_command){0};
	for (i = 1; i < argc && argv[i][0] == '-'; i++)
		take_option(argc, argv, &i, GLOBAL, ret);
	if (i >= argc)
		return;
	ret->verb = find_verb(argv[i]);
	if (ret->verb == OCI_OTHER)
		return;
	for (i++; i < argc; i++) {
		if (ended || argv[i][0] != '-' || argv[i][1] == '\0') {
			if (!ret->id)
				ret->id = argv[i];
		} else if (strcmp(argv[i], "--") == 0) {
			ended = true;
		} else {
			take_option(argc, argv, &i, LOCAL, ret);
		}
	}
	/* The runtime will complain; or it was asked for help. */
	if (!ret->id)
		ret->verb = OCI_OTHER;
}
