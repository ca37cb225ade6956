/* Store: what is forgotten is gone, the rest stands, and a cut changes neither. */
#include "store_fixture.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "effort.h"
#include "store/store_forget.h"
#include "store/store_internal.h"
#include "store_canary.h"
#include "store_victim.h"

#define CANARY "canary-7f3a in the coal mine"
#define DAY_NS NS_PER_DAY
#define DAY0_NS (T0_NS - T0_NS % NS_PER_DAY)

static struct store_forget everything(void)
{
	return (struct store_forget){ .from_ns = OBS_TIME_MIN_NS, .to_ns = OBS_TIME_MAX_NS };
}

static struct store_result put(struct fixture *f, const char *source, const char *id,
    enum layer layer, int64_t t0_ns, const char *text)
{
	struct observation obs = make_obs(id, t0_ns, text);

	obs.source = source;
	obs.layer = layer;
	return append_one(f->store, &obs);
}

static struct store_forgotten forget(struct fixture *f, const struct store_forget *what)
{
	struct store_forgotten out = { 0 };

	PASS(store_forget(f->store, what, &out, &pass_why));
	PASS(store_verify(f->store, NULL, NULL, NULL, &pass_why));
	return out;
}

static size_t visible(struct fixture *f)
{
	struct store_range range = { .from_ns = OBS_TIME_MIN_NS, .to_ns = OBS_TIME_MAX_NS };
	static struct seen seen;

	seen = (struct seen){ .len = 0 };
	PASS(store_scan_time(f->store, &range, NULL, 0, seen_visit, &seen, &pass_why));
	return seen.len;
}

static bool has_key(struct fixture *f, int64_t t_ns, unsigned layer)
{
	uint8_t key[KEYRING_KEY_BYTES];

	return keyring_get(f->keyring, store_day(t_ns), layer, key) == RC_OK;
}

/* Everything on disk, as it is with the store closed. */
static struct store_canary search(struct fixture *f)
{
	struct store_canary canary;

	fixture_close(f);
	struct keyring_unlock unlock = { 0 };
	PASS(keyring_open(f->dir, &unlock, &f->keyring, &pass_why));
	store_canary_search(f->dir, f->keyring, CANARY, &canary);
	keyring_close(f->keyring);
	fixture_open(f);
	return canary;
}

static void test_a_whole_day_of_a_layer_is_gone_and_its_key_too(void **state)
{
	(void)state;
	struct fixture f = { 0 };
	struct arena arena;
	struct observation got;

	fixture_init(&f);
	struct store_result first = put(&f, "phone", "a", LAYER_TEXT, DAY0_NS + 5, CANARY);
	put(&f, "phone", "b", LAYER_TEXT, DAY0_NS + DAY_NS - 1, CANARY " b");
	put(&f, "phone", "c", LAYER_HOME, DAY0_NS + 6, "light");
	put(&f, "phone", "d", LAYER_TEXT, DAY0_NS + DAY_NS, "the next day");
	struct store_canary before = search(&f);
	assert_true(before.leaked >= 2 && before.plain == 0);
	struct store_forget what = {
		.from_ns = DAY0_NS, .to_ns = DAY0_NS + DAY_NS, .layers = LAYER_MASK(LAYER_TEXT)
	};
	uint64_t count = 0;
	PASS(store_forget_count(f.store, &what, &count, &pass_why));
	assert_int_equal(count, 2);
	struct store_forgotten done = forget(&f, &what);
	assert_int_equal(done.records, 2);
	assert_int_equal(done.resealed, 0);
	assert_int_equal(done.keys, 1);
	assert_int_equal(done.seq, 5);
	assert_false(has_key(&f, DAY0_NS, LAYER_TEXT));
	assert_true(has_key(&f, DAY0_NS, LAYER_HOME));
	assert_true(has_key(&f, DAY0_NS + DAY_NS, LAYER_TEXT));
	assert_int_equal(visible(&f), 2);
	/* Id and times stand; sending it again brings nothing back. */
	arena_init(&arena, 1 << 20);
	PASS(store_get_id(f.store, first.obs_id, &arena, &got, &pass_why));
	assert_true(got.tombstone && got.dev_t0_ns == DAY0_NS + 5 && got.text[0] == '\0' &&
		    got.source[0] == '\0' && got.client_id[0] == '\0' && got.kind[0] == '\0');
	arena_fini(&arena);
	assert_int_equal(
	    put(&f, "phone", "a", LAYER_TEXT, DAY0_NS + 5, CANARY).outcome, STORE_DUPLICATE);
	assert_int_equal(
	    put(&f, "phone", "a", LAYER_TEXT, DAY0_NS + 5, "other").outcome, STORE_DUPLICATE);
	assert_int_equal(visible(&f), 2);
	struct store_canary after = search(&f);
	assert_true(after.values >= before.values && after.opened >= 3);
	assert_int_equal(after.leaked + after.plain, 0);
	PASS(store_verify(f.store, NULL, NULL, NULL, &pass_why));
	fixture_fini(&f);
}

