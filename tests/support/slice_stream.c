/* Slice streams: a generator of awkward days, and the aligner over them. */
#include "slice_stream.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/random.h"

#define START_NS (INT64_C(1763193600) * NS_PER_S) /* 2025-11-15T08:00:00Z */

static uint64_t below(uint64_t *seed, uint64_t n)
{
	return random_next(seed) % n;
}

static bool one_in(uint64_t *seed, uint64_t n)
{
	return below(seed, n) == 0;
}

static const struct {
	enum layer layer;
	const char *kind;
} kinds[] = { { LAYER_TEXT, "message" }, { LAYER_VISUAL, "frame" }, { LAYER_VISUAL, "frame" },
	{ LAYER_AUDITORY, "speech" }, { LAYER_AUDITORY, "sound" }, { LAYER_BEHAVIOUR, "app" },
	{ LAYER_BEHAVIOUR, "window" }, { LAYER_BEHAVIOUR, "suspend" },
	{ LAYER_BEHAVIOUR, "heart_rate" }, { LAYER_BEHAVIOUR, "sleep" },
	{ LAYER_ENVIRONMENT, "location" }, { LAYER_ENVIRONMENT, "location" },
	{ LAYER_ENVIRONMENT, "location" }, { LAYER_ENVIRONMENT, "visit" },
	{ LAYER_ENVIRONMENT, "temperature" }, { LAYER_ENVIRONMENT, "weather" },
	{ LAYER_HOME, "light" }, { LAYER_HOME, "door" } };

static void make_data(uint64_t *seed, const struct observation *obs, char out[160])
{
	static const char *const rooms[] = { "kitchen", "hall" };
	static const char *const states[] = { "on", "off", "unavailable" };
	int place = (int)below(seed, 100);

	out[0] = '\0';
	if (strcmp(obs->kind, "location") == 0) {
		(void)snprintf(out, 160, "{%s%s\"lat\":%d.%04d,\"lon\":13.%02d%s}",
		    one_in(seed, 2) ? "\"acc\":12.5," : "",
		    one_in(seed, 6) ? "\"inregions\":[\"x\"]," : "", 52, 1000 + place, place,
		    one_in(seed, 3)   ? ",\"vel\":0"
		    : one_in(seed, 3) ? ",\"vel\":36"
				      : "");
	} else if (strcmp(obs->kind, "temperature") == 0) {
		(void)snprintf(out, 160, "{\"room\":\"%s\",\"value\":%d.%d}", rooms[below(seed, 2)],
		    place, place % 10);
	} else if (strcmp(obs->kind, "heart_rate") == 0) {
		(void)snprintf(out, 160, "{\"value\":%d}", place);
	} else if (obs->layer == LAYER_HOME && !obs->gap) {
		if (one_in(seed, 2))
			(void)snprintf(out, 160, "{\"entity_id\":\"e%d\",\"state\":\"%s\"}",
			    place % 2, states[below(seed, 3)]);
		else
			(void)snprintf(out, 160,
			    "{\"name\":\"n\",\"room\":\"%s\",\"state\":\"%s\"}",
			    rooms[below(seed, 2)], states[below(seed, 3)]);
	} else if (obs->layer == LAYER_VISUAL && one_in(seed, 3)) {
		(void)snprintf(out, 160, "{\"unchanged\":true}");
	}
}

/* Half are trusted; of the others ε has two sides, now and then hours long. */
static void make_place(uint64_t *seed, int64_t span_s, struct observation *obs)
{
	obs->place = placement_trusted(obs->dev_t0_ns, obs->dev_t1_ns, 0);
	if (one_in(seed, 2))
		return;
	obs->place.defaulted = false;
	obs->place.early_ns = (int64_t)below(seed, 6) * NS_PER_S;
	obs->place.late_ns = (int64_t)below(seed, 11) * NS_PER_S;
	if (one_in(seed, 8)) {
		obs->place.early_ns = (int64_t)below(seed, (uint64_t)span_s) * NS_PER_S;
		obs->place.late_ns = (int64_t)below(seed, (uint64_t)span_s) * NS_PER_S / 4;
	}
}

