/*
 * Store id: new ids wait in `recent` and are moved to `dedup` with later commits;
 * what was sent before is known wherever its id is, after any abort, any number
 * of openings, and a rebuild.
 */
#include "store_fixture.h"

#include "store/store_internal.h"
#include "store/store_rebuild.h"

#define IDS 700
#define RECENT 150

/* What the store must say: of each id, its versions' seqs; 0: not sent. */
struct model {
	uint64_t seqs[IDS];
	unsigned versions[IDS];
	uint64_t cursor;
};

static struct observation obs_of(unsigned number, unsigned version, char id[16], char text[32])
{
	(void)snprintf(id, 16, "id%u", number);
	(void)snprintf(text, 32, "version %u", version);
	return make_obs(id, T0_NS + number * NS_PER_S, text);
}

/* `n` in one commit: new ones, new versions, and some sent again. */
static void append_some(struct fixture *f, struct model *m, uint64_t *rng, size_t n)
{
	static char ids[IDS][16], texts[IDS][32];
	static struct observation obs[IDS];
	static struct store_result results[IDS];
	struct model want = *m;

	for (size_t i = 0; i < n; i++) {
		unsigned number = (unsigned)(random_next(rng) % IDS);
		bool again = m->versions[number] > 0 && random_next(rng) % 3 == 0;
		if (!again)
			m->versions[number]++;
		obs[i] = obs_of(number, m->versions[number], ids[i], texts[i]);
	}
	PASS(store_append(f->store, obs, n, results, NULL, &pass_why));
	for (size_t i = 0; i < n; i++) {
		unsigned number = (unsigned)strtoul(ids[i] + 2, NULL, 10);
		unsigned version = (unsigned)strtoul(texts[i] + 8, NULL, 10);
		bool fresh = version > want.versions[number];
		assert_int_equal(results[i].outcome, fresh ? STORE_ACCEPTED : STORE_DUPLICATE);
		if (fresh) {
			want.versions[number] = version;
			want.seqs[number] = ++want.cursor;
		}
		assert_int_equal(results[i].seq, want.seqs[number]);
	}
	*m = want;
}

static void assert_known(struct fixture *f, const struct model *m)
{
	char id[16], text[32];
	struct observation got;
	struct arena arena;
	uint8_t obs_id[OBS_ID_BYTES];

	arena_init(&arena, 1 << 20);
	for (unsigned i = 0; i < IDS; i++) {
		struct observation obs = obs_of(i, m->versions[i], id, text);
		arena_reset(&arena);
		store_obs_id(f->store, &obs, obs_id);
		if (m->seqs[i] == 0) {
			assert_int_equal(
			    store_get_id(f->store, obs_id, &arena, &got, NULL), RC_NOTFOUND);
			continue;
		}
		PASS(store_get_id(f->store, obs_id, &arena, &got, &pass_why));
		assert_int_equal(got.seq, m->seqs[i]);
		assert_string_equal(got.text, text);
	}
	arena_fini(&arena);
	PASS(store_verify(f->store, NULL, NULL, NULL, &pass_why));
}

static size_t rows_of(struct fixture *f, enum store_db db)
{
	MDB_txn *txn;
	MDB_stat stat;

	PASS(store_read_begin(f->store, &txn, &pass_why));
	assert_int_equal(mdb_stat(txn, f->store->dbi[db], &stat), 0);
	store_read_end(f->store, txn);
	return stat.ms_entries;
}

static enum rc spoil(struct store *store, MDB_txn *txn, void *ctx, int *err, struct errmsg *why)
{
	uint8_t id[OBS_ID_BYTES];

	(void)txn;
	for (unsigned i = 0; i < *(unsigned *)ctx; i++) {
		memset(id, (int)i, sizeof(id));
		*err = store_id_put(store, id, store->next_seq++);
		if (*err != 0)
			return RC_OK;
	}
	return errmsg_rc(why, RC_INVALID, "not like this");
}

/* Appends, aborts and reopenings, with a `recent` that is soon full. */
static void test_what_was_sent_before_is_known_wherever_its_id_is(void **state)
{
	(void)state;
	struct fixture f = { .in_memory = true };
	struct model m = { .cursor = 0 };
	uint64_t rng = 21;
	bool moved = false;

	f.config.recent_ids_max = RECENT;
	fixture_init(&f);
	for (int round = 0; round < 120; round++) {
		unsigned n = (unsigned)(1 + random_next(&rng) % (round % 20 == 7 ? IDS : 30));
		append_some(&f, &m, &rng, n);
		if (round % 5 == 0) {
			errmsg_reset(&pass_why);
			assert_int_equal(store_task_run(f.store, spoil, &n, NULL), RC_INVALID);
		}
		moved = moved || rows_of(&f, DB_DEDUP) > 0;
		assert_true(rows_of(&f, DB_RECENT) < 2 * RECENT + IDS);
		if (round % 10 == 3) {
			fixture_close(&f);
			fixture_open(&f);
		}
		if (round % 20 == 0)
			assert_known(&f, &m);
	}
	assert_true(moved);
	assert_known(&f, &m);
	fixture_fini(&f);
}

