/* imds_client: GET requests to the instance's own metadata service, with IMDSv2 tokens.
 *
 * One token serves all requests; it is fetched when first needed, again shortly before it ends, and
 * once more when a request is answered 401. There is no fallback to IMDSv1.
 */
#pragma once

#include "net/fetch.h"
#include "wire/config.h"

struct imds_client;
struct imds_call;

/* `loop` and `config` must outlive it; imds_endpoint is read at each request. 0 or -errno. */
int imds_client_new(struct fetch_loop *loop, const struct config *config, struct imds_client **ret);
/* No call may be under way; NULL is fine. Returns NULL. */
struct imds_client *imds_client_free(struct imds_client *client);

/* imds_get(client, path, reply_max, cb, data, ret): GET an absolute path, as sent (visible ASCII
 * only). `cb` as for fetch_start(): once, never before this has returned, the call being gone after
 * it. A token that cannot be had is a reply with `error` set: the transport's, or -EACCES when IMDS
 * answered. 0 or -errno. */
int imds_get(struct imds_client *client, const char *path, size_t reply_max, fetch_cb *cb,
	     void *data, struct imds_call **ret);
/* Cancels silently; NULL is fine. Returns NULL. */
struct imds_call *imds_call_cancel(struct imds_call *call);
