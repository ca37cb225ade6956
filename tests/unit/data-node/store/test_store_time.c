/* Store: time scans against a naive twin that looks at every record. */
#include "store_fixture.h"

#define RECORDS 1500
#define QUERIES 400

/* One version of one thing, as the twin keeps it. */
struct known {
	int64_t t0_ns, t1_ns;
	unsigned layer;
	uint64_t by_seq; /* superseded by, 0: current */
	size_t id, source;
};

struct twin {
	struct known items[RECORDS * 2 + 1]; /* [seq] */
	uint64_t newest;
	uint64_t current[RECORDS]; /* seq by id */
};

static const char *const sources[] = { "phone", "glasses" };

static int64_t random_span(uint64_t *rng)
{
	switch (random_next(rng) % 6) {
	case 0:
		return (int64_t)(random_next(rng) % 100);
	case 1:
		return (int64_t)(random_next(rng) % (uint64_t)NS_PER_HOUR);
	case 2:
		return (int64_t)(random_next(rng) % (uint64_t)(40 * NS_PER_DAY));
	case 3:
		return (int64_t)(UINT64_C(1) << (random_next(rng) % 50));
	default:
		return 0;
	}
}

static void twin_append(struct fixture *f, struct twin *twin, uint64_t *rng, size_t round)
{
	char name[16], text[24];
	size_t id = random_next(rng) % RECORDS;

	(void)snprintf(name, sizeof(name), "%zu", id);
	(void)snprintf(text, sizeof(text), "%zu", round); /* always other content */
	struct observation obs =
	    make_obs(name, T0_NS + (int64_t)(random_next(rng) % (uint64_t)(3 * NS_PER_DAY)), text);
	obs.dev_t1_ns = obs.dev_t0_ns + random_span(rng);
	if (round % 97 == 0) {
		obs.dev_t0_ns = OBS_TIME_MIN_NS; /* all of time */
		obs.dev_t1_ns = OBS_TIME_MAX_NS;
	}
	obs.shape = SHAPE_INTERVAL;
	obs.layer = (enum layer)(1 + random_next(rng) % 6);
	size_t source = id % 2;
	obs.source = sources[source];
	struct store_result r = append_one(f->store, &obs);
	assert_int_equal(r.outcome, STORE_ACCEPTED);
	assert_int_equal(r.seq, twin->newest + 1);
	twin->newest = r.seq;
	if (twin->current[id] != 0)
		twin->items[twin->current[id]].by_seq = r.seq;
	twin->current[id] = r.seq;
	twin->items[r.seq] =
	    (struct known){ obs.dev_t0_ns, obs.dev_t1_ns, (unsigned)obs.layer, 0, id, source };
}

static const struct twin *sorting;

static int by_time(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	int64_t tx = sorting->items[x].t0_ns, ty = sorting->items[y].t0_ns;

	if (tx != ty)
		return tx < ty ? -1 : 1;
	return x < y ? -1 : x > y;
}

static void twin_scan(const struct twin *twin, const struct store_range *range, struct seen *out)
{
	uint64_t as_of = range->as_of_seq == 0 ? twin->newest : range->as_of_seq;

	out->len = 0;
	for (uint64_t seq = 1; seq <= as_of && seq <= twin->newest; seq++) {
		const struct known *k = &twin->items[seq];
		bool in = k->t0_ns >= range->from_ns ? k->t0_ns < range->to_ns
						     : k->t1_ns > range->from_ns;
		if (!in || (k->by_seq != 0 && k->by_seq <= as_of) ||
		    (range->layers != 0 && (range->layers & LAYER_MASK(k->layer)) == 0) ||
		    (range->source != NULL && strcmp(range->source, sources[k->source]) != 0))
			continue;
		out->seqs[out->len++] = seq;
	}
	sorting = twin;
	qsort(out->seqs, out->len, sizeof(out->seqs[0]), by_time);
}

static struct store_range random_range(const struct twin *twin, uint64_t *rng)
{
	struct store_range r = { 0 };

