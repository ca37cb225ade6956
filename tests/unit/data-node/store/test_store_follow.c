/*
 * A store that takes another one's records as they are: the same log, the same
 * indexes as appending made, also of versions, tombstones and what was written
 * anew; and nothing else.
 */
#include "store_fixture.h"

#include "os/file.h"
#include "store/store_follow.h"
#include "store/store_forget.h"
#include "store/store_rebuild.h"

struct pair {
	struct fixture first, second;
};

static void copy(const char *from, const char *to, const char *name)
{
	char path[400];
	uint8_t *bytes;
	size_t len;

	(void)snprintf(path, sizeof(path), "%s/%s", from, name);
	PASS(file_read(path, 1 << 20, &bytes, &len, &pass_why));
	(void)snprintf(path, sizeof(path), "%s/%s", to, name);
	PASS(file_write_atomic(path, 0600, bytes, len, &pass_why));
	free(bytes);
}

static bool load_visit(void *ctx, const struct store_raw *entry)
{
	PASS(store_load_put(ctx, entry, &pass_why));
	return true;
}

/* An empty second store of the same timeline. */
static void pair_init(struct pair *p)
{
	struct keyring_unlock unlock = { 0 };
	struct store_load *load = NULL;
	struct keyring *keyring = NULL;

	*p = (struct pair){ 0 };
	fixture_init(&p->first);
	fixture_dir(p->second.dir);
	copy(p->first.dir, p->second.dir, "keyring");
	copy(p->first.dir, p->second.dir, "key");
	PASS(keyring_open(p->second.dir, &unlock, &keyring, &pass_why));
	PASS(store_load_open(p->second.dir, keyring, &load, &pass_why));
	PASS(
	    store_raw_scan(p->first.store, STORE_TRUTH_META, NULL, 0, load_visit, load, &pass_why));
	PASS(store_load_finish(load, NULL, NULL, &pass_why));
	keyring_close(keyring);
	fixture_open(&p->second);
	store_follow_set(p->second.store, true);
}

static void pair_fini(struct pair *p)
{
	fixture_fini(&p->first);
	fixture_fini(&p->second);
}

static void live(struct fixture *f, size_t n, unsigned seed)
{
	uint64_t rng = seed;
	char id[32];

	for (size_t i = 0; i < n; i++) {
		(void)snprintf(id, sizeof(id), "id%u", (unsigned)(random_next(&rng) % n));
		struct observation obs =
		    make_obs(id, T0_NS + (int64_t)(random_next(&rng) % 200000) * NS_PER_S, "words");
		obs.layer = (enum layer)(1 + random_next(&rng) % 6);
		obs.has_source_seq = true;
		obs.source_seq = i;
		if (i % 3 == 0) {
			obs.shape = SHAPE_INTERVAL;
			obs.dev_t1_ns += (int64_t)(random_next(&rng) % 9000) * NS_PER_S;
		}
		(void)append_one(f->store, &obs);
	}
}

static void take_keyring(struct pair *p)
{
	char path[400];
	uint8_t *bytes;
	size_t len;

	(void)snprintf(path, sizeof(path), "%s/keyring", p->first.dir);
	PASS(file_read(path, 1 << 20, &bytes, &len, &pass_why));
	PASS(keyring_adopt(p->second.keyring, bytes, len, &pass_why));
	free(bytes);
}

struct moving {
	struct store *to;
	bool replace;
	size_t n;
};

/* One at a time: the bytes live for the visit only. */
static bool move_visit(void *ctx, const struct store_raw *entry)
{
	struct moving *m = ctx;

	PASS(m->replace ? store_follow_replace(m->to, entry, 1, &pass_why)
			: store_follow_append(m->to, entry, 1, &pass_why));
	m->n++;
	return true;
}

static void follow(struct pair *p)
{
	struct moving m = { .to = p->second.store };

	take_keyring(p);
	PASS(store_raw_scan_log(
	    p->first.store, store_cursor(p->second.store), move_visit, &m, &pass_why));
}

struct list {
	uint64_t seqs[8000];
	uint8_t ids[8000][OBS_ID_BYTES];
	size_t len;
};

static bool list_visit(void *ctx, const struct observation *obs)
{
	struct list *list = ctx;

	list->seqs[list->len] = obs->seq;
	memcpy(list->ids[list->len++], obs->obs_id, OBS_ID_BYTES);
	return true;
}

static void count_fault(void *ctx, const char *fault)
{
	print_error("%s\n", fault);
	++*(size_t *)ctx;
}

/* The same log, the same answers as of every cursor looked at, no faults. */
static void same(struct pair *p)
{
	struct list *a = calloc(1, sizeof(*a)), *b = calloc(1, sizeof(*b));
	struct store_range all = { .from_ns = OBS_TIME_MIN_NS, .to_ns = OBS_TIME_MAX_NS };
	uint64_t cursor = store_cursor(p->first.store);
	size_t faults = 0;

	assert_int_equal(store_cursor(p->second.store), cursor);
	PASS(store_verify(p->second.store, count_fault, &faults, NULL, &pass_why));
	for (uint64_t as_of = 0; as_of <= cursor; as_of += 1 + cursor / 5) {
		all.as_of_seq = as_of;
		a->len = b->len = 0;
		PASS(store_scan_time(p->first.store, &all, NULL, 0, list_visit, a, &pass_why));
		PASS(store_scan_time(p->second.store, &all, NULL, 0, list_visit, b, &pass_why));
		assert_int_equal(a->len, b->len);
		assert_memory_equal(a->seqs, b->seqs, a->len * sizeof(a->seqs[0]));
		assert_memory_equal(a->ids, b->ids, a->len * sizeof(a->ids[0]));
	}
	free(a);
	free(b);
}

