/* oci_command: the command line of an OCI runtime (runc, crun), as far as the wrapper must know it.
 *
 *	runc [GLOBAL OPTION…] COMMAND [OPTION…] [ID]
 *
 * Options may stand on either side of the id, with one dash or two, and with their value behind
 * "=" or in the next argument. An option that no runtime is known to have counts as one without a
 * value: the runtime itself will complain of it, or know better.
 */
#pragma once

#include <stdbool.h>

enum oci_verb {
	OCI_OTHER,  /* whatever makes no container and ends none: not our business */
	OCI_CREATE, /* create, run, restore: a container's namespaces are made */
	OCI_DELETE,
};

/* All strings point into argv. */
struct oci_command {
	enum oci_verb verb;
	const char *bundle; /* --bundle; NULL: the working directory */
	const char *config; /* --config of crun; NULL: config.json in the bundle */
	const char *log;    /* --log, where the engine looks for errors; NULL: nowhere */
	bool log_json;	    /* --log-format json */
	const char *id;	    /* NULL: none is given */
};

/* oci_command_parse(argc, argv, ret): argv[0] is the program's name. */
void oci_command_parse(int argc, char *const argv[], struct oci_command *ret);
