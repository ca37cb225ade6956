/* Store transactions: begin, end, the map's size, and reading one record. */
#include <errno.h>
#include <sys/statvfs.h>

#include "store/store_internal.h"

enum rc store_mdb_rc(int err)
{
	switch (err) {
	case 0:
		return RC_OK;
	case MDB_NOTFOUND:
		return RC_NOTFOUND;
	case ENOMEM:
		return RC_NOMEM;
	case ENOSPC:
	case EDQUOT:
	case MDB_MAP_FULL:
		return RC_FULL;
	case EACCES:
	case EPERM:
	case EROFS:
		return RC_DENIED;
	case MDB_READERS_FULL:
		return RC_BUSY;
	case MDB_TXN_FULL:
		return RC_LIMIT;
	case MDB_VERSION_MISMATCH:
		return RC_UNSUPPORTED;
	case MDB_CORRUPTED:
	case MDB_PAGE_NOTFOUND:
	case MDB_INVALID:
	case MDB_BAD_VALSIZE:
	case MDB_INCOMPATIBLE:
		return RC_CORRUPT;
	default:
		return RC_IO;
	}
}

enum rc store_mdb_error(struct errmsg *why, int err, const char *doing)
{
	return errmsg_rc(why, store_mdb_rc(err), "%s: %s", doing, mdb_strerror(err));
}

enum rc store_read_begin(struct store *store, MDB_txn **out, struct errmsg *why)
{
	(void)pthread_rwlock_rdlock(&store->map_lock);
	int err = mdb_txn_begin(store->env, NULL, MDB_RDONLY, out);
	if (err == 0)
		return RC_OK;
	(void)pthread_rwlock_unlock(&store->map_lock);
	return store_mdb_error(why, err, "the store cannot be read");
}

void store_read_end(struct store *store, MDB_txn *txn)
{
	mdb_txn_abort(txn);
	(void)pthread_rwlock_unlock(&store->map_lock);
}

uint64_t store_quota_for_appends(const struct store *store)
{
	uint64_t spare = store->quota_bytes / 16;

	if (spare > STORE_DISK_RESERVE_BYTES)
		spare = STORE_DISK_RESERVE_BYTES;
	return store->quota_bytes - spare;
}

static enum rc map_grow(struct store *store, uint64_t limit, struct errmsg *why)
{
	uint64_t step =
	    store->map_bytes > STORE_MAP_STEP_BYTES ? store->map_bytes : STORE_MAP_STEP_BYTES;
	uint64_t want = store->map_bytes + step;

	if (want > limit)
		want = limit;
	want -= want % store->page_bytes;
	if (want <= store->map_bytes)
		return errmsg_rc(why, RC_FULL,
		    "the store has reached its quota of %llu bytes: forget something, or raise it",
		    (unsigned long long)store->quota_bytes);
	(void)pthread_rwlock_wrlock(&store->map_lock);
	int err = mdb_env_set_mapsize(store->env, (size_t)want);
	if (err == 0)
		store->map_bytes = want;
	(void)pthread_rwlock_unlock(&store->map_lock);
	return err == 0 ? RC_OK : store_mdb_error(why, err, "the store's map cannot grow");
}

#define NO_QUOTA ((uint64_t)1 << 46)

enum rc store_map_grow(struct store *store, struct errmsg *why)
{
	return map_grow(store, store->quota_bytes == 0 ? NO_QUOTA : store->quota_bytes, why);
}

enum rc store_map_grow_appends(struct store *store, struct errmsg *why)
{
	return map_grow(
	    store, store->quota_bytes == 0 ? NO_QUOTA : store_quota_for_appends(store), why);
}

enum rc store_room_check(struct store *store, size_t bytes, struct errmsg *why)
{
	struct statvfs fs;

	if (statvfs(store->dir, &fs) != 0)
		return errmsg_errno(why, "cannot tell the free space of %s", store->dir);
	uint64_t room = (uint64_t)fs.f_bavail * fs.f_frsize;
	uint64_t reserve = store_reserve_bytes(&fs);
	if (!store_ballast_there(store))
		reserve *= 2; /* room that was let go of is not for appends */
	if (room < reserve + 2 * (uint64_t)bytes)
		return errmsg_rc(why, RC_FULL, "the disk is full: %llu bytes left for the timeline",
		    (unsigned long long)room);
	return RC_OK;
}

enum rc store_record_open(struct store *store, uint64_t seq, const MDB_val *value,
    struct buf *scratch, struct arena *arena, struct observation *out, struct errmsg *why)
{
	struct errmsg detail = ERRMSG_INIT;
	uint8_t bytes[8];
	MDB_val key = { sizeof(bytes), bytes };
	struct observation obs;

	store_put_be64(bytes, seq);
	buf_reset(scratch);
	enum rc rc = store_unseal(store, DB_LOG, &key, value, scratch, &detail);
	if (rc == RC_OK)
		rc = observation_decode(scratch->bytes, scratch->len, arena, &obs, &detail);
	if (rc == RC_NOTFOUND)
		rc = RC_CORRUPT;
	if (rc != RC_OK)
		return errmsg_rc(
		    why, rc, "log seq %llu: %s", (unsigned long long)seq, errmsg_text(&detail, rc));
	obs.seq = seq;
	*out = obs;
	return RC_OK;
}

enum rc store_record_get(struct store *store, MDB_txn *txn, uint64_t seq, struct buf *scratch,
    struct arena *arena, struct observation *out, struct errmsg *why)
{
	uint8_t bytes[8];
	MDB_val key = { sizeof(bytes), bytes }, value;

	store_put_be64(bytes, seq);
	int err = mdb_get(txn, store->dbi[DB_LOG], &key, &value);
	if (err == MDB_NOTFOUND)
		return RC_NOTFOUND;
	if (err != 0)
		return store_mdb_error(why, err, "the log cannot be read");
	enum rc rc = store_record_open(store, seq, &value, scratch, arena, out, why);
	uint64_t next_since;
	return rc == RC_OK ? store_clock_fill(store, txn, UINT64_MAX, out, &next_since, why) : rc;
}

enum rc store_cursor_read(struct store *store, MDB_txn *txn, uint64_t *seq, struct errmsg *why)
{
	MDB_cursor *cursor = NULL;
	MDB_val key, value;

	int err = mdb_cursor_open(txn, store->dbi[DB_LOG], &cursor);
	if (err == 0) {
		err = mdb_cursor_get(cursor, &key, &value, MDB_LAST);
		mdb_cursor_close(cursor);
	}
	*seq = 0;
	if (err == MDB_NOTFOUND)
		return RC_OK;
	if (err != 0)
		return store_mdb_error(why, err, "the log cannot be read");
	if (key.mv_size != 8)
		return errmsg_rc(why, RC_CORRUPT, "log: a key has a wrong size");
	*seq = store_get_be64(key.mv_data);
	return RC_OK;
}
