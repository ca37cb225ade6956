/*
 * Zone: local time of an IANA zone, from the system's time zone database.
 *
 * Reads TZif files (RFC 8536) of /usr/share/zoneinfo, or $TZDIR, itself: libc
 * knows one zone a process.  Times are seconds since 1970, POSIX style; files
 * with leap seconds are refused.  A parsed zone does not change: any thread.
 */
#ifndef ALIGN_ZONE_H
#define ALIGN_ZONE_H

#include <stddef.h>
#include <stdint.h>

#include "base/errmsg.h"

#define ZONE_NAME_BYTES_MAX ((size_t)64)
#define ZONE_FILE_BYTES_MAX ((size_t)64 << 10)
#define ZONE_OFFSET_S_MAX 93600 /* 26 h: what TZif may state, and a little */

struct zone;

/* The zone of that name.  RC_INVALID (no name of a zone), RC_NOTFOUND,
 * RC_CORRUPT, RC_UNSUPPORTED. */
enum rc zone_load(const char *name, struct zone **out, struct errmsg *why) RC_CHECK;

/* A zone `offset_s` east of UTC at all times. */
enum rc zone_fixed(int32_t offset_s, struct zone **out) RC_CHECK;

/* The content of a TZif file. */
enum rc zone_parse(
    const uint8_t *bytes, size_t len, struct zone **out, struct errmsg *why) RC_CHECK;

void zone_free(struct zone *zone);

/* Seconds east of UTC at that moment. */
int32_t zone_offset(const struct zone *zone, int64_t utc_s);

/*
 * The moment that a clock on the wall shows as `local_s`.  An hour that happens
 * twice: `fold` 0 is the first, 1 the second.  One that does not happen: as by
 * the clock that was not put forward, so midnight is where the day begins.
 */
int64_t zone_utc(const struct zone *zone, int64_t local_s, unsigned fold);

#endif
