/*
 * Adapters in the scheduler: an answer ends with what it began with, its lease stays open
 * under it, and nobody begins while an adapter changes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sodium.h>
#include <stdio.h>
#include <unistd.h>

#include "adapter_build.h"
#include "model/adapter.h"
#include "model/model.h"
#include "scheduler_fixture.h"
#include "serve/scheduler_impl.h"
#include "tiny_gguf.h"

#define LEASE 5
#define N_ANSWER 30
#define PLACES 4 /* for the adapter below, that the space has */

static struct model *file; /* adapters are checked against it: its arithmetic is fake */
static uint8_t *bytes;     /* an adapter */
static size_t bytes_len;

static int setup_adapters(void **state)
{
	const struct adapter_build how = { .seed = 3, .rank = 4, .type = TYPE_F16, .named = true };
	struct scheduler_config config;
	char path[64];

	if (setup(state) != 0)
		return -1;
	scheduler_free(sched);
	(void)snprintf(path, sizeof(path), "/tmp/test_scheduler_adapter.%d", (int)getpid());
	if (tiny_gguf_write(path, &(struct tiny_gguf){ .seed = 1 }, NULL) != RC_OK ||
	    model_open(path, &file, NULL) != RC_OK)
		return -1;
	(void)unlink(path);
	bytes = adapter_build(file, &how, &bytes_len);
	const size_t place = bytes_len + ADAPTER_ALIGN + adapter_table_bytes(file);
	fleet.models[0].model = file;
	fleet.models[0].config.adapters = true;
	fleet.adapter_bytes =
	    PLACES * ((place + ADAPTER_ALIGN - 1) / ADAPTER_ALIGN * ADAPTER_ALIGN);
	config = (struct scheduler_config){ .fleet = &fleet,
		.queue_max = 16,
		.stall_ns = 100 * NS_PER_S,
		.lease_idle_ns = 50 * NS_PER_S,
		.short_of_memory = &memory_short,
		.send = keep_message,
		.reply = keep_reply };
	return scheduler_new(&config, &sched, NULL) == RC_OK ? 0 : -1;
}

static int teardown_adapters(void **state)
{
	int rc = teardown(state);

	free(bytes);
	model_close(file);
	return rc;
}

/* Bytes from … to - 1 of the adapter. */
static enum rc put_part(const uint8_t *key, uint8_t id, size_t from, size_t to)
{
	struct message message = {
		.kind = MESSAGE_ADAPTER_PUT, .has_lease = true, .lease_id = { id }
	};
	struct wire_adapter_put *put = &message.u.adapter_put;
	struct wire_adapter_state answer;

	*put = (struct wire_adapter_put){ .total_bytes = bytes_len,
		.offset = from,
		.chunk = bytes + from,
		.chunk_len = to - from };
	assert_int_equal(
	    crypto_generichash(put->content_hash, WIRE_HASH_BYTES, bytes, bytes_len, NULL, 0), 0);
	enum rc rc = scheduler_adapter(sched, key, &message, &answer, NULL);
	assert_true(rc != RC_OK || answer.active == (to == bytes_len));
	return rc;
}

static enum rc put(const uint8_t *key, uint8_t id)
{
	return put_part(key, id, 0, bytes_len);
}

static struct ask under_lease(uint64_t id, uint32_t credit)
{
	return (struct ask){ .id = id,
		.prompt_seed = 4,
		.prompt_len = 20,
		.max_tokens = N_ANSWER,
		.credit = credit,
		.lease = LEASE };
}

static void ask_under_lease(uint64_t id, uint32_t credit)
{
	const struct ask ask = under_lease(id, credit);

	submit_ok(&ask);
}

static bool any_adapted(void)
{
	bool any = false;

	for (uint32_t s = 0; s < FAKE_SEQS; s++)
		any = any || fake.adapters[s] != NULL;
	return any;
}

static struct lease *the_lease(void)
{
	const uint8_t id[WIRE_LEASE_BYTES] = { LEASE };

	return lease_find(&sched->leases, id, key_a);
}

/* Answer 1 with two tokens sent and no credit, and its sequence given to others. */
static void bring_to_rest(void)
{
	ask_under_lease(1, 2);
	run_until_idle();
	world.now_ns += REST_NS;
	for (uint64_t id = 11; id < 11 + FAKE_SEQS; id++)
		submit_ok(&(struct ask){
		    .id = id, .prompt_seed = (uint32_t)id, .prompt_len = 9, .max_tokens = 10 });
	run_until_idle();
	for (uint64_t id = 11; id < 11 + FAKE_SEQS; id++)
		assert_true(world.seen[id].done);
	assert_int_equal(world.seen[1].len, 2);
}

static void expect_whole(uint64_t id)
{
	assert_true(world.seen[id].done);
	assert_int_equal(world.seen[id].end.finish, WIRE_FINISH_LENGTH);
	assert_int_equal(world.seen[id].len, N_ANSWER);
}

/* What would close an idle lease comes over `id`, which then gets credit. */
static void outlast(uint64_t id, bool short_of_memory)
{
	if (short_of_memory)
		atomic_store(&memory_short, true);
	else
		world.now_ns += 60 * NS_PER_S;
	step();
	step();
	assert_false(world.seen[id].done);
	assert_non_null(the_lease());
	scheduler_credit(sched, 1, id, 1000);
	while (world.seen[id].len < 5)
		step();
	assert_true(any_adapted());
	run_until_idle();
	expect_whole(id);
	world.now_ns += 60 * NS_PER_S;
	run_until_idle(); /* and then it closes */
	assert_null(the_lease());
	assert_true(all_zero());
}

