/*
 * Adapters over the wire: an answer under a lease is what the engine gives with the
 * lease's adapter, others beside it are as they were, and whatever does not fit is
 * refused by a typed error that leaves the lease without one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <sodium.h>

#include "adapter_build.h"
#include "base/clock.h"
#include "base/log.h"
#include "model/adapter.h"
#include "model/model.h"
#include "plain_sample.h"
#include "serve/adapter_space.h"
#include "serve_fixture.h"
#include "wire/upload.h"

#define SPACE ((uint64_t)128 << 10)
#define N_ANSWER 24

static struct serve_fixture node;
static struct model *model;

static int setup(void **state)
{
	(void)state;
	log_set_level(LOG_LEVEL_ERROR);
	serve_fixture_init(&node, &(struct tiny_gguf){ .seed = 11 });
	node.config.fleet.adapter_bytes = SPACE;
	node.config.heartbeat_ns = 100 * NS_PER_MS;
	serve_fixture_start(&node);
	serve_fixture_connect(&node, 0);
	return model_open(node.model_path, &model, NULL) == RC_OK ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	model_close(model);
	serve_fixture_fini(&node);
	return 0;
}

static struct serve_answer *ask(int link, const struct message *message)
{
	struct message own = *message;

	return serve_fixture_wait(&node, serve_fixture_send(&node, link, &own));
}

static struct message under(enum message_kind kind, uint8_t lease)
{
	struct message message = {
		.kind = kind, .has_lease = lease != 0, .lease_id = { 4, lease }
	};

	if (kind == MESSAGE_LEASE_OPEN)
		message.u.lease_open = (struct wire_lease_open){ .model = "tiny" };
	return message;
}

static void lease(enum message_kind kind, uint8_t byte)
{
	const struct message message = under(kind, byte);

	assert_int_equal(ask(0, &message)->lease.open, kind != MESSAGE_LEASE_CLOSE);
}

static struct message generate(uint8_t lease)
{
	static const char prompt[] = "the day was long and then";
	static const struct wire_part raw = { .data = (const uint8_t *)prompt,
		.data_len = sizeof(prompt) - 1 };
	struct message message = under(MESSAGE_GENERATE, lease);

	message.u.generate = (struct wire_generate){ .model = "tiny",
		.raw = &raw,
		.raw_len = 1,
		.max_tokens = N_ANSWER,
		.credit = 100000,
		.sampling = { .ignore_eos = true } };
	return message;
}

static struct serve_answer *run(uint8_t lease)
{
	const struct message message = generate(lease);

	return ask(0, &message);
}

/* What the engine alone gives, one token at a time. */
static void assert_is_engines(const struct serve_answer *answer, const struct adapter *adapter)
{
	const struct engine_config config = { .n_seq = 1, .n_threads = 1, .adapters = true };
	const struct sample_params params = { .temperature = 0 };
	const int32_t end = TINY_GGUF_EOS; /* it is ignored */
	uint32_t n_vocab = model_info(model)->n_vocab;
	float *logits = calloc(n_vocab, sizeof(*logits));
	struct engine *engine = NULL;
	int32_t ids[512];
	size_t len = answer->prompt_len;

	assert_true(logits != NULL && answer->done);
	assert_int_equal(answer->len, N_ANSWER);
	assert_int_equal(engine_new(model, &config, &engine, NULL), RC_OK);
	assert_int_equal(engine_seq_adapt(engine, 0, adapter), RC_OK);
	for (size_t i = 0; i < len; i++)
		ids[i] = (int32_t)answer->prompt_ids[i];
	for (size_t at = 0; at < answer->prompt_len + N_ANSWER - 1; at++) {
		const struct engine_row row = {
			.token = ids[at], .pos = (uint32_t)at, .want_logits = true
		};

		assert_int_equal(engine_forward(engine, &row, 1, logits, NULL, NULL, NULL), RC_OK);
		if (at + 1 < len)
			continue;
		ids[len] = plain_sample(&params,
		    &(struct sample_row){
			.logits = logits, .n_vocab = n_vocab, .banned = &end, .banned_len = 1 });
		assert_int_equal(answer->ids[len - answer->prompt_len], ids[len]);
		len++;
	}
	free(logits);
	engine_free(engine);
}

struct file {
	uint8_t *bytes;
	size_t len;
	void *table;
	const struct adapter *adapter;
};

