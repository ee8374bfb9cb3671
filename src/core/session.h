/* session: the state machine of one assumed-role session. No I/O, no clock: time is passed in as
 * clock_now_ms(), randomness as a number.
 *
 *	           register
 *	              |
 *	              v        ok                half of the life is over
 *	          PENDING ----------> READY <------------------------+
 *	           |   |                |                            |
 *	 transient |   | fatal          | renewal fails              | ok
 *	           v   v                v                            |
 *	      FAILING DENIED      READY (still valid) ---------------+
 *	           |   |                |
 *	           |   |                | the credentials expire
 *	           |   |                v
 *	           +---+---- ok     FAILING or DENIED, by the last error
 *
 * Every state keeps trying: transient errors with capped exponential backoff and full jitter, fatal
 * ones slowly, so that a mended trust policy heals by itself. Credentials that are still valid are
 * never replaced by an error.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "util/buf.h"
#include "util/clock.h"
#include "wire/credentials.h"
#include "wire/sts_message.h"

enum session_state { SESSION_PENDING, SESSION_READY, SESSION_FAILING, SESSION_DENIED };

/* "pending", "ready", "failing", "denied": the words of the role map. */
const char *session_state_name(enum session_state state);

struct session {
	TAILQ_ENTRY(session) link; /* the pool's list */
	unsigned refs;		   /* containers that share it; the pool's */
	char *request;		   /* AssumeRole body: its identity; owned */
	char *role_arn;		   /* for documents and messages; owned */

	struct credentials *credentials; /* the newest that STS gave; may have expired */
	int64_t issued_ms;		 /* when */
	int64_t next_ms;		 /* when to call STS next; INT64_MAX while a call is out */
	unsigned failures;		 /* attempts failed in a row */
	unsigned waiters;		 /* registrations that wait for it: it goes first */
	bool in_flight;

	enum sts_class last_class; /* of the last finished attempt; STS_OK before the first */
	char last_code[96];
	char last_message[512];
	char last_request_id[80];
	int64_t last_attempt_s; /* wall clock of the last finished attempt; 0: none */
	int64_t last_refresh_s; /* wall clock of the last success; 0: none */

	/* Documents made once for each set of credentials, so that a request only copies bytes. */
	char *imds_document; /* NULL: no credentials, or out of memory */
	size_t imds_document_len;
	char *info_document; /* iam/info */
	size_t info_document_len;
};

/* session_new(request, role_arn, now_ms): due at once; copies its strings. NULL: out of memory. */
struct session *session_new(const char *request, const char *role_arn, int64_t now_ms);
struct session *session_free(struct session *s);

enum session_state session_state(const struct session *s, int64_t now_ms);

/* session_valid(s, now_ms): there are credentials, and they have not expired. */
bool session_valid(const struct session *s, int64_t now_ms);

/* session_started(s): a call to STS is out. */
void session_started(struct session *s);

/* session_finished(s, result, now_ms, wall_s, random): it came back. Takes a reference to the
 * credentials. `random` spreads the next attempt. */
void session_finished(struct session *s, const struct sts_result *result, int64_t now_ms,
		      int64_t wall_s, uint32_t random);

/* session_refresh(s, now_ms): try as soon as possible (an operator asked). */
void session_refresh(struct session *s, int64_t now_ms);
