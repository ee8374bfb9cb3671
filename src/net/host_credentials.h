/* host_credentials: the credentials rolegated itself calls STS with. They never leave the process.
 *
 * From the instance's IMDS (IMDSv2, with a session token of rolegated's own), from the environment
 * (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, read once at start and then removed
 * from the environment and wiped), or from a shared credentials file (read again at each fetch).
 */
#pragma once

#include "net/fetch.h"
#include "util/diag.h"
#include "wire/config.h"
#include "wire/credentials.h"

struct host_credentials;

/* `credentials` is NULL on failure, with `diag` saying why; else valid during the call (take a
 * reference to keep it). */
typedef void host_credentials_cb(struct credentials *credentials, const struct diag *diag,
				 void *data);

/* `loop` and `config` must outlive the object; `config` is read at each fetch. -ENOENT when
 * base_credentials = environment and they are not there. */
int host_credentials_new(struct event_base *base, struct fetch_loop *loop,
			 const struct config *config, struct host_credentials **ret,
			 struct diag *diag);
/* Callbacks still waiting will not run; NULL is fine. Returns NULL. */
struct host_credentials *host_credentials_free(struct host_credentials *h);

/* host_credentials_get(h): the cached credentials if they are good for at least another minute,
 * else NULL: then call host_credentials_fetch(). */
struct credentials *host_credentials_get(struct host_credentials *h);

/* host_credentials_fetch(h, cb, data): fetch anew; all callers of one fetch share it. Each cb runs
 * once, never before this function has returned. 0 or -errno. Refetches by itself, silently, when
 * the cached ones have under 10 minutes (or half their life, if shorter) left. */
int host_credentials_fetch(struct host_credentials *h, host_credentials_cb *cb, void *data);

/* host_credentials_cancel(h, cb, data): the fetch goes on, but this callback will not run. Nothing
 * happens if it is not waiting. */
void host_credentials_cancel(struct host_credentials *h, host_credentials_cb *cb, void *data);

/* host_credentials_forget(h, c): STS said `c` has expired: do not hand it out again. */
void host_credentials_forget(struct host_credentials *h, const struct credentials *c);

/* host_credentials_reconfigure(h, old): the configuration has changed from `old`. From another source they
 * are fetched at once, and those held are given up; a file is read again, and those held do until then. */
void host_credentials_reconfigure(struct host_credentials *h, const struct config *old);

/* The instance's region from IMDS (placement/region), fetched together with the first credentials
 * when base_credentials = imds; NULL when unknown. */
const char *host_credentials_region(const struct host_credentials *h);
