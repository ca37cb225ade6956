/* Store: a snapshot grows by segments, in one commit with its head, and a forgetting
 * leaves nothing of it that can be read. */
#include "store_fixture.h"

#include "store/store_forget.h"
#include "store/store_forget_apply.h"
#include "store/store_internal.h"
#include "store/store_rebuild.h"
#include "store/store_snapshot.h"
#include "store_canary.h"

#define CANARY "the word quetzalcoatl"
#define BYTES_MAX ((size_t)1 << 20)

static struct buf bytes_of(const char *text, size_t times)
{
	struct buf bytes;

	buf_init(&bytes, BYTES_MAX);
	for (size_t i = 0; i < times; i++)
		buf_puts(&bytes, text);
	return bytes;
}

/* Segment at->segments: `text` so many times; the head says `head`. */
static bool put(
    struct fixture *f, struct store_snapshot *at, const char *text, size_t times, const char *head)
{
	struct buf segment = bytes_of(text, times), front = bytes_of(head, 1);
	bool stale = true;

	PASS(store_snapshot_put(f->store, at, &segment, &front, &stale, &pass_why));
	buf_fini(&segment);
	buf_fini(&front);
	at->segments += !stale;
	return !stale;
}

static enum rc head_of(struct fixture *f, struct store_snapshot *out, char text[64])
{
	struct buf bytes;

	buf_init(&bytes, BYTES_MAX);
	enum rc rc = store_snapshot_head(f->store, out, &bytes, NULL);
	(void)snprintf(text, 64, "%s", buf_text(&bytes));
	buf_fini(&bytes);
	return rc;
}

static void assert_segment(struct fixture *f, uint32_t number, const char *text, size_t times)
{
	struct buf want = bytes_of(text, times), bytes;

	buf_init(&bytes, BYTES_MAX);
	PASS(store_snapshot_segment(f->store, number, &bytes, &pass_why));
	assert_int_equal(bytes.len, want.len);
	assert_memory_equal(bytes.bytes, want.bytes, want.len);
	buf_fini(&bytes);
	buf_fini(&want);
}

static enum rc segment_rc(struct fixture *f, uint32_t number)
{
	struct buf bytes;

	buf_init(&bytes, BYTES_MAX);
	enum rc rc = store_snapshot_segment(f->store, number, &bytes, NULL);
	buf_fini(&bytes);
	return rc;
}

static struct store_snapshot begin(struct fixture *f, uint64_t run)
{
	struct store_snapshot now;
	char text[64];

	enum rc rc = head_of(f, &now, text);
	assert_true(rc == RC_OK || rc == RC_NOTFOUND);
	return (struct store_snapshot){ .epoch = now.epoch, .run = run };
}

static void it_comes_back_as_it_was_put(void **state)
{
	struct fixture f = { .in_memory = true };
	struct store_snapshot now;
	char text[64];

	(void)state;
	fixture_init(&f);
	struct store_snapshot at = begin(&f, 7);
	assert_int_equal(segment_rc(&f, 0), RC_NOTFOUND);
	assert_true(put(&f, &at, "first of many ", 10000, "one")); /* several parts */
	assert_true(put(&f, &at, "second", 1, "two"));
	fixture_close(&f);
	fixture_open(&f);
	assert_int_equal(head_of(&f, &now, text), RC_OK);
	assert_string_equal(text, "two");
	assert_int_equal(now.segments, 2);
	assert_int_equal(now.run, 7);
	assert_segment(&f, 0, "first of many ", 10000);
	assert_segment(&f, 1, "second", 1);
	assert_int_equal(segment_rc(&f, 2), RC_NOTFOUND);
	PASS(store_verify(f.store, NULL, NULL, NULL, &pass_why));
	fixture_fini(&f);
}

static void only_the_next_segment_of_the_same_index_is_put(void **state)
{
	struct fixture f = { .in_memory = true };
	struct store_snapshot now;
	char text[64];

	(void)state;
	fixture_init(&f);
	struct store_snapshot at = begin(&f, 1), other = begin(&f, 2);
	assert_true(put(&f, &at, "a", 1, "one"));
	assert_true(put(&f, &at, "b", 1, "two"));
	struct store_snapshot behind = at;
	assert_true(put(&f, &at, "c", 9000, "three"));
	assert_false(put(&f, &behind, "c", 1, "again"));
	assert_int_equal(head_of(&f, &now, text), RC_OK);
	assert_string_equal(text, "three");
	/* Another index begins: what is behind its segment counts no more, and is cleared. */
	assert_true(put(&f, &other, "x", 1, "other"));
	assert_false(put(&f, &at, "d", 1, "four"));
	assert_segment(&f, 0, "x", 1);
	PASS(store_snapshot_clean(f.store, &pass_why));
	assert_int_equal(segment_rc(&f, 1), RC_NOTFOUND);
	assert_segment(&f, 0, "x", 1);
	fixture_fini(&f);
}

static size_t leaks(struct fixture *f)
{
	struct store_canary canary;

	store_canary_search(f->dir, f->keyring, CANARY, &canary);
	assert_int_equal(canary.plain, 0);
	return (size_t)canary.leaked;
}

