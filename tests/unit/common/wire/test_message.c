/*
 * The Envelope codec: every kind survives the round trip, nothing a peer can
 * send does harm, every limit holds and names its field.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "message_random.h"

#define KINDS ((int)MESSAGE_FOLLOW_PART + 1)
#define ARENA_BYTES ((size_t)1 << 20)

static void encode(const struct message *message, struct buf *out)
{
	struct errmsg why = ERRMSG_INIT;

	buf_init(out, WIRE_MESSAGE_BYTES_MAX);
	enum rc rc = message_encode(message, out, &why);
	if (rc != RC_OK)
		fail_msg("kind %d: %s", (int)message->kind, errmsg_text(&why, rc));
}

static void test_message_of_every_kind_survives_the_round_trip(void **state)
{
	(void)state;
	uint64_t seed = 1;
	for (int i = 0; i < KINDS * 200; i++) {
		struct arena arena, decoded_arena;
		struct message message, decoded;
		struct errmsg why = ERRMSG_INIT;
		struct buf bytes;
		arena_init(&arena, ARENA_BYTES);
		arena_init(&decoded_arena, WIRE_ARENA_BYTES_MAX);
		message_random(&seed, (enum message_kind)(i % KINDS), &arena, &message);
		encode(&message, &bytes);
		enum rc rc = message_decode(bytes.bytes, bytes.len, &decoded_arena, &decoded, &why);
		if (rc != RC_OK)
			fail_msg("kind %d: %s", i % KINDS, errmsg_text(&why, rc));
		const char *field = message_difference(&message, &decoded);
		if (field != NULL)
			fail_msg("kind %d: %s differs", i % KINDS, field);
		buf_fini(&bytes);
		arena_fini(&decoded_arena);
		arena_fini(&arena);
	}
}

/* Whatever decodes is in range: it encodes again and reads the same. */
static bool check_decode(const uint8_t *bytes, size_t len)
{
	struct arena arena, again_arena;
	struct message message, again;
	struct buf encoded;

	/* A copy of its own, so that reading past the end is seen. */
	uint8_t *copy = malloc(len == 0 ? 1 : len);
	assert_non_null(copy);
	memcpy(copy, bytes, len);
	arena_init(&arena, WIRE_ARENA_BYTES_MAX);
	enum rc rc = message_decode(copy, len, &arena, &message, NULL);
	free(copy);
	if (rc == RC_OK) {
		arena_init(&again_arena, WIRE_ARENA_BYTES_MAX);
		assert_in_range(message.kind, 0, KINDS - 1);
		encode(&message, &encoded);
		assert_int_equal(
		    message_decode(encoded.bytes, encoded.len, &again_arena, &again, NULL), RC_OK);
		const char *field = message_difference(&message, &again);
		if (field != NULL)
			fail_msg("%s differs", field);
		buf_fini(&encoded);
		arena_fini(&again_arena);
	} else {
		assert_int_equal(message.kind, MESSAGE_UNKNOWN);
	}
	arena_fini(&arena);
	return rc == RC_OK;
}

static void test_message_truncated_at_every_byte_is_harmless(void **state)
{
	(void)state;
	uint64_t seed = 2;
	for (int i = 0; i < KINDS * 4; i++) {
		struct arena arena;
		struct message message;
		struct buf bytes;
		arena_init(&arena, ARENA_BYTES);
		message_random(&seed, (enum message_kind)(i % KINDS), &arena, &message);
		encode(&message, &bytes);
		for (size_t len = 0; len < bytes.len; len++)
			(void)check_decode(bytes.bytes, len);
		buf_fini(&bytes);
		arena_fini(&arena);
	}
}

static void test_message_with_flipped_bytes_is_harmless(void **state)
{
	(void)state;
	uint64_t seed = 3;
	unsigned accepted = 0, refused = 0;
	for (int i = 0; i < KINDS * 100; i++) {
		struct arena arena;
		struct message message;
		struct buf bytes;
		arena_init(&arena, ARENA_BYTES);
		message_random(&seed, (enum message_kind)(i % KINDS), &arena, &message);
		encode(&message, &bytes);
		for (int k = 0; k < 20 && bytes.len > 0; k++) {
			size_t at = (size_t)(random_next(&seed) % bytes.len);
			uint8_t kept = bytes.bytes[at];
			bytes.bytes[at] ^= (uint8_t)(1u << (random_next(&seed) % 8));
			if (check_decode(bytes.bytes, bytes.len))
				accepted++;
			else
				refused++;
			if (random_next(&seed) % 2 == 0)
				bytes.bytes[at] = kept; /* else flips add up */
		}
		buf_fini(&bytes);
		arena_fini(&arena);
	}
	assert_true(accepted > 0); /* the test reaches both sides */
	assert_true(refused > 0);
}

