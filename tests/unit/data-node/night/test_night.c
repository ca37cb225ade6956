/*
 * Night: reruns write nothing, late data costs its own day, newer rules
 * supersede, a pass cut off anywhere ends as one that was not.
 */
#include "../store/store_fixture.h"
#include "align/item.h"
#include "night/night_rule.h"
#include "recall/recall.h"

static const char *const texts[] = { "Thanks for the flowers, they are lovely",
	"Wann kommst du heute nach Hause?", "¿Has visto mis llaves en la cocina?", "ok",
	"Je suis dans le train, on se voit ce soir", "12:30", "Non so dove sia andato" };
#define TEXTS (sizeof texts / sizeof texts[0])

static struct night_report report;

static enum rc run_rules(struct fixture *f, const struct night_table *table,
    bool (*go_on)(void *, const struct night_state *), void *ctx)
{
	struct night_config config = {
		.store = f->store, .table = table, .go_on = go_on, .go_on_ctx = ctx
	};

	return night_run(&config, &report, &pass_why);
}

static void run(struct fixture *f)
{
	PASS(run_rules(f, NULL, NULL, NULL));
	assert_true(report.finished);
}

static void add(struct fixture *f, const char *id, int64_t t0_ns, const char *text)
{
	struct observation obs = make_obs(id, t0_ns, text);

	(void)append_one(f->store, &obs);
}

static struct observation make_reading(const char *id, int64_t t0_ns, const char *data)
{
	struct observation obs = make_obs(id, t0_ns, "");

	obs.layer = LAYER_ENVIRONMENT;
	obs.kind = "temperature";
	obs.origin = ORIGIN_DEVICE;
	obs.data_json = data;
	return obs;
}

static void add_reading(struct fixture *f, const char *id, int64_t t0_ns, const char *data)
{
	struct observation obs = make_reading(id, t0_ns, data);

	(void)append_one(f->store, &obs);
}

static void fill(struct fixture *f, int days)
{
	static struct observation obs[2 * TEXTS];
	static char ids[2 * TEXTS][32];

	for (int day = 0; day < days; day++) {
		for (size_t i = 0; i < TEXTS; i++) {
			int64_t t0_ns = T0_NS + day * NS_PER_DAY + (int64_t)i * NS_PER_HOUR;
			(void)snprintf(ids[i], sizeof ids[i], "t-%d-%zu", day, i);
			obs[i] = make_obs(ids[i], t0_ns, texts[i]);
			(void)snprintf(ids[TEXTS + i], sizeof ids[i], "r-%d-%zu", day, i);
			obs[TEXTS + i] =
			    make_reading(ids[TEXTS + i], t0_ns, "{\"unit\":\"°F\",\"value\":68}");
		}
		PASS(store_append(f->store, obs, 2 * TEXTS, NULL, NULL, &pass_why));
	}
}

/* Labels as one text: rule, key's text or value, by time. */
struct listing {
	char *text;
	size_t len, labels;
};

static bool list_visit(void *ctx, const struct observation *obs)
{
	struct listing *list = ctx;
	struct arena arena;
	struct label label;

	arena_init(&arena, 1 << 20);
	if (label_decode(obs, &arena, &label) == RC_OK && !label_is_withdrawn(&label)) {
		list->labels++;
		list->len += (size_t)snprintf(list->text + list->len, (1 << 20) - list->len,
		    "%s v%u %lld %s\n", label.rule, label.version, (long long)label.t0_ns,
		    label.value_json);
	}
	arena_fini(&arena);
	return true;
}

static size_t list(struct fixture *f, char **text)
{
	struct store_range range = { .from_ns = OBS_TIME_MIN_NS, .to_ns = OBS_TIME_MAX_NS };
	struct store_position pos = { .set = false };
	struct listing listing = { .text = calloc(1, 1 << 20) };

	assert_non_null(listing.text);
	PASS(store_scan_time(f->store, &range, &pos, 0, list_visit, &listing, &pass_why));
	if (text != NULL)
		*text = listing.text;
	else
		free(listing.text);
	return listing.labels;
}

