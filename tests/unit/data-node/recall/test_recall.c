/*
 * Recall over a real store: it follows what is appended, waits for the cursor
 * a reader needs, forgets what is replaced, rebuilds equal, and answers while
 * others append.
 */
#include "../store/store_fixture.h"

#include <pthread.h>
#include <sched.h>

#include "os/file.h"
#include "recall/recall.h"
#include "store/store_forget.h"

#define ARENA_BYTES ((size_t)32 << 20)

struct bench {
	struct fixture store;
	struct recall *recall;
	struct arena arena;
	struct recall_result result;
};

static int setup(void **state)
{
	struct bench *b = calloc(1, sizeof *b);

	fixture_init(&b->store);
	PASS(recall_open(b->store.store, &b->recall, &pass_why));
	arena_init(&b->arena, ARENA_BYTES);
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	struct bench *b = *state;

	recall_close(b->recall);
	arena_fini(&b->arena);
	fixture_fini(&b->store);
	free(b);
	return 0;
}

static struct recall_query query_of(struct bench *b, const char *text)
{
	return (struct recall_query){ .text = text,
		.text_len = strlen(text),
		.k = 10,
		.now_utc_ns = T0_NS,
		.need_cursor = store_cursor(b->store.store),
		.wait_ns = 20 * NS_PER_S };
}

static void search(struct bench *b, const struct recall_query *query)
{
	arena_reset(&b->arena);
	PASS(recall_search(b->recall, query, &b->arena, &b->result, &pass_why));
	assert_false(b->result.behind);
}

static void ask(struct bench *b, const char *text)
{
	struct recall_query query = query_of(b, text);

	search(b, &query);
}

static void add(struct bench *b, const char *id, int64_t t0_ns, const char *text)
{
	struct observation obs = make_obs(id, t0_ns, text);

	(void)append_one(b->store.store, &obs);
}

static void assert_hit(const struct bench *b, size_t place, const char *id)
{
	assert_true(place < b->result.hits_len);
	assert_string_equal(b->result.hits[place].obs.client_id, id);
}

/* ---- finding ------------------------------------------------------------------------------- */

static void test_what_was_acknowledged_is_found(void **state)
{
	struct bench *b = *state;
	char id[16], text[64];

	for (int i = 0; i < 50; i++) {
		(void)snprintf(id, sizeof id, "n%d", i);
		(void)snprintf(text, sizeof text, "note number %d about topic%d", i, i);
		add(b, id, T0_NS + i * NS_PER_MIN, text);
		(void)snprintf(text, sizeof text, "topic%d", i);
		ask(b, text); /* at once */
		assert_hit(b, 0, id);
	}
}

static void test_stems_accents_and_strings_of_data_match(void **state)
{
	struct bench *b = *state;
	struct observation obs = make_obs("app", T0_NS, "");

	add(b, "run", T0_NS, "we were running along the river");
	add(b, "cafe", T0_NS, "Café Zoë");
	obs.data_json = "{\"app\":\"Editor\",\"title\":\"Quarterly r\\u00e9sum\\u00e9\"}";
	(void)append_one(b->store.store, &obs);
	ask(b, "run");
	assert_hit(b, 0, "run");
	ask(b, "cafe zoe");
	assert_hit(b, 0, "cafe");
	ask(b, "RESUME");
	assert_hit(b, 0, "app");
}

static void test_forms_of_a_word_match_in_the_language_of_the_text(void **state)
{
	struct bench *b = *state;

	add(b, "de", T0_NS, "Wir haben auf dem Markt frisches Brot und Käse eingekauft");
	add(b, "es", T0_NS + NS_PER_DAY, "Ayer compramos unas entradas para el concierto de Rosa");
	add(b, "fr", T0_NS + 2 * NS_PER_DAY, "Nous avons mangé une galette avec mes voisins");
	add(b, "en", T0_NS + 3 * NS_PER_DAY, "She bought the blue bicycle from her neighbour");
	ask(b, "wann will ich einkaufen");
	assert_int_equal(b->result.hits_len, 1);
	assert_hit(b, 0, "de");
	ask(b, "¿qué entrada compré para los conciertos?");
	assert_hit(b, 0, "es");
	ask(b, "qui mange des galettes chez le voisin");
	assert_hit(b, 0, "fr");
	ask(b, "who buys bicycles");
	assert_int_equal(b->result.hits_len, 1);
	assert_hit(b, 0, "en");
	ask(b, "galettes bicycles concierto"); /* in no language, so in all of them */
	assert_int_equal(b->result.hits_len, 3);
}

static void test_neighbours_help_to_find_an_answer(void **state)
{
	struct bench *b = *state;

	add(b, "other", T0_NS - NS_PER_DAY, "a blue one, I think");
	add(b, "q", T0_NS, "which bicycle helmet did you choose?");
	add(b, "a", T0_NS + NS_PER_MIN, "a blue one, I think");
	ask(b, "blue helmet");
	assert_int_equal(b->result.hits_len, 3);
	size_t a = 9, other = 9;
	for (size_t i = 0; i < 3; i++) {
		a = strcmp(b->result.hits[i].obs.client_id, "a") == 0 ? i : a;
		other = strcmp(b->result.hits[i].obs.client_id, "other") == 0 ? i : other;
	}
	assert_true(a < other); /* the same words, but behind the question */
}

static void test_a_conversation_that_matches_lifts_its_moments(void **state)
{
	static const char *const talk[] = { "dinner in Lisbon was lovely", "who came along",
		"Ana and her brother", "did it rain", "the bill was 90 euros" };
	struct bench *b = *state;
	char id[8];

	add(b, "apart", T0_NS - 9 * NS_PER_DAY, "the bill was 40 euros");
	for (size_t i = 0; i < sizeof talk / sizeof talk[0]; i++) {
		(void)snprintf(id, sizeof id, "t%zu", i);
		add(b, id, T0_NS + (int64_t)i * NS_PER_MIN, talk[i]);
	}
	ask(b, "the bill");
	assert_hit(b, 0, "apart"); /* equal words: the earlier one */
	ask(b, "the bill of the dinner in Lisbon");
	assert_hit(b, 0, "t0");
	for (size_t i = 1; i < b->result.hits_len; i++) {
		if (strcmp(b->result.hits[i].obs.client_id, "t4") == 0)
			return;
		assert_string_not_equal(b->result.hits[i].obs.client_id, "apart");
	}
	fail_msg("the answer was not found");
}

static void test_machine_chatter_and_gap_markers_are_not_found(void **state)
{
	struct bench *b = *state;
	struct observation obs = make_obs("title", T0_NS, "a generated title about zebras");

	obs.origin = ORIGIN_SYSTEM;
	(void)append_one(b->store.store, &obs);
	obs = make_obs("gap", T0_NS, "");
	obs.gap = true;
	(void)append_one(b->store.store, &obs);
	ask(b, "zebras");
	assert_int_equal(b->result.hits_len, 0);
	ask(b, "note");
	assert_int_equal(b->result.hits_len, 0);
}

static void test_a_replaced_observation_leaves_the_results(void **state)
{
	struct bench *b = *state;

	add(b, "x", T0_NS, "meet at the harbour");
	ask(b, "harbour");
	assert_hit(b, 0, "x");
	add(b, "x", T0_NS, "meet at the station");
	ask(b, "harbour");
	assert_int_equal(b->result.hits_len, 0);
	ask(b, "station");
	assert_int_equal(b->result.hits_len, 1);
}

static bool remade(struct bench *b, uint64_t want)
{
	struct recall_stats stats;

	recall_get_stats(b->recall, &stats);
	return stats.checksum == want;
}

static void test_what_is_forgotten_is_found_no_more_not_even_through_its_neighbour(void **state)
{
	struct bench *b = *state;
	struct store_forget what = { .from_ns = T0_NS, .to_ns = T0_NS + NS_PER_S };
	struct recall *fresh;
	struct recall_stats stats;

	add(b, "before", T0_NS - NS_PER_MIN, "we met at the station");
	add(b, "secret", T0_NS, "the password is marmalade");
	add(b, "beside", T0_NS + NS_PER_MIN, "I wrote it down");
	ask(b, "marmalade");
	assert_int_equal(b->result.hits_len, 3); /* the neighbours too */
	assert_hit(b, 0, "secret");
	PASS(store_forget(b->store.store, &what, NULL, &pass_why));
	ask(b, "marmalade");
	for (size_t i = 0; i < b->result.hits_len; i++)
		assert_string_not_equal(b->result.hits[i].obs.client_id, "secret");
	ask(b, "station");
	assert_hit(b, 0, "before");
	/* Made anew, it is the index of a log in which it never stood. */
	PASS(recall_open(b->store.store, &fresh, &pass_why));
	while (recall_cursor(fresh) < store_cursor(b->store.store))
		(void)sched_yield();
	recall_get_stats(fresh, &stats);
	recall_close(fresh);
	for (int64_t end_ns = clock_mono_ns() + 20 * NS_PER_S; !remade(b, stats.checksum);) {
		assert_true(clock_mono_ns() < end_ns);
		(void)sched_yield();
	}
	ask(b, "marmalade");
	assert_int_equal(b->result.hits_len, 0);
}

