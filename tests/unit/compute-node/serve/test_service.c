/* The whole compute node over loopback CURVE with a tiny random model: what a
 * data node sees of answers, limits, leases and errors. */
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
#include "infer/engine.h"
#include "model/model.h"
#include "plain_sample.h"
#include "serve_fixture.h"
#include "tokenize/tokenizer.h"

#define PLENTY 100000

static struct serve_fixture node;

static int setup_with(size_t queue_max)
{
	log_set_level(LOG_LEVEL_ERROR);
	serve_fixture_init(&node, &(struct tiny_gguf){ .seed = 11 });
	node.config.queue_max = queue_max;
	node.config.heartbeat_ns = 100 * NS_PER_MS;
	serve_fixture_start(&node);
	serve_fixture_connect(&node, 0);
	return 0;
}

static int setup(void **state)
{
	(void)state;
	return setup_with(0);
}

static int setup_small_queue(void **state)
{
	(void)state;
	return setup_with(8);
}

static int teardown(void **state)
{
	(void)state;
	serve_fixture_fini(&node);
	return 0;
}

static struct wire_part text_part(const char *text, bool trusted)
{
	return (struct wire_part){
		.data = (const uint8_t *)text, .data_len = strlen(text), .trusted = trusted
	};
}

static struct message generate(const struct wire_part *raw, uint32_t max_tokens)
{
	struct message message = { .kind = MESSAGE_GENERATE };

	message.u.generate = (struct wire_generate){ .model = "tiny",
		.raw = raw,
		.raw_len = 1,
		.max_tokens = max_tokens,
		.credit = PLENTY };
	return message;
}

static struct serve_answer *run(struct message *message)
{
	return serve_fixture_wait(&node, serve_fixture_send(&node, 0, message));
}

/* The same by the shortest way: one sequence, one token at a time. */
static void greedy_reference(
    const uint32_t *prompt, size_t prompt_len, uint32_t *out, size_t out_len)
{
	struct model *model = NULL;
	struct engine *engine = NULL;
	const struct engine_config config = { .n_seq = 1, .n_ubatch = 4, .n_threads = 1 };
	const struct sample_params params = { .temperature = 0 };

	assert_int_equal(model_open(node.model_path, &model, NULL), RC_OK);
	assert_int_equal(engine_new(model, &config, &engine, NULL), RC_OK);
	uint32_t n_vocab = model_info(model)->n_vocab;
	float *logits = calloc(n_vocab, sizeof(float));
	int32_t history[512];
	size_t len = 0;
	assert_non_null(logits);
	for (size_t i = 0; i < prompt_len; i++)
		history[len++] = (int32_t)prompt[i];
	for (size_t at = 0; len < prompt_len + out_len; at++) {
		const struct engine_row row = {
			.token = history[at], .pos = (uint32_t)at, .want_logits = true
		};

		assert_int_equal(engine_forward(engine, &row, 1, logits, NULL, NULL, NULL), RC_OK);
		if (at + 1 < len)
			continue;
		history[len] = plain_sample(
		    &params, &(struct sample_row){ .logits = logits, .n_vocab = n_vocab });
		out[len - prompt_len] = (uint32_t)history[len];
		len++;
	}
	free(logits);
	engine_free(engine);
	model_close(model);
}

static void test_an_answer_streams_what_the_engine_gives_alone(void **state)
{
	(void)state;
	uint32_t expected[40];
	const struct wire_part prompt = text_part("the day was long and", true);
	struct message message = generate(&prompt, 40);
	struct serve_answer *answer = run(&message);
	assert_true(answer->started && answer->done);
	assert_false(answer->broken);
	assert_string_equal(answer->template_name, "raw");
	assert_string_equal(answer->cache_type, "f16");
	assert_int_equal(answer->prompt_ids[0], TINY_GGUF_BOS);
	assert_int_equal(answer->end.prompt_tokens, answer->prompt_len);
	assert_int_equal(answer->end.generated_tokens, answer->len);
	greedy_reference(answer->prompt_ids, answer->prompt_len, expected, answer->len);
	assert_memory_equal(answer->ids, expected, answer->len * sizeof(expected[0]));
	assert_true(answer->text.len > 0);
}