static void test_what_stays_of_a_day_is_sealed_under_a_new_key(void **state)
{
	(void)state;
	struct fixture f = { 0 };
	uint8_t before[32], after[32];
	static struct observation obs[1000];
	static char ids[1000][16];

	fixture_init(&f);
	for (int i = 0; i < 1000; i++) {
		(void)snprintf(ids[i], sizeof(ids[i]), "%d", i);
		obs[i] = make_obs(ids[i], DAY0_NS + i * NS_PER_S, i == 500 ? CANARY : "other");
		obs[i].source = i % 2 == 0 ? "watch" : "phone";
	}
	PASS(store_append(f.store, obs, 1000, NULL, NULL, &pass_why));
	PASS(keyring_get(f.keyring, store_day(DAY0_NS), LAYER_TEXT, before));
	struct store_forget what = { .from_ns = DAY0_NS + 400 * NS_PER_S,
		.to_ns = DAY0_NS + 600 * NS_PER_S,
		.source = "watch" };
	struct store_forgotten done = forget(&f, &what);
	assert_int_equal(done.records, 100);
	assert_int_equal(done.resealed, 900);
	assert_int_equal(done.keys, 1);
	PASS(keyring_get(f.keyring, store_day(DAY0_NS), LAYER_TEXT, after));
	assert_memory_not_equal(before, after, 32);
	assert_int_equal(visible(&f), 900);
	struct store_canary canary = search(&f);
	assert_true(canary.opened >= 1000); /* the rest, and tombstones */
	assert_int_equal(canary.leaked + canary.plain, 0);
	assert_int_equal(visible(&f), 900);
	fixture_fini(&f);
}

static void test_a_source_alone_or_a_layer_alone_is_forgotten_whenever_it_was(void **state)
{
	(void)state;
	struct fixture f = { 0 };

	fixture_init(&f);
	put(&f, "watch", "1", LAYER_TEXT, OBS_TIME_MIN_NS, "first moment");
	put(&f, "watch", "2", LAYER_HOME, OBS_TIME_MAX_NS, "last moment");
	put(&f, "phone", "3", LAYER_TEXT, OBS_TIME_MAX_NS, "another");
	put(&f, "phone", "4", LAYER_HOME, DAY0_NS, "light");
	put(&f, "watcher", "5", LAYER_VISUAL, DAY0_NS, "not the same name");
	struct store_forget what = everything();
	what.source = "watch";
	assert_int_equal(forget(&f, &what).records, 2);
	assert_int_equal(visible(&f), 2); /* scans end before the last moment */
	what.source = NULL;
	what.layers = LAYER_MASK(LAYER_HOME);
	assert_int_equal(forget(&f, &what).records, 1);
	what.layers = 0;
	what.from_ns = DAY0_NS + 1;
	assert_int_equal(forget(&f, &what).records, 1);
	assert_int_equal(forget(&f, &what).records, 0); /* nothing is left to forget */
	assert_int_equal(visible(&f), 1);
	assert_int_equal(store_cursor(f.store), 9); /* each of them is in the log */
	fixture_fini(&f);
}

