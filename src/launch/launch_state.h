/* launch_state: what a launch leaves in the file system, so that another process can clean up after
 * one that was killed: a directory a container under LAUNCH_STATE_DIR, which is root's alone.
 *
 *	ID/launcher	who launched it (pid and start), which slot of user ids it has
 *	ID/cni-N	the networks' configurations, and ID/cni-N.result what they answered
 *	ID/config.json	the OCI bundle
 *
 * A user namespace's ids are a slot's: 65536 from LAUNCH_IDS_BASE on, no two launches the same.
 */
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include "util/diag.h"

#define LAUNCH_STATE_DIR "/run/rolegate-launch"
#define LAUNCH_IDS_BASE UINT32_C(0x70000000) /* above what systemd-nspawn and useradd give out */
#define LAUNCH_IDS_SIZE UINT32_C(0x10000)
#define LAUNCH_SLOTS 4096

struct launch_state {
	const char *root; /* LAUNCH_STATE_DIR, or a test's; borrowed */
	char *dir;	  /* root/ID */
	int dir_fd;
	uint32_t ids_base;
};

/* launch_state_create(root, id, ret, diag): 0; -EEXIST if a container of that id is there. */
int launch_state_create(const char *root, const char *id, struct launch_state *ret,
			struct diag *diag);

/* launch_state_remove(state): the directory and what is in it; the memory, too. */
void launch_state_remove(struct launch_state *state);

/* launch_state_each_dead(root, visit, user): visit each container whose launcher is no more; `state`
 * is the visitor's to launch_state_remove(). */
typedef void (*launch_state_visit_fn)(const char *id, struct launch_state *state, void *user);
int launch_state_each_dead(const char *root, launch_state_visit_fn visit, void *user,
			   struct diag *diag);
