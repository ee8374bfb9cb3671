/* original_destination: the address that a redirected connection was made to. */
#pragma once

#include <stdbool.h>

#include "core/dialect.h"

/* original_destination(fd, ipv6): asked of the kernel's connection tracking, in the network
 * namespace of the socket. FOREIGN for an address that is none of the services'; UNKNOWN if the
 * kernel does not know, or if the connection was not redirected (a client that connects to the
 * listener itself). */
enum dialect original_destination(int fd, bool ipv6);
