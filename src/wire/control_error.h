/* control_error: the body of a refused control call, {"error":{"code","message","field"}}. */
#pragma once

#include <stddef.h>

struct control_error {
	char code[64];
	char field[96];
	char message[512];
};

/* control_error_parse(text, len, ret): 0, or -EBADMSG if the body is something else (a member that
 * is missing or null is ""; what is too long is cut). `ret` is always set. */
int control_error_parse(const char *text, size_t len, struct control_error *ret);
