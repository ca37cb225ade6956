/*
 * Duplicates: pairs that are and are not, and random streams against a twin
 * that compares everything with everything.
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
#include "night/duplicate.h"
#include "night/duplicate_text.h"

#define T0_NS (INT64_C(1763577000) * NS_PER_S)

static struct duplicate_window *window;
static uint16_t next_id;

static int setup(void **state)
{
	(void)state;
	next_id = 0;
	return duplicate_new(&window) == RC_OK ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	duplicate_free(window);
	return 0;
}

static struct observation make(enum layer layer, const char *kind, const char *source, double at_s,
    const char *text, const char *data)
{
	struct observation obs = {
		.layer = layer, .kind = kind, .source = source, .text = text, .data_json = data
	};

	obs.dev_t0_ns = obs.dev_t1_ns = T0_NS + (int64_t)(at_s * 1e9);
	obs.place = placement_trusted(obs.dev_t0_ns, obs.dev_t1_ns, 0);
	++next_id;
	obs.obs_id[0] = (uint8_t)next_id;
	obs.obs_id[1] = (uint8_t)(next_id >> 8);
	return obs;
}

static struct duplicate push(enum layer layer, const char *kind, const char *source, double at_s,
    const char *text, const char *data)
{
	struct observation obs = make(layer, kind, source, at_s, text, data);
	struct duplicate out;

	duplicate_push(window, &obs, &out);
	return out;
}

/* What the second of two observations is. */
static void pair(enum duplicate_how want, enum layer layer, const char *kind_a,
    const char *source_a, const char *text_a, const char *data_a, double apart_s,
    const char *kind_b, const char *source_b, const char *text_b, const char *data_b)
{
	duplicate_reset(window);
	struct duplicate first = push(layer, kind_a, source_a, 0, text_a, data_a);
	uint16_t id = next_id;
	struct duplicate second = push(layer, kind_b, source_b, apart_s, text_b, data_b);
	assert_int_equal(first.how, DUPLICATE_NONE);
	if (second.how != want)
		fail_msg("\"%s\" \"%s\": %s, not %s", text_b, data_b, duplicate_word(second.how),
		    duplicate_word(want));
	if (want != DUPLICATE_NONE)
		assert_int_equal(second.of[0] + 256 * second.of[1], id);
}

static void texts(enum duplicate_how want, double apart_s, const char *a, const char *b)
{
	pair(want, LAYER_TEXT, "message", "phone", a, "", apart_s, "message", "laptop", b, "");
}

/* Pairs as people have them, with what they are. */
static void test_texts_of_two_sources(void **state)
{
	(void)state;
	texts(DUPLICATE_SAME_TEXT, 2, "I will be there at half past nine",
	    "I will be there at half past nine");
	texts(DUPLICATE_SAME_TEXT, 500, "I will be there at half past nine",
	    "i will be there, at half past nine!");
	texts(DUPLICATE_NONE, 700, "I will be there at half past nine",
	    "I will be there at half past nine");
	texts(DUPLICATE_SAME_TEXT, 5, "ok", "OK!");
	texts(DUPLICATE_NONE, 60, "ok", "OK!");
	texts(DUPLICATE_SAME_TEXT, 3, "👍", "👍");
	texts(
	    DUPLICATE_SAME_TEXT, 3, "Wir treffen uns am Müggelsee", "WIR TREFFEN UNS AM MUGGELSEE");
	texts(DUPLICATE_SAME_TEXT, 3, "我们下午三点在图书馆见", "我们下午三点在图书馆见。");
	texts(DUPLICATE_NEAR_TEXT, 30,
	    "The parcel for Mrs Aydin was left with the neighbour on the ground floor this morning",
	    "The parcel for Mrs Aydin was left with a neighbour on the ground floor this morning");
	texts(DUPLICATE_CUT_TEXT, 30,
	    "The clinic moved us from nine to half past nine on Friday, please bring the blue "
	    "folder and the X-rays",
	    "The clinic moved us from nine to half past nine on Friday, pl…");
	texts(DUPLICATE_NONE, 30, "Shall we have lunch together on Friday at 12:30 in the canteen?",
	    "Shall we have lunch together on Friday at 13:30 in the canteen?");
	texts(DUPLICATE_NONE, 30, "Shall we have lunch together on Friday in the canteen?",
	    "I cannot come to the meeting in the canteen on Friday, sorry");
	texts(DUPLICATE_NONE, 1, "", "");
	texts(DUPLICATE_NONE, 1, "...", "!?");
	/* Someone answers with the same words. */
	pair(DUPLICATE_NONE, LAYER_TEXT, "message", "phone", "see you tomorrow then",
	    "{\"from\":\"Lena\"}", 20, "message", "laptop", "see you tomorrow then",
	    "{\"from\":\"Papa\"}");
	pair(DUPLICATE_SAME_TEXT, LAYER_TEXT, "message", "phone", "see you tomorrow then",
	    "{\"from\":\"Lena\"}", 20, "notification", "watch", "see you tomorrow then",
	    "{\"app\":\"signal\"}");
}

