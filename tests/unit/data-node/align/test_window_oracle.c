/*
 * The streaming aligner against the brute-force oracle, byte by byte, and what
 * must not change its slices: order, repetition, look-back, other layers, a
 * shift by whole slices.  HEARTH_STREAMS=100000 runs longer.
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
#include "slice_oracle.h"
#include "slice_stream.h"

#define STREAMS_DEFAULT 10000
#define LINES_BYTES_MAX ((size_t)64 << 20)

static struct slice_stream stream;

static long streams_wanted(long share)
{
	const char *text = getenv("HEARTH_STREAMS");
	long n = text == NULL ? STREAMS_DEFAULT : strtol(text, NULL, 10);

	return n < share ? 1 : n / share;
}

static void compare(const struct buf *want, const struct buf *got, long round, const char *what)
{
	if (want->len == got->len && memcmp(buf_text(want), buf_text(got), want->len) == 0)
		return;
	size_t at = 0, line = 0;
	for (; at < want->len && at < got->len && want->bytes[at] == got->bytes[at]; at++)
		line = want->bytes[at] == '\n' ? at + 1 : line;
	fprintf(stderr, "%s, stream %ld\nwant %.*s\n got %.*s\n", what, round,
	    (int)strcspn(buf_text(want) + line, "\n"), buf_text(want) + line,
	    (int)strcspn(buf_text(got) + line, "\n"), buf_text(got) + line);
	for (size_t i = 0; i < stream.len; i++) {
		const struct observation *obs = &stream.obs[i];
		fprintf(stderr, "  %s %s/%s %lld..%lld -%lld+%lld seq=%d boot=%s pulse=%g%s %s\n",
		    obs->client_id, obs->source, obs->kind,
		    (long long)(obs->place.t0_ns - stream.grid.from_ns),
		    (long long)(obs->place.t1_ns - stream.grid.from_ns),
		    obs->place.defaulted ? -1LL : (long long)obs->place.early_ns,
		    (long long)obs->place.late_ns, (int)obs->source_seq, obs->boot_epoch,
		    obs->pulse_s, obs->gap ? " gap" : "", obs->data_json);
	}
	fail_msg("%s differs on stream %ld", what, round);
}

static void run(const struct observation *obs, size_t n, struct buf *out)
{
	buf_init(out, LINES_BYTES_MAX);
	slice_stream_run(&stream.policy, &stream.grid, obs, n, out);
}

static void test_slices_equal_those_of_the_oracle(void **state)
{
	uint64_t seed = 20261121;
	size_t bytes = 0;

	(void)state;
	for (long round = 0; round < streams_wanted(1); round++) {
		struct buf want, got;
		slice_stream_make(&seed, &stream);
		slice_stream_shuffle(&seed, stream.obs, stream.len);
		buf_init(&want, LINES_BYTES_MAX);
		slice_oracle(&stream.policy, &stream.grid, stream.obs, stream.len, &want);
		run(stream.obs, stream.len, &got);
		compare(&want, &got, round, "oracle");
		bytes += want.len;
		buf_fini(&want);
		buf_fini(&got);
	}
	assert_true(bytes > 1000); /* it compared something */
}

/* Few tracks of many instants, each of which is in several slices, at one time with
 * others or not; now and then one that is unlike the others. */