/* 1 commit of `n` new ones. */
static void append_new(struct fixture *f, unsigned first, unsigned n)
{
	static char ids[IDS][16], texts[IDS][32];
	static struct observation obs[IDS];

	for (unsigned i = 0; i < n; i++)
		obs[i] = obs_of(first + i, 1, ids[i], texts[i]);
	PASS(store_append(f->store, obs, n, NULL, NULL, &pass_why));
}

static void test_rows_are_filled_up_and_go_when_all_their_ids_are_moved(void **state)
{
	(void)state;
	struct fixture f = { .in_memory = true };

	f.config.recent_ids_max = RECENT;
	fixture_init(&f);
	for (unsigned i = 0; i < RECENT; i++)
		append_new(&f, i, 1);
	assert_int_equal(rows_of(&f, DB_RECENT), 2);
	assert_int_equal(rows_of(&f, DB_DEDUP), 0);
	fixture_close(&f);
	fixture_open(&f);
	/* Two ids for each that comes; few are put off. */
	append_new(&f, RECENT, 1);
	assert_int_equal(rows_of(&f, DB_DEDUP), 0);
	append_new(&f, RECENT + 1, 70);
	size_t moved = rows_of(&f, DB_DEDUP);
	assert_true(moved > 70 && moved < RECENT);
	assert_int_equal(rows_of(&f, DB_RECENT), 3);
	append_new(&f, RECENT + 71, 70);
	assert_int_equal(rows_of(&f, DB_DEDUP), RECENT);
	assert_int_equal(rows_of(&f, DB_RECENT), 2);
	PASS(store_verify(f.store, NULL, NULL, NULL, &pass_why));
	/* More at once than may wait: with the next commit all of it is moved. */
	append_new(&f, 300, 2 * RECENT + 1);
	append_new(&f, 601, 1);
	append_new(&f, 602, 1);
	assert_true(rows_of(&f, DB_RECENT) <= 1);
	PASS(store_verify(f.store, NULL, NULL, NULL, &pass_why));
	fixture_fini(&f);
}

static void test_in_quiet_moments_all_of_them_are_moved(void **state)
{
	(void)state;
	struct fixture f = { .in_memory = true };

	fixture_init(&f);
	append_new(&f, 0, 500);
	assert_int_equal(rows_of(&f, DB_DEDUP), 0);
	f.store->ids.quiet = true; /* as the writer does, when nothing came for long */
	append_new(&f, 500, 1);
	append_new(&f, 501, 1);
	assert_int_equal(rows_of(&f, DB_DEDUP), 501);
	assert_int_equal(rows_of(&f, DB_RECENT), 1);
	PASS(store_verify(f.store, NULL, NULL, NULL, &pass_why));
	fixture_fini(&f);
}

static enum rc claim(struct store *store, MDB_txn *txn, void *ctx, int *err, struct errmsg *why)
{
	uint8_t id[OBS_ID_BYTES];

	(void)txn;
	(void)why;
	for (unsigned i = 0; i < *(unsigned *)ctx && *err == 0; i++) {
		memset(id, (int)i, sizeof(id));
		*err = store_id_put(store, id, store->next_seq++);
	}
	return RC_OK;
}

static void test_what_must_work_on_a_full_disk_moves_none(void **state)
{
	(void)state;
	struct fixture f = { .in_memory = true };
	unsigned n = 100;

	f.config.recent_ids_max = RECENT;
	fixture_init(&f);
	append_new(&f, 0, RECENT);
	PASS(store_task_run_urgent(f.store, claim, &n, &pass_why));
	assert_int_equal(rows_of(&f, DB_DEDUP), 0);
	PASS(store_task_run(f.store, claim, &n, &pass_why));
	assert_int_equal(rows_of(&f, DB_DEDUP), RECENT);
	fixture_fini(&f);
}

struct put {
	enum store_db db;
	MDB_val key, value;
};

static enum rc put_row(struct store *store, MDB_txn *txn, void *ctx, int *err, struct errmsg *why)
{
	struct put *put = ctx;

	(void)why;
	*err = mdb_put(txn, store->dbi[put->db], &put->key, &put->value, 0);
	return RC_OK;
}

static enum rc try_open(struct fixture *f, struct errmsg *why)
{
	struct keyring_unlock unlock = { 0 };