static struct file build(uint64_t seed, uint32_t rank)
{
	const struct adapter_build how = {
		.seed = seed, .rank = rank, .type = TYPE_F16, .named = true
	};
	struct file f = { .table = malloc(adapter_table_bytes(model)) };

	f.bytes = adapter_build(model, &how, &f.len);
	assert_non_null(f.table);
	assert_int_equal(adapter_parse(model, f.bytes, f.len, f.table, &f.adapter, NULL), RC_OK);
	return f;
}

static void unbuild(struct file *f)
{
	free(f->bytes);
	free(f->table);
}

/* Bytes from … to - 1 of a file as one chunk. */
static struct message chunk(const struct file *f, uint8_t lease, size_t from, size_t to)
{
	struct message message = under(MESSAGE_ADAPTER_PUT, lease);
	struct wire_adapter_put *put = &message.u.adapter_put;

	*put = (struct wire_adapter_put){ .total_bytes = f->len,
		.offset = from,
		.chunk = f->bytes + from,
		.chunk_len = to - from };
	assert_int_equal(
	    crypto_generichash(put->content_hash, WIRE_HASH_BYTES, f->bytes, f->len, NULL, 0), 0);
	return message;
}

static struct serve_answer *send(const struct file *f, uint8_t lease, size_t from, size_t to)
{
	const struct message message = chunk(f, lease, from, to);

	return ask(0, &message);
}

static void put(const struct file *f, uint8_t lease)
{
	assert_true(send(f, lease, 0, f->len)->adapter.active);
}

static void expect(const struct serve_answer *answer, enum wire_error code, const char *part)
{
	assert_true(answer->failed);
	assert_int_equal(answer->code, code);
	if (strstr(answer->error, part) == NULL)
		fail_msg("expected '%s' in: %s", part, answer->error);
}

static void test_answers_under_a_lease_are_computed_with_its_adapter_and_others_not(void **state)
{
	(void)state;
	struct file one = build(3, 4), two = build(4, 7);
	uint64_t ids[9];

	lease(MESSAGE_LEASE_OPEN, 1);
	lease(MESSAGE_LEASE_OPEN, 2);
	assert_int_equal(send(&one, 1, 0, 1000)->adapter.received_bytes, 1000);
	assert_false(send(&one, 1, 1000, 1001)->adapter.active);
	assert_true(send(&one, 1, 1001, one.len)->adapter.active);
	put(&two, 2);
	for (size_t i = 0; i < 9; i++) { /* at once, and more than there are sequences */
		struct message message = generate((uint8_t)(i % 3));

		ids[i] = serve_fixture_send(&node, 0, &message);
	}
	for (size_t i = 0; i < 9; i++)
		assert_is_engines(serve_fixture_wait(&node, ids[i]), i % 3 == 0   ? NULL
								     : i % 3 == 1 ? one.adapter
										  : two.adapter);
	unbuild(&one);
	unbuild(&two);
}

static void test_what_another_adapter_computed_is_not_reused(void **state)
{
	(void)state;
	struct file one = build(3, 4), two = build(4, 4), none = one;

	lease(MESSAGE_LEASE_OPEN, 1);
	assert_int_equal(run(1)->cached_tokens, 0);
	put(&one, 1);
	struct serve_answer *answer = run(1);
	assert_int_equal(answer->cached_tokens, 0);
	assert_is_engines(answer, one.adapter);
	answer = run(1);
	assert_true(answer->cached_tokens > 5);
	assert_is_engines(answer, one.adapter);
	put(&two, 1);
	answer = run(1);
	assert_int_equal(answer->cached_tokens, 0);
	assert_is_engines(answer, two.adapter);
	none.len = 0;
	assert_false(send(&none, 1, 0, 0)->adapter.active);
	answer = run(1);
	assert_int_equal(answer->cached_tokens, 0);
	assert_is_engines(answer, NULL);
	unbuild(&one);
	unbuild(&two);
}

