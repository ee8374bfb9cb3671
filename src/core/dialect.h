/* dialect: the services that share the listener: the instance metadata service, and the two ways of
 * handing credentials to a container. Each has addresses of its own.
 */
#pragma once

#include "wire/http_request.h"

enum dialect {
	DIALECT_UNKNOWN, /* no Host, or an address that is none of these */
	DIALECT_IMDS,	 /* 169.254.169.254, fd00:ec2::254 */
	DIALECT_ECS,	 /* 169.254.170.2 */
	DIALECT_EKS,	 /* 169.254.170.23, fd00:ec2::23 */
	DIALECT_FOREIGN, /* another Host */
};

/* dialect_of_address(text, len): by an address without port or brackets; IPv6 in any spelling, and
 * the names that EC2's resolver gives the service. FOREIGN for all others. */
enum dialect dialect_of_address(const char *text, size_t len);

/* dialect_of_host(host): by a Host header, with or without port 80. DNS rebinding ends here: a
 * browser or an SDK tricked into asking evil.example sends that as Host. aws-crt sends a bare IPv6
 * address, which is accepted though RFC 9112 wants brackets. UNKNOWN if there is no header. */
enum dialect dialect_of_host(struct http_slice host);