static void test_capabilities_describe_the_model(void **state)
{
	(void)state;
	assert_string_equal(node.links[0].model_name, "tiny");
	assert_true(node.links[0].model.chat);
	assert_false(node.links[0].model.embed);
	assert_int_equal(node.links[0].model.context, 256);
	assert_int_equal(node.links[0].load.slots, 4);
}

static void resume_everywhere(float temperature, const char *stop, struct message *message)
{
	message->u.generate.sampling.temperature = temperature;
	message->u.generate.sampling.seed = 99;
	message->u.generate.stop = &stop;
	message->u.generate.stop_len = stop != NULL;
	uint64_t id = serve_fixture_send(&node, 0, message);
	const struct serve_answer *whole = serve_fixture_wait(&node, id);
	assert_true(whole->done);
	struct message rest = *message;
	rest.u.generate.raw_len = 0;
	rest.u.generate.prompt_ids = whole->prompt_ids;
	rest.u.generate.prompt_ids_len = whole->prompt_len;
	rest.u.generate.generated_ids = whole->ids;
	for (size_t cut = 0; cut <= whole->len; cut++) {
		uint64_t before = cut == 0 ? 0 : whole->text_ends[cut - 1];

		rest.u.generate.generated_ids_len = cut;
		const struct serve_answer *answer = run(&rest);
		assert_true(answer->started && answer->done);
		assert_false(answer->broken);
		assert_int_equal(answer->len, whole->len - cut);
		assert_memory_equal(answer->ids, whole->ids + cut, answer->len * sizeof(uint32_t));
		/* A flushed end without a token comes again: the reader knows its offset. */
		assert_int_equal(answer->text.len, whole->text.len - before);
		if (answer->text.len != 0) {
			assert_int_equal(answer->first_offset, before);
			assert_memory_equal(
			    answer->text.bytes, whole->text.bytes + before, answer->text.len);
		}
		assert_int_equal(answer->end.finish, whole->end.finish);
		assert_int_equal(answer->end.generated_tokens, whole->len);
		assert_string_equal(answer->stop, whole->stop);
		serve_fixture_forget(&node, answer->request_id);
	}
	serve_fixture_forget(&node, id);
}

static void test_an_answer_resumed_at_any_token_is_the_same_to_the_byte(void **state)
{
	(void)state;
	const struct wire_part prompt = text_part("what was said at", false);
	struct message message = generate(&prompt, 30);
	resume_everywhere(0, NULL, &message);
	resume_everywhere(1.0F, NULL, &message);
	message.u.generate.sampling.top_k = 40;
	message.u.generate.sampling.repeat_penalty = 1.3F;
	message.u.generate.sampling.presence_penalty = 0.5F;
	resume_everywhere(1.5F, NULL, &message);
}

static void test_a_stopped_answer_resumed_at_any_token_is_the_same(void **state)
{
	(void)state;
	const struct wire_part prompt = text_part("x", false);
	struct message message = generate(&prompt, 30);
	message.u.generate.sampling.temperature = 1.0F;
	message.u.generate.sampling.seed = 99;
	const struct serve_answer *answer = run(&message);
	assert_true(answer->text.len > 12);
	/* Whatever stands in the middle ends the next run there. */
	char stop[8] = { 0 };
	size_t at = answer->text.len / 2;
	while (at + 4 < answer->text.len && (answer->text.bytes[at] & 0xC0) == 0x80)
		at++;
	size_t len = 3;
	while (at + len < answer->text.len && (answer->text.bytes[at + len] & 0xC0) == 0x80)
		len++;
	assert_true(len < sizeof(stop));
	memcpy(stop, answer->text.bytes + at, len);
	if (strlen(stop) == 0)
		skip(); /* a NUL was sampled there */
	resume_everywhere(1.0F, stop, &message);
}

