/* The body of a chunked request to the metadata service: only the one spelling of nothing passes,
 * and a prefix of it is no answer yet. */
#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "wire/http_request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const char empty[] = "0\r\n\r\n";
	const char *text = (const char *)data;
	size_t taken = SIZE_MAX;
	int status = 0;

	enum http_parse parsed = http_empty_body_parse(text, len, &taken, &status);
	bool begins = memcmp(text, empty, len < 5 ? len : 5) == 0;
	assert((parsed == HTTP_PARSE_DONE) == (begins && len >= 5));
	assert((parsed == HTTP_PARSE_PARTIAL) == (begins && len < 5));
	assert((taken == 5) == (parsed == HTTP_PARSE_DONE));
	assert((status != 0) == (parsed == HTTP_PARSE_BAD));
	assert(status == 0 || status == 400 || status == 413);
	/* Every prefix says the same, or waits. */
	for (size_t n = 0; n < len && n < 8; n++) {
		enum http_parse prefix = http_empty_body_parse(text, n, &taken, &status);
		assert(prefix == HTTP_PARSE_PARTIAL || prefix == parsed);
	}
	return 0;
}