static void outlast_beside(bool short_of_memory)
{
	open_lease(LEASE);
	assert_int_equal(put(key_a, LEASE), RC_OK);
	ask_under_lease(1, 0);
	ask_under_lease(2, 2);
	run_until_idle();
	expect_whole(1);
	outlast(2, short_of_memory);
}

static void test_a_lease_does_not_idle_under_an_answer_beside_its_own(void **state)
{
	(void)state;
	outlast_beside(false);
}

static void test_a_short_host_leaves_a_lease_under_an_answer_beside_its_own(void **state)
{
	(void)state;
	outlast_beside(true);
}

static void outlast_resting(bool short_of_memory)
{
	open_lease(LEASE);
	assert_int_equal(put(key_a, LEASE), RC_OK);
	bring_to_rest();
	assert_false(any_adapted());
	outlast(1, short_of_memory);
}

static void test_a_lease_does_not_idle_under_an_answer_that_rests(void **state)
{
	(void)state;
	outlast_resting(false);
}

static void test_a_short_host_leaves_a_lease_under_an_answer_that_rests(void **state)
{
	(void)state;
	outlast_resting(true);
}

static void test_what_began_without_an_adapter_goes_on_without(void **state)
{
	(void)state;
	open_lease(LEASE);
	bring_to_rest();
	assert_int_equal(put(key_a, LEASE), RC_OK);
	scheduler_credit(sched, 1, 1, 1000);
	while (world.seen[1].len < N_ANSWER - 1) {
		step();
		assert_false(any_adapted());
	}
	run_until_idle();
	expect_whole(1);
	ask_under_lease(2, 0);
	while (world.seen[2].len < 2)
		step();
	assert_true(any_adapted());
	run_until_idle();
	expect_whole(2);
}

static void test_nobody_begins_while_the_adapter_changes(void **state)
{
	(void)state;
	open_lease(LEASE);
	struct lease *lease = the_lease();
	ask_under_lease(1, 0);
	assert_non_null(scheduler_next(sched, &sched->lanes[0]));
	lease->adapter.working = true; /* one is wiped for another */
	step();
	assert_false(world.seen[1].started);
	lease->adapter.working = false;
	/* Between a look at the queue and the seats. */
	lease->adapter.state = LEASE_ADAPTER_ARRIVING;
	assert_null(scheduler_next(sched, &sched->lanes[0]));
	lease->adapter.state = LEASE_ADAPTER_NONE;
	assert_int_equal(put(key_a, LEASE), RC_OK);
	step();
	assert_true(any_adapted());
	run_until_idle();
	expect_whole(1);
	ask_under_lease(2, 0);
	lease_close(lease);
	assert_null(scheduler_next(sched, &sched->lanes[0]));
	run_until_idle();
	assert_true(world.seen[2].failed);
	assert_int_equal(world.seen[2].code, WIRE_ERROR_NO_LEASE);
}

static void test_one_key_leaves_a_quarter_of_the_space_to_others(void **state)
{
	struct wire_lease_state answer;
	struct fault fault;
	bool has_answer = false;

	(void)state;
	for (uint8_t id = 1; id <= PLACES; id++) {
		open_lease(id);
		assert_int_equal(put(key_a, id), id < PLACES ? RC_OK : RC_BUDGET);
	}
	assert_int_equal(
	    lease_message(MESSAGE_LEASE_OPEN, 9, key_b, 2, &answer, &has_answer, &fault), RC_OK);
	assert_int_equal(put(key_b, 9), RC_OK);
	assert_int_equal(put(key_a, 1), RC_OK); /* in place of its own */
}

static void test_a_host_short_of_memory_takes_no_adapter_and_keeps_what_came(void **state)
{
	(void)state;
	open_lease(LEASE);
	assert_int_equal(put_part(key_a, LEASE, 0, 500), RC_OK);
	atomic_store(&memory_short, true);
	assert_int_equal(put_part(key_a, LEASE, 500, bytes_len), RC_BUSY);
	atomic_store(&memory_short, false);
	assert_int_equal(put_part(key_a, LEASE, 500, bytes_len), RC_OK);
}

#define ADAPTERS(name) cmocka_unit_test_setup_teardown(name, setup_adapters, teardown_adapters)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ADAPTERS(test_a_lease_does_not_idle_under_an_answer_beside_its_own),
		ADAPTERS(test_a_short_host_leaves_a_lease_under_an_answer_beside_its_own),
		ADAPTERS(test_a_lease_does_not_idle_under_an_answer_that_rests),
		ADAPTERS(test_a_short_host_leaves_a_lease_under_an_answer_that_rests),
		ADAPTERS(test_what_began_without_an_adapter_goes_on_without),
		ADAPTERS(test_nobody_begins_while_the_adapter_changes),
		ADAPTERS(test_one_key_leaves_a_quarter_of_the_space_to_others),
		ADAPTERS(test_a_host_short_of_memory_takes_no_adapter_and_keeps_what_came),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
