/*
 * What tests of kernels begin with: random numbers from one seed, memory that shows where
 * nobody wrote, a pass of some rows.
 */
#ifndef SUPPORT_KERNEL_TEST_H
#define SUPPORT_KERNEL_TEST_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <vector>

extern "C" {
#include <cmocka.h>
}

#include "cuda/launch.h"

#define POISON_WORD 0x7fc01234u /* a NaN that no kernel comes to */

static uint64_t random_seed = 88172645463325252u;

/* Other numbers in each run; SEED says which. */
static inline void random_start()
{
	const char *said = getenv("SEED");

	random_seed = said != NULL ? strtoull(said, NULL, 0) : (uint64_t)time(NULL);
	print_message("SEED=%llu\n", (unsigned long long)random_seed);
}

/* 31 bits. */
static inline uint32_t random_word()
{
	random_seed = random_seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(random_seed >> 33);
}

/* In [-1, 1). */
static inline float random_float()
{
	return (float)((double)random_word() / 0x1p30 - 1.0);
}

static inline std::vector<float> random_floats(size_t n, float size = 1.0f)
{
	std::vector<float> v(n);

	for (float &x : v)
		x = random_float() * size;
	return v;
}

static inline std::vector<float> poison(size_t n)
{
	std::vector<float> v(n);
	const uint32_t word = POISON_WORD;

	for (float &x : v)
		memcpy(&x, &word, sizeof(x));
	return v;
}

static inline bool poisoned(float x)
{
	uint32_t word;

	memcpy(&word, &x, sizeof(word));
	return word == POISON_WORD;
}

/* Within `bound` of it, and of 1 where it is less. */
static inline void check_close(double got, double expected, double bound)
{
	if (!(fabs(got - expected) <= bound * (1 + fabs(expected))))
		fail_msg("%.9g instead of %.9g", got, expected);
}

/* On a device of so many multiprocessors. */
static inline struct cuda_pass pass_of(uint32_t n_rows, uint32_t units = 3)
{
	struct cuda_pass p = {};

	p.units = units;
	p.cc = 90;
	p.n_rows = n_rows;
	return p;
}

#endif
