/* identity_document: dynamic/instance-identity/document, put together for one container from its
 * own metadata, in EC2's layout. It says the same as the metadata paths do. No one signs it: the
 * signed forms prove that their bearer is the host.
 */
#pragma once

#include "core/metadata_view.h"

/* identity_document_print(view, architecture, pending_s, out): `architecture` as EC2 names it;
 * `pending_s` is when the container was registered. METADATA_FOUND, or WAIT or FAILED when the
 * host's part cannot be had: half a document would be a wrong one. */
enum metadata_answer identity_document_print(struct metadata_view *view, const char *architecture,
					     int64_t pending_s, struct buf *out);
