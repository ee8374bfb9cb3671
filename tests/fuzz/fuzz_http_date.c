/* A Date or Last-Modified header of the host's metadata service or of STS: what is understood is
 * printed again, in the room there is for a date. */
#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "util/clock.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char text[64] = "", printed[CLOCK_HTTP_DATE_SIZE];
	int64_t seconds, again;

	memcpy(text, data, len < sizeof(text) - 1 ? len : sizeof(text) - 1);
	if (clock_parse_http_date(text, &seconds) < 0)
		return 0;
	clock_format_http_date(seconds, printed);
	assert(memchr(printed, '\0', sizeof(printed)));
	assert(clock_parse_http_date(printed, &again) == 0 && again == seconds);
	return 0;
}