static void test_records_that_come_are_indexed_as_if_appended(void **state)
{
	(void)state;
	struct pair p;

	pair_init(&p);
	live(&p.first, 400, 1);
	follow(&p);
	same(&p);
	live(&p.first, 300, 2); /* versions of what is there, too */
	follow(&p);
	same(&p);
	pair_fini(&p);
}

static void test_it_takes_nothing_of_its_own_until_it_takes_over(void **state)
{
	(void)state;
	struct pair p;

	pair_init(&p);
	live(&p.first, 20, 1);
	follow(&p);
	struct observation obs = make_obs("mine", T0_NS, "words");
	assert_int_equal(store_append(p.second.store, &obs, 1, NULL, NULL, NULL), RC_DENIED);
	store_follow_set(p.second.store, false);
	assert_int_equal(append_one(p.second.store, &obs).seq, 21);
	assert_int_equal(append_one(p.second.store, &obs).outcome, STORE_DUPLICATE);
	pair_fini(&p);
}

struct keep {
	uint8_t key[8], value[4096];
	struct store_raw entry;
	uint64_t seq;
};

static bool keep_visit(void *ctx, const struct store_raw *entry)
{
	struct keep *keep = ctx;

	if (store_raw_seq(entry) != keep->seq)
		return true;
	memcpy(keep->key, entry->key, sizeof(keep->key));
	memcpy(keep->value, entry->value, entry->value_len);
	keep->entry = *entry;
	keep->entry.key = keep->key;
	keep->entry.value = keep->value;
	return false;
}

static void test_what_does_not_belong_is_refused_whole(void **state)
{
	(void)state;
	struct keep five = { .seq = 5 }, six = { .seq = 6 };
	struct errmsg why = ERRMSG_INIT;
	struct pair p;

	pair_init(&p);
	live(&p.first, 10, 1);
	take_keyring(&p);
	PASS(store_raw_scan_log(p.first.store, 0, keep_visit, &five, &pass_why));
	PASS(store_raw_scan_log(p.first.store, 0, keep_visit, &six, &pass_why));
	assert_int_equal(store_follow_append(p.second.store, &five.entry, 1, &why), RC_INVALID);
	assert_int_equal(store_follow_replace(p.second.store, &five.entry, 1, NULL), RC_INVALID);
	follow(&p);
	assert_int_equal(store_follow_append(p.second.store, &five.entry, 1, NULL), RC_INVALID);
	/* One in another's place does not open, and nothing before it is taken. */
	live(&p.first, 2, 9);
	take_keyring(&p);
	struct keep eleven = { .seq = 11 };
	PASS(store_raw_scan_log(p.first.store, 0, keep_visit, &eleven, &pass_why));
	struct store_raw both[2] = { eleven.entry, six.entry };
	uint8_t twelve[8] = { 0, 0, 0, 0, 0, 0, 0, 12 };
	both[1].key = twelve;
	assert_int_equal(store_follow_append(p.second.store, both, 2, NULL), RC_CORRUPT);
	assert_int_equal(store_cursor(p.second.store), 10);
	follow(&p);
	same(&p);
	pair_fini(&p);
}

static void test_what_was_forgotten_is_gone_there_too(void **state)
{
	(void)state;
	struct store_forget what = { .from_ns = T0_NS + 20000 * NS_PER_S,
		.to_ns = T0_NS + 90000 * NS_PER_S,
		.layers = LAYER_MASK(LAYER_TEXT) | LAYER_MASK(LAYER_HOME) };
	struct store_forgotten done;
	struct pair p;

	pair_init(&p);
	live(&p.first, 500, 4);
	follow(&p);
	PASS(store_forget(p.first.store, &what, &done, &pass_why));
	assert_true(done.records > 10 && done.resealed > 10);
	/* Twice: a run that was cut off begins again.  Who kept what it read is told. */
	uint64_t rewrites = store_rewrites(p.second.store);
	for (int i = 0; i < 2; i++) {
		struct moving m = { .to = p.second.store, .replace = true };
		uint64_t seqs[600];
		for (uint64_t seq = 1; seq <= 500; seq++)
			seqs[seq - 1] = seq;
		PASS(store_raw_get(p.first.store, seqs, 500, move_visit, &m, &pass_why));
		assert_int_equal(m.n, 500);
		assert_true(store_rewrites(p.second.store) > rewrites);
		rewrites = store_rewrites(p.second.store);
	}
	follow(&p);
	same(&p);
	/* A phone that sends it once more sends a duplicate, there as well. */
	store_follow_set(p.second.store, false);
	live(&p.second, 500, 4);
	struct store_stats stats;
	PASS(store_get_stats(p.second.store, &stats, &pass_why));
	assert_int_equal(stats.records, store_cursor(p.first.store));
	pair_fini(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_records_that_come_are_indexed_as_if_appended),
		cmocka_unit_test(test_it_takes_nothing_of_its_own_until_it_takes_over),
		cmocka_unit_test(test_what_does_not_belong_is_refused_whole),
		cmocka_unit_test(test_what_was_forgotten_is_gone_there_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
