/* Embed over the wire: vectors, limits, cancel, and what the node says it can. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "encoder_twin.h"
#include "infer/embed.h"
#include "model/model.h"
#include "serve_fixture.h"

#define MANY 200
#define N_EMBD 40

static struct serve_fixture node;

static int setup(void **state)
{
	const struct encoder_twin_shape shape = { .n_embd = N_EMBD,
		.n_layer = 2,
		.n_head = 4,
		.n_ff = 72,
		.n_ctx = 64,
		.pooling = TWIN_CLS };
	struct gguf_build b;

	(void)state;
	log_set_level(LOG_LEVEL_ERROR);
	serve_fixture_init(&node, &(struct tiny_gguf){ .seed = 11 });
	gguf_build_init(&b, 4);
	encoder_twin_build(&b, &shape);
	assert_true(gguf_build_write(&b, node.model_path));
	gguf_build_fini(&b);
	serve_fixture_start(&node);
	serve_fixture_connect(&node, 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	serve_fixture_fini(&node);
	return 0;
}

static struct message embed(const char *const *texts, size_t n)
{
	struct message message = { .kind = MESSAGE_EMBED };

	message.u.embed = (struct wire_embed){ .model = "tiny", .texts = texts, .texts_len = n };
	return message;
}

/* The same by the shortest way. */
static void reference(const char *text, float *out, size_t *n_tokens)
{
	struct model *model = NULL;
	struct engine *engine = NULL;
	struct embed *one = NULL;
	struct tokens ids = { 0 };
	const struct engine_config config = { .n_threads = 1 };

	assert_int_equal(model_open(node.model_path, &model, NULL), RC_OK);
	assert_int_equal(engine_new(model, &config, &engine, NULL), RC_OK);
	assert_int_equal(embed_new(model, engine, &one, NULL), RC_OK);
	assert_int_equal(
	    embed_tokenize(model_tokenizer(model), text, strlen(text), &ids, NULL), RC_OK);
	const struct embed_text wanted = { ids.ids, ids.len, out };
	assert_int_equal(embed_run(one, &wanted, 1, NULL), RC_OK);
	*n_tokens = ids.len;
	tokens_free(&ids);
	embed_free(one);
	engine_free(engine);
	model_close(model);
}

static void test_texts_come_back_as_the_vectors_they_are_alone(void **state)
{
	static const char *const texts[] = { "abc", "", "d e f g h i j k l m n o p", "zz" };
	struct message message = embed(texts, 4);
	struct serve_answer *answer =
	    serve_fixture_wait(&node, serve_fixture_send(&node, 0, &message));
	size_t tokens = 0, n = 0;
	float expected[N_EMBD];

	(void)state;
	assert_false(answer->failed);
	assert_int_equal(answer->vectors.length, N_EMBD);
	assert_int_equal(answer->vectors.values_len, 4 * N_EMBD);
	for (size_t i = 0; i < 4; i++) {
		reference(texts[i], expected, &n);
		tokens += n;
		assert_memory_equal(
		    expected, answer->vectors.values + i * N_EMBD, sizeof(expected));
	}
	assert_int_equal(answer->vectors.prompt_tokens, tokens);
}

static void test_more_texts_than_a_turn_and_two_askers_are_all_answered(void **state)
{
	static char bodies[MANY][16];
	const char *texts[MANY];
	uint64_t ids[6];
	struct message message;
	float expected[N_EMBD];
	size_t n = 0;

	(void)state;
	serve_fixture_connect(&node, 1);
	for (size_t i = 0; i < MANY; i++) {
		(void)snprintf(bodies[i], sizeof(bodies[i]), "%c %c%c", (char)('a' + i % 26),
		    (char)('a' + i / 26), (char)('a' + i % 7));
		texts[i] = bodies[i];
	}
	message = embed(texts, MANY);
	for (int i = 0; i < 6; i++)
		ids[i] = serve_fixture_send(&node, i % 2, &message);
	reference(texts[MANY - 1], expected, &n);
	for (int i = 0; i < 6; i++) {
		struct serve_answer *answer = serve_fixture_wait(&node, ids[i]);

		assert_false(answer->failed);
		assert_int_equal(answer->vectors.values_len, MANY * N_EMBD);
		assert_memory_equal(
		    expected, answer->vectors.values + (MANY - 1) * N_EMBD, sizeof(expected));
	}
}