static void test_a_stop_string_that_spans_tokens_ends_the_answer_before_it(void **state)
{
	(void)state;
	const struct wire_part prompt = text_part("the", false);
	struct message message = generate(&prompt, 60);
	message.u.generate.sampling.temperature = 1.0F;
	for (uint64_t seed = 1; seed < 50; seed++) {
		message.u.generate.sampling.seed = seed;
		message.u.generate.stop_len = 0;
		struct serve_answer *plain = run(&message);
		/* Two neighbouring tokens of one printable byte each. */
		size_t at = 0;
		for (size_t i = 2; i + 1 < plain->len && at == 0; i++) {
			uint64_t from = plain->text_ends[i - 1];
			bool single =
			    plain->text_ends[i] == from + 1 && plain->text_ends[i + 1] == from + 2;

			if (single && plain->text.bytes[from] > 32 &&
			    plain->text.bytes[from] < 127 && plain->text.bytes[from + 1] > 32 &&
			    plain->text.bytes[from + 1] < 127)
				at = from;
		}
		if (at == 0)
			continue;
		char stop_text[3] = { (char)plain->text.bytes[at], (char)plain->text.bytes[at + 1],
			0 };
		const char *stop = stop_text;
		const char *first = strstr(buf_text(&plain->text), stop);
		assert_non_null(first);
		message.u.generate.stop = &stop;
		message.u.generate.stop_len = 1;
		struct serve_answer *stopped = run(&message);
		assert_int_equal(stopped->end.finish, WIRE_FINISH_STOP);
		assert_string_equal(stopped->stop, stop);
		assert_int_equal(stopped->text.len, first - buf_text(&plain->text));
		assert_memory_equal(stopped->text.bytes, plain->text.bytes, stopped->text.len);
		return;
	}
	fail_msg("no two neighbouring single-byte tokens in fifty answers");
}

static void test_a_cancel_ends_the_answer_early(void **state)
{
	(void)state;
	const struct wire_part prompt = text_part("go on", false);
	struct message message = generate(&prompt, 200);
	message.u.generate.credit = 5;
	message.u.generate.sampling.ignore_eos = true;
	uint64_t id = serve_fixture_send(&node, 0, &message);
	(void)serve_fixture_wait_tokens(&node, id, 5);
	const struct message cancel = { .request_id = id, .kind = MESSAGE_CANCEL };
	serve_fixture_send_as(&node, 0, &cancel);
	const struct serve_answer *answer = serve_fixture_wait(&node, id);
	assert_int_equal(answer->end.finish, WIRE_FINISH_CANCELLED);
	assert_int_equal(answer->len, 5);
}

static void test_a_stream_rests_at_its_credit_while_another_runs(void **state)
{
	(void)state;
	const struct wire_part prompt = text_part("go on", false);
	struct message slow = generate(&prompt, 20), fast = generate(&prompt, 20);
	slow.u.generate.sampling.ignore_eos = fast.u.generate.sampling.ignore_eos = true;
	slow.u.generate.credit = 3;
	uint64_t id = serve_fixture_send(&node, 0, &slow);
	(void)serve_fixture_wait_tokens(&node, id, 3);
	struct serve_answer *whole = run(&fast);
	assert_int_equal(whole->len, 20);
	assert_int_equal(serve_fixture_tokens(&node, id), 3);
	const struct message credit = { .request_id = id, .kind = MESSAGE_CREDIT, .u.credit = 17 };
	serve_fixture_send_as(&node, 0, &credit);
	struct serve_answer *answer = serve_fixture_wait(&node, id);
	assert_int_equal(answer->len, 20);
	assert_false(answer->broken);
	assert_memory_equal(answer->ids, whole->ids, 20 * sizeof(uint32_t));
}

static void test_many_answers_at_once_are_what_each_is_alone(void **state)
{
	(void)state;
	static const char *const texts[] = { "one",
		"a longer prompt of some words and more of them", "three",
		"\xc3\xa4\xc3\xb6\xc3\xbc", "five", "the day", "seven", "and so on" };
	uint64_t ids[8];
	struct serve_answer *alone[8];
	serve_fixture_connect(&node, 1);
	for (int round = 0; round < 2; round++) {
		for (size_t i = 0; i < 8; i++) {
			const struct wire_part prompt = text_part(texts[i], false);
			struct message message = generate(&prompt, 10 + (uint32_t)i * 4);

			message.u.generate.sampling.temperature = i % 2 == 0 ? 0 : 0.9F;
			message.u.generate.sampling.seed = i;
			ids[i] = serve_fixture_send(&node, (int)(i % 2), &message);
			if (round == 0)
				alone[i] = serve_fixture_wait(&node, ids[i]);
		}
		for (size_t i = 0; i < 8; i++) {
			struct serve_answer *answer = serve_fixture_wait(&node, ids[i]);

			assert_true(answer->done);
			assert_false(answer->broken);
			assert_int_equal(answer->len, alone[i]->len);
			assert_memory_equal(
			    answer->ids, alone[i]->ids, answer->len * sizeof(uint32_t));
			assert_string_equal(buf_text(&answer->text), buf_text(&alone[i]->text));
		}
	}
}