static void test_one_source_says_things_twice(void **state)
{
	(void)state;
	pair(DUPLICATE_NONE, LAYER_TEXT, "message", "phone", "where are you, I am waiting", "", 30,
	    "message", "phone", "where are you, I am waiting", "");
	pair(DUPLICATE_SAME_TEXT, LAYER_TEXT, "notification", "phone",
	    "Battery of the smoke alarm is low", "", 300, "notification", "phone",
	    "Battery of the smoke alarm is low", "");
	/* Said twice, seen twice each: two groups of two. */
	duplicate_reset(window);
	assert_int_equal(
	    push(LAYER_TEXT, "message", "phone", 0, "are you coming?", "").how, DUPLICATE_NONE);
	assert_int_equal(push(LAYER_TEXT, "message", "laptop", 1, "are you coming?", "").how,
	    DUPLICATE_SAME_TEXT);
	assert_int_equal(
	    push(LAYER_TEXT, "message", "phone", 60, "are you coming?", "").how, DUPLICATE_NONE);
	assert_int_equal(push(LAYER_TEXT, "message", "laptop", 61, "are you coming?", "").how,
	    DUPLICATE_SAME_TEXT);
	/* A third source copies the first. */
	struct duplicate third = push(LAYER_TEXT, "message", "tablet", 62, "are you coming?", "");
	assert_int_equal(third.how, DUPLICATE_SAME_TEXT);
	assert_int_equal(third.apart_ns, 2 * NS_PER_S);
}

