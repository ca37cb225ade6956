/*
 * Time body: what a device sends to POST /api/v1/time, checked.
 *
 * {"clock":…, "boot":…, "t1":…} opens an exchange; the same with "t2", "t3",
 * "t4" and "stamp" closes it.  Times are integer nanoseconds or RFC 3339.  Pure.
 */
#ifndef GATEWAY_TIME_BODY_H
#define GATEWAY_TIME_BODY_H

#include <stdbool.h>

#include "store/store_clock.h"

#define TIME_BODY_BYTES_MAX ((size_t)4096)
#define TIME_STAMP_BYTES 16

struct time_body {
	struct store_clock_ping ping; /* names in the arena */
	bool closes;
	uint8_t stamp[TIME_STAMP_BYTES];
};

/* RC_INVALID: `field` names what is wrong, `why` says how. */
enum rc time_body_parse(const char *body, size_t len, struct arena *arena, struct time_body *out,
    const char **field, struct errmsg *why) RC_CHECK;

#endif
