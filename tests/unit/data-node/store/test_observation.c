/* Observation: the codec under damage, the checks, the words. */
#include "store_fixture.h"

#include <math.h>

static struct observation full_obs(void)
{
	static const double values[] = { 1, 2.5, -3 };
	struct observation obs = make_obs("id-1", T0_NS, "some text");

	memset(obs.obs_id, 0xA1, OBS_ID_BYTES);
	memset(obs.content_hash, 0xB2, OBS_ID_BYTES);
	obs.shape = SHAPE_BLOCK;
	obs.dev_t1_ns = T0_NS + 10;
	obs.clock_id = "clock";
	obs.boot_epoch = "boot";
	obs.zone = "Asia/Kathmandu";
	obs.has_offset = true;
	obs.offset_s = 20700;
	obs.data_json = "{\"a\":[1,2]}";
	obs.extra_json = "{\"b\":null}";
	obs.rate_hz = 3;
	obs.values = values;
	obs.values_len = 3;
	obs.supersedes_seq = 12345;
	return obs;
}

static void test_every_truncation_of_a_record_decodes_or_is_corrupt(void **state)
{
	(void)state;
	struct observation obs = full_obs(), got;
	struct buf record;
	size_t decoded = 0;

	buf_init(&record, 1 << 20);
	PASS(observation_encode(&obs, &record, &pass_why));
	for (size_t len = 0; len < record.len; len++) {
		struct arena arena;
		arena_init(&arena, 1 << 20);
		/* A copy of just that length, so that reading past it is seen. */
		uint8_t *cut = malloc(len + 1);
		memcpy(cut, record.bytes, len);
		enum rc rc = observation_decode(cut, len, &arena, &got, NULL);
		assert_true(rc == RC_OK || rc == RC_CORRUPT);
		decoded += rc == RC_OK;
		free(cut);
		arena_fini(&arena);
	}
	/* Only cuts between two trailing fields can leave something whole. */
	assert_true(decoded <= 4);
	buf_fini(&record);
}

static void test_every_flipped_bit_of_a_record_decodes_checked_or_is_corrupt(void **state)
{
	(void)state;
	struct observation obs = full_obs(), got;
	struct buf record;

	buf_init(&record, 1 << 20);
	PASS(observation_encode(&obs, &record, &pass_why));
	for (size_t bit = 0; bit < 8 * record.len; bit++) {
		struct errmsg why = ERRMSG_INIT;
		struct arena arena;
		arena_init(&arena, 1 << 20);
		record.bytes[bit / 8] ^= (uint8_t)(1u << (bit % 8));
		enum rc rc = observation_decode(record.bytes, record.len, &arena, &got, &why);
		record.bytes[bit / 8] ^= (uint8_t)(1u << (bit % 8));
		if (rc == RC_OK)
			assert_int_equal(observation_check(&got, NULL), RC_OK);
		else
			assert_true(rc == RC_CORRUPT && strncmp(why.text, "record", 6) == 0);
		arena_fini(&arena);
	}
	buf_fini(&record);
}

/* Protobuf by hand, as programs before the series wrote it. */
static void test_a_record_with_plain_doubles_still_decodes(void **state)
{
	(void)state;
	static const double values[] = { 1, 2.5, -0.0 };
	struct observation obs = full_obs(), got;
	struct arena arena;
	struct buf record;

	obs.values_len = 0;
	buf_init(&record, 1 << 20);
	arena_init(&arena, 1 << 20);
	PASS(observation_encode(&obs, &record, &pass_why));
	buf_append(&record, "\xB2\x01\x18", 3); /* field 22, 24 bytes */
	buf_append(&record, values, sizeof(values));
	PASS(observation_decode(record.bytes, record.len, &arena, &got, &pass_why));
	assert_int_equal(got.values_len, 3);
	assert_memory_equal(got.values, values, sizeof(values));
	assert_true(got.times_ns == NULL && got.channels <= 1);
	buf_fini(&record);
	arena_fini(&arena);
}

