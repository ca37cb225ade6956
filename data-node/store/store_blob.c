/* Store blobs: references, room, and sweeping. */
#include "store/store_blob.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/hex.h"
#include "os/file.h"
#include "store/store_internal.h"

#define FOLDERS 256
#define NEW_TEXT "new"

const struct blob_dir *store_blobs(const struct store *store)
{
	return &store->blobs;
}

enum rc store_blob_begin(struct store *store, const char *dir, struct errmsg *why)
{
	if (snprintf(store->blobs.path, sizeof(store->blobs.path), "%s/blobs", dir) >=
	    (int)sizeof(store->blobs.path))
		return errmsg_rc(why, RC_LIMIT, "path too long");
	store->blobs.secret = keyring_dedup_key(store->keyring);
	return RC_OK;
}

/* ---- references ------------------------------------------------------------------ */

void store_blobref_key(const struct store *store, const uint8_t id[BLOB_ID_BYTES], uint64_t seq,
    uint8_t out[STORE_BLOBREF_KEY_BYTES])
{
	blob_name(&store->blobs, id, out);
	store_put_be64(out + BLOB_NAME_BYTES, seq);
}

int store_blobref_put(
    struct store *store, MDB_txn *txn, const struct observation *obs, uint64_t seq)
{
	uint8_t bytes[STORE_BLOBREF_KEY_BYTES];
	MDB_val key = { sizeof(bytes), bytes }, value = { 0, NULL };
	int err = 0;

	for (size_t i = 0; i < obs->blobs_len && err == 0; i++) {
		store_blobref_key(store, obs->blobs[i], seq, bytes);
		err = mdb_put(txn, store->dbi[DB_BLOBREF], &key, &value, 0);
	}
	return err;
}

int store_blobref_del(
    struct store *store, MDB_txn *txn, const struct observation *obs, uint64_t seq)
{
	uint8_t bytes[STORE_BLOBREF_KEY_BYTES];
	MDB_val key = { sizeof(bytes), bytes };
	int err = 0;

	for (size_t i = 0; i < obs->blobs_len && err == 0; i++) {
		store_blobref_key(store, obs->blobs[i], seq, bytes);
		err = mdb_del(txn, store->dbi[DB_BLOBREF], &key, NULL);
		if (err == MDB_NOTFOUND)
			err = 0; /* the same blob twice in a record */
	}
	return err;
}

enum rc store_blob_check(struct store *store, const struct observation *obs, struct errmsg *why)
{
	uint8_t name[BLOB_NAME_BYTES];
	uint64_t bytes;
	int64_t mtime_s;

	for (size_t i = 0; i < obs->blobs_len; i++) {
		blob_name(&store->blobs, obs->blobs[i], name);
		enum rc rc = blob_stat(&store->blobs, name, &bytes, &mtime_s, NULL);
		if (rc != RC_OK)
			return errmsg_rc(why, rc, "blob: there is none of this id");
	}
	return RC_OK;
}

enum rc store_blob_hold(
    struct store *store, const struct observation *obs, size_t n, bool *held, struct errmsg *why)
{
	enum rc rc = RC_OK;

	*held = false;
	for (size_t i = 0; i < n && rc == RC_OK; i++) {
		if (obs[i].blobs_len == 0)
			continue;
		if (!*held)
			(void)pthread_rwlock_rdlock(&store->blob_lock);
		*held = true;
		rc = store_blob_check(store, &obs[i], why);
	}
	if (rc != RC_OK)
		store_blob_release(store, held);
	return rc;
}

void store_blob_release(struct store *store, bool *held)
{
	if (*held)
		(void)pthread_rwlock_unlock(&store->blob_lock);
	*held = false;
}

/* ---- the files -------------------------------------------------------------------- */

