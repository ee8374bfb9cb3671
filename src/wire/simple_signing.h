/* simple_signing: what is signed when a container image is: which digest, in which repository.
 *
 * Source: containers/image, docs/containers-signature.5.md; cosign's payload is the same with another
 * type.
 */
#pragma once

#include <stddef.h>

#include "util/diag.h"

#define SIMPLE_SIGNING_MAX ((size_t)64 * 1024)

/* simple_signing_check(payload, len, digest, ref, diag): is it about this manifest digest, and the
 * repository (or the very reference, where the payload has a tag) of `ref`? The signature itself is
 * checked elsewhere. 0, -EINVAL if it is no such payload, -EACCES if it is about something else. */
int simple_signing_check(const char *payload, size_t len, const char *digest, const char *ref,
			 struct diag *diag);