static void test_what_was_seen_twice_gives_way_where_that_is_asked_for(void **state)
{
	static const char *const sources[] = { "phone", "watch", "laptop" };
	struct bench *b = *state;

	for (size_t i = 0; i < 3; i++) {
		struct observation obs = make_obs(
		    sources[i], T0_NS + (int64_t)i * NS_PER_S, "the ferry to Bregenz is late");
		obs.source = sources[i];
		(void)append_one(b->store.store, &obs);
	}
	add(b, "other", T0_NS + 5 * NS_PER_HOUR, "a ferry full of bicycles");
	struct recall_query query = query_of(b, "ferry to Bregenz");
	search(b, &query);
	assert_int_equal(b->result.hits_len, 4);
	assert_hit(b, 3, "other");
	query.varied = true;
	search(b, &query);
	assert_int_equal(b->result.hits_len, 4);
	assert_hit(b, 1, "other");
	for (size_t i = 1; i < 4; i++)
		assert_true(b->result.hits[i].score <= b->result.hits[i - 1].score);
}

static void test_words_that_say_little_find_nothing_alone(void **state)
{
	struct bench *b = *state;

	add(b, "x", T0_NS, "what is it that you do");
	ask(b, "what is the zzyzx"); /* the telling word is nowhere */
	assert_int_equal(b->result.hits_len, 0);
}

/* ---- time -------------------------------------------------------------------------------------
 */

static void test_time_words_lift_hits_inside_their_range(void **state)
{
	struct bench *b = *state;
	struct recall_query query = query_of(b, "soup yesterday");

	add(b, "old", T0_NS - 9 * NS_PER_DAY, "soup soup soup");
	add(b, "near", T0_NS - NS_PER_DAY, "lentil soup at Ofelia with half of the office");
	query.read_timewords = true;
	query.need_cursor = store_cursor(b->store.store);
	search(b, &query);
	assert_true(b->result.when.found);
	assert_int_equal(b->result.hits_len, 2);
	assert_hit(b, 0, "near");
	assert_hit(b, 1, "old"); /* it may tell of that day later, or be what is meant */
	ask(b, "soup");
	assert_hit(b, 0, "old");
}

static void test_time_words_give_way_when_nothing_inside_matches(void **state)
{
	struct bench *b = *state;
	struct recall_query query = query_of(b, "soup yesterday");

	add(b, "old", T0_NS - 9 * NS_PER_DAY, "soup of the day");
	add(b, "near", T0_NS - NS_PER_DAY, "a walk in the park");
	query.read_timewords = true;
	query.need_cursor = store_cursor(b->store.store);
	search(b, &query);
	assert_int_equal(b->result.hits_len, 2);
	assert_hit(b, 0, "old");
	assert_hit(b, 1, "near"); /* what happened then, behind it */
	assert_true(b->result.hits[1].score < b->result.hits[0].score);
}

static void test_a_time_and_a_kind_find_what_no_word_names(void **state)
{
	struct bench *b = *state;
	struct recall_query query = query_of(b, "what did I eat yesterday evening?");
	struct observation obs =
	    make_obs("plate", T0_NS - NS_PER_DAY + NS_PER_HOUR, "a bowl of soup");
	char id[16];

	obs.kind = "photo";
	(void)append_one(b->store.store, &obs);
	for (int i = 0; i < 30; i++) {
		(void)snprintf(id, sizeof id, "c%d", i);
		add(b, id, T0_NS - NS_PER_DAY + (int64_t)i * NS_PER_MIN,
		    "a long talk about this and that, without any end to it");
	}
	query.read_timewords = true;
	query.k = 5;
	query.need_cursor = store_cursor(b->store.store);
	search(b, &query);
	assert_hit(b, 0, "plate");
	assert_true(b->result.support == 1);
}