/* Jobs that hold all sequences without an end in sight. */
static void fill_sequences(uint64_t ids[4])
{
	const struct wire_part prompt = text_part("hold", false);

	for (int i = 0; i < 4; i++) {
		struct message message = generate(&prompt, 100);

		message.u.generate.sampling.ignore_eos = true;
		message.u.generate.credit = 1;
		ids[i] = serve_fixture_send(&node, 0, &message);
	}
	for (int i = 0; i < 4; i++)
		(void)serve_fixture_wait_tokens(&node, ids[i], 1);
}

static void cancel(uint64_t id)
{
	const struct message message = { .request_id = id, .kind = MESSAGE_CANCEL };

	serve_fixture_send_as(&node, 0, &message);
}

static void test_a_full_queue_is_busy_and_the_queued_are_served(void **state)
{
	(void)state;
	uint64_t held[4], queued[7];
	const struct wire_part prompt = text_part("wait", false);
	struct message message = generate(&prompt, 3);
	fill_sequences(held);
	for (int i = 0; i < 7; i++)
		queued[i] = serve_fixture_send(&node, 0, &message);
	/* Three quarters of eight places are one key's. */
	const struct serve_answer *refused = serve_fixture_wait(&node, queued[6]);
	assert_true(refused->failed);
	assert_int_equal(refused->code, WIRE_ERROR_BUSY);
	serve_fixture_connect(&node, 1);
	uint64_t other = serve_fixture_send(&node, 1, &message);
	for (int i = 0; i < 4; i++)
		cancel(held[i]);
	assert_true(serve_fixture_wait(&node, other)->done);
	for (int i = 0; i < 6; i++)
		assert_true(serve_fixture_wait(&node, queued[i])->done);
}

static void test_waiting_past_ttl_is_a_timeout(void **state)
{
	(void)state;
	uint64_t held[4];
	const struct wire_part prompt = text_part("wait", false);
	struct message message = generate(&prompt, 3);
	fill_sequences(held);
	message.ttl_ms = 30;
	const struct serve_answer *answer = run(&message);
	assert_true(answer->failed);
	assert_int_equal(answer->code, WIRE_ERROR_TIMEOUT);
}

static struct serve_answer *lease(int link, enum message_kind kind, uint8_t byte)
{
	struct message message = { .has_lease = true, .lease_id = { 3, byte }, .kind = kind };

	if (kind == MESSAGE_LEASE_OPEN)
		message.u.lease_open =
		    (struct wire_lease_open){ .model = "tiny", .idle_ms = 60000 };
	return serve_fixture_wait(&node, serve_fixture_send(&node, link, &message));
}

static void test_a_lease_reuses_its_prefix_and_changes_nothing(void **state)
{
	(void)state;
	const struct wire_part first = text_part("the day was long and then", false),
			       second = text_part("the day was long and over", false);
	struct message a = generate(&first, 12), b = generate(&second, 12);
	struct serve_answer *alone = run(&b);
	assert_true(lease(0, MESSAGE_LEASE_OPEN, 1)->lease.open);
	a.has_lease = b.has_lease = true;
	a.lease_id[0] = b.lease_id[0] = 3;
	a.lease_id[1] = b.lease_id[1] = 1;
	assert_int_equal(run(&a)->cached_tokens, 0);
	struct serve_answer *answer = run(&b);
	assert_true(answer->cached_tokens > 5);
	assert_string_equal(buf_text(&answer->text), buf_text(&alone->text));
	assert_int_equal(answer->len, alone->len);
	assert_memory_equal(answer->ids, alone->ids, alone->len * sizeof(uint32_t));
	assert_false(lease(0, MESSAGE_LEASE_CLOSE, 1)->lease.open);
	assert_int_equal(run(&b)->code, WIRE_ERROR_NO_LEASE);
}

