/* container_json: the control API's answers, struct to JSON text; and the state file, both ways. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "util/buf.h"
#include "util/diag.h"
#include "wire/sts_message.h"

/* What a workload finds its credentials by if it is not to ask the instance metadata: two sets of
 * environment variables, of which it gets one. */
struct container_environment {
	const char *ecs_uri; /* "/v2/credentials/ID" */
	const char *eks_uri;
	const char *eks_token;
	const char *region; /* NULL: unknown */
};

/* One container as the role map shows it. Nothing is owned. */
struct container_view {
	const char *id;
	const char *canonical; /* the registration, JSON */
	const char *state;
	const char *access_key_id; /* NULL: no credentials */
	const char *last_error;	   /* NULL: none */
	int64_t expiration_s;	   /* 0: none; so below */
	int64_t last_refresh_s;
	int64_t registered_at_s;
	uint64_t requests;
	uint64_t netns_ino;
	const struct container_environment *environment; /* NULL: not told */
	const char *detail;	 /* the state, with "renewing" and "stale" told apart */
	const char *policy_rule; /* the rule that allowed it; NULL: unknown */
	const char *request_id;	 /* STS's, of the last attempt; NULL: none */
	int64_t last_attempt_s;
	const struct sts_assume_role *role; /* the session as STS is asked for it: what was
					     * registered and what the policy adds */
};

/* container_json_print(view, full, out): one object. `full` adds the rest of the registration. */
void container_json_print(const struct container_view *view, bool full, struct buf *out);

/* container_environment_print(e, out): {"ecs":{NAME:VALUE,…},"eks":{…}}. */
void container_environment_print(const struct container_environment *e, struct buf *out);

/* control_json_error(code, diag, out): {"error":{"code","message","field"}}. */
void control_json_error(const char *code, const struct diag *diag, struct buf *out);

#define STATE_INSTANCE_HEX_SIZE 33
#define STATE_BOOT_ID_SIZE 37

/* What a state file holds. */
struct container_state {
	char *id;
	char *registration;			/* canonical JSON */
	char instance[STATE_INSTANCE_HEX_SIZE]; /* hexadecimal */
	int64_t registered_at_s;
	uint64_t netns_dev, netns_ino, netns_cookie;
	char boot_id[STATE_BOOT_ID_SIZE]; /* of the boot that all these belong to; "": unknown */
	uint64_t pid_started;		  /* see util/process.h */
};

#define STATE_VERSION 1

void container_state_print(const struct container_state *state, struct buf *out);
/* container_state_parse(text, len, ret, diag): -EINVAL for a cut or foreign file, -EPROTONOSUPPORT
 * for one of a newer version. */
int container_state_parse(const char *text, size_t len, struct container_state *ret,
			  struct diag *diag);
void container_state_deinit(struct container_state *state);
