/* Time zone files: any bytes are refused, or give offsets within a day and a
 * bit at all times, and local times that come back. */
#include <stdlib.h>

#include "align/zone.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct zone *zone = NULL;

	if (zone_parse(data, size, &zone, NULL) != RC_OK)
		return 0;
	for (int64_t at = INT64_C(-2208988800); at < INT64_C(7258118400); at += 86400 * 97) {
		int32_t offset_s = zone_offset(zone, at);
		if (offset_s < -ZONE_OFFSET_S_MAX || offset_s > ZONE_OFFSET_S_MAX)
			abort();
		(void)zone_utc(zone, at, 0);
		(void)zone_utc(zone, at, 1);
	}
	zone_free(zone);
	return 0;
}
