/* control_tls: TLS for the control API: certificates, and who showed which. By OpenSSL.
 *
 * Clients must show a certificate that the configured authority has signed, which is neither
 * expired nor (if the authority's file has CRLs too) revoked. There is no way to serve without:
 * whoever may call can give a container any role that the policy allows. TLS 1.2 and 1.3; no
 * session is resumed, so every connection is verified by the files that are in force.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include <event2/event.h>

#include "util/diag.h"

struct bufferevent;
struct control_tls;

/* control_tls_load(cert, key, client_ca, ret, diag): read the three PEM files. 0 or -errno, with
 * `diag` naming key and file. */
int control_tls_load(const char *cert, const char *key, const char *client_ca,
		     struct control_tls **ret, struct diag *diag);
struct control_tls *control_tls_free(struct control_tls *tls);

/* control_tls_trusts_as(a, b): do both take the same clients? */
bool control_tls_trusts_as(const struct control_tls *a, const struct control_tls *b);

/* control_tls_accept(tls, base, fd): a bufferevent that closes `fd` when it is freed, and that says
 * BEV_EVENT_CONNECTED when the client has been verified. NULL: out of memory, or of descriptors;
 * `fd` is still the caller's. */
struct bufferevent *control_tls_accept(const struct control_tls *tls, struct event_base *base,
				       int fd);

/* control_tls_subject(bev, subject, size): the subject of the peer's certificate; false if it has
 * not been verified. */
bool control_tls_subject(struct bufferevent *bev, char *subject, size_t size);

/* control_tls_failure(bev, text, size): why the handshake failed, as OpenSSL says it; once. */
void control_tls_failure(struct bufferevent *bev, char *text, size_t size);

/* control_tls_shutdown(bev): tell the peer that nothing follows. */
void control_tls_shutdown(struct bufferevent *bev);