static void test_the_lease_of_another_key_is_not_there(void **state)
{
	(void)state;
	const struct wire_part prompt = text_part("mine", false);
	struct message message = generate(&prompt, 3);
	serve_fixture_connect(&node, 1);
	assert_true(lease(0, MESSAGE_LEASE_OPEN, 2)->lease.open);
	message.has_lease = true;
	message.lease_id[0] = 3;
	message.lease_id[1] = 2;
	const struct serve_answer *answer =
	    serve_fixture_wait(&node, serve_fixture_send(&node, 1, &message));
	assert_int_equal(answer->code, WIRE_ERROR_NO_LEASE);
	assert_int_equal(lease(1, MESSAGE_LEASE_OPEN, 2)->code, WIRE_ERROR_NO_LEASE);
	assert_int_equal(lease(1, MESSAGE_LEASE_RENEW, 2)->code, WIRE_ERROR_NO_LEASE);
	assert_int_equal(lease(1, MESSAGE_LEASE_CLOSE, 2)->code, WIRE_ERROR_NO_LEASE);
	assert_true(lease(0, MESSAGE_LEASE_RENEW, 2)->lease.open);
}

static struct wire_stats stats(int link)
{
	struct message message = { .kind = MESSAGE_STATS_REQUEST };
	uint64_t id = serve_fixture_send(&node, link, &message);
	struct wire_stats out = serve_fixture_wait(&node, id)->stats;

	serve_fixture_forget(&node, id);
	return out;
}

static void test_a_lost_data_node_takes_its_jobs_and_leases_with_it(void **state)
{
	(void)state;
	uint64_t held[4];
	serve_fixture_connect(&node, 1);
	assert_true(lease(0, MESSAGE_LEASE_OPEN, 2)->lease.open);
	fill_sequences(held);
	assert_int_equal(stats(0).leases, 1);
	assert_int_equal(stats(1).load.active, 4);
	serve_fixture_disconnect(&node, 0);
	int64_t until = clock_mono_ns() + 60 * NS_PER_S;
	struct wire_stats now;
	do {
		now = stats(1);
		(void)usleep(1000);
	} while (now.load.active != 0 && clock_mono_ns() < until);
	assert_int_equal(now.load.active, 0);
	serve_fixture_connect(&node, 0);
	now = stats(0);
	assert_int_equal(now.leases, 0);
	assert_int_equal(now.kv_tokens_used, 0);
}

static void test_a_data_node_learns_nothing_of_another_but_the_load(void **state)
{
	(void)state;
	const struct wire_part prompt = text_part("one two three", false);
	struct message message = generate(&prompt, 9);
	serve_fixture_connect(&node, 1);
	assert_true(lease(0, MESSAGE_LEASE_OPEN, 2)->lease.open);
	message.has_lease = true;
	message.lease_id[0] = 3;
	message.lease_id[1] = 2;
	message.u.generate.sampling.ignore_eos = true;
	assert_true(run(&message)->done);
	const struct wire_stats own = stats(0), other = stats(1);
	assert_int_equal(own.requests, 1);
	assert_int_equal(own.tokens_generated, 9);
	assert_int_equal(own.leases, 1);
	assert_true(own.kv_tokens_used > 9);
	assert_true(own.kv_tokens > own.kv_tokens_used);
	assert_int_equal(other.requests + other.refused + other.leases, 0);
	assert_int_equal(other.tokens_generated + other.tokens_prompt + other.kv_tokens_used, 0);
	assert_int_equal(other.kv_tokens, own.kv_tokens);
	/* The same prompt of another data node finds no prefix. */
	message.has_lease = false;
	const struct serve_answer *answer =
	    serve_fixture_wait(&node, serve_fixture_send(&node, 1, &message));
	assert_true(answer->done);
	assert_int_equal(answer->cached_tokens, 0);
}

static void test_what_cannot_fit_is_refused_before_anything_else(void **state)
{
	(void)state;
	const struct wire_part prompt = text_part("one two three", false);
	struct message message = generate(&prompt, 1000);
	const struct serve_answer *answer = run(&message);
	assert_int_equal(answer->code, WIRE_ERROR_CONTEXT);
	assert_false(answer->started);
	assert_int_equal(answer->context, 256);
	assert_true(answer->needed > 1000);
	char *big = malloc(100000);
	assert_non_null(big);
	memset(big, 'a', 99999);
	big[99999] = '\0';
	const struct wire_part huge = text_part(big, false);
	message = generate(&huge, 1);
	answer = run(&message);
	assert_int_equal(answer->code, WIRE_ERROR_CONTEXT);
	assert_int_equal(answer->context, 256);
	assert_true(answer->needed > 256);
	free(big);
}

