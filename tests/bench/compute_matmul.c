/*
 * Weights times activations on one core, for each type: bytes of weights a
 * second with few rows (decode), and multiplications a second with many
 * (prefill), next to a plain read of the same memory in the same run.  And eight
 * rows with strips that two cores take in turns: how much faster it is to be told
 * which strip comes next.
 * CPU time is measured, so that a busy machine disturbs less.
 *
 *   compute_matmul [SET [TYPE...]]    scalar, avx2, avx512, avx512vnni, …; Q4_K …
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/random.h"
#include "gguf_build.h"
#include "kernels/kernels.h"
#include "model/gguf.h"

#define K 2048
#define FAR_BYTES ((size_t)192 << 20)
#define NEAR_BYTES ((size_t)384 << 10)
#define SOME 16 /* rows, of far memory */
#define TURNS 8 /* rows, with strips taken in turns */
#define X_MAX 256
#define REPEATS 5
#define READ_AHEAD ((size_t)16 << 10)
#define TYPES_MAX 32

static struct {
	float x[X_MAX * K], out[X_MAX * KERNEL_STRIP];
	int8_t quants[X_MAX * K];
	struct q8_block blocks[X_MAX * K / KERNEL_BLOCK];
	uint8_t strip[KERNEL_STRIP * K];
	float strip_scales[KERNEL_STRIP * K / KERNEL_BLOCK * KERNEL_FLOATS_MAX];
} m;

static volatile uint64_t sink;

