/*
 * The aligner from memory: ten streams of one day onto its 86,400 slices of a
 * second, next to a plain backward merge join of the same rows in the same run
 * (which knows none of the semantics).  From the store: data_align_store.c; next
 * to pandas: data_align_pandas.py.
 *
 *   data_align [OBSERVATIONS] [ROUNDS] [STEP_S] [DENSE]
 *
 * default 500000, 3 and 1; of 100 observations DENSE are of the first stream, a tenth if
 * it is left out.
 *
 * The observations come each stream for itself, in order, by the minute, as an as-of
 * join is given them; then all streams in one order, as a log has them; then as
 * observations, of which items are made on the way and copied: that is what slices
 * of a log cost; the first two are for whoever has the day in memory.  Of each value
 * of a slice the visitor reads which observation it is.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "align/item_names.h"
#include "align/policy.h"
#include "align/window.h"
#include "base/clock.h"
#include "base/random.h"
#include "slice_day.h"

#define STREAMS SLICE_DAY_STREAMS
#define BATCH ((size_t)256)
#define START_NS SLICE_DAY_START_NS

static int by_time(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static void number(struct observation *obs, size_t number, int64_t at_ns)
{
	obs->seq = number + 1;
	obs->place = placement_trusted(at_ns, at_ns, 0);
	memcpy(obs->obs_id, &number, sizeof number);
}

/* The observation of stream `s` with a number and a time. */
static struct observation make(size_t s, size_t at, int64_t at_ns)
{
	struct observation obs = slice_day_make(s, at_ns);

	number(&obs, at, at_ns);
	return obs;
}

/* Large pages, as libraries of arrays ask for them. */
static void *rows_new(size_t bytes)
{
	void *rows = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	slice_day_must(rows != MAP_FAILED, "memory");
	(void)madvise(rows, bytes, MADV_HUGEPAGE);
	return rows;
}

struct day {
	size_t n;
	unsigned dense;          /* of 100; 0: as many as of the other streams */
	uint8_t *stream;         /* [n] */
	int64_t *at_ns;          /* [n], in order */
	struct item *items;      /* [n], in order of time */
	struct item_rest *rests; /* [n] */
	struct item *columns;    /* [n], the items stream by stream */
	size_t first[STREAMS + 1];
};

static void make_day(struct day *day)
{
	uint64_t seed = 1;

	day->stream = rows_new(day->n);
	day->at_ns = rows_new(day->n * sizeof day->at_ns[0]);
	day->items = rows_new(day->n * sizeof day->items[0]);
	day->rests = rows_new(day->n * sizeof day->rests[0]);
	day->columns = rows_new(day->n * sizeof day->columns[0]);
	for (size_t i = 0; i < day->n; i++)
		day->at_ns[i] = START_NS + (int64_t)(random_next(&seed) % (uint64_t)NS_PER_DAY);
	qsort(day->at_ns, day->n, sizeof day->at_ns[0], by_time);
	for (size_t i = 0; i < day->n; i++) {
		day->stream[i] = (uint8_t)(random_next(&seed) % STREAMS);
		if (day->dense > 0)
			day->stream[i] = random_next(&seed) % 100 < day->dense
					     ? 0
					     : (uint8_t)(1 + random_next(&seed) % (STREAMS - 1));
		struct observation obs = make(day->stream[i], i, day->at_ns[i]);
		item_of_observation(&obs, policy_default(), &day->items[i], &day->rests[i]);
	}
}

struct seen {
	size_t values;
	uint64_t sum;
};

/* Which observations stand in the slice, each read once. */
static bool look_at(void *ctx, const struct slice *slice)
{
	struct seen *seen = ctx;

	for (int f = 0; f < FACET_COUNT; f++) {
		const struct cell *cell = &slice->cells[f];
		seen->values += cell->values_len;
		for (size_t i = 0; i < cell->values_len; i++)
			seen->sum += cell->values[i].item->seq;
	}
	return true;
}

static void make_columns(struct day *day)
{
	size_t at = 0;

	for (size_t s = 0; s < STREAMS; s++) {
		day->first[s] = at;
		for (size_t i = 0; i < day->n; i++) {
			if (day->stream[i] == s)
				day->columns[at++] = day->items[i];
		}
	}
	day->first[STREAMS] = at;
}

enum way { WAY_STREAMS, WAY_ONE_ORDER, WAY_OBSERVATIONS };

/* Each stream for itself, a minute at a time. */
static void push_streams(const struct day *day, struct window *window)
{
	size_t at[STREAMS];

	memcpy(at, day->first, sizeof at);
	for (int64_t until_ns = START_NS; until_ns < START_NS + NS_PER_DAY;) {
		until_ns += NS_PER_MIN;
		for (size_t s = 0; s < STREAMS; s++) {
			size_t from = at[s];
			while (at[s] < day->first[s + 1] && day->columns[at[s]].t0_ns < until_ns)
				at[s]++;
			slice_day_must(
			    window_push(window, day->columns + from, at[s] - from, NULL) == RC_OK,
			    "push");
		}
		slice_day_must(window_settle(window, until_ns, NULL) == RC_OK, "settle");
	}
}