static void test_chunks_that_do_not_follow_are_refused_and_end_the_upload(void **state)
{
	(void)state;
	struct file f = build(3, 4);

	lease(MESSAGE_LEASE_OPEN, 1);
	expect(send(&f, 1, 100, 200), WIRE_ERROR_INVALID, "adapter_put.offset: 100, expected 0");
	assert_int_equal(send(&f, 1, 0, 500)->adapter.received_bytes, 500);
	expect(send(&f, 1, 499, 700), WIRE_ERROR_INVALID, "expected 500");
	expect(send(&f, 1, 500, 700), WIRE_ERROR_INVALID, "expected 0");
	assert_int_equal(send(&f, 1, 0, 500)->adapter.received_bytes, 500);
	expect(send(&f, 1, 501, 700), WIRE_ERROR_INVALID, "expected 500");
	assert_int_equal(send(&f, 1, 0, 500)->adapter.received_bytes, 500);
	expect(send(&f, 1, 500, 500), WIRE_ERROR_INVALID, "adapter_put.chunk");
	struct message other = chunk(&f, 1, 0, 500);
	assert_int_equal(ask(0, &other)->adapter.received_bytes, 500);
	other = chunk(&f, 1, 500, 600);
	other.u.adapter_put.content_hash[3] ^= 1;
	expect(ask(0, &other), WIRE_ERROR_INVALID, "adapter_put.content_hash");
	assert_int_equal(send(&f, 1, 0, 500)->adapter.received_bytes, 500);
	other = chunk(&f, 1, 500, 600);
	other.u.adapter_put.total_bytes++;
	expect(ask(0, &other), WIRE_ERROR_INVALID, "adapter_put.total_bytes");
	assert_is_engines(run(1), NULL);
	unbuild(&f);
}

static void test_answers_wait_for_no_half_adapter(void **state)
{
	(void)state;
	struct file f = build(3, 4);

	lease(MESSAGE_LEASE_OPEN, 1);
	(void)send(&f, 1, 0, 500);
	expect(run(1), WIRE_ERROR_INVALID, "its adapter is not whole");
	assert_true(send(&f, 1, 500, f.len)->adapter.active);
	assert_is_engines(run(1), f.adapter);
	unbuild(&f);
}

static void test_files_that_do_not_fit_are_refused(void **state)
{
	(void)state;
	struct file f = build(3, 4), cut = f, bad = f;

	lease(MESSAGE_LEASE_OPEN, 1);
	struct message wrong = chunk(&f, 1, 0, f.len);
	wrong.u.adapter_put.content_hash[0] ^= 1;
	expect(ask(0, &wrong), WIRE_ERROR_INVALID, "not of the bytes");
	cut.len = f.len - 40;
	expect(send(&cut, 1, 0, cut.len), WIRE_ERROR_INVALID, "GGUF: tensor");
	bad.bytes = malloc(f.len);
	assert_non_null(bad.bytes);
	memcpy(bad.bytes, f.bytes, f.len);
	char *named = memmem(bad.bytes, bad.len, "hearth.base_hash", 16);
	assert_non_null(named);
	named[16 + 12] ^= 1; /* type and length stand before the digits */
	expect(send(&bad, 1, 0, bad.len), WIRE_ERROR_INVALID, "of another model");
	struct message huge = chunk(&f, 1, 0, 100);
	huge.u.adapter_put.total_bytes = SPACE + 1;
	expect(ask(0, &huge), WIRE_ERROR_MEMORY, "adapter space");
	assert_is_engines(run(1), NULL);
	put(&f, 1);
	free(bad.bytes);
	unbuild(&f);
}

static void test_no_lease_and_the_lease_of_another_key_take_none(void **state)
{
	(void)state;
	struct file f = build(3, 4);
	const struct message bare = chunk(&f, 0, 0, 500), foreign = chunk(&f, 1, 0, 500);

	serve_fixture_connect(&node, 1);
	expect(ask(0, &bare), WIRE_ERROR_INVALID, "lease_id");
	expect(ask(0, &foreign), WIRE_ERROR_NO_LEASE, "no such lease");
	lease(MESSAGE_LEASE_OPEN, 1);
	expect(ask(1, &foreign), WIRE_ERROR_NO_LEASE, "no such lease");
	put(&f, 1);
	unbuild(&f);
}

static void test_an_adapter_that_an_answer_runs_with_stays(void **state)
{
	(void)state;
	struct file f = build(3, 4);
	struct message held = generate(1);

	lease(MESSAGE_LEASE_OPEN, 1);
	put(&f, 1);
	held.u.generate.credit = 2;
	uint64_t id = serve_fixture_send(&node, 0, &held);
	(void)serve_fixture_wait_tokens(&node, id, 2);
	expect(send(&f, 1, 0, f.len), WIRE_ERROR_BUSY, "an answer runs");
	assert_is_engines(run(1), f.adapter); /* beside it, on a sequence of its own */
	struct message credit = { .kind = MESSAGE_CREDIT, .request_id = id, .u.credit = 1000 };
	serve_fixture_send_as(&node, 0, &credit);
	assert_is_engines(serve_fixture_wait(&node, id), f.adapter);
	put(&f, 1);
	unbuild(&f);
}