/* One or two channels, evenly spaced or not; positions name theirs. */
static void make_block(uint64_t *seed, int64_t span_s, size_t number, struct slice_stream *out)
{
	static const double rates[] = { 0.25, 0.5, 1, 2, 4 };
	struct observation *obs = &out->obs[number];
	bool position = strcmp(obs->kind, "location") == 0;
	size_t frames = 1 + below(seed, SLICE_STREAM_FRAMES);
	int64_t at_ns = 0, most_ns = span_s * NS_PER_S / 4 / SLICE_STREAM_FRAMES + 2;

	obs->channels = position || one_in(seed, 3) ? 2 : 0;
	obs->values_len = frames * (obs->channels == 2 ? 2 : 1);
	for (size_t i = 0; i < obs->values_len; i++)
		out->values[number][i] = 52 + (double)below(seed, 700) / 100;
	obs->values = out->values[number];
	if (position)
		obs->data_json = "";
	obs->shape = SHAPE_BLOCK;
	obs->has_end = false;
	obs->extra_json = position ? "{\"channels\":[\"lat\",\"lon\"]}" : "";
	obs->rate_hz = rates[below(seed, 5)];
	obs->dev_t1_ns = obs->dev_t0_ns + (int64_t)((double)frames / obs->rate_hz * 1e9);
	if (one_in(seed, 2))
		return;
	for (size_t i = 0; i < frames; i++) {
		out->times[number][i] = at_ns;
		at_ns += (int64_t)below(seed, (uint64_t)most_ns);
	}
	obs->rate_hz = 0;
	obs->times_ns = out->times[number];
	obs->dev_t1_ns = obs->dev_t0_ns + out->times[number][frames - 1] + 1;
}

static void make_observation(
    uint64_t *seed, int64_t span_s, size_t number, struct slice_stream *out)
{
	static const char *const sources[] = { "a", "b", "phone" };
	static const char *const boots[] = { "", "", "", "one", "two" };
	struct observation *obs = &out->obs[number];
	size_t kind = below(seed, sizeof kinds / sizeof kinds[0]);

	*obs = (struct observation){ .source = sources[below(seed, 3)],
		.layer = kinds[kind].layer,
		.kind = kinds[kind].kind,
		.shape = SHAPE_INSTANT,
		.clock_id = "",
		.boot_epoch = boots[below(seed, 5)],
		.zone = "",
		.origin = ORIGIN_DEVICE,
		.text = one_in(seed, 2) ? "words" : "" };
	for (size_t i = 0; i < OBS_ID_BYTES; i++)
		obs->obs_id[i] = (uint8_t)random_next(seed);
	(void)snprintf(out->ids[number], sizeof out->ids[number], "id%zu", number);
	obs->client_id = out->ids[number];
	/* Whole seconds often, so that ties and exact borders happen. */
	obs->dev_t0_ns = START_NS + (int64_t)below(seed, (uint64_t)span_s) * NS_PER_S +
			 (one_in(seed, 3) ? (int64_t)below(seed, (uint64_t)NS_PER_S) : 0);
	obs->dev_t1_ns = obs->dev_t0_ns;
	if (strcmp(obs->kind, "sleep") == 0 || strcmp(obs->kind, "visit") == 0 || one_in(seed, 5)) {
		obs->has_end = true;
		obs->dev_t1_ns += (int64_t)below(seed, (uint64_t)span_s / 4 + 1) * NS_PER_S;
	}
	obs->has_pulse = one_in(seed, 5);
	obs->pulse_s = obs->has_pulse ? (double)below(seed, 100) : 0;
	obs->gap = one_in(seed, 12);
	obs->has_source_seq = one_in(seed, 2);
	obs->source_seq = obs->has_source_seq ? below(seed, 3) : 0;
	make_data(seed, obs, out->texts[number]);
	obs->data_json = out->texts[number];
	/* Drawn aside, so that the rest of a stream is what it is without blocks. */
	uint64_t own = *seed ^ UINT64_C(0xB10C);
	if (one_in(&own, 4) &&
	    (obs->layer == LAYER_ENVIRONMENT || strcmp(obs->kind, "heart_rate") == 0) &&
	    strcmp(obs->kind, "visit") != 0)
		make_block(&own, span_s, number, out);
	make_place(seed, span_s, obs);
}

