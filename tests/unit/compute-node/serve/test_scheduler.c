/* The scheduler, round by round, over an engine without arithmetic: answers,
 * credit, full peers, cancels, queue, fairness, resume. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "scheduler_fixture.h"

static void test_an_answer_is_started_streamed_in_order_and_done(void **state)
{
	(void)state;
	submit_ok(&(struct ask){ .id = 1, .prompt_seed = 3, .prompt_len = 20, .max_tokens = 10 });
	run_until_idle();
	const struct seen *seen = &world.seen[1];
	assert_true(seen->started && seen->done);
	assert_int_equal(seen->len, 10);
	assert_int_equal(seen->end.finish, WIRE_FINISH_LENGTH);
	assert_int_equal(seen->end.prompt_tokens, 20);
	assert_int_equal(seen->end.generated_tokens, 10);
	assert_true(fake.rows_most <= FAKE_UBATCH);
	assert_int_equal(fake.rows_all, 20 + 9);
	assert_true(all_zero());
}

static void test_answers_together_are_what_each_is_alone(void **state)
{
	(void)state;
	struct seen alone[12];
	for (uint32_t round = 0; round < 2; round++) {
		for (uint32_t i = 0; i < 12; i++) {
			submit_ok(&(struct ask){ .id = i,
			    .prompt_seed = i,
			    .prompt_len = 1 + i * 7,
			    .max_tokens = 1 + (i * 5) % 23,
			    .temperature = i % 2 == 0 ? 0.0F : 1.0F });
			if (round == 0)
				run_until_idle();
		}
		run_until_idle();
		for (uint32_t i = 0; i < 12; i++) {
			assert_true(world.seen[i].done);
			assert_int_equal(world.seen[i].len, 1 + (i * 5) % 23);
			if (round == 1)
				assert_memory_equal(
				    world.seen[i].ids, alone[i].ids, sizeof(alone[i].ids));
		}
		memcpy(alone, world.seen, sizeof(alone));
		memset(world.seen, 0, sizeof(world.seen));
	}
	assert_true(all_zero());
}

/* Some need whole rows: a few candidates do not always have the share that is asked for. */
static void test_answers_from_shortlists_are_those_from_whole_rows(void **state)
{
	(void)state;
	struct seen whole[12];
	for (uint32_t round = 0; round < 2; round++) {
		for (uint32_t i = 0; i < 12; i++) {
			submit_ok(&(struct ask){ .id = i,
			    .prompt_seed = i,
			    .prompt_len = 1 + i * 7,
			    .max_tokens = 9,
			    .temperature = i % 3 == 0 ? 0.0F : 1.0F,
			    .top_p = i % 3 == 1 ? 0.15F : 0.0F });
		}
		run_until_idle();
		for (uint32_t i = 0; i < 12; i++) {
			assert_int_equal(world.seen[i].len, 9);
			if (round == 1)
				assert_memory_equal(
				    world.seen[i].ids, whole[i].ids, sizeof(whole[i].ids));
		}
		memcpy(whole, world.seen, sizeof(whole));
		memset(world.seen, 0, sizeof(world.seen));
		fake.n_short = 3;
	}
	assert_in_range(fake.fetches, 1, 4 * 9 - 1);
	assert_true(all_zero());
}

static void test_a_long_prompt_never_costs_a_running_answer_a_round(void **state)
{
	(void)state;
	submit_ok(&(struct ask){ .id = 1, .prompt_seed = 1, .prompt_len = 4, .max_tokens = 60 });
	while (world.seen[1].len < 3)
		step();
	submit_ok(&(struct ask){ .id = 2, .prompt_seed = 2, .prompt_len = 100, .max_tokens = 2 });
	while (world.seen[2].len == 0) {
		size_t before = world.seen[1].len;

		step();
		assert_int_equal(world.seen[1].len, before + 1);
		assert_true(fake.rows_most <= FAKE_UBATCH);
	}
}

static void test_two_prompts_share_the_rows_of_a_round(void **state)
{
	(void)state;
	submit_ok(&(struct ask){ .id = 1, .prompt_seed = 1, .prompt_len = 100, .max_tokens = 1 });
	submit_ok(&(struct ask){ .id = 2, .prompt_seed = 2, .prompt_len = 12, .max_tokens = 1 });
	while (!world.seen[2].done)
		step();
	assert_false(world.seen[1].done);
	run_until_idle();
	assert_true(world.seen[1].done);
}

