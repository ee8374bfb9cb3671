/* launch_options: the options of `rolegate launch` that say what the container is, to its config.json. */
#pragma once

#include "rolegate/cli.h"
#include "wire/oci_spec.h"

#define LAUNCH_OPTIONS                                                                             \
	{"env", "NAME=VALUE", true, "a variable of its environment"},                              \
		{"workdir", "DIR", false, "its working directory"},                                \
		{"user", "UID[:GID]", false, "whom it runs as, in numbers; default 0:0"},          \
		{"hostname", "NAME", false, "its host name; default its name"},                    \
		{"mount", "SRC:DST[:ro]", true, "mount a directory or file of the host's"},        \
		{"tmpfs", "DST", true, "mount an empty file system"},                              \
		{"read-only", NULL, false, "its root is read-only, with a /tmp of its own"},       \
		{"cap", "NAME", true, "a capability; none without this"},                          \
		{"memory", "BYTES", false, "how much memory it may use (K, M, G)"},                \
		{"pids", "N", false, "how many processes it may have; default 1024"},              \
		{"cpus", "N", false, "how many CPUs it may use, as in 0.5"},                       \
		{"rlimit", "NAME=SOFT[:HARD]", true, "a limit as of ulimit, NOFILE=1024:4096"},    \
		{"apparmor", "PROFILE", false, "its AppArmor profile"},                            \
		{"selinux", "LABEL", false, "its SELinux label"},                                  \
	{                                                                                          \
		"tty", NULL, false, "give it a terminal"                                           \
	}

/* launch_options_apply(cli, options, spec): CLI_DONE, or an exit code after an error was printed. */
int launch_options_apply(const struct cli *cli, const struct options *options,
			 struct oci_spec *spec);
