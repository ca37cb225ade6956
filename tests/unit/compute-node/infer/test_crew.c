/* Crew: every unit once, stages in order, sleepers wake. */
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "infer/crew.h"
#include "infer/crew_spins.h"

#define UNITS 1000
#define STAGES 50

struct job {
	struct crew *crew;
	_Atomic uint32_t taken[STAGES][UNITS];
	_Atomic uint32_t early; /* units of a stage seen before the last one ended */
	_Atomic uint32_t runs;
	uint32_t rounds; /* how often each unit was taken when a stage has ended */
};

static void work(void *arg, unsigned thread)
{
	struct job *job = arg;

	(void)thread;
	job->runs++;
	for (size_t stage = 0; stage < STAGES; stage++) {
		for (size_t unit; (unit = crew_take(job->crew)) < UNITS;) {
			job->taken[stage][unit]++;
			if (stage > 0 && job->taken[stage - 1][UNITS - 1 - unit] != job->rounds)
				job->early++;
		}
		crew_barrier(job->crew);
	}
}

static void check(unsigned threads)
{
	struct job *job = calloc(1, sizeof(*job));
	struct errmsg why = ERRMSG_INIT;

	assert_non_null(job);
	assert_int_equal(crew_new(threads, &job->crew, &why), RC_OK);
	assert_int_equal(crew_size(job->crew), threads);
	job->rounds = 1;
	crew_run(job->crew, work, job);
	assert_int_equal(job->runs, threads);
	assert_int_equal(job->early, 0);
	for (size_t stage = 0; stage < STAGES; stage++) {
		for (size_t unit = 0; unit < UNITS; unit++)
			assert_int_equal(job->taken[stage][unit], 1);
	}
	crew_free(job->crew);
	free(job);
}

static void test_every_unit_is_taken_once_and_stages_do_not_overlap(void **unused)
{
	(void)unused;
	for (unsigned threads = 1; threads <= 5; threads++)
		check(threads);
}

static void count(void *arg, unsigned thread)
{
	struct job *job = arg;

	(void)thread;
	job->runs++;
}

static void test_many_short_runs_reach_every_thread(void **unused)
{
	struct job *job = calloc(1, sizeof(*job));
	struct errmsg why = ERRMSG_INIT;

	(void)unused;
	assert_non_null(job);
	assert_int_equal(crew_new(3, &job->crew, &why), RC_OK);
	for (uint32_t i = 1; i <= 2000; i++) {
		crew_run(job->crew, count, job);
		assert_int_equal(job->runs, 3 * i);
	}
	crew_free(job->crew);
	free(job);
}

/* The last thread comes when the others are through. */
static void run_late(void *arg, unsigned thread)
{
	struct job *job = arg;

	while (thread + 1 == crew_size(job->crew) && job->runs + 1 < crew_size(job->crew))
		(void)sched_yield();
	for (size_t stage = 0; stage < STAGES; stage++) {
		for (size_t unit; (unit = crew_take(job->crew)) < UNITS;) {
			job->taken[stage][unit]++;
			if (stage > 0 && job->taken[stage - 1][UNITS - 1 - unit] != job->rounds)
				job->early++;
		}
		crew_finish(job->crew);
	}
	job->runs++;
}

static void test_a_thread_that_holds_no_unit_holds_nobody_up(void **unused)
{
	(void)unused;
	for (unsigned threads = 2; threads <= 4; threads++) {
		struct job *job = calloc(1, sizeof(*job));
		struct errmsg why = ERRMSG_INIT;

		assert_non_null(job);
		assert_int_equal(crew_new(threads, &job->crew, &why), RC_OK);
		job->rounds = 1;
		crew_run(job->crew, run_late, job);
		job->rounds = 2;
		crew_run(job->crew, work, job); /* and both kinds of stages go together */
		assert_int_equal(job->early, 0);
		for (size_t stage = 0; stage < STAGES; stage++) {
			for (size_t unit = 0; unit < UNITS; unit++)
				assert_int_equal(job->taken[stage][unit], 2);
		}
		crew_free(job->crew);
		free(job);
	}
}

static void test_absurd_thread_counts_are_refused(void **unused)
{
	struct crew *crew = NULL;
	struct errmsg why = ERRMSG_INIT;

	(void)unused;
	assert_int_equal(crew_new(0, &crew, &why), RC_LIMIT);
	assert_int_equal(crew_new(CREW_THREADS_MAX + 1, &crew, &why), RC_LIMIT);
	assert_null(crew);
	assert_true(crew_cores() >= 1 && crew_cores() <= CREW_THREADS_MAX);
}

static void test_a_thread_looks_neither_too_often_nor_too_rarely(void **unused)
{
	(void)unused;
	for (unsigned spins = CREW_SPINS_MIN; spins <= CREW_SPINS_MAX; spins++) {
		assert_in_range(crew_spins_more(spins), spins, CREW_SPINS_MAX);
		assert_in_range(crew_spins_fewer(spins), CREW_SPINS_MIN, spins);
		assert_true(crew_spins_more(spins) > spins || spins == CREW_SPINS_MAX);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_unit_is_taken_once_and_stages_do_not_overlap),
		cmocka_unit_test(test_many_short_runs_reach_every_thread),
		cmocka_unit_test(test_a_thread_that_holds_no_unit_holds_nobody_up),
		cmocka_unit_test(test_absurd_thread_counts_are_refused),
		cmocka_unit_test(test_a_thread_looks_neither_too_often_nor_too_rarely),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
