/* process: recognising a process by more than its number, which the kernel hands out again. */
#pragma once

#include <stdint.h>
#include <sys/types.h>

/* process_open(pid, ret_pidfd, ret_started): a pidfd (readable once the process has exited; the
 * caller's), and when the process started, in clock ticks since boot (proc(5), stat field 22), by
 * which a later holder of the same number is told apart. 0 or -errno: -ESRCH if there is none. */
int process_open(pid_t pid, int *ret_pidfd, uint64_t *ret_started);
