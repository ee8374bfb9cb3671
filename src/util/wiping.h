/* wiping: allocator functions to hand to libraries whose memory will hold secrets.
 *
 * libcurl, jansson and expat keep copies of what passes through them and free them as they are.
 * Given these instead of free() and realloc(), they leave no credentials behind in the heap. Both
 * work on memory from plain malloc(), calloc() and strdup(), so they may be installed at any time.
 */
#pragma once

#include <stddef.h>

/* wiping_free(p): overwrite the whole block, then free it; NULL is fine. */
void wiping_free(void *p);

/* wiping_realloc(p, n): always moves, because realloc() may leave the old bytes behind. */
void *wiping_realloc(void *p, size_t n);
