/*
 * POST /v1/embeddings: the bytes a client reads, what is refused by name, and
 * what happens when the compute node is away, busy or gone.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "world.h"

#include "answer/embeddings.h"
#include "answer/vectors.h"

static struct fake_script embedder(void)
{
	struct fake_script script = fake_script_default();

	script.model = "embedder";
	script.embeds = true;
	return script;
}

static void post(struct world *world, const char *body)
{
	world_reset(world);
	api_response_init(&world->response);
	world->request = (struct api_request){ .method = "POST",
		.path = "/v1/embeddings",
		.body = body,
		.body_len = strlen(body),
		.gone = world_gone,
		.gone_ctx = world };
	answer_embeddings(&world->host, &world->request, &world->request_arena, &world->response);
	buf_append(&world->read, world->response.body.bytes, world->response.body.len);
}

static void open_one(struct world *world)
{
	const struct fake_script script = embedder();

	world_open(world, &script, 1);
	world->host.start_timeout_ns = NS_PER_MS;
}

static void test_one_text_gives_exactly_these_bytes(void **state)
{
	struct world world;

	(void)state;
	open_one(&world);
	post(&world, "{\"model\":\"embedder\",\"input\":\"abc\"}");
	assert_int_equal(world.response.status, 200);
	assert_string_equal(buf_text(&world.read),
	    "{\"object\":\"list\",\"data\":[{\"object\":\"embedding\",\"index\":0,\"embedding\":"
	    "[1,-9.7e-06,99,0.1,0]}],\"model\":\"embedder\","
	    "\"usage\":{\"prompt_tokens\":3,\"total_tokens\":3}}\n");
	assert_int_equal(world.appends, 0);
	world_close(&world);
}

static void test_base64_is_the_same_floats_in_little_endian(void **state)
{
	struct world world;

	(void)state;
	open_one(&world);
	post(&world, "{\"model\":\"embedder\",\"input\":[\"abc\"],\"encoding_format\":\"base64\","
		     "\"dimensions\":5}");
	assert_int_equal(world.response.status, 200);
	/* 1.0 = 00 00 80 3f, -9.7e-6 = 0xb722be2f, 99.0 = 00 00 c6 42, 0.1 = cd cc cc 3d, 0 */
	assert_non_null(strstr(buf_text(&world.read), "\"embedding\":\"AACAP"));
	assert_non_null(strstr(buf_text(&world.read), "AMZCzczMPQAAAAA=\"}]"));
	world_close(&world);
}

/* Numbers read back as the very floats, in the order of the inputs, over more
 * than one message. */
static void test_many_texts_come_back_in_order_in_several_messages(void **state)
{
	enum { MANY = 2 * VECTORS_BATCH_MAX + 3 };
	struct world world;
	struct buf body;
	unsigned embeds;

	(void)state;
	open_one(&world);
	buf_init(&body, (size_t)1 << 20);
	buf_puts(&body, "{\"model\":\"embedder\",\"input\":[");
	for (size_t i = 0; i < MANY; i++)
		buf_printf(&body, "%s\"%zu%c\"", i == 0 ? "" : ",", i * i, (char)('a' + i % 26));
	buf_puts(&body, "]}");
	post(&world, buf_text(&body));
	buf_fini(&body);
	assert_int_equal(world.response.status, 200);
	const char *at = buf_text(&world.read);
	for (size_t i = 0; i < MANY; i++) {
		char head[96], text[32];
		float expected[FAKE_VECTOR_LEN];

		(void)snprintf(head, sizeof(head), "\"index\":%zu,\"embedding\":[", i);
		(void)snprintf(text, sizeof(text), "%zu%c", i * i, (char)('a' + i % 26));
		fake_compute_vector(text, expected);
		at = strstr(at, head);
		assert_non_null(at);
		at += strlen(head);
		for (size_t d = 0; d < FAKE_VECTOR_LEN; d++) {
			char *end = NULL;

			assert_true(strtof(at, &end) == expected[d]);
			at = end + 1;
		}
	}
	embeds = fake_compute_get(&world.rig.nodes[0], &world.rig.nodes[0].embeds);
	assert_int_equal(embeds, 3);
	assert_int_equal(fake_compute_get(&world.rig.nodes[0], &world.rig.nodes[0].texts), MANY);
	world_close(&world);
}

