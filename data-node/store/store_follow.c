/* Store follow: tasks of the writer that put sealed records as they are. */
#include "store/store_follow.h"

#include <string.h>

#include "store/store_bundle.h"
#include "store/store_internal.h"

struct following {
	const struct store_raw *entries;
	size_t n;
};

void store_follow_set(struct store *store, bool following)
{
	atomic_store(&store->following, following);
}

bool store_following(const struct store *store)
{
	return atomic_load(&store->following);
}

static MDB_val val(const uint8_t *bytes, size_t len)
{
	union {
		const uint8_t *in;
		uint8_t *out;
	} u = { .in = bytes };

	return (MDB_val){ len, u.out };
}

/* ---- new records ---------------------------------------------------------------------- */

/* The version before it, if there is one that can be read. */
static enum rc old_find(struct store *store, MDB_txn *txn, const struct observation *obs,
    struct observation *old, int *err)
{
	uint64_t seq = 0;

	old->seq = 0;
	*err = store_id_get(store, txn, obs->obs_id, &seq);
	if (*err == MDB_NOTFOUND) {
		*err = 0;
		return RC_OK;
	}
	if (*err != 0)
		return RC_OK;
	enum rc rc = store_record_get(store, txn, seq, &store->scratch, &store->old, old, NULL);
	if (rc == RC_CORRUPT || rc == RC_NOTFOUND)
		old->seq = 0;
	return rc == RC_NOMEM ? rc : RC_OK;
}

/* As store_apply() does it, but that the record is there already. */
static enum rc index_new(
    struct store *store, MDB_txn *txn, struct observation *obs, int *err, struct errmsg *why)
{
	struct observation old;

	enum rc rc = old_find(store, txn, obs, &old, err);
	if (rc == RC_OK && *err == 0 && !obs->tombstone)
		rc = store_clock_take(store, txn, obs, obs->seq, err, why);
	if (rc != RC_OK || *err != 0)
		return rc;
	if (old.seq != 0) {
		store_mark_changed(store, &old, obs->seq, DIRTY_SUPERSEDED);
		*err = store_supersede(store, txn, &old, obs->seq);
		if (*err == 0 && old.clock_id[0] != '\0')
			*err = store_clock_close(store, txn, old.seq);
	}
	if (*err == 0)
		*err = store_id_put(store, obs->obs_id, obs->seq);
	if (*err == 0)
		*err = store_blobref_put(store, txn, obs, obs->seq);
	if (*err != 0 || obs->tombstone)
		return RC_OK;
	struct store_entry entry = store_entry_of(obs, obs->seq);
	store_mark_changed(store, obs, obs->seq, DIRTY_LATE);
	*err = store_index_put(store, txn, &entry);
	if (*err == 0)
		*err = store_clock_settle(store, txn, obs->seq);
	return RC_OK;
}

static enum rc append_task(
    struct store *store, MDB_txn *txn, void *ctx, int *err, struct errmsg *why)
{
	const struct following *f = ctx;
	enum rc rc = RC_OK;

	for (size_t i = 0; i < f->n && rc == RC_OK && *err == 0; i++) {
		const struct store_raw *entry = &f->entries[i];
		MDB_val key = val(entry->key, entry->key_len);
		MDB_val value = val(entry->value, entry->value_len);
		struct observation obs;
		uint64_t seq = store_raw_seq(entry);
		if (seq != store->next_seq)
			return errmsg_rc(why, RC_INVALID, "record %llu comes where %llu belongs",
			    (unsigned long long)seq, (unsigned long long)store->next_seq);
		arena_reset(&store->old);
		rc = store_record_open(store, seq, &value, &store->scratch, &store->old, &obs, why);
		if (rc != RC_OK)
			return rc;
		store->next_seq++;
		*err = mdb_put(txn, store->dbi[DB_LOG], &key, &value, MDB_APPEND);
		if (*err == 0)
			rc = index_new(store, txn, &obs, err, why);
	}
	return rc;
}

/* ---- records written anew ---------------------------------------------------------------- */