static void expect_error(struct message *message, enum wire_error code, const char *field)
{
	const struct serve_answer *answer = run(message);

	assert_true(answer->failed);
	assert_int_equal(answer->messages, 1);
	if (answer->code != code)
		fail_msg("code %d (%s), expected %d", (int)answer->code, answer->error, (int)code);
	if (strstr(answer->error, field) == NULL)
		fail_msg("'%s' does not name %s", answer->error, field);
}

static void test_bad_requests_are_told_what_is_wrong(void **state)
{
	(void)state;
	const struct wire_part prompt = text_part("x", false);
	const struct wire_part image = { .kind = WIRE_PART_IMAGE, .media_type = "image/png" };
	const uint32_t bad_ids[] = { 1, 5, 1000000 }, good_ids[] = { 1, 5 };
	struct wire_chat_message chat = { .role = "user", .parts = &image, .parts_len = 1 };
	const char *empty = "";

	struct message m = generate(&prompt, 3);
	m.u.generate.model = "other";
	expect_error(&m, WIRE_ERROR_NO_MODEL, "model");
	m = generate(&image, 3);
	expect_error(&m, WIRE_ERROR_UNSUPPORTED, "raw[0]");
	m = generate(&prompt, 3);
	m.u.generate.messages = &chat;
	m.u.generate.messages_len = 1;
	expect_error(&m, WIRE_ERROR_INVALID, "messages");
	m.u.generate.raw_len = 0;
	expect_error(&m, WIRE_ERROR_UNSUPPORTED, "messages[0].parts[0]");
	chat.role = "captain";
	expect_error(&m, WIRE_ERROR_INVALID, "messages[0].role");
	m = generate(&prompt, 3);
	m.u.generate.raw_len = 0;
	expect_error(&m, WIRE_ERROR_INVALID, "prompt_ids");
	m.u.generate.prompt_ids = bad_ids;
	m.u.generate.prompt_ids_len = 3;
	expect_error(&m, WIRE_ERROR_INVALID, "prompt_ids[2]");
	m.u.generate.prompt_ids = good_ids;
	m.u.generate.prompt_ids_len = 2;
	m.u.generate.max_tokens = 5;
	m.u.generate.generated_ids = bad_ids;
	m.u.generate.generated_ids_len = 3;
	expect_error(&m, WIRE_ERROR_INVALID, "generated_ids[2]");
	m.u.generate.max_tokens = 2;
	expect_error(&m, WIRE_ERROR_INVALID, "generated_ids");
	m = generate(&prompt, 3);
	m.u.generate.logprobs = 500;
	expect_error(&m, WIRE_ERROR_LIMIT, "logprobs");
	m = generate(&prompt, 3);
	m.u.generate.stop = &empty;
	m.u.generate.stop_len = 1;
	expect_error(&m, WIRE_ERROR_INVALID, "stop");
	m = (struct message){ .kind = MESSAGE_EMBED };
	m.u.embed.model = "tiny";
	expect_error(&m, WIRE_ERROR_UNSUPPORTED, "embed");
	m = (struct message){ .kind = MESSAGE_ADAPTER_PUT };
	expect_error(&m, WIRE_ERROR_INVALID, "lease_id");
	assert_true(lease(0, MESSAGE_LEASE_OPEN, 7)->lease.open);
	m = (struct message){
		.kind = MESSAGE_ADAPTER_PUT, .has_lease = true, .lease_id = { 3, 7 }
	};
	m.u.adapter_put.total_bytes = 1;
	expect_error(&m, WIRE_ERROR_UNSUPPORTED, "adapter_put"); /* no space for them here */
	m = (struct message){ .kind = MESSAGE_LEASE_OPEN };
	m.u.lease_open.model = "tiny";
	expect_error(&m, WIRE_ERROR_INVALID, "lease_id");
}