void slice_stream_make(uint64_t *seed, struct slice_stream *out)
{
	static const int64_t spans_s[] = { 20, 200, 1200, 7200, 20000 };
	static const int64_t steps_s[] = { 1, 10, 60, 900, 3600 };
	static const int64_t errors_ns[] = { 0, NS_PER_S, NS_PER_S, 5 * NS_PER_S };
	size_t scale = below(seed, 5);
	int64_t span_s = spans_s[scale];

	out->policy = *policy_default();
	out->policy.error_ns = errors_ns[below(seed, 4)];
	out->len = below(seed, 25) + (one_in(seed, 50) ? 30 : 0);
	for (size_t i = 0; i < out->len; i++)
		make_observation(seed, span_s, i, out);
	int64_t step_ns = steps_s[scale] * NS_PER_S;
	int64_t first = (int64_t)below(seed, 10) - 3, count = 1 + (int64_t)below(seed, 12);
	unsigned facets = one_in(seed, 3) ? (unsigned)random_next(seed) : FACET_MASK_ALL;
	facets &= FACET_MASK_ALL & ~FACET_MASK(FACET_SCENE);
	out->grid = (struct window_grid){ .from_ns = START_NS + first * step_ns,
		.to_ns = START_NS + (first + count) * step_ns,
		.step_ns = step_ns,
		.now_ns = START_NS + 5 * step_ns,
		.facets = facets == 0 ? FACET_MASK(FACET_HOME) : facets,
		.keep_empty = one_in(seed, 2),
		.borrow = one_in(seed, 2) };
}

static int by_time(const void *a, const void *b)
{
	const struct observation *x = a, *y = b;

	int64_t a_ns, b_ns, end_ns;
	placement_extent(&x->place, &a_ns, &end_ns);
	placement_extent(&y->place, &b_ns, &end_ns);
	if (a_ns != b_ns)
		return a_ns < b_ns ? -1 : 1;
	return x->seq < y->seq ? -1 : x->seq > y->seq;
}

void slice_stream_shuffle(uint64_t *seed, struct observation *obs, size_t n)
{
	for (size_t i = 0; i < n; i++)
		obs[i].seq = random_next(seed);
	qsort(obs, n, sizeof *obs, by_time);
}

struct lines {
	struct buf *out;
	unsigned facets;
};

static bool put_slice(void *ctx, const struct slice *slice)
{
	struct lines *lines = ctx;

	if (slice_json(slice, lines->facets, lines->out) == RC_OK)
		buf_putc(lines->out, '\n');
	return true;
}

/* Lanes one after the other, each in the order of the observations. */
static int by_lane(const void *a, const void *b)
{
	const struct item *x = a, *y = b;

	if (x->rest->lane != y->rest->lane)
		return x->rest->lane < y->rest->lane ? -1 : 1;
	return x->rest < y->rest ? -1 : x->rest > y->rest;
}

void slice_stream_run(const struct policy *policy, const struct window_grid *grid,
    const struct observation *obs, size_t n, struct buf *out)
{
	struct lines lines = { out, grid->facets };
	struct window *window;
	struct item *items = calloc(n + 1, sizeof *items);
	struct item_rest *rests = calloc(n + 1, sizeof *rests);

	if (items == NULL || rests == NULL ||
	    window_open(policy, grid, put_slice, &lines, &window) != RC_OK)
		abort();
	for (size_t i = 0; i < n; i++)
		item_of_observation(&obs[i], policy, &items[i], &rests[i]);
	for (size_t i = 0, batch = 1; i < n; batch = 1 + batch * 5 % 7) {
		size_t end = batch < n - i ? i + batch : n;
		while (end < n && item_key_ns(&items[end]) == item_key_ns(&items[end - 1]))
			end++;
		if (batch % 2 == 0)
			qsort(items + i, end - i, sizeof *items, by_lane);
		if (window_push(window, items + i, end - i, NULL) != RC_OK ||
		    (end < n && window_settle(window, item_key_ns(&items[end]), NULL) != RC_OK))
			abort();
		i = end;
	}
	if (window_finish(window, NULL) != RC_OK)
		abort();
	window_close(window);
	free(items);
	free(rests);
}