static void test_dense_tracks_equal_those_of_the_oracle(void **state)
{
	static const struct {
		enum layer layer;
		const char *kind;
	} kinds[] = { { LAYER_HOME, "light" }, { LAYER_BEHAVIOUR, "app" },
		{ LAYER_BEHAVIOUR, "heart_rate" }, { LAYER_AUDITORY, "sound" } };
	uint64_t seed = 11;

	(void)state;
	for (long round = 0; round < streams_wanted(4); round++) {
		struct buf want, got;
		slice_stream_make(&seed, &stream);
		stream.grid.step_ns = NS_PER_S;
		stream.grid.to_ns = stream.grid.from_ns + 12 * NS_PER_S;
		stream.len = SLICE_STREAM_MAX;
		for (size_t i = 0; i < stream.len; i++) {
			struct observation *obs = &stream.obs[i];
			const char *id = stream.ids[i];
			size_t kind = random_next(&seed) % (random_next(&seed) % 4 + 1);
			(void)snprintf(stream.ids[i], sizeof stream.ids[i], "id%zu", i);
			*obs = (struct observation){ .source = "a",
				.client_id = id,
				.layer = kinds[kind].layer,
				.kind = kinds[kind].kind,
				.shape = SHAPE_INSTANT,
				.clock_id = "",
				.boot_epoch = "",
				.zone = "",
				.text = "",
				.data_json = kind == 0 ? "{\"state\":\"on\"}" : "" };
			memcpy(obs->obs_id, id, strlen(id));
			obs->dev_t0_ns = obs->dev_t1_ns =
			    stream.grid.from_ns - 2 * NS_PER_S +
			    (int64_t)(random_next(&seed) % 64) * (NS_PER_S / 4) +
			    (round % 2 == 0 ? 0 : (int64_t)(random_next(&seed) % NS_PER_S));
			obs->gap = random_next(&seed) % 100 == 0;
			if (obs->gap)
				obs->data_json = "";
			obs->place = placement_trusted(obs->dev_t0_ns, obs->dev_t1_ns,
			    random_next(&seed) % 60 == 0 ? 2 * NS_PER_S : 0);
		}
		slice_stream_shuffle(&seed, stream.obs, stream.len);
		buf_init(&want, LINES_BYTES_MAX);
		slice_oracle(&stream.policy, &stream.grid, stream.obs, stream.len, &want);
		run(stream.obs, stream.len, &got);
		compare(&want, &got, round, "dense");
		buf_fini(&want);
		buf_fini(&got);
	}
}

static void test_order_and_repetition_of_the_input_change_nothing(void **state)
{
	uint64_t seed = 3;

	(void)state;
	for (long round = 0; round < streams_wanted(4); round++) {
		struct observation twice[2 * SLICE_STREAM_MAX];
		struct buf want, got;
		slice_stream_make(&seed, &stream);
		slice_stream_shuffle(&seed, stream.obs, stream.len);
		run(stream.obs, stream.len, &want);
		memcpy(twice, stream.obs, stream.len * sizeof twice[0]);
		memcpy(twice + stream.len, stream.obs, stream.len * sizeof twice[0]);
		slice_stream_shuffle(&seed, twice, 2 * stream.len);
		run(twice, 2 * stream.len, &got);
		compare(&want, &got, round, "repetition");
		buf_fini(&want);
		buf_fini(&got);
	}
}

/* What slice_build() reads from the store. */
static size_t reachable(struct observation *out)
{
	struct window_reach reach = window_reach_of(&stream.policy, &stream.grid);
	size_t n = 0;

	for (size_t i = 0; i < stream.len; i++) {
		const struct observation *obs = &stream.obs[i];
		int64_t k0_ns, k1_ns;
		placement_extent(&obs->place, &k0_ns, &k1_ns);
		bool touches =
		    k0_ns < reach.to_ns && (k0_ns >= reach.from_ns || k1_ns > reach.from_ns);
		if (touches || (obs->layer == LAYER_HOME && k0_ns < reach.from_ns))
			out[n++] = *obs;
	}
	return n;
}

static void test_what_lies_out_of_reach_changes_nothing(void **state)
{
	uint64_t seed = 4;

	(void)state;
	for (long round = 0; round < streams_wanted(2); round++) {
		struct observation near[SLICE_STREAM_MAX];
		struct buf want, got;
		slice_stream_make(&seed, &stream);
		/* A late and narrow part of the day, so that much is out of reach. */
		stream.grid.from_ns += (int64_t)(random_next(&seed) % 8) * stream.grid.step_ns;
		if (stream.grid.from_ns >= stream.grid.to_ns)
			stream.grid.to_ns = stream.grid.from_ns + stream.grid.step_ns;
		slice_stream_shuffle(&seed, stream.obs, stream.len);
		run(stream.obs, stream.len, &want);
		run(near, reachable(near), &got);
		compare(&want, &got, round, "reach");
		buf_fini(&want);
		buf_fini(&got);
	}
}