static void test_a_rerun_writes_nothing(void **state)
{
	struct fixture f = { .store = NULL };
	char *text = NULL;

	(void)state;
	fixture_init(&f);
	run(&f);
	assert_int_equal(store_cursor(f.store), 0); /* an empty store stays empty */
	fill(&f, 2);
	run(&f);
	/* Five texts a day have a language; each reading stands in an hour of its own. */
	assert_int_equal(report.written, 2 * (5 + TEXTS));
	assert_int_equal(list(&f, &text), 2 * (5 + TEXTS));
	assert_non_null(strstr(text, "language v1"));
	assert_non_null(strstr(text, "\"de\""));
	assert_non_null(strstr(text, "\"unit\":\"°C\",\"values\":[20]"));
	free(text);
	uint64_t cursor = store_cursor(f.store);
	run(&f);
	assert_int_equal(report.written + report.withdrawn + report.days, 0);
	assert_int_equal(store_cursor(f.store), cursor);
	fixture_close(&f);
	fixture_open(&f); /* and after a restart */
	run(&f);
	assert_int_equal(store_cursor(f.store), cursor);
	fixture_fini(&f);
}

static void test_late_data_costs_its_own_day(void **state)
{
	struct fixture f = { .store = NULL };

	(void)state;
	fixture_init(&f);
	fill(&f, 10);
	run(&f);
	assert_true(report.days >= 10);
	add(&f, "late", T0_NS + 3 * NS_PER_DAY + 5 * NS_PER_MIN, "They told me about it too late");
	run(&f);
	/* Its own, and the one before it that has it as context. */
	assert_true(report.days <= 3);
	assert_int_equal(report.written, 1);
	fixture_fini(&f);
}

static void test_a_correction_moves_its_label(void **state)
{
	struct fixture f = { .store = NULL };
	size_t before;

	(void)state;
	fixture_init(&f);
	fill(&f, 3);
	run(&f);
	before = list(&f, NULL);
	/* The text of another day, in another language, at another time. */
	add(&f, "t-0-0", T0_NS + 2 * NS_PER_DAY + NS_PER_MIN, "Ich habe es mir anders überlegt");
	run(&f);
	assert_int_equal(list(&f, NULL), before);
	/* No language any more: the label is withdrawn, and stays so. */
	add(&f, "t-0-0", T0_NS + 2 * NS_PER_DAY + NS_PER_MIN, "123");
	run(&f);
	assert_int_equal(report.withdrawn, 1);
	assert_int_equal(list(&f, NULL), before - 1);
	/* What was said first comes back. */
	add(&f, "t-0-0", T0_NS + 2 * NS_PER_DAY + NS_PER_MIN, "Ich habe es mir anders gedacht");
	run(&f);
	assert_int_equal(list(&f, NULL), before);
	run(&f);
	assert_int_equal(report.written, 0);
	fixture_fini(&f);
}

/* The same rule, a version on. */
static void test_a_newer_rule_supersedes(void **state)
{
	struct night_rule newer = night_rule_language;
	const struct night_rule *rows[] = { &newer, &night_rule_unit };
	struct night_table table = { rows, 2, NIGHT_PROGRESS_ID };
	struct fixture f = { .store = NULL };
	char *text = NULL;

	(void)state;
	fixture_init(&f);
	fill(&f, 2);
	PASS(run_rules(&f, &table, NULL, NULL));
	size_t labels = list(&f, NULL);
	newer.version = 7;
	PASS(run_rules(&f, &table, NULL, NULL));
	assert_int_equal(report.written, 2 * 5); /* units stay as they are */
	assert_int_equal(list(&f, &text), labels);
	assert_null(strstr(text, "language v1"));
	assert_non_null(strstr(text, "language v7"));
	free(text);
	PASS(run_rules(&f, &table, NULL, NULL));
	assert_int_equal(report.written, 0);
	fixture_fini(&f);
}

static bool stop_after(void *ctx, const struct night_state *state)
{
	int *left = ctx;

	assert_true(state->days_done <= state->days_total);
	return (*left)-- > 0;
}

static void test_a_pass_cut_off_goes_on(void **state)
{
	struct fixture whole = { .store = NULL }, parts = { .store = NULL };
	char *want = NULL, *have = NULL;
	uint64_t observations = 0;
	int passes = 0;

	(void)state;
	fixture_init(&whole);
	fill(&whole, 9);
	run(&whole);
	uint64_t whole_observations = report.observations;
	fixture_init(&parts);
	fill(&parts, 9);
	do {
		int left = 2; /* days a night */
		PASS(run_rules(&parts, NULL, stop_after, &left));
		observations += report.observations;
		passes++;
		fixture_close(&parts);
		fixture_open(&parts);
	} while (!report.finished && passes < 50);
	assert_true(report.finished);
	assert_true(passes >= 4);
	/* Days that were done are not read again, but for those around the cut. */
	assert_true(observations <= 3 * whole_observations);
	(void)list(&whole, &want);
	(void)list(&parts, &have);
	assert_string_equal(have, want);
	free(want);
	free(have);
	fixture_fini(&whole);
	fixture_fini(&parts);
}

