/* The scheduler, round by round, over an engine without arithmetic and a wire
 * that keeps what it is given. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/log.h"
#include "fake_engine.h"
#include "serve/prompt.h"
#include "serve/scheduler.h"

#define REQUESTS_MAX 64
#define ROUNDS_MAX 10000

/* What came back for one request. */
struct seen {
	bool started, done, failed;
	uint32_t cached_tokens;
	uint32_t ids[FAKE_CTX];
	size_t len;
	uint32_t first; /* index of ids[0] */
	struct wire_done end;
	enum wire_error code;
};

static struct {
	struct seen seen[REQUESTS_MAX];
	enum rc answer; /* for peer `only`, or for all if 0 */
	wire_peer only;
	unsigned lease_states;
	int64_t now_ns;
} world;

static struct model_info info;
static struct engine engine;
static struct fleet fleet;
static struct scheduler *sched;
static const uint8_t key_a[WIRE_KEY_BYTES] = { 1 }, key_b[WIRE_KEY_BYTES] = { 2 };

static int64_t fake_now(void *ctx)
{
	(void)ctx;
	return world.now_ns;
}
static const struct clock_source fake_clock = { .utc_ns = fake_now, .mono_ns = fake_now };

static enum rc keep_message(void *ctx, wire_peer peer, const struct message *message)
{
	struct seen *seen = &world.seen[message->request_id % REQUESTS_MAX];

	(void)ctx;
	if (world.answer != RC_OK && (world.only == 0 || world.only == peer))
		return world.answer;
	switch (message->kind) {
	case MESSAGE_STARTED:
		assert_false(seen->started);
		seen->started = true;
		seen->cached_tokens = message->u.started.cached_tokens;
		break;
	case MESSAGE_TOKENS:
		assert_true(seen->started);
		assert_false(seen->done || seen->failed);
		assert_int_equal(message->u.tokens.ids_len, 1);
		if (seen->len == 0)
			seen->first = message->u.tokens.first_index;
		assert_int_equal(message->u.tokens.first_index, seen->first + seen->len);
		seen->ids[seen->len++] = message->u.tokens.ids[0];
		break;
	case MESSAGE_DONE:
		assert_false(seen->done);
		seen->done = true;
		seen->end = message->u.done;
		break;
	case MESSAGE_ERROR:
		assert_false(seen->failed);
		seen->failed = true;
		seen->code = message->u.error.code;
		break;
	case MESSAGE_LEASE_STATE:
		assert_false(message->u.lease_state.open);
		world.lease_states++;
		break;
	default:
		fail();
	}
	return RC_OK;
}

static void keep_reply(void *ctx, wire_peer peer, const struct message *message)
{
	assert_int_equal(keep_message(ctx, peer, message), RC_OK);
}

static int setup(void **state)
{
	(void)state;
	fake_reset();
	memset(&world, 0, sizeof(world));
	world.now_ns = NS_PER_S;
	clock_replace(&fake_clock);
	log_set_level(LOG_LEVEL_ERROR);
	info = (struct model_info){ .name = "fake", .n_vocab = FAKE_VOCAB, .causal = true };
	fleet = (struct fleet){ .n = 1 };
	fleet.models[0] = (struct served_model){ .engine = &engine,
		.info = &info,
		.numerics_id = "fake",
		.cache_type = "f16",
		.config = fake.config };
	const struct scheduler_config config = { .fleet = &fleet,
		.queue_max = 16,
		.stall_ns = 100 * NS_PER_S,
		.lease_idle_ns = 50 * NS_PER_S,
		.send = keep_message,
		.reply = keep_reply };
	return scheduler_new(&config, &sched, NULL) == RC_OK ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	scheduler_free(sched);
	clock_replace(NULL);
	return 0;
}

/* One request and how it differs from the plainest one. */
struct ask {
	uint64_t id;
	wire_peer peer; /* 0: 1 */
	const uint8_t *key;
	uint32_t prompt_seed, prompt_len;
	uint32_t max_tokens;
	uint32_t credit; /* 0: plenty */
	bool no_credit;
	float temperature;
	uint32_t ttl_ms;
	uint8_t lease; /* 0: none */
	const uint32_t *prompt_ids, *generated_ids;
	size_t prompt_ids_len, generated_ids_len;
	const char *model;
};

static void fill_prompt(uint32_t seed, uint32_t len, uint32_t *out)
{
	uint64_t state = seed;

	for (uint32_t i = 0; i < len; i++)
		out[i] = (uint32_t)(random_next(&state) % FAKE_VOCAB);
}

