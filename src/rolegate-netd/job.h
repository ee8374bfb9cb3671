/* job: ATTACH, ADOPT and DETACH on their way through a worker.
 *
 * At most JOBS_RUNNING_MAX run at once, the rest wait; those for one id run one after the other, in
 * the order they came. Whether a request agrees with what is attached is decided when its turn
 * comes, and for ATTACH when its worker has found the netns: the path is the peer's, and only a
 * worker that can be killed may follow it.
 */
#pragma once

#include "rolegate-netd/netd.h"

#define JOBS_MAX 1024
#define JOBS_RUNNING_MAX 8

/* job_submit(netd, peer_id, request, fds, n_fds): takes the descriptors over (they become -1). */
void job_submit(struct netd *netd, uint64_t peer_id, const struct netd_request *request, int *fds,
		size_t n_fds);
bool job_queue_is_full(const struct netd *netd);

/* job_touches(netd, id): is a request for this container waiting or running? */
bool job_touches(const struct netd *netd, const char *id);

/* job_uses_bridge(netd): is a request in bridge mode waiting or running? */
bool job_uses_bridge(const struct netd *netd);

/* job_synced(netd, pass, error, diag): the host guard's pass has ended. */
void job_synced(struct netd *netd, uint64_t pass, int error, const struct diag *diag);

/* job_copy_diag(reply, diag): the words of a diag, as far as a reply has room. */
void job_copy_diag(struct netd_reply *reply, const struct diag *diag);

/* job_free_all(netd): on the way out; workers are killed. */
void job_free_all(struct netd *netd);