static void expect_error(struct message *message, enum wire_error code, const char *text)
{
	struct serve_answer *answer =
	    serve_fixture_wait(&node, serve_fixture_send(&node, 0, message));

	assert_true(answer->failed);
	assert_int_equal(answer->code, code);
	if (strstr(answer->error, text) == NULL)
		fail_msg("'%s' does not say '%s'", answer->error, text);
}

static void test_what_cannot_be_embedded_is_refused_with_the_reason(void **state)
{
	static char words[200];
	const char *texts[] = { "a", words };
	struct message message = embed(texts, 2);
	struct serve_answer *answer;

	(void)state;
	for (size_t i = 0; i + 1 < sizeof(words); i++)
		words[i] = i % 2 == 0 ? 'a' : ' ';
	answer = serve_fixture_wait(&node, serve_fixture_send(&node, 0, &message));
	assert_true(answer->failed);
	assert_int_equal(answer->code, WIRE_ERROR_CONTEXT);
	assert_int_equal(answer->context, 64);
	assert_int_equal(answer->needed, 102);
	message = embed(texts, 0);
	expect_error(&message, WIRE_ERROR_INVALID, "texts: none");
	message = embed(texts, 1);
	message.u.embed.model = "other";
	expect_error(&message, WIRE_ERROR_NO_MODEL, "no such model");
}

static void test_an_embedding_model_says_so_and_does_not_generate(void **state)
{
	const struct wire_part raw = { .data = (const uint8_t *)"a", .data_len = 1 };
	struct message message = { .kind = MESSAGE_GENERATE };

	(void)state;
	assert_true(node.links[0].model.embed);
	assert_false(node.links[0].model.chat);
	assert_int_equal(node.links[0].model.embedding_length, N_EMBD);
	assert_int_equal(node.links[0].model.context, 64);
	message.u.generate = (struct wire_generate){
		.model = "tiny", .raw = &raw, .raw_len = 1, .max_tokens = 4, .credit = 100
	};
	expect_error(&message, WIRE_ERROR_UNSUPPORTED, "does not generate");
}

static void test_a_cancelled_request_ends_and_the_next_one_is_answered(void **state)
{
	static const char *const text[] = { "a" };
	static const char *texts[800];
	struct message message, cancel = { .kind = MESSAGE_CANCEL };
	struct serve_answer *answer;

	(void)state;
	for (size_t i = 0; i < 800; i++)
		texts[i] = "a b c d e f g h i j k l m n o p q r s t u v w x y z";
	message = embed(texts, 800);
	cancel.request_id = serve_fixture_send(&node, 0, &message);
	serve_fixture_send_as(&node, 0, &cancel);
	answer = serve_fixture_wait(&node, cancel.request_id);
	if (answer->failed)
		assert_int_equal(answer->code, WIRE_ERROR_CANCELLED);
	message = embed(text, 1);
	answer = serve_fixture_wait(&node, serve_fixture_send(&node, 0, &message));
	assert_false(answer->failed);
}

static void test_a_node_that_stops_with_work_left_stops(void **state)
{
	static const char *texts[800];
	struct message message;

	(void)state;
	for (size_t i = 0; i < 800; i++)
		texts[i] = "a b c d e f g h i j k l m n o p q r s t u v w x y z";
	message = embed(texts, 800);
	for (int i = 0; i < 8; i++)
		(void)serve_fixture_send(&node, 0, &message);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    test_texts_come_back_as_the_vectors_they_are_alone, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    test_more_texts_than_a_turn_and_two_askers_are_all_answered, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    test_what_cannot_be_embedded_is_refused_with_the_reason, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    test_an_embedding_model_says_so_and_does_not_generate, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    test_a_cancelled_request_ends_and_the_next_one_is_answered, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    test_a_node_that_stops_with_work_left_stops, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
