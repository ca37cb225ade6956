/*
 * Rebuild: what is remade from the log equals what appending made, key for key
 * and opened value for value; cut off anywhere it is finished at the next start.
 */
#include "store_fixture.h"

#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#include "store/store_internal.h"
#include "store/store_rebuild.h"

#define RECORDS 3000
#define IDS 1700
#define RECENT 400 /* the rest of the ids is moved */

/* Everything that is derived, in one text of keys and values. */
struct image {
	uint8_t *bytes;
	size_t len, cap, entries;
};

static const char *const derived[] = { "time", "span", "past", "seen" };

static void image_add(struct image *image, const MDB_val *part)
{
	size_t need = image->len + sizeof(part->mv_size) + part->mv_size;

	if (need > image->cap) {
		image->cap = need * 2;
		image->bytes = realloc(image->bytes, image->cap);
		assert_non_null(image->bytes);
	}
	memcpy(image->bytes + image->len, &part->mv_size, sizeof(part->mv_size));
	if (part->mv_size > 0)
		memcpy(image->bytes + image->len + sizeof(part->mv_size), part->mv_data,
		    part->mv_size);
	image->len = need;
}

static MDB_cursor *cursor_of(MDB_txn *txn, const char *name)
{
	MDB_cursor *cursor;
	MDB_dbi dbi;

	assert_int_equal(mdb_dbi_open(txn, name, 0, &dbi), 0);
	assert_int_equal(mdb_cursor_open(txn, dbi, &cursor), 0);
	return cursor;
}

#define ID_ROW 24

static int compare_rows(const void *a, const void *b)
{
	return memcmp(a, b, ID_ROW);
}

/* An id is in `dedup`, or still in `recent`, or newer there. */
static void image_add_ids(struct image *image, MDB_txn *txn)
{
	static uint8_t rows[8 * RECORDS][ID_ROW];
	MDB_cursor *dedup = cursor_of(txn, "dedup"), *recent = cursor_of(txn, "recent");
	MDB_val key, value;
	size_t n = 0;

	for (; mdb_cursor_get(dedup, &key, &value, MDB_NEXT) == 0; n++) {
		memcpy(rows[n], key.mv_data, 16);
		memcpy(rows[n] + 16, value.mv_data, 8);
	}
	while (mdb_cursor_get(recent, &key, &value, MDB_NEXT) == 0) {
		uint64_t seq = store_get_be64(key.mv_data);
		for (size_t i = 0; i < value.mv_size / 16; i++, n++) {
			memcpy(rows[n], (uint8_t *)value.mv_data + 16 * i, 16);
			store_put_be64(rows[n] + 16, seq + i);
		}
	}
	mdb_cursor_close(dedup);
	mdb_cursor_close(recent);
	qsort(rows, n, ID_ROW, compare_rows);
	for (size_t i = 0; i < n; i++) {
		if (i + 1 < n && memcmp(rows[i], rows[i + 1], 16) == 0)
			continue;
		value = (MDB_val){ ID_ROW, rows[i] };
		image_add(image, &value);
		image->entries++;
	}
}

static void image_read(const char *dir, struct image *image)
{
	MDB_env *env;
	MDB_txn *txn;
	char path[512];

	(void)snprintf(path, sizeof(path), "%s/timeline", dir);
	*image = (struct image){ 0 };
	assert_int_equal(mdb_env_create(&env), 0);
	assert_int_equal(mdb_env_set_maxdbs(env, 32), 0);
	assert_int_equal(mdb_env_open(env, path, MDB_RDONLY, 0600), 0);
	assert_int_equal(mdb_txn_begin(env, NULL, MDB_RDONLY, &txn), 0);
	for (size_t i = 0; i < sizeof(derived) / sizeof(derived[0]); i++) {
		MDB_cursor *cursor = cursor_of(txn, derived[i]);
		MDB_val key, value;
		while (mdb_cursor_get(cursor, &key, &value, MDB_NEXT) == 0) {
			image_add(image, &key);
			image_add(image, &value);
			image->entries++;
		}
		mdb_cursor_close(cursor);
	}
	image_add_ids(image, txn);
	mdb_txn_abort(txn);
	mdb_env_close(env);
}

