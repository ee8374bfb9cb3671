/* The audit's lines: whatever stands in the file, reading it ends well; and what is written is
 * read.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "wire/audit_line.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct audit_chain chain, written, read;
	struct diag diag = {0};
	struct buf line = {0};
	char *text = malloc(len + 1), *rest = text, *one;
	char prev[AUDIT_HASH_SIZE];

	if (!text)
		return 0;
	memcpy(text, data, len);
	text[len] = '\0';

	audit_chain_init(&written);
	written.seq = len;
	audit_line_print(&written, text, &line);
	assert(buf_ok(&line));
	audit_chain_init(&read);
	assert(audit_line_read(line.data, line.len - 1, &read, prev, &diag) == 0);
	assert(read.seq == written.seq && strcmp(read.hash, written.hash) == 0);
	buf_deinit(&line);

	audit_chain_init(&chain);
	while ((one = strsep(&rest, "\n")))
		if (audit_chain_follow(&chain, one, strlen(one), &diag) < 0)
			assert(diag.text[0]);
	free(text);
	return 0;
}
