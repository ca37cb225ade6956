/* One answer: what it samples, what of that is sent, and its log-probabilities. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../grammar/grammar_fixture.h"
#include "base/random.h"
#include "plain_sample.h"
#include "serve/generation.h"

#define N_VOCAB 1000
#define N_ANSWER 60

static const struct model_info info = { .causal = true, .n_vocab = N_VOCAB };
static const struct served_model served = { .info = &info, .config = { .n_ctx = 128 } };
static struct generation_scratch scratch;
static float logits[N_VOCAB], row[N_VOCAB];

static void begin(struct generation *gen, const struct wire_generate *request)
{
	int32_t prompt_ids[] = { 3, 1, 4, 1, 5 };
	const struct tokens prompt = { .ids = prompt_ids, .len = 5 };
	struct fault fault;

	assert_int_equal(generation_init(gen, &served, request, &prompt, "", &fault), RC_OK);
}

static int32_t accept(struct generation *gen)
{
	struct wire_tokens tokens;

	memcpy(row, logits, sizeof(row));
	generation_accept(gen, row, &scratch);
	generation_message(gen, &tokens);
	assert_int_equal(tokens.ids_len, 1);
	return (int32_t)tokens.ids[0];
}

static void random_logits(uint64_t *state)
{
	for (size_t i = 0; i < N_VOCAB; i++)
		logits[i] = (float)(random_next(state) % 20000) * 1e-3f - 10;
}

static void test_an_answer_is_what_sampling_gives_from_its_history(void **unused)
{
	const struct wire_generate request = { .max_tokens = N_ANSWER,
		.logprobs = 1,
		.sampling = { .temperature = 0.9f,
		    .top_p = 0.8f,
		    .repeat_penalty = 1.2f,
		    .frequency_penalty = 0.3f,
		    .seed = 11 } };
	struct generation gen;
	uint64_t state = 4;

	(void)unused;
	begin(&gen, &request);
	for (uint64_t i = 0; i < N_ANSWER; i++) {
		random_logits(&state);
		const struct sample_row expected = { .logits = logits,
			.n_vocab = N_VOCAB,
			.history = gen.ids,
			.history_len = gen.len,
			.index = i };
		int32_t id = plain_sample(&gen.params, &expected);

		assert_int_equal(accept(&gen), id);
		generation_sent(&gen);
	}
	assert_int_equal(gen.finish, WIRE_FINISH_LENGTH);
	generation_fini(&gen);
}

static void test_a_constrained_answer_has_only_what_is_allowed(void **unused)
{
	const struct wire_generate request = { .max_tokens = N_ANSWER,
		.sampling = { .temperature = 2, .seed = 7 } };
	uint64_t allowed[SAMPLE_ALLOWED_WORDS(N_VOCAB)], state = 9;
	struct generation gen;

	(void)unused;
	begin(&gen, &request);
	gen.allowed = allowed;
	for (uint64_t i = 0; i < N_ANSWER; i++) {
		size_t odd = random_next(&state) % N_VOCAB;

		random_logits(&state);
		memset(allowed, 0, sizeof(allowed));
		for (size_t k = 0; k < 3; k++)
			allowed[(odd + k * 100) % N_VOCAB / 64] |=
			    (uint64_t)1 << (odd + k * 100) % N_VOCAB % 64;
		int32_t id = accept(&gen);

		assert_true(sample_is_allowed(allowed, (size_t)id));
		generation_sent(&gen);
	}
	generation_fini(&gen);
}

/* What would be chosen of nothing may be a token that ends an answer: it is an error. */
static void test_an_answer_with_nothing_allowed_is_none(void **unused)
{
	const struct wire_generate request = { .max_tokens = N_ANSWER };
	const uint64_t allowed[SAMPLE_ALLOWED_WORDS(N_VOCAB)] = { 0 };
	struct generation gen;
	uint64_t state = 5;

	(void)unused;
	begin(&gen, &request);
	gen.allowed = allowed;
	random_logits(&state);
	memcpy(row, logits, sizeof(row));
	generation_accept(&gen, row, &scratch);
	assert_int_equal(gen.finish, WIRE_FINISH_ERROR);
	assert_false(generation_pending(&gen));
	generation_fini(&gen);
}