static void test_what_nothing_answers_has_little_support(void **state)
{
	struct bench *b = *state;

	add(b, "a", T0_NS, "Mia bought a tent for the summer");
	add(b, "b", T0_NS + NS_PER_DAY, "Tom bought a boat");
	ask(b, "which tent did Mia buy");
	assert_true(b->result.support > RECALL_SUPPORT_MIN);
	ask(b, "when is the graduation of Mia");
	assert_true(b->result.hits_len > 0);
	assert_true(b->result.support < RECALL_SUPPORT_MIN);
}

static void test_words_that_only_ask_need_no_support(void **state)
{
	struct bench *b = *state;

	add(b, "a", T0_NS, "Mia: my cousin moved to Porto");
	add(b, "b", T0_NS + NS_PER_DAY, "Tom: the lamp was 30 euros");
	add(b, "c", T0_NS + 2 * NS_PER_DAY, "Mia: the new teacher is patient");
	ask(b, "which city did the cousin move to");
	assert_true(b->result.support > RECALL_SUPPORT_MIN);
	ask(b, "how much did Tom pay for the lamp");
	assert_true(b->result.support > RECALL_SUPPORT_MIN);
	ask(b, "who teaches Mia"); /* one word is made of the other */
	assert_true(b->result.support > RECALL_SUPPORT_MIN);
	ask(b, "which city did the astronaut move to");
	assert_true(b->result.support < RECALL_SUPPORT_MIN);
}

static void test_a_time_without_what_is_asked_for_answers_nothing(void **state)
{
	static const struct {
		const char *question;
		bool answered;
	} rows[] = {
		{ "where was I two days ago?", true },
		{ "where was I nine days ago?", false }, /* something happened, but no visit */
		{ "what did Mia say nine days ago?", true },
		{ "what did the astronaut say nine days ago?", false },
		{ "where was I a year ago?", false }, /* there is nothing at all */
		{ "what did I do a year ago?", false },
	};
	struct bench *b = *state;
	struct observation visit = make_obs("visit", T0_NS - 2 * NS_PER_DAY, "the harbour");

	visit.kind = "visit";
	(void)append_one(b->store.store, &visit);
	for (int i = 3; i < 12; i++) {
		char id[8];
		(void)snprintf(id, sizeof id, "m%d", i);
		add(b, id, T0_NS - i * NS_PER_DAY, "Mia said the tram was late");
	}
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct recall_query query = query_of(b, rows[i].question);
		query.read_timewords = true;
		search(b, &query);
		if ((b->result.support >= RECALL_SUPPORT_MIN) != rows[i].answered)
			fail_msg("%s: %.2f", rows[i].question, b->result.support);
	}
}

static void test_a_range_of_the_caller_is_strict(void **state)
{
	struct bench *b = *state;
	struct recall_query query = query_of(b, "soup");

	add(b, "old", T0_NS - 9 * NS_PER_DAY, "soup of the day");
	query.has_range = true;
	query.from_ns = T0_NS - NS_PER_DAY;
	query.to_ns = T0_NS;
	query.need_cursor = store_cursor(b->store.store);
	search(b, &query);
	assert_int_equal(b->result.hits_len, 0);
}

static void test_no_words_but_a_time_give_what_happened_spread_over_it(void **state)
{
	struct bench *b = *state;
	struct recall_query query = query_of(b, "what did I do yesterday?");
	char id[16];

	for (int i = 0; i < 100; i++) { /* crowded at one hour of the day before */
		(void)snprintf(id, sizeof id, "m%d", i);
		add(b, id, T0_NS - NS_PER_DAY + i * NS_PER_S, "a short line");
	}
	add(b, "late", T0_NS - NS_PER_DAY + 3 * NS_PER_HOUR, "a short line");
	query.read_timewords = true;
	query.k = 5;
	query.need_cursor = store_cursor(b->store.store);
	search(b, &query);
	assert_int_equal(b->result.hits_len, 5);
	assert_hit(b, 4, "late");
	for (size_t i = 1; i < 5; i++)
		assert_true(b->result.hits[i - 1].obs.dev_t0_ns <= b->result.hits[i].obs.dev_t0_ns);
}