static void test_tokenize_counts_parts_and_parses_marks_in_trusted_ones_only(void **state)
{
	(void)state;
	const struct wire_part parts[] = { text_part("the day", false),
		text_part(TINY_GGUF_CONTROL_TEXT, true), text_part(TINY_GGUF_CONTROL_TEXT, false) };
	struct message message = { .kind = MESSAGE_TOKENIZE };
	message.u.tokenize = (struct wire_tokenize){
		.model = "tiny", .parts = parts, .parts_len = 3, .add_bos = true
	};
	const struct serve_answer *answer = run(&message);
	assert_int_equal(answer->counts_len, 3);
	assert_int_equal(answer->ids[0], TINY_GGUF_BOS);
	assert_int_equal(
	    answer->len, 1 + answer->counts[0] + answer->counts[1] + answer->counts[2]);
	assert_int_equal(answer->counts[1], 1);
	assert_int_equal(answer->ids[1 + answer->counts[0]], TINY_GGUF_CONTROL);
	assert_true(answer->counts[2] > 1);
	for (size_t i = 2 + answer->counts[0]; i < answer->len; i++)
		assert_int_not_equal(answer->ids[i], TINY_GGUF_CONTROL);
	message.u.tokenize.count_only = true;
	const struct serve_answer *counted = run(&message);
	assert_int_equal(counted->len, 0);
	assert_memory_equal(counted->counts, answer->counts, sizeof(answer->counts));
	message.u.tokenize.model = "other";
	expect_error(&message, WIRE_ERROR_NO_MODEL, "model");
}

static void test_messages_are_rendered_plainly_and_say_so(void **state)
{
	(void)state;
	const struct wire_part ask = text_part("who was there?", false),
			       rules = text_part("be brief", true);
	const struct wire_chat_message chat[] = {
		{ .role = "system", .parts = &rules, .parts_len = 1 },
		{ .role = "user", .parts = &ask, .parts_len = 1, .name = "eve" }
	};
	struct message message = generate(&ask, 4);
	message.u.generate.raw_len = 0;
	message.u.generate.messages = chat;
	message.u.generate.messages_len = 2;
	message.u.generate.add_generation_prompt = true;
	const struct serve_answer *answer = run(&message);
	assert_string_equal(answer->template_name, "plain");
	struct model *model = NULL;
	char text[512], piece[64];
	size_t len = 0;
	assert_int_equal(model_open(node.model_path, &model, NULL), RC_OK);
	for (size_t i = 0; i < answer->prompt_len; i++) {
		size_t n = tokenizer_piece(model_tokenizer(model), (int32_t)answer->prompt_ids[i],
		    false, piece, sizeof(piece));

		assert_true(len + n < sizeof(text));
		memcpy(text + len, piece, n);
		len += n;
	}
	text[len] = '\0';
	model_close(model);
	const char *expected = "System: be brief\n\nUser (eve): who was there?\n\nAssistant:";
	assert_non_null(strstr(text, expected));
}

static void test_plan_and_stats_are_answered(void **state)
{
	(void)state;
	const struct wire_part prompt = text_part("x", false);
	struct message message = generate(&prompt, 7);
	message.u.generate.sampling.ignore_eos = true;
	(void)run(&message);
	const struct wire_stats now = stats(0);
	assert_int_equal(now.requests, 1);
	assert_int_equal(now.tokens_generated, 7);
	assert_true(now.tokens_prompt >= 2);
	assert_true(now.planned_bytes > 0 && now.planned_bytes <= now.budget_bytes);
	message = (struct message){ .kind = MESSAGE_PLAN_REQUEST };
	message.u.plan_request = (struct wire_plan_request){ .model = "tiny", .context = 128 };
	const struct wire_plan small = run(&message)->plan;
	assert_true(small.fits);
	assert_int_equal(
	    small.total_bytes, small.weights_bytes + small.cache_bytes + small.scratch_bytes);
	message.u.plan_request.context = 1 << 22;
	message.u.plan_request.parallel = 256;
	const struct wire_plan big = run(&message)->plan;
	assert_false(big.fits);
	assert_int_equal(big.largest_context, 256); /* the model knows no more */
	assert_true(big.cache_bytes > small.cache_bytes);
	message.u.plan_request.model = "other";
	expect_error(&message, WIRE_ERROR_NO_MODEL, "model");
}

