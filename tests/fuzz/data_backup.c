/* What a backup consists of: a manifest that is taken is whole and encodes to one
 * that is taken again; of a segment every frame lies within its bytes. */
#include <stdlib.h>
#include <string.h>

#include "backup/manifest.h"
#include "backup/segment.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool condition)
{
	if (!condition)
		abort();
}

static void check_manifest(const uint8_t *data, size_t size)
{
	static const uint8_t key[MANIFEST_KEY_BYTES];
	struct manifest first = { 0 }, second = { 0 };
	struct buf text;

	if (manifest_decode((const char *)data, size, &first, NULL) != RC_OK)
		return;
	buf_init(&text, MANIFEST_BYTES_MAX);
	must(manifest_encode(&first, key, &text) == RC_OK);
	must(manifest_authenticate(buf_text(&text), text.len, key, NULL) == RC_OK);
	must(manifest_decode(buf_text(&text), text.len, &second, NULL) == RC_OK);
	must(first.files_len == second.files_len && first.cursor == second.cursor);
	must(first.files_len == 0 ||
	     memcmp(first.files, second.files, first.files_len * sizeof(first.files[0])) == 0);
	manifest_fini(&first);
	manifest_fini(&second);
	buf_fini(&text);
}

static void check_segment(const uint8_t *data, size_t size)
{
	static const uint8_t id[SEGMENT_ID_BYTES];
	struct store_raw entry;
	uint64_t entries;
	size_t used = 0;

	enum rc rc = segment_head_check(data, size, id, NULL);
	must(rc == RC_OK || rc == RC_CORRUPT || rc == RC_UNSUPPORTED);
	while (segment_parse(data, size, &used, &entry, &entries, NULL) == RC_OK) {
		must(used > 0 && used <= size);
		must(entry.key >= data && entry.value + entry.value_len <= data + size);
		must(store_raw_seq(&entry) == 0 || entry.key_len == STORE_LOG_KEY_BYTES);
		data += used;
		size -= used;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	check_manifest(data, size);
	check_segment(data, size);
	return 0;
}
