#include "util/diag.h"

#include <stdarg.h>
#include <stdio.h>

static void mask_control(char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			*s = '?';
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
}
