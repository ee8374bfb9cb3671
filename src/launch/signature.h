/* signature: is an image signed by somebody whom the operator trusts?
 *
 * [runtime] image_keys names public keys (PEM: ECDSA, RSA, Ed25519), image_signatures the directory
 * where an image's signature is: DIGEST.payload, the signed statement (simple_signing.h), and
 * DIGEST.sig, the signature in base64, as `cosign sign --output-payload --output-signature` writes
 * them; DIGEST without its "sha256:". There may be more, DIGEST.1.payload and so on.
 */
#pragma once

#include "util/diag.h"
#include "wire/config.h"

/* signature_check(config, ref, digest, ret_signer, diag): 0 with the signer's name, which is that of the
 * key's file without its ending, and the caller's to free; -EACCES if nobody trusted has signed it, or
 * another -errno. With no image_keys: 0 and NULL. */
int signature_check(const struct config *config, const char *ref, const char *digest,
		    char **ret_signer, struct diag *diag);
