/* Credentials documents: IMDS's JSON, or (first byte '[' or '#') the shared credentials file. What
 * is accepted must print, and read back the same. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "wire/credentials.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(condition)                                                                           \
	do {                                                                                       \
		if (!(condition))                                                                  \
			abort();                                                                   \
	} while (0)

static void fuzz_file(const uint8_t *data, size_t size)
{
	_cleanup_credentials_ struct credentials *c = NULL;
	_cleanup_free_ char *text = strndup((const char *)data, size);
	struct diag diag = {0};

	int r = credentials_parse_file(text, "file", "default", &c, &diag);
	CHECK((r == 0) == (c != NULL));
	CHECK(r == 0 || diag.text[0]);
}

static void fuzz_imds(const uint8_t *data, size_t size)
{
	_cleanup_credentials_ struct credentials *c = NULL, *again = NULL;
	_cleanup_buf_ struct buf printed = {0}, reprinted = {0}, other = {0};
	struct diag diag = {0};

	int r = credentials_parse_imds((const char *)data, size, &c, &diag);
	CHECK((r == 0) == (c != NULL));
	CHECK(r == 0 || diag.text[0]);
	if (r < 0)
		return;
	credentials_print_imds(c, NULL, &printed);
	CHECK(credentials_parse_imds(printed.data, printed.len, &again, &diag) == 0);
	credentials_print_imds(again, NULL, &reprinted);
	CHECK(strcmp(printed.data, reprinted.data) == 0);
	CHECK(strcmp(c->session_token, again->session_token) == 0);
	credentials_print_ecs(c, "arn", &other);
	credentials_print_eks(c, "1", &other);
	CHECK(buf_ok(&other));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size > 0 && (data[0] == '[' || data[0] == '#'))
		fuzz_file(data, size);
	else
		fuzz_imds(data, size);
	return 0;
}
