/*
 * A model that cannot come: those that waited for it are told, and what was there
 * before goes on.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "model/model.h"
#include "scheduler_fixture.h"
#include "serve/scheduler_impl.h"
#include "tiny_gguf.h"

#define OWN_BYTES 10 /* of each model; the budget holds one */
#define MODELS 3     /* the last is there beside the others: it takes nothing */

static struct model_info infos[MODELS];
static struct model *file; /* that both are of: its arithmetic is fake */

static int setup_models(size_t n)
{
	static const char *const names[MODELS] = { "fake", "other", "third" };
	struct scheduler_config config;
	char path[64];

	if (setup(NULL) != 0)
		return -1;
	scheduler_free(sched);
	(void)snprintf(path, sizeof(path), "/tmp/test_scheduler_swap.%d", (int)getpid());
	if (tiny_gguf_write(path, &(struct tiny_gguf){ .seed = 1 }, NULL) != RC_OK ||
	    model_open(path, &file, NULL) != RC_OK)
		return -1;
	(void)unlink(path);
	fleet =
	    (struct fleet){ .n = n, .budget_bytes = 2 * OWN_BYTES - 1, .planned_bytes = OWN_BYTES };
	for (size_t i = 0; i < n; i++) {
		infos[i] = info;
		infos[i].name = names[i];
		fleet.models[i] = (struct served_model){ .model = file,
			.info = &infos[i],
			.numerics_id = "fake",
			.cache_type = "f16",
			.config = fake.config,
			.plan = { .cache_bytes = i < 2 ? OWN_BYTES : 0 } };
		if (i == 1)
			continue;
		fleet.models[i].engine = &engine;
		fleet.models[i].present = true;
		fake.engines++;
	}
	config = (struct scheduler_config){ .fleet = &fleet,
		.queue_max = 16,
		.stall_ns = 100 * NS_PER_S,
		.lease_idle_ns = 50 * NS_PER_S,
		.send = keep_message,
		.reply = keep_reply };
	return scheduler_new(&config, &sched, NULL) == RC_OK ? 0 : -1;
}

static int setup_two(void **state)
{
	(void)state;
	return setup_models(2);
}

static int setup_three(void **state)
{
	(void)state;
	return setup_models(3);
}

static int teardown_models(void **state)
{
	int rc = teardown(state);

	model_close(file);
	return rc;
}

static void ask_of(uint64_t id, const char *model)
{
	const struct ask ask = { .id = id,
		.prompt_seed = (uint32_t)id,
		.prompt_len = 9,
		.max_tokens = 5,
		.model = model };

	submit_ok(&ask);
}

static void expect_present(bool first)
{
	assert_int_equal(fleet.models[0].present, first);
	assert_int_equal(fleet.models[1].present, !first);
	assert_int_equal(fleet.planned_bytes, OWN_BYTES);
	assert_int_equal(fake.engines, 1);
}

static void test_what_waits_is_told_and_the_model_before_is_back(void **state)
{
	(void)state;
	open_lease(1);
	ask_of(1, "fake");
	ask_of(2, "other");
	ask_of(3, "other");
	fake.new_fails = 1;
	run_until_idle();
	assert_true(world.seen[1].done);
	assert_true(world.seen[2].failed && world.seen[3].failed);
	assert_int_equal(world.seen[2].code, WIRE_ERROR_MEMORY);
	expect_present(true);
	world.now_ns += MODEL_RETRY_NS;
	ask_of(4, "fake");
	ask_of(5, "other"); /* this time it can */
	run_until_idle();
	assert_true(world.seen[4].done && world.seen[5].done);
	expect_present(false);
	assert_true(all_zero());
}

