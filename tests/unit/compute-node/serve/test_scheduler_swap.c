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
#include "tiny_gguf.h"

#define OWN_BYTES 10 /* of each model; the budget holds one */

static struct model_info infos[2];
static struct model *file; /* that both are of: its arithmetic is fake */

static int setup_two(void **state)
{
	static const char *const names[] = { "fake", "other" };
	struct scheduler_config config;
	char path[64];

	if (setup(state) != 0)
		return -1;
	scheduler_free(sched);
	(void)snprintf(path, sizeof(path), "/tmp/test_scheduler_swap.%d", (int)getpid());
	if (tiny_gguf_write(path, &(struct tiny_gguf){ .seed = 1 }, NULL) != RC_OK ||
	    model_open(path, &file, NULL) != RC_OK)
		return -1;
	(void)unlink(path);
	fleet =
	    (struct fleet){ .n = 2, .budget_bytes = 2 * OWN_BYTES - 1, .planned_bytes = OWN_BYTES };
	for (size_t i = 0; i < 2; i++) {
		infos[i] = info;
		infos[i].name = names[i];
		fleet.models[i] = (struct served_model){ .model = file,
			.info = &infos[i],
			.numerics_id = "fake",
			.cache_type = "f16",
			.config = fake.config,
			.plan = { .cache_bytes = OWN_BYTES } };
	}
	fleet.models[0].engine = &engine;
	fleet.models[0].present = true;
	fake.engines = 1;
	config = (struct scheduler_config){ .fleet = &fleet,
		.queue_max = 16,
		.stall_ns = 100 * NS_PER_S,
		.lease_idle_ns = 50 * NS_PER_S,
		.send = keep_message,
		.reply = keep_reply };
	return scheduler_new(&config, &sched, NULL) == RC_OK ? 0 : -1;
}

static int teardown_two(void **state)
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
	ask_of(4, "fake");
	ask_of(5, "other"); /* this time it can */
	run_until_idle();
	assert_true(world.seen[4].done && world.seen[5].done);
	expect_present(false);
	assert_true(all_zero());
}

static void test_with_nothing_left_the_process_ends(void **state)
{
	int status = 0;

	(void)state;
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
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

#define TWO(name) cmocka_unit_test_setup_teardown(name, setup_two, teardown_two)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TWO(test_what_waits_is_told_and_the_model_before_is_back),
		TWO(test_with_nothing_left_the_process_ends),
		TWO(test_what_comes_later_waits_for_the_model_that_was_asked_for),
		TWO(test_a_model_that_nobody_waits_for_any_more_stays_away),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