/* One folder of files; names that are none of ours are passed over. */
static enum rc folder_each(struct store *store, unsigned folder, store_blob_fn *visit, void *ctx,
    bool *on, struct errmsg *why)
{
	char path[BLOB_PATH_BYTES], text[2 * BLOB_NAME_BYTES + 1];
	uint8_t name[BLOB_NAME_BYTES];
	struct dirent *entry;

	(void)snprintf(path, sizeof(path), "%s/%02x", store->blobs.path, folder);
	DIR *dir = opendir(path);
	if (dir == NULL)
		return errno == ENOENT ? RC_OK : errmsg_errno(why, "a folder of blobs");
	while (*on && (entry = readdir(dir)) != NULL) {
		int len = snprintf(text, sizeof(text), "%02x%.62s", folder, entry->d_name);
		if (len == 2 * BLOB_NAME_BYTES && strlen(entry->d_name) == 62 &&
		    hex_decode(text, name, sizeof(name)) == RC_OK)
			*on = visit(ctx, name);
	}
	(void)closedir(dir);
	return RC_OK;
}

enum rc store_blob_each(struct store *store, store_blob_fn *visit, void *ctx, struct errmsg *why)
{
	enum rc rc = RC_OK;
	bool on = true;

	for (unsigned folder = 0; folder < FOLDERS && on && rc == RC_OK; folder++)
		rc = folder_each(store, folder, visit, ctx, &on, why);
	return rc;
}

struct usage {
	struct store *store;
	struct store_blob_use use;
};

static bool use_add(void *ctx, const uint8_t name[BLOB_NAME_BYTES])
{
	struct usage *usage = ctx;
	uint64_t bytes;
	int64_t mtime_s;

	if (blob_stat(&usage->store->blobs, name, &bytes, &mtime_s, NULL) == RC_OK) {
		usage->use.blobs++;
		usage->use.bytes += bytes;
	}
	return true;
}

enum rc store_blob_usage(struct store *store, struct store_blob_use *out, struct errmsg *why)
{
	struct usage usage = { .store = store };

	enum rc rc = store_blob_each(store, use_add, &usage, why);
	if (rc == RC_OK) {
		*out = usage.use;
		atomic_store(&store->blob_bytes, usage.use.bytes);
		atomic_store(&store->blob_bytes_known, true);
	}
	return rc;
}

enum rc store_blob_room(struct store *store, uint64_t bytes, struct errmsg *why)
{
	struct store_blob_use use;
	MDB_envinfo info;

	if (store->read_only)
		return errmsg_rc(why, RC_DENIED, "the store is open for reading only");
	if (bytes > BLOB_BYTES_MAX)
		return errmsg_rc(why, RC_LIMIT, "a blob has at most %llu bytes: send pieces",
		    (unsigned long long)BLOB_BYTES_MAX);
	enum rc rc = store_room_check(store, (size_t)bytes, why);
	if (rc != RC_OK || store->quota_bytes == 0)
		return rc;
	if (!atomic_load(&store->blob_bytes_known)) {
		rc = store_blob_usage(store, &use, why);
		if (rc != RC_OK)
			return rc;
	}
	if (mdb_env_info(store->env, &info) != 0)
		return RC_BUG;
	uint64_t used =
	    ((uint64_t)info.me_last_pgno + 1) * store->page_bytes + atomic_load(&store->blob_bytes);
	if (used + bytes > store->quota_bytes)
		return errmsg_rc(why, RC_FULL, "the store has reached its quota of %llu bytes",
		    (unsigned long long)store->quota_bytes);
	return RC_OK;
}

void store_blob_added(struct store *store, uint64_t bytes)
{
	atomic_fetch_add(&store->blob_bytes, bytes);
}

/* ---- what nobody refers to ------------------------------------------------------------ */

static enum rc referred(
    struct store *store, const uint8_t name[BLOB_NAME_BYTES], bool *out, struct errmsg *why)
{
	uint8_t bytes[BLOB_NAME_BYTES];
	MDB_val key = { sizeof(bytes), bytes }, value;
	MDB_cursor *cursor = NULL;
	MDB_txn *txn = NULL;

