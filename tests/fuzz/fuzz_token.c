/* token: no text verifies but one that was issued under this key, unchanged.
 * The input is what a client sends as its token; or, when it begins with '!', pairs of a position
 * and a byte to XOR into a token that is good. */
#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "core/token.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define NOW_MS 1000000

static const uint8_t key[TOKEN_KEY_SIZE] = {1, 2, 3}, other_key[TOKEN_KEY_SIZE] = {1, 2, 4};
/* Under this key nothing is ever issued: libFuzzer remembers what it sees compared, tokens too. */
static const uint8_t unused_key[TOKEN_KEY_SIZE] = {1, 2, 5};

static void forge(const uint8_t *data, size_t len)
{
	char good[TOKEN_LEN + 1], text[TOKEN_LEN];
	int64_t expires_ms = 0;

	assert(token_issue(key, NOW_MS, 60, good) == 0);
	memcpy(text, good, sizeof(text));
	for (size_t i = 0; i + 1 < len; i += 2)
		text[data[i] % TOKEN_LEN] ^= (char)data[i + 1];
	bool changed = memcmp(text, good, sizeof(text)) != 0;
	int r = token_verify(key, text, sizeof(text), NOW_MS, &expires_ms);
	assert(r == (changed ? -EACCES : 0));
	if (r == 0) {
		assert(expires_ms > NOW_MS && expires_ms <= NOW_MS + 61 * 1000);
		assert(token_verify(key, text, sizeof(text), expires_ms, &expires_ms) == -ETIME);
	}
	assert(token_verify(other_key, text, sizeof(text), NOW_MS, &expires_ms) == -EACCES);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	int64_t expires_ms;

	if (len > 0 && data[0] == '!')
		forge(data + 1, len - 1);
	else
		assert(token_verify(unused_key, (const char *)data, len, NOW_MS, &expires_ms) ==
		       -EACCES);
	return 0;
}
