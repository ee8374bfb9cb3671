/* cleanup: scope-bound ownership with the compiler's cleanup attribute.
 *
 * `_cleanup_(x_freep) struct x *x = NULL;` frees x when the scope ends; TAKE() hands it on.
 */
#pragma once

#include <stdint.h>
#include <stdlib.h>

#define _cleanup_(fn) __attribute__((cleanup(fn)))

/* Take the pointer out of a variable, leaving NULL behind: ownership moves to the caller. */
#define TAKE(ptr)                                                                                  \
	__extension__({                                                                            \
		__typeof__(ptr) take_tmp_ = (ptr);                                                 \
		(ptr) = NULL;                                                                      \
		take_tmp_;                                                                         \
	})

/* Define fn##p(type *) for a destructor `fn(type)`; the destructor must accept NULL. */
#define DEFINE_CLEANUP(type, fn)                                                                   \
	static inline void fn##p(type *p)                                                          \
	{                                                                                          \
		fn(*p);                                                                            \
	}

static inline void freep(void *p)
{
	free(*(void **)p);
}
#define _cleanup_free_ _cleanup_(freep)
