/* Leases in the scheduler: prefix reuse, who may, when they are wiped. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "scheduler_fixture.h"

static void test_a_lease_reuses_the_longest_common_prefix(void **state)
{
	(void)state;
	uint32_t prompt[40];
	open_lease(5);
	fill_prompt(9, 40, prompt);
	for (uint64_t i = 1; i <= 3; i++) {
		struct ask ask = { .id = i,
			.prompt_ids = prompt,
			.prompt_ids_len = 40,
			.max_tokens = 6,
			.lease = i < 3 ? 5 : 0 };

		if (i == 2)
			prompt[30] = (prompt[30] + 1) % FAKE_VOCAB; /* differs from here on */
		submit_ok(&ask);
		run_until_idle();
		assert_true(world.seen[i].done);
	}
	assert_int_equal(world.seen[1].cached_tokens, 0);
	assert_int_equal(world.seen[2].cached_tokens, 30);
	assert_int_equal(world.seen[3].cached_tokens, 0);
	assert_memory_equal(world.seen[2].ids, world.seen[3].ids, sizeof(world.seen[2].ids));
}

static void test_the_whole_prompt_again_computes_its_last_token_only(void **state)
{
	(void)state;
	open_lease(5);
	struct ask ask = {
		.id = 1, .prompt_seed = 4, .prompt_len = 20, .max_tokens = 1, .lease = 5
	};
	submit_ok(&ask);
	run_until_idle();
	uint32_t rows = fake.rows_all;
	ask.id = 2;
	submit_ok(&ask);
	run_until_idle();
	assert_int_equal(world.seen[2].cached_tokens, 19);
	assert_int_equal(fake.rows_all, rows + 1);
	assert_int_equal(world.seen[2].ids[0], world.seen[1].ids[0]);
}

static void test_a_state_that_cannot_go_back_is_computed_anew(void **state)
{
	(void)state;
	fake.recurrent = true;
	open_lease(5);
	struct ask ask = {
		.id = 1, .prompt_seed = 4, .prompt_len = 20, .max_tokens = 5, .lease = 5
	};
	submit_ok(&ask);
	run_until_idle();
	ask.id = 2;
	submit_ok(&ask);
	run_until_idle();
	assert_int_equal(world.seen[2].cached_tokens, 0);
	assert_memory_equal(world.seen[2].ids, world.seen[1].ids, sizeof(world.seen[1].ids));
}

static void test_two_jobs_of_one_lease_run_beside_each_other(void **state)
{
	(void)state;
	open_lease(5);
	for (uint64_t i = 1; i <= 2; i++)
		submit_ok(&(struct ask){
		    .id = i, .prompt_seed = 4, .prompt_len = 20, .max_tokens = 15, .lease = 5 });
	run_until_idle();
	assert_true(world.seen[1].done && world.seen[2].done);
	assert_memory_equal(world.seen[2].ids, world.seen[1].ids, sizeof(world.seen[1].ids));
	uint32_t held = 0;
	for (uint32_t s = 0; s < FAKE_SEQS; s++)
		held += fake.len[s] != 0;
	assert_int_equal(held, 1);
}

static void test_closing_a_lease_wipes_it_before_the_answer(void **state)
{
	(void)state;
	struct wire_lease_state answer;
	struct fault fault;
	bool has_answer = true;
	open_lease(5);
	submit_ok(&(struct ask){
	    .id = 1, .prompt_seed = 4, .prompt_len = 20, .max_tokens = 5, .lease = 5 });
	run_until_idle();
	assert_int_equal(
	    lease_message(MESSAGE_LEASE_CLOSE, 5, key_b, 2, &answer, &has_answer, &fault),
	    RC_DENIED);
	assert_false(all_zero());
	assert_int_equal(
	    lease_message(MESSAGE_LEASE_CLOSE, 5, key_a, 1, &answer, &has_answer, &fault), RC_OK);
	assert_false(has_answer);
	assert_int_equal(world.lease_states, 0);
	run_until_idle();
	assert_int_equal(world.lease_states, 1);
	assert_true(all_zero());
	assert_int_equal(
	    lease_message(MESSAGE_LEASE_RENEW, 5, key_a, 1, &answer, &has_answer, &fault),
	    RC_DENIED);
	open_lease(5);
}

static void test_closing_a_lease_cancels_what_runs_under_it(void **state)
{
	(void)state;
	struct wire_lease_state answer;
	struct fault fault;
	bool has_answer = true;
	open_lease(5);
	submit_ok(&(struct ask){
	    .id = 1, .prompt_seed = 4, .prompt_len = 20, .max_tokens = 90, .lease = 5 });
	while (world.seen[1].len < 3)
		step();
	assert_int_equal(
	    lease_message(MESSAGE_LEASE_CLOSE, 5, key_a, 1, &answer, &has_answer, &fault), RC_OK);
	run_until_idle();
	assert_int_equal(world.seen[1].end.finish, WIRE_FINISH_CANCELLED);
	assert_int_equal(world.lease_states, 1);
	assert_true(all_zero());
}

