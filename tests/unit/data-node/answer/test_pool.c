/*
 * The pool: names, limits, what it knows of its nodes and when, and requests
 * that are in flight while nodes come and go.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "rig.h"

#include "answer/call.h"
#include "answer/count.h"
#include "base/log.h"

static void test_pool_refuses_bad_names_addresses_and_doubles(void **state)
{
	(void)state;
	struct rig rig;
	char name[POOL_NAME_BYTES_MAX + 1];
	struct errmsg why = ERRMSG_INIT;
	const uint8_t *key = rig.keys.public_key;
	rig_open(&rig, NULL, 0);
	assert_int_equal(pool_add(rig.pool, "", "tcp://127.0.0.1:9", key, NULL), RC_INVALID);
	assert_int_equal(pool_add(rig.pool, "a b", "tcp://127.0.0.1:9", key, NULL), RC_INVALID);
	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	assert_int_equal(pool_add(rig.pool, name, "tcp://127.0.0.1:9", key, NULL), RC_INVALID);
	assert_int_equal(pool_add(rig.pool, "a", "http://x", key, &why), RC_INVALID);
	assert_true(why.text[0] != '\0');
	/* A refused one leaves no trace: its name is free. */
	assert_int_equal(pool_add(rig.pool, "a", "tcp://127.0.0.1:9", key, NULL), RC_OK);
	assert_int_equal(pool_add(rig.pool, "a", "tcp://127.0.0.1:9", key, NULL), RC_EXISTS);
	assert_int_equal(pool_remove(rig.pool, "b"), RC_NOTFOUND);
	assert_int_equal(pool_remove(rig.pool, "a"), RC_OK);
	assert_int_equal(pool_remove(rig.pool, "a"), RC_NOTFOUND);
	rig_close(&rig);
}

static void test_pool_holds_no_more_than_its_limit(void **state)
{
	(void)state;
	struct rig rig;
	rig_open(&rig, NULL, 0);
	for (size_t i = 0; i <= POOL_NODES_MAX; i++) {
		char name[16];
		(void)snprintf(name, sizeof(name), "n%zu", i);
		enum rc rc =
		    pool_add(rig.pool, name, "tcp://127.0.0.1:9", rig.keys.public_key, NULL);
		assert_int_equal(rc, i < POOL_NODES_MAX ? RC_OK : RC_LIMIT);
	}
	rig_close(&rig);
}

static void test_pool_remembers_what_a_node_that_is_away_could_do(void **state)
{
	(void)state;
	struct fake_script script = fake_script_default();
	struct rig rig;
	struct arena arena;
	struct pool_node *nodes = NULL;
	size_t len = 0;
	rig_open(&rig, &script, 1);
	assert_true(pool_serves(rig.pool, "tiny"));
	assert_true(pool_serves(rig.pool, NULL));
	assert_false(pool_serves(rig.pool, "other"));
	fake_compute_kill(&rig.nodes[0]);
	int64_t deadline = clock_mono_ns() + RIG_DEADLINE_NS;
	while (pool_serves(rig.pool, "tiny")) {
		assert_true(clock_mono_ns() < deadline);
		(void)usleep(1000);
	}
	arena_init(&arena, (size_t)1 << 20);
	assert_int_equal(pool_list(rig.pool, &arena, &nodes, &len), RC_OK);
	assert_int_equal(len, 1);
	assert_int_not_equal(nodes[0].state, WIRE_LINK_UP);
	assert_int_equal(nodes[0].models_len, 1);
	assert_string_equal(nodes[0].models[0].name, "tiny");
	assert_string_equal(nodes[0].models[0].numerics_id, "cpu/fake/1");
	assert_string_equal(nodes[0].models[0].cache_type, "f16");
	assert_int_equal(nodes[0].models[0].content_hash[0], 1);
	assert_int_equal(nodes[0].models[0].context, 4096);
	assert_string_equal(nodes[0].name, "node1");
	arena_fini(&arena);
	rig_close(&rig);
}

static void *start_later(void *node)
{
	fake_compute_start(node);
	return NULL;
}

static void test_pool_wait_ends_when_a_node_comes_up_or_time_is_over(void **state)
{
	(void)state;
	struct fake_script script = fake_script_default();
	struct rig rig;
	pthread_t thread;
	rig_open(&rig, &script, 0);
	assert_false(pool_wait(rig.pool, "tiny", NS_PER_MS));
	rig_add(&rig, &script);
	assert_true(pool_wait(rig.pool, "tiny", RIG_DEADLINE_NS));
	fake_compute_kill(&rig.nodes[0]);
	assert_int_equal(pthread_create(&thread, NULL, start_later, &rig.nodes[0]), 0);
	assert_true(pool_wait(rig.pool, NULL, RIG_DEADLINE_NS));
	assert_int_equal(pthread_join(thread, NULL), 0);
	rig_close(&rig);
}

static void ignore_message(void *ctx, const struct message *message)
{
	(void)ctx;
	(void)message;
}

static void note_down(void *ctx, enum rc reason)
{
	(void)reason;
	__atomic_add_fetch((unsigned *)ctx, 1, __ATOMIC_SEQ_CST);
}

