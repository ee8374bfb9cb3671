/* late_crypto: libcrypto, loaded when there is something to verify. Loading it takes more time than
 * all else that the hook does before it calls the daemon, and most hosts verify nothing.
 */
#pragma once

#include <openssl/evp.h>
#include <openssl/pem.h>

#include "util/diag.h"

#define LATE_CRYPTO_FUNCTIONS(X)                                                                   \
	X(EVP_DecodeBlock)                                                                         \
	X(EVP_DigestVerify)                                                                        \
	X(EVP_DigestVerifyInit)                                                                    \
	X(EVP_MD_CTX_free)                                                                         \
	X(EVP_MD_CTX_new)                                                                          \
	X(EVP_PKEY_free)                                                                           \
	X(EVP_PKEY_get_base_id)                                                                    \
	X(EVP_sha256)                                                                              \
	X(PEM_read_PUBKEY)

struct late_crypto {
#define MEMBER(name) __typeof__(name) *name;
	LATE_CRYPTO_FUNCTIONS(MEMBER)
#undef MEMBER
};

/* late_crypto_load(diag): the functions, or NULL: it is not installed. Loaded once, for the process's
 * life. */
const struct late_crypto *late_crypto_load(struct diag *diag);