static void test_a_job_rests_without_credit_and_others_go_on(void **state)
{
	(void)state;
	submit_ok(&(struct ask){
	    .id = 1, .prompt_seed = 1, .prompt_len = 5, .max_tokens = 9, .credit = 2 });
	submit_ok(&(struct ask){ .id = 2, .prompt_seed = 2, .prompt_len = 5, .max_tokens = 30 });
	submit_ok(&(struct ask){
	    .id = 3, .prompt_seed = 3, .prompt_len = 5, .max_tokens = 2, .no_credit = true });
	run_until_idle();
	assert_int_equal(world.seen[1].len, 2);
	assert_int_equal(world.seen[2].len, 30);
	assert_true(world.seen[2].done);
	assert_true(world.seen[3].started);
	assert_int_equal(world.seen[3].len, 0);
	scheduler_credit(sched, 1, 1, 3);
	scheduler_credit(sched, 2, 1, 50); /* another peer's: no effect */
	run_until_idle();
	assert_int_equal(world.seen[1].len, 5);
	scheduler_credit(sched, 1, 1, 4);
	scheduler_credit(sched, 1, 3, 2);
	run_until_idle();
	assert_int_equal(world.seen[1].len, 9);
	assert_true(world.seen[1].done && world.seen[3].done);
}

static void test_no_token_is_lost_when_the_wire_is_full_again_and_again(void **state)
{
	(void)state;
	uint32_t alone[20];
	submit_ok(&(struct ask){ .id = 1, .prompt_seed = 1, .prompt_len = 5, .max_tokens = 20 });
	run_until_idle();
	memcpy(alone, world.seen[1].ids, sizeof(alone));
	submit_ok(&(struct ask){ .id = 2, .prompt_seed = 1, .prompt_len = 5, .max_tokens = 20 });
	for (int i = 0; i < 400 && !world.seen[2].done; i++) {
		world.answer = i % 3 == 0 ? RC_OK : RC_AGAIN;
		step();
	}
	assert_true(world.seen[2].done);
	assert_memory_equal(world.seen[2].ids, alone, sizeof(alone));
}

static void test_a_cancel_ends_the_answer_within_two_tokens_and_wipes_it(void **state)
{
	(void)state;
	submit_ok(&(struct ask){ .id = 1, .prompt_seed = 1, .prompt_len = 5, .max_tokens = 90 });
	while (world.seen[1].len < 4)
		step();
	scheduler_cancel(sched, 2, 1); /* another peer's cancel */
	step();
	assert_false(world.seen[1].done);
	size_t before = world.seen[1].len;
	scheduler_cancel(sched, 1, 1);
	run_until_idle();
	assert_true(world.seen[1].done);
	assert_int_equal(world.seen[1].end.finish, WIRE_FINISH_CANCELLED);
	assert_true(world.seen[1].len <= before + 2);
	assert_true(all_zero());
}

static void test_a_cancel_reaches_a_job_that_still_waits(void **state)
{
	(void)state;
	for (uint32_t i = 1; i <= FAKE_SEQS + 1; i++)
		submit_ok(
		    &(struct ask){ .id = i, .prompt_seed = i, .prompt_len = 5, .max_tokens = 40 });
	step();
	assert_false(world.seen[FAKE_SEQS + 1].started);
	scheduler_cancel(sched, 1, FAKE_SEQS + 1);
	step();
	assert_true(world.seen[FAKE_SEQS + 1].done);
	assert_int_equal(world.seen[FAKE_SEQS + 1].end.finish, WIRE_FINISH_CANCELLED);
}