static void test_frames_of_several_channels_and_times_come_back(void **state)
{
	(void)state;
	static const double values[] = { 52.5200066, 13.404954, 52.5200071, 13.4049612 };
	static const int64_t times[] = { 0, 998000000 };
	struct observation obs = full_obs(), got;
	struct errmsg why = ERRMSG_INIT;
	struct arena arena;
	struct buf record;

	obs.values = values;
	obs.values_len = 4;
	obs.channels = 2;
	obs.times_ns = times;
	obs.rate_hz = 0;
	buf_init(&record, 1 << 20);
	arena_init(&arena, 1 << 20);
	PASS(observation_encode(&obs, &record, &pass_why));
	PASS(observation_decode(record.bytes, record.len, &arena, &got, &pass_why));
	assert_int_equal(got.values_len, 4);
	assert_int_equal(got.channels, 2);
	assert_memory_equal(got.values, values, sizeof(values));
	assert_memory_equal(got.times_ns, times, sizeof(times));
	buf_append(&record, "\xB2\x01\x08\0\0\0\0\0\0\0\0", 11);
	assert_int_equal(
	    observation_decode(record.bytes, record.len, &arena, &got, &why), RC_CORRUPT);
	buf_fini(&record);
	arena_fini(&arena);
}

static void test_checks_name_the_field(void **state)
{
	(void)state;
	static char long_text[300];
	static const double bad_value = NAN;
	static const int64_t falling[3] = { 0, 2, 1 }, late[3] = { 0, 1, OBS_OFFSET_NS_MAX + 1 };
	struct observation cases[15];
	static const char *const fields[15] = { "layer", "shape", "origin", "source", "kind", "id",
		"start", "end", "end", "values", "rate", "pulse", "channels", "times", "times" };

	memset(long_text, 'x', sizeof(long_text) - 1);
	for (size_t i = 0; i < 15; i++)
		cases[i] = full_obs();
	cases[0].layer = (enum layer)7;
	cases[1].shape = (enum shape)0;
	cases[2].origin = (enum origin)99;
	cases[3].source = "";
	cases[4].kind = "\xc0\x80";
	cases[5].client_id = long_text;
	cases[6].dev_t0_ns = OBS_TIME_MIN_NS - 1;
	cases[7].dev_t1_ns = OBS_TIME_MAX_NS + 1;
	cases[8].dev_t1_ns = cases[8].dev_t0_ns - 1;
	cases[9].values = &bad_value;
	cases[9].values_len = 1;
	cases[10].rate_hz = INFINITY;
	cases[11].has_pulse = true;
	cases[11].pulse_s = -1;
	cases[12].channels = 2; /* of three values */
	cases[13].times_ns = falling;
	cases[14].times_ns = late;
	for (size_t i = 0; i < 15; i++) {
		struct errmsg why = ERRMSG_INIT;
		assert_int_equal(observation_check(&cases[i], &why), RC_INVALID);
		if (strncmp(why.text, fields[i], strlen(fields[i])) != 0)
			fail_msg("%s: %s", fields[i], why.text);
	}
}

static void test_words_are_those_of_the_contract_both_ways(void **state)
{
	(void)state;

	for (unsigned i = 0; i <= 7; i++) {
		const char *layer = layer_word((enum layer)i), *shape = shape_word((enum shape)i);
		assert_int_equal(layer != NULL, i >= 1 && i <= 6);
		assert_int_equal(shape != NULL, i >= 1 && i <= 4);
		assert_int_equal(origin_word((enum origin)i) != NULL, i >= 1 && i <= 5);
		if (layer != NULL)
			assert_int_equal(layer_parse(layer), i);
		if (shape != NULL)
			assert_int_equal(shape_parse(shape), i);
	}
	assert_int_equal(layer_parse("Text"), 0);
	assert_int_equal(layer_parse(NULL), 0);
	assert_string_equal(layer_word(LAYER_BEHAVIOUR), "behaviour");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_truncation_of_a_record_decodes_or_is_corrupt),
		cmocka_unit_test(test_every_flipped_bit_of_a_record_decodes_checked_or_is_corrupt),
		cmocka_unit_test(test_a_record_with_plain_doubles_still_decodes),
		cmocka_unit_test(test_frames_of_several_channels_and_times_come_back),
		cmocka_unit_test(test_checks_name_the_field),
		cmocka_unit_test(test_words_are_those_of_the_contract_both_ways),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
