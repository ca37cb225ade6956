/* Slice rows: their bytes, and the hash of a slice's content. */
#include "align/slice_row.h"

#include <sodium.h>
#include <string.h>

#include "align/bytes.h"
#include "align/item.h"

#define ROW_FORMAT 2u
#define FLAG_EMPTY 1u

static const char *const reasons[] = { "none", "stale", "gap", "suspend", "epoch", "unavailable" };
#define REASON_COUNT (sizeof reasons / sizeof reasons[0])

static unsigned reason_code(const char *reason)
{
	for (unsigned i = 0; i < REASON_COUNT; i++) {
		if (strcmp(reason, reasons[i]) == 0)
			return i;
	}
	return 0;
}

/* ---- writing ---------------------------------------------------------------------- */

static void put_cell(const struct cell *cell, struct buf *out)
{
	bytes_put8(out, (unsigned)cell->mode);
	if (cell->mode == CELL_ABSENT) {
		bytes_put8(out, reason_code(cell->absent_reason));
		return;
	}
	bytes_put8(out, (unsigned)cell->certainty);
	bytes_put_varint(out, cell->values_len);
	bytes_put_varint(out, cell->values_total);
	bytes_put_varint(out, (uint64_t)cell->age_ns);
	bytes_put_varint(out, (uint64_t)cell->error_ns);
	for (size_t i = 0; i < cell->values_len; i++) {
		const struct cell_value *value = &cell->values[i];
		bytes_put8(out, (unsigned)value->mode << 1 | (unsigned)value->certainty);
		bytes_put_varint(out, value->item->seq);
		bytes_put_varint(out, cell_value_next_seq(value));
		bytes_put_varint(out, (uint64_t)value->age_ns);
	}
}

void slice_row_encode(const struct slice_head *head, const struct slice *slice, struct buf *out)
{
	bytes_put8(out, ROW_FORMAT);
	bytes_put8(out, head->empty ? FLAG_EMPTY : 0);
	bytes_put8(out, head->cause);
	bytes_put_varint(out, head->version);
	bytes_put_varint(out, head->base);
	bytes_put64(out, (uint64_t)head->round);
	bytes_put_varint(out, head->seq);
	bytes_put_varint(out, head->from_seq);
	buf_append(out, head->hash, SLICE_HASH_BYTES);
	buf_append(out, head->base_hash, SLICE_HASH_BYTES);
	for (int facet = 0; facet < FACET_COUNT && !head->empty; facet++)
		put_cell(facet == FACET_SCENE ? &slice->labels : &slice->cells[facet], out);
}

/* ---- reading ---------------------------------------------------------------------- */

static void get_value(struct bytes *in, struct slice_ref *ref)
{
	unsigned how = bytes_get8(in);

	*ref = (struct slice_ref){
		.mode = (enum cell_mode)(how >> 1),
		.certainty = (enum certainty)(how & 1),
		.seq = bytes_get_varint(in),
	};
	ref->next_seq = bytes_get_varint(in);
	ref->age_ns = (int64_t)bytes_get_varint(in);
	if (ref->mode == CELL_ABSENT || ref->mode > CELL_INTERPOLATED || ref->seq == 0 ||
	    ref->age_ns < 0 || (ref->mode == CELL_INTERPOLATED) != (ref->next_seq != 0))
		in->bad = true;
}

static enum rc get_cell(
    struct bytes *in, struct arena *arena, struct cell *cell, const struct slice_ref **out)
{
	unsigned mode = bytes_get8(in);
	unsigned code = bytes_get8(in); /* a reason or a certainty */

	*cell = (struct cell){ .mode = (enum cell_mode)mode };
	*out = NULL;
	if (mode == CELL_ABSENT) {
		cell->absent_reason = code < REASON_COUNT ? reasons[code] : NULL;
		return code < REASON_COUNT && !in->bad ? RC_OK : RC_CORRUPT;
	}
	cell->certainty = (enum certainty)code;
	cell->values_len = bytes_get_varint(in);
	cell->values_total = bytes_get_varint(in);
	cell->age_ns = (int64_t)bytes_get_varint(in);
	cell->error_ns = (int64_t)bytes_get_varint(in);
	if (in->bad || mode > CELL_INTERPOLATED || code > CERTAINTY_CERTAIN ||
	    cell->values_len == 0 || cell->values_len > SLICE_CELL_VALUES_MAX ||
	    cell->values_total < cell->values_len || cell->age_ns < 0 || cell->error_ns < 0)
		return RC_CORRUPT;
	struct slice_ref *refs = arena_array(arena, cell->values_len, sizeof *refs);
	if (refs == NULL)
		return RC_NOMEM;
	for (size_t i = 0; i < cell->values_len; i++)
		get_value(in, &refs[i]);
	*out = refs;
	return in->bad ? RC_CORRUPT : RC_OK;
}

enum rc slice_row_decode(const uint8_t *bytes, size_t len, struct arena *arena,
    struct slice_head *head, struct slice_refs *refs)
{
	struct bytes in = { bytes, len, false };
	unsigned format = bytes_get8(&in), flags = bytes_get8(&in);

	*head = (struct slice_head){ .empty = (flags & FLAG_EMPTY) != 0 };
	head->cause = bytes_get8(&in);
	head->version = bytes_get_varint(&in);
	head->base = bytes_get_varint(&in);
	head->round = (int64_t)bytes_get64(&in);
	head->seq = bytes_get_varint(&in);
	head->from_seq = bytes_get_varint(&in);
	bytes_copy(&in, head->hash, SLICE_HASH_BYTES);
	bytes_copy(&in, head->base_hash, SLICE_HASH_BYTES);
	if (in.bad || format != ROW_FORMAT || flags > FLAG_EMPTY || head->version == 0 ||
	    head->base > head->version || head->cause > DIRTY_CAUSE_COUNT)
		return RC_CORRUPT;
	if (refs == NULL)
		return RC_OK;
	for (int facet = 0; facet < FACET_COUNT; facet++) {
		refs->cells[facet] = (struct cell){ .absent_reason = "none" };
		refs->refs[facet] = NULL;
		if (head->empty)
			continue;
		enum rc rc = get_cell(&in, arena, &refs->cells[facet], &refs->refs[facet]);
		if (rc != RC_OK)
			return rc;
	}
	return in.left == 0 ? RC_OK : RC_CORRUPT;
}

/* ---- content ---------------------------------------------------------------------- */

bool slice_has_evidence(const struct slice *slice)
{
	if (slice->labels.values_len > 0)
		return true;
	for (int facet = 0; facet < FACET_COUNT; facet++) {
		const struct cell *cell = &slice->cells[facet];
		if (facet == FACET_SCENE || cell->mode == CELL_ABSENT)
			continue;
		if (facet != FACET_HOME || cell->mode != CELL_CARRIED)
			return true;
	}
	return false;
}

enum rc slice_hash(const struct slice *slice, const uint8_t key[STORE_DERIVED_KEY_BYTES],
    struct buf *scratch, uint8_t out[SLICE_HASH_BYTES])
{
	memset(out, 0, SLICE_HASH_BYTES);
	if (!slice_has_evidence(slice))
		return RC_OK;
	buf_reset(scratch);
	enum rc rc = slice_json_cells(slice, FACET_MASK_ALL, scratch);
	if (rc == RC_OK)
		(void)crypto_generichash(out, SLICE_HASH_BYTES, scratch->bytes, scratch->len, key,
		    STORE_DERIVED_KEY_BYTES);
	return rc;
}