static void test_message_ignores_unknown_fields(void **state)
{
	(void)state;
	/* Field 200, length-delimited, and field 201, a varint. */
	static const uint8_t unknown[] = { 0xC2, 0x0C, 3, 'x', 'y', 'z', 0xC8, 0x0C, 7 };
	struct message message = { .kind = MESSAGE_CREDIT, .request_id = 9, .u.credit = 4 };
	struct message decoded;
	struct arena arena;
	struct buf bytes;

	encode(&message, &bytes);
	buf_append(&bytes, unknown, sizeof(unknown));
	arena_init(&arena, ARENA_BYTES);
	assert_int_equal(message_decode(bytes.bytes, bytes.len, &arena, &decoded, NULL), RC_OK);
	assert_null(message_difference(&message, &decoded));
	arena_fini(&arena);
	buf_fini(&bytes);
}

static void test_message_with_unknown_body_says_so_and_keeps_the_request_id(void **state)
{
	(void)state;
	/* protocol 1, request 5, body 99 */
	static const uint8_t bytes[] = { 0x08, 1, 0x10, 5, 0x9A, 0x06, 2, 0x08, 1 };
	struct message decoded;
	struct arena arena;

	arena_init(&arena, ARENA_BYTES);
	assert_int_equal(message_decode(bytes, sizeof(bytes), &arena, &decoded, NULL), RC_OK);
	assert_int_equal(decoded.kind, MESSAGE_UNKNOWN);
	assert_int_equal(decoded.request_id, 5);
	assert_int_equal(message_decode(bytes, 0, &arena, &decoded, NULL), RC_OK);
	assert_int_equal(decoded.kind, MESSAGE_UNKNOWN);
	arena_fini(&arena);
}

static void test_message_codes_of_a_newer_peer_read_as_unknown(void **state)
{
	(void)state;
	/* error { code: 77 } and done { finish: 77 }, a negative code */
	static const uint8_t error[] = { 0x6A, 2, 0x08, 77 };
	static const uint8_t done[] = { 0xCA, 0x01, 2, 0x08, 77 };
	static const uint8_t negative[] = { 0x6A, 11, 0x08, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF,
		0xFF, 0xFF, 0xFF, 0x01 };
	struct message decoded;
	struct arena arena;

	arena_init(&arena, ARENA_BYTES);
	assert_int_equal(message_decode(error, sizeof(error), &arena, &decoded, NULL), RC_OK);
	assert_int_equal(decoded.u.error.code, WIRE_ERROR_UNKNOWN);
	assert_int_equal(message_decode(negative, sizeof(negative), &arena, &decoded, NULL), RC_OK);
	assert_int_equal(decoded.u.error.code, WIRE_ERROR_UNKNOWN);
	assert_int_equal(message_decode(done, sizeof(done), &arena, &decoded, NULL), RC_OK);
	assert_int_equal(decoded.u.done.finish, WIRE_FINISH_UNKNOWN);
	arena_fini(&arena);
}

static void expect_bad(
    const uint8_t *bytes, size_t len, size_t arena_bytes, enum rc expected, const char *field)
{
	struct errmsg why = ERRMSG_INIT;
	struct message decoded;
	struct arena arena;

	arena_init(&arena, arena_bytes);
	assert_int_equal(message_decode(bytes, len, &arena, &decoded, &why), expected);
	if (strstr(why.text, field) == NULL)
		fail_msg("\"%s\" does not name %s", why.text, field);
	assert_true(arena.used_bytes <= arena_bytes);
	arena_fini(&arena);
}

