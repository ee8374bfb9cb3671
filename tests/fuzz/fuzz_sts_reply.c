/* STS replies. The first two bytes choose the status; the rest is the body. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "wire/sts_message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(condition)                                                                           \
	do {                                                                                       \
		if (!(condition))                                                                  \
			abort();                                                                   \
	} while (0)

static void check_clean(const char *text, size_t size)
{
	CHECK(memchr(text, '\0', size));
	for (; *text; text++)
		CHECK((unsigned char)*text >= 0x20 && *text != 0x7f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sts_result result;

	if (size < 2)
		return 0;
	int status = (data[0] << 8 | data[1]) % 700;
	memset(&result, 0xa5, sizeof(result));
	sts_parse_reply(status, (const char *)data + 2, size - 2, &result);

	CHECK((result.class == STS_OK) == (result.credentials != NULL));
	CHECK((result.class == STS_OK) == (result.code[0] == '\0'));
	check_clean(result.code, sizeof(result.code));
	check_clean(result.message, sizeof(result.message));
	check_clean(result.request_id, sizeof(result.request_id));
	check_clean(result.assumed_role_id, sizeof(result.assumed_role_id));
	check_clean(result.assumed_role_arn, sizeof(result.assumed_role_arn));
	if (result.credentials) {
		CHECK(status / 100 == 2);
		CHECK(result.credentials->access_key_id[0]);
		CHECK(result.credentials->secret_access_key[0]);
		CHECK(result.credentials->session_token[0]);
	}
	sts_result_deinit(&result);
	return 0;
}
