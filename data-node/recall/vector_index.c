/*
 * Vector index: blocks of rows by document number.
 *
 * A value v of int8 stands as v + 128 = 16 h + l, its halves h and l in two tables.
 * Of a question w the product with a row is 16 Σ w·h + Σ w·l - 128 Σ w; by the high
 * halves alone it is at most
 *
 *     16 Σ w·h - 120.5 Σ w + |w| |l - 7.5|
 *
 * (Cauchy, Schwarz), and |l - 7.5| is kept for each row.  So a scan reads the high
 * halves of all and the low ones only of rows that may be among the best so far.
 */
#include "recall/vector_index.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/wipe.h"
#include "recall/best.h"
#include "recall/dot.h"

#define BLOCK_DOCS 1024u
#define VALUE_MAX 127

#define ROUNDING 1.00001 /* what floats may have lost of a bound */

struct block {
	float scales[BLOCK_DOCS]; /* 0: the document has none */
	float rests[BLOCK_DOCS];  /* |l - 7.5| */
	uint8_t *halves[2];       /* [BLOCK_DOCS][stride]: high, low */
};

struct vector_index {
	uint32_t length;
	size_t stride;         /* bytes of a row's halves, filled up with zeros */
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
	index->stride = (length + DOT_LANES - 1) / DOT_LANES * (DOT_LANES / 2);
	*out = index;
	return RC_OK;
}

static void block_free(const struct vector_index *index, struct block *block)
{
	for (size_t i = 0; i < 2; i++) {
		if (block->halves[i] != NULL)
			wipe(block->halves[i], BLOCK_DOCS * index->stride);
		free(block->halves[i]);
	}
	free(block);
}

void vector_index_free(struct vector_index *index)
{
	if (index == NULL)
		return;
	for (size_t i = 0; i < index->blocks_len; i++) {
		struct block *block = index->blocks[i];
		if (block == NULL)
			continue;
		block_free(index, block);
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
		if (block == NULL)
			return RC_NOMEM;
		for (size_t i = 0; i < 2; i++)
			block->halves[i] = calloc(BLOCK_DOCS, index->stride);
		if (block->halves[0] == NULL || block->halves[1] == NULL) {
			block_free(index, block);
			return RC_NOMEM;
		}
		index->blocks[at] = block;
		index->filled++;
	}
	*out = index->blocks[at];
	return RC_OK;
}

/* The halves of a row and what it may have beyond its high ones. */
static void put_halves(
    const struct vector_index *index, struct block *block, size_t at, const uint8_t *values)
{
	uint8_t *high = block->halves[0] + at * index->stride;
	uint8_t *low = block->halves[1] + at * index->stride;
	double squares = 0;

	memset(high, 0, index->stride);
	memset(low, 0, index->stride);
	for (uint32_t i = 0; i < index->length; i++) {
		unsigned value = values[i] ^ 0x80u; /* + 128 */
		double rest = (value & 15u) - 7.5;
		dot_half_put(high, i, value >> 4);
		dot_half_put(low, i, value & 15u);
		squares += rest * rest;
	}
	block->rests[at] = (float)(sqrt(squares) * ROUNDING);
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
	struct block *block;
	enum rc rc = block_at(index, doc, &block);
	if (rc != RC_OK)
		return rc;
	index->vectors += block->scales[doc % BLOCK_DOCS] == 0;
	block->scales[doc % BLOCK_DOCS] = scale;
	put_halves(index, block, doc % BLOCK_DOCS, row + 4);
	return RC_OK;
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
	size_t from_at = from_doc % BLOCK_DOCS, at = doc % BLOCK_DOCS;
	struct block *to;

	if (block == NULL || block->scales[from_at] == 0)
		return RC_OK;
	enum rc rc = block_at(index, doc, &to);
	if (rc != RC_OK)
		return rc;
	index->vectors += to->scales[at] == 0;
	to->scales[at] = block->scales[from_at];
	to->rests[at] = block->rests[from_at];
	for (size_t i = 0; i < 2; i++)
		memcpy(to->halves[i] + at * index->stride,
		    block->halves[i] + from_at * index->stride, index->stride);
	return RC_OK;
}

