#include "util/wiping.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

void wiping_free(void *p)
{
	if (!p)
		return;
	explicit_bzero(p, malloc_usable_size(p));
	free(p);
}

void *wiping_realloc(void *p, size_t n)
{
	/* An allocation even for n = 0: libraries disagree on what NULL means there. */
	void *moved = malloc(n > 0 ? n : 1);
	if (!moved)
		return NULL;
	if (p) {
		size_t old = malloc_usable_size(p);
		memcpy(moved, p, old < n ? old : n);
		wiping_free(p);
	}
	return moved;
}
