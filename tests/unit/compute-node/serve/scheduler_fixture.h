/*
 * The scheduler's surroundings in tests: a fake engine, a wire that keeps what
 * it is given, a clock that the test moves.  Include it in one file a program.
 */
#ifndef SERVE_SCHEDULER_FIXTURE_H
#define SERVE_SCHEDULER_FIXTURE_H

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
static atomic_bool memory_short;
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
	atomic_store(&memory_short, false);
	clock_replace(&fake_clock);
	log_set_level(LOG_LEVEL_ERROR);
	info = (struct model_info){ .name = "fake", .n_vocab = FAKE_VOCAB, .causal = true };
	fleet = (struct fleet){ .n = 1 };
	fleet.models[0] = (struct served_model){ .engine = &engine,
		.present = true,
		.info = &info,
		.numerics_id = "fake",
		.cache_type = "f16",
		.config = fake.config };
	const struct scheduler_config config = { .fleet = &fleet,
		.queue_max = 16,
		.stall_ns = 100 * NS_PER_S,
		.lease_idle_ns = 50 * NS_PER_S,
		.short_of_memory = &memory_short,
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
	float temperature, top_p;
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
		.sampling = { .temperature = ask->temperature, .top_p = ask->top_p, .seed = 77 } };
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

#define UNIT(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif
