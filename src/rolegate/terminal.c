#include "rolegate/terminal.h"

#include <langinfo.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

#include "wire/display_text.h"

struct terminal terminal_setup(void)
{
	struct terminal terminal = {0};
	struct winsize size;

	/* Characters only: numbers and times are written one way everywhere. */
	(void)setlocale(LC_CTYPE, "");
	terminal.utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
	if (!isatty(STDOUT_FILENO))
		return terminal;
	terminal.columns = 80;
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
		terminal.columns = size.ws_col;
	const char *no_color = getenv("NO_COLOR");
	const char *term = getenv("TERM");
	terminal.colour =
		!(no_color && no_color[0]) && term && term[0] && strcmp(term, "dumb") != 0;
	return terminal;
}

void terminal_escape(const struct terminal *terminal, const char *s, struct buf *out)
{
	size_t len = strlen(s);

	for (size_t i = 0; i < len;) {
		uint32_t c;
		bool safe;
		size_t n = display_next(s + i, len - i, &c, &safe);
		if (safe && (c < 0x80 || terminal->utf8)) {
			buf_put(out, s + i, n);
		} else {
			for (size_t k = 0; k < n; k++)
				buf_printf(out, "\\x%02x", (unsigned char)s[i + k]);
		}
		i += n;
	}
}

static size_t character_width(uint32_t c)
{
	int n = c < 0x80 ? 1 : wcwidth((wchar_t)c);

	return n < 0 ? 1 : (size_t)n;
}

size_t terminal_width(const char *s)
{
	size_t len = strlen(s), width = 0;

	for (size_t i = 0; i < len;) {
		uint32_t c;
		bool safe;
		i += display_next(s + i, len - i, &c, &safe);
		width += character_width(c);
	}
	return width;
}

size_t terminal_cut(const struct terminal *terminal, const char *s, size_t width, bool tail,
		    struct buf *out)
{
	const char *ellipsis = terminal->utf8 ? "\xe2\x80\xa6" : "...";
	size_t ellipsis_width = terminal->utf8 ? 1 : 3;
	size_t len = strlen(s), whole = terminal_width(s), taken = 0, at = 0;
	uint32_t c;
	bool safe;

	if (whole <= width) {
		buf_puts(out, s);
		return whole;
	}
	if (width < ellipsis_width) {
		for (size_t i = 0; i < width; i++)
			buf_puts(out, ".");
		return width;
	}
	size_t room = width - ellipsis_width;
	if (tail) {
		/* Leave out from the front until the rest fits. */
		while (whole > room) {
			at += display_next(s + at, len - at, &c, &safe);
			whole -= character_width(c);
		}
		buf_puts(out, ellipsis);
		buf_puts(out, s + at);
		return ellipsis_width + whole;
	}
	for (;;) {
		size_t n = display_next(s + at, len - at, &c, &safe);
		if (taken + character_width(c) > room)
			break;
		taken += character_width(c);
		at += n;
	}
	buf_put(out, s, at);
	buf_puts(out, ellipsis);
	return taken + ellipsis_width;
}