static void test_every_version_is_forgotten_by_its_own_time_and_layer(void **state)
{
	(void)state;
	struct fixture f = { 0 };
	struct store_range as_of = { .from_ns = DAY0_NS, .to_ns = DAY0_NS + 3 * DAY_NS };
	static struct seen seen;

	fixture_init(&f);
	put(&f, "p", "x", LAYER_TEXT, DAY0_NS + 1, CANARY " one");
	put(&f, "p", "x", LAYER_TEXT, DAY0_NS + DAY_NS, "two");
	put(&f, "p", "y", LAYER_TEXT, DAY0_NS + DAY_NS + 1, "one");
	put(&f, "p", "y", LAYER_TEXT, DAY0_NS + 2, CANARY " two");
	struct store_forget what = { .from_ns = DAY0_NS, .to_ns = DAY0_NS + DAY_NS };
	assert_int_equal(forget(&f, &what).records, 2);
	assert_int_equal(visible(&f), 1); /* x, its second version */
	/* The past shows what was not forgotten. */
	as_of.as_of_seq = 3;
	seen = (struct seen){ .len = 0 };
	PASS(store_scan_time(f.store, &as_of, NULL, 0, seen_visit, &seen, &pass_why));
	assert_int_equal(seen.len, 2);
	assert_true(seen.seqs[0] == 2 && seen.seqs[1] == 3);
	/* No version comes back, neither the forgotten nor the one before it. */
	assert_int_equal(
	    put(&f, "p", "x", LAYER_TEXT, DAY0_NS + 1, CANARY " one").outcome, STORE_DUPLICATE);
	assert_int_equal(
	    put(&f, "p", "y", LAYER_TEXT, DAY0_NS + 2, CANARY " two").outcome, STORE_DUPLICATE);
	/* One that was not forgotten can still be corrected. */
	assert_int_equal(
	    put(&f, "p", "x", LAYER_TEXT, DAY0_NS + DAY_NS, "three").outcome, STORE_ACCEPTED);
	assert_int_equal(search(&f).leaked, 0);
	PASS(store_verify(f.store, NULL, NULL, NULL, &pass_why));
	fixture_fini(&f);
}

static void test_intervals_that_reach_into_the_range_are_forgotten(void **state)
{
	(void)state;
	struct fixture f = { 0 };
	struct observation obs = make_obs("long", DAY0_NS - 3 * DAY_NS, CANARY);

	fixture_init(&f);
	obs.shape = SHAPE_INTERVAL;
	obs.has_end = true;
	obs.dev_t1_ns = DAY0_NS + 5;
	append_one(f.store, &obs);
	obs.client_id = "before";
	obs.dev_t1_ns = DAY0_NS;
	append_one(f.store, &obs);
	struct store_forget what = { .from_ns = DAY0_NS, .to_ns = DAY0_NS + 1 };
	assert_int_equal(forget(&f, &what).records, 1);
	assert_int_equal(visible(&f), 1);
	fixture_fini(&f);
}

/* What the night says of a day: any layer, about what it is about. */
static struct store_result put_label(struct fixture *f, const char *id, enum layer layer, int day)
{
	struct observation obs = make_obs(id, DAY0_NS + day * DAY_NS + NS_PER_HOUR, "");

	obs.source = OBS_SOURCE_NIGHT;
	obs.kind = OBS_KIND_LABEL;
	obs.layer = layer;
	obs.origin = ORIGIN_SYSTEM;
	obs.data_json = "{\"value\":\"" CANARY "\"}";
	return append_one(f->store, &obs);
}

static bool stands(struct fixture *f, const struct store_result *result)
{
	struct observation got;
	struct arena arena;

	arena_init(&arena, 1 << 20);
	PASS(store_get_id(f->store, result->obs_id, &arena, &got, &pass_why));
	bool there = !got.tombstone;
	arena_fini(&arena);
	return there;
}

