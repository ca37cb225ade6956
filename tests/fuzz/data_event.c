/* Events: any text is refused with a field and a reason, or becomes an
 * observation whose export is JSON that reads back as the same event. */
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "ingest/ingest.h"

#define FUZZ_ARENA_BYTES ((size_t)32 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool condition)
{
	if (!condition)
		abort();
}

static void same(const char *a, const char *b)
{
	must(strcmp(a, b) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct ingest_context ctx = { .source = "fuzz" };
	struct observation sent, back;
	struct ingest_error error;
	struct arena arena;
	struct buf out;

	arena_init(&arena, FUZZ_ARENA_BYTES);
	buf_init(&out, (size_t)16 << 20);
	enum rc rc = ingest_event(&ctx, (const char *)data, size, &arena, &sent, &error);
	if (rc == RC_INVALID) {
		must(error.text[0] != '\0' && utf8_valid(error.text, strlen(error.text)));
	} else if (rc == RC_OK) {
		must(observation_check(&sent, NULL) == RC_OK);
		memset(sent.obs_id, 0xAB, OBS_ID_BYTES);
		must(ingest_event_json(&sent, &out) == RC_OK);
		must(utf8_valid(out.bytes, out.len));
		if (out.len <= INGEST_EVENT_BYTES_MAX) {
			must(ingest_event(&ctx, buf_text(&out), out.len, &arena, &back, &error) ==
			     RC_OK);
			same(sent.source, back.source);
			same(sent.client_id, back.client_id);
			same(sent.kind, back.kind);
			same(sent.text, back.text);
			same(sent.data_json, back.data_json);
			same(sent.extra_json, back.extra_json);
			must(sent.dev_t0_ns == back.dev_t0_ns && sent.dev_t1_ns == back.dev_t1_ns);
			must(sent.shape == back.shape && sent.values_len == back.values_len);
			must(sent.values_len == 0 || memcmp(sent.values, back.values,
							 sent.values_len * sizeof(double)) == 0);
			must(observation_frames(&sent) == observation_frames(&back));
			must((sent.times_ns == NULL) == (back.times_ns == NULL));
		}
	}
	buf_fini(&out);
	arena_fini(&arena);
	return 0;
}