static void test_fixes_files_and_states(void **state)
{
	const enum layer env = LAYER_ENVIRONMENT;

	(void)state;
	pair(DUPLICATE_SAME_FIX, env, "location", "owntracks", "",
	    "{\"lat\":52.487451,\"lon\":13.426312}", 0.7, "location", "fitness", "",
	    "{\"lat\":52.48745,\"lon\":13.42631}");
	pair(DUPLICATE_NONE, env, "location", "owntracks", "",
	    "{\"lat\":52.487451,\"lon\":13.426312}", 0.7, "location", "fitness", "",
	    "{\"lat\":52.48749,\"lon\":13.42631}");
	pair(DUPLICATE_NONE, env, "location", "owntracks", "",
	    "{\"lat\":52.487451,\"lon\":13.426312}", 3, "location", "fitness", "",
	    "{\"lat\":52.487451,\"lon\":13.426312}");
	pair(DUPLICATE_NONE, env, "location", "phone", "", "{\"lat\":52.487451,\"lon\":13.426312}",
	    1, "location", "phone", "", "{\"lat\":52.487451,\"lon\":13.426312}");
	pair(DUPLICATE_SAME_FILE, LAYER_VISUAL, "photo", "phone", "", "{\"sha256\":\"a1b2c3d4e5\"}",
	    90, "photo", "nas", "", "{\"path\":\"/x\",\"sha256\":\"a1b2c3d4e5\"}");
	pair(DUPLICATE_SAME_FILE, LAYER_VISUAL, "photo", "phone", "", "{\"sha256\":\"a1b2c3d4e5\"}",
	    90, "photo", "phone", "", "{\"sha256\":\"a1b2c3d4e5\",\"try\":2}");
	pair(DUPLICATE_SAME_FILE, LAYER_VISUAL, "photo", "phone", "",
	    "{\"name\":\"IMG_1.jpg\",\"size\":812345}", 0, "photo", "cloud", "",
	    "{\"name\":\"IMG_1.jpg\",\"size\":812345}");
	pair(DUPLICATE_NONE, LAYER_VISUAL, "photo", "phone", "",
	    "{\"name\":\"IMG_1.jpg\",\"size\":812345}", 0, "photo", "cloud", "",
	    "{\"name\":\"IMG_1.jpg\",\"size\":812346}");
	pair(DUPLICATE_SAME_DATA, LAYER_HOME, "light", "hub", "",
	    "{\"entity\":\"light.hall\",\"state\":\"on\"}", 1, "light", "bridge", "",
	    "{\"entity\":\"light.hall\",\"state\":\"on\"}");
	pair(DUPLICATE_NONE, LAYER_HOME, "light", "hub", "",
	    "{\"entity\":\"light.hall\",\"state\":\"on\"}", 5, "light", "bridge", "",
	    "{\"entity\":\"light.hall\",\"state\":\"on\"}");
	pair(DUPLICATE_NONE, LAYER_BEHAVIOUR, "heart_rate", "watch", "", "{\"value\":62}", 1,
	    "heart_rate", "strap", "", "{\"value\":62}");
}

/* ---- the twin --------------------------------------------------------------------- */

#define ITEMS 250
#define LETTERS 160

struct note {
	char text[LETTERS];
	unsigned source;
	double at_s;
	size_t first;     /* of its group */
	unsigned sources; /* in the group it is the first of, as bits */
};

static const char *const vocabulary[] = { "parcel", "river", "monday", "lamp", "gallery", "bring",
	"the", "window", "kitchen", "about", "folder", "clinic", "soup", "before", "evening", "and",
	"bicycle", "repair", "with", "long", "valve", "call", "neighbour", "garden" };

static void random_text(uint64_t *seed, char *out)
{
	size_t words = 6 + random_next(seed) % 12;

	out[0] = '\0';
	for (size_t i = 0; i < words; i++) {
		const char *word =
		    vocabulary[random_next(seed) % (sizeof vocabulary / sizeof vocabulary[0])];
		size_t len = strlen(out);
		if (len + strlen(word) + 2 < LETTERS)
			(void)snprintf(out + len, LETTERS - len, "%s%s", i > 0 ? " " : "", word);
	}
}

static void random_edit(uint64_t *seed, char *text)
{
	size_t len = strlen(text);

	for (uint64_t edits = random_next(seed) % 4; edits > 0; edits--) {
		size_t at = random_next(seed) % len;
		if (text[at] != ' ')
			text[at] = (char)('a' + random_next(seed) % 26);
	}
}

/* Sets of four letters as texts, compared one with each. */
static double naive_likeness(const char *a, const char *b)
{
	char sets[2][LETTERS][5];
	size_t len[2] = { 0, 0 }, both = 0;
	const char *both_texts[2] = { a, b };

	for (int k = 0; k < 2; k++) {
		char folded[LETTERS];
		size_t n = 0;
		for (const char *p = both_texts[k]; *p != '\0'; p++) {
			if (*p != ' ')
				folded[n++] = *p;
		}
		for (size_t i = 0; i + 4 <= n; i++) {
			char gram[5] = { folded[i], folded[i + 1], folded[i + 2], folded[i + 3] };
			size_t j = 0;
			while (j < len[k] && strcmp(sets[k][j], gram) != 0)
				j++;
			if (j == len[k])
				memcpy(sets[k][len[k]++], gram, sizeof gram);
		}
	}
	for (size_t i = 0; i < len[0]; i++) {
		for (size_t j = 0; j < len[1]; j++)
			both += strcmp(sets[0][i], sets[1][j]) == 0 ? 1 : 0;
	}
	return (double)both / (double)(len[0] + len[1] - both);
}