static void test_closing_a_lease_ends_what_runs_with_its_adapter_and_gives_its_space_back(
    void **state)
{
	(void)state;
	struct file f = build(3, 5);
	struct message held = generate(1);
	uint64_t ids[2];
	uint8_t n = 0;

	assert_true(f.len < SPACE / 3 && f.len > SPACE / 14);
	held.u.generate.credit = 2;
	for (;;) {
		struct message open = under(MESSAGE_LEASE_OPEN, ++n);

		assert_true(ask(0, &open)->lease.open);
		if (send(&f, n, 0, f.len)->failed)
			break;
	}
	assert_true(n > 3); /* the last has none */
	for (size_t i = 0; i < 2; i++)
		ids[i] = serve_fixture_send(&node, 0, &held);
	for (size_t i = 0; i < 2; i++)
		(void)serve_fixture_wait_tokens(&node, ids[i], 2);
	lease(MESSAGE_LEASE_CLOSE, 1);
	for (size_t i = 0; i < 2; i++)
		assert_int_equal(
		    serve_fixture_wait(&node, ids[i])->end.finish, WIRE_FINISH_CANCELLED);
	put(&f, n);
	assert_is_engines(run(n), f.adapter);
	unbuild(&f);
}

static void test_an_upload_takes_an_adapter_of_any_length_there(void **state)
{
	(void)state;
	struct file f = build(3, 4);
	struct wire_upload upload;
	struct message message;

	lease(MESSAGE_LEASE_OPEN, 1);
	message = under(MESSAGE_LEASE_OPEN, 1);
	assert_int_equal(wire_upload_init(&upload, message.lease_id, f.bytes, f.len, NULL), RC_OK);
	assert_true(wire_upload_next(&upload, wire_client_next_id(), &message));
	uint64_t id = serve_fixture_send(&node, 0, &message);
	struct serve_answer *answer = serve_fixture_wait(&node, id);
	const struct message state_message = { .request_id = upload.requests[0],
		.kind = answer->last_kind,
		.u.adapter_state = answer->adapter };
	assert_int_equal(wire_upload_take(&upload, &state_message, NULL), RC_OK);
	assert_is_engines(run(1), f.adapter);
	unbuild(&f);
}

static void test_a_space_gives_the_first_gap_and_takes_it_back(void **state)
{
	struct adapter_space space;
	uint8_t *a, *b, *c;

	(void)state;
	assert_int_equal(adapter_space_init(&space, 1000), RC_OK); /* 15 units of 64 */
	assert_null(adapter_space_take(&space, 961));
	a = adapter_space_take(&space, 65);
	b = adapter_space_take(&space, 256);
	c = adapter_space_take(&space, 570);
	assert_true(a != NULL && b == a + 128 && c == b + 256);
	adapter_space_give(&space, b);
	assert_null(adapter_space_take(&space, 257));
	assert_ptr_equal(adapter_space_take(&space, 250), b);
	adapter_space_give(&space, a);
	adapter_space_give(&space, b);
	assert_ptr_equal(adapter_space_take(&space, 300), a);
	adapter_space_fini(&space);
	assert_int_equal(adapter_space_init(&space, 0), RC_OK);
	assert_null(adapter_space_take(&space, 1));
	adapter_space_fini(&space);
}

#define UNIT(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		UNIT(test_answers_under_a_lease_are_computed_with_its_adapter_and_others_not),
		UNIT(test_what_another_adapter_computed_is_not_reused),
		UNIT(test_chunks_that_do_not_follow_are_refused_and_end_the_upload),
		UNIT(test_answers_wait_for_no_half_adapter),
		UNIT(test_files_that_do_not_fit_are_refused),
		UNIT(test_no_lease_and_the_lease_of_another_key_take_none),
		UNIT(test_an_adapter_that_an_answer_runs_with_stays),
		UNIT(test_closing_a_lease_ends_what_runs_with_its_adapter_and_gives_its_space_back),
		UNIT(test_an_upload_takes_an_adapter_of_any_length_there),
		cmocka_unit_test(test_a_space_gives_the_first_gap_and_takes_it_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