static void test_pool_spreads_requests_over_equal_nodes(void **state)
{
	(void)state;
	struct fake_script scripts[3] = { fake_script_default(), fake_script_default(),
		fake_script_default() };
	struct rig rig;
	unsigned downs = 0;
	const struct call_handler handler = {
		.ctx = &downs,
		.message = ignore_message,
		.down = note_down,
	};
	const struct call_want want = { .model = "tiny" };
	struct call *calls[6];
	unsigned used[4] = { 0 };
	rig_open(&rig, scripts, 3);
	for (size_t i = 0; i < 6; i++) {
		assert_int_equal(call_open(rig.pool, &want, &handler, &calls[i]), RC_OK);
		used[call_node(calls[i])]++;
	}
	assert_int_equal(used[1], 2);
	assert_int_equal(used[2], 2);
	assert_int_equal(used[3], 2);
	for (size_t i = 0; i < 6; i++)
		call_close(calls[i]);
	assert_int_equal(downs, 0);
	rig_close(&rig);
}

static void test_call_hears_once_that_its_node_was_removed(void **state)
{
	(void)state;
	struct fake_script script = fake_script_default();
	struct rig rig;
	unsigned downs = 0;
	const struct call_handler handler = {
		.ctx = &downs,
		.message = ignore_message,
		.down = note_down,
	};
	const struct call_want want = { .model = "tiny" };
	struct call *call = NULL;
	struct message message = { .kind = MESSAGE_CREDIT, .u.credit = 1 };
	rig_open(&rig, &script, 1);
	assert_int_equal(call_open(rig.pool, &want, &handler, &call), RC_OK);
	assert_int_equal(call_send(call, &message), RC_OK);
	assert_int_equal(pool_remove(rig.pool, "node1"), RC_OK);
	assert_int_equal(__atomic_load_n(&downs, __ATOMIC_SEQ_CST), 1);
	assert_int_equal(call_send(call, &message), RC_CLOSED);
	call_cancel(rig.pool, call_node(call), call_request(call));
	call_close(call);
	struct call *none = NULL;
	assert_int_equal(call_open(rig.pool, &want, &handler, &none), RC_UNAVAILABLE);
	rig_close(&rig);
}

static void test_count_asks_the_node_and_does_not_wait_for_a_dumb_one(void **state)
{
	(void)state;
	struct fake_script script = fake_script_default();
	struct rig rig;
	const struct count_text texts[2] = { { "eight by", 8 }, { "", 0 } };
	uint32_t tokens[2] = { 9, 9 };
	rig_open(&rig, &script, 0);
	assert_int_equal(
	    count_tokens(rig.pool, "tiny", texts, 2, RIG_DEADLINE_NS, tokens), RC_UNAVAILABLE);
	rig_add(&rig, &script);
	rig_await_up(&rig, 1);
	assert_int_equal(count_tokens(rig.pool, "tiny", texts, 2, RIG_DEADLINE_NS, tokens), RC_OK);
	assert_int_equal(tokens[0], 4);
	assert_int_equal(tokens[1], 0);
	script.mute_tokenize = true;
	fake_compute_set(&rig.nodes[0], &script);
	assert_int_equal(
	    count_tokens(rig.pool, "tiny", texts, 2, 20 * NS_PER_MS, tokens), RC_TIMEOUT);
	assert_int_equal(count_estimate(0), 1);
	assert_int_equal(count_estimate(400), 101);
	rig_close(&rig);
}

static void *count_often(void *ctx)
{
	struct rig *rig = ctx;
	const struct count_text text = { "four", 4 };

	for (size_t i = 0; i < 200; i++) {
		uint32_t tokens = 0;
		enum rc rc = count_tokens(rig->pool, NULL, &text, 1, NS_PER_S, &tokens);
		if (rc != RC_OK && rc != RC_UNAVAILABLE && rc != RC_CLOSED && rc != RC_TIMEOUT)
			return ctx;
	}
	return NULL;
}

static void test_pool_survives_removal_and_return_of_a_node_in_use(void **state)
{
	(void)state;
	struct fake_script script = fake_script_default();
	struct rig rig;
	pthread_t threads[4];
	rig_open(&rig, &script, 1);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, count_often, &rig), 0);
	for (size_t i = 0; i < 10; i++) {
		assert_int_equal(pool_remove(rig.pool, "node1"), RC_OK);
		assert_int_equal(pool_add(rig.pool, "node1", rig.nodes[0].address,
				     rig.nodes[0].keys.public_key, NULL),
		    RC_OK);
		assert_true(pool_wait(rig.pool, NULL, RIG_DEADLINE_NS));
	}
	for (size_t i = 0; i < 4; i++) {
		void *failed = NULL;
		assert_int_equal(pthread_join(threads[i], &failed), 0);
		assert_null(failed);
	}
	rig_close(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pool_refuses_bad_names_addresses_and_doubles),
		cmocka_unit_test(test_pool_holds_no_more_than_its_limit),
		cmocka_unit_test(test_pool_remembers_what_a_node_that_is_away_could_do),
		cmocka_unit_test(test_pool_wait_ends_when_a_node_comes_up_or_time_is_over),
		cmocka_unit_test(test_pool_spreads_requests_over_equal_nodes),
		cmocka_unit_test(test_call_hears_once_that_its_node_was_removed),
		cmocka_unit_test(test_count_asks_the_node_and_does_not_wait_for_a_dumb_one),
		cmocka_unit_test(test_pool_survives_removal_and_return_of_a_node_in_use),
	};

	log_set_level(LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
