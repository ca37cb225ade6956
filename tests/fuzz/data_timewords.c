/* Fuzz target: the time words of any question, at any time, in any zone. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "recall/recall.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const enum language languages[] = { LANGUAGE_DE, LANGUAGE_ES, LANGUAGE_FR };
	int64_t now_ns;
	int32_t offset_s;
	struct timewords when;

	if (size < sizeof now_ns + sizeof offset_s)
		return 0;
	memcpy(&now_ns, data, sizeof now_ns);
	memcpy(&offset_s, data + sizeof now_ns, sizeof offset_s);
	data += sizeof now_ns + sizeof offset_s;
	size -= sizeof now_ns + sizeof offset_s;
	offset_s %= 86400;
	timewords_parse((const char *)data, size, languages, 3, now_ns, offset_s, &when);
	if (when.found && (when.from_ns >= when.to_ns || when.begin >= when.end || when.end > size))
		abort();
	return 0;
}
