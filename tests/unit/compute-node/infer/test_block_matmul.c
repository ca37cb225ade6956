/* Matrices shared out to the crew: every strip once, and none kept from a thread that waits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "infer/block.h"
#include "infer/pass.h"
#include "kernels/kernels.h"
#include "model/model_impl.h"

#define K 8
#define STRIPS 40
#define THREADS 3
#define PATIENCE_NS (10 * NS_PER_S)

static float weights[STRIPS * KERNEL_STRIP * K], x[K], out[STRIPS * KERNEL_STRIP];
static _Atomic uint32_t inside, together, multiplied[STRIPS];
static atomic_bool alone; /* waited in vain */

/* Waits, for a while, until `together` strips are being multiplied at once. */
static void count(const uint8_t *rows, size_t row_bytes, size_t n_rows, const float *x_rows,
    size_t x_stride, size_t n_x, size_t k, float *sums, size_t out_stride)
{
	int64_t until_ns = clock_mono_ns() + PATIENCE_NS;

	(void)n_rows;
	(void)x_rows;
	(void)x_stride;
	(void)n_x;
	(void)k;
	(void)sums;
	(void)out_stride;
	multiplied[(size_t)(rows - (const uint8_t *)weights) / row_bytes / KERNEL_STRIP]++;
	inside++;
	while (inside < together && !alone)
		alone = clock_mono_ns() > until_ns;
}

static void run(void *arg, unsigned thread)
{
	struct worker *workers = arg;
	const struct gguf_tensor weight = { .type = TYPE_F32,
		.dims = { K, (uint64_t)workers[thread].row[0] * KERNEL_STRIP, 1, 1 },
		.data = (const uint8_t *)weights };
	const struct product product = { .weight = &weight, .out = out };
	const struct acts in = { .f32 = x, .n_rows = 1 };

	block_matmul(&workers[thread], &product, 1, &in);
}

static void multiply(unsigned threads, size_t strips)
{
	struct kernels kernels = { .name = "test" };
	struct pass pass = { .kernels = &kernels };
	struct worker workers[THREADS] = { 0 };
	float n = (float)strips;

	kernels.rows[TYPE_F32] = count;
	assert_int_equal(crew_new(threads, &pass.crew, NULL), RC_OK);
	for (unsigned i = 0; i < threads; i++)
		workers[i] = (struct worker){ .pass = &pass, .thread = i, .row = &n };
	for (size_t i = 0; i < STRIPS; i++)
		multiplied[i] = 0;
	inside = 0;
	alone = false;
	crew_run(pass.crew, run, workers);
	crew_free(pass.crew);
}

static void test_every_strip_is_multiplied_once(void **state)
{
	(void)state;
	together = 0;
	for (unsigned threads = 1; threads <= THREADS; threads++) {
		for (size_t strips = 1; strips <= STRIPS; strips++) {
			multiply(threads, strips);
			for (size_t i = 0; i < STRIPS; i++)
				assert_int_equal(multiplied[i], i < strips ? 1 : 0);
		}
	}
}

/* One thread takes no second strip while there is one for each. */
static void test_few_strips_are_multiplied_by_as_many_threads(void **state)
{
	(void)state;
	for (unsigned n = 1; n <= THREADS; n++) {
		together = n;
		multiply(THREADS, n);
		assert_int_equal(inside, n);
		assert_false(alone);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_strip_is_multiplied_once),
		cmocka_unit_test(test_few_strips_are_multiplied_by_as_many_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