static double cpu_s(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Which strips a core takes, and whether the kernel knows the next. */
enum order { IN_ORDER, IN_TURNS, IN_TURNS_TOLD };

static void multiply(const struct kernels *kernels, enum tensor_type type, const uint8_t *weights,
    size_t n_rows, size_t n_x, enum order order)
{
	const struct kernel_scratch scratch = { m.strip, m.strip_scales };
	const struct q8_rows rows = { m.quants, m.blocks, K };
	size_t row_bytes = type_row_bytes(type, K), step = order == IN_ORDER ? 1 : 2;

	for (size_t r = 0; r + KERNEL_STRIP <= n_rows; r += step * KERNEL_STRIP) {
		const uint8_t *at = weights + r * row_bytes;
		const struct weight_rows strip = { at, row_bytes, KERNEL_STRIP,
			at + (order == IN_TURNS_TOLD ? 2u : 1u) * KERNEL_STRIP * row_bytes };

		if (kernels->rows[type] != NULL)
			kernels->rows[type](
			    at, row_bytes, KERNEL_STRIP, m.x, K, n_x, K, m.out, KERNEL_STRIP);
		else
			kernels_multiply(
			    kernels, type, &strip, &rows, n_x, &scratch, m.out, KERNEL_STRIP);
	}
}

/* In order, a word of each cache line, fetched some pages ahead as the kernels
 * do: as fast as one core can have it. */
static void read_all(const uint8_t *bytes, size_t len)
{
	uint64_t sum = 0;

	for (size_t i = 0; i + 64 <= len; i += 64) {
		uint64_t word;

		__builtin_prefetch(bytes + i + READ_AHEAD);
		memcpy(&word, bytes + i, sizeof(word));
		sum += word;
	}
	sink += sum;
}

/* Numbers as a model has them: no exponent bytes of denormal products. */
static void make_sane(enum tensor_type type, uint8_t *weights)
{
	if (type != TYPE_MXFP4)
		return;
	for (size_t i = 0; i < FAR_BYTES; i += type_info(type)->block_bytes)
		weights[i] = 120;
}

static int compare(const void *a, const void *b)
{
	const double *da = a, *db = b;

	return (*da > *db) - (*da < *db);
}

static double median(double *values)
{
	qsort(values, REPEATS, sizeof(*values), compare);
	return values[REPEATS / 2];
}

/* Seconds of CPU to multiply `bytes` of weights, `times` over. */
static double measure(const struct kernels *kernels, enum tensor_type type, const uint8_t *weights,
    size_t bytes, size_t times, size_t n_x, enum order order)
{
	double start = cpu_s();

	for (size_t i = 0; i < times; i++)
		multiply(kernels, type, weights, bytes / type_row_bytes(type, K), n_x, order);
	return cpu_s() - start;
}

static void report(const struct kernels *kernels, enum tensor_type type, uint8_t *weights)
{
	double far[REPEATS], near[REPEATS], four[REPEATS], some[REPEATS], plain[REPEATS],
	    many[REPEATS], turns[REPEATS], told[REPEATS], start;
	size_t near_times = FAR_BYTES / NEAR_BYTES / 4;
	double weights_near =
	    (double)(NEAR_BYTES / type_row_bytes(type, K) / KERNEL_STRIP * KERNEL_STRIP * K);

	double weights_far = (double)(FAR_BYTES / type_row_bytes(type, K)) * K;

	make_sane(type, weights);
	for (size_t i = 0; i < REPEATS; i++) {
		start = cpu_s();
		read_all(weights, FAR_BYTES);
		plain[i] = cpu_s() - start;
		far[i] = measure(kernels, type, weights, FAR_BYTES, 1, 1, IN_ORDER);
		near[i] = measure(kernels, type, weights, NEAR_BYTES, near_times, 1, IN_ORDER);
		four[i] = measure(kernels, type, weights, FAR_BYTES, 1, 4, IN_ORDER);
		some[i] = measure(kernels, type, weights, FAR_BYTES / 4, 1, SOME, IN_ORDER);
		turns[i] = measure(kernels, type, weights, FAR_BYTES / 4, 1, TURNS, IN_TURNS);
		told[i] = measure(kernels, type, weights, FAR_BYTES / 4, 1, TURNS, IN_TURNS_TOLD);
		many[i] = measure(kernels, type, weights, NEAR_BYTES, 4, X_MAX, IN_ORDER);
	}
	(void)printf("%-8s %10.2f %10.2f %8.2f %10.2f %12.2f %8.1f %8.1f %14.2f\n",
	    type_info(type)->name, (double)FAR_BYTES / median(plain) / 1e9,
	    (double)FAR_BYTES / median(far) / 1e9, median(plain) / median(far),
	    (double)FAR_BYTES / median(four) / 1e9,
	    (double)(NEAR_BYTES * near_times) / median(near) / 1e9,
	    weights_far / 4 * SOME / median(some) / 1e9,
	    weights_near * 4 * X_MAX / median(many) / 1e9, median(turns) / median(told));
}

/* The best set of this CPU, or the one named. */
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

/* All types where none is named. */
static bool wanted(const char *name, int argc, char **argv)
{
	for (int i = 2; i < argc; i++) {
		if (strcmp(argv[i], name) == 0)
			return true;
	}
	return argc <= 2;
}

int main(int argc, char **argv)
{
	const struct kernels *kernels = set_named(argc > 1 ? argv[1] : NULL);
	uint8_t *weights = malloc(FAR_BYTES);
	uint64_t state = 1;

	if (weights == NULL)
		return 1;
	for (size_t i = 0; i < FAR_BYTES; i++)
		weights[i] = (uint8_t)(i * 2654435761u >> 13 & 0x3b); /* sane as any float */
	for (size_t i = 0; i < X_MAX * K; i++)
		m.x[i] = (float)(random_next(&state) >> 40) * 0x1p-23f - 1.0f;
	for (size_t t = 0; t < X_MAX; t++)
		kernels->quantize(
		    m.x + t * K, K, m.quants + t * K, m.blocks + t * K / KERNEL_BLOCK);
	(void)printf("kernels %s, one core, rows of %d; GB/s of weights\n", kernels->name, K);
	(void)printf("%-8s %10s %10s %8s %10s %12s %8s %8s %7s\n", "type", "plain read", "1 row",
	    "ratio", "4 rows", "1, in cache", "16 rows", "256: GMAC/s", "8, told");
	for (uint32_t t = 0; t <= TYPE_NUMBER_MAX; t++) {
		if (type_info(t) != NULL && kernels_form((enum tensor_type)t) != FORM_NONE &&
		    wanted(type_info(t)->name, argc, argv))
			report(kernels, (enum tensor_type)t, weights);
	}
	free(weights);
	return 0;
}