static void image_same(const char *dir, const struct image *want)
{
	struct image got;

	image_read(dir, &got);
	assert_int_equal(got.entries, want->entries);
	assert_int_equal(got.len, want->len);
	assert_memory_equal(got.bytes, want->bytes, want->len);
	free(got.bytes);
}

/* Versions, intervals of every length, all layers, in batches. */
static void fill(struct fixture *f, size_t records, unsigned seed)
{
	uint64_t rng = seed;
	char id[32];

	for (size_t i = 0; i < records; i++) {
		(void)snprintf(id, sizeof(id), "id%u", (unsigned)(random_next(&rng) % IDS));
		int64_t t0_ns = T0_NS + (int64_t)(random_next(&rng) % 1000000) * NS_PER_S;
		struct observation obs = make_obs(id, t0_ns, "words of a person");
		obs.layer = (enum layer)(1 + random_next(&rng) % 6);
		obs.has_source_seq = true;
		obs.source_seq = random_next(&rng) % 4; /* also an old content again */
		if (random_next(&rng) % 3 == 0) {
			obs.shape = SHAPE_INTERVAL;
			obs.dev_t1_ns += INT64_C(1) << (random_next(&rng) % 55);
		}
		(void)append_one(f->store, &obs);
	}
}

static void rebuild(struct fixture *f, store_progress_fn *progress, void *ctx, enum rc want,
    struct store_rebuilt *out)
{
	struct keyring_unlock unlock = { 0 };
	struct errmsg why = ERRMSG_INIT;

	PASS(keyring_open(f->dir, &unlock, &f->keyring, &pass_why));
	f->config.keyring = f->keyring;
	enum rc rc = store_rebuild(&f->config, progress, ctx, out, &why);
	if (rc != want)
		fail_msg("rebuild: %s (%s)", rc_word(rc), why.text);
	fixture_close(f);
}

static void count_fault(void *ctx, const char *fault)
{
	print_error("%s\n", fault);
	++*(size_t *)ctx;
}

static void verify(struct fixture *f)
{
	struct store_verified v;
	size_t faults = 0;

	PASS(store_verify(f->store, count_fault, &faults, &v, &pass_why));
	assert_int_equal(faults, 0);
}

static void test_what_is_remade_equals_what_appending_made(void **state)
{
	(void)state;
	struct fixture f = { .config = { .recent_ids_max = RECENT } };
	struct store_rebuilt out = { 0 };
	struct image before;

	fixture_init(&f);
	fill(&f, RECORDS, 7);
	uint64_t records = store_cursor(f.store);
	fixture_close(&f);
	image_read(f.dir, &before);
	assert_true(before.entries > RECORDS);
	rebuild(&f, NULL, NULL, RC_OK, &out);
	assert_int_equal(out.records, records);
	assert_int_equal(out.unreadable, 0);
	assert_int_equal(out.entries, before.entries);
	image_same(f.dir, &before);
	fixture_open(&f);
	verify(&f);
	/* It goes on as if nothing had been. */
	fill(&f, 300, 8);
	verify(&f);
	fixture_close(&f);
	free(before.bytes);
	image_read(f.dir, &before);
	rebuild(&f, NULL, NULL, RC_OK, NULL);
	image_same(f.dir, &before);
	free(before.bytes);
	fixture_remove(f.dir);
}

static void test_an_empty_store_is_remade(void **state)
{
	(void)state;
	struct fixture f = { .config = { .recent_ids_max = RECENT } };
	struct store_rebuilt out = { 0 };

	fixture_init(&f);
	fixture_close(&f);
	rebuild(&f, NULL, NULL, RC_OK, &out);
	assert_int_equal(out.records + out.entries, 0);
	fixture_open(&f);
	verify(&f);
	fixture_fini(&f);
}

