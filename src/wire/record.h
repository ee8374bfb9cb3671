/* record: something that happened, as GET /v1/events and the audit tell it: one JSON object in one
 * line. Never holds a secret.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "util/buf.h"

enum record_type {
	RECORD_STARTED, /* the daemon serves */
	RECORD_STOPPED,
	RECORD_RELOADED, /* configuration and policy; `message` says what has changed */
	RECORD_RELOAD_FAILED,
	RECORD_REGISTERED,
	RECORD_UNREGISTERED,	   /* `message`: why */
	RECORD_REFUSED,		   /* a registration: `code`, `field`, `message` */
	RECORD_ASSUMED,		   /* STS gave credentials */
	RECORD_HEALED,		   /* ... after it had failed */
	RECORD_DENIED,		   /* STS refuses the role, and there are no valid credentials */
	RECORD_ASSUME_FAILED,	   /* another failure, and there are none */
	RECORD_RENEWAL_FAILED,	   /* any failure; the credentials that are there go on */
	RECORD_CREDENTIALS_SERVED, /* handed out; `count` times, if it sums up */
	RECORD_PATH_REFUSED,	   /* a workload asked for what is not served: `path`, `status` */
	RECORD_OPERATOR_CALL,	   /* a control call that changes something */
	N_RECORD_TYPES
};

struct record {
	enum record_type type;
	/* NULL and 0: not said. */
	const char *container, *role_arn, *session_name, *source_identity, *image, *policy_rule;
	const char *access_key_id, *sts_request_id;
	const char *code, *field, *message;
	const char *method, *path;
	int64_t expiration_s;
	int status;
	uint64_t count;
	bool has_peer; /* the three below are known; loginuid -1: not set */
	uint32_t uid;
	int32_t pid;
	int64_t loginuid;
	const char *tls_subject, *tls_address; /* who called by TLS */
};

const char *record_name(enum record_type type);
/* Who is told of it? */
bool record_is_event(enum record_type type);
bool record_is_audited(enum record_type type);

/* record_print(record, time_s, out): its members, without braces: "time":…,"event":…,… */
void record_print(const struct record *record, int64_t time_s, struct buf *out);