/* All of them in one order; items that lie ready, or are made here by the batch. */
static void push_in_order(
    const struct day *day, struct window *window, struct item_names *names, bool prepared)
{
	struct observation obs[STREAMS];

	static struct item made[BATCH];
	static struct item_rest rests[BATCH];

	for (size_t s = 0; s < STREAMS; s++)
		obs[s] = make(s, 0, START_NS);
	for (size_t i = 0; i < day->n; i += BATCH) {
		size_t n = day->n - i < BATCH ? day->n - i : BATCH;
		for (size_t k = 0; k < n && !prepared; k++) {
			struct observation *next = &obs[day->stream[i + k]];
			number(next, i + k, day->at_ns[i + k]);
			item_of_names(names, next, policy_default(), &made[k], &rests[k]);
		}
		slice_day_must(window_settle(window, day->at_ns[i], NULL) == RC_OK, "settle");
		slice_day_must(
		    window_push(window, prepared ? &day->items[i] : made, n, NULL) == RC_OK,
		    "push");
	}
}

/* Seconds for the window. */
static double run_window(const struct day *day, enum way way, int64_t step_ns, struct seen *seen)
{
	struct window_grid grid = { .from_ns = START_NS,
		.to_ns = START_NS + NS_PER_DAY,
		.step_ns = step_ns,
		.facets = FACET_MASK_ALL & ~FACET_MASK(FACET_SCENE),
		.borrow = way != WAY_OBSERVATIONS };
	struct item_names *names = item_names_new();
	struct window *window;

	slice_day_must(names != NULL, "names");
	*seen = (struct seen){ .values = 0 };
	int64_t start_ns = clock_mono_ns();
	slice_day_must(
	    window_open(policy_default(), &grid, look_at, seen, &window) == RC_OK, "open");
	if (way == WAY_STREAMS)
		push_streams(day, window);
	else
		push_in_order(day, window, names, way == WAY_ONE_ORDER);
	slice_day_must(window_finish(window, NULL) == RC_OK, "finish");
	window_close(window);
	item_names_free(names);
	slice_day_must(seen->values > 0, "no values");
	return (double)(clock_mono_ns() - start_ns) / 1e9;
}

/* The plainest join: the last row of each stream before each slice. */
static double run_join(const struct day *day, int64_t step_ns, size_t *sum)
{
	size_t last[STREAMS] = { 0 }, at = 0;

	int64_t start_ns = clock_mono_ns();
	for (int64_t end_ns = START_NS + step_ns; end_ns <= SLICE_DAY_END_NS; end_ns += step_ns) {
		for (; at < day->n && day->items[at].t0_ns < end_ns; at++)
			last[day->items[at].track % STREAMS] = at;
		for (size_t s = 0; s < STREAMS; s++)
			*sum += last[s];
	}
	return (double)(clock_mono_ns() - start_ns) / 1e9;
}

static void print(const char *name, const struct day *day, double seconds, double join_s)
{
	printf("%-34s %12.2f %8.2f\n", name, (double)day->n / seconds / 1e6, join_s / seconds);
}

int main(int argc, char **argv)
{
	struct day day = { .n = argc > 1 ? (size_t)strtoull(argv[1], NULL, 10) : 500000,
		.dense = argc > 4 ? (unsigned)strtoul(argv[4], NULL, 10) : 0 };
	int64_t step_ns = (argc > 3 ? strtol(argv[3], NULL, 10) : 1) * NS_PER_S;
	int rounds = argc > 2 ? (int)strtol(argv[2], NULL, 10) : 3;
	double took[3][SLICE_DAY_ROUNDS_MAX], join[SLICE_DAY_ROUNDS_MAX];
	static const char *const names[] = { "window, streams", "window, in one order",
		"window, from observations" };
	struct seen seen[3];
	size_t sum = 0;

	slice_day_must(
	    day.n >= 1000 && rounds >= 1 && rounds <= SLICE_DAY_ROUNDS_MAX && step_ns > 0,
	    "usage: data_align [OBSERVATIONS] [ROUNDS] [STEP_S] [DENSE]");
	make_day(&day);
	make_columns(&day);
	for (int i = 0; i < rounds; i++) {
		for (unsigned way = 0; way < 3; way++)
			took[way][i] = run_window(&day, (enum way)way, step_ns, &seen[way]);
		join[i] = run_join(&day, step_ns, &sum);
	}
	slice_day_must(seen[0].sum == seen[1].sum && seen[0].sum == seen[2].sum, "other slices");
	double join_s = slice_day_percentile(join, (size_t)rounds, 50);
	printf("%zu observations, %d streams, slices of %lld s with %zu values, medians of %d "
	       "(%zu)\n",
	    day.n, STREAMS, (long long)(step_ns / NS_PER_S), seen[0].values, rounds, sum % 10);
	printf("%-34s %12s %8s\n", "", "M obs/s", "ratio");
	print("plain backward merge join", &day, join_s, join_s);
	for (int way = 0; way < 3; way++)
		print(
		    names[way], &day, slice_day_percentile(took[way], (size_t)rounds, 50), join_s);
	return 0;
}