static void test_labels_go_with_what_they_may_have_been_read_from(void **state)
{
	(void)state;
	struct fixture f = { 0 };
	struct store_result labels[6], progress;

	fixture_init(&f);
	put(&f, "phone", "a", LAYER_TEXT, DAY0_NS + 5, "something");
	put(&f, "watch", "b", LAYER_TEXT, DAY0_NS + 6, "something else");
	put(&f, "watch", "c", LAYER_ENVIRONMENT, DAY0_NS + 3 * DAY_NS, "and more");
	labels[0] = put_label(&f, "language:a", LAYER_TEXT, 0);
	labels[1] = put_label(&f, "scene:a", LAYER_ENVIRONMENT, 0);
	labels[2] = put_label(&f, "duplicate:a", LAYER_BEHAVIOUR, 1);
	labels[3] = put_label(&f, "scene:b", LAYER_HOME, -1);
	labels[4] = put_label(&f, "scene:c", LAYER_ENVIRONMENT, 3);
	labels[5] = put_label(&f, "scene:d", LAYER_TEXT, -2);
	struct observation obs = make_obs("progress", DAY0_NS + 7, "");
	obs.source = OBS_SOURCE_NIGHT;
	obs.kind = OBS_KIND_PROGRESS;
	obs.origin = ORIGIN_SYSTEM;
	progress = append_one(f.store, &obs);
	struct store_forget what = everything();
	what.source = "phone";
	uint64_t count = 0;
	PASS(store_forget_count(f.store, &what, &count, &pass_why));
	assert_int_equal(count, 1);
	struct store_forgotten done = forget(&f, &what);
	assert_int_equal(done.records, 1);
	assert_int_equal(done.keys, 4); /* of the day, and where labels of it lay */
	for (size_t i = 0; i < 6; i++)
		assert_int_equal(stands(&f, &labels[i]), i >= 4);
	/* Of a range too; how far the night has come is no content. */
	what = (struct store_forget){ .from_ns = DAY0_NS, .to_ns = DAY0_NS + 4 * DAY_NS };
	(void)forget(&f, &what);
	assert_false(stands(&f, &labels[4]));
	assert_true(stands(&f, &labels[5])); /* two days before */
	assert_true(stands(&f, &progress));
	what = everything();
	what.layers = LAYER_MASK(LAYER_TEXT);
	(void)forget(&f, &what);
	assert_true(stands(&f, &progress));
	assert_int_equal(search(&f).leaked, 0);
	fixture_fini(&f);
}

static void make_blob(struct fixture *f, const char *text, uint8_t id[1][OBS_BLOB_ID_BYTES])
{
	struct blob_writer *writer = NULL;

	PASS(blob_write_open(store_blobs(f->store), &writer, &pass_why));
	PASS(blob_write(writer, text, strlen(text), &pass_why));
	PASS(blob_write_finish(writer, id[0], &pass_why));
	blob_write_close(writer);
}

static enum rc blob_there(struct fixture *f, const uint8_t id[OBS_BLOB_ID_BYTES])
{
	struct blob_reader *reader = NULL;

	enum rc rc = blob_open(store_blobs(f->store), id, &reader, NULL);
	blob_close(reader);
	return rc;
}