static void test_an_idle_lease_is_wiped_and_a_running_one_is_not(void **state)
{
	(void)state;
	struct fault fault;
	open_lease(5);
	submit_ok(&(struct ask){
	    .id = 1, .prompt_seed = 4, .prompt_len = 20, .max_tokens = 80, .lease = 5 });
	while (world.seen[1].len < 3)
		step();
	world.now_ns += 60 * NS_PER_S; /* past the idle time, but busy */
	run_until_idle();
	assert_int_equal(world.seen[1].end.finish, WIRE_FINISH_LENGTH);
	assert_false(all_zero());
	world.now_ns += 51 * NS_PER_S;
	run_until_idle();
	assert_true(all_zero());
	assert_int_equal(
	    submit(&(struct ask){ .id = 2, .prompt_len = 3, .lease = 5 }, &fault), RC_DENIED);
}

static void test_a_cancel_under_a_lease_wipes_its_cache(void **state)
{
	(void)state;
	open_lease(5);
	submit_ok(&(struct ask){
	    .id = 1, .prompt_seed = 4, .prompt_len = 20, .max_tokens = 90, .lease = 5 });
	while (world.seen[1].len < 3)
		step();
	scheduler_cancel(sched, 1, 1);
	run_until_idle();
	assert_true(all_zero());
	submit_ok(&(struct ask){
	    .id = 2, .prompt_seed = 4, .prompt_len = 20, .max_tokens = 2, .lease = 5 });
	run_until_idle();
	assert_int_equal(world.seen[2].cached_tokens, 0);
}

static void test_idle_leases_give_their_sequence_up_oldest_first(void **state)
{
	(void)state;
	for (uint8_t i = 1; i <= FAKE_SEQS; i++) {
		open_lease(i);
		submit_ok(&(struct ask){
		    .id = i, .prompt_seed = i, .prompt_len = 20, .max_tokens = 2, .lease = i });
		run_until_idle();
	}
	/* No sequence is free; the first lease was used longest ago. */
	submit_ok(&(struct ask){ .id = 20, .prompt_seed = 50, .prompt_len = 5, .max_tokens = 2 });
	run_until_idle();
	assert_true(world.seen[20].done);
	for (uint8_t i = FAKE_SEQS; i >= 1; i--) {
		submit_ok(&(struct ask){ .id = 20 + i,
		    .prompt_seed = i,
		    .prompt_len = 20,
		    .max_tokens = 2,
		    .lease = i });
		run_until_idle();
		assert_int_equal(world.seen[20 + i].cached_tokens, i == 1 ? 0 : 19);
		assert_memory_equal(
		    world.seen[20 + i].ids, world.seen[i].ids, sizeof(world.seen[i].ids));
	}
}

static void test_a_host_short_of_memory_takes_nothing_new_and_keeps_no_idle_lease(void **state)
{
	(void)state;
	struct fault fault;
	struct wire_lease_state answer;
	bool has_answer;
	open_lease(1);
	submit_ok(&(struct ask){
	    .id = 1, .prompt_seed = 3, .prompt_len = 20, .max_tokens = 2, .lease = 1 });
	run_until_idle();
	assert_false(all_zero());
	submit_ok(&(struct ask){ .id = 2, .prompt_seed = 4, .prompt_len = 20, .max_tokens = 30 });
	step();
	step();
	atomic_store(&memory_short, true);
	assert_int_equal(
	    submit(&(struct ask){ .id = 3, .prompt_seed = 5, .prompt_len = 4, .max_tokens = 2 },
		&fault),
	    RC_BUSY);
	assert_int_equal(fault.code, WIRE_ERROR_BUSY);
	assert_int_equal(
	    lease_message(MESSAGE_LEASE_OPEN, 2, key_a, 1, &answer, &has_answer, &fault), RC_BUSY);
	assert_int_equal(fault.code, WIRE_ERROR_BUSY);
	run_until_idle();
	assert_true(world.seen[2].done); /* what ran goes on to its end */
	assert_int_equal(world.seen[2].len, 30);
	assert_true(all_zero());
	assert_int_equal(
	    lease_message(MESSAGE_LEASE_RENEW, 1, key_a, 1, &answer, &has_answer, &fault),
	    RC_DENIED);
	atomic_store(&memory_short, false);
	submit_ok(&(struct ask){ .id = 4, .prompt_seed = 5, .prompt_len = 4, .max_tokens = 2 });
	run_until_idle();
	assert_true(world.seen[4].done);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		UNIT(test_a_lease_reuses_the_longest_common_prefix),
		UNIT(test_the_whole_prompt_again_computes_its_last_token_only),
		UNIT(test_a_state_that_cannot_go_back_is_computed_anew),
		UNIT(test_two_jobs_of_one_lease_run_beside_each_other),
		UNIT(test_closing_a_lease_wipes_it_before_the_answer),
		UNIT(test_closing_a_lease_cancels_what_runs_under_it),
		UNIT(test_an_idle_lease_is_wiped_and_a_running_one_is_not),
		UNIT(test_a_cancel_under_a_lease_wipes_its_cache),
		UNIT(test_idle_leases_give_their_sequence_up_oldest_first),
		UNIT(test_a_host_short_of_memory_takes_nothing_new_and_keeps_no_idle_lease),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
