/*
 * Recent ids: any row is refused or is a run of ids; any sequence of them leaves
 * a table that finds the newest of each, in chains that hold each id once.
 */
#include <stdlib.h>
#include <string.h>

#include "store/recent.h"

#define ROWS_MAX 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool condition)
{
	if (!condition)
		abort();
}

static int visit(void *ctx, const uint8_t id[OBS_ID_BYTES], uint64_t seq)
{
	const struct recent *recent = ctx;
	uint64_t newest = 0;

	must(recent_find(recent, id, &newest) && newest == seq);
	must(memcmp(recent->ids[seq - recent->first_seq], id, OBS_ID_BYTES) == 0);
	return 0;
}

/* Length(2) of the value, the key, the value; then how much of it is cut off again. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct recent recent = { 0 };
	struct recent_row row;

	for (int n = 0; n < ROWS_MAX && size >= 11; n++) {
		size_t len = (size_t)data[0] << 8 | data[1], cut = data[2], before = recent.len;
		if (len > size - 11)
			len = size - 11;
		if (recent_row_decode(data + 3, 8, data + 11, len, &row) == RC_OK) {
			must(row.len * OBS_ID_BYTES == len && row.len <= RECENT_ROW_IDS);
			if (recent_put_row(&recent, &row) == RC_OK)
				must(recent.len == before + row.len);
			else
				recent_cut(&recent, before);
		}
		recent_cut(&recent, recent.len < cut ? 0 : recent.len - cut);
		data += 11 + len;
		size -= 11 + len;
	}
	for (size_t chain = 0; chain < recent_chains(&recent); chain++)
		must(recent_each(&recent, chain, visit, &recent) == 0);
	recent_fini(&recent);
	return 0;
}
