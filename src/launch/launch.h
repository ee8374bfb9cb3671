/* launch: a whole launch of a container on a host that has no engine.
 *
 *	reap -> state -> mounts of its own -> netns -> CNI -> registered and READY -> root -> runc
 *
 * and back in reverse order, whatever fails, whatever ends it. If this process is killed, a guardian,
 * forked at the start, cleans up; should that be killed too, the next launch does.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "launch/identity.h"
#include "util/diag.h"
#include "wire/config.h"
#include "wire/oci_spec.h"

/* What the workload is told of where its credentials are. */
enum launch_credentials { LAUNCH_IMDS, LAUNCH_ECS, LAUNCH_EKS };

struct launch {
	const struct config *config;
	const char *state_root; /* LAUNCH_STATE_DIR, unless a test says otherwise */
	const char *id;
	const struct identity *identity; /* without a role_arn: no credentials */
	enum launch_credentials credentials;
	const char *rootfs;
	const char *const *networks; /* names or paths of CNI network lists */
	size_t n_networks;
	bool user_namespace;
	struct oci_spec
		*spec; /* all but root, network, user namespace, cgroup and mounts of ours */
};

/* launch_run(launch, ret_status, diag): until the container's end; its exit status (128 + signal if one
 * ended it). Signals that are sent to this process go to the container. 0 or -errno; -EACCES if the
 * policy or STS denies the role. */
int launch_run(const struct launch *launch, int *ret_status, struct diag *diag);

/* launch_print(launch, out, diag): the config.json as launch_run() would write it, the network
 * namespace's path aside. */
int launch_print(const struct launch *launch, struct buf *out, struct diag *diag);

/* launch_reap(config, state_root, diag): clean up after dead launchers. 0 or -errno. */
int launch_reap(const struct config *config, const char *state_root, struct diag *diag);
