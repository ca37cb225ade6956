/* Store blobs: references and room. */
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
	store->lived_mono_ns = clock_mono_ns();
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

void store_blob_clear_uploads(const struct store *store)
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
		    S_ISREG(st.st_mode))
			(void)unlinkat(dirfd(dir), entry->d_name, 0);
	}
	(void)closedir(dir);
}
