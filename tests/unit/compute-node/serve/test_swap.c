/*
 * Several models in one node: side by side where the budget holds them; else in turn,
 * as they are asked for, never beyond it, and with the answers each gives alone.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "encoder_twin.h"
#include "model/model.h"
#include "serve_fixture.h"

#define MODELS 3 /* a and b generate, e embeds */
#define N_ANSWER 30
#define N_EMBD 40

static struct serve_fixture node;
static char paths[MODELS][96];
static const char *path_list[MODELS];
static uint32_t expected[2][N_ANSWER];

static void write_models(void)
{
	const struct encoder_twin_shape shape = { .n_embd = N_EMBD,
		.n_layer = 2,
		.n_head = 4,
		.n_ff = 72,
		.n_ctx = 64,
		.pooling = TWIN_CLS };
	struct gguf_build b;

	for (size_t i = 0; i < MODELS; i++) {
		(void)snprintf(paths[i], sizeof(paths[i]), "%s/%c.gguf", node.dir, "abe"[i]);
		path_list[i] = paths[i];
	}
	assert_int_equal(tiny_gguf_write(paths[0], &(struct tiny_gguf){ .seed = 11 }, NULL), RC_OK);
	assert_int_equal(
	    tiny_gguf_write(paths[1], &(struct tiny_gguf){ .seed = 12, .n_layer = 3 }, NULL),
	    RC_OK);
	gguf_build_init(&b, 4);
	encoder_twin_build(&b, &shape);
	assert_true(gguf_build_write(&b, paths[2]));
	gguf_build_fini(&b);
}

/* What the largest of the models takes, the vocabularies of all, and their messages. */
static uint64_t bytes_for_one(void)
{
	uint64_t most = 0, tables = 0;
	struct fleet fleet = { .n = MODELS };
	struct wire_pool pools[FLEET_POOLS_MAX];

	for (size_t i = 0; i < MODELS; i++) {
		struct model *model = NULL;
		struct engine_config config = node.config.fleet.engine;
		struct engine_plan plan;

		assert_int_equal(model_open(paths[i], &model, NULL), RC_OK);
		assert_int_equal(fleet_plan(model, &config, &plan, NULL), RC_OK);
		assert_int_equal(
		    engine_resolve(model, &config, &fleet.models[i].config, NULL), RC_OK);
		uint64_t own =
		    fleet_plan_bytes(&plan) - plan.message_bytes - fleet_kept_bytes(model);
		most = own > most ? own : most;
		tables += fleet_kept_bytes(model);
		model_close(model);
	}
	return most + tables + FLEET_REQUESTS_BYTES +
	       wire_server_pool_bytes(pools, fleet_pools(&fleet, pools));
}

static int setup_with(bool one_at_a_time)
{
	log_set_level(LOG_LEVEL_ERROR);
	serve_fixture_init(&node, &(struct tiny_gguf){ .seed = 11 });
	write_models();
	node.config.fleet.paths = path_list;
	node.config.fleet.paths_len = MODELS;
	node.config.fleet.budget_bytes = one_at_a_time ? bytes_for_one() : 0;
	node.config.heartbeat_ns = 100 * NS_PER_MS;
	serve_fixture_start(&node);
	serve_fixture_connect(&node, 0);
	return 0;
}

static int setup_one(void **state)
{
	(void)state;
	return setup_with(true);
}

static int setup_all(void **state)
{
	(void)state;
	return setup_with(false);
}

static int teardown(void **state)
{
	(void)state;
	for (size_t i = 0; i < MODELS; i++)
		(void)unlink(paths[i]);
	serve_fixture_fini(&node);
	return 0;
}

static struct message generate(size_t model, uint32_t n)
{
	static const char *const names[] = { "a", "b" };
	static const char prompt[] = "the day was long and then";
	static const struct wire_part raw = { .data = (const uint8_t *)prompt,
		.data_len = sizeof(prompt) - 1 };
	struct message message = { .kind = MESSAGE_GENERATE };

	message.u.generate = (struct wire_generate){ .model = names[model],
		.raw = &raw,
		.raw_len = 1,
		.max_tokens = n,
		.credit = 100000,
		.sampling = { .ignore_eos = true } };
	return message;
}

static uint64_t ask(struct message message)
{
	return serve_fixture_send(&node, 0, &message);
}

static struct serve_answer *answer_of(uint64_t id)
{
	return serve_fixture_wait(&node, id);
}

static void expect(size_t model, const struct serve_answer *answer, size_t n)
{
	assert_true(answer->done);
	assert_false(answer->broken);
	assert_int_equal(answer->len, n);
	assert_memory_equal(
	    answer->ids, expected[model], (n < N_ANSWER ? n : N_ANSWER) * sizeof(expected[0][0]));
}

/* Budget and plan as the node says them. */
static void check_budget(void)
{
	const struct serve_answer *stats =
	    answer_of(ask((struct message){ .kind = MESSAGE_STATS_REQUEST }));

	assert_true(stats->stats.planned_bytes <= stats->stats.budget_bytes);
	assert_true(stats->stats.planned_bytes > 0);
}

static uint64_t ask_vectors(void)
{
	static const char *const texts[] = { "abc", "d e f" };
	struct message message = { .kind = MESSAGE_EMBED };

	message.u.embed = (struct wire_embed){ .model = "e", .texts = texts, .texts_len = 2 };
	return ask(message);
}

static void expect_vectors(const struct serve_answer *answer)
{
	assert_false(answer->failed);
	assert_int_equal(answer->vectors.values_len, 2 * N_EMBD);
}

/* The fixture keeps what Capabilities say of the first model; this asks of any. */
static bool is_present(size_t model)
{
	return atomic_load(&service_fleet(node.service)->models[model].present);
}

