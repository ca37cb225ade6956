/* Records of a node that is followed: what is taken lies within the bytes that
 * came, is of the log, and encodes to those bytes again. */
#include <stdlib.h>
#include <string.h>

#include "backup/segment.h"
#include "follow/follow.h"

#define ENTRIES_MAX 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool condition)
{
	if (!condition)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct store_raw entries[ENTRIES_MAX];
	struct buf again;
	size_t n = 0;

	enum rc rc = follow_frames(data, size, entries, ENTRIES_MAX, &n, NULL);
	must(rc == RC_OK || rc == RC_INVALID);
	if (rc != RC_OK)
		return 0;
	buf_init(&again, size + 1);
	for (size_t i = 0; i < n; i++) {
		must(entries[i].truth == STORE_TRUTH_LOG);
		must(entries[i].key >= data &&
		     entries[i].value + entries[i].value_len <= data + size);
		segment_frame(&again, &entries[i]);
	}
	must(again.len <= size && (again.len == 0 || memcmp(again.bytes, data, again.len) == 0));
	must(n == ENTRIES_MAX || again.len == size);
	buf_fini(&again);
	return 0;
}
