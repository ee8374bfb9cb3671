/* hex: the digits of percent escapes (RFC 3986, 2.1) and chunk sizes (RFC 9112, 7.1).
 */
#pragma once

/* hex_digit(c): 0 to 15, or -1: none. */
static inline int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}
