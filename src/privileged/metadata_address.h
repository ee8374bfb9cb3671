/* metadata_address: the addresses that stand for instance metadata and container credentials. The
 * rule files in iptables/ name the same ones (tests/unit/test_rules.c compares).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define METADATA_ADDRESSES 5

struct metadata_address {
	int family; /* AF_INET, AF_INET6 */
	const char *text;
};

extern const struct metadata_address metadata_addresses[METADATA_ADDRESSES];

/* metadata_address_matches(family, address, len): is it one of them, in network byte order? */
bool metadata_address_matches(int family, const void *address, size_t len);
