/* role_table: the role map as a table that a person likes to read. Pure: text in a buffer. */
#pragma once

#include <stdint.h>

#include "rolegate/terminal.h"
#include "util/buf.h"
#include "wire/role_map.h"

/* role_table_print(map, now_s, terminal, out): the table, sorted by id (the map's order changes),
 * within terminal->columns if that is not 0. `out` has failed on -ENOMEM. */
void role_table_print(struct role_map *map, int64_t now_s, const struct terminal *terminal,
		      struct buf *out);

#define ROLE_TABLE_TIME_SIZE 48

/* "in 43 min", "expired 2 h ago", or "-" for 0. */
void role_table_time(int64_t expiration_s, int64_t now_s, char out[static ROLE_TABLE_TIME_SIZE]);

/* role_table_role(arn): what stands after "role/" in a role's ARN; the whole text if it is none. */
const char *role_table_role(const char *arn);