/* A tombstone is sealed under the key that belongs to no day. */
static bool is_tombstone(const struct store_raw *entry)
{
	int32_t day;
	unsigned layer = 1;

	return store_raw_sealed_under(entry, &day, &layer) && layer == 0;
}

/* Out of the indexes with it, while its old value still opens. */
static enum rc index_drop(
    struct store *store, MDB_txn *txn, uint64_t seq, int *err, struct errmsg *why)
{
	struct observation obs;
	uint64_t current = 0;

	arena_reset(&store->old);
	enum rc rc = store_record_get(store, txn, seq, &store->scratch, &store->old, &obs, why);
	if (rc == RC_CORRUPT || (rc == RC_OK && obs.tombstone)) {
		errmsg_reset(why);
		return RC_OK; /* it was replaced before, by a run that was cut off */
	}
	if (rc != RC_OK)
		return rc;
	struct store_entry entry = store_entry_of(&obs, seq);
	*err = store_id_get(store, txn, obs.obs_id, &current);
	if (*err != 0 && *err != MDB_NOTFOUND)
		return RC_OK;
	*err = *err == 0 && current == seq ? store_index_del(store, txn, &entry)
					   : store_index_del_past(store, txn, &entry);
	if (*err == 0)
		*err = store_blobref_del(store, txn, &obs, seq);
	store_mark_changed(store, &obs, seq, DIRTY_FORGOTTEN);
	return RC_OK;
}

/* Bundles, vectors and a snapshot of what is here are under a key that is about to go. */
static int derived_drop(struct store *store, MDB_txn *txn, MDB_val *key)
{
	struct store_raw old = { .truth = STORE_TRUTH_LOG };
	int32_t day = 0;
	unsigned layer = 0;
	MDB_val value;

	int err = mdb_get(txn, store->dbi[DB_LOG], key, &value);
	if (err != 0)
		return err;
	old.value = value.mv_data;
	old.value_len = value.mv_size;
	if (!store_raw_sealed_under(&old, &day, &layer) || layer == 0)
		return 0;
	err = store_bundle_drop_day(store, txn, day, layer);
	if (err == 0)
		err = store_vector_drop_day(store, txn, day, layer);
	return err == 0 ? store_snapshot_void(store, txn) : err;
}

static enum rc replace_task(
    struct store *store, MDB_txn *txn, void *ctx, int *err, struct errmsg *why)
{
	const struct following *f = ctx;
	enum rc rc = RC_OK;

	for (size_t i = 0; i < f->n && rc == RC_OK && *err == 0; i++) {
		const struct store_raw *entry = &f->entries[i];
		MDB_val key = val(entry->key, entry->key_len);
		MDB_val value = val(entry->value, entry->value_len);
		uint64_t seq = store_raw_seq(entry);
		if (seq == 0 || seq >= store->next_seq)
			return errmsg_rc(
			    why, RC_INVALID, "record %llu is not here", (unsigned long long)seq);
		*err = derived_drop(store, txn, &key);
		if (*err == 0 && is_tombstone(entry))
			rc = index_drop(store, txn, seq, err, why);
		if (rc == RC_OK && *err == 0)
			*err = mdb_put(txn, store->dbi[DB_LOG], &key, &value, 0);
	}
	return rc;
}

static enum rc run(struct store *store, store_task_fn *task, const struct store_raw *entries,
    size_t n, struct errmsg *why)
{
	struct following f = { entries, n };

	if (n > STORE_FOLLOW_ENTRIES_MAX)
		return errmsg_rc(
		    why, RC_LIMIT, "more than %zu records at once", STORE_FOLLOW_ENTRIES_MAX);
	return n == 0 ? RC_OK : store_task_run(store, task, &f, why);
}

enum rc store_follow_append(
    struct store *store, const struct store_raw *entries, size_t n, struct errmsg *why)
{
	return run(store, append_task, entries, n, why);
}

enum rc store_follow_replace(
    struct store *store, const struct store_raw *entries, size_t n, struct errmsg *why)
{
	enum rc rc = run(store, replace_task, entries, n, why);

	if (rc == RC_OK && n > 0)
		atomic_fetch_add(&store->rewrites, 1);
	return rc;
}