static void test_message_bad_lengths_kinds_and_text_name_their_field(void **state)
{
	(void)state;
	static const uint8_t lease[] = { 0x10, 8, 0x1A, 3, 1, 2, 3 };
	/* tokenize { parts { kind: 3 } }, { parts { data: FF } } */
	static const uint8_t kind[] = { 0xF2, 0x01, 4, 0x12, 2, 0x08, 3 };
	static const uint8_t data[] = { 0xF2, 0x01, 5, 0x12, 3, 0x12, 1, 0xFF };
	/* hello { program: C3 }, capabilities { boot_id: 1 byte } */
	static const uint8_t program[] = { 0x52, 3, 0x1A, 1, 0xC3 };
	static const uint8_t boot[] = { 0x5A, 3, 0x3A, 1, 0 };
	static const uint8_t models[] = { 0x5A, 20, 0x3A, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
		0, 0, 0, 0x22, 0 };
	/* tokens { text: E2 82 }: a code point cut in two */
	static const uint8_t cut[] = { 0xC2, 0x01, 4, 0x1A, 2, 0xE2, 0x82 };
	/* vectors { length: 2, values: one } */
	static const uint8_t vectors[] = { 0xEA, 0x01, 8, 0x08, 2, 0x12, 4, 0, 0, 0x80, 0x3F };
	/* adapter_put { total: 1, offset: 2, hash } */
	uint8_t adapter[41] = { 0xA2, 0x01, 38, 0x0A, 32 };
	memcpy(adapter + 37, (const uint8_t[]){ 0x10, 1, 0x18, 2 }, 4);
	/* wire type 7 does not exist */
	static const uint8_t broken[] = { 0x0F };

	expect_bad(lease, sizeof(lease), ARENA_BYTES, RC_INVALID, "lease_id");
	expect_bad(kind, sizeof(kind), ARENA_BYTES, RC_INVALID, "tokenize.parts.kind");
	expect_bad(data, sizeof(data), ARENA_BYTES, RC_INVALID, "tokenize.parts.data");
	expect_bad(program, sizeof(program), ARENA_BYTES, RC_INVALID, "hello.program");
	expect_bad(boot, sizeof(boot), ARENA_BYTES, RC_INVALID, "boot_id");
	expect_bad(models, sizeof(models), ARENA_BYTES, RC_INVALID, "models.content_hash");
	expect_bad(cut, sizeof(cut), ARENA_BYTES, RC_INVALID, "tokens.text");
	expect_bad(vectors, sizeof(vectors), ARENA_BYTES, RC_INVALID, "vectors.values");
	expect_bad(adapter, sizeof(adapter), ARENA_BYTES, RC_INVALID, "adapter_put.offset");
	expect_bad(broken, sizeof(broken), ARENA_BYTES, RC_INVALID, "message");
}

static void test_message_floats_must_be_finite(void **state)
{
	(void)state;
	/* generate { sampling { temperature: inf } } */
	static const uint8_t sampling[] = { 0xB2, 0x01, 7, 0x32, 5, 0x0D, 0, 0, 0x80, 0x7F };
	/* heartbeat { load { tokens_per_second: nan } } */
	static const uint8_t load[] = { 0x62, 11, 0x12, 9, 0x21, 0, 0, 0, 0, 0, 0, 0xF8, 0x7F };

	expect_bad(sampling, sizeof(sampling), ARENA_BYTES, RC_INVALID, "temperature");
	expect_bad(load, sizeof(load), ARENA_BYTES, RC_INVALID, "tokens_per_second");
}

static void test_message_bytes_are_checked_before_they_are_read(void **state)
{
	(void)state;
	uint8_t *bytes = calloc(1, WIRE_MESSAGE_BYTES_MAX + 1);

	assert_non_null(bytes);
	expect_bad(bytes, WIRE_MESSAGE_BYTES_MAX + 1, 0, RC_LIMIT, "message of");
	free(bytes);
}

/* Empty parts take two bytes each on the wire and far more in memory. */
static void test_message_that_grows_in_memory_stops_at_the_cap(void **state)
{
	(void)state;
	size_t n = WIRE_MESSAGE_BYTES_MAX / 2 - 16;
	uint8_t *bytes = calloc(1, 16 + 2 * n);
	uint8_t head[] = { 0xF2, 0x01, 0, 0, 0, 0 };
	assert_non_null(bytes);
	for (int i = 0; i < 4; i++)
		head[2 + i] = (uint8_t)((2 * n) >> (7 * i) | (i < 3 ? 0x80 : 0));
	memcpy(bytes, head, sizeof(head));
	for (size_t i = 0; i < n; i++)
		bytes[sizeof(head) + 2 * i] = 0x12;

	expect_bad(bytes, sizeof(head) + 2 * n, WIRE_ARENA_BYTES_MAX, RC_NOMEM, "arena");
	free(bytes);
}

static void expect_limit(const struct message *message, enum rc expected, const char *field)
{
	struct errmsg why = ERRMSG_INIT;
	struct buf out;

	buf_init(&out, WIRE_MESSAGE_BYTES_MAX);
	buf_puts(&out, "kept");
	assert_int_equal(message_encode(message, &out, &why), expected);
	if (strstr(why.text, field) == NULL)
		fail_msg("\"%s\" does not name %s", why.text, field);
	assert_int_equal(out.len, 4);
	buf_fini(&out);
}