	r.from_ns = T0_NS + (int64_t)(random_next(rng) % (uint64_t)(3 * NS_PER_DAY));
	r.to_ns = r.from_ns + 1 + (int64_t)(random_next(rng) % (uint64_t)NS_PER_DAY);
	if (random_next(rng) % 20 == 0)
		r.from_ns = OBS_TIME_MIN_NS;
	if (random_next(rng) % 20 == 0)
		r.to_ns = OBS_TIME_MAX_NS;
	if (random_next(rng) % 10 == 0) { /* on an edge */
		r.from_ns = twin->items[1 + random_next(rng) % twin->newest].t1_ns;
		if (r.from_ns >= OBS_TIME_MAX_NS)
			r.from_ns = OBS_TIME_MAX_NS - 1;
		r.to_ns = r.from_ns + 1 + (int64_t)(random_next(rng) % 1000);
	}
	if (random_next(rng) % 2 == 0)
		r.layers = (unsigned)(random_next(rng) & LAYER_MASK_ALL);
	if (random_next(rng) % 3 == 0)
		r.source = sources[random_next(rng) % 2];
	if (random_next(rng) % 2 == 0)
		r.as_of_seq = 1 + random_next(rng) % twin->newest;
	return r;
}

static void test_time_scans_equal_the_naive_twin_on_random_histories(void **state)
{
	(void)state;
	struct fixture f = { 0 };
	struct twin *twin = calloc(1, sizeof(*twin));
	struct seen *want = calloc(1, sizeof(*want)), *got = calloc(1, sizeof(*got));
	uint64_t rng = 20261121;

	fixture_init(&f);
	for (size_t i = 1; i <= RECORDS * 2; i++)
		twin_append(&f, twin, &rng, i);
	for (size_t q = 0; q < QUERIES; q++) {
		struct store_range range = random_range(twin, &rng);
		struct store_position pos = { 0 };
		size_t limit = q % 3 == 0 ? 0 : 1 + random_next(&rng) % 300, before;
		twin_scan(twin, &range, want);
		got->len = 0;
		do {
			before = got->len;
			PASS(store_scan_time(
			    f.store, &range, &pos, limit, seen_visit, got, &pass_why));
		} while (limit != 0 && got->len > before);
		assert_int_equal(got->len, want->len);
		assert_memory_equal(got->seqs, want->seqs, want->len * sizeof(want->seqs[0]));
	}
	PASS(store_verify(f.store, NULL, NULL, NULL, &pass_why));
	free(want);
	free(got);
	free(twin);
	fixture_fini(&f);
}

static void test_an_interval_that_ends_where_the_range_begins_is_not_in_it(void **state)
{
	(void)state;
	struct fixture f = { 0 };
	struct seen *seen = calloc(1, sizeof(*seen));
	struct observation a = make_obs("a", T0_NS, "x");
	struct store_range range = { .from_ns = T0_NS + 100, .to_ns = T0_NS + 200 };

	fixture_init(&f);
	a.shape = SHAPE_INTERVAL;
	a.dev_t1_ns = T0_NS + 100;
	(void)append_one(f.store, &a);
	PASS(store_scan_time(f.store, &range, NULL, 0, seen_visit, seen, &pass_why));
	assert_int_equal(seen->len, 0);
	range.from_ns--;
	PASS(store_scan_time(f.store, &range, NULL, 0, seen_visit, seen, &pass_why));
	assert_int_equal(seen->len, 1);
	/* An empty range holds nothing, not even what spans it. */
	range.to_ns = range.from_ns;
	seen->len = 0;
	PASS(store_scan_time(f.store, &range, NULL, 0, seen_visit, seen, &pass_why));
	assert_int_equal(seen->len, 0);
	free(seen);
	fixture_fini(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_time_scans_equal_the_naive_twin_on_random_histories),
		cmocka_unit_test(test_an_interval_that_ends_where_the_range_begins_is_not_in_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