static void test_a_lost_peer_takes_its_jobs_and_caches_with_it(void **state)
{
	(void)state;
	open_lease(5);
	submit_ok(&(struct ask){
	    .id = 1, .prompt_seed = 1, .prompt_len = 5, .max_tokens = 4, .lease = 5 });
	run_until_idle();
	assert_false(all_zero());
	submit_ok(&(struct ask){ .id = 2, .prompt_seed = 2, .prompt_len = 5, .max_tokens = 90 });
	while (world.seen[2].len < 2)
		step();
	scheduler_peer_gone(sched, 1);
	run_until_idle();
	assert_false(world.seen[2].done);
	assert_true(all_zero());
	struct wire_load load;
	scheduler_get_load(sched, &load);
	assert_int_equal(load.active + load.queued, 0);
}

static void test_a_full_queue_says_busy_and_keeps_room_for_other_keys(void **state)
{
	(void)state;
	struct fault fault;
	enum rc rc = RC_OK;
	uint64_t id = 0;
	while (rc == RC_OK && id < 40)
		rc = submit(&(struct ask){ .id = id++, .prompt_len = 3, .max_tokens = 2 }, &fault);
	assert_int_equal(rc, RC_BUSY);
	assert_int_equal(fault.code, WIRE_ERROR_BUSY);
	assert_int_equal(id, 13); /* three quarters of 16 and the refused one */
	submit_ok(
	    &(struct ask){ .id = 50, .peer = 2, .key = key_b, .prompt_len = 3, .max_tokens = 2 });
	run_until_idle();
	assert_true(world.seen[50].done);
	for (uint64_t i = 0; i + 1 < id; i++)
		assert_true(world.seen[i].done);
	submit_ok(&(struct ask){ .id = 51, .prompt_len = 3, .max_tokens = 2 });
}

static void test_waiting_past_its_ttl_is_a_timeout_and_running_is_not(void **state)
{
	(void)state;
	for (uint32_t i = 1; i <= FAKE_SEQS; i++)
		submit_ok(&(struct ask){
		    .id = i, .prompt_seed = i, .prompt_len = 5, .max_tokens = 100, .ttl_ms = 10 });
	submit_ok(&(struct ask){ .id = 20, .prompt_len = 5, .max_tokens = 2, .ttl_ms = 50 });
	step();
	world.now_ns += 60 * NS_PER_MS;
	step();
	assert_true(world.seen[20].failed);
	assert_int_equal(world.seen[20].code, WIRE_ERROR_TIMEOUT);
	run_until_idle();
	for (uint32_t i = 1; i <= FAKE_SEQS; i++)
		assert_true(world.seen[i].done);
}

static void test_the_key_with_fewer_running_jobs_comes_first(void **state)
{
	(void)state;
	for (uint32_t i = 1; i <= FAKE_SEQS + 3; i++)
		submit_ok(&(struct ask){
		    .id = i, .prompt_seed = i, .prompt_len = 3, .max_tokens = 20 + i });
	step();
	submit_ok(
	    &(struct ask){ .id = 30, .peer = 2, .key = key_b, .prompt_len = 3, .max_tokens = 2 });
	while (!world.seen[30].started)
		step();
	assert_false(world.seen[FAKE_SEQS + 1].started);
	run_until_idle();
}

static void test_unknown_models_leases_and_used_ids_are_refused(void **state)
{
	(void)state;
	struct fault fault;
	assert_int_equal(submit(&(struct ask){ .id = 1, .prompt_len = 3, .model = "none" }, &fault),
	    RC_NOTFOUND);
	assert_int_equal(fault.code, WIRE_ERROR_NO_MODEL);
	assert_int_equal(
	    submit(&(struct ask){ .id = 1, .prompt_len = 3, .lease = 9 }, &fault), RC_DENIED);
	assert_int_equal(fault.code, WIRE_ERROR_NO_LEASE);
	open_lease(9);
	assert_int_equal(
	    submit(&(struct ask){ .id = 1, .prompt_len = 3, .lease = 9, .peer = 2, .key = key_b },
		&fault),
	    RC_DENIED);
	assert_int_equal(fault.code, WIRE_ERROR_NO_LEASE);
	submit_ok(&(struct ask){ .id = 1, .prompt_len = 3, .max_tokens = 2 });
	assert_int_equal(
	    submit(&(struct ask){ .id = 1, .prompt_len = 3, .max_tokens = 2 }, &fault), RC_INVALID);
	assert_int_equal(fault.code, WIRE_ERROR_INVALID);
	run_until_idle();
}