static void test_message_counts_have_limits(void **state)
{
	(void)state;
	uint32_t *ids = calloc(WIRE_IDS_MAX + 1, sizeof(ids[0]));
	struct wire_part *parts = calloc(WIRE_PARTS_MAX + 1, sizeof(parts[0]));
	const char *stops[17] = { 0 };
	struct wire_model models[65] = { 0 };
	assert_true(ids != NULL && parts != NULL);
	struct message message = { .kind = MESSAGE_GENERATE };

	message.u.generate.prompt_ids = ids;
	message.u.generate.prompt_ids_len = WIRE_IDS_MAX + 1;
	expect_limit(&message, RC_LIMIT, "generate.prompt_ids");
	message = (struct message){ .kind = MESSAGE_GENERATE };
	message.u.generate.raw = parts;
	message.u.generate.raw_len = WIRE_PARTS_MAX + 1;
	expect_limit(&message, RC_LIMIT, "generate.raw");
	message = (struct message){ .kind = MESSAGE_GENERATE };
	message.u.generate.stop = stops;
	message.u.generate.stop_len = WIRE_STOPS_MAX + 1;
	expect_limit(&message, RC_LIMIT, "generate.stop");
	message = (struct message){ .kind = MESSAGE_CAPABILITIES };
	message.u.capabilities.models = models;
	message.u.capabilities.models_len = WIRE_MODELS_MAX + 1;
	expect_limit(&message, RC_LIMIT, "capabilities.models");
	message = (struct message){ .kind = MESSAGE_TOKENS };
	message.u.tokens.ids = ids;
	message.u.tokens.ids_len = WIRE_IDS_MAX + 1;
	expect_limit(&message, RC_LIMIT, "tokens.ids");
	/* Two messages that are fine one by one. */
	struct wire_chat_message chat[2] = { { .parts = parts, .parts_len = WIRE_PARTS_MAX },
		{ .parts = parts, .parts_len = 1 } };
	message = (struct message){ .kind = MESSAGE_GENERATE };
	message.u.generate.messages = chat;
	message.u.generate.messages_len = 2;
	expect_limit(&message, RC_LIMIT, "messages.parts");
	free(ids);
	free(parts);
}

static void test_message_at_its_limits_is_carried(void **state)
{
	(void)state;
	uint32_t *ids = calloc(WIRE_IDS_MAX, sizeof(ids[0]));
	struct message decoded;
	struct arena arena;
	struct buf bytes;
	assert_non_null(ids);
	struct message message = { .kind = MESSAGE_GENERATE };

	memset(ids, 0x7F, WIRE_IDS_MAX * sizeof(ids[0]) / 2);
	message.u.generate.prompt_ids = ids;
	message.u.generate.prompt_ids_len = WIRE_IDS_MAX;
	encode(&message, &bytes);
	arena_init(&arena, WIRE_ARENA_BYTES_MAX);
	assert_int_equal(message_decode(bytes.bytes, bytes.len, &arena, &decoded, NULL), RC_OK);
	assert_int_equal(decoded.u.generate.prompt_ids_len, WIRE_IDS_MAX);
	assert_memory_equal(decoded.u.generate.prompt_ids, ids, WIRE_IDS_MAX * sizeof(ids[0]));
	arena_fini(&arena);
	buf_fini(&bytes);
	free(ids);
}

static void test_message_texts_have_limits(void **state)
{
	(void)state;
	char *text = malloc(WIRE_MESSAGE_BYTES_MAX + 2);
	assert_non_null(text);
	memset(text, 'a', WIRE_MESSAGE_BYTES_MAX + 2);
	text[WIRE_MESSAGE_BYTES_MAX + 1] = '\0';
	const char *stop = text + WIRE_MESSAGE_BYTES_MAX - WIRE_STOP_BYTES_MAX;
	struct message message = { .kind = MESSAGE_GENERATE };

	message.u.generate.stop = &stop;
	message.u.generate.stop_len = 1;
	expect_limit(&message, RC_LIMIT, "generate.stop");
	stop++;
	message.u.generate.model = text + WIRE_MESSAGE_BYTES_MAX - WIRE_NAME_BYTES_MAX;
	expect_limit(&message, RC_LIMIT, "generate.model");
	message = (struct message){ .kind = MESSAGE_ERROR };
	message.u.error.text = text + WIRE_MESSAGE_BYTES_MAX - WIRE_ERROR_TEXT_BYTES_MAX;
	expect_limit(&message, RC_LIMIT, "error.text");
	/* Fine as a text, one byte too many as a message. */
	struct wire_part part = { .data = (const uint8_t *)text,
		.data_len = WIRE_MESSAGE_BYTES_MAX };
	message = (struct message){ .kind = MESSAGE_TOKENIZE };
	message.u.tokenize.parts = &part;
	message.u.tokenize.parts_len = 1;
	expect_limit(&message, RC_LIMIT, "message of");
	part.data_len -= 32;
	struct buf bytes;
	encode(&message, &bytes);
	assert_true(check_decode(bytes.bytes, bytes.len));
	buf_fini(&bytes);
	free(text);
}