static void test_a_shift_by_whole_slices_shifts_the_result(void **state)
{
	uint64_t seed = 5;

	(void)state;
	for (long round = 0; round < streams_wanted(4); round++) {
		struct buf want, got;
		slice_stream_make(&seed, &stream);
		slice_stream_shuffle(&seed, stream.obs, stream.len);
		run(stream.obs, stream.len, &want);
		/* Whole days: the texts keep their time of day, so only dates move. */
		for (size_t i = 0; i < stream.len; i++) {
			stream.obs[i].place.t0_ns += NS_PER_DAY;
			stream.obs[i].place.t1_ns += NS_PER_DAY;
		}
		stream.grid.from_ns += NS_PER_DAY;
		stream.grid.to_ns += NS_PER_DAY;
		stream.grid.now_ns += NS_PER_DAY;
		run(stream.obs, stream.len, &got);
		assert_int_equal(want.len, got.len);
		for (char *at = (char *)got.bytes;
		     want.len > 0 && (at = strstr(at, "-11-")) != NULL; at++)
			at[5]--; /* none of them crosses into another month or ten */
		compare(&want, &got, round, "shift");
		buf_fini(&want);
		buf_fini(&got);
	}
}

static void test_another_layer_changes_no_other_facet(void **state)
{
	static const unsigned fed[LAYER_COUNT + 1] = { 0, FACET_MASK(FACET_LANGUAGE),
		FACET_MASK(FACET_VISUAL), FACET_MASK(FACET_AUDIO) | FACET_MASK(FACET_LANGUAGE),
		FACET_MASK(FACET_DEVICE) | FACET_MASK(FACET_BODY),
		FACET_MASK(FACET_LOCATION) | FACET_MASK(FACET_ENVIRONMENT),
		FACET_MASK(FACET_HOME) };
	uint64_t seed = 6;

	(void)state;
	for (long round = 0; round < streams_wanted(4); round++) {
		struct observation rest[SLICE_STREAM_MAX];
		size_t n = 0;
		struct buf want, got;
		slice_stream_make(&seed, &stream);
		slice_stream_shuffle(&seed, stream.obs, stream.len);
		enum layer gone = (enum layer)(1 + random_next(&seed) % LAYER_COUNT);
		for (size_t i = 0; i < stream.len; i++) {
			if (stream.obs[i].layer != gone)
				rest[n++] = stream.obs[i];
		}
		stream.grid.facets = FACET_MASK_ALL & ~FACET_MASK(FACET_SCENE) & ~fed[gone];
		run(stream.obs, stream.len, &want);
		run(rest, n, &got);
		compare(&want, &got, round, "layer");
		buf_fini(&want);
		buf_fini(&got);
	}
}

/* The observations of the facets that keep everything, by minute. */
struct sums {
	int64_t from_ns;
	bool in[2][SLICE_STREAM_MAX]; /* [audio, language][number of the id] */
};

static bool add_up(void *ctx, const struct slice *slice)
{
	struct sums *sums = ctx;

	for (int k = 0; k < 2; k++) {
		const struct cell *cell = &slice->cells[k == 0 ? FACET_AUDIO : FACET_LANGUAGE];
		for (size_t i = 0; i < cell->values_len; i++)
			sums->in[k][strtol(cell->values[i].item->rest->client_id + 2, NULL, 10)] =
			    true;
	}
	return true;
}

static void sum(const struct window_grid *grid, struct sums *out)
{
	static struct item items[SLICE_STREAM_MAX]; /* a grid may borrow them */
	static struct item_rest rests[SLICE_STREAM_MAX];
	struct window *window;

	*out = (struct sums){ .from_ns = grid->from_ns };
	assert_int_equal(window_open(&stream.policy, grid, add_up, out, &window), RC_OK);
	for (size_t i = 0; i < stream.len; i++) {
		item_of_observation(&stream.obs[i], &stream.policy, &items[i], &rests[i]);
		assert_int_equal(window_settle(window, item_key_ns(&items[i]), NULL), RC_OK);
		assert_int_equal(window_push(window, &items[i], 1, NULL), RC_OK);
	}
	assert_int_equal(window_finish(window, NULL), RC_OK);
	window_close(window);
}