	PASS(keyring_open(f->dir, &unlock, &f->keyring, &pass_why));
	f->config.keyring = f->keyring;
	enum rc rc = store_open(&f->config, &f->store, why);
	if (rc != RC_OK)
		fixture_close(f);
	return rc;
}

static void test_damaged_rows_are_named_and_a_rebuild_mends_them(void **state)
{
	(void)state;
	struct fixture f = { .in_memory = true };
	struct keyring_unlock unlock = { 0 };
	struct errmsg why = ERRMSG_INIT;
	uint8_t seq[8] = { 0, 0, 0, 0, 0, 0, 0, 200 }, bytes[20] = { 1 };
	struct put damage[] = {
		{ DB_RECENT, { 8, seq }, { 20, bytes } }, /* no ids */
		{ DB_RECENT, { 8, seq }, { 16, bytes } }, /* a gap before it */
		{ DB_RECENT, { 3, seq }, { 16, bytes } }, /* no seq */
	};

	for (size_t i = 0; i < 3; i++) {
		fixture_init(&f);
		append_new(&f, 0, 100);
		PASS(store_task_run(f.store, put_row, &damage[i], &pass_why));
		assert_int_equal(store_verify(f.store, NULL, NULL, NULL, &why), RC_CORRUPT);
		fixture_close(&f);
		errmsg_reset(&why);
		assert_int_equal(try_open(&f, &why), RC_CORRUPT);
		assert_non_null(strstr(why.text, "rebuild"));
		PASS(keyring_open(f.dir, &unlock, &f.keyring, &pass_why));
		f.config.keyring = f.keyring;
		PASS(store_rebuild(&f.config, NULL, NULL, NULL, &pass_why));
		keyring_close(f.keyring);
		fixture_open(&f);
		assert_int_equal(rows_of(&f, DB_DEDUP), 100);
		PASS(store_verify(f.store, NULL, NULL, NULL, &pass_why));
		fixture_fini(&f);
	}
}

static void test_an_id_that_no_record_has_is_named(void **state)
{
	(void)state;
	struct fixture f = { .in_memory = true };
	struct errmsg why = ERRMSG_INIT;
	uint8_t seq[8] = { 0, 0, 0, 0, 0, 0, 0, 1 }, bytes[32] = { 1 };
	struct put put = { DB_RECENT, { 8, seq }, { 32, bytes } };

	fixture_init(&f);
	append_new(&f, 0, 2);
	PASS(store_task_run(f.store, put_row, &put, &pass_why));
	assert_int_equal(store_verify(f.store, NULL, NULL, NULL, &why), RC_CORRUPT);
	fixture_fini(&f);
}

static enum rc format_two(
    struct store *store, MDB_txn *txn, void *ctx, int *err, struct errmsg *why)
{
	uint8_t bytes[8] = { 0, 0, 0, 0, 0, 0, 0, 2 };
	MDB_val key = store_text_val("format"), value = { sizeof(bytes), bytes };

	(void)ctx;
	(void)why;
	*err = mdb_drop(txn, store->dbi[DB_RECENT], 0);
	if (*err == 0)
		*err = mdb_put(txn, store->dbi[DB_META], &key, &value, 0);
	return RC_OK;
}

static void test_a_store_that_has_all_its_ids_in_dedup_goes_on(void **state)
{
	(void)state;
	struct fixture f = { .in_memory = true };
	struct keyring_unlock unlock = { 0 };
	struct model m = { .cursor = 0 };
	uint64_t rng = 5;

	fixture_init(&f);
	append_some(&f, &m, &rng, 400);
	fixture_close(&f);
	PASS(keyring_open(f.dir, &unlock, &f.keyring, &pass_why));
	f.config.keyring = f.keyring;
	PASS(store_rebuild(&f.config, NULL, NULL, NULL, &pass_why));
	keyring_close(f.keyring);
	fixture_open(&f);
	PASS(store_task_run(f.store, format_two, NULL, &pass_why));
	fixture_close(&f);
	fixture_open(&f);
	assert_known(&f, &m);
	append_some(&f, &m, &rng, 400);
	assert_known(&f, &m);
	fixture_fini(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_was_sent_before_is_known_wherever_its_id_is),
		cmocka_unit_test(test_rows_are_filled_up_and_go_when_all_their_ids_are_moved),
		cmocka_unit_test(test_in_quiet_moments_all_of_them_are_moved),
		cmocka_unit_test(test_what_must_work_on_a_full_disk_moves_none),
		cmocka_unit_test(test_damaged_rows_are_named_and_a_rebuild_mends_them),
		cmocka_unit_test(test_an_id_that_no_record_has_is_named),
		cmocka_unit_test(test_a_store_that_has_all_its_ids_in_dedup_goes_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
