/* The content of a handed-over record: length-prefixed texts and numbers. It has authenticated by
 * then, but a bug of ours must not become a crash at every start.
 */
#include <stdint.h>
#include <stddef.h>

#include "core/handover.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct session_pool pool;

	session_pool_init(&pool, 1, 1, 0);
	if (session_pool_acquire(&pool, "a", "arn", 0))
		(void)handover_parse(data, size, &pool, 0);
	session_pool_deinit(&pool);
	return 0;
}
