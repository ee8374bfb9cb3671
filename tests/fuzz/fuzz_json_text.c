/* What the command line makes of a daemon's answer: layout, flattening, the role map. A terminal
 * gets no control bytes, and laying out anew changes nothing. */
#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "wire/display_text.h"
#include "wire/json_text.h"
#include "wire/role_map.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check_safe(const struct buf *text)
{
	for (size_t at = 0; at < text->len;) {
		uint32_t c;
		bool safe;
		at += display_next(text->data + at, text->len - at, &c, &safe);
		assert(safe || c == '\n');
	}
}

static void visit(const char *key, const char *value, void *user)
{
	assert(key && value);
	(*(size_t *)user)++;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	_cleanup_buf_ struct buf pretty = {0}, compact = {0}, again = {0}, value = {0};
	_cleanup_role_map_ struct role_map *map = NULL;
	const char *text = (const char *)data;
	struct diag diag = {0};
	size_t n = 0;

	int r = json_text_compact(text, len, &compact);
	assert(r == 0 || r == -EBADMSG);
	assert(json_text_pretty(text, len, &pretty) == r);
	if (r == 0) {
		check_safe(&compact);
		check_safe(&pretty);
		assert(json_text_compact(pretty.data, pretty.len, &again) == 0);
		assert(again.len == compact.len &&
		       memcmp(again.data, compact.data, again.len) == 0);
	}
	r = json_text_flatten(text, len, visit, &n);
	assert(r == 0 || r == -EBADMSG);
	r = json_text_string(text, len, "id", &value);
	assert(r == 0 || r == -ENOENT || r == -EBADMSG);
	r = role_map_parse(text, len, &map, &diag);
	assert((r == 0) == (map != NULL) && (r == 0 || diag.text[0]));
	for (size_t i = 0; map && i < map->n_entries; i++)
		assert(map->entries[i].id);
	return 0;
}
