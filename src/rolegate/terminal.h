/* terminal: what standard output can show, and text made fit for it.
 *
 * Every string that came from the daemon passes through terminal_escape() before it is printed:
 * containers have a say in what such strings hold.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "util/buf.h"

struct terminal {
	size_t columns; /* 0: no terminal, lines may have any length */
	bool utf8;
	bool colour;
};

/* terminal_setup(): take over the locale, and look at standard output, $NO_COLOR and $TERM. */
struct terminal terminal_setup(void);

/* terminal_escape(terminal, s, out): append `s`, with what must not or cannot be shown as \xNN. */
void terminal_escape(const struct terminal *terminal, const char *s, struct buf *out);

/* terminal_width(s): the columns that escaped text takes. */
size_t terminal_width(const char *s);

/* terminal_cut(terminal, s, width, tail, out): append escaped text of at most `width` columns: `s`,
 * or its beginning (its end, if `tail`) and an ellipsis. Returns the columns taken. */
size_t terminal_cut(const struct terminal *terminal, const char *s, size_t width, bool tail,
		    struct buf *out);
