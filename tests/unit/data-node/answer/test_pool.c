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
#include "answer/pool_state.h"
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

static struct pool_node listed(struct rig *rig, struct arena *arena, size_t i)
{
	struct pool_node *nodes = NULL;
	size_t len = 0;

	assert_int_equal(pool_list(rig->pool, arena, &nodes, &len), RC_OK);
	assert_true(i < len);
	return nodes[i];
}

static void test_pool_asks_for_figures_and_keeps_those_of_a_node_that_went(void **state)
{
	(void)state;
	struct fake_script script = fake_script_default();
	struct pool_node node = { .name = NULL };
	struct rig rig;
	struct arena arena;
	script.stats =
	    (struct wire_stats){ .restarts = 3, .watchdog_kills = 1, .kv_tokens_used = 70 };
	rig_open(&rig, &script, 1);
	int64_t began = clock_mono_ns();
	arena_init(&arena, (size_t)1 << 20);
	do {
		assert_true(clock_mono_ns() < began + RIG_DEADLINE_NS);
		arena_reset(&arena);
		node = listed(&rig, &arena, 0);
		(void)usleep(1000);
	} while (node.stats_at_ns == 0);
	assert_true(node.stats_at_ns >= began && node.stats_at_ns <= clock_mono_ns());
	fake_compute_kill(&rig.nodes[0]);
	node = listed(&rig, &arena, 0);
	assert_int_equal(node.stats.restarts, 3);
	assert_int_equal(node.stats.watchdog_kills, 1);
	assert_int_equal(node.stats.kv_tokens_used, 70);
	arena_fini(&arena);
	rig_close(&rig);
}

static uint64_t node_picked(struct rig *rig, const struct call_want *want)
{
	unsigned downs = 0;
	const struct call_handler handler = {
		.ctx = &downs, .message = ignore_message, .down = note_down
	};
	struct call *call = NULL;

	if (call_open(rig->pool, want, &handler, &call) != RC_OK)
		return 0;
	uint64_t id = call_node(call);
	call_close(call);
	return id;
}

static void test_a_node_that_drains_gets_only_what_has_begun(void **state)
{
	(void)state;
	struct fake_script scripts[2] = { fake_script_default(), fake_script_default() };
	const struct call_want new = { .model = "tiny" };
	const struct call_want begun = { .model = "tiny", .goes_on = true };
	const uint64_t second = 2;
	const struct call_want begun_on_one = {
		.model = "tiny", .goes_on = true, .avoid = &second, .avoid_len = 1
	};
	struct arena arena;
	struct rig rig;
	rig_open(&rig, scripts, 2);
	arena_init(&arena, (size_t)1 << 20);
	assert_int_equal(node_picked(&rig, &new), 1);
	assert_int_equal(pool_drain(rig.pool, "node1", true), RC_OK);
	assert_int_equal(pool_drain(rig.pool, "other", true), RC_NOTFOUND);
	assert_int_equal(node_picked(&rig, &new), 2);
	assert_int_equal(node_picked(&rig, &begun), 2);
	assert_int_equal(node_picked(&rig, &begun_on_one), 1);
	assert_false(listed(&rig, &arena, 0).takes);
	assert_true(listed(&rig, &arena, 0).drains);
	assert_true(pool_serves(rig.pool, "tiny"));
	assert_int_equal(pool_drain(rig.pool, "node2", true), RC_OK);
	assert_false(pool_serves(rig.pool, "tiny"));
	assert_false(pool_wait(rig.pool, "tiny", NS_PER_MS));
	assert_int_equal(node_picked(&rig, &new), 0);
	assert_int_equal(pool_drain(rig.pool, "node1", false), RC_OK);
	assert_int_equal(node_picked(&rig, &new), 1);
	arena_fini(&arena);
	rig_close(&rig);
}

/* As if it had sent tokens so fast. */
static void set_speed(struct rig *rig, size_t i, int64_t tokens_per_second)
{
	struct node *node = rig->pool->nodes[i];
	struct speed_run run = { .tokens = 0 };

	(void)pthread_mutex_lock(&rig->pool->lock);
	speed_take(&node->speeds, node->can.models[0].content_hash, &run, 1, false, 1);
	speed_take(&node->speeds, node->can.models[0].content_hash, &run, SPEED_TOKENS_MAX, false,
	    1 + SPEED_TOKENS_MAX * NS_PER_S / tokens_per_second);
	(void)pthread_mutex_unlock(&rig->pool->lock);
}

static void test_pool_picks_where_an_answer_is_over_first(void **state)
{
	(void)state;
	struct fake_script scripts[3] = { fake_script_default(), fake_script_default(),
		fake_script_default() };
	unsigned downs = 0;
	const struct call_handler handler = {
		.ctx = &downs, .message = ignore_message, .down = note_down
	};
	const struct call_want want = { .model = "tiny" };
	struct call *calls[8];
	struct rig rig;
	rig_open(&rig, scripts, 3);
	set_speed(&rig, 0, 10);
	/* Those never tried come first. */
	assert_int_equal(node_picked(&rig, &want), 1);
	assert_int_equal(call_open(rig.pool, &want, &handler, &calls[0]), RC_OK);
	assert_int_equal(node_picked(&rig, &want), 2);
	call_close(calls[0]);
	set_speed(&rig, 1, 100);
	set_speed(&rig, 2, 39);
	/* The fast one has four places.  More wait there as long as that is over
	 * before the next fastest would be done: (1 + 6/4) / 100 < 1 / 39. */
	for (size_t i = 0; i < 8; i++) {
		assert_int_equal(call_open(rig.pool, &want, &handler, &calls[i]), RC_OK);
		assert_int_equal(call_node(calls[i]), i < 7 ? 2 : 3);
	}
	for (size_t i = 0; i < 8; i++)
		call_close(calls[i]);
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
		cmocka_unit_test(test_pool_asks_for_figures_and_keeps_those_of_a_node_that_went),
		cmocka_unit_test(test_a_node_that_drains_gets_only_what_has_begun),
		cmocka_unit_test(test_pool_picks_where_an_answer_is_over_first),
		cmocka_unit_test(test_call_hears_once_that_its_node_was_removed),
		cmocka_unit_test(test_count_asks_the_node_and_does_not_wait_for_a_dumb_one),
		cmocka_unit_test(test_pool_survives_removal_and_return_of_a_node_in_use),
	};

	log_set_level(LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
