/* Vector index: blocks of rows by document number. */
#include "recall/vector_index.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/wipe.h"
#include "recall/best.h"
#include "recall/dot.h"

#define BLOCK_DOCS 1024u
#define VALUE_MAX 127

struct block {
	float scales[BLOCK_DOCS]; /* 0: the document has none */
	int8_t *values;           /* [BLOCK_DOCS][stride] */
};

struct vector_index {
	uint32_t length;
	size_t stride;         /* length, filled up with zeros */
	struct block **blocks; /* [blocks_len]; NULL: no document of it has one */
	size_t blocks_len;
	size_t vectors, filled; /* filled: blocks that are there */
};

/* ---- life ------------------------------------------------------------------------------ */

enum rc vector_index_new(uint32_t length, struct vector_index **out)
{
	if (length == 0 || length > VECTOR_LENGTH_MAX)
		return RC_LIMIT;
	struct vector_index *index = calloc(1, sizeof *index);
	if (index == NULL)
		return RC_NOMEM;
	index->length = length;
	index->stride = (length + DOT_LANES - 1) / DOT_LANES * DOT_LANES;
	*out = index;
	return RC_OK;
}

void vector_index_free(struct vector_index *index)
{
	if (index == NULL)
		return;
	for (size_t i = 0; i < index->blocks_len; i++) {
		struct block *block = index->blocks[i];
		if (block == NULL)
			continue;
		wipe(block->values, BLOCK_DOCS * index->stride);
		free(block->values);
		free(block);
	}
	free(index->blocks);
	free(index);
}

uint32_t vector_index_length(const struct vector_index *index)
{
	return index->length;
}

/* ---- rows ------------------------------------------------------------------------------ */

static float scale_of(const uint8_t *row)
{
	uint32_t bits = 0;
	float scale;

	for (unsigned i = 0; i < 4; i++)
		bits |= (uint32_t)row[i] << 8 * i;
	memcpy(&scale, &bits, sizeof scale);
	return scale;
}

enum rc vector_pack(const float *values, uint32_t length, uint8_t *row)
{
	double squares = 0, most = 0;
	uint32_t bits;

	for (uint32_t i = 0; i < length; i++) {
		if (!isfinite(values[i]))
			return RC_INVALID;
		squares += (double)values[i] * (double)values[i];
		most = fmax(most, fabs((double)values[i]));
	}
	if (!(squares > 0) || !isfinite(1 / sqrt(squares)))
		return RC_INVALID;
	float scale = (float)(most / VALUE_MAX / sqrt(squares));
	memcpy(&bits, &scale, sizeof bits);
	for (unsigned i = 0; i < 4; i++)
		row[i] = (uint8_t)(bits >> 8 * i);
	for (uint32_t i = 0; i < length; i++)
		row[4 + i] = (uint8_t)(int8_t)lrint((double)values[i] / most * VALUE_MAX);
	return RC_OK;
}

static enum rc block_at(struct vector_index *index, uint32_t doc, struct block **out)
{
	size_t at = doc / BLOCK_DOCS;

	if (at >= index->blocks_len) {
		size_t len = at + 1 + at / 2;
		struct block **blocks = realloc(index->blocks, len * sizeof(struct block *));
		if (blocks == NULL)
			return RC_NOMEM;
		memset(blocks + index->blocks_len, 0,
		    (len - index->blocks_len) * sizeof(struct block *));
		index->blocks = blocks;
		index->blocks_len = len;
	}
	if (index->blocks[at] == NULL) {
		struct block *block = calloc(1, sizeof *block);
		if (block != NULL)
			block->values = calloc(BLOCK_DOCS, index->stride);
		if (block == NULL || block->values == NULL) {
			free(block);
			return RC_NOMEM;
		}
		index->blocks[at] = block;
		index->filled++;
	}
	*out = index->blocks[at];
	return RC_OK;
}

static enum rc put(struct vector_index *index, uint32_t doc, float scale, const void *values)
{
	struct block *block;
	size_t at = doc % BLOCK_DOCS;

	enum rc rc = block_at(index, doc, &block);
	if (rc != RC_OK)
		return rc;
	index->vectors += block->scales[at] == 0;
	block->scales[at] = scale;
	memcpy(block->values + at * index->stride, values, index->length);
	return RC_OK;
}

enum rc vector_index_put(struct vector_index *index, uint32_t doc, const uint8_t *row, size_t len)
{
	if (len != VECTOR_ROW_BYTES(index->length))
		return RC_CORRUPT;
	float scale = scale_of(row);
	if (!isfinite(scale) || scale <= 0)
		return RC_CORRUPT;
	for (size_t i = 4; i < len; i++) {
		if (row[i] == 0x80) /* -128: products with it are not exact everywhere */
			return RC_CORRUPT;
	}
	return put(index, doc, scale, row + 4);
}

static const struct block *block_of(const struct vector_index *index, uint32_t doc)
{
	size_t at = doc / BLOCK_DOCS;

	return at < index->blocks_len ? index->blocks[at] : NULL;
}

bool vector_index_has(const struct vector_index *index, uint32_t doc)
{
	const struct block *block = block_of(index, doc);

	return block != NULL && block->scales[doc % BLOCK_DOCS] != 0;
}

enum rc vector_index_copy(
    struct vector_index *index, uint32_t doc, const struct vector_index *from, uint32_t from_doc)
{
	const struct block *block = block_of(from, from_doc);
	size_t at = from_doc % BLOCK_DOCS;

	if (block == NULL || block->scales[at] == 0)
		return RC_OK;
	return put(index, doc, block->scales[at], block->values + at * from->stride);
}

/* ---- the nearest ------------------------------------------------------------------------- */

static void look(const struct block *block, const int32_t *products, uint32_t first_doc,
    const struct index_range *range, float scale, struct best *best)
{
	size_t docs_len = index_docs_len(best->index);

	for (uint32_t i = 0; i < BLOCK_DOCS && first_doc + i < docs_len; i++) {
		uint32_t doc = first_doc + i;
		double score = (double)block->scales[i] * (double)scale * products[i];
		if (block->scales[i] == 0 || best_is_beaten(best, score) ||
		    index_units(best->index, doc) == 0 ||
		    !index_in_range(&index_docs(best->index)[doc], range))
			continue;
		best_offer(best, (struct index_hit){ .doc = doc, .score = score });
	}
}

size_t vector_index_nearest(const struct vector_index *index, const uint8_t *question,
    const struct index *docs, const struct index_range *range, struct index_hit *hits, size_t k)
{
	struct best best = { .index = docs, .hits = hits, .k = k };
	_Alignas(64) int8_t with[VECTOR_LENGTH_MAX] = { 0 };
	int32_t products[BLOCK_DOCS];

	memcpy(with, question + 4, index->length);
	for (size_t i = 0; i < index->blocks_len; i++) {
		const struct block *block = index->blocks[i];
		if (block == NULL)
			continue;
		dot_rows(block->values, BLOCK_DOCS, index->stride, with, products);
		look(block, products, (uint32_t)(i * BLOCK_DOCS), range, scale_of(question), &best);
	}
	wipe(with, sizeof with);
	best_sort(&best);
	return best.len;
}

void vector_index_get_stats(const struct vector_index *index, struct vector_index_stats *out)
{
	*out = (struct vector_index_stats){ .vectors = index->vectors,
		.bytes = sizeof *index + index->blocks_len * sizeof(struct block *) +
			 index->filled * (sizeof(struct block) + BLOCK_DOCS * index->stride) };
}
