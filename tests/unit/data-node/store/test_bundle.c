/*
 * Bundles: what goes in comes out, full ones say so, damaged bytes are refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/random.h"
#include "store/bundle.h"

#define T0_NS (INT64_C(1763577000) * NS_PER_S)
#define RECORDS_MAX 200

static uint64_t below(uint64_t *seed, uint64_t n)
{
	return random_next(seed) % n;
}

static const char *pick(uint64_t *seed, const char *const *words, size_t n)
{
	return words[below(seed, n)];
}

static struct observation make(uint64_t *seed, uint64_t seq)
{
	static const char *const sources[] = { "phone", "watch", "desk" };
	static const char *const kinds[] = { "app", "steps", "heart_rate" };
	static const char *const texts[] = { "", "", "words", "größer – 🙂" };
	static const char *const datas[] = { "", "{\"value\":62}", "{\"app\":\"editor\"}" };
	static const char *const odds[] = { "", "", "one" };
	struct observation obs = { .seq = seq,
		.source = pick(seed, sources, 3),
		.client_id = pick(seed, texts, 3),
		.layer = LAYER_BEHAVIOUR,
		.kind = pick(seed, kinds, 3),
		.shape = (enum shape)(1 + below(seed, 3)),
		.boot_epoch = pick(seed, odds, 3),
		.zone = pick(seed, odds, 3),
		.origin = (enum origin)(1 + below(seed, 5)),
		.text = pick(seed, texts, 4),
		.data_json = pick(seed, datas, 3),
		.extra_json = below(seed, 9) == 0 ? "{\"shape\":\"instant\"}" : "",
		.gap = below(seed, 9) == 0,
		.has_pulse = below(seed, 3) == 0,
		.has_offset = below(seed, 4) == 0,
		.has_source_seq = below(seed, 2) == 0,
		.supersedes_seq = below(seed, 6) == 0 ? 1 + below(seed, seq) : 0,
		.recv_utc_ns = T0_NS + (int64_t)below(seed, (uint64_t)NS_PER_DAY),
		.recv_mono_ns = (int64_t)below(seed, (uint64_t)NS_PER_DAY),
		.error_ns = below(seed, 4) == 0 ? (int64_t)below(seed, 1000) : 0 };

	for (size_t i = 0; i < OBS_ID_BYTES; i++) {
		obs.obs_id[i] = (uint8_t)random_next(seed);
		obs.content_hash[i] = (uint8_t)random_next(seed);
	}
	obs.offset_s = obs.has_offset ? 3600 - (int32_t)below(seed, 7200) : 0;
	obs.pulse_s = obs.has_pulse ? (double)below(seed, 100) / 8 : 0;
	obs.source_seq = obs.has_source_seq ? random_next(seed) : 0;
	obs.dev_t0_ns = below(seed, 50) == 0 ? OBS_TIME_MIN_NS : T0_NS + (int64_t)below(seed, 1000);
	obs.dev_t1_ns = obs.dev_t0_ns;
	if (below(seed, 3) == 0)
		obs.dev_t1_ns += (int64_t)below(seed, (uint64_t)NS_PER_DAY);
	obs.has_end = below(seed, 5) == 0;
	obs.place = placement_trusted(obs.dev_t0_ns, obs.dev_t1_ns, obs.error_ns);
	if (below(seed, 3) != 0)
		return obs;
	obs.clock_id = pick(seed, sources, 2);
	obs.place.defaulted = false;
	obs.place.t0_ns = T0_NS + (int64_t)below(seed, (uint64_t)NS_PER_DAY);
	obs.place.t1_ns = obs.place.t0_ns + (int64_t)below(seed, 3);
	obs.place.early_ns = (int64_t)below(seed, (uint64_t)NS_PER_DAY);
	obs.place.late_ns = (int64_t)below(seed, 1000000000);
	obs.place.map_version = 1 + below(seed, seq);
	obs.place.epoch = 1 + below(seed, 4);
	obs.place.limbo = below(seed, 5) == 0;
	return obs;
}

static void encode(const struct observation *obs, struct buf *out)
{
	buf_reset(out);
	assert_int_equal(observation_encode(obs, out, NULL), RC_OK);
}

static void test_every_field_comes_back(void **state)
{
	static struct bundle_writer writer;
	static struct bundle_reader reader;
	static struct observation list[RECORDS_MAX];
	struct buf bytes, want, got;
	uint64_t seed = 5;

	(void)state;
	bundle_writer_init(&writer);
	buf_init(&bytes, BUNDLE_BYTES_MAX);
	buf_init(&want, OBS_RECORD_BYTES_MAX);
	buf_init(&got, OBS_RECORD_BYTES_MAX);
	for (int round = 0; round < 200; round++) {
		size_t n = below(&seed, RECORDS_MAX), added = 0;
		struct observation obs;
		bundle_writer_reset(&writer);
		for (size_t i = 0; i < n; i++) {
			list[added] = make(&seed, 1 + below(&seed, 1000000));
			assert_true(bundle_takes(&list[added]));
			enum rc rc = bundle_add(&writer, &list[added]);
			if (rc == RC_LIMIT)
				break; /* more kinds of neighbours than it holds */
			assert_int_equal(rc, RC_OK);
			added++;
		}
		buf_reset(&bytes);
		assert_int_equal(bundle_finish(&writer, &bytes), RC_OK);
		assert_true(bytes.len <= bundle_bytes(&writer));
		assert_int_equal(
		    bundle_open(&reader, bytes.bytes, bytes.len, LAYER_BEHAVIOUR, NULL), RC_OK);
		for (size_t i = 0; i < added; i++) {
			const struct bundle_front *front;
			assert_int_equal(bundle_peek(&reader, &front, NULL), RC_OK);
			assert_int_equal(front->seq, list[i].seq);
			assert_int_equal(bundle_next(&reader, &obs, NULL), RC_OK);
			encode(&list[i], &want);
			encode(&obs, &got);
			assert_int_equal(obs.seq, list[i].seq);
			assert_true(placement_same(&obs.place, &list[i].place));
			assert_int_equal(want.len, got.len);
			assert_memory_equal(want.bytes, got.bytes, want.len);
		}
		assert_int_equal(bundle_next(&reader, &obs, NULL), RC_NOTFOUND);
	}
	buf_fini(&bytes);
	buf_fini(&want);
	buf_fini(&got);
	bundle_writer_fini(&writer);
}

