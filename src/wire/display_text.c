#include "wire/display_text.h"

static bool is_unsafe(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x061c ||
	       (c >= 0x200b && c <= 0x200f) || /* zero width, direction marks */
	       (c >= 0x2028 && c <= 0x202e) || /* separators, direction overrides */
	       (c >= 0x2060 && c <= 0x206f) || c == 0xfeff || (c >= 0xfff0 && c <= 0xfffb) ||
	       (c >= 0xe0000 && c <= 0xe0fff); /* tags: invisible text */
}

size_t display_next(const char *s, size_t len, uint32_t *ret, bool *ret_safe)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	const unsigned char *u = (const unsigned char *)s;
	uint32_t c = u[0];
	size_t n;

	*ret = c;
	*ret_safe = false;
	if (c < 0x80) {
		*ret_safe = !is_unsafe(c);
		return 1;
	}
	if ((c & 0xe0) == 0xc0)
		n = 2;
	else if ((c & 0xf0) == 0xe0)
		n = 3;
	else if ((c & 0xf8) == 0xf0)
		n = 4;
	else
		return 1;
	if (len < n)
		return 1;
	c &= 0xffu >> (n + 1);
	for (size_t i = 1; i < n; i++) {
		if ((u[i] & 0xc0) != 0x80)
			return 1;
		c = c << 6 | (u[i] & 0x3f);
	}
	/* Overlong forms, surrogates, and what lies beyond Unicode */
	if (c < least[n] || (c >= 0xd800 && c <= 0xdfff) || c > 0x10ffff)
		return 1;
	*ret = c;
	*ret_safe = !is_unsafe(c);
	return n;
}