static void what_is_forgotten_cannot_be_read_from_it(void **state)
{
	struct store_forget what = { .from_ns = T0_NS, .to_ns = T0_NS + NS_PER_S },
			    nothing = { .from_ns = T0_NS - 5 * NS_PER_DAY,
				    .to_ns = T0_NS - 4 * NS_PER_DAY };
	struct observation obs = make_obs("n", T0_NS, "note");
	struct fixture f = { .in_memory = true };
	struct store_snapshot now;
	char text[64];

	(void)state;
	fixture_init(&f);
	(void)append_one(f.store, &obs);
	struct store_snapshot at = begin(&f, 1);
	assert_true(put(&f, &at, CANARY, 4000, "one"));
	assert_true(put(&f, &at, CANARY, 1, "two"));
	assert_true(leaks(&f) >= 2);
	PASS(store_forget(f.store, &nothing, NULL, &pass_why)); /* where there is nothing */
	assert_int_equal(head_of(&f, &now, text), RC_OK);
	PASS(store_forget(f.store, &what, NULL, &pass_why));
	assert_int_equal(leaks(&f), 0);
	assert_int_equal(head_of(&f, &now, text), RC_NOTFOUND);
	assert_int_equal(segment_rc(&f, 0), RC_CORRUPT); /* its key is gone */
	/* What was under way meanwhile does not bring it back. */
	assert_false(put(&f, &at, CANARY, 1, "three"));
	struct store_snapshot late = { .epoch = at.epoch, .run = 2 };
	assert_false(put(&f, &late, CANARY, 1, "late"));
	PASS(store_snapshot_clean(f.store, &pass_why));
	assert_int_equal(segment_rc(&f, 0), RC_NOTFOUND);
	struct store_snapshot anew = begin(&f, 3);
	assert_true(put(&f, &anew, "other words", 1, "anew"));
	PASS(store_verify(f.store, NULL, NULL, NULL, &pass_why));
	assert_int_equal(leaks(&f), 0);
	fixture_fini(&f);
}

/* Its keys are retired and not yet dropped: what is put now would be under a key that
 * outlives it. */
static void nothing_is_put_before_a_forgetting_has_ended(void **state)
{
	struct store_forget what = { .from_ns = T0_NS, .to_ns = T0_NS + NS_PER_S };
	struct observation obs = make_obs("n", T0_NS, "note");
	struct fixture f = { .in_memory = true };
	uint8_t *days = calloc(FORGET_DAYS, 1);

	(void)state;
	fixture_init(&f);
	(void)append_one(f.store, &obs);
	struct store_snapshot at = begin(&f, 1);
	assert_true(put(&f, &at, "a", 1, "one"));
	days[store_forget_day(store_day(T0_NS))] = (uint8_t)LAYER_MASK(LAYER_TEXT);
	PASS(store_task_run(f.store, store_forget_retire, days, &pass_why));
	struct store_snapshot anew = begin(&f, 2);
	assert_int_equal(anew.epoch, at.epoch + 1);
	assert_false(put(&f, &anew, "b", 1, "two"));
	PASS(store_forget(f.store, &what, NULL, &pass_why));
	anew = begin(&f, 2);
	assert_true(put(&f, &anew, "b", 1, "two"));
	free(days);
	fixture_fini(&f);
}

static enum rc damage(struct store *store, MDB_txn *txn, void *ctx, int *err, struct errmsg *why)
{
	uint8_t bytes[8] = { 0 }, copy[256];
	MDB_val key = { sizeof bytes, bytes }, value;

	(void)ctx;
	(void)why;
	*err = mdb_get(txn, store->dbi[DB_SNAPSHOT], &key, &value);
	assert_int_equal(*err, 0);
	assert_true(value.mv_size <= sizeof copy);
	memcpy(copy, value.mv_data, value.mv_size);
	copy[value.mv_size - 1] ^= 1;
	value.mv_data = copy;
	*err = mdb_put(txn, store->dbi[DB_SNAPSHOT], &key, &value, 0);
	return RC_OK;
}

static void count_faults(void *ctx, const char *fault)
{
	assert_non_null(strstr(fault, "snapshot"));
	++*(unsigned *)ctx;
}

static void damage_is_named_and_a_rebuild_clears_it(void **state)
{
	struct keyring_unlock unlock = { 0 };
	struct fixture f = { .in_memory = true };
	struct store_snapshot now;
	unsigned faults = 0;
	char text[64];

	(void)state;
	fixture_init(&f);
	struct store_snapshot at = begin(&f, 1);
	assert_true(put(&f, &at, "a", 1, "one"));
	PASS(store_task_run(f.store, damage, NULL, &pass_why));
	assert_int_equal(segment_rc(&f, 0), RC_CORRUPT);
	assert_int_equal(store_verify(f.store, count_faults, &faults, NULL, NULL), RC_CORRUPT);
	assert_int_equal(faults, 1);
	fixture_close(&f);
	PASS(keyring_open(f.dir, &unlock, &f.keyring, &pass_why));
	f.config.keyring = f.keyring;
	PASS(store_rebuild(&f.config, NULL, NULL, NULL, &pass_why));
	keyring_close(f.keyring);
	fixture_open(&f);
	assert_int_equal(head_of(&f, &now, text), RC_NOTFOUND);
	PASS(store_verify(f.store, NULL, NULL, NULL, &pass_why));
	fixture_fini(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_comes_back_as_it_was_put),
		cmocka_unit_test(only_the_next_segment_of_the_same_index_is_put),
		cmocka_unit_test(what_is_forgotten_cannot_be_read_from_it),
		cmocka_unit_test(nothing_is_put_before_a_forgetting_has_ended),
		cmocka_unit_test(damage_is_named_and_a_rebuild_clears_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