static void test_what_cannot_be_read_is_refused_by_name(void **state)
{
	static const struct {
		const char *body;
		int status;
		const char *says;
	} cases[] = {
		{ "{\"model\":\"embedder\"", 400, "\"code\":\"invalid_json\"" },
		{ "[]", 400, "\"code\":\"invalid_type\"" },
		{ "{\"input\":\"a\"}", 400, "\"param\":\"model\"" },
		{ "{\"model\":7,\"input\":\"a\"}", 400, "\"param\":\"model\"" },
		{ "{\"model\":\"embedder\"}", 400, "\"param\":\"input\"" },
		{ "{\"model\":\"embedder\",\"input\":[]}", 400, "\"param\":\"input\"" },
		{ "{\"model\":\"embedder\",\"input\":\"\"}", 400, "\"param\":\"input[0]\"" },
		{ "{\"model\":\"embedder\",\"input\":[\"a\",\"\"]}", 400,
		    "\"param\":\"input[1]\"" },
		{ "{\"model\":\"embedder\",\"input\":[1,2]}", 400, "token ids" },
		{ "{\"model\":\"embedder\",\"input\":[[1,2]]}", 400, "token ids" },
		{ "{\"model\":\"embedder\",\"input\":{}}", 400, "\"code\":\"invalid_type\"" },
		{ "{\"model\":\"embedder\",\"input\":\"a\\u0000b\"}", 400, "U+0000" },
		{ "{\"model\":\"embedder\",\"input\":\"a\",\"encoding_format\":\"hex\"}", 400,
		    "\"param\":\"encoding_format\"" },
		{ "{\"model\":\"embedder\",\"input\":\"a\",\"dimensions\":4}", 400,
		    "\"param\":\"dimensions\"" },
		{ "{\"model\":\"embedder\",\"input\":\"a\",\"dimensions\":-1}", 400,
		    "\"param\":\"dimensions\"" },
		{ "{\"model\":\"other\",\"input\":\"a\"}", 404, "\"code\":\"model_not_found\"" },
		{ "{\"model\":\"hearth\",\"input\":\"a\"}", 400, "does not embed" },
	};
	struct world world;

	(void)state;
	open_one(&world);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		post(&world, cases[i].body);
		if (world.response.status != cases[i].status ||
		    strstr(buf_text(&world.read), cases[i].says) == NULL ||
		    strstr(buf_text(&world.read), "{\"error\":{\"message\":") == NULL)
			fail_msg("%s: %d %s", cases[i].body, world.response.status,
			    buf_text(&world.read));
	}
	world_close(&world);
}

static void test_a_model_that_chats_does_not_embed_and_the_other_way_round(void **state)
{
	const struct fake_script scripts[] = { embedder(), fake_script_default() };
	struct world world;

	(void)state;
	world_open(&world, scripts, 2);
	post(&world, "{\"model\":\"tiny\",\"input\":\"a\"}");
	assert_int_equal(world.response.status, 400);
	assert_non_null(strstr(buf_text(&world.read), "does not embed"));
	world_post(&world, false,
	    "{\"model\":\"embedder\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}");
	assert_int_equal(world.response.status, 404);
	world_reset(&world);
	api_response_init(&world.response);
	answer_models(&world.host, &world.request_arena, &world.response);
	assert_non_null(strstr(buf_text(&world.response.body), "\"id\":\"embedder\""));
	world_close(&world);
}

