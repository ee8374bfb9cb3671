/* kept: what a rolegated leaves for the next one (see core/handover.h). netd holds the descriptor
 * and never looks into it; it is encrypted with a key that netd does not have.
 */
#pragma once

#include "rolegate-netd/netd.h"
#include "util/diag.h"

/* kept_set(netd, fd, diag): hold this one instead (it becomes netd's on success); -1 lets go of
 * what is held. Only a sealed memory file is taken: any other descriptor could keep something
 * alive, a netns say, or change under the next rolegated's eyes. 0, -EINVAL or -EFBIG. */
int kept_set(struct netd *netd, int fd, struct diag *diag);
