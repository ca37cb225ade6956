/* Gate: nobody sleeps through an opening. */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "os/gate.h"

#define WAITERS 16
#define ROUNDS 500u

struct hall {
	struct gate gate;
	atomic_uint round;   /* what they wait for */
	atomic_uint arrived; /* of all rounds so far */
};

static void *wait_main(void *arg)
{
	struct hall *hall = arg;

	for (unsigned round = 1; round <= ROUNDS; round++) {
		for (;;) {
			unsigned seen = gate_look(&hall->gate);
			if (atomic_load(&hall->round) >= round)
				break;
			gate_wait(&hall->gate, seen);
		}
		atomic_fetch_add(&hall->arrived, 1);
	}
	return NULL;
}

static void test_every_waiter_passes_each_opening(void **state)
{
	(void)state;
	static struct hall hall;
	pthread_t waiters[WAITERS];

	for (size_t i = 0; i < WAITERS; i++)
		assert_int_equal(pthread_create(&waiters[i], NULL, wait_main, &hall), 0);
	for (unsigned round = 1; round <= ROUNDS; round++) {
		atomic_store(&hall.round, round);
		gate_open(&hall.gate);
		/* Whoever slept through it would be woken by the next. */
		while (atomic_load(&hall.arrived) != WAITERS * round)
			(void)sched_yield();
	}
	for (size_t i = 0; i < WAITERS; i++)
		assert_int_equal(pthread_join(waiters[i], NULL), 0);
	assert_int_equal(atomic_load(&hall.arrived), WAITERS * ROUNDS);
	assert_int_equal(gate_look(&hall.gate), ROUNDS);
}

static void test_a_gate_that_was_opened_since_lets_pass_at_once(void **state)
{
	(void)state;
	struct gate gate = { 0 };
	unsigned seen = gate_look(&gate);

	gate_open(&gate);
	gate_wait(&gate, seen); /* would hang */
	assert_int_not_equal(gate_look(&gate), seen);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_waiter_passes_each_opening),
		cmocka_unit_test(test_a_gate_that_was_opened_since_lets_pass_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