static void test_a_full_bundle_says_so_and_stays_whole(void **state)
{
	static struct bundle_writer writer;
	static struct bundle_reader reader;
	struct observation obs, read;
	struct buf bytes;
	uint64_t seed = 6;
	size_t n = 0;

	(void)state;
	bundle_writer_init(&writer);
	buf_init(&bytes, BUNDLE_BYTES_MAX);
	obs = make(&seed, 7);
	while (bundle_add(&writer, &obs) == RC_OK)
		n++;
	assert_true(n > 100 && n <= BUNDLE_RECORDS_MAX);
	assert_int_equal(bundle_add(&writer, &obs), RC_LIMIT);
	assert_int_equal(bundle_finish(&writer, &bytes), RC_OK);
	assert_int_equal(
	    bundle_open(&reader, bytes.bytes, bytes.len, LAYER_BEHAVIOUR, NULL), RC_OK);
	while (bundle_next(&reader, &read, NULL) == RC_OK)
		n--;
	assert_int_equal(n, 0);
	buf_fini(&bytes);
	bundle_writer_fini(&writer);
}

static void test_dense_values_giants_and_what_has_no_place_stay_out(void **state)
{
	static char giant[BUNDLE_RECORD_BYTES_MAX + 2];
	uint64_t seed = 7;
	double value = 1;
	struct observation obs = make(&seed, 1);

	(void)state;
	memset(giant, 'g', sizeof(giant) - 1);
	obs.values = &value;
	obs.values_len = 1;
	assert_false(bundle_takes(&obs));
	obs = make(&seed, 1);
	obs.tombstone = true;
	assert_false(bundle_takes(&obs));
	obs = make(&seed, 1);
	obs.text = giant;
	assert_false(bundle_takes(&obs));
	obs = make(&seed, 1);
	obs.clock_id = "phone";
	obs.place.epoch = 0;
	assert_false(bundle_takes(&obs));
}

static void test_damaged_bytes_are_refused_or_read_within_bounds(void **state)
{
	static struct bundle_writer writer;
	static struct bundle_reader reader;
	struct observation obs;
	struct buf bytes;
	uint64_t seed = 8;

	(void)state;
	bundle_writer_init(&writer);
	buf_init(&bytes, BUNDLE_BYTES_MAX);
	for (uint64_t i = 0; i < 20; i++) {
		obs = make(&seed, i + 1);
		assert_int_equal(bundle_add(&writer, &obs), RC_OK);
	}
	assert_int_equal(bundle_finish(&writer, &bytes), RC_OK);
	for (size_t i = 0; i < 20000; i++) {
		uint8_t *copy = malloc(bytes.len); /* sanitizers see a step too far */
		size_t len = i < bytes.len ? i : bytes.len;
		assert_non_null(copy);
		memcpy(copy, bytes.bytes, bytes.len);
		if (len == bytes.len)
			copy[below(&seed, len)] ^= (uint8_t)(1u << below(&seed, 8));
		enum rc rc = bundle_open(&reader, copy, len, LAYER_BEHAVIOUR, NULL);
		while (rc == RC_OK) {
			rc = bundle_next(&reader, &obs, NULL);
			if (rc == RC_OK)
				assert_true(strlen(obs.source) <= OBS_SOURCE_BYTES_MAX &&
					    strlen(obs.data_json) <= BUNDLE_RECORD_BYTES_MAX);
		}
		assert_true(rc == RC_CORRUPT || (rc == RC_NOTFOUND && len == bytes.len));
		free(copy);
	}
	buf_fini(&bytes);
	bundle_writer_fini(&writer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_field_comes_back),
		cmocka_unit_test(test_a_full_bundle_says_so_and_stays_whole),
		cmocka_unit_test(test_dense_values_giants_and_what_has_no_place_stay_out),
		cmocka_unit_test(test_damaged_bytes_are_refused_or_read_within_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