static void test_what_does_not_fit_the_context_is_refused_with_both_numbers(void **state)
{
	(void)state;
	struct fault fault;
	assert_int_equal(
	    submit(&(struct ask){ .id = 1, .prompt_len = 100, .max_tokens = FAKE_CTX - 100 + 1 },
		&fault),
	    RC_CONTEXT);
	assert_int_equal(fault.code, WIRE_ERROR_CONTEXT);
	assert_int_equal(fault.context, FAKE_CTX);
	assert_int_equal(fault.needed, FAKE_CTX + 1);
	assert_int_equal(
	    submit(&(struct ask){ .id = 1, .prompt_len = FAKE_CTX }, &fault), RC_CONTEXT);
	assert_int_equal(fault.needed, FAKE_CTX + 1);
	submit_ok(&(struct ask){ .id = 1, .prompt_len = 100, .max_tokens = FAKE_CTX - 100 });
	submit_ok(&(struct ask){ .id = 2, .prompt_len = 100 }); /* up to the context */
	run_until_idle();
	assert_int_equal(world.seen[1].len, FAKE_CTX - 100);
	assert_int_equal(world.seen[2].len, FAKE_CTX - 100);
	assert_int_equal(world.seen[2].end.finish, WIRE_FINISH_LENGTH);
}

static void test_an_engine_that_fails_is_an_error_and_leaves_nothing(void **state)
{
	(void)state;
	log_set_level((enum log_level) - 1); /* the failure is meant */
	submit_ok(&(struct ask){ .id = 1, .prompt_seed = 4, .prompt_len = 20, .max_tokens = 9 });
	while (world.seen[1].len < 3)
		step();
	fake.fail = RC_BUG;
	run_until_idle();
	assert_true(world.seen[1].failed);
	assert_int_equal(world.seen[1].code, WIRE_ERROR_INTERNAL);
	assert_true(all_zero());
	submit_ok(&(struct ask){ .id = 2, .prompt_seed = 4, .prompt_len = 20, .max_tokens = 9 });
	run_until_idle();
	assert_true(world.seen[2].done);
}

/* What is logged on the way to rest: so many lines with `id`. */
static size_t lines_until_idle(const char *id)
{
	char line[4096];
	FILE *kept = tmpfile();
	int saved = dup(STDERR_FILENO);
	size_t n = 0;

	assert_true(kept != NULL && saved >= 0);
	assert_int_equal(dup2(fileno(kept), STDERR_FILENO), STDERR_FILENO);
	run_until_idle();
	assert_int_equal(dup2(saved, STDERR_FILENO), STDERR_FILENO);
	(void)close(saved);
	rewind(kept);
	while (fgets(line, sizeof(line), kept) != NULL)
		n += strstr(line, id) != NULL;
	(void)fclose(kept);
	return n;
}

/* A share of 0.9 is more than three candidates have. */
static void test_a_row_that_cannot_be_had_whole_fails_its_answer_alone_and_is_logged(void **state)
{
	(void)state;
	fake.n_short = 3;
	fake.fetch_fail = RC_BUG;
	for (uint64_t i = 1; i <= 2; i++)
		submit_ok(&(struct ask){ .id = i,
		    .prompt_seed = 4,
		    .prompt_len = 3,
		    .max_tokens = 9,
		    .temperature = 1.0F,
		    .top_p = 0.9F });
	assert_int_equal(lines_until_idle(" SERVE-ENGINE model=fake rc=bug rows=1"), 1);
	assert_true(world.seen[1].failed != world.seen[2].failed);
	assert_true(world.seen[1].done != world.seen[2].done);
	assert_int_equal(world.seen[world.seen[1].failed ? 1 : 2].code, WIRE_ERROR_INTERNAL);
	assert_true(all_zero());
}

