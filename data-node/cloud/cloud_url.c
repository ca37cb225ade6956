/* Cloud URL: scheme, host, port and path, each checked. */
#include "cloud/cloud_url.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#define HOST_BYTES_MAX ((size_t)255)
#define PORT_DIGITS_MAX ((size_t)5)

static bool private4(const uint8_t a[4])
{
	return a[0] == 127 || a[0] == 10 || (a[0] == 172 && (a[1] & 0xF0) == 16) ||
	       (a[0] == 192 && a[1] == 168) || (a[0] == 169 && a[1] == 254);
}

static bool private6(const uint8_t a[16])
{
	static const uint8_t loopback[16] = { [15] = 1 };

	return memcmp(a, loopback, sizeof(loopback)) == 0 || (a[0] & 0xFE) == 0xFC ||
	       (a[0] == 0xFE && (a[1] & 0xC0) == 0x80);
}

/* "localhost", which libcurl resolves to loopback by itself, or such an address. */
static bool near(const char *host)
{
	uint8_t four[4], six[16];

	if (strcmp(host, "localhost") == 0)
		return true;
	if (inet_pton(AF_INET, host, four) == 1)
		return private4(four);
	return inet_pton(AF_INET6, host, six) == 1 && private6(six);
}

static bool host_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '.' || c == '-';
}

static bool path_char(char c)
{
	return host_char(c) || c == '/' || c == '_' || c == '~';
}

/* The host into `out`; what follows it, or NULL. */
static const char *take_host(const char *at, char out[HOST_BYTES_MAX + 1])
{
	bool six = *at == '[';
	size_t n = 0;

	at += six;
	if (six)
		n = strspn(at, "0123456789abcdefABCDEF:.");
	else
		while (host_char(at[n]))
			n++;
	if (n == 0 || n > HOST_BYTES_MAX || (six && at[n] != ']'))
		return NULL;
	memcpy(out, at, n);
	out[n] = '\0';
	return at + n + six;
}

static const char *take_port(const char *at)
{
	if (*at != ':')
		return at;
	size_t digits = strspn(at + 1, "0123456789");
	unsigned long port = digits > PORT_DIGITS_MAX ? 0 : strtoul(at + 1, NULL, 10);
	return port == 0 || port > 65535 ? NULL : at + 1 + digits;
}

enum rc cloud_url_check(const char *url, enum cloud_trust trust, struct errmsg *why)
{
	bool secure = strncmp(url, "https://", 8) == 0;
	bool plain = strncmp(url, "http://", 7) == 0;
	char host[HOST_BYTES_MAX + 1];

	if (strlen(url) > CLOUD_URL_BYTES_MAX)
		return errmsg_rc(why, RC_CONFIG, "url: longer than %zu bytes", CLOUD_URL_BYTES_MAX);
	const char *rest = secure || plain ? take_host(url + (secure ? 8 : 7), host) : NULL;
	if (rest != NULL)
		rest = take_port(rest);
	bool good = rest != NULL && (*rest == '\0' || *rest == '/');
	while (good && path_char(*rest))
		rest++;
	if (!good || *rest != '\0' || rest[-1] == '/')
		return errmsg_rc(why, RC_CONFIG,
		    "url: must read https://HOST[:PORT]/PATH, without a slash at its end");
	if (plain && (trust != CLOUD_HOME || !near(host)))
		return errmsg_rc(why, RC_CONFIG,
		    "url: without TLS only to a loopback or private address with trust home");
	return RC_OK;
}