static void test_an_interval_that_reaches_into_the_range_counts(void **state)
{
	struct bench *b = *state;
	struct observation obs = make_obs("sleep", T0_NS - 8 * NS_PER_HOUR, "slept well");
	struct recall_query query;

	obs.dev_t1_ns = T0_NS;
	obs.has_end = true;
	(void)append_one(b->store.store, &obs);
	query = query_of(b, "");
	query.has_range = true;
	query.from_ns = T0_NS - NS_PER_HOUR;
	query.to_ns = T0_NS + NS_PER_HOUR;
	search(b, &query);
	assert_int_equal(b->result.hits_len, 1);
}

/* ---- limits and life
 * ----------------------------------------------------------------------------- */

static void test_bad_queries_are_refused(void **state)
{
	struct bench *b = *state;
	struct recall_query query = query_of(b, "x");

	query.k = 0;
	assert_int_equal(recall_search(b->recall, &query, &b->arena, &b->result, NULL), RC_INVALID);
	query.k = RECALL_K_MAX + 1;
	assert_int_equal(recall_search(b->recall, &query, &b->arena, &b->result, NULL), RC_INVALID);
	query.k = 1;
	query.text_len = RECALL_QUERY_BYTES_MAX + 1;
	assert_int_equal(recall_search(b->recall, &query, &b->arena, &b->result, NULL), RC_LIMIT);
}

static void test_a_cursor_beyond_the_log_is_reported_not_waited_for_ever(void **state)
{
	struct bench *b = *state;
	struct recall_query query = query_of(b, "x");

	query.need_cursor = 1000;
	query.wait_ns = NS_PER_MS;
	PASS(recall_search(b->recall, &query, &b->arena, &b->result, &pass_why));
	assert_true(b->result.behind);
}

static void test_a_rebuilt_index_equals_the_one_that_grew(void **state)
{
	struct bench *b = *state;
	struct recall_stats grown, rebuilt;
	char id[16], text[64];
	uint64_t seed = 3;

	for (int i = 0; i < 300; i++) {
		(void)snprintf(id, sizeof id, "n%d", (int)(random_next(&seed) % 200));
		(void)snprintf(text, sizeof text, "word%d word%d word%d", i % 7, i % 11, i);
		add(b, id, T0_NS + i * NS_PER_S, text);
	}
	ask(b, "word1");
	recall_get_stats(b->recall, &grown);
	recall_close(b->recall);
	fixture_close(&b->store);
	fixture_open(&b->store);
	PASS(recall_open(b->store.store, &b->recall, &pass_why));
	ask(b, "word1");
	recall_get_stats(b->recall, &rebuilt);
	assert_int_equal(grown.items, rebuilt.items);
	assert_int_equal(grown.terms, rebuilt.terms);
	assert_int_equal(grown.checksum, rebuilt.checksum);
	assert_int_equal(recall_cursor(b->recall), store_cursor(b->store.store));
}

/* Spoil the newest copy of every record with `seq` in the closed store. */
static void damage_record(const char *dir, uint8_t seq)
{
	uint8_t key[9] = { 0, 0, 0, 0, 0, 0, 0, seq, 1 }, *bytes;
	char path[512];
	size_t len, hits = 0;

	(void)snprintf(path, sizeof path, "%s/timeline/data.mdb", dir);
	PASS(file_read(path, (size_t)64 << 20, &bytes, &len, &pass_why));
	FILE *file = fopen(path, "r+b");
	assert_non_null(file);
	for (uint8_t *p = bytes; (p = memmem(p, len - (size_t)(p - bytes), key, 9)) != NULL; p++) {
		uint8_t *at = p + 8 + 60;
		assert_int_equal(fseek(file, at - bytes, SEEK_SET), 0);
		assert_int_equal(fputc(*at ^ 0x10, file), *at ^ 0x10);
		hits++;
	}
	assert_int_equal(fclose(file), 0);
	assert_true(hits > 0);
	free(bytes);
}

