/* footprint: giving memory back that is not needed for now. */
#pragma once

/* footprint_trim(): return free pages of the heap, and let go of the pages of the program and its
 * libraries that were only read: start-up alone touches several MiB of them, most of them in
 * libraries' libraries. What is needed again comes back from the page cache at the first touch. */
void footprint_trim(void);