static void test_sixty_seconds_add_up_to_their_minute(void **state)
{
	uint64_t seed = 9;
	size_t found = 0;

	(void)state;
	for (long round = 0; round < streams_wanted(8); round++) {
		struct sums minute, seconds;
		slice_stream_make(&seed, &stream);
		slice_stream_shuffle(&seed, stream.obs, stream.len);
		struct window_grid grid = stream.grid;
		grid.from_ns = stream.len == 0 ? grid.from_ns : stream.obs[0].dev_t0_ns;
		grid.from_ns -= grid.from_ns % NS_PER_MIN;
		grid.to_ns = grid.from_ns + NS_PER_MIN;
		grid.facets = FACET_MASK(FACET_AUDIO) | FACET_MASK(FACET_LANGUAGE);
		grid.step_ns = NS_PER_MIN;
		sum(&grid, &minute);
		grid.step_ns = NS_PER_S;
		sum(&grid, &seconds);
		assert_memory_equal(minute.in, seconds.in, sizeof minute.in);
		for (size_t i = 0; i < SLICE_STREAM_MAX; i++)
			found += minute.in[0][i] + minute.in[1][i];
	}
	assert_true(found > 10);
}

static int64_t oldest_of(const struct cell_value *value, int facet)
{
	switch (facet) {
	case FACET_VISUAL:
		return 30 * NS_PER_S;
	case FACET_LOCATION:
		return 15 * NS_PER_MIN;
	case FACET_DEVICE:
		return NS_PER_HOUR;
	case FACET_ENVIRONMENT:
	case FACET_BODY:
		return 45 * NS_PER_MIN;
	default:
		return value->mode == CELL_CARRIED ? -1 : INT64_MAX;
	}
}

static bool check_ages(void *ctx, const struct slice *slice)
{
	size_t *carried = ctx;

	for (int facet = 0; facet < FACET_COUNT; facet++) {
		const struct cell *cell = &slice->cells[facet];
		for (size_t i = 0; i < cell->values_len && facet != FACET_HOME; i++) {
			if (cell->values[i].mode != CELL_CARRIED)
				continue;
			assert_true(cell->values[i].age_ns <= oldest_of(&cell->values[i], facet));
			++*carried;
		}
	}
	return true;
}

static void test_nothing_is_carried_beyond_its_age(void **state)
{
	uint64_t seed = 8;
	size_t carried = 0;

	(void)state;
	for (long round = 0; round < streams_wanted(2); round++) {
		struct window *window;
		slice_stream_make(&seed, &stream);
		slice_stream_shuffle(&seed, stream.obs, stream.len);
		stream.grid.borrow = false;
		assert_int_equal(
		    window_open(&stream.policy, &stream.grid, check_ages, &carried, &window),
		    RC_OK);
		for (size_t i = 0; i < stream.len; i++) {
			struct item_rest rest;
			struct item item;
			item_of_observation(&stream.obs[i], &stream.policy, &item, &rest);
			assert_int_equal(window_settle(window, item_key_ns(&item), NULL), RC_OK);
			assert_int_equal(window_push(window, &item, 1, NULL), RC_OK);
		}
		assert_int_equal(window_finish(window, NULL), RC_OK);
		window_close(window);
	}
	assert_true(carried > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_slices_equal_those_of_the_oracle),
		cmocka_unit_test(test_dense_tracks_equal_those_of_the_oracle),
		cmocka_unit_test(test_order_and_repetition_of_the_input_change_nothing),
		cmocka_unit_test(test_what_lies_out_of_reach_changes_nothing),
		cmocka_unit_test(test_a_shift_by_whole_slices_shifts_the_result),
		cmocka_unit_test(test_another_layer_changes_no_other_facet),
		cmocka_unit_test(test_sixty_seconds_add_up_to_their_minute),
		cmocka_unit_test(test_nothing_is_carried_beyond_its_age),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