/* ---- the nearest ------------------------------------------------------------------------- */

/* A question, and what of it every row needs. */
struct question {
	_Alignas(64) int8_t with[VECTOR_LENGTH_MAX];
	float scale;
	double sum, length; /* Σ w, |w| */
};

static void question_read(const struct vector_index *index, const uint8_t *row, struct question *q)
{
	double squares = 0;

	memset(q, 0, sizeof *q);
	memcpy(q->with, row + 4, index->length);
	q->scale = scale_of(row);
	for (uint32_t i = 0; i < index->length; i++) {
		q->sum += q->with[i];
		squares += (double)q->with[i] * q->with[i];
	}
	q->length = sqrt(squares) * ROUNDING;
}

/* Rows of the block that may be among the best, by `highs`, their low halves on the way
 * from memory; how many. */
static size_t choose(const struct vector_index *index, const struct block *block,
    const struct question *q, const int32_t *highs, uint32_t len, const struct best *best,
    uint16_t *rows)
{
	size_t n = 0;

	for (uint32_t i = 0; i < len; i++) {
		double most =
		    16.0 * highs[i] - 120.5 * q->sum + q->length * (double)block->rests[i];
		if (block->scales[i] == 0 ||
		    best_is_beaten(best, (double)block->scales[i] * (double)q->scale * most))
			continue;
		for (size_t at = 0; at < index->stride; at += 64)
			__builtin_prefetch(block->halves[1] + i * index->stride + at);
		rows[n++] = (uint16_t)i;
	}
	return n;
}

static void look(const struct vector_index *index, const struct block *block, uint32_t first_doc,
    const struct question *q, const struct index_range *range, struct best *best)
{
	int32_t highs[BLOCK_DOCS], low;
	uint16_t rows[BLOCK_DOCS];
	size_t left = index_docs_len(best->index) - first_doc;
	uint32_t len = left < BLOCK_DOCS ? (uint32_t)left : BLOCK_DOCS;

	if (!index_span_in_range(best->index, first_doc, len, range))
		return;
	dot_halves(block->halves[0], len, index->stride, q->with, highs);
	size_t n = choose(index, block, q, highs, len, best, rows);
	for (size_t i = 0; i < n; i++) {
		uint32_t at = rows[i], doc = first_doc + at;
		if (!index_in_range(&index_docs(best->index)[doc], range))
			continue;
		dot_halves(block->halves[1] + at * index->stride, 1, index->stride, q->with, &low);
		double product = 16.0 * highs[at] + low - 128 * q->sum;
		double score = (double)block->scales[at] * (double)q->scale * product;
		if (!best_is_beaten(best, score) && index_units(best->index, doc) != 0)
			best_offer(best, (struct index_hit){ .doc = doc, .score = score });
	}
}

size_t vector_index_nearest(const struct vector_index *index, const uint8_t *question,
    const struct index *docs, const struct index_range *range, struct index_hit *hits, size_t k)
{
	struct best best = { .index = docs, .hits = hits, .k = k };
	struct question q;

	question_read(index, question, &q);
	for (size_t i = 0; i < index->blocks_len && i * BLOCK_DOCS < index_docs_len(docs); i++) {
		if (index->blocks[i] != NULL)
			look(index, index->blocks[i], (uint32_t)(i * BLOCK_DOCS), &q, range, &best);
	}
	wipe(&q, sizeof q);
	best_sort(&best);
	return best.len;
}

void vector_index_get_stats(const struct vector_index *index, struct vector_index_stats *out)
{
	*out = (struct vector_index_stats){ .vectors = index->vectors,
		.bytes = sizeof *index + index->blocks_len * sizeof(struct block *) +
			 index->filled * (sizeof(struct block) + 2 * BLOCK_DOCS * index->stride) };
}
