/* syscall_filter: the system calls that netd, its workers and the iptables programs may make. */
#pragma once

#include "util/diag.h"

/* syscall_filter_install(diag): for this process and all that come from it. Other calls fail with
 * ENOSYS, so that libraries take their fallbacks; those that only an intruder makes kill the
 * process. In builds with a sanitizer nothing is installed: that has its own needs. */
int syscall_filter_install(struct diag *diag);
