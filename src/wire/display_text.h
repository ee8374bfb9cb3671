/* display_text: which characters of a foreign string a terminal may be sent.
 *
 * A container chooses its image's name, a peer its error messages: escape sequences in them would
 * let it write to the operator's terminal. Control characters (C0, DEL and C1), invalid UTF-8, and
 * the Unicode controls that hide or reorder text are unsafe.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* display_next(s, len, ret, ret_safe): decode the character at `s` (len > 0). Returns its length in
 * bytes; for what is no UTF-8 1, with the byte itself in *ret and *ret_safe false. */
size_t display_next(const char *s, size_t len, uint32_t *ret, bool *ret_safe);
