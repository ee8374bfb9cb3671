#include "privileged/metadata_address.h"

#include <arpa/inet.h>
#include <string.h>
#include <sys/socket.h>

const struct metadata_address metadata_addresses[METADATA_ADDRESSES] = {
	{AF_INET, "169.254.169.254"}, /* instance metadata */
	{AF_INET, "169.254.170.2"},   /* ECS task credentials */
	{AF_INET, "169.254.170.23"},  /* EKS pod identity */
	{AF_INET6, "fd00:ec2::254"},  /* instance metadata */
	{AF_INET6, "fd00:ec2::23"},   /* EKS pod identity */
};

bool metadata_address_matches(int family, const void *address, size_t len)
{
	unsigned char bytes[sizeof(struct in6_addr)];
	size_t want = family == AF_INET ? sizeof(struct in_addr) : sizeof(struct in6_addr);

	if (len != want)
		return false;
	for (size_t i = 0; i < METADATA_ADDRESSES; i++)
		if (metadata_addresses[i].family == family &&
		    inet_pton(family, metadata_addresses[i].text, bytes) == 1 &&
		    memcmp(bytes, address, want) == 0)
			return true;
	return false;
}
