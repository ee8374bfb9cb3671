/* process: recognising a process by more than its number, which the kernel hands out again. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* process_open(pid, ret_pidfd, ret_started): a pidfd (readable once the process has exited; the
 * caller's), and when the process started, in clock ticks since boot (proc(5), stat field 22), by
 * which a later holder of the same number is told apart. 0 or -errno: -ESRCH if there is none, or it has
 * exited. */
int process_open(pid_t pid, int *ret_pidfd, uint64_t *ret_started);

/* process_exited(pidfd): has it, whether or not its parent has looked? A negative pidfd: false. */
bool process_exited(int pidfd);

/* process_loginuid(pid): the uid with which a person logged in to become this process in the end
 * (audit(7)'s); -1: none, or not known. */
int64_t process_loginuid(pid_t pid);