/* Indexes that lag, lead or lie are all put right. */
static void test_damaged_indexes_are_put_right(void **state)
{
	(void)state;
	struct fixture f = { .config = { .recent_ids_max = RECENT } };
	struct image before;
	MDB_env *env;
	MDB_txn *txn;
	MDB_dbi dbi;
	char path[512], junk[] = "no entry";
	MDB_val key = { sizeof(junk), junk };

	fixture_init(&f);
	fill(&f, 400, 3);
	fixture_close(&f);
	image_read(f.dir, &before);
	(void)snprintf(path, sizeof(path), "%s/timeline", f.dir);
	assert_int_equal(mdb_env_create(&env), 0);
	assert_int_equal(mdb_env_set_maxdbs(env, 32), 0);
	assert_int_equal(mdb_env_open(env, path, 0, 0600), 0);
	assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
	assert_int_equal(mdb_dbi_open(txn, "time", 0, &dbi), 0);
	assert_int_equal(mdb_drop(txn, dbi, 0), 0);
	assert_int_equal(mdb_dbi_open(txn, "dedup", 0, &dbi), 0);
	assert_int_equal(mdb_put(txn, dbi, &key, &key, 0), 0);
	assert_int_equal(mdb_txn_commit(txn), 0);
	mdb_env_close(env);
	rebuild(&f, NULL, NULL, RC_OK, NULL);
	image_same(f.dir, &before);
	free(before.bytes);
	fixture_remove(f.dir);
}

struct stop {
	unsigned calls, at;
};

static bool stop_there(void *ctx, uint64_t done, uint64_t total)
{
	struct stop *stop = ctx;

	assert_true(done <= total || total == 0);
	return ++stop->calls < stop->at;
}

static void test_broken_off_it_is_finished_at_the_next_start(void **state)
{
	(void)state;
	struct fixture f = { .config = { .recent_ids_max = RECENT } };
	struct stop stop = { .at = 1 };
	struct image before;

	fixture_init(&f);
	fill(&f, 500, 5);
	fixture_close(&f);
	image_read(f.dir, &before);
	rebuild(&f, stop_there, &stop, RC_CANCELLED, NULL);
	f.config.read_only = true;
	struct keyring_unlock unlock = { 0 };
	PASS(keyring_open(f.dir, &unlock, &f.keyring, &pass_why));
	f.config.keyring = f.keyring;
	assert_int_equal(store_open(&f.config, &f.store, NULL), RC_BUSY);
	keyring_close(f.keyring);
	f.config.read_only = false;
	fixture_open(&f);
	verify(&f);
	fixture_close(&f);
	image_same(f.dir, &before);
	free(before.bytes);
	fixture_remove(f.dir);
}

/* kill -9 at any moment, many times. */
static void test_killed_at_any_moment_nothing_is_missing_afterwards(void **state)
{
	(void)state;
	struct fixture f = { .config = { .recent_ids_max = RECENT } };
	struct image before;
	uint64_t rng = 11;

	fixture_init(&f);
	fill(&f, RECORDS, 13);
	fixture_close(&f);
	image_read(f.dir, &before);
	for (int i = 0; i < 12; i++) {
		struct timespec pause = { .tv_nsec = (long)(random_next(&rng) % 40) * 1000000 };
		pid_t pid = fork();
		assert_true(pid >= 0);
		if (pid == 0) {
			for (;;)
				rebuild(&f, NULL, NULL, RC_OK, NULL);
		}
		(void)nanosleep(&pause, NULL);
		assert_int_equal(kill(pid, SIGKILL), 0);
		assert_int_equal(waitpid(pid, NULL, 0), pid);
		fixture_open(&f);
		verify(&f);
		fixture_close(&f);
		image_same(f.dir, &before);
	}
	free(before.bytes);
	fixture_remove(f.dir);
}

static void test_a_store_that_is_open_is_left_alone(void **state)
{
	(void)state;
	struct fixture f = { .config = { .recent_ids_max = RECENT } };
	struct errmsg why = ERRMSG_INIT;

	fixture_init(&f);
	assert_int_equal(store_rebuild(&f.config, NULL, NULL, NULL, &why), RC_BUSY);
	fixture_fini(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_remade_equals_what_appending_made),
		cmocka_unit_test(test_an_empty_store_is_remade),
		cmocka_unit_test(test_damaged_indexes_are_put_right),
		cmocka_unit_test(test_broken_off_it_is_finished_at_the_next_start),
		cmocka_unit_test(test_killed_at_any_moment_nothing_is_missing_afterwards),
		cmocka_unit_test(test_a_store_that_is_open_is_left_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
