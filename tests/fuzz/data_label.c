/* Labels: any data and id decode to a label that is written and read back the
 * same, or are refused. */
#include <stdlib.h>
#include <string.h>

#include "night/label.h"

#define FUZZ_ARENA_BYTES ((size_t)8 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool condition)
{
	if (!condition)
		abort();
}

/* The input is an id, a line break and the data. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct observation obs = { .source = OBS_SOURCE_NIGHT,
		.kind = OBS_KIND_LABEL,
		.origin = ORIGIN_SYSTEM,
		.layer = LAYER_TEXT,
		.text = "" };
	struct label first, second;
	struct arena arena;

	arena_init(&arena, FUZZ_ARENA_BYTES);
	char *text = arena_copy(&arena, data, size);
	char *line = text == NULL ? NULL : strchr(text, '\n');
	if (line != NULL) {
		*line = '\0';
		obs.client_id = text;
		obs.data_json = line + 1;
		if (label_decode(&obs, &arena, &first) == RC_OK) {
			struct label_digest a = label_digest(&first), b;
			enum rc rc = label_encode(&first, &arena, &obs);
			must(rc == RC_OK || rc == RC_LIMIT);
			if (rc == RC_OK) {
				must(label_decode(&obs, &arena, &second) == RC_OK);
				b = label_digest(&second);
				must(memcmp(&a, &b, sizeof a) == 0);
				must(
				    first.revision == second.revision && first.life == second.life);
			}
		}
	}
	arena_fini(&arena);
	return 0;
}
