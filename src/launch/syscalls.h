/* syscalls: the text of syscalls.txt, embedded. */
#pragma once

extern const char launch_syscalls[];
