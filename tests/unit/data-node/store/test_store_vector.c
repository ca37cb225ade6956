/* Store: vectors beside their records: put, read, replaced, and gone with them. */
#include "store_fixture.h"

#include "store/store_forget.h"
#include "store/store_internal.h"
#include "store/store_rebuild.h"
#include "store/store_vector.h"

#define LENGTH 4u
#define DAY_NS NS_PER_DAY

struct seen_rows {
	uint64_t seqs[64];
	uint8_t first[64]; /* byte of each */
	size_t len, stop_at;
};

static bool row_visit(void *ctx, uint64_t seq, const uint8_t *bytes, size_t len)
{
	struct seen_rows *seen = ctx;

	assert_int_equal(len, LENGTH);
	seen->seqs[seen->len] = seq;
	seen->first[seen->len++] = bytes[0];
	return seen->len != seen->stop_at;
}

static struct seen_rows rows_of(struct fixture *f)
{
	struct seen_rows seen = { .len = 0 };
	uint64_t bad = 0;

	PASS(store_vector_scan(f->store, row_visit, &seen, &bad, &pass_why));
	assert_int_equal(bad, 0);
	return seen;
}

static struct store_vector_state state_of(struct fixture *f)
{
	struct store_vector_state state;

	PASS(store_vector_state(f->store, &state, &pass_why));
	return state;
}

static struct store_vector_state made(uint8_t encoder, uint64_t done)
{
	struct store_vector_state state = { .length = LENGTH, .done = done };

	memset(state.encoder, encoder, sizeof state.encoder);
	return state;
}

/* `n` notes, one an hour, on two layers in turn; their rows. */
static void notes(
    struct fixture *f, unsigned n, struct store_vector_row *rows, uint8_t (*bytes)[LENGTH])
{
	for (unsigned i = 0; i < n; i++) {
		char id[16];
		(void)snprintf(id, sizeof id, "n%u", i);
		struct observation obs = make_obs(id, T0_NS + i * INT64_C(3600) * NS_PER_S, "note");
		obs.layer = i % 2 == 0 ? LAYER_TEXT : LAYER_VISUAL;
		struct store_result result = append_one(f->store, &obs);
		memset(bytes[i], (int)(i + 1), LENGTH);
		rows[i] = (struct store_vector_row){ .seq = result.seq,
			.dev_t0_ns = obs.dev_t0_ns,
			.layer = obs.layer,
			.bytes = bytes[i],
			.len = LENGTH };
	}
}

static bool put(struct fixture *f, const struct store_vector_state *from,
    const struct store_vector_state *to, const struct store_vector_row *rows, size_t n)
{
	bool stale = false;

	PASS(store_vector_put(f->store, from, to, rows, n, &stale, &pass_why));
	return !stale;
}

static void comes_back_as_it_was_put(void **arg)
{
	struct store_vector_row rows[6];
	uint8_t bytes[6][LENGTH];
	struct fixture f = { .in_memory = true };

	(void)arg;
	fixture_init(&f);
	struct store_vector_state state, first = made(1, 6);
	assert_int_equal(store_vector_state(f.store, &state, NULL), RC_NOTFOUND);
	assert_int_equal(rows_of(&f).len, 0);
	notes(&f, 6, rows, bytes);
	assert_true(put(&f, NULL, &first, rows, 6));
	fixture_close(&f);
	fixture_open(&f);
	struct seen_rows seen = rows_of(&f);
	assert_int_equal(seen.len, 6);
	for (size_t i = 0; i < 6; i++)
		assert_int_equal(seen.first[i], seen.seqs[i]);
	state = state_of(&f);
	assert_memory_equal(state.encoder, first.encoder, sizeof first.encoder);
	assert_int_equal(state.done, 6);
	assert_int_equal(state.length, LENGTH);
	/* A visitor may have enough. */
	struct seen_rows one = { .stop_at = 1 };
	PASS(store_vector_scan(f.store, row_visit, &one, NULL, &pass_why));
	assert_int_equal(one.len, 1);
	PASS(store_verify(f.store, NULL, NULL, NULL, &pass_why));
	fixture_fini(&f);
}

static void work_over_another_state_is_not_put(void **arg)
{
	struct store_vector_row rows[2];
	uint8_t bytes[2][LENGTH];
	struct fixture f = { .in_memory = true };

	(void)arg;
	fixture_init(&f);
	notes(&f, 2, rows, bytes);
	struct store_vector_state one = made(1, 1), two = made(1, 2);
	assert_true(put(&f, NULL, &one, rows, 1));
	assert_false(put(&f, NULL, &two, rows + 1, 1));
	assert_false(put(&f, &two, &two, rows + 1, 1));
	assert_int_equal(rows_of(&f).len, 1);
	assert_true(put(&f, &one, &two, rows + 1, 1));
	assert_int_equal(rows_of(&f).len, 2);
	fixture_fini(&f);
}

static void another_encoder_begins_anew(void **arg)
{
	struct store_vector_row rows[3];
	uint8_t bytes[3][LENGTH];
	struct fixture f = { .in_memory = true };

	(void)arg;
	fixture_init(&f);
	notes(&f, 3, rows, bytes);
	struct store_vector_state one = made(1, 3), other = made(2, 1);
	assert_true(put(&f, NULL, &one, rows, 3));
	assert_true(put(&f, &one, &other, rows, 1));
	assert_int_equal(rows_of(&f).len, 1);
	PASS(store_vector_drop(f.store, &pass_why));
	assert_int_equal(rows_of(&f).len, 0);
	assert_int_equal(store_vector_state(f.store, &other, NULL), RC_NOTFOUND);
	fixture_fini(&f);
}