/* A deadline that has passed: no day is done, nothing breaks. */
static void test_a_deadline_ends_the_pass(void **state)
{
	struct fixture f = { .store = NULL };
	struct night_config config = { .deadline_mono_ns = 1 };

	(void)state;
	fixture_init(&f);
	fill(&f, 2);
	config.store = f.store;
	PASS(night_run(&config, &report, &pass_why));
	assert_false(report.finished);
	assert_int_equal(report.days, 0);
	run(&f);
	assert_int_equal(list(&f, NULL), 2 * (5 + TEXTS));
	fixture_fini(&f);
}

static bool any_value(void *ctx, const struct slice *slice)
{
	for (int facet = 0; facet < FACET_COUNT; facet++) {
		for (size_t i = 0; i < slice->cells[facet].values_len; i++)
			*(bool *)ctx |= strcmp(slice->cells[facet].values[i].item->rest->source,
					    OBS_SOURCE_NIGHT) == 0;
	}
	return true;
}

static void test_labels_are_no_memory_and_no_noise(void **state)
{
	struct fixture f = { .store = NULL };
	struct slice_query query = {
		.from_ns = T0_NS - NS_PER_HOUR, .to_ns = T0_NS + NS_PER_DAY, .step_ns = NS_PER_HOUR
	};
	struct recall_query question = {
		.text = "language unit values label de", .text_len = 29, .k = 50
	};
	struct recall_result result;
	struct recall *recall = NULL;
	struct arena arena;
	bool seen = false;

	(void)state;
	fixture_init(&f);
	fill(&f, 1);
	run(&f);
	PASS(slice_build(f.store, &query, any_value, &seen, &pass_why));
	assert_false(seen);
	arena_init(&arena, 1 << 24);
	PASS(recall_open(f.store, &recall, &pass_why));
	question.need_cursor = store_cursor(f.store);
	PASS(recall_search(recall, &question, &arena, &result, &pass_why));
	for (size_t i = 0; i < result.hits_len; i++)
		assert_string_not_equal(result.hits[i].obs.source, OBS_SOURCE_NIGHT);
	recall_close(recall);
	arena_fini(&arena);
	fixture_fini(&f);
}

/* Any order of arrival, passes in between or not: the same labels. */
static void test_the_order_of_arrival_does_not_matter(void **state)
{
	uint64_t seed = 21;
	char *want = NULL;

	(void)state;
	for (int round = 0; round < 6; round++) {
		struct fixture f = { .store = NULL };
		size_t order[40], n = sizeof order / sizeof order[0];
		char *have = NULL, id[32];
		fixture_init(&f);
		for (size_t i = 0; i < n; i++) {
			size_t k = round == 0 ? i : random_next(&seed) % (i + 1);
			order[i] = order[k];
			order[k] = i;
		}
		for (size_t i = 0; i < n; i++) {
			size_t k = order[i];
			(void)snprintf(id, sizeof id, "%zu", k);
			if (k % 3 == 0)
				add_reading(&f, id, T0_NS + (int64_t)k * NS_PER_HOUR,
				    "{\"unit\":\"K\",\"value\":300}");
			else
				add(&f, id, T0_NS + (int64_t)k * NS_PER_HOUR, texts[k % TEXTS]);
			if (round > 1 && random_next(&seed) % 5 == 0)
				run(&f);
		}
		run(&f);
		(void)list(&f, &have);
		if (want == NULL)
			want = have;
		else
			assert_string_equal(have, want);
		if (have != want)
			free(have);
		fixture_fini(&f);
	}
	free(want);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_rerun_writes_nothing),
		cmocka_unit_test(test_late_data_costs_its_own_day),
		cmocka_unit_test(test_a_correction_moves_its_label),
		cmocka_unit_test(test_a_newer_rule_supersedes),
		cmocka_unit_test(test_a_pass_cut_off_goes_on),
		cmocka_unit_test(test_a_deadline_ends_the_pass),
		cmocka_unit_test(test_labels_are_no_memory_and_no_noise),
		cmocka_unit_test(test_the_order_of_arrival_does_not_matter),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
