/*
 * What the aligner and the store keep of slices: rows, the builder's state, its
 * history and dirty marks.  Any bytes are refused or decode to what encodes and
 * decodes to the same again.  The first byte says which of them.
 */
#include <stdlib.h>
#include <string.h>

#include "align/builder_inner.h"

#define FUZZ_ARENA_BYTES ((size_t)8 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool condition)
{
	if (!condition)
		abort();
}

static void try_row(const uint8_t *data, size_t size)
{
	struct slice_head head, alone;
	struct slice_refs refs;
	struct arena arena;

	arena_init(&arena, FUZZ_ARENA_BYTES);
	if (slice_row_decode(data, size, &arena, &head, &refs) == RC_OK) {
		must(slice_row_decode(data, size, &arena, &alone, NULL) == RC_OK);
		must(alone.version == head.version && alone.seq == head.seq);
		for (int facet = 0; facet < FACET_COUNT; facet++) {
			const struct cell *cell = &refs.cells[facet];
			must((cell->mode == CELL_ABSENT) == (cell->values_len == 0));
			must(cell->mode == CELL_ABSENT ? cell->absent_reason != NULL
						       : refs.refs[facet] != NULL);
			for (size_t i = 0; i < cell->values_len; i++)
				must(refs.refs[facet][i].seq != 0);
		}
	}
	arena_fini(&arena);
}

static void try_state(const uint8_t *data, size_t size)
{
	struct builder_state state;
	struct buf once;

	memset(&state, 0, sizeof state);
	lifecycle_init(&state.life);
	buf_init(&once, (size_t)4 << 20);
	if (builder_state_decode(data, size, &state) == RC_OK) {
		builder_state_encode(&state, &once);
		must(once.len == size && memcmp(once.bytes, data, size) == 0);
	}
	lifecycle_fini(&state.life);
	buf_fini(&once);
}

static void try_small(const uint8_t *data, size_t size)
{
	uint8_t bytes[STORE_DIRTY_BYTES];
	struct store_dirty mark;
	int64_t closed_ns, now_ns;

	if (store_dirty_decode(data, size, &mark) == RC_OK) {
		store_dirty_encode(&mark, bytes);
		must(memcmp(bytes, data, size) == 0);
	}
	must(builder_history_decode(data, size, &closed_ns, &now_ns) == RC_CORRUPT ||
	     size == BUILDER_HISTORY_BYTES);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	if (data[0] % 3 == 0)
		try_row(data + 1, size - 1);
	else if (data[0] % 3 == 1)
		try_state(data + 1, size - 1);
	else
		try_small(data + 1, size - 1);
	return 0;
}