static enum rc submit(const struct ask *ask, struct fault *fault)
{
	uint32_t prompt[FAKE_CTX];
	struct tokens tokens = { .len = 0 };
	struct message message = { .request_id = ask->id,
		.ttl_ms = ask->ttl_ms,
		.has_lease = ask->lease != 0,
		.lease_id = { ask->lease },
		.kind = MESSAGE_GENERATE };
	struct wire_generate *generate = &message.u.generate;
	struct job *job = NULL;

	fill_prompt(ask->prompt_seed, ask->prompt_len, prompt);
	*generate = (struct wire_generate){ .model = ask->model == NULL ? "fake" : ask->model,
		.prompt_ids = ask->prompt_ids == NULL ? prompt : ask->prompt_ids,
		.prompt_ids_len = ask->prompt_ids == NULL ? ask->prompt_len : ask->prompt_ids_len,
		.generated_ids = ask->generated_ids,
		.generated_ids_len = ask->generated_ids_len,
		.max_tokens = ask->max_tokens,
		.credit = ask->no_credit     ? 0
			  : ask->credit == 0 ? 100000
					     : ask->credit,
		.sampling = { .temperature = ask->temperature, .seed = 77 } };
	enum rc rc = scheduler_register(sched, ask->peer == 0 ? 1 : ask->peer,
	    ask->key == NULL ? key_a : ask->key, &message, &job, fault);
	if (rc != RC_OK)
		return rc;
	assert_int_equal(
	    prompt_push(&tokens, generate->prompt_ids, generate->prompt_ids_len, NULL), RC_OK);
	rc = generation_init(
	    scheduler_generation(job), scheduler_model(job), generate, &tokens, PROMPT_RAW, fault);
	tokens_free(&tokens);
	if (rc == RC_OK)
		scheduler_ready(sched, job);
	else
		scheduler_abandon(sched, job);
	return rc;
}

static void submit_ok(const struct ask *ask)
{
	struct fault fault;

	assert_int_equal(submit(ask, &fault), RC_OK);
}

static void run_until_idle(void)
{
	for (int i = 0; i < ROUNDS_MAX; i++) {
		world.now_ns += NS_PER_MS;
		if (!scheduler_step(sched))
			return;
	}
	fail_msg("the scheduler never came to rest");
}

static void step(void)
{
	world.now_ns += NS_PER_MS;
	(void)scheduler_step(sched);
}

static bool all_zero(void)
{
	for (uint32_t s = 0; s < FAKE_SEQS; s++) {
		if (fake.len[s] != 0)
			return false;
		for (uint32_t i = 0; i < FAKE_CTX; i++) {
			if (fake.ids[s][i] != 0)
				return false;
		}
	}
	return true;
}

static enum rc lease_message(enum message_kind kind, uint8_t id, const uint8_t *key, wire_peer peer,
    struct wire_lease_state *answer, bool *has_answer, struct fault *fault)
{
	struct message message = {
		.request_id = 60, .has_lease = true, .lease_id = { id }, .kind = kind
	};

	if (kind == MESSAGE_LEASE_OPEN)
		message.u.lease_open = (struct wire_lease_open){ .model = "fake" };
	return scheduler_lease(sched, peer, key, &message, answer, has_answer, fault);
}

static void open_lease(uint8_t id)
{
	struct wire_lease_state answer;
	struct fault fault;
	bool has_answer = false;

	assert_int_equal(
	    lease_message(MESSAGE_LEASE_OPEN, id, key_a, 1, &answer, &has_answer, &fault), RC_OK);
	assert_true(has_answer && answer.open);
	assert_int_equal(answer.idle_ms, 50000);
}

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

#define UNIT(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		UNIT(test_an_answer_is_started_streamed_in_order_and_done),
		UNIT(test_answers_together_are_what_each_is_alone),
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
		UNIT(test_a_lease_reuses_the_longest_common_prefix),
		UNIT(test_the_whole_prompt_again_computes_its_last_token_only),
		UNIT(test_a_state_that_cannot_go_back_is_computed_anew),
		UNIT(test_two_jobs_of_one_lease_run_beside_each_other),
		UNIT(test_closing_a_lease_wipes_it_before_the_answer),
		UNIT(test_closing_a_lease_cancels_what_runs_under_it),
		UNIT(test_an_idle_lease_is_wiped_and_a_running_one_is_not),
		UNIT(test_a_cancel_under_a_lease_wipes_its_cache),
		UNIT(test_idle_leases_give_their_sequence_up_oldest_first),
		UNIT(test_an_engine_that_fails_is_an_error_and_leaves_nothing),
		UNIT(test_an_answer_nobody_takes_is_ended),
		UNIT(test_an_answer_resumed_at_any_token_ends_the_same),
		UNIT(test_ending_the_scheduler_wipes_what_runs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
