/* Vectors: packed and exact to the byte, and the nearest as by sorting all of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "recall/dot.h"
#include "recall/vector_index.h"

#define LENGTH 70u /* not a multiple of the lanes */

static uint64_t seed = 1;

static uint32_t draw(void)
{
	seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(seed >> 33);
}

static float draw_value(void)
{
	return (float)((double)draw() / 2147483648.0 * 2 - 1);
}

/* ---- products ------------------------------------------------------------------------- */

static void every_way_gives_the_same_sums(void **arg)
{
	static const size_t strides[] = { 32, 64, 96, 128, 160, 192, DOT_STRIDE_MAX };
	int32_t want[11], got[11];

	(void)arg;
	for (size_t s = 0; s < sizeof strides / sizeof *strides; s++) {
		size_t stride = strides[s];
		uint8_t *rows = malloc(11 * stride);
		int8_t *with = malloc(2 * stride);
		assert_non_null(rows);
		assert_non_null(with);
		for (unsigned round = 0; round < 4; round++) {
			for (size_t i = 0; i < 11 * stride; i++)
				rows[i] = (uint8_t)(round == 0 ? 255 : draw() % 256);
			for (size_t i = 0; i < 2 * stride; i++)
				with[i] = (int8_t)(round < 2 ? -127 : (int)(draw() % 255) - 127);
			for (size_t n = 0; n <= 11; n++) {
				dot_halves_plain(rows, n, stride, with, want);
				dot_halves(rows, n, stride, with, got);
				assert_memory_equal(want, got, n * sizeof *want);
			}
		}
		assert_int_equal(want[0] == 0, 0);
		free(rows);
		free(with);
	}
}

static void a_half_stands_where_it_was_put(void **arg)
{
	uint8_t row[96] = { 0 };
	int8_t with[192] = { 0 };
	int32_t sum;

	(void)arg;
	for (size_t j = 0; j < 192; j++)
		dot_half_put(row, j, (unsigned)(j * 7 % 16));
	for (size_t j = 0; j < 192; j++) {
		assert_int_equal(dot_half(row, j), j * 7 % 16);
		with[j] = 1;
		dot_halves(row, 1, sizeof row, with, &sum);
		assert_int_equal(sum, j * 7 % 16);
		with[j] = 0;
	}
}

/* ---- rows ------------------------------------------------------------------------------- */

static void a_row_says_about_what_the_encoder_said(void **arg)
{
	uint8_t row[VECTOR_ROW_BYTES(LENGTH)];
	float values[LENGTH];
	double length = 0;

	(void)arg;
	for (unsigned i = 0; i < LENGTH; i++) {
		values[i] = 40 * draw_value();
		length += (double)values[i] * (double)values[i];
	}
	assert_int_equal(vector_pack(values, LENGTH, row), RC_OK);
	float scale;
	memcpy(&scale, row, sizeof scale); /* of a little-endian machine */
	for (unsigned i = 0; i < LENGTH; i++)
		assert_true(fabs((double)scale * (int8_t)row[4 + i] -
				 (double)values[i] / sqrt(length)) <= (double)scale * 0.501);
	memset(values, 0, sizeof values);
	assert_int_equal(vector_pack(values, LENGTH, row), RC_INVALID);
	values[3] = NAN;
	assert_int_equal(vector_pack(values, LENGTH, row), RC_INVALID);
	values[3] = INFINITY;
	assert_int_equal(vector_pack(values, LENGTH, row), RC_INVALID);
	values[3] = 1e-30f;
	assert_int_equal(vector_pack(values, LENGTH, row), RC_OK);
}

static void what_is_no_row_is_refused(void **arg)
{
	uint8_t row[VECTOR_ROW_BYTES(LENGTH)] = { 0 };
	struct vector_index *index;
	float values[LENGTH];

	(void)arg;
	assert_int_equal(vector_index_new(0, &index), RC_LIMIT);
	assert_int_equal(vector_index_new(VECTOR_LENGTH_MAX + 1, &index), RC_LIMIT);
	assert_int_equal(vector_index_new(LENGTH, &index), RC_OK);
	for (unsigned i = 0; i < LENGTH; i++)
		values[i] = draw_value();
	assert_int_equal(vector_index_put(index, 0, row, sizeof row), RC_CORRUPT); /* scale 0 */
	assert_int_equal(vector_pack(values, LENGTH, row), RC_OK);
	assert_int_equal(vector_index_put(index, 0, row, sizeof row - 1), RC_CORRUPT);
	row[10] = 0x80;
	assert_int_equal(vector_index_put(index, 0, row, sizeof row), RC_CORRUPT);
	row[10] = 0x7F;
	assert_false(vector_index_has(index, 0));
	assert_int_equal(vector_index_put(index, 5000, row, sizeof row), RC_OK);
	assert_true(vector_index_has(index, 5000));
	assert_false(vector_index_has(index, 4999));
	assert_false(vector_index_has(index, 500000));
	memset(row, 0xFF, 4); /* not a number */
	assert_int_equal(vector_index_put(index, 1, row, sizeof row), RC_CORRUPT);
	vector_index_free(index);
}

/* ---- the nearest --------------------------------------------------------------------------- */

#define DOCS 2500u

struct bench {
	struct index *docs;
	struct vector_index *index;
	uint8_t rows[DOCS][VECTOR_ROW_BYTES(LENGTH)];
	bool has[DOCS];
};

