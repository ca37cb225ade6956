/* Slices over observations of named clocks: regressions that real systems had. */
#include "../store/store_fixture.h"

#include "align/item.h"
#include "store/store_clock.h"

#define BASE_NS (T0_NS - T0_NS % NS_PER_HOUR)

struct found {
	const char *text; /* looked for in the language facet */
	int64_t first_ns, last_ns;
	size_t certain, possible;
};

static bool look(void *ctx, const struct slice *slice)
{
	struct found *found = ctx;
	const struct cell *cell = &slice->cells[FACET_LANGUAGE];

	for (size_t i = 0; i < cell->values_len; i++) {
		if (strcmp(cell_value_text(&cell->values[i]), found->text) != 0)
			continue;
		if (found->certain + found->possible == 0)
			found->first_ns = slice->start_ns;
		found->last_ns = slice->start_ns;
		if (cell->values[i].certainty == CERTAINTY_CERTAIN)
			found->certain++;
		else
			found->possible++;
	}
	return true;
}

static struct found find(struct store *store, const char *text, int64_t from_ns, int64_t to_ns)
{
	struct found found = { .text = text };
	struct slice_query query = { .from_ns = from_ns,
		.to_ns = to_ns,
		.step_ns = NS_PER_MIN,
		.facets = FACET_MASK(FACET_LANGUAGE) };

	PASS(slice_build(store, &query, look, &found, &pass_why));
	return found;
}

static void say(struct store *store, const char *clock, int64_t dev_ns, int64_t length_ns,
    int64_t recv_ns, const char *text)
{
	struct observation obs = make_obs(text, dev_ns, text);

	obs.source = clock;
	obs.clock_id = clock;
	obs.boot_epoch = "1";
	obs.layer = LAYER_AUDITORY;
	obs.kind = "speech";
	obs.dev_t1_ns = dev_ns + length_ns;
	obs.has_end = length_ns > 0;
	obs.shape = length_ns > 0 ? SHAPE_INTERVAL : SHAPE_INSTANT;
	obs.recv_utc_ns = obs.recv_mono_ns = recv_ns;
	(void)append_one(store, &obs);
}

/* A ping of 20 ms there and back. */
static void ping(struct store *store, const char *clock, int64_t dev_ns, int64_t hub_ns)
{
	struct store_clock_ping stamps = { clock, "1", dev_ns, hub_ns + 10 * NS_PER_MS,
		hub_ns + 10 * NS_PER_MS, dev_ns + 20 * NS_PER_MS + 1 };
	struct observation obs;
	struct arena arena;

	arena_init(&arena, 1 << 16);
	assert_int_equal(store_clock_ping_make(&stamps, hub_ns + 30 * NS_PER_MS,
			     hub_ns + 30 * NS_PER_MS, &arena, &obs),
	    RC_OK);
	(void)append_one(store, &obs);
	arena_fini(&arena);
}

static void test_two_devices_that_disagree_by_minutes_meet_in_one_slice(void **state)
{
	struct fixture f = { 0 };
	int64_t fast_ns = 3 * NS_PER_MIN + 7, slow_ns = -2 * NS_PER_MIN - 11;
	int64_t at_ns = BASE_NS + 10 * NS_PER_MIN + 30 * NS_PER_S;

	(void)state;
	fixture_init(&f);
	ping(f.store, "fast", BASE_NS + fast_ns, BASE_NS);
	ping(f.store, "slow", BASE_NS + slow_ns, BASE_NS);
	say(f.store, "fast", at_ns + fast_ns, 0, at_ns + NS_PER_S / 5, "a");
	say(f.store, "slow", at_ns + slow_ns, 0, at_ns + NS_PER_S / 5, "b");
	ping(f.store, "fast", at_ns + NS_PER_MIN + fast_ns, at_ns + NS_PER_MIN);
	ping(f.store, "slow", at_ns + NS_PER_MIN + slow_ns, at_ns + NS_PER_MIN);
	for (const char *text = "a"; text != NULL; text = text[0] == 'a' ? "b" : NULL) {
		struct found found = find(f.store, text, BASE_NS, BASE_NS + NS_PER_HOUR);
		assert_int_equal(found.certain, 1);
		assert_int_equal(found.possible, 0);
		assert_true(found.first_ns == BASE_NS + 10 * NS_PER_MIN);
	}
	fixture_fini(&f);
}

static void test_audio_uploaded_hours_later_is_where_it_was_said(void **state)
{
	struct fixture f = { 0 };
	int64_t off_ns = -30 * NS_PER_DAY, said_ns = BASE_NS + 20 * NS_PER_MIN + 5 * NS_PER_S;
	int64_t sent_ns = said_ns + 5 * NS_PER_HOUR;

	(void)state;
	fixture_init(&f);
	ping(f.store, "recorder", BASE_NS + off_ns, BASE_NS);
	say(f.store, "recorder", said_ns + off_ns, 20 * NS_PER_S, sent_ns, "offline");
	/* Until the clock is heard again it may have been set: all over the stretch. */
	struct found found = find(f.store, "offline", BASE_NS, BASE_NS + 6 * NS_PER_HOUR);
	assert_int_equal(found.certain, 0);
	assert_true(found.possible > 290 && found.first_ns <= said_ns && found.last_ns >= said_ns);
	ping(f.store, "recorder", sent_ns + NS_PER_S + off_ns, sent_ns + NS_PER_S);
	found = find(f.store, "offline", BASE_NS, BASE_NS + 6 * NS_PER_HOUR);
	assert_int_equal(found.certain, 1);
	assert_int_equal(found.possible, 0);
	assert_true(found.first_ns == said_ns - said_ns % NS_PER_MIN);
	fixture_fini(&f);
}

static void test_an_epoch_without_a_sync_is_never_certain(void **state)
{
	struct fixture f = { 0 };

	(void)state;
	fixture_init(&f);
	say(f.store, "stray", BASE_NS, 0, BASE_NS + 3 * NS_PER_MIN, "somewhere");
	struct found found =
	    find(f.store, "somewhere", BASE_NS - NS_PER_HOUR, BASE_NS + NS_PER_HOUR);
	assert_int_equal(found.certain, 0);
	/* From an hour before, where the query begins, to the receipt; not after. */
	assert_int_equal(found.possible, 64);
	assert_true(found.last_ns == BASE_NS + 3 * NS_PER_MIN);
	assert_int_equal(slice_clock_map_version(f.store, 0), 1);
	fixture_fini(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_two_devices_that_disagree_by_minutes_meet_in_one_slice),
		cmocka_unit_test(test_audio_uploaded_hours_later_is_where_it_was_said),
		cmocka_unit_test(test_an_epoch_without_a_sync_is_never_certain),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