static void test_a_blob_goes_with_the_last_record_that_refers_to_it(void **state)
{
	(void)state;
	struct fixture f = { 0 };
	uint8_t own[1][OBS_BLOB_ID_BYTES], shared[1][OBS_BLOB_ID_BYTES];
	struct store_forget what = everything();

	fixture_init(&f);
	make_blob(&f, CANARY, own);
	make_blob(&f, "a picture of nobody", shared);
	for (unsigned i = 0; i < 3; i++) {
		char id[16];
		(void)snprintf(id, sizeof(id), "%u", i);
		struct observation obs = make_obs(id, DAY0_NS + i, "photo");
		obs.source = i < 2 ? "camera" : "album";
		obs.blobs = (const uint8_t(*)[OBS_BLOB_ID_BYTES])(i == 0 ? own : shared);
		obs.blobs_len = 1;
		append_one(f.store, &obs);
	}
	what.source = "camera";
	assert_int_equal(forget(&f, &what).records, 2);
	assert_int_equal(blob_there(&f, own[0]), RC_NOTFOUND);
	assert_int_equal(blob_there(&f, shared[0]), RC_OK);
	what.source = "album";
	assert_int_equal(forget(&f, &what).records, 1);
	assert_int_equal(blob_there(&f, shared[0]), RC_NOTFOUND);
	fixture_fini(&f);
}

static void test_a_range_that_says_nothing_is_refused_by_name(void **state)
{
	(void)state;
	struct fixture f = { 0 };
	struct errmsg why = ERRMSG_INIT;
	struct store_forget what = { .from_ns = DAY0_NS, .to_ns = DAY0_NS };

	fixture_init(&f);
	assert_int_equal(store_forget(f.store, &what, NULL, &why), RC_INVALID);
	assert_non_null(strstr(why.text, "to:"));
	what.to_ns = DAY0_NS - 1;
	assert_int_equal(store_forget(f.store, &what, NULL, NULL), RC_INVALID);
	what.from_ns = OBS_TIME_MIN_NS - 1;
	errmsg_reset(&why);
	assert_int_equal(store_forget(f.store, &what, NULL, &why), RC_INVALID);
	assert_non_null(strstr(why.text, "from:"));
	what = everything();
	what.to_ns = OBS_TIME_MAX_NS + 1;
	assert_int_equal(store_forget(f.store, &what, NULL, NULL), RC_INVALID);
	what = everything();
	what.source = "";
	assert_int_equal(store_forget(f.store, &what, NULL, NULL), RC_INVALID);
	what = everything();
	what.layers = 1;
	assert_int_equal(store_forget(f.store, &what, NULL, NULL), RC_INVALID);
	assert_int_equal(store_cursor(f.store), 0);
	fixture_fini(&f);
}

/* One commit: `n` records an hour apart, every `one_of`th a canary of `source`. */
static void fill(
    struct fixture *f, const char *prefix, const char *source, unsigned n, unsigned one_of)
{
	struct observation *obs = calloc(n, sizeof(*obs));
	char(*ids)[32] = calloc(n, sizeof(*ids));

	for (unsigned i = 0; i < n; i++) {
		bool bird = i % one_of == 0;
		(void)snprintf(ids[i], sizeof(ids[i]), "%s-%u", prefix, i);
		obs[i] = make_obs(ids[i], DAY0_NS + i * NS_PER_HOUR, bird ? CANARY : "stays");
		obs[i].source = bird ? source : "phone";
		obs[i].layer = (enum layer)(1 + i % 2);
	}
	PASS(store_append(f->store, obs, n, NULL, NULL, &pass_why));
	free(obs);
	free(ids);
}

/* The process ends after every possible number of steps. */
static void test_a_forgetting_cut_off_anywhere_is_finished_by_the_next_open(void **state)
{
	(void)state;
	struct store_forget what = everything();
	unsigned cuts = 0;

	what.source = "watch";
	for (bool done = false; !done; cuts++) {
		struct fixture f = { 0 };
		struct store_forget_run *run;
		fixture_init(&f);
		fill(&f, "x", "watch", 40, 3);
		put_label(&f, "scene:x", LAYER_HOME, -1); /* goes with them */
		PASS(store_forget_begin(f.store, &what, &run, &pass_why));
		assert_true(store_forgetting(f.store));
		assert_int_equal(store_forget(f.store, &what, NULL, NULL), RC_BUSY);
		for (unsigned i = 0; i < cuts && !done; i++)
			PASS(store_forget_step(run, &done, &pass_why));
		store_forget_end(run);
		put(&f, "watch", "later", LAYER_TEXT, DAY0_NS, "after it was begun");
		fixture_close(&f);
		fixture_open(&f);
		assert_false(store_forgetting(f.store));
		assert_int_equal(visible(&f), 27);
		assert_int_equal(keyring_each_retired(f.keyring, NULL, NULL), 0);
		PASS(store_verify(f.store, NULL, NULL, NULL, &pass_why));
		assert_int_equal(search(&f).leaked, 0);
		assert_int_equal(visible(&f), 27);
		fixture_fini(&f);
	}
	assert_true(cuts > 5);
}

