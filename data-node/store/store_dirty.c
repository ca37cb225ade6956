/*
 * Store dirty: marks gathered by the writer, their database, their frontier.
 *
 * A commit of many late records makes few marks: neighbours of one cause are
 * joined while they are gathered, and past DIRTY_PENDING_MAX the closest two.
 */
#include "store/store_dirty.h"

#include <string.h>

#include "store/store_internal.h"

#define JOIN_NS NS_PER_MIN /* closer than this: one mark */

const char *dirty_cause_word(enum dirty_cause cause)
{
	static const char *const words[DIRTY_CAUSE_COUNT] = { "late", "superseded", "remapped",
		"forgotten", "policy", "rebuilt" };

	return cause >= 1 && cause <= DIRTY_CAUSE_COUNT ? words[cause - 1] : NULL;
}

/* ---- gathering, writer thread ------------------------------------------------ */

static void join(struct store_dirty *into, const struct store_dirty *mark)
{
	if (mark->from_ns < into->from_ns)
		into->from_ns = mark->from_ns;
	if (mark->to_ns > into->to_ns)
		into->to_ns = mark->to_ns;
	if (mark->first_seq < into->first_seq)
		into->first_seq = mark->first_seq;
	if (mark->last_seq > into->last_seq)
		into->last_seq = mark->last_seq;
	into->layers |= mark->layers;
}

/* Time between two ranges, 0 if they touch. */
static uint64_t distance_ns(const struct store_dirty *a, const struct store_dirty *b)
{
	if (a->to_ns < b->from_ns)
		return (uint64_t)b->from_ns - (uint64_t)a->to_ns;
	return b->to_ns < a->from_ns ? (uint64_t)a->from_ns - (uint64_t)b->to_ns : 0;
}

void store_dirty_mark(struct store *store, const struct store_dirty *mark)
{
	struct store_dirty *closest = NULL;
	uint64_t gap_ns = UINT64_MAX;

	if (mark->from_ns >= store_built_ns(store))
		return;
	for (size_t i = 0; i < store->dirty_len; i++) {
		struct store_dirty *other = &store->dirty[i];
		if (other->cause != mark->cause || distance_ns(other, mark) >= gap_ns)
			continue;
		closest = other;
		gap_ns = distance_ns(other, mark);
	}
	/* A slot is kept for each cause, so that there is always one to join. */
	size_t room = STORE_DIRTY_PENDING_MAX - (closest == NULL ? 0 : DIRTY_CAUSE_COUNT);
	if (closest != NULL && (gap_ns < (uint64_t)JOIN_NS || store->dirty_len >= room))
		join(closest, mark);
	else
		store->dirty[store->dirty_len++] = *mark;
}

/* ---- stored form ---------------------------------------------------------------- */

void store_dirty_encode(const struct store_dirty *mark, uint8_t out[STORE_DIRTY_BYTES])
{
	store_put_be64(out, (uint64_t)mark->from_ns);
	store_put_be64(out + 8, (uint64_t)mark->to_ns);
	store_put_be64(out + 16, mark->first_seq);
	store_put_be64(out + 24, mark->last_seq);
	out[32] = (uint8_t)mark->layers;
	out[33] = (uint8_t)mark->cause;
}

enum rc store_dirty_decode(const uint8_t *bytes, size_t len, struct store_dirty *out)
{
	if (len != STORE_DIRTY_BYTES)
		return RC_CORRUPT;
	struct store_dirty mark = {
		.from_ns = (int64_t)store_get_be64(bytes),
		.to_ns = (int64_t)store_get_be64(bytes + 8),
		.first_seq = store_get_be64(bytes + 16),
		.last_seq = store_get_be64(bytes + 24),
		.layers = bytes[32],
		.cause = (enum dirty_cause)bytes[33],
	};
	if (mark.from_ns >= mark.to_ns || mark.first_seq > mark.last_seq ||
	    (mark.layers & ~LAYER_MASK_ALL) != 0 || dirty_cause_word(mark.cause) == NULL)
		return RC_CORRUPT;
	*out = mark;
	return RC_OK;
}

/* The number of the last mark; 0 if there is none. */
static int newest_number(MDB_cursor *cursor, uint64_t *number)
{
	MDB_val key, value;

	*number = 0;
	int err = mdb_cursor_get(cursor, &key, &value, MDB_LAST);
	if (err == 0 && key.mv_size != 8)
		return MDB_CORRUPTED;
	if (err == 0)
		*number = store_get_be64(key.mv_data);
	return err == MDB_NOTFOUND ? 0 : err;
}

int store_dirty_flush(struct store *store, MDB_txn *txn)
{
	uint8_t key_bytes[8], value_bytes[STORE_DIRTY_BYTES];
	MDB_val key = { sizeof key_bytes, key_bytes }, value = { sizeof value_bytes, value_bytes };
	MDB_cursor *cursor = NULL;
	uint64_t number;

	if (store->dirty_len == 0)
		return 0;
	int err = mdb_cursor_open(txn, store->dbi[DB_DIRTY], &cursor);
	if (err == 0)
		err = newest_number(cursor, &number);
	for (size_t i = 0; i < store->dirty_len && err == 0; i++) {
		store_put_be64(key_bytes, ++number);
		store_dirty_encode(&store->dirty[i], value_bytes);
		err = mdb_cursor_put(cursor, &key, &value, MDB_APPEND);
	}
	if (cursor != NULL)
		mdb_cursor_close(cursor);
	return err;
}

/* ---- reading ------------------------------------------------------------------------ */