static void test_a_model_that_could_not_come_is_not_tried_for_each_request(void **state)
{
	(void)state;
	open_lease(1);
	submit_ok(&(struct ask){ .id = 1,
	    .prompt_seed = 1,
	    .prompt_len = 9,
	    .max_tokens = 5,
	    .lease = 1,
	    .model = "fake" });
	run_until_idle();
	ask_of(2, "other");
	fake.new_fails = 1;
	run_until_idle();
	assert_int_equal(fake.tries, 2); /* and the one before is back */
	submit_ok(&(struct ask){ .id = 3,
	    .prompt_seed = 1,
	    .prompt_len = 9,
	    .max_tokens = 5,
	    .lease = 1,
	    .model = "fake" });
	run_until_idle();
	for (uint64_t id = 4; id < 9; id++) {
		ask_of(id, "other");
		run_until_idle();
		assert_true(world.seen[id].failed);
		assert_int_equal(world.seen[id].code, WIRE_ERROR_MEMORY);
	}
	assert_int_equal(fake.tries, 2);
	expect_present(true);
	assert_false(all_zero()); /* what the lease holds stays, too */
	world.now_ns += MODEL_RETRY_NS;
	ask_of(9, "other");
	run_until_idle();
	assert_true(world.seen[9].done);
	assert_int_equal(fake.tries, 3);
}

static void test_a_model_that_had_not_to_go_computes_before_it_goes(void **state)
{
	(void)state;
	sched->lanes[2].fresh = true;
	sched->lanes[2].used_ns = world.now_ns + NS_PER_S; /* the other goes first */
	ask_of(1, "other");
	fake.new_fails = 1;
	run_until_idle();
	assert_true(world.seen[1].failed);
	assert_true(sched->lanes[2].fresh);
	assert_false(sched->lanes[0].fresh);
}

/* All of it is set up in the process that ends: threads do not come along with a fork, and the
 * locks they hold at that moment do. */
static void test_with_nothing_left_the_process_ends(void **state)
{
	int status = 0;

	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		if (setup_two(state) != 0)
			_exit(0);
		log_set_level(LOG_LEVEL_ERROR);
		(void)close(STDERR_FILENO);
		ask_of(1, "other");
		fake.new_fails = 2;
		for (int i = 0; i < 100; i++)
			step();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == EXIT_FAILED);
}

static void test_what_comes_later_waits_for_the_model_that_was_asked_for(void **state)
{
	const struct ask held = {
		.id = 1, .prompt_seed = 1, .prompt_len = 9, .max_tokens = 30, .model = "fake"
	};

	(void)state;
	submit_ok(&held);
	step();
	ask_of(2, "other");
	step();
	ask_of(3, "fake");
	for (int i = 0; i < 1000 && !world.seen[2].done; i++)
		step();
	assert_true(world.seen[1].done && world.seen[2].done);
	assert_false(world.seen[3].started);
	run_until_idle();
	assert_true(world.seen[3].done);
	expect_present(true);
}

static void test_a_model_that_nobody_waits_for_any_more_stays_away(void **state)
{
	const struct ask held = {
		.id = 1, .prompt_seed = 1, .prompt_len = 9, .max_tokens = 30, .model = "fake"
	};

	(void)state;
	submit_ok(&held);
	step();
	ask_of(2, "other");
	step();
	scheduler_cancel(sched, 1, 2);
	ask_of(3, "fake");
	run_until_idle();
	assert_true(world.seen[1].done && world.seen[3].done);
	assert_true(world.seen[2].done);
	assert_int_equal(world.seen[2].end.finish, WIRE_FINISH_CANCELLED);
	expect_present(true);
}

#define TWO(name) cmocka_unit_test_setup_teardown(name, setup_two, teardown_models)
#define THREE(name) cmocka_unit_test_setup_teardown(name, setup_three, teardown_models)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TWO(test_what_waits_is_told_and_the_model_before_is_back),
		TWO(test_a_model_that_could_not_come_is_not_tried_for_each_request),
		THREE(test_a_model_that_had_not_to_go_computes_before_it_goes),
		cmocka_unit_test(test_with_nothing_left_the_process_ends),
		TWO(test_what_comes_later_waits_for_the_model_that_was_asked_for),
		TWO(test_a_model_that_nobody_waits_for_any_more_stays_away),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