/* The process ends, so a child is given to it. */
static void test_a_lost_device_ends_the_worker_without_a_word(void **state)
{
	const struct backend_api device = { .name = "lost" };
	int status = 0;
	pid_t child;

	(void)state;
	log_set_level((enum log_level) - 1); /* the failure is meant */
	submit_ok(&(struct ask){ .id = 1, .prompt_seed = 4, .prompt_len = 20, .max_tokens = 9 });
	while (world.seen[1].len < 3)
		step();
	child = fork();
	if (child == 0) {
		fleet.models[0].config.backend = &device;
		fake.fail = RC_IO;
		run_until_idle();
		_exit(EXIT_DONE); /* it went on */
	}
	assert_true(child > 0 && waitpid(child, &status, 0) == child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), EXIT_FAILED);
	/* The CPU's engine is not lost: an error as any other. */
	fake.fail = RC_IO;
	run_until_idle();
	assert_true(world.seen[1].failed);
}

static void test_an_answer_nobody_takes_is_ended(void **state)
{
	(void)state;
	submit_ok(&(struct ask){
	    .id = 1, .prompt_seed = 4, .prompt_len = 20, .max_tokens = 9, .credit = 1 });
	run_until_idle();
	assert_false(world.seen[1].failed);
	world.now_ns += 101 * NS_PER_S;
	run_until_idle();
	assert_true(world.seen[1].failed);
	assert_int_equal(world.seen[1].code, WIRE_ERROR_TIMEOUT);
	assert_true(all_zero());
	/* A peer that takes nothing at all is let go in silence. */
	submit_ok(&(struct ask){ .id = 2, .prompt_seed = 4, .prompt_len = 20, .max_tokens = 9 });
	world.answer = RC_AGAIN;
	run_until_idle();
	world.now_ns += 101 * NS_PER_S;
	run_until_idle();
	world.now_ns += 201 * NS_PER_S;
	run_until_idle();
	struct wire_load load;
	scheduler_get_load(sched, &load);
	assert_int_equal(load.active + load.queued, 0);
	assert_true(all_zero());
}

static void test_an_answer_resumed_at_any_token_ends_the_same(void **state)
{
	(void)state;
	uint32_t prompt[33];
	fill_prompt(8, 33, prompt);
	for (uint32_t warm = 0; warm < 2; warm++) {
		struct ask whole = { .id = 1,
			.prompt_ids = prompt,
			.prompt_ids_len = 33,
			.max_tokens = 25,
			.temperature = warm == 0 ? 0.0F : 1.3F };

		memset(world.seen, 0, sizeof(world.seen));
		submit_ok(&whole);
		run_until_idle();
		const struct seen first = world.seen[1];
		for (uint32_t cut = 0; cut <= 25; cut++) {
			struct ask rest = whole;

			memset(&world.seen[2], 0, sizeof(world.seen[2]));
			rest.id = 2;
			rest.generated_ids = first.ids;
			rest.generated_ids_len = cut;
			submit_ok(&rest);
			run_until_idle();
			const struct seen *seen = &world.seen[2];
			assert_true(seen->started && seen->done);
			assert_int_equal(seen->len, 25 - cut);
			if (cut < 25)
				assert_int_equal(seen->first, cut);
			assert_memory_equal(
			    seen->ids, first.ids + cut, (25 - cut) * sizeof(first.ids[0]));
			assert_int_equal(seen->end.generated_tokens, 25);
			assert_int_equal(seen->end.finish, WIRE_FINISH_LENGTH);
		}
	}
}

static void test_ending_the_scheduler_wipes_what_runs(void **state)
{
	(void)state;
	open_lease(5);
	for (uint64_t i = 1; i <= FAKE_SEQS + 2; i++)
		submit_ok(&(struct ask){ .id = i,
		    .prompt_seed = 4,
		    .prompt_len = 20,
		    .max_tokens = 50,
		    .lease = i == 1 ? 5 : 0 });
	for (int i = 0; i < 20; i++)
		step();
	assert_false(all_zero());
	scheduler_free(sched);
	sched = NULL;
	assert_true(all_zero());
}