/* The letters of `text` without its blanks. */
static void squeeze(const char *text, char out[LETTERS])
{
	size_t n = 0;

	for (; *text != '\0' && n + 1 < LETTERS; text++) {
		if (*text != ' ')
			out[n++] = *text;
	}
	out[n] = '\0';
}

static bool naive_inside(const char *a, const char *b)
{
	char x[LETTERS], y[LETTERS];

	squeeze(a, x);
	squeeze(b, y);
	return strncmp(x, y, DUPLICATE_HEAD_LETTERS) == 0;
}

/* Is there a note before `at` that it copies, and whose group lacks its source? */
static bool naive_copy(const struct note *notes, size_t at, bool *possible)
{
	bool near = false;

	for (size_t k = 0; k < at; k++) {
		const struct note *first = &notes[notes[k].first];
		if (notes[at].at_s - notes[k].at_s > 600 || notes[at].at_s - first->at_s > 1800 ||
		    (first->sources >> notes[at].source & 1) != 0)
			continue;
		bool alike = naive_likeness(notes[k].text, notes[at].text) >= DUPLICATE_LIKENESS;
		near = near || alike;
		*possible = *possible || alike || naive_inside(notes[k].text, notes[at].text);
	}
	return near;
}

/* Everything with everything: no index to miss a pair. */
static void test_random_streams_match_the_twin(void **state)
{
	static const char *const sources[] = { "a", "b", "c" };
	static struct note notes[ITEMS];
	uint64_t seed = 77;
	size_t wanted = 0, found = 0, wrong = 0;

	(void)state;
	for (int round = 0; round < 5; round++) {
		double at_s = 0;
		duplicate_reset(window);
		next_id = 0;
		for (size_t i = 0; i < ITEMS; i++) {
			at_s += (double)(random_next(&seed) % 60);
			notes[i] = (struct note){ .at_s = at_s, .first = i };
			notes[i].source = (unsigned)(random_next(&seed) % 3);
			if (i > 4 && random_next(&seed) % 3 == 0) {
				(void)snprintf(notes[i].text, LETTERS, "%s",
				    notes[i - 1 - random_next(&seed) % 4].text);
				random_edit(&seed, notes[i].text);
			} else {
				random_text(&seed, notes[i].text);
			}
			bool possible = false, near = naive_copy(notes, i, &possible);
			struct duplicate got = push(LAYER_TEXT, "message", sources[notes[i].source],
			    at_s, notes[i].text, "");
			bool taken = got.how != DUPLICATE_NONE;
			if (taken)
				notes[i].first = got.of[0] + 256U * got.of[1] - 1;
			notes[notes[i].first].sources |= 1U << notes[i].source;
			wanted += near ? 1 : 0;
			found += near && taken ? 1 : 0;
			wrong += !possible && taken ? 1 : 0;
		}
	}
	print_message("%zu of %zu copies found, %zu wrong\n", found, wanted, wrong);
	assert_int_equal(wrong, 0);
	assert_true(wanted > 150);
	assert_true(found * 1000 >= wanted * 995);
}

