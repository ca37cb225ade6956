/*
 * Store apply: what one observation does to the databases.
 *
 * Writer thread, inside its transaction: duplicates are found, a new version
 * supersedes the old one, the record is sealed into the log and the derived
 * databases follow.  LMDB's own code goes to `err`, so that a full map can be
 * told from a full disk.
 */
#include <string.h>

#include "store/store_internal.h"

int store_seq_get(struct store *store, MDB_txn *txn, enum store_db db,
    const uint8_t id[OBS_ID_BYTES], uint64_t *seq)
{
	uint8_t bytes[OBS_ID_BYTES];
	MDB_val key = { sizeof(bytes), bytes }, value;

	memcpy(bytes, id, sizeof(bytes));
	int err = mdb_get(txn, store->dbi[db], &key, &value);
	if (err == 0 && value.mv_size != 8)
		return MDB_CORRUPTED;
	if (err == 0)
		*seq = store_get_be64(value.mv_data);
	return err;
}

int store_seq_put(struct store *store, MDB_txn *txn, enum store_db db,
    const uint8_t id[OBS_ID_BYTES], uint64_t seq)
{
	uint8_t id_bytes[OBS_ID_BYTES], seq_bytes[8];
	MDB_val key = { sizeof(id_bytes), id_bytes }, value = { sizeof(seq_bytes), seq_bytes };

	memcpy(id_bytes, id, sizeof(id_bytes));
	store_put_be64(seq_bytes, seq);
	return mdb_put(txn, store->dbi[db], &key, &value, 0);
}

void store_mark_changed(
    struct store *store, const struct observation *obs, uint64_t seq, enum dirty_cause cause)
{
	struct store_entry extent = store_entry_of(obs, seq);

	if (!observation_feeds_slices(obs))
		return;
	store_dirty_mark(store, &(struct store_dirty){
				    .from_ns = extent.t0_ns,
				    .to_ns = extent.t1_ns + 1,
				    .layers = LAYER_MASK(obs->layer),
				    .cause = cause,
				    .first_seq = seq,
				    .last_seq = seq,
				});
}

/* Seal and write one record and its index entries; `err` gets LMDB's code. */
static enum rc record_put(struct store *store, MDB_txn *txn, const struct observation *obs,
    const uint8_t *record, size_t len, uint64_t seq, int *err, struct errmsg *why)
{
	uint8_t seq_bytes[8];
	MDB_val key = { sizeof(seq_bytes), seq_bytes }, value;
	struct store_entry entry = store_entry_of(obs, seq);

	store_put_be64(seq_bytes, seq);
	buf_reset(&store->sealed);
	enum rc rc = store_seal(store, DB_LOG, &key, store_day(obs->dev_t0_ns),
	    (unsigned)obs->layer, record, len, &store->sealed, why);
	if (rc != RC_OK)
		return rc;
	value = (MDB_val){ store->sealed.len, store->sealed.bytes };
	*err = mdb_put(txn, store->dbi[DB_LOG], &key, &value, MDB_APPEND);
	if (*err == MDB_KEYEXIST)
		*err = MDB_CORRUPTED;
	if (*err == 0)
		*err = store_index_put(store, txn, &entry);
	if (*err == 0)
		*err = store_blobref_put(store, txn, obs, seq);
	return RC_OK;
}

enum rc store_plain_put(struct store *store, MDB_txn *txn, const struct store_plain *plain,
    const uint8_t *record, size_t len, uint64_t seq, int *err, struct errmsg *why)
{
	uint8_t seq_bytes[8];
	MDB_val key = { sizeof(seq_bytes), seq_bytes }, value;

	store_put_be64(seq_bytes, seq);
	buf_reset(&store->sealed);
	enum rc rc = store_seal(store, DB_LOG, &key, 0, 0, record, len, &store->sealed, why);
	if (rc != RC_OK)
		return rc;
	value = (MDB_val){ store->sealed.len, store->sealed.bytes };
	*err = mdb_put(txn, store->dbi[DB_LOG], &key, &value, MDB_APPEND);
	if (*err == MDB_KEYEXIST)
		*err = MDB_CORRUPTED;
	if (*err == 0)
		*err = store_id_put(store, plain->obs_id, seq);
	return RC_OK;
}

