/* sandbox: what rolegated may still do once it serves. The third stage after privileges.h:
 *
 *	sandbox_enter()  last thing before the first container is served.
 *		Should: leave the files it reads at run time readable (configuration, policy,
 *		resolver, CA certificates, /proc), the state directory writable, and nothing else
 *		(Landlock); leave the system calls that the event loop, libcurl and the resolver's
 *		threads make (seccomp).
 *		Mustn't: be able to run a program, trace a process, enter a namespace, mount, load a
 *		module, or listen on a new socket afterwards.
 *
 * A kernel without Landlock is said in the log and tolerated; one without seccomp is an error. What
 * is refused returns EPERM or EACCES: a path we forgot fails, and closed, but does not end the
 * daemon.
 */
#pragma once

#include "util/diag.h"
#include "wire/config.h"

/* sandbox_enter(config_path, config, diag): 0 or -errno; on failure the process must exit. */
int sandbox_enter(const char *config_path, const struct config *config, struct diag *diag);