/* ---- kill -9 ----------------------------------------------------------------------- */

#define KILL_CYCLES 25
#define KILL_ROUND 25 /* cycles on one store: each reads all that is there */
#define KILL_RECORDS 40
#define KILL_SPAN_NS (8 * NS_PER_MS) /* about what one forgetting takes */

struct kill_work {
	struct fixture *f;
	uint32_t cycle;
};

static void kill_child(void *ctx, int out)
{
	const struct kill_work *work = ctx;
	struct store_forget what = everything();
	char source[32];

	fixture_open(work->f);
	(void)snprintf(source, sizeof(source), "watch-%u", work->cycle);
	fill(work->f, source, source, KILL_RECORDS, 2);
	what.source = source;
	if (write(out, "A", 1) != 1 || store_forget(work->f->store, &what, NULL, NULL) != RC_OK ||
	    write(out, "G", 1) != 1)
		_exit(1);
	for (;;)
		(void)pause();
}

/* True if the child had said that it was done. */
static bool kill_one(struct fixture *f, uint32_t cycle, int64_t after_ns)
{
	struct kill_work work = { f, cycle };
	struct store_victim victim;
	char said = 0, more = 0;

	store_victim_start(&victim, kill_child, &work);
	assert_true(store_victim_hear(&victim, &said, 1));
	int64_t until_ns = clock_mono_ns() + after_ns;
	while (clock_mono_ns() < until_ns)
		(void)sched_yield();
	store_victim_kill(&victim);
	while (store_victim_hear(&victim, &more, 1))
		said = more;
	assert_true(store_victim_end(&victim));
	return said == 'G';
}

static void kill_round(uint32_t cycles, uint64_t *rng)
{
	struct fixture f = { 0 };
	size_t expected = 0, not_begun = 0;

	fixture_init(&f);
	fixture_close(&f);
	for (uint32_t cycle = 0; cycle < cycles; cycle++) {
		bool done =
		    kill_one(&f, cycle, (int64_t)(random_next(rng) % (uint64_t)KILL_SPAN_NS));
		fixture_open(&f);
		size_t got = visible(&f);
		expected += KILL_RECORDS / 2;
		if (!done && got == expected + KILL_RECORDS / 2) {
			expected = got;
			not_begun++;
		}
		assert_int_equal(got, expected);
		PASS(store_verify(f.store, NULL, NULL, NULL, &pass_why));
		assert_int_equal(keyring_each_retired(f.keyring, NULL, NULL), 0);
		fixture_close(&f);
	}
	fixture_open(&f);
	assert_int_equal(search(&f).leaked > 0, not_begun > 0);
	struct store_forget what = everything();
	for (uint32_t cycle = 0; not_begun > 0 && cycle < cycles; cycle++) {
		char source[32];
		(void)snprintf(source, sizeof(source), "watch-%u", cycle);
		what.source = source;
		PASS(store_forget(f.store, &what, NULL, &pass_why));
	}
	assert_int_equal(search(&f).leaked, 0);
	fixture_fini(&f);
}

static void test_kill_nine_while_forgetting_leaves_all_of_it_or_nothing(void **state)
{
	(void)state;
	const char *text = getenv("HEARTH_KILL_CYCLES");
	uint32_t cycles = text == NULL ? KILL_CYCLES : (uint32_t)strtoul(text, NULL, 10);
	uint64_t rng = 3;

	for (uint32_t n; cycles > 0; cycles -= n) {
		n = cycles < KILL_ROUND ? cycles : KILL_ROUND;
		kill_round(n, &rng);
	}
}

