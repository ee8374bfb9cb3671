/* liveness: noticing that a container's netns has died, which our own listeners keep in the kernel.
 *
 * Alive is a netns that a process is in, or that is mounted somewhere in netd's mount namespace (as
 * `ip netns` and CNI do). So netd must run in the host's pid namespace, and mounts of the host must
 * propagate to it; else a netns counts as dead too early. One that only an open descriptor holds
 * lives if it was registered by that descriptor's own path, /proc/PID/fd/N, and as long as that
 * leads to it: every other process's descriptors are not searched.
 *
 * Every LIVENESS_PERIOD_MS each attachment's witness is looked at: one stat(). Only if that fails
 * is /proc walked, once for all that failed. Without attachments nothing is done and nobody woken.
 */
#pragma once

#include "rolegate-netd/netd.h"

#define LIVENESS_PERIOD_MS 2000

/* liveness_init(netd): before anything is attached. */
void liveness_init(struct netd *netd);

/* liveness_arm(netd): there is something to watch. */
void liveness_arm(struct netd *netd);

/* liveness_is_descriptor(path): is it /proc/PID/fd/N, and nothing more? */
bool liveness_is_descriptor(const char *path);

/* liveness_bury(netd, attachment, why): forget it and tell the peers. */
void liveness_bury(struct netd *netd, struct attachment *attachment, const char *why);

/* liveness_is_alive(netd, attachment): look now, thoroughly. */
bool liveness_is_alive(struct netd *netd, struct attachment *attachment);
