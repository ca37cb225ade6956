/* Recent ids: what a plain search of a plain list finds, and in order. */
#include "store_fixture.h"

#include "store/recent.h"

#define IDS_MAX 5000

static uint8_t ids[IDS_MAX][OBS_ID_BYTES];

/* Of `distinct` ids; some share their first bytes, as hashes do when there are many. */
static void id_make(uint64_t number, unsigned distinct, uint8_t out[OBS_ID_BYTES])
{
	uint64_t rng = number % distinct + 1, bits[2] = { random_next(&rng), random_next(&rng) };

	memcpy(out, bits, OBS_ID_BYTES);
	if (number % 7 == 0)
		memset(out, 0xFF, 4);
}

static bool naive_find(const uint8_t id[OBS_ID_BYTES], size_t len, uint64_t first, uint64_t *seq)
{
	while (len > 0 && memcmp(ids[len - 1], id, OBS_ID_BYTES) != 0)
		len--;
	*seq = first + len - 1;
	return len > 0;
}

static void assert_same(const struct recent *recent, size_t len, uint64_t first, unsigned distinct)
{
	uint8_t id[OBS_ID_BYTES];

	assert_int_equal(recent->len, len);
	for (uint64_t number = 0; number < 2 * distinct; number++) {
		uint64_t got = 0, want = 0;
		id_make(number, 2 * distinct, id); /* half of them were never put */
		bool found = naive_find(id, len, first, &want);
		assert_int_equal(recent_find(recent, id, &got), found);
		if (found)
			assert_int_equal(got, want);
	}
}

static void test_the_newest_of_an_id_is_found_however_it_grows_and_is_cut(void **state)
{
	(void)state;
	static const unsigned distinct[] = { 3, 40, 2000 };
	struct recent recent = { 0 };
	uint64_t rng = 4;

	for (size_t d = 0; d < 3; d++) {
		uint64_t first = 1 + random_next(&rng) % 1000;
		size_t len = 0;
		assert_same(&recent, 0, first, distinct[d]);
		for (int round = 0; round < 60; round++) {
			for (uint64_t n = random_next(&rng) % 150; n > 0; n--) {
				if (len == IDS_MAX)
					break;
				id_make(random_next(&rng), distinct[d], ids[len]);
				PASS(recent_put(&recent, first + len, ids[len]));
				len++;
			}
			if (random_next(&rng) % 3 == 0) /* an aborted transaction */
				len -= random_next(&rng) % (len + 1) / 4;
			recent_cut(&recent, len);
			if (round % 10 == 9)
				assert_same(&recent, len, first, distinct[d]);
		}
		recent_clear(&recent, d == 1 ? 10 : IDS_MAX);
		assert_int_equal(recent_chains(&recent), 0);
	}
	recent_fini(&recent);
}

struct walk {
	const struct recent *recent;
	uint32_t last;
	size_t n;
};

static int walk_visit(void *ctx, const uint8_t id[OBS_ID_BYTES], uint64_t seq)
{
	struct walk *walk = ctx;
	uint32_t first = (uint32_t)id[0] << 8 | id[1];
	uint64_t newest = 0;

	assert_true(first >= walk->last);
	assert_true(recent_find(walk->recent, id, &newest) && newest == seq);
	walk->last = first;
	walk->n++;
	return 0;
}

static int stop_visit(void *ctx, const uint8_t id[OBS_ID_BYTES], uint64_t seq)
{
	(void)ctx;
	(void)id;
	(void)seq;
	return 17;
}

static void test_chains_have_each_id_once_and_in_order(void **state)
{
	(void)state;
	struct recent recent = { 0 };
	struct walk walk = { .recent = &recent };
	int err = 0;

	for (size_t i = 0; i < 1 << 17; i++) {
		uint64_t bits[2] = { i % 100000, 0 };
		bits[0] = random_next(&bits[0]); /* 31072 of them a second time */
		uint8_t id[OBS_ID_BYTES];
		memcpy(id, bits, sizeof(id));
		PASS(recent_put(&recent, 77 + i, id));
	}
	/* As many chains as there is room for ids: two bytes say where. */
	for (size_t chain = 0; chain < recent_chains(&recent); chain++)
		assert_int_equal(recent_each(&recent, chain, walk_visit, &walk), 0);
	assert_int_equal(walk.n, 100000);
	for (size_t chain = 0; chain < 100 && err == 0; chain++)
		err = recent_each(&recent, chain, stop_visit, NULL);
	assert_int_equal(err, 17);
	recent_fini(&recent);
}

static void test_a_gap_and_too_many_are_refused(void **state)
{
	(void)state;
	struct recent recent = { 0 };
	uint8_t id[OBS_ID_BYTES] = { 0 };

	PASS(recent_put(&recent, 5, id));
	assert_int_equal(recent_put(&recent, 7, id), RC_CORRUPT);
	assert_int_equal(recent_put(&recent, 5, id), RC_CORRUPT);
	for (uint64_t seq = 6; seq < 5 + RECENT_IDS_MAX; seq++) {
		memcpy(id, &seq, sizeof(seq));
		PASS(recent_put(&recent, seq, id));
	}
	assert_int_equal(recent_put(&recent, 5 + RECENT_IDS_MAX, id), RC_LIMIT);
	recent_clear(&recent, 1000);
	assert_int_equal(recent.cap, 0); /* given back */
	recent_fini(&recent);
}

static void test_a_row_is_a_run_of_ids(void **state)
{
	(void)state;
	static const uint8_t value[(RECENT_ROW_IDS + 1) * OBS_ID_BYTES];
	uint8_t key[8] = { 0, 0, 0, 0, 0, 0, 1, 2 }, zero[8] = { 0 }, last[8];
	struct recent_row row;

	PASS(recent_row_decode(key, 8, value, 3 * OBS_ID_BYTES, &row));
	assert_true(row.first_seq == 258 && row.len == 3);
	memset(last, 0xFF, sizeof(last));
	assert_int_equal(recent_row_decode(key, 7, value, 16, &row), RC_CORRUPT);
	assert_int_equal(recent_row_decode(key, 8, value, 0, &row), RC_CORRUPT);
	assert_int_equal(recent_row_decode(key, 8, value, 17, &row), RC_CORRUPT);
	assert_int_equal(recent_row_decode(key, 8, value, sizeof(value), &row), RC_CORRUPT);
	assert_int_equal(recent_row_decode(zero, 8, value, 16, &row), RC_CORRUPT);
	assert_int_equal(recent_row_decode(last, 8, value, 16, &row), RC_CORRUPT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_newest_of_an_id_is_found_however_it_grows_and_is_cut),
		cmocka_unit_test(test_chains_have_each_id_once_and_in_order),
		cmocka_unit_test(test_a_gap_and_too_many_are_refused),
		cmocka_unit_test(test_a_row_is_a_run_of_ids),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