struct crowd {
	struct store *store;
	atomic_bool stop;
	atomic_uint appended;
	unsigned number;
};

static bool any_visit(void *ctx, const struct observation *obs)
{
	(void)ctx;
	assert_true(obs->source[0] != '\0');
	return true;
}

static void *append_on(void *arg)
{
	struct crowd *crowd = arg;
	char id[32];

	for (unsigned i = 0; !atomic_load(&crowd->stop); i++) {
		(void)snprintf(id, sizeof(id), "crowd-%u", i);
		struct observation obs = make_obs(id, DAY0_NS + i % 24 * NS_PER_HOUR, "new");
		obs.layer = (enum layer)(1 + i % 2);
		if (store_append(crowd->store, &obs, 1, NULL, NULL, NULL) != RC_OK)
			fail();
		atomic_fetch_add(&crowd->appended, 1);
	}
	return NULL;
}

static void *scan_on(void *arg)
{
	struct crowd *crowd = arg;
	struct store_range range = { .from_ns = OBS_TIME_MIN_NS, .to_ns = OBS_TIME_MAX_NS };

	while (!atomic_load(&crowd->stop)) {
		struct errmsg why = ERRMSG_INIT;
		enum rc rc = store_scan_time(crowd->store, &range, NULL, 0, any_visit, NULL, &why);
		if (rc != RC_OK)
			fail_msg("%s", why.text);
	}
	return NULL;
}

static void test_appends_and_scans_go_on_meanwhile_and_never_see_damage(void **state)
{
	(void)state;
	struct fixture f = { 0 };
	struct crowd crowd = { 0 };
	pthread_t threads[2];

	fixture_init(&f);
	fill(&f, "x", "watch", 200, 3);
	crowd.store = f.store;
	assert_int_equal(pthread_create(&threads[0], NULL, append_on, &crowd), 0);
	assert_int_equal(pthread_create(&threads[1], NULL, scan_on, &crowd), 0);
	struct store_forget what = everything();
	for (unsigned i = 0; i < 6; i++) {
		what.source = i % 2 == 0 ? "watch" : NULL;
		what.layers = i % 2 == 0 ? 0 : LAYER_MASK(LAYER_VISUAL);
		PASS(store_forget(f.store, &what, NULL, &pass_why));
	}
	atomic_store(&crowd.stop, true);
	for (unsigned i = 0; i < 2; i++)
		(void)pthread_join(threads[i], NULL);
	PASS(store_verify(f.store, NULL, NULL, NULL, &pass_why));
	assert_int_equal(search(&f).leaked, 0);
	fixture_fini(&f);
}

/* ---- against a naive twin --------------------------------------------------------- */

#define TWIN_RECORDS 400

struct twin {
	struct observation obs;
	char id[16];
	bool gone;
	unsigned by; /* index of what superseded it; 0: current */
};

static bool twin_matches(const struct twin *twin, const struct store_forget *what)
{
	const struct observation *obs = &twin->obs;
	bool inside = obs->dev_t0_ns >= what->from_ns ? obs->dev_t0_ns < what->to_ns
						      : obs->dev_t1_ns > what->from_ns;

	return !twin->gone && inside &&
	       (what->layers == 0 || (what->layers & LAYER_MASK(obs->layer)) != 0) &&
	       (what->source == NULL || strcmp(what->source, obs->source) == 0);
}