static void test_logprobs_come_with_every_token_best_first(void **state)
{
	(void)state;
	const struct wire_part prompt = text_part("the", false);
	struct message message = generate(&prompt, 9);
	message.u.generate.logprobs = 5;
	message.u.generate.sampling.ignore_eos = true;
	const struct serve_answer *answer = run(&message);
	assert_int_equal(answer->logprobs, 9);
	assert_true(answer->logprobs_ordered);
	assert_true(answer->logprob_sum < 0);
}

static void test_ignore_eos_goes_on_where_the_answer_would_have_ended(void **state)
{
	(void)state;
	const struct wire_part prompt = text_part("end", false);
	struct message message = generate(&prompt, 100);
	message.u.generate.sampling.temperature = 2.0F;
	for (uint64_t seed = 1; seed < 60; seed++) {
		message.u.generate.sampling.seed = seed;
		message.u.generate.sampling.ignore_eos = false;
		struct serve_answer *ended = run(&message);
		if (ended->end.finish != WIRE_FINISH_STOP)
			continue;
		assert_true(ended->len < 100);
		message.u.generate.sampling.ignore_eos = true;
		struct serve_answer *on = run(&message);
		assert_int_equal(on->end.finish, WIRE_FINISH_LENGTH);
		assert_int_equal(on->len, 100);
		return;
	}
	fail_msg("no answer of sixty ended by itself");
}

static void test_an_answer_without_a_limit_runs_to_the_end_of_the_context(void **state)
{
	(void)state;
	const struct wire_part prompt = text_part("the", false);
	struct message message = generate(&prompt, 0);
	message.u.generate.sampling.ignore_eos = true;
	const struct serve_answer *answer = run(&message);
	assert_int_equal(answer->end.finish, WIRE_FINISH_LENGTH);
	assert_int_equal(answer->len + answer->prompt_len, 256);
}

static void test_closing_the_service_ends_running_answers_at_once(void **state)
{
	(void)state;
	uint64_t held[4];
	const struct wire_part prompt = text_part("go", false);
	fill_sequences(held);
	for (int i = 0; i < 4; i++) {
		struct message message = generate(&prompt, 200);

		(void)serve_fixture_send(&node, 0, &message);
	}
	service_close(node.service);
	node.service = NULL;
	serve_fixture_disconnect(&node, 0);
}

#define UNIT(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		UNIT(test_an_answer_streams_what_the_engine_gives_alone),
		UNIT(test_capabilities_describe_the_model),
		UNIT(test_an_answer_resumed_at_any_token_is_the_same_to_the_byte),
		UNIT(test_a_stopped_answer_resumed_at_any_token_is_the_same),
		UNIT(test_a_stop_string_that_spans_tokens_ends_the_answer_before_it),
		UNIT(test_a_cancel_ends_the_answer_early),
		UNIT(test_a_stream_rests_at_its_credit_while_another_runs),
		UNIT(test_many_answers_at_once_are_what_each_is_alone),
		cmocka_unit_test_setup_teardown(test_a_full_queue_is_busy_and_the_queued_are_served,
		    setup_small_queue, teardown),
		UNIT(test_waiting_past_ttl_is_a_timeout),
		UNIT(test_a_lease_reuses_its_prefix_and_changes_nothing),
		UNIT(test_the_lease_of_another_key_is_not_there),
		UNIT(test_a_lost_data_node_takes_its_jobs_and_leases_with_it),
		UNIT(test_what_cannot_fit_is_refused_before_anything_else),
		UNIT(test_bad_requests_are_told_what_is_wrong),
		UNIT(test_tokenize_counts_parts_and_parses_marks_in_trusted_ones_only),
		UNIT(test_messages_are_rendered_plainly_and_say_so),
		UNIT(test_plan_and_stats_are_answered),
		UNIT(test_a_data_node_learns_nothing_of_another_but_the_load),
		UNIT(test_logprobs_come_with_every_token_best_first),
		UNIT(test_ignore_eos_goes_on_where_the_answer_would_have_ended),
		UNIT(test_an_answer_without_a_limit_runs_to_the_end_of_the_context),
		UNIT(test_closing_the_service_ends_running_answers_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
