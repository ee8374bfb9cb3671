/* sts_client: one AssumeRole call: base credentials, signature, POST, reply.
 *
 * Decides nothing about retries (core/ does), but corrects the clock: the offset learnt from STS's
 * Date header is applied to later signatures, and a call that failed by skew alone is sent once
 * more. Likewise ExpiredToken: base credentials are fetched anew and the call is sent once more.
 */
#pragma once

#include "net/fetch.h"
#include "net/host_credentials.h"
#include "wire/sts_message.h"

struct sts_client;
struct sts_call;

/* Beside STS's own codes, result->code may be one of ours, all STS_RETRY: NoHostCredentials,
 * NoRegion, BadEndpoint, NameResolution, ConnectFailed, TlsFailed, TimedOut, TooLarge, BadReply,
 * HttpError, OutOfMemory.
 *
 * `result` is valid during the callback; on STS_OK result->credentials->expires_ms is set (from
 * STS's own clock, so that a skewed host does not misjudge it). */
typedef void sts_call_cb(const struct sts_result *result, void *data);

/* The objects given must outlive the client; `config` ([aws] region, partition, sts_endpoint,
 * ca_file) is read at each call. AWS_REGION and AWS_DEFAULT_REGION are read here, once: they stand
 * in for a missing [aws] region. -EINVAL when the configured endpoint or region cannot be used. */
int sts_client_new(struct fetch_loop *loop, struct host_credentials *base,
		   const struct config *config, struct sts_client **ret, struct diag *diag);
/* No call may be under way; NULL is fine. Returns NULL. */
struct sts_client *sts_client_free(struct sts_client *client);

/* sts_call_start(client, body, timeout_ms, cb, data, ret): `body` as sts_print_assume_role() made
 * it; copied. `timeout_ms` bounds each request to STS.
 * 0 or -errno; cb runs once, never before this has returned, and the call is gone after it. */
int sts_call_start(struct sts_client *client, const char *body, int64_t timeout_ms, sts_call_cb *cb,
		   void *data, struct sts_call **ret);
/* Cancels silently; NULL is fine. Returns NULL. */
struct sts_call *sts_call_cancel(struct sts_call *call);

/* Seconds to add to the host's wall clock to get STS's; 0 until known. */
int64_t sts_client_clock_offset(const struct sts_client *client);