/* Of one hour: its vector goes, and with it, under the day's new key, those of the
 * same day and layer; these are looked at again. */
static void goes_with_its_record(void **arg)
{
	struct store_forget what = { .from_ns = T0_NS + INT64_C(7200) * NS_PER_S,
		.to_ns = T0_NS + INT64_C(7201) * NS_PER_S };
	struct store_vector_row rows[6];
	uint8_t bytes[6][LENGTH];
	struct store_forgotten out;
	struct fixture f = { .in_memory = true };

	(void)arg;
	fixture_init(&f);
	notes(&f, 6, rows, bytes);
	struct store_vector_state all = made(1, 6);
	assert_true(put(&f, NULL, &all, rows, 6));
	PASS(store_forget(f.store, &what, &out, &pass_why));
	assert_int_equal(out.records, 1);
	struct seen_rows seen = rows_of(&f);
	assert_int_equal(seen.len, 3);
	for (size_t i = 0; i < seen.len; i++)
		assert_int_equal(seen.seqs[i] % 2, 0); /* of the other layer */
	struct store_vector_state now = state_of(&f);
	assert_int_equal(now.done, 0);
	/* What was under way when it was forgotten does not bring it back. */
	assert_false(put(&f, &all, &all, rows, 6));
	assert_true(put(&f, &now, &all, rows, 6));
	seen = rows_of(&f);
	assert_int_equal(seen.len, 5);
	for (size_t i = 0; i < seen.len; i++)
		assert_int_not_equal(seen.seqs[i], rows[2].seq);
	PASS(store_verify(f.store, NULL, NULL, NULL, &pass_why));
	fixture_fini(&f);
}

static enum rc damage(struct store *store, MDB_txn *txn, void *ctx, int *err, struct errmsg *why)
{
	MDB_cursor *cursor = NULL;
	MDB_val key, value;
	uint8_t copy[256];

	(void)ctx;
	(void)why;
	*err = mdb_cursor_open(txn, store->dbi[DB_VECTOR], &cursor);
	if (*err == 0)
		*err = mdb_cursor_get(cursor, &key, &value, MDB_LAST);
	if (*err == 0) {
		memcpy(copy, value.mv_data, value.mv_size);
		copy[value.mv_size - 1] ^= 1;
		value.mv_data = copy;
		*err = mdb_cursor_put(cursor, &key, &value, MDB_CURRENT);
	}
	mdb_cursor_close(cursor);
	return RC_OK;
}

static void count_faults(void *ctx, const char *fault)
{
	assert_non_null(strstr(fault, "vector"));
	++*(unsigned *)ctx;
}

static void damage_is_named_and_passed_over(void **arg)
{
	struct seen_rows seen = { .len = 0 };
	struct store_vector_row rows[3];
	uint8_t bytes[3][LENGTH];
	unsigned faults = 0;
	struct fixture f = { .in_memory = true };
	uint64_t bad = 0;

	(void)arg;
	fixture_init(&f);
	notes(&f, 3, rows, bytes);
	struct store_vector_state all = made(1, 3);
	assert_true(put(&f, NULL, &all, rows, 3));
	PASS(store_task_run(f.store, damage, NULL, &pass_why));
	PASS(store_vector_scan(f.store, row_visit, &seen, &bad, &pass_why));
	assert_int_equal(bad, 1);
	assert_int_equal(seen.len, 2);
	assert_int_equal(store_verify(f.store, count_faults, &faults, NULL, NULL), RC_CORRUPT);
	assert_int_equal(faults, 1);
	fixture_close(&f);
	struct keyring_unlock unlock = { 0 };
	PASS(keyring_open(f.dir, &unlock, &f.keyring, &pass_why));
	f.config.keyring = f.keyring;
	PASS(store_rebuild(&f.config, NULL, NULL, NULL, &pass_why));
	keyring_close(f.keyring);
	fixture_open(&f);
	assert_int_equal(rows_of(&f).len, 0);
	PASS(store_verify(f.store, NULL, NULL, NULL, &pass_why));
	fixture_fini(&f);
}

static void too_much_is_refused(void **arg)
{
	static uint8_t big[STORE_VECTOR_BYTES_MAX + 1];
	struct store_vector_row row = {
		.seq = 1, .layer = LAYER_TEXT, .bytes = big, .len = sizeof big
	};
	struct store_vector_state state = made(1, 1);
	struct fixture f = { .in_memory = true };
	bool stale;

	(void)arg;
	fixture_init(&f);
	assert_int_equal(store_vector_put(f.store, NULL, &state, &row, 1, &stale, NULL), RC_LIMIT);
	assert_int_equal(
	    store_vector_put(f.store, NULL, &state, &row, STORE_VECTOR_ROWS_MAX + 1, &stale, NULL),
	    RC_LIMIT);
	fixture_fini(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(comes_back_as_it_was_put),
		cmocka_unit_test(work_over_another_state_is_not_put),
		cmocka_unit_test(another_encoder_begins_anew),
		cmocka_unit_test(goes_with_its_record),
		cmocka_unit_test(damage_is_named_and_passed_over),
		cmocka_unit_test(too_much_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
