#include "launch/late_crypto.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include <openssl/opensslv.h>

#define TEXT_OF(x) #x
#define TEXT(x) TEXT_OF(x)
/* Of the version that the headers are of. */
#define LIBRARY "libcrypto.so." TEXT(OPENSSL_SHLIB_VERSION)

/* By memcpy(): ISO C has no conversion from an object's pointer to a function's. */
#define LOOK_UP(name)                                                                              \
	symbol = dlsym(library, #name);                                                            \
	if (!symbol)                                                                               \
		return -ENOENT;                                                                    \
	memcpy(&ret->name, &symbol, sizeof(symbol));

static int look_up(void *library, struct late_crypto *ret)
{
	void *symbol;

	LATE_CRYPTO_FUNCTIONS(LOOK_UP)
	return 0;
}

const struct late_crypto *late_crypto_load(struct diag *diag)
{
	static struct late_crypto functions;
	static bool loaded;

	if (loaded)
		return &functions;
	void *library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
	if (!library || look_up(library, &functions) < 0) {
		diag_set(diag, NULL, "an image's signature cannot be verified: %s", dlerror());
		if (library)
			dlclose(library);
		return NULL;
	}
	loaded = true;
	return &functions;
}