static enum rc list_read(MDB_cursor *cursor, struct store_dirty *marks, size_t cap, size_t *len,
    uint64_t *newest, struct errmsg *why)
{
	MDB_val key, value;

	int err = mdb_cursor_get(cursor, &key, &value, MDB_FIRST);
	for (; err == 0; err = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) {
		uint64_t number = key.mv_size == 8 ? store_get_be64(key.mv_data) : UINT64_MAX;
		if (number == 0)
			continue;
		if (number == UINT64_MAX || *len == cap ||
		    store_dirty_decode(value.mv_data, value.mv_size, &marks[*len]) != RC_OK)
			return errmsg_rc(why, RC_CORRUPT, "dirty: an entry is malformed");
		++*len;
		*newest = number;
	}
	return err == MDB_NOTFOUND ? RC_OK
				   : store_mdb_error(why, err, "the dirty marks cannot be read");
}

enum rc store_dirty_read(struct store *store, MDB_txn *txn, struct arena *arena,
    struct store_dirty **out, size_t *len, uint64_t *newest, struct errmsg *why)
{
	MDB_cursor *cursor = NULL;
	MDB_stat stat;

	*len = 0;
	*newest = 0;
	int err = mdb_stat(txn, store->dbi[DB_DIRTY], &stat);
	if (err == 0)
		err = mdb_cursor_open(txn, store->dbi[DB_DIRTY], &cursor);
	if (err != 0)
		return store_mdb_error(why, err, "the dirty marks cannot be read");
	*out = arena_array(arena, stat.ms_entries + 1, sizeof **out);
	enum rc rc =
	    *out == NULL ? RC_NOMEM : list_read(cursor, *out, stat.ms_entries, len, newest, why);
	mdb_cursor_close(cursor);
	return rc;
}

enum rc store_dirty_list(struct store *store, struct arena *arena, struct store_dirty **out,
    size_t *len, uint64_t *newest, struct errmsg *why)
{
	MDB_txn *txn = NULL;

	enum rc rc = store_read_begin(store, &txn, why);
	if (rc != RC_OK)
		return rc;
	rc = store_dirty_read(store, txn, arena, out, len, newest, why);
	store_read_end(store, txn);
	return rc;
}

/* ---- the frontier ---------------------------------------------------------------------- */

int64_t store_built_ns(const struct store *store)
{
	return atomic_load_explicit(&store->built_ns, memory_order_relaxed);
}

enum rc store_dirty_open(struct store *store, MDB_txn *txn, struct errmsg *why)
{
	uint8_t key_bytes[8] = { 0 };
	MDB_val key = { sizeof key_bytes, key_bytes }, value;

	atomic_store(&store->built_ns, OBS_TIME_MIN_NS);
	int err = mdb_get(txn, store->dbi[DB_DIRTY], &key, &value);
	if (err == MDB_NOTFOUND)
		return RC_OK;
	if (err != 0)
		return store_mdb_error(why, err, "the dirty marks cannot be read");
	if (value.mv_size != 8)
		return errmsg_rc(why, RC_CORRUPT, "dirty: the frontier is malformed");
	atomic_store(&store->built_ns, (int64_t)store_get_be64(value.mv_data));
	return RC_OK;
}

int store_dirty_frontier_put(struct store *store, MDB_txn *txn, int64_t built_ns)
{
	uint8_t key_bytes[8] = { 0 }, value_bytes[8];
	MDB_val key = { sizeof key_bytes, key_bytes }, value = { sizeof value_bytes, value_bytes };

	store_put_be64(value_bytes, (uint64_t)built_ns);
	return mdb_put(txn, store->dbi[DB_DIRTY], &key, &value, 0);
}

int store_dirty_drop(struct store *store, MDB_txn *txn, uint64_t newest)
{
	uint8_t first[8];
	MDB_val key = { sizeof first, first }, value;
	MDB_cursor *cursor = NULL;

	store_put_be64(first, 1);
	int err = mdb_cursor_open(txn, store->dbi[DB_DIRTY], &cursor);
	if (err == 0)
		err = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
	while (err == 0 && key.mv_size == 8 && store_get_be64(key.mv_data) <= newest) {
		err = mdb_cursor_del(cursor, 0);
		if (err == 0)
			err = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
	}
	if (cursor != NULL)
		mdb_cursor_close(cursor);
	return err == MDB_NOTFOUND ? 0 : err;
}

struct clear {
	uint64_t newest;
	int64_t built_ns;
};

static enum rc clear_task(
    struct store *store, MDB_txn *txn, void *ctx, int *err, struct errmsg *why)
{
	const struct clear *clear = ctx;

	(void)why;
	*err = store_dirty_drop(store, txn, clear->newest);
	if (*err == 0)
		*err = store_dirty_frontier_put(store, txn, clear->built_ns);
	return RC_OK;
}

enum rc store_dirty_settle(struct store *store, store_task_fn *task, void *ctx,
    const int64_t *built_ns, struct errmsg *why)
{
	int64_t before_ns = store_built_ns(store);

	/* A frontier that grows is in force before the commit, one that shrinks
	 * after it. */
	if (built_ns != NULL && *built_ns > before_ns)
		atomic_store(&store->built_ns, *built_ns);
	enum rc rc = store_task_run(store, task, ctx, why);
	if (built_ns != NULL)
		atomic_store(&store->built_ns, rc == RC_OK ? *built_ns : before_ns);
	return rc;
}

enum rc store_dirty_clear(
    struct store *store, uint64_t newest, int64_t built_ns, struct errmsg *why)
{
	struct clear clear = { newest, built_ns };

	return store_dirty_settle(store, clear_task, &clear, &built_ns, why);
}