static void test_a_damaged_record_hides_no_other(void **state)
{
	struct bench *b = *state;

	for (int i = 0; i < 3; i++) {
		char id[8];
		(void)snprintf(id, sizeof id, "n%d", i);
		add(b, id, T0_NS + i * NS_PER_S, "a sentence about harbours");
	}
	recall_close(b->recall);
	fixture_close(&b->store);
	damage_record(b->store.dir, 3); /* the last one: nothing readable behind it */
	fixture_open(&b->store);
	PASS(recall_open(b->store.store, &b->recall, &pass_why));
	ask(b, "harbour");
	assert_int_equal(b->result.hits_len, 2);
	add(b, "n4", T0_NS + NS_PER_MIN, "another harbour");
	ask(b, "harbour");
	assert_int_equal(b->result.hits_len, 3);
}

struct appender {
	struct bench *bench;
	int number;
	int failures;
};

static void *append_many(void *arg)
{
	struct appender *a = arg;

	for (int i = 0; i < 100; i++) {
		char id[32], text[64];
		(void)snprintf(id, sizeof id, "t%d-%d", a->number, i);
		(void)snprintf(text, sizeof text, "thread%d says item%d", a->number, i);
		struct observation obs = make_obs(id, T0_NS + i * NS_PER_S, text);
		if (store_append(a->bench->store.store, &obs, 1, NULL, NULL, NULL) != RC_OK)
			a->failures++;
	}
	return NULL;
}

static void *search_many(void *arg)
{
	struct appender *a = arg;

	for (int i = 0; i < 100; i++) {
		struct arena arena;
		struct recall_result result;
		struct recall_query query = query_of(a->bench, "thread1 item");
		arena_init(&arena, ARENA_BYTES);
		if (recall_search(a->bench->recall, &query, &arena, &result, NULL) != RC_OK)
			a->failures++;
		arena_fini(&arena);
	}
	return NULL;
}

static void test_searches_and_appends_go_on_beside_each_other(void **state)
{
	struct bench *b = *state;
	struct appender work[4];
	pthread_t threads[4];

	for (int i = 0; i < 4; i++) {
		work[i] = (struct appender){ .bench = b, .number = i };
		assert_int_equal(
		    pthread_create(&threads[i], NULL, i < 2 ? append_many : search_many, &work[i]),
		    0);
	}
	for (int i = 0; i < 4; i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(work[i].failures, 0);
	}
	ask(b, "item99");
	assert_true(b->result.hits_len >= 2); /* and perhaps neighbours of them */
	for (size_t i = 0; i < 2; i++)
		assert_non_null(strstr(b->result.hits[i].obs.text, "item99"));
}

#define WITH_STORE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_STORE(test_what_was_acknowledged_is_found),
		WITH_STORE(test_stems_accents_and_strings_of_data_match),
		WITH_STORE(test_forms_of_a_word_match_in_the_language_of_the_text),
		WITH_STORE(test_neighbours_help_to_find_an_answer),
		WITH_STORE(test_a_conversation_that_matches_lifts_its_moments),
		WITH_STORE(test_machine_chatter_and_gap_markers_are_not_found),
		WITH_STORE(test_a_replaced_observation_leaves_the_results),
		WITH_STORE(test_what_is_forgotten_is_found_no_more_not_even_through_its_neighbour),
		WITH_STORE(test_what_was_seen_twice_gives_way_where_that_is_asked_for),
		WITH_STORE(test_words_that_say_little_find_nothing_alone),
		WITH_STORE(test_time_words_lift_hits_inside_their_range),
		WITH_STORE(test_time_words_give_way_when_nothing_inside_matches),
		WITH_STORE(test_a_time_and_a_kind_find_what_no_word_names),
		WITH_STORE(test_what_nothing_answers_has_little_support),
		WITH_STORE(test_words_that_only_ask_need_no_support),
		WITH_STORE(test_a_time_without_what_is_asked_for_answers_nothing),
		WITH_STORE(test_a_range_of_the_caller_is_strict),
		WITH_STORE(test_no_words_but_a_time_give_what_happened_spread_over_it),
		WITH_STORE(test_an_interval_that_reaches_into_the_range_counts),
		WITH_STORE(test_bad_queries_are_refused),
		WITH_STORE(test_a_cursor_beyond_the_log_is_reported_not_waited_for_ever),
		WITH_STORE(test_a_rebuilt_index_equals_the_one_that_grew),
		WITH_STORE(test_a_damaged_record_hides_no_other),
		WITH_STORE(test_searches_and_appends_go_on_beside_each_other),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