static void test_message_that_a_peer_would_refuse_is_not_encoded(void **state)
{
	(void)state;
	struct wire_part part = { .data = (const uint8_t *)"\xFF", .data_len = 1 };
	float value = NAN;
	struct message message = { .kind = MESSAGE_TOKENIZE };

	message.u.tokenize.parts = &part;
	message.u.tokenize.parts_len = 1;
	expect_limit(&message, RC_INVALID, "tokenize.parts.data");
	message = (struct message){ .kind = MESSAGE_VECTORS };
	message.u.vectors.length = 1;
	message.u.vectors.values = &value;
	message.u.vectors.values_len = 1;
	expect_limit(&message, RC_INVALID, "vectors.values");
	message = (struct message){ .kind = MESSAGE_ERROR };
	message.u.error.code = (enum wire_error)99;
	expect_limit(&message, RC_INVALID, "error.code");
}

static void test_message_that_does_not_fit_leaves_no_part_of_it(void **state)
{
	static const uint8_t ids[] = { 1, 2, 3, 4, 5, 6, 7, 8 };
	uint8_t storage[24], untouched[24];
	struct message message = { .kind = MESSAGE_TOKENS, .request_id = 7 };
	struct buf out;

	(void)state;
	memset(storage, 0xEE, sizeof(storage));
	memset(untouched, 0xEE, sizeof(untouched));
	message.u.tokens.text = (const uint8_t *)"a text of more than what is left";
	message.u.tokens.text_len = 32;
	buf_init_over(&out, storage, sizeof(storage));
	buf_append(&out, ids, sizeof(ids));
	assert_int_equal(message_encode(&message, &out, NULL), RC_LIMIT);
	assert_int_equal(out.len, sizeof(ids));
	assert_memory_equal(storage, ids, sizeof(ids));
	assert_int_equal(storage[sizeof(ids)], 0); /* the one behind the content */
	assert_memory_equal(
	    storage + sizeof(ids) + 1, untouched, sizeof(storage) - sizeof(ids) - 1);
}

static void test_message_kinds_have_words(void **state)
{
	(void)state;
	for (int i = 0; i < KINDS; i++)
		assert_true(strlen(message_kind_word((enum message_kind)i)) > 0);
	assert_string_equal(message_kind_word(MESSAGE_LEASE_OPEN), "lease-open");
	assert_string_equal(message_kind_word((enum message_kind)1000), "unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_message_of_every_kind_survives_the_round_trip),
		cmocka_unit_test(test_message_truncated_at_every_byte_is_harmless),
		cmocka_unit_test(test_message_with_flipped_bytes_is_harmless),
		cmocka_unit_test(test_message_ignores_unknown_fields),
		cmocka_unit_test(test_message_with_unknown_body_says_so_and_keeps_the_request_id),
		cmocka_unit_test(test_message_codes_of_a_newer_peer_read_as_unknown),
		cmocka_unit_test(test_message_bad_lengths_kinds_and_text_name_their_field),
		cmocka_unit_test(test_message_floats_must_be_finite),
		cmocka_unit_test(test_message_bytes_are_checked_before_they_are_read),
		cmocka_unit_test(test_message_that_grows_in_memory_stops_at_the_cap),
		cmocka_unit_test(test_message_counts_have_limits),
		cmocka_unit_test(test_message_at_its_limits_is_carried),
		cmocka_unit_test(test_message_texts_have_limits),
		cmocka_unit_test(test_message_that_a_peer_would_refuse_is_not_encoded),
		cmocka_unit_test(test_message_that_does_not_fit_leaves_no_part_of_it),
		cmocka_unit_test(test_message_kinds_have_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
