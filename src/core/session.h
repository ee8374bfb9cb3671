/* session: the state machine of one assumed-role session. No I/O, no clock: time is passed in as
 * clock_now_ms(), randomness as a number.
 *
 *	         acquired
 *	            |
 *	            v          ok                  renewal is due
 *	         PENDING ------------> READY -----------------------> RENEWING
 *	          |   |                ^  ^                             |   |
 *	transient |   | fatal          |  |            ok               |   | fails
 *	          v   v                |  +-----------------------------+   v
 *	    FAILING  DENIED            |  +------------------------------ STALE (still valid)
 *	       |       |       ok      |               ok                   |
 *	       +-------+---------------+                                    | the credentials expire
 *	       ^       ^                                                    v
 *	       +-------+------------------------------- FAILING or DENIED, by the last error
 *
 * Every state keeps trying: transient errors with capped exponential backoff and full jitter, fatal
 * ones slowly, so that a mended trust policy heals by itself. Credentials that are still valid are
 * never replaced by an error.
 *
 * When to renew, for a life of L:
 *
 *	asked for	after 0.40 to 0.50 L; after 0.30 to 0.40 L if STS has been failing, so that the
 *			next outage finds as much life left as can be had
 *	never asked for	with 27 to 30 minutes left, if that is later: fewer calls, and yet an outage of
 *			25 minutes goes unnoticed should the container ask after all
 *
 * When to retry while credentials are valid: in at most a quarter of what they have left (and at most
 * 5 minutes), so that the retries grow denser towards the end; and so a fleet that comes out of an
 * outage comes back in the order of need, not all at once.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "util/buf.h"
#include "util/clock.h"
#include "wire/credentials.h"
#include "wire/sts_message.h"

enum session_state {
	SESSION_PENDING,  /* no attempt has finished yet */
	SESSION_READY,	  /* valid credentials */
	SESSION_RENEWING, /* valid credentials, and a call for the next ones is out */
	SESSION_STALE,	  /* valid credentials, but the last renewal failed */
	SESSION_FAILING, /* none, and the last attempt failed in a way that passes, or still hangs */
	SESSION_DENIED,	 /* none, and STS said no */
};
#define N_SESSION_STATES 6

/* "pending", "ready", "failing", "denied": the words of the role map; what is valid is ready. */
const char *session_state_name(enum session_state state);
/* The same with "renewing" and "stale" told apart: for metrics. */
const char *session_state_detail(enum session_state state);

/* All sessions of one role: so that a role with a thousand containers does not starve the others.
 * The pool's. */
struct session_role {
	char *arn;
	unsigned refs;
	uint64_t turn; /* when one of them last went to STS */
};

struct session {
	TAILQ_ENTRY(session) link; /* the pool's list */
	unsigned refs;		   /* containers that share it; the pool's */
	char *request;		   /* AssumeRole body: its identity; owned */
	char *role_arn;		   /* for documents and messages; owned */
	struct session_role *role; /* the pool's */

	struct credentials *credentials; /* the newest that STS gave; may have expired */
	int64_t issued_ms;		 /* when */
	uint64_t serial;		 /* of these credentials, among all ever issued here */
	int64_t next_ms;		 /* when to call STS next; INT64_MAX while a call is out */
	int64_t idle_ms;   /* when to call it if nobody has asked until next_ms; 0: at next_ms */
	unsigned failures; /* attempts failed in a row, throttled ones aside */
	unsigned attempts; /* finished, ever */
	unsigned waiters;  /* registrations that wait for it: it goes first */
	bool in_flight;
	bool asked;  /* a workload has asked for credentials since they were issued */
	bool wanted; /* an operator asked for new ones */

	enum sts_class last_class; /* of the last finished attempt; STS_OK before the first */
	char last_code[96];
	char *last_message; /* NULL: none; see session_message() */
	char last_request_id[80];
	int64_t last_attempt_ms; /* clock_now_ms() of the last finished attempt */
	int64_t last_attempt_s;	 /* wall clock of it; 0: none */
	int64_t last_refresh_s;	 /* wall clock of the last success; 0: none */

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

/* session_message(s): what STS said at the last finished attempt, at most SESSION_MESSAGE_MAX
 * bytes; "" if nothing. */
#define SESSION_MESSAGE_MAX 511
static inline const char *session_message(const struct session *s)
{
	return s->last_message ? s->last_message : "";
}

/* session_valid(s, now_ms): there are credentials, and they have not expired. */
bool session_valid(const struct session *s, int64_t now_ms);

/* session_due(s, now_ms): is it time for a call? One that is due but that nobody has asked for is
 * put off to its idle_ms here. */
bool session_due(struct session *s, int64_t now_ms);

/* session_started(s): a call to STS is out. */
void session_started(struct session *s);

/* session_finished(s, result, troubled, now_ms, wall_s, random): it came back. Takes a reference to
 * the credentials. `troubled`: STS has been failing this host lately. `random` spreads the next
 * attempt. Credentials that have expired on arrival count as a failure. */
void session_finished(struct session *s, const struct sts_result *result, bool troubled,
		      int64_t now_ms, int64_t wall_s, uint32_t random);

/* What a session was in another process. */
struct session_past {
	struct credentials *credentials;
	const char *info_document;
	int64_t issued_ms, next_ms, idle_ms, last_refresh_s;
};

/* session_resume(s, past, now_ms): go on from there: a session without credentials gets these, of
 * which it takes a reference. 0 or -ENOMEM. */
int session_resume(struct session *s, const struct session_past *past, int64_t now_ms);

/* session_refresh(s, now_ms): try as soon as possible (an operator asked). If a call is out, it may
 * have left before whatever was mended: should it fail, another follows at once. */
void session_refresh(struct session *s, int64_t now_ms);

/* session_wait(s, now_ms): someone waits for it from now on; session_unwait(s): no longer. A
 * session between two retries tries again now, unless it has just done so. */
void session_wait(struct session *s, int64_t now_ms);
void session_unwait(struct session *s);

/* session_hasten(s, now_ms, later_ms): STS answers again: what has no valid credentials need not sit
 * its backoff out; what has under 20 minutes left goes `later_ms` from now at the latest. */
void session_hasten(struct session *s, int64_t now_ms, int64_t later_ms);