static void test_models_that_fit_are_side_by_side(void **state)
{
	uint64_t ids[3];

	(void)state;
	for (size_t i = 0; i < MODELS; i++)
		assert_true(is_present(i));
	ids[0] = ask(generate(0, N_ANSWER));
	ids[1] = ask(generate(1, N_ANSWER));
	ids[2] = ask_vectors();
	expect_vectors(answer_of(ids[2]));
	for (size_t i = 0; i < 2; i++) {
		const struct serve_answer *answer = answer_of(ids[i]);

		assert_int_equal(answer->len, N_ANSWER);
		memcpy(expected[i], answer->ids, sizeof(expected[i]));
	}
	assert_memory_not_equal(expected[0], expected[1], sizeof(expected[0]));
	for (size_t i = 0; i < MODELS; i++)
		assert_true(is_present(i));
	check_budget();
}

static void test_models_that_do_not_fit_come_as_they_are_asked_for(void **state)
{
	(void)state;
	assert_true(is_present(0) && !is_present(1) && !is_present(2));
	for (size_t i = 0; i < 8; i++) {
		expect(i % 2, answer_of(ask(generate(i % 2, N_ANSWER))), N_ANSWER);
		assert_true(is_present(i % 2));
		assert_false(is_present(1 - i % 2));
		check_budget();
		if (i % 4 == 3) {
			expect_vectors(answer_of(ask_vectors()));
			assert_true(is_present(2));
			check_budget();
		}
	}
}

static void test_an_answer_that_runs_is_over_before_its_model_goes(void **state)
{
	(void)state;
	uint64_t first = ask(generate(0, 150));
	(void)serve_fixture_wait_tokens(&node, first, 1);
	uint64_t second = ask(generate(1, N_ANSWER)), third = ask(generate(0, N_ANSWER));
	const struct serve_answer *long_one = answer_of(first), *other = answer_of(second);

	expect(0, long_one, 150);
	expect(1, other, N_ANSWER);
	assert_true(long_one->times_ns[149] <= other->times_ns[0]);
	expect(0, answer_of(third), N_ANSWER);
}

static void test_many_that_wait_for_either_are_all_answered(void **state)
{
	uint64_t ids[24];

	(void)state;
	for (size_t i = 0; i < 24; i++)
		ids[i] = i % 6 == 5 ? ask_vectors() : ask(generate(i % 2, N_ANSWER));
	for (size_t i = 0; i < 24; i++) {
		if (i % 6 == 5)
			expect_vectors(answer_of(ids[i]));
		else
			expect(i % 2, answer_of(ids[i]), N_ANSWER);
	}
	check_budget();
}

static void test_an_answer_that_nobody_takes_goes_on_when_its_model_is_back(void **state)
{
	struct message held = generate(0, N_ANSWER);

	(void)state;
	held.u.generate.credit = 3;
	uint64_t first = serve_fixture_send(&node, 0, &held);
	(void)serve_fixture_wait_tokens(&node, first, 3);
	expect(1, answer_of(ask(generate(1, N_ANSWER))), N_ANSWER);
	assert_false(is_present(0));
	const struct message credit = {
		.kind = MESSAGE_CREDIT, .request_id = first, .u.credit = 1000
	};
	serve_fixture_send_as(&node, 0, &credit);
	expect(0, answer_of(first), N_ANSWER);
}

static void test_a_lease_stays_open_while_its_model_is_absent(void **state)
{
	struct message open = { .kind = MESSAGE_LEASE_OPEN, .has_lease = true, .lease_id = { 5 } };
	struct message under = generate(0, N_ANSWER);

	(void)state;
	open.u.lease_open.model = "a";
	under.has_lease = true;
	under.lease_id[0] = 5;
	assert_true(answer_of(ask(open))->lease.open);
	expect(0, answer_of(ask(under)), N_ANSWER);
	expect(1, answer_of(ask(generate(1, N_ANSWER))), N_ANSWER);
	const struct serve_answer *again = answer_of(ask(under));
	assert_int_equal(again->cached_tokens, 0);
	expect(0, again, N_ANSWER);
	again = answer_of(ask(under));
	assert_true(again->cached_tokens > 0);
	expect(0, again, N_ANSWER);
}

static void test_waiting_for_a_model_ends_at_the_deadline(void **state)
{
	struct message late = generate(1, N_ANSWER), held = generate(0, N_ANSWER);

	(void)state;
	held.u.generate.credit = 2;
	uint64_t first = ask(held);
	(void)serve_fixture_wait_tokens(&node, first, 2);
	late.ttl_ms = 1;
	const struct serve_answer *answer = answer_of(ask(late));
	assert_true(answer->failed);
	assert_int_equal(answer->code, WIRE_ERROR_TIMEOUT);
	const struct message credit = {
		.kind = MESSAGE_CREDIT, .request_id = first, .u.credit = 1000
	};
	serve_fixture_send_as(&node, 0, &credit);
	expect(0, answer_of(first), N_ANSWER);
	assert_true(is_present(0));
}

#define UNIT(name, setup) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		/* The first: what the others expect. */
		UNIT(test_models_that_fit_are_side_by_side, setup_all),
		UNIT(test_models_that_do_not_fit_come_as_they_are_asked_for, setup_one),
		UNIT(test_an_answer_that_runs_is_over_before_its_model_goes, setup_one),
		UNIT(test_many_that_wait_for_either_are_all_answered, setup_one),
		UNIT(test_an_answer_that_nobody_takes_goes_on_when_its_model_is_back, setup_one),
		UNIT(test_a_lease_stays_open_while_its_model_is_absent, setup_one),
		UNIT(test_waiting_for_a_model_ends_at_the_deadline, setup_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