static void twin_append(struct fixture *f, struct twin *twins, unsigned n, uint64_t *rng)
{
	struct twin *twin = &twins[n];
	static const char *const sources[] = { "a", "b", "c" };

	(void)snprintf(twin->id, sizeof(twin->id), "%u",
	    random_next(rng) % 4 == 0 ? (unsigned)(random_next(rng) % n) : n);
	twin->obs = make_obs(
	    twin->id, DAY0_NS + (int64_t)(random_next(rng) % (3 * (uint64_t)NS_PER_DAY)), "text");
	twin->obs.source = sources[random_next(rng) % 3];
	twin->obs.layer = (enum layer)(1 + random_next(rng) % 3);
	if (random_next(rng) % 3 == 0) {
		twin->obs.shape = SHAPE_INTERVAL;
		twin->obs.has_end = true;
		twin->obs.dev_t1_ns += (int64_t)(random_next(rng) % (uint64_t)NS_PER_DAY);
	}
	struct store_result result = append_one(f->store, &twin->obs);
	twin->obs.seq = result.seq;
	if (result.outcome == STORE_DUPLICATE) {
		twin->gone = true; /* a forgotten id: it never was */
		return;
	}
	for (unsigned i = 1; i < n; i++) {
		if (strcmp(twins[i].id, twin->id) == 0 && twins[i].by == 0 &&
		    strcmp(twins[i].obs.source, twin->obs.source) == 0 && twins[i].obs.seq != 0)
			twins[i].by = n;
	}
}

static void test_random_forgetting_leaves_what_a_naive_twin_leaves(void **state)
{
	(void)state;
	static struct twin twins[TWIN_RECORDS];
	static struct seen seen;
	struct store_range range = { .from_ns = OBS_TIME_MIN_NS, .to_ns = OBS_TIME_MAX_NS };
	struct fixture f = { 0 };
	uint64_t rng = 11;

	fixture_init(&f);
	for (unsigned n = 1; n < effort(TWIN_RECORDS); n++) {
		twin_append(&f, twins, n, &rng);
		if (n % 25 != 0)
			continue;
		struct store_forget what = everything();
		uint64_t expected = 0;
		size_t current = 0;
		if (random_next(&rng) % 3 != 0) {
			what.from_ns =
			    DAY0_NS + (int64_t)(random_next(&rng) % (uint64_t)NS_PER_DAY);
			what.to_ns = what.from_ns + 1 +
				     (int64_t)(random_next(&rng) % (uint64_t)(NS_PER_DAY / 2));
		}
		what.layers = random_next(&rng) % 2 == 0 ? 0 : (unsigned)(random_next(&rng) & 0xE);
		what.source = random_next(&rng) % 2 == 0 ? NULL : "b";
		for (unsigned i = 1; i <= n; i++) {
			if (!twin_matches(&twins[i], &what))
				continue;
			twins[i].gone = true;
			expected++;
		}
		assert_int_equal(forget(&f, &what).records, expected);
		seen = (struct seen){ .len = 0 };
		PASS(store_scan_time(f.store, &range, NULL, 0, seen_visit, &seen, &pass_why));
		for (unsigned i = 1; i <= n; i++)
			current += !twins[i].gone && twins[i].by == 0;
		assert_int_equal(seen.len, current);
	}
	fixture_fini(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_whole_day_of_a_layer_is_gone_and_its_key_too),
		cmocka_unit_test(test_what_stays_of_a_day_is_sealed_under_a_new_key),
		cmocka_unit_test(test_a_source_alone_or_a_layer_alone_is_forgotten_whenever_it_was),
		cmocka_unit_test(test_every_version_is_forgotten_by_its_own_time_and_layer),
		cmocka_unit_test(test_labels_go_with_what_they_may_have_been_read_from),
		cmocka_unit_test(test_intervals_that_reach_into_the_range_are_forgotten),
		cmocka_unit_test(test_a_blob_goes_with_the_last_record_that_refers_to_it),
		cmocka_unit_test(test_a_range_that_says_nothing_is_refused_by_name),
		cmocka_unit_test(test_a_forgetting_cut_off_anywhere_is_finished_by_the_next_open),
		cmocka_unit_test(test_kill_nine_while_forgetting_leaves_all_of_it_or_nothing),
		cmocka_unit_test(test_appends_and_scans_go_on_meanwhile_and_never_see_damage),
		cmocka_unit_test(test_random_forgetting_leaves_what_a_naive_twin_leaves),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