static void test_logprobs_are_the_models_own_whatever_is_changed_for_the_choice(void **unused)
{
	const struct wire_generate request = { .max_tokens = N_ANSWER,
		.logprobs = 3,
		.sampling = { .repeat_penalty = 2, .presence_penalty = 9 } };
	const uint64_t allowed[SAMPLE_ALLOWED_WORDS(N_VOCAB)] = { 1 << 6 | 1 << 4 };
	struct generation gen;
	struct wire_tokens tokens;
	uint64_t state = 2;
	double sum = 0;

	(void)unused;
	begin(&gen, &request);
	random_logits(&state);
	logits[4] = 12;
	logits[6] = 1;
	logits[900] = logits[901] = 11;
	logits[17] = NAN;
	gen.allowed = allowed;
	for (size_t i = 0; i < N_VOCAB; i++)
		sum += isnan(logits[i]) ? 0 : exp((double)logits[i] - 12);
	assert_int_equal(accept(&gen), 6); /* 4 is in the prompt */
	generation_message(&gen, &tokens);
	assert_int_equal(tokens.logprobs_len, 1);
	const struct wire_token_logprobs *lp = tokens.logprobs;
	assert_true(fabs((double)lp->logprob - ((double)logits[6] - 12 - log(sum))) < 1e-5);
	assert_int_equal(lp->top_len, 3);
	assert_int_equal(lp->top_ids[0], 4);
	assert_int_equal(lp->top_ids[1], 900);
	assert_int_equal(lp->top_ids[2], 901);
	assert_true(fabs((double)lp->top_logprobs[0] + log(sum)) < 1e-5);
	generation_fini(&gen);
}

/* A token that ends the reasoning that a prompt opened may begin the answer too; blanks that it
 * ends in are nobody's. */
static void test_what_a_token_holds_behind_reasoning_is_of_the_answer(void **unused)
{
	static const char *const tokens[] = { ">{\"", ">\n" };
	static const char *const rests[] = { "a\":1}", "{\"a\":1}" };
	const struct model_info with_words = { .causal = true, .n_vocab = FIXTURE_N };
	struct served_model model = { .info = &with_words,
		.tokenizer = fixture.tokenizer,
		.tool_format = "",
		.vocab = fixture.vocab,
		.config = { .n_ctx = 128 } };
	int32_t prompt_ids[7];
	const struct tokens prompt = { .ids = prompt_ids, .len = 7 };

	(void)unused;
	for (size_t i = 0; i < prompt.len; i++)
		prompt_ids[i] = 3 + "<think>"[i];
	for (size_t k = 0; k < 2; k++) {
		uint32_t ids[32], n = 0;
		struct generation gen;
		struct fault fault;

		for (const char *at = "hm</think"; *at != '\0'; at++)
			ids[n++] = 3u + (uint8_t)*at;
		ids[n++] = (uint32_t)fixture_word(tokens[k]);
		for (const char *at = rests[k]; *at != '\0'; at++)
			ids[n++] = 3u + (uint8_t)*at;
		const struct wire_generate request = {
			.max_tokens = 60,
			.generated_ids = ids,
			.generated_ids_len = n,
			.constraint = { .kind = WIRE_CONSTRAINT_JSON_OBJECT, .schema = "" },
		};
		assert_int_equal(
		    generation_init(&gen, &model, &request, &prompt, "", &fault), RC_OK);
		assert_int_equal(gen.finish, WIRE_FINISH_STOP);
		generation_fini(&gen);
	}
}

static int take_memory(void **unused)
{
	scratch.sampling = malloc(sample_scratch_bytes(N_VOCAB));
	scratch.logits = calloc(N_VOCAB, sizeof(float));
	return scratch.sampling == NULL || scratch.logits == NULL ? -1 : fixture_open(unused);
}

static int give_memory(void **unused)
{
	free(scratch.sampling);
	free(scratch.logits);
	return fixture_close(unused);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_an_answer_is_what_sampling_gives_from_its_history),
		cmocka_unit_test(test_a_constrained_answer_has_only_what_is_allowed),
		cmocka_unit_test(test_an_answer_with_nothing_allowed_is_none),
		cmocka_unit_test(
		    test_logprobs_are_the_models_own_whatever_is_changed_for_the_choice),
		cmocka_unit_test(test_what_a_token_holds_behind_reasoning_is_of_the_answer),
	};

	return cmocka_run_group_tests(tests, take_memory, give_memory);
}
