/*
 * Guard: Host and Origin of a request, against pages that reach for loopback.
 *
 * Loopback is not trust: a browser sends any page's requests there, and DNS
 * rebinding gives a foreign name our address.  Pure, any thread.
 */
#ifndef GATEWAY_GUARD_H
#define GATEWAY_GUARD_H

#include <stdbool.h>

#define GUARD_HOST_BYTES_MAX 256

/* localhost, 127.0.0.1, [::1] or `name` (may be NULL), with any valid port or
 * none; with `any_address` every numeric address too: a page of another name
 * cannot say one.  False for NULL. */
bool guard_host(const char *host, const char *name, bool any_address);

/* True if absent (NULL) or the page's own: "http://" or "https://" and exactly
 * `host`. */
bool guard_origin(const char *origin, const char *host);

/* True if the address text is 127.0.0.0/8, ::1 or localhost. */
bool guard_loopback(const char *address);

#endif