/* The bands find what the sets would: two sources, so no group is in the way. */
static void test_near_texts_are_seldom_missed(void **state)
{
	uint64_t seed = 5;
	size_t pairs = 0, found = 0;

	(void)state;
	for (int round = 0; round < 1200; round++) {
		char a[LETTERS], b[LETTERS];
		random_text(&seed, a);
		(void)snprintf(b, sizeof b, "%s", a);
		random_edit(&seed, b);
		if (strlen(a) < 40 || naive_likeness(a, b) < DUPLICATE_LIKENESS)
			continue;
		duplicate_reset(window);
		(void)push(LAYER_TEXT, "message", "a", 0, a, "");
		pairs++;
		found += push(LAYER_TEXT, "message", "b", 1, b, "").how != DUPLICATE_NONE ? 1 : 0;
	}
	print_message("%zu of %zu near pairs found\n", found, pairs);
	assert_true(pairs > 300);
	assert_true(found * 1000 >= pairs * 995);
}

static void test_likeness_matches_the_twin(void **state)
{
	uint64_t seed = 9;

	(void)state;
	for (int round = 0; round < 600; round++) {
		struct duplicate_text x, y;
		char a[LETTERS], b[LETTERS];
		random_text(&seed, a);
		(void)snprintf(b, sizeof b, "%s", a);
		for (int i = 0; i < 6; i++)
			random_edit(&seed, b);
		duplicate_text_read(a, strlen(a), &x);
		duplicate_text_read(b, strlen(b), &y);
		double have = duplicate_text_likeness(&x, &y), want = naive_likeness(a, b);
		if (have > want + 1e-9 || have < want - 1e-9)
			fail_msg("%.4f, not %.4f", have, want);
	}
}

static void test_memory_and_time_are_bounded(void **state)
{
	char text[64];

	(void)state;
	/* Three windows' worth of the same words at one time: chains do not grow. */
	for (int i = 0; i < 3 * DUPLICATE_ITEMS_MAX; i++) {
		(void)snprintf(text, sizeof text, "the very same notification text of item %s",
		    i % 2 == 0 ? "a" : "b");
		(void)push(LAYER_TEXT, "message", i % 3 == 0 ? "x" : "y", (double)i * 1e-3, text,
		    "{\"name\":1}");
	}
	/* What came before the last DUPLICATE_ITEMS_MAX is no longer looked at. */
	duplicate_reset(window);
	(void)push(LAYER_TEXT, "message", "x", 0, "an early bird that nobody remembers", "");
	for (int i = 0; i < DUPLICATE_ITEMS_MAX; i++)
		(void)push(LAYER_TEXT, "note", "y", 1, "", "");
	assert_int_equal(
	    push(LAYER_TEXT, "message", "y", 2, "an early bird that nobody remembers", "").how,
	    DUPLICATE_NONE);
}

static void test_any_bytes(void **state)
{
	uint64_t seed = 1;
	char text[300], data[120];

	(void)state;
	for (int i = 0; i < 5000; i++) {
		for (size_t k = 0; k < sizeof text; k++)
			text[k] = (char)(1 + random_next(&seed) % 255);
		for (size_t k = 0; k < sizeof data; k++)
			data[k] = "{}[]\":,ab01fromsize\\"[random_next(&seed) % 20];
		text[random_next(&seed) % sizeof text] = '\0';
		data[random_next(&seed) % sizeof data] = '\0';
		text[sizeof text - 1] = data[sizeof data - 1] = '\0';
		(void)push(LAYER_TEXT, "message", i % 2 == 0 ? "a" : "b", i, text, data);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_texts_of_two_sources, setup, teardown),
		cmocka_unit_test_setup_teardown(test_one_source_says_things_twice, setup, teardown),
		cmocka_unit_test_setup_teardown(test_fixes_files_and_states, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    test_random_streams_match_the_twin, setup, teardown),
		cmocka_unit_test_setup_teardown(test_near_texts_are_seldom_missed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_likeness_matches_the_twin, setup, teardown),
		cmocka_unit_test_setup_teardown(test_memory_and_time_are_bounded, setup, teardown),
		cmocka_unit_test_setup_teardown(test_any_bytes, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