static void test_a_resting_answer_makes_room_for_those_who_wait_and_goes_on_the_same(void **state)
{
	(void)state;
	uint32_t alone[30];
	submit_ok(&(struct ask){ .id = 9, .prompt_seed = 1, .prompt_len = 20, .max_tokens = 30 });
	run_until_idle();
	memcpy(alone, world.seen[9].ids, sizeof(alone));
	for (uint32_t i = 1; i <= FAKE_SEQS; i++)
		submit_ok(&(struct ask){
		    .id = i, .prompt_seed = 1, .prompt_len = 20, .max_tokens = 30, .credit = 3 });
	run_until_idle();
	submit_ok(&(struct ask){ .id = 20, .prompt_seed = 7, .prompt_len = 20, .max_tokens = 9 });
	run_until_idle();
	assert_false(world.seen[20].started); /* they have not rested for long */
	world.now_ns += 3 * NS_PER_S;
	run_until_idle();
	assert_true(world.seen[20].done);
	for (uint32_t i = 1; i <= FAKE_SEQS; i++) {
		assert_int_equal(world.seen[i].len, 3);
		scheduler_credit(sched, 1, i, 100);
	}
	run_until_idle();
	for (uint32_t i = 1; i <= FAKE_SEQS; i++) {
		assert_true(world.seen[i].done);
		assert_int_equal(world.seen[i].len, 30);
		assert_memory_equal(world.seen[i].ids, alone, sizeof(alone));
	}
	assert_true(all_zero());
}

static void test_a_resting_answer_can_be_cancelled_and_stalls_out(void **state)
{
	(void)state;
	for (uint32_t i = 1; i <= FAKE_SEQS; i++)
		submit_ok(&(struct ask){
		    .id = i, .prompt_seed = i, .prompt_len = 20, .max_tokens = 30, .credit = 3 });
	run_until_idle();
	world.now_ns += 3 * NS_PER_S;
	for (uint32_t i = 20; i < 20 + FAKE_SEQS; i++)
		submit_ok(
		    &(struct ask){ .id = i, .prompt_seed = i, .prompt_len = 20, .max_tokens = 9 });
	run_until_idle();
	for (uint32_t i = 20; i < 20 + FAKE_SEQS; i++)
		assert_true(world.seen[i].done);
	scheduler_cancel(sched, 1, 1);
	run_until_idle();
	assert_int_equal(world.seen[1].end.finish, WIRE_FINISH_CANCELLED);
	world.now_ns += 101 * NS_PER_S;
	run_until_idle();
	for (uint32_t i = 2; i <= FAKE_SEQS; i++)
		assert_int_equal(world.seen[i].code, WIRE_ERROR_TIMEOUT);
	assert_true(all_zero());
	struct wire_load load;
	scheduler_get_load(sched, &load);
	assert_int_equal(load.active + load.queued, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		UNIT(test_an_answer_is_started_streamed_in_order_and_done),
		UNIT(test_answers_together_are_what_each_is_alone),
		UNIT(test_answers_from_shortlists_are_those_from_whole_rows),
		UNIT(test_a_long_prompt_never_costs_a_running_answer_a_round),
		UNIT(test_two_prompts_share_the_rows_of_a_round),
		UNIT(test_a_job_rests_without_credit_and_others_go_on),
		UNIT(test_no_token_is_lost_when_the_wire_is_full_again_and_again),
		UNIT(test_a_cancel_ends_the_answer_within_two_tokens_and_wipes_it),
		UNIT(test_a_cancel_reaches_a_job_that_still_waits),
		UNIT(test_a_lost_peer_takes_its_jobs_and_caches_with_it),
		UNIT(test_a_full_queue_says_busy_and_keeps_room_for_other_keys),
		UNIT(test_waiting_past_its_ttl_is_a_timeout_and_running_is_not),
		UNIT(test_the_key_with_fewer_running_jobs_comes_first),
		UNIT(test_unknown_models_leases_and_used_ids_are_refused),
		UNIT(test_what_does_not_fit_the_context_is_refused_with_both_numbers),
		UNIT(test_an_engine_that_fails_is_an_error_and_leaves_nothing),
		UNIT(test_a_row_that_cannot_be_had_whole_fails_its_answer_alone_and_is_logged),
		UNIT(test_a_lost_device_ends_the_worker_without_a_word),
		UNIT(test_a_resting_answer_makes_room_for_those_who_wait_and_goes_on_the_same),
		UNIT(test_a_resting_answer_can_be_cancelled_and_stalls_out),
		UNIT(test_an_answer_nobody_takes_is_ended),
		UNIT(test_an_answer_resumed_at_any_token_ends_the_same),
		UNIT(test_ending_the_scheduler_wipes_what_runs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
