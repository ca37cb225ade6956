/* Kept: few records by seq. */
#include "store/store_kept.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "store/store_internal.h"

#define SLOTS (2 * STORE_KEPT_RECORDS_MAX) /* a power of two */

struct store_kept {
	struct arena arena;
	struct observation *items; /* [STORE_KEPT_RECORDS_MAX] */
	size_t len;
	uint16_t slots[SLOTS]; /* 1 + index into items; 0 = free */
};

enum rc store_kept_new(struct store_kept **out)
{
	struct store_kept *kept = calloc(1, sizeof *kept);

	if (kept == NULL)
		return RC_NOMEM;
	kept->items = malloc(STORE_KEPT_RECORDS_MAX * sizeof *kept->items);
	if (kept->items == NULL) {
		free(kept);
		return RC_NOMEM;
	}
	arena_init(&kept->arena, STORE_KEPT_BYTES_MAX + STORE_PAGE_ARENA_BYTES);
	*out = kept;
	return RC_OK;
}

void store_kept_free(struct store_kept *kept)
{
	if (kept == NULL)
		return;
	arena_fini(&kept->arena);
	free(kept->items);
	free(kept);
}

void store_kept_reset(struct store_kept *kept)
{
	if (kept->len > 0)
		memset(kept->slots, 0, sizeof kept->slots);
	kept->len = 0;
	arena_reset(&kept->arena);
}

/* The slot of `seq`, or the free one where it would stand: half of them are. */
static size_t slot_of(const struct store_kept *kept, uint64_t seq)
{
	size_t slot = (size_t)(seq * UINT64_C(0x9E3779B97F4A7C15) >> 32) % SLOTS;

	while (kept->slots[slot] != 0 && kept->items[kept->slots[slot] - 1].seq != seq)
		slot = (slot + 1) % SLOTS;
	return slot;
}

const struct observation *store_kept_find(const struct store_kept *kept, uint64_t seq)
{
	size_t at = kept == NULL ? 0 : kept->slots[slot_of(kept, seq)];

	return at == 0 ? NULL : &kept->items[at - 1];
}

struct arena *store_kept_arena(struct store_kept *kept)
{
	if (kept == NULL || kept->len == STORE_KEPT_RECORDS_MAX ||
	    kept->arena.used_bytes >= STORE_KEPT_BYTES_MAX)
		return NULL;
	return &kept->arena;
}

void store_kept_put(struct store_kept *kept, const struct observation *obs)
{
	size_t slot = slot_of(kept, obs->seq);

	if (kept->slots[slot] != 0)
		return;
	kept->items[kept->len++] = *obs;
	kept->slots[slot] = (uint16_t)kept->len;
}
