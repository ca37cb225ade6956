/*
 * Rows of episodes: any bytes are refused or decode to runs that begin in their
 * stretch, one behind the other, name slices of their own alone, and encode to
 * what decodes to the same again.
 */
#include <stdlib.h>
#include <string.h>

#include "align/episode_inner.h"

#define START_NS INT64_C(1763164800000000000)
#define FUZZ_ARENA_BYTES ((size_t)8 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool condition)
{
	if (!condition)
		abort();
}

static void check_slice(const struct episode_run *run, uint32_t at)
{
	must(at == EPISODE_NO_SLICE || run->start_ns + at * EPISODE_GRID_NS < run->end_ns);
}

static void check_runs(const struct episode_run *runs, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct episode_run *run = &runs[i];
		must(run->start_ns >= (i == 0 ? START_NS : runs[i - 1].end_ns));
		must(run->start_ns < START_NS + STORE_EPISODE_STRETCH_NS);
		must(run->end_ns > run->start_ns && run->people_len <= EPISODE_PEOPLE_MAX);
		must(run->slices > 0 && run->version > 0);
		check_slice(run, run->scene_at);
		check_slice(run, run->place_at);
		check_slice(run, run->position_at);
		for (size_t k = 0; k < run->people_len; k++) {
			must(run->people_at[k] != EPISODE_NO_SLICE);
			check_slice(run, run->people_at[k]);
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct episode_run *runs, *again;
	struct buf once, twice;
	struct arena arena;
	size_t n, m;

	arena_init(&arena, FUZZ_ARENA_BYTES);
	buf_init(&once, (size_t)1 << 20);
	buf_init(&twice, (size_t)1 << 20);
	if (episode_row_decode(data, size, START_NS, &arena, &runs, &n) == RC_OK) {
		check_runs(runs, n);
		must(episode_row_encode(runs, n, START_NS, &once) == RC_OK);
		must(episode_row_decode(once.bytes, once.len, START_NS, &arena, &again, &m) ==
		     RC_OK);
		must(episode_row_encode(again, m, START_NS, &twice) == RC_OK);
		must(once.len == twice.len && memcmp(once.bytes, twice.bytes, once.len) == 0);
	}
	buf_fini(&once);
	buf_fini(&twice);
	arena_fini(&arena);
	return 0;
}
