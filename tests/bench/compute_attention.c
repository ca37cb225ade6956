/*
 * Attention over the cache on one core: bytes of keys and of values a second,
 * by type of cache and number of queries that look at them, next to a plain
 * read of the same memory in the same run.  CPU time is measured, so that a
 * busy machine disturbs less.
 *
 *   compute_attention [SET]    scalar, avx2, avx512, …
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/random.h"
#include "kernels/kernels.h"

#define HEAD_DIM 128
#define STEP 256 /* positions at once, as the engine takes them */
#define BYTES ((size_t)64 << 20)
#define REPEATS 5

static struct {
	float queries[KERNEL_QUERIES_MAX * HEAD_DIM], scores[KERNEL_QUERIES_MAX * STEP];
	float values[KERNEL_QUERIES_MAX * HEAD_DIM];
} m;

static volatile uint64_t sink;

static double cpu_s(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int compare(const void *a, const void *b)
{
	const double *da = a, *db = b;

	return (*da > *db) - (*da < *db);
}

struct cache {
	const char *name;
	kernel_scores_fn *scores;
	kernel_mix_fn *mix;
	size_t step_bytes;
};

static void pass(const struct cache *c, const uint8_t *bytes, size_t n_q, bool keys)
{
	for (size_t at = 0; at + c->step_bytes <= BYTES; at += c->step_bytes) {
		if (keys)
			c->scores(bytes + at, STEP / KERNEL_CELLS, HEAD_DIM, m.queries, HEAD_DIM,
			    n_q, m.scores, STEP);
		else
			c->mix(bytes + at, STEP, HEAD_DIM, m.scores, STEP, n_q, m.values, HEAD_DIM);
	}
}

/* GB/s, the median of some passes. */
static double rate(const struct cache *c, const uint8_t *bytes, size_t n_q, bool keys)
{
	double s[REPEATS];

	for (size_t i = 0; i < REPEATS; i++) {
		double start = cpu_s();

		pass(c, bytes, n_q, keys);
		s[i] = cpu_s() - start;
	}
	qsort(s, REPEATS, sizeof(*s), compare);
	return (double)BYTES / s[REPEATS / 2] / 1e9;
}

static double read_rate(const struct kernels *kernels, const uint8_t *bytes)
{
	double s[REPEATS];

	for (size_t i = 0; i < REPEATS; i++) {
		double start = cpu_s();

		sink += kernels->read(bytes, BYTES);
		s[i] = cpu_s() - start;
	}
	qsort(s, REPEATS, sizeof(*s), compare);
	return (double)BYTES / s[REPEATS / 2] / 1e9;
}

static const struct kernels *set_named(const char *name)
{
	const struct kernels *sets[KERNEL_SETS_MAX];
	size_t n = kernels_sets(sets);

	for (size_t i = 0; name != NULL && i < n; i++) {
		if (strcmp(sets[i]->name, name) == 0)
			return sets[i];
	}
	return sets[0];
}

int main(int argc, char **argv)
{
	const struct kernels *k = set_named(argc > 1 ? argv[1] : NULL);
	const struct cache caches[] = {
		{ "f16", k->scores_f16, k->mix_f16, (size_t)STEP * HEAD_DIM * 2 },
		{ "q8_0", k->scores_q8, k->mix_q8, KERNEL_CACHE_Q8_BYTES((size_t)STEP * HEAD_DIM) },
		{ "f32", k->scores_f32, k->mix_f32, (size_t)STEP * HEAD_DIM * 4 },
	};
	static const size_t queries[] = { 1, 2, 4, 8 };
	uint8_t *bytes = malloc(BYTES);
	uint64_t state = 1;

	if (bytes == NULL)
		return 1;
	/* small numbers, read as 8, 16 or 32 bits */
	for (size_t i = 0; i < BYTES; i++)
		bytes[i] = (uint8_t)(random_next(&state) >> 40 & 0x3b);
	for (size_t i = 0; i < sizeof(m.queries) / sizeof(*m.queries); i++)
		m.queries[i] = (float)(random_next(&state) >> 40) * 0x1p-24f;
	(void)printf("kernels %s, one core, heads of %d; GB/s of cache\n", k->name, HEAD_DIM);
	(void)printf(
	    "%-6s %8s %8s %10s %10s\n", "cache", "queries", "keys", "values", "plain read");
	for (size_t c = 0; c < sizeof(caches) / sizeof(*caches); c++) {
		for (size_t q = 0; q < sizeof(queries) / sizeof(*queries); q++)
			(void)printf("%-6s %8zu %8.2f %10.2f %10.2f\n", caches[c].name, queries[q],
			    rate(&caches[c], bytes, queries[q], true),
			    rate(&caches[c], bytes, queries[q], false), read_rate(k, bytes));
	}
	free(bytes);
	return 0;
}