static double cosine(const uint8_t *a, const uint8_t *b)
{
	float x, y;
	int32_t sum = 0;

	memcpy(&x, a, 4);
	memcpy(&y, b, 4);
	for (unsigned i = 0; i < LENGTH; i++)
		sum += (int8_t)a[4 + i] * (int8_t)b[4 + i];
	return (double)x * (double)y * sum;
}

/* Two of three documents have a vector, every fifth is dead; times fall as seqs rise. */
static void fill(struct bench *b)
{
	float values[LENGTH] = { 0 };

	memset(b, 0, sizeof *b);
	assert_int_equal(index_new(&b->docs), RC_OK);
	assert_int_equal(vector_index_new(LENGTH, &b->index), RC_OK);
	for (unsigned i = 0; i < DOCS; i++) {
		index_begin(b->docs, i + 1, (int64_t)(DOCS - i) * 1000, (int64_t)(DOCS - i) * 1000);
		index_add(b->docs, "word", 4, INDEX_UNITS);
		assert_int_equal(index_end(b->docs), RC_OK);
		/* In clusters, as texts lie: many are about as near. */
		for (unsigned k = 0; k < LENGTH; k++)
			values[k] = i % 97 == 0 ? draw_value() : values[k] + draw_value() / 20;
		assert_int_equal(vector_pack(values, LENGTH, b->rows[i]), RC_OK);
		if (i % 7 == 6)
			memcpy(b->rows[i], b->rows[i - 1], sizeof b->rows[i]); /* equals */
		b->has[i] = i % 3 != 0;
		if (b->has[i])
			assert_int_equal(
			    vector_index_put(b->index, i, b->rows[i], sizeof b->rows[i]), RC_OK);
	}
	for (unsigned i = 0; i < DOCS; i += 5)
		index_kill(b->docs, i + 1);
}

static const struct bench *sorting;
static const uint8_t *question;

static int by_rank(const void *x, const void *y)
{
	uint32_t a = *(const uint32_t *)x, b = *(const uint32_t *)y;
	double p = cosine(sorting->rows[a], question), q = cosine(sorting->rows[b], question);

	if (p != q)
		return p > q ? -1 : 1;
	return a > b ? -1 : 1; /* the earlier one is the later document here */
}

static void check(struct bench *b, const uint8_t *row, const struct index_range *range, size_t k)
{
	static struct index_hit hits[DOCS + 10];
	uint32_t want[DOCS];
	size_t len = 0;

	for (uint32_t i = 0; i < DOCS; i++) {
		if (b->has[i] && i % 5 != 0 && index_in_range(&index_docs(b->docs)[i], range))
			want[len++] = i;
	}
	sorting = b;
	question = row;
	qsort(want, len, sizeof *want, by_rank);
	size_t found = vector_index_nearest(b->index, row, b->docs, range, hits, k);
	assert_int_equal(found, len < k ? len : k);
	for (size_t i = 0; i < found; i++) {
		assert_int_equal(hits[i].doc, want[i]);
		assert_true(fabs(hits[i].score - cosine(b->rows[want[i]], row)) < 1e-6);
	}
}

static void the_nearest_are_those_of_a_sort(void **arg)
{
	const struct index_range any = { .set = false };
	struct bench *b = malloc(sizeof *b);

	(void)arg;
	assert_non_null(b);
	fill(b);
	for (unsigned i = 0; i < 20; i++) {
		const struct index_range some = { .set = true,
			.from_ns = (int64_t)(draw() % DOCS) * 1000,
			.to_ns = (int64_t)DOCS * 900 };
		check(b, b->rows[draw() % DOCS], &any, 1 + draw() % 50);
		check(b, b->rows[draw() % DOCS], &some, 1 + draw() % 50);
	}
	check(b, b->rows[1], &any, DOCS + 10);
	index_free(b->docs);
	vector_index_free(b->index);
	free(b);
}

static void vectors_move_with_their_documents(void **arg)
{
	const struct index_range any = { .set = false };
	struct bench *b = malloc(sizeof *b);
	struct vector_index *other;
	struct vector_index_stats stats;
	struct index_hit hits[4], again[4];

	(void)arg;
	assert_non_null(b);
	fill(b);
	assert_int_equal(vector_index_new(LENGTH, &other), RC_OK);
	for (uint32_t i = 0; i < DOCS; i++)
		assert_int_equal(vector_index_copy(other, i, b->index, i), RC_OK);
	vector_index_get_stats(other, &stats);
	assert_int_equal(stats.vectors, DOCS - (DOCS + 2) / 3);
	assert_true(stats.bytes > DOCS * LENGTH);
	assert_int_equal(vector_index_nearest(b->index, b->rows[2], b->docs, &any, hits, 4), 4);
	assert_int_equal(vector_index_nearest(other, b->rows[2], b->docs, &any, again, 4), 4);
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(hits[i].doc, again[i].doc);
		assert_true(hits[i].score == again[i].score);
	}
	index_free(b->docs);
	vector_index_free(b->index);
	vector_index_free(other);
	free(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_way_gives_the_same_sums),
		cmocka_unit_test(a_half_stands_where_it_was_put),
		cmocka_unit_test(a_row_says_about_what_the_encoder_said),
		cmocka_unit_test(what_is_no_row_is_refused),
		cmocka_unit_test(the_nearest_are_those_of_a_sort),
		cmocka_unit_test(vectors_move_with_their_documents),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