static void test_what_the_node_refuses_is_told_with_its_numbers(void **state)
{
	struct fake_script script = embedder();
	struct world world;

	(void)state;
	script.refuse_times = 1;
	script.refuse = WIRE_ERROR_CONTEXT;
	script.refuse_context = 64;
	script.refuse_needed = 99;
	world_open(&world, &script, 1);
	post(&world, "{\"model\":\"embedder\",\"input\":\"a\"}");
	assert_int_equal(world.response.status, 400);
	assert_non_null(strstr(buf_text(&world.read), "99 tokens"));
	assert_non_null(strstr(buf_text(&world.read), "context_length_exceeded"));
	script.refuse_times = 1;
	script.refuse = WIRE_ERROR_BUSY;
	fake_compute_set(&world.rig.nodes[0], &script);
	post(&world, "{\"model\":\"embedder\",\"input\":\"a\"}");
	assert_int_equal(world.response.status, 503);
	assert_non_null(world_header(&world, "Retry-After"));
	world_close(&world);
}

static void test_without_its_node_a_model_is_away_and_says_when_to_come_again(void **state)
{
	struct world world;

	(void)state;
	open_one(&world);
	fake_compute_kill(&world.rig.nodes[0]);
	post(&world, "{\"model\":\"embedder\",\"input\":\"a\"}");
	assert_int_equal(world.response.status, 503);
	assert_non_null(world_header(&world, "Retry-After"));
	world_close(&world);
}

struct killer {
	struct world *world;
	pthread_t thread;
};

static void *kill_when_asked(void *ctx)
{
	struct killer *killer = ctx;
	struct fake_compute *first = &killer->world->rig.nodes[0];

	fake_compute_wait(first, &first->embeds, 1);
	fake_compute_kill(first);
	return NULL;
}

static void test_another_node_with_the_same_model_takes_over(void **state)
{
	struct fake_script scripts[] = { embedder(), embedder() };
	struct world world;
	struct killer killer = { .world = &world };

	(void)state;
	scripts[0].mute_embed = true;
	scripts[1].model = "another-name";
	world_open(&world, scripts, 2);
	world.host.start_timeout_ns = RIG_DEADLINE_NS;
	assert_int_equal(pthread_create(&killer.thread, NULL, kill_when_asked, &killer), 0);
	post(&world, "{\"model\":\"embedder\",\"input\":\"abc\"}");
	(void)pthread_join(killer.thread, NULL);
	assert_int_equal(world.response.status, 200);
	assert_non_null(strstr(buf_text(&world.read), "[1,-9.7e-06,99,0.1,0]"));
	assert_int_equal(fake_compute_get(&world.rig.nodes[1], &world.rig.nodes[1].embeds), 1);
	world_close(&world);
}

static void test_a_client_that_goes_away_ends_the_request_on_the_node(void **state)
{
	struct fake_script script = embedder();
	struct world world;

	(void)state;
	script.mute_embed = true;
	world_open(&world, &script, 1);
	world.gone = true;
	post(&world, "{\"model\":\"embedder\",\"input\":\"abc\"}");
	assert_int_equal(world.response.status, 499);
	fake_compute_wait(&world.rig.nodes[0], &world.rig.nodes[0].cancels, 1);
	world_close(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_text_gives_exactly_these_bytes),
		cmocka_unit_test(test_base64_is_the_same_floats_in_little_endian),
		cmocka_unit_test(test_many_texts_come_back_in_order_in_several_messages),
		cmocka_unit_test(test_what_cannot_be_read_is_refused_by_name),
		cmocka_unit_test(test_a_model_that_chats_does_not_embed_and_the_other_way_round),
		cmocka_unit_test(test_what_the_node_refuses_is_told_with_its_numbers),
		cmocka_unit_test(test_without_its_node_a_model_is_away_and_says_when_to_come_again),
		cmocka_unit_test(test_another_node_with_the_same_model_takes_over),
		cmocka_unit_test(test_a_client_that_goes_away_ends_the_request_on_the_node),
	};

	log_set_level(LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
