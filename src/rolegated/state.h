/* state: what survives a restart, in [state] dir: the token key and one file a container. Nothing
 * in it is secret but the key (0600). See rolegated(8), FILES.
 *
 *	DIR/token.key              32 random bytes
 *	DIR/containers/ID.json     one registration
 */
#pragma once

#include "core/container.h"
#include "wire/container_json.h"

struct state {
	int dir_fd;	   /* DIR */
	int containers_fd; /* DIR/containers */
	char identity[40]; /* what tells DIR from others while the host is up */
};

/* state_open(dir, state, diag): make the directories if they are missing: DIR 0755
 * (the sockets may be in it), DIR/containers 0700. */
int state_open(const char *dir, struct state *state, struct diag *diag);
void state_close(struct state *state);

/* state_chown(state, uid, gid): give them to the user the daemon is about to become. */
int state_chown(const struct state *state, uid_t uid, gid_t gid);

/* state_token_key(state, ret, diag): read the key, or make one. */
int state_token_key(const struct state *state, uint8_t ret[static TOKEN_KEY_SIZE],
		    struct diag *diag);

/* state_save(state, c) writes the container's file; state_drop(state, id) removes it. 0 or -errno.
 */
int state_save(const struct state *state, const struct container *c);
int state_drop(const struct state *state, const char *id);

/* state_load(state, cb, data): call cb for every stored container. A file that cannot be understood
 * is logged and set aside as ID.json.bad, so that nothing is lost and nothing blocks the start. */
typedef void state_cb(const struct container_state *stored,
		      const uint8_t instance[static TOKEN_INSTANCE_SIZE], void *data);
void state_load(const struct state *state, state_cb *cb, void *data);