int store_supersede(struct store *store, MDB_txn *txn, const struct observation *old, uint64_t seq)
{
	uint8_t version[OBS_ID_BYTES];
	struct store_entry entry = store_entry_of(old, old->seq);

	entry.by_seq = seq;
	store_hash_version(store, old->obs_id, old->content_hash, version);
	int err = store_seq_put(store, txn, DB_SEEN, version, old->seq);
	return err != 0 || old->tombstone ? err : store_index_supersede(store, txn, &entry);
}

/*
 * Was the id there before?  Is this a duplicate (the current version, or one
 * before it, has this content)?  Otherwise `old` is the current version, which
 * the new record is to supersede; old->seq is 0 if there is none.
 */
static enum rc id_look(struct store *store, MDB_txn *txn, const struct store_plain *plain,
    struct observation *old, uint64_t *duplicate_seq, int *err, struct errmsg *why)
{
	uint8_t version[OBS_ID_BYTES];
	uint64_t current = 0;

	*duplicate_seq = 0;
	old->seq = 0;
	*err = store_id_get(store, txn, plain->obs_id, &current);
	if (*err == MDB_NOTFOUND) {
		*err = 0;
		return RC_OK;
	}
	if (*err != 0)
		return RC_OK;
	arena_reset(&store->old);
	enum rc rc = store_record_get(store, txn, current, &store->scratch, &store->old, old, NULL);
	if (rc == RC_CORRUPT || rc == RC_NOTFOUND) {
		old->seq = 0; /* nothing to compare with, so what comes now is kept */
		return RC_OK;
	}
	if (rc != RC_OK)
		return errmsg_rc(why, rc, "an earlier version cannot be read");
	if (old->tombstone || memcmp(old->content_hash, plain->content_hash, OBS_ID_BYTES) == 0) {
		*duplicate_seq = current;
		return RC_OK;
	}
	store_hash_version(store, plain->obs_id, plain->content_hash, version);
	*err = store_seq_get(store, txn, DB_SEEN, version, duplicate_seq);
	if (*err == MDB_NOTFOUND)
		*err = 0;
	return RC_OK;
}

/* A record that supersedes says so inside, so it is encoded again. */
static enum rc reencode(struct store *store, const struct observation *obs,
    const struct store_plain *plain, uint64_t supersedes_seq, struct errmsg *why)
{
	struct observation copy = *obs;

	memcpy(copy.obs_id, plain->obs_id, OBS_ID_BYTES);
	memcpy(copy.content_hash, plain->content_hash, OBS_ID_BYTES);
	copy.supersedes_seq = supersedes_seq;
	buf_reset(&store->scratch);
	return observation_encode(&copy, &store->scratch, why);
}

enum rc store_apply(struct store *store, MDB_txn *txn, const struct store_job *job, size_t i,
    struct store_result *result, int *err, struct errmsg *why)
{
	const struct store_plain *plain = &job->plain[i];
	const uint8_t *record = job->records->bytes + plain->begin;
	uint64_t duplicate_seq, seq = store->next_seq;
	size_t len = plain->len;
	struct observation old;

	enum rc rc = id_look(store, txn, plain, &old, &duplicate_seq, err, why);
	if (rc != RC_OK || *err != 0)
		return rc;
	memcpy(result->obs_id, plain->obs_id, OBS_ID_BYTES);
	result->outcome = duplicate_seq != 0 ? STORE_DUPLICATE : STORE_ACCEPTED;
	result->seq = duplicate_seq != 0 ? duplicate_seq : seq;
	if (duplicate_seq != 0) {
		store->group_duplicates++;
		return RC_OK;
	}
	*err = store_id_put(store, plain->obs_id, seq);
	if (*err != 0)
		return RC_OK;
	store->next_seq++;
	struct observation obs = job->obs[i];
	rc = store_clock_take(store, txn, &obs, seq, err, why);
	if (rc != RC_OK || *err != 0)
		return rc;
	if (old.seq != 0) {
		store_mark_changed(store, &old, seq, DIRTY_SUPERSEDED);
		*err = store_supersede(store, txn, &old, seq);
		if (*err == 0 && old.clock_id[0] != '\0')
			*err = store_clock_close(store, txn, old.seq);
		if (*err != 0)
			return RC_OK;
		rc = reencode(store, &job->obs[i], plain, old.seq, why);
		if (rc != RC_OK)
			return rc;
		record = store->scratch.bytes;
		len = store->scratch.len;
	}
	store_mark_changed(store, &obs, seq, DIRTY_LATE);
	rc = record_put(store, txn, &obs, record, len, seq, err, why);
	if (rc == RC_OK && *err == 0)
		*err = store_clock_settle(store, txn, seq);
	return rc;
}