	memcpy(bytes, name, sizeof(bytes));
	enum rc rc = store_read_begin(store, &txn, why);
	if (rc != RC_OK)
		return rc;
	int err = mdb_cursor_open(txn, store->dbi[DB_BLOBREF], &cursor);
	if (err == 0)
		err = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
	*out = err == 0 && key.mv_size == STORE_BLOBREF_KEY_BYTES &&
	       memcmp(key.mv_data, name, BLOB_NAME_BYTES) == 0;
	if (cursor != NULL)
		mdb_cursor_close(cursor);
	store_read_end(store, txn);
	return err == 0 || err == MDB_NOTFOUND
		   ? RC_OK
		   : store_mdb_error(why, err, "the references of blobs cannot be read");
}

struct sweep {
	struct store *store;
	int64_t before_s; /* files changed later stay */
	uint64_t swept;
	enum rc rc;
	struct errmsg *why;
};

/* Nobody can come to refer to it while the lock is held. */
static void sweep_one(struct sweep *sweep, const uint8_t name[BLOB_NAME_BYTES])
{
	struct store *store = sweep->store;
	char path[BLOB_PATH_BYTES];
	uint64_t bytes = 0;
	int64_t mtime_s = 0;
	bool stays = true;

	(void)pthread_rwlock_wrlock(&store->blob_lock);
	enum rc rc = blob_stat(&store->blobs, name, &bytes, &mtime_s, sweep->why);
	if (rc == RC_OK && mtime_s <= sweep->before_s)
		rc = referred(store, name, &stays, sweep->why);
	if (rc == RC_OK && !stays) {
		blob_path(&store->blobs, name, path);
		if (unlink(path) != 0 && errno != ENOENT)
			rc = errmsg_errno(sweep->why, "a blob cannot be removed");
		else
			sweep->swept++;
	}
	(void)pthread_rwlock_unlock(&store->blob_lock);
	sweep->rc = rc == RC_NOTFOUND ? RC_OK : rc;
}

static bool sweep_visit(void *ctx, const uint8_t name[BLOB_NAME_BYTES])
{
	struct sweep *sweep = ctx;

	sweep_one(sweep, name);
	return sweep->rc == RC_OK;
}

/* Uploads that a crash cut off: the writer of a younger one may still be at it. */
static void sweep_new(const struct store *store, int64_t before_s)
{
	char path[BLOB_PATH_BYTES];
	struct dirent *entry;
	struct stat st;

	(void)snprintf(path, sizeof(path), "%s/" NEW_TEXT, store->blobs.path);
	DIR *dir = opendir(path);
	if (dir == NULL)
		return;
	while ((entry = readdir(dir)) != NULL) {
		if (fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    S_ISREG(st.st_mode) && (int64_t)st.st_mtime <= before_s)
			(void)unlinkat(dirfd(dir), entry->d_name, 0);
	}
	(void)closedir(dir);
}

enum rc store_blob_sweep(struct store *store, int64_t grace_s, uint64_t *swept, struct errmsg *why)
{
	struct sweep sweep = {
		.store = store, .before_s = clock_utc_ns() / NS_PER_S - grace_s, .why = why
	};
	struct store_blob_use use;

	sweep_new(store, clock_utc_ns() / NS_PER_S - STORE_BLOB_GRACE_S);
	enum rc rc = store_blob_each(store, sweep_visit, &sweep, why);
	if (rc == RC_OK)
		rc = sweep.rc;
	if (swept != NULL)
		*swept = sweep.swept;
	if (rc == RC_OK && sweep.swept > 0)
		rc = store_blob_usage(store, &use, why);
	return rc;
}

enum rc store_blob_drop(
    struct store *store, const uint8_t name[BLOB_NAME_BYTES], struct errmsg *why)
{
	struct sweep sweep = { .store = store, .before_s = INT64_MAX, .why = why };

	sweep_one(&sweep, name);
	if (sweep.swept > 0)
		atomic_store(&store->blob_bytes_known, false);
	return sweep.rc;
}
