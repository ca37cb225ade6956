/* Host and Origin checks. */
#include "gateway/guard.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Length of the name part of "name:port"; 0 if the port is malformed. */
static size_t name_part(const char *host)
{
	const char *colon = NULL;
	size_t len = strlen(host);

	if (host[0] == '[') {
		const char *close = strchr(host, ']');
		if (close == NULL || (close[1] != 0 && close[1] != ':'))
			return 0;
		colon = close[1] == ':' ? close + 1 : NULL;
	} else {
		colon = strchr(host, ':');
	}
	if (colon == NULL)
		return len;
	size_t digits = strspn(colon + 1, "0123456789");
	if (digits == 0 || digits > 5 || colon[1 + digits] != 0 ||
	    strtoul(colon + 1, NULL, 10) > 65535)
		return 0;
	return (size_t)(colon - host);
}

/* "192.168.1.4", "[fd00::1]" */
static bool is_address(const char *host, size_t len)
{
	char text[INET6_ADDRSTRLEN];
	struct in6_addr six;
	struct in_addr four;
	bool bracket = host[0] == '[' && len > 2;

	host += bracket ? 1 : 0;
	len -= bracket ? 2 : 0;
	if (len >= sizeof(text))
		return false;
	memcpy(text, host, len);
	text[len] = '\0';
	return bracket ? inet_pton(AF_INET6, text, &six) == 1
		       : inet_pton(AF_INET, text, &four) == 1;
}

bool guard_host(const char *host, const char *name, bool any_address)
{
	const char *const known[] = { "localhost", "127.0.0.1", "[::1]", name };

	if (host == NULL || strnlen(host, GUARD_HOST_BYTES_MAX + 1) > GUARD_HOST_BYTES_MAX)
		return false;
	size_t len = name_part(host);
	if (len == 0)
		return false;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (known[i] != NULL && strlen(known[i]) == len &&
		    strncasecmp(known[i], host, len) == 0)
			return true;
	}
	return any_address && is_address(host, len);
}

bool guard_origin(const char *origin, const char *host)
{
	if (origin == NULL)
		return true;
	if (host == NULL)
		return false;
	if (strncasecmp(origin, "http://", 7) == 0)
		return strcasecmp(origin + 7, host) == 0;
	if (strncasecmp(origin, "https://", 8) == 0)
		return strcasecmp(origin + 8, host) == 0;
	return false;
}

bool guard_loopback(const char *address)
{
	struct in6_addr six;
	struct in_addr four;

	if (strcasecmp(address, "localhost") == 0)
		return true;
	if (inet_pton(AF_INET, address, &four) == 1)
		return (ntohl(four.s_addr) >> 24) == 127;
	if (inet_pton(AF_INET6, address, &six) == 1)
		return IN6_IS_ADDR_LOOPBACK(&six);
	return false;
}
