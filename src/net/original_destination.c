#include "net/original_destination.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

/* From linux/netfilter_ipv4.h and linux/netfilter_ipv6/ip6_tables.h, which do not go together with
 * netinet/in.h. */
#define SO_ORIGINAL_DST 80
#define IP6T_SO_ORIGINAL_DST 80

enum dialect original_destination(int fd, bool ipv6)
{
	struct sockaddr_storage address = {0};
	socklen_t len = sizeof(address);
	char text[INET6_ADDRSTRLEN];
	bool local;

	if (ipv6) {
		const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&address;
		if (getsockopt(fd, IPPROTO_IPV6, IP6T_SO_ORIGINAL_DST, &address, &len) < 0 ||
		    !inet_ntop(AF_INET6, &in6->sin6_addr, text, sizeof(text)))
			return DIALECT_UNKNOWN;
		local = IN6_IS_ADDR_LOOPBACK(&in6->sin6_addr);
	} else {
		const struct sockaddr_in *in = (const struct sockaddr_in *)&address;
		if (getsockopt(fd, IPPROTO_IP, SO_ORIGINAL_DST, &address, &len) < 0 ||
		    !inet_ntop(AF_INET, &in->sin_addr, text, sizeof(text)))
			return DIALECT_UNKNOWN;
		local = ntohl(in->sin_addr.s_addr) >> 24 == 127;
	}
	return local ? DIALECT_UNKNOWN : dialect_of_address(text, strlen(text));
}
