#include "util/diag.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void mask_control(char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			*s = '?';
}

/* A text that was cut may end inside a UTF-8 character, which JSON would refuse. */
static void drop_cut_character(char *s)
{
	size_t len = strlen(s), start = len;

	while (start > 0 && len - start < 3 && ((unsigned char)s[start - 1] & 0xc0) == 0x80)
		start--;
	if (start == 0)
		return;
	unsigned char lead = (unsigned char)s[start - 1];
	size_t want = lead >= 0xf0 ? 3 : lead >= 0xe0 ? 2 : lead >= 0xc0 ? 1 : 0;
	if (want > len - start)
		s[start - 1] = '\0';
}

void diag_set(struct diag *diag, const char *field, const char *fmt, ...)
{
	va_list ap;

	if (!diag)
		return;
	snprintf(diag->field, sizeof(diag->field), "%s", field ? field : "");
	va_start(ap, fmt);
	vsnprintf(diag->text, sizeof(diag->text), fmt, ap);
	va_end(ap);
	mask_control(diag->field);
	mask_control(diag->text);
	drop_cut_character(diag->field);
	drop_cut_character(diag->text);
}
