/* A container's state file, as it may be after a crash or an editor: what is accepted reads back
 * the same after it is written anew. */
#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "wire/container_json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct container_state state = {0}, again = {0};
	_cleanup_buf_ struct buf text = {0};
	struct diag diag = {0};

	int r = container_state_parse((const char *)data, len, &state, &diag);
	assert(r == 0 || r == -EINVAL || r == -EPROTONOSUPPORT);
	assert(r == 0 || diag.text[0]);
	if (r < 0)
		return 0;
	assert(strlen(state.instance) == STATE_INSTANCE_HEX_SIZE - 1);
	for (const char *p = state.instance; *p; p++)
		assert(isxdigit((unsigned char)*p));
	assert(state.registration[0] == '{');

	container_state_print(&state, &text);
	assert(buf_ok(&text));
	assert(container_state_parse(text.data, text.len, &again, &diag) == 0);
	assert(strcmp(state.id, again.id) == 0 && strcmp(state.instance, again.instance) == 0);
	assert(strcmp(state.registration, again.registration) == 0);
	assert(state.registered_at_s == again.registered_at_s &&
	       state.pid_started == again.pid_started);
	assert(state.netns_dev == again.netns_dev && state.netns_ino == again.netns_ino);
	container_state_deinit(&state);
	container_state_deinit(&again);
	return 0;
}
