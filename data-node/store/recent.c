/* Recent ids: an array in order of seq, and chains over it (recent.h). */
#include "store/recent.h"

#include <stdlib.h>
#include <string.h>

#define IDS_FIRST ((size_t)256)

enum rc recent_row_decode(const uint8_t *key, size_t key_len, const uint8_t *value,
    size_t value_len, struct recent_row *out)
{
	size_t n = value_len / OBS_ID_BYTES;
	uint64_t first_seq = 0;

	if (key_len != 8 || value_len % OBS_ID_BYTES != 0 || n == 0 || n > RECENT_ROW_IDS)
		return RC_CORRUPT;
	for (size_t i = 0; i < key_len; i++)
		first_seq = first_seq << 8 | key[i];
	if (first_seq == 0 || first_seq > UINT64_MAX - n)
		return RC_CORRUPT;
	*out = (struct recent_row){ first_seq, (const uint8_t(*)[OBS_ID_BYTES])value, n };
	return RC_OK;
}

void recent_fini(struct recent *recent)
{
	free(recent->ids);
	free(recent->older);
	free(recent->chains);
	*recent = (struct recent){ 0 };
}

static size_t chain_of(const struct recent *recent, const uint8_t id[OBS_ID_BYTES])
{
	uint32_t first =
	    (uint32_t)id[0] << 24 | (uint32_t)id[1] << 16 | (uint32_t)id[2] << 8 | id[3];

	return first >> (32 - recent->bits);
}

static void chain_put(struct recent *recent, size_t i)
{
	uint32_t *chain = &recent->chains[chain_of(recent, recent->ids[i])];

	recent->older[i] = *chain;
	*chain = (uint32_t)(i + 1);
}

/* Twice the room: as many chains as ids. */
static enum rc grow(struct recent *recent)
{
	size_t cap = recent->cap == 0 ? IDS_FIRST : 2 * recent->cap;
	unsigned bits = 0;

	if (cap > RECENT_IDS_MAX)
		return RC_LIMIT;
	while ((size_t)1 << bits < cap)
		bits++;
	void *ids = realloc(recent->ids, cap * sizeof(recent->ids[0]));
	if (ids == NULL)
		return RC_NOMEM;
	recent->ids = ids;
	uint32_t *older = realloc(recent->older, cap * sizeof(*older));
	if (older == NULL)
		return RC_NOMEM;
	recent->older = older;
	uint32_t *chains = calloc(cap, sizeof(*chains));
	if (chains == NULL)
		return RC_NOMEM;
	free(recent->chains);
	recent->chains = chains;
	recent->bits = bits;
	recent->cap = cap;
	for (size_t i = 0; i < recent->len; i++)
		chain_put(recent, i);
	return RC_OK;
}

enum rc recent_put(struct recent *recent, uint64_t seq, const uint8_t id[OBS_ID_BYTES])
{
	if (recent->len > 0 && seq != recent->first_seq + recent->len)
		return RC_CORRUPT;
	enum rc rc = recent->len == recent->cap ? grow(recent) : RC_OK;
	if (rc != RC_OK)
		return rc;
	if (recent->len == 0)
		recent->first_seq = seq;
	memcpy(recent->ids[recent->len], id, OBS_ID_BYTES);
	chain_put(recent, recent->len++);
	return RC_OK;
}

enum rc recent_put_row(struct recent *recent, const struct recent_row *row)
{
	enum rc rc = RC_OK;

	for (size_t i = 0; i < row->len && rc == RC_OK; i++)
		rc = recent_put(recent, row->first_seq + i, row->ids[i]);
	return rc;
}

bool recent_find(const struct recent *recent, const uint8_t id[OBS_ID_BYTES], uint64_t *seq)
{
	uint32_t at = recent->len == 0 ? 0 : recent->chains[chain_of(recent, id)];

	while (at != 0 && memcmp(recent->ids[at - 1], id, OBS_ID_BYTES) != 0)
		at = recent->older[at - 1];
	if (at == 0)
		return false;
	*seq = recent->first_seq + (at - 1);
	return true;
}

/* The newest of a chain is its first, so what came last is taken off first. */
void recent_cut(struct recent *recent, size_t len)
{
	while (recent->len > len) {
		size_t i = --recent->len;
		recent->chains[chain_of(recent, recent->ids[i])] = recent->older[i];
	}
}

void recent_clear(struct recent *recent, size_t ids)
{
	if (recent->cap > 2 * ids) {
		recent_fini(recent);
		return;
	}
	if (recent->cap > 0)
		memset(recent->chains, 0, recent->cap * sizeof(recent->chains[0]));
	recent->len = 0;
}

size_t recent_chains(const struct recent *recent)
{
	return recent->len == 0 ? 0 : (size_t)1 << recent->bits;
}

int recent_each(const struct recent *recent, size_t chain, recent_visit_fn *visit, void *ctx)
{
	int err = 0;

	for (uint32_t at = recent->chains[chain]; at != 0 && err == 0; at = recent->older[at - 1]) {
		uint64_t seq = recent->first_seq + (at - 1), newest = 0;
		if (recent_find(recent, recent->ids[at - 1], &newest) && newest == seq)
			err = visit(ctx, recent->ids[at - 1], seq);
	}
	return err;
}
