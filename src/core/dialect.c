#include "core/dialect.h"

#include <arpa/inet.h>
#include <string.h>

static const struct {
	const char *text;
	enum dialect dialect;
} names[] = {
	{"169.254.169.254", DIALECT_IMDS},
	{"169.254.170.2", DIALECT_ECS},
	{"169.254.170.23", DIALECT_EKS},
	{"instance-data", DIALECT_IMDS},
	{"instance-data.ec2.internal", DIALECT_IMDS},
};

static const struct {
	const char *text;
	enum dialect dialect;
} addresses6[] = {
	{"fd00:ec2::254", DIALECT_IMDS},
	{"fd00:ec2::23", DIALECT_EKS},
};

enum dialect dialect_of_address(const char *text, size_t len)
{
	struct http_slice s = {text, len};
	struct in6_addr given, ours;
	char copy[INET6_ADDRSTRLEN];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (http_slice_equals_nocase(s, names[i].text))
			return names[i].dialect;
	if (len >= sizeof(copy))
		return DIALECT_FOREIGN;
	memcpy(copy, text, len);
	copy[len] = '\0';
	if (inet_pton(AF_INET6, copy, &given) != 1)
		return DIALECT_FOREIGN;
	for (size_t i = 0; i < sizeof(addresses6) / sizeof(addresses6[0]); i++)
		if (inet_pton(AF_INET6, addresses6[i].text, &ours) == 1 &&
		    memcmp(&given, &ours, sizeof(ours)) == 0)
			return addresses6[i].dialect;
	return DIALECT_FOREIGN;
}

static bool is_port_80(const char *text, size_t len)
{
	return len == 0 || (len == 1 && text[0] == ':') ||
	       (len == 3 && memcmp(text, ":80", 3) == 0);
}

enum dialect dialect_of_host(struct http_slice host)
{
	if (!host.at)
		return DIALECT_UNKNOWN; /* HTTP/1.0; the parser requires it of 1.1 */
	if (host.len > 0 && host.at[0] == '[') {
		const char *end = memchr(host.at, ']', host.len);
		size_t n = end ? (size_t)(end - host.at) - 1 : 0;
		if (n == 0 || !memchr(host.at + 1, ':', n) ||
		    !is_port_80(end + 1, host.len - n - 2))
			return DIALECT_FOREIGN;
		return dialect_of_address(host.at + 1, n);
	}
	enum dialect whole = dialect_of_address(host.at, host.len);
	const char *colon = host.len > 0 ? memchr(host.at, ':', host.len) : NULL;
	if (whole != DIALECT_FOREIGN || !colon)
		return whole;
	size_t n = (size_t)(colon - host.at);
	return is_port_80(colon, host.len - n) ? dialect_of_address(host.at, n) : DIALECT_FOREIGN;
}
