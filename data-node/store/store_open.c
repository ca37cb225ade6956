/* Store open: make, open and close the environment of one directory. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/random.h"
#include "base/wipe.h"
#include "os/file.h"
#include "store/store_forget_apply.h"
#include "store/store_internal.h"
#include "store/store_pages.h"
#include "store/store_rebuild.h"

#define CHECK_TEXT "the keyring of this store"
#define OLD_ARENA_BYTES ((size_t)24 << 20)

static enum rc path_join(
    char *out, size_t cap, const char *dir, const char *name, struct errmsg *why)
{
	if (snprintf(out, cap, "%s/%s", dir, name) >= (int)cap)
		return errmsg_rc(why, RC_LIMIT, "path too long");
	return RC_OK;
}

static void store_free(struct store *store)
{
	if (store == NULL)
		return;
	if (store->env != NULL)
		mdb_env_close(store->env);
	if (store->lock_fd >= 0)
		(void)close(store->lock_fd);
	buf_fini(&store->scratch);
	buf_fini(&store->sealed);
	arena_fini(&store->old);
	store_clock_desk_free(store);
	store_id_close(store);
	(void)pthread_cond_destroy(&store->work);
	(void)pthread_cond_destroy(&store->committed);
	(void)pthread_cond_destroy(&store->upkeep);
	(void)pthread_mutex_destroy(&store->lock);
	(void)pthread_rwlock_destroy(&store->map_lock);
	(void)pthread_rwlock_destroy(&store->blob_lock);
	free(store);
}

/* Locks and limits; the writer is preferred so that a stream of readers
 * cannot keep the map from growing. */
static enum rc store_new(
    const char *dir, struct keyring *keyring, struct store **out, struct errmsg *why)
{
	pthread_rwlockattr_t rw;
	pthread_condattr_t mono;

	struct store *store = calloc(1, sizeof(*store));
	if (store == NULL)
		return RC_NOMEM;
	store->lock_fd = -1;
	store->bundle_built_day = INT32_MIN;
	store->keyring = keyring;
	store->queue_tail = &store->queue;
	buf_init(&store->scratch, OBS_RECORD_BYTES_MAX);
	buf_init(&store->sealed, OBS_RECORD_BYTES_MAX + STORE_SEAL_BYTES);
	arena_init(&store->old, OLD_ARENA_BYTES);
	(void)pthread_rwlockattr_init(&rw);
	(void)pthread_rwlockattr_setkind_np(&rw, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	(void)pthread_rwlock_init(&store->map_lock, &rw);
	(void)pthread_rwlock_init(&store->blob_lock, NULL);
	(void)pthread_rwlockattr_destroy(&rw);
	(void)pthread_condattr_init(&mono);
	(void)pthread_condattr_setclock(&mono, CLOCK_MONOTONIC);
	(void)pthread_mutex_init(&store->lock, NULL);
	(void)pthread_cond_init(&store->work, &mono);
	(void)pthread_cond_init(&store->committed, &mono);
	(void)pthread_cond_init(&store->upkeep, &mono);
	(void)pthread_condattr_destroy(&mono);
	enum rc rc = store_clock_desk_new(store);
	if (rc == RC_OK)
		rc = path_join(store->dir, sizeof(store->dir), dir, "timeline", why);
	if (rc == RC_OK)
		rc = store_blob_begin(store, dir, why);
	if (rc != RC_OK) {
		store_free(store);
		return rc;
	}
	*out = store;
	return RC_OK;
}

/* A file that ends before its last page would be a bus error to read: give it
 * its length back; what is missing reads as zeros and fails its checks. */
static enum rc file_extend(struct store *store, struct errmsg *why)
{
	MDB_envinfo info;
	struct stat st;
	mdb_filehandle_t fd;

	if (mdb_env_info(store->env, &info) != 0 || mdb_env_get_fd(store->env, &fd) != 0 ||
	    fstat(fd, &st) != 0)
		return errmsg_rc(why, RC_IO, "the data file cannot be looked at");
	uint64_t want = ((uint64_t)info.me_last_pgno + 1) * store->page_bytes;
	if ((uint64_t)st.st_size >= want)
		return RC_OK;
	if (want > (uint64_t)1 << 46)
		return errmsg_rc(why, RC_CORRUPT, "data.mdb: its header is damaged");
	if (store->read_only)
		return errmsg_rc(why, RC_CORRUPT, "data.mdb is cut off: %llu of %llu bytes",
		    (unsigned long long)st.st_size, (unsigned long long)want);
	if (ftruncate(fd, (off_t)want) != 0)
		return errmsg_errno(why, "the data file cannot get its length back");
	return RC_OK;
}

static enum rc env_open(struct store *store, struct errmsg *why)
{
	unsigned flags = MDB_NOTLS | (store->read_only ? MDB_RDONLY : 0);
	MDB_envinfo info;
	MDB_stat stat;
	int dead = 0;

	int err = mdb_env_create(&store->env);
	if (err == 0)
		err = mdb_env_set_maxdbs(store->env, DB_COUNT + 8);
	if (err == 0)
		err = mdb_env_set_maxreaders(store->env, STORE_READERS_MAX);
	if (err == 0)
		err = mdb_env_set_mapsize(store->env, (size_t)store->map_bytes);
	if (err == 0)
		err = mdb_env_open(store->env, store->dir, flags, 0600);
	if (err != 0)
		return store_mdb_error(why, err, "the timeline's data.mdb cannot be opened");
	err = mdb_reader_check(store->env, &dead);
	if (err == 0)
		err = mdb_env_info(store->env, &info);
	if (err == 0)
		err = mdb_env_stat(store->env, &stat);
	if (err != 0)
		return store_mdb_error(why, err, "the timeline's data.mdb cannot be read");
	store->map_bytes = info.me_mapsize;
	store->page_bytes = stat.ms_psize;
	return file_extend(store, why);
}

static void first_fault(void *ctx, const char *fault)
{
	errmsg_set(ctx, "data.mdb is damaged: %s", fault);
}

/* The database library follows whatever a page says, so a store of a size that
 * can be read in a moment is checked before it may; `verify` checks any size. */
static enum rc pages_check(struct store *store, struct errmsg *why)
{
	struct errmsg fault = ERRMSG_INIT;
	MDB_envinfo info;
	uint64_t pages;

	if (mdb_env_info(store->env, &info) != 0)
		return RC_BUG;
	if (((uint64_t)info.me_last_pgno + 1) * store->page_bytes > STORE_OPEN_CHECK_BYTES)
		return RC_OK;
	enum rc rc = store_pages_check(store, first_fault, &fault, &pages, why);
	if (rc == RC_OK && fault.text[0] != '\0')
		rc = errmsg_rc(why, RC_CORRUPT, "%s", fault.text);
	return rc;
}

/* The databases [first, end) of enum store_db. */
static enum rc databases_open(
    struct store *store, unsigned first, unsigned end, bool create, struct errmsg *why)
{
	MDB_txn *txn = NULL;

	int err = mdb_txn_begin(store->env, NULL, store->read_only ? MDB_RDONLY : 0, &txn);
	if (err != 0)
		return store_mdb_error(why, err, "the timeline cannot be read");
	for (unsigned db = first; db < end; db++) {
		bool make = create || (!store->read_only && db >= DB_MADE_WHEN_MISSING);
		err = mdb_dbi_open(
		    txn, store_db_name((enum store_db)db), make ? MDB_CREATE : 0, &store->dbi[db]);
		if (err != 0) {
			mdb_txn_abort(txn);
			return errmsg_rc(why, err == MDB_NOTFOUND ? RC_CORRUPT : store_mdb_rc(err),
			    "the timeline has no database '%s'", store_db_name((enum store_db)db));
		}
	}
	err = mdb_txn_commit(txn);
	return err == 0 ? RC_OK : store_mdb_error(why, err, "the timeline's databases");
}

static enum rc meta_put(struct store *store, struct errmsg *why)
{
	uint8_t format[8];
	MDB_val key, value;
	MDB_txn *txn = NULL;
	struct buf sealed;

	buf_init(&sealed, 256);
	store_put_be64(format, STORE_FORMAT);
	random_bytes(store->id, sizeof(store->id));
	key = store_text_val("check");
	enum rc rc =
	    store_seal(store, DB_META, &key, 0, 0, CHECK_TEXT, sizeof(CHECK_TEXT), &sealed, why);
	if (rc == RC_OK)
		rc = keyring_sync(store->keyring, why);
	if (rc != RC_OK)
		goto out;
	int err = mdb_txn_begin(store->env, NULL, 0, &txn);
	value = (MDB_val){ sealed.len, sealed.bytes };
	if (err == 0)
		err = mdb_put(txn, store->dbi[DB_META], &key, &value, 0);
	key = store_text_val("store_id");
	value = (MDB_val){ sizeof(store->id), store->id };
	if (err == 0)
		err = mdb_put(txn, store->dbi[DB_META], &key, &value, 0);
	key = store_text_val("format");
	value = (MDB_val){ sizeof(format), format };
	if (err == 0)
		err = mdb_put(txn, store->dbi[DB_META], &key, &value, 0);
	if (err == 0) {
		err = mdb_txn_commit(txn);
		txn = NULL;
	}
	if (txn != NULL)
		mdb_txn_abort(txn);
	if (err != 0)
		rc = store_mdb_error(why, err, "the timeline cannot be made");
out:
	buf_fini(&sealed);
	return rc;
}

/* Identity, and whether this keyring is the one it was made with. */
static enum rc meta_check(struct store *store, MDB_txn *txn, struct errmsg *why)
{
	struct buf plain;
	MDB_val key = store_text_val("store_id"), value;

	int err = mdb_get(txn, store->dbi[DB_META], &key, &value);
	if (err != 0 || value.mv_size != STORE_ID_BYTES)
		return errmsg_rc(why, RC_CORRUPT, "the timeline has no identity");
	memcpy(store->id, value.mv_data, STORE_ID_BYTES);
	key = store_text_val("check");
	err = mdb_get(txn, store->dbi[DB_META], &key, &value);
	if (err != 0)
		return errmsg_rc(why, RC_CORRUPT, "the timeline has no key check");
	buf_init(&plain, 256);
	struct errmsg detail = ERRMSG_INIT;
	enum rc rc = store_unseal(store, DB_META, &key, &value, &plain, &detail);
	buf_fini(&plain);
	if (rc == RC_CORRUPT || rc == RC_NOTFOUND)
		return errmsg_rc(why, RC_DENIED, "this keyring does not belong to this timeline");
	return rc;
}

static enum rc state_read(struct store *store, struct errmsg *why)
{
	MDB_txn *txn = NULL;
	uint64_t cursor = 0;

	enum rc rc = store_read_begin(store, &txn, why);
	if (rc != RC_OK)
		return rc;
	rc = meta_check(store, txn, why);
	if (rc == RC_OK)
		rc = store_cursor_read(store, txn, &cursor, why);
	if (rc == RC_OK)
		rc = store_dirty_open(store, txn, why);
	store_read_end(store, txn);
	atomic_store(&store->cursor, cursor);
	return rc;
}

static void config_apply(struct store *store, const struct store_config *config)
{
	int64_t interval = config->commit_interval_ns;

	store->commit_interval_ns = interval <= 0               ? 2 * NS_PER_MS
				    : interval > 50 * NS_PER_MS ? 50 * NS_PER_MS
								: interval;
	store->commit_records_max =
	    config->commit_records_max == 0 ? 4096 : config->commit_records_max;
	store->queue_records_max =
	    config->queue_records_max == 0 ? 65536 : config->queue_records_max;
	store->ids.recent_max =
	    config->recent_ids_max == 0 ? STORE_ID_RECENT_MAX : config->recent_ids_max;
	store->map_bytes = config->map_bytes == 0 ? STORE_MAP_FIRST_BYTES : config->map_bytes;
	store->quota_bytes = config->quota_bytes;
	if (store->quota_bytes != 0 && store->map_bytes > store_quota_for_appends(store))
		store->map_bytes = store_quota_for_appends(store);
	store->map_bytes -= store->map_bytes % (uint64_t)sysconf(_SC_PAGESIZE);
	store->read_only = config->read_only;
}

static enum rc data_file_check(const struct store *store, struct errmsg *why)
{
	char path[4200];

	(void)snprintf(path, sizeof(path), "%s/data.mdb", store->dir);
	if (!file_exists(path))
		return errmsg_rc(
		    why, RC_NOTFOUND, "no timeline at %s: run `data-node init` first", store->dir);
	return store_pages_check_head(path, why);
}

/* Open, but for the writer thread. */
static enum rc open_idle(const struct store_config *config, struct store **out, struct errmsg *why)
{
	struct store *store = NULL;

	enum rc rc = store_new(config->dir, config->keyring, &store, why);
	if (rc != RC_OK)
		return rc;
	config_apply(store, config);
	rc = store_lock(config->dir, config->read_only, &store->lock_fd, why);
	if (rc == RC_OK)
		rc = data_file_check(store, why);
	if (rc == RC_OK)
		rc = store_filesystem_check(store->dir, why);
	if (rc == RC_OK)
		rc = env_open(store, why);
	if (rc == RC_OK)
		rc = pages_check(store, why);
	if (rc == RC_OK)
		rc = databases_open(store, DB_META, DB_META + 1, false, why);
	if (rc == RC_OK)
		rc = store_format_check(store, why);
	if (rc == RC_OK)
		rc = databases_open(store, DB_META + 1, DB_COUNT, false, why);
	if (rc == RC_OK)
		rc = state_read(store, why);
	if (rc != RC_OK) {
		store_free(store);
		return rc;
	}
	*out = store;
	return RC_OK;
}

/* A rebuild that was cut off has left indexes that lack entries. */
static enum rc rebuild_finish(struct store *store, struct errmsg *why)
{
	bool marked = false;

	enum rc rc = store_rebuild_marked(store, &marked, why);
	if (rc != RC_OK || !marked)
		return rc;
	if (store->read_only)
		return errmsg_rc(why, RC_BUSY,
		    "a rebuild of %s was cut off: run `data-node rebuild`", store->dir);
	return store_rebuild_run(store, NULL, NULL, NULL, why);
}

enum rc store_open(const struct store_config *config, struct store **out, struct errmsg *why)
{
	struct store *store = NULL;

	enum rc rc = open_idle(config, &store, why);
	if (rc == RC_OK)
		rc = rebuild_finish(store, why);
	if (rc == RC_OK && !store->read_only)
		store_blob_clear_uploads(store);
	if (rc == RC_OK && !store->read_only)
		rc = store_id_open(store, why);
	if (rc == RC_OK && !store->read_only)
		rc = store_writer_start(store, why);
	if (rc == RC_OK && !store->read_only)
		rc = store_forget_resume(store, why);
	if (rc == RC_OK && !store->read_only)
		rc = store_upkeep_start(store, why);
	if (rc != RC_OK) {
		store_close(store);
		return rc;
	}
	*out = store;
	return RC_OK;
}

enum rc store_rebuild(const struct store_config *config, store_progress_fn *progress, void *ctx,
    struct store_rebuilt *out, struct errmsg *why)
{
	struct store *store = NULL;

	if (config->read_only)
		return errmsg_rc(why, RC_INVALID, "a store open for reading cannot be rebuilt");
	enum rc rc = open_idle(config, &store, why);
	if (rc == RC_OK)
		rc = store_rebuild_run(store, progress, ctx, out, why);
	store_free(store);
	return rc;
}

void store_close(struct store *store)
{
	if (store == NULL)
		return;
	store_upkeep_stop(store);
	store_writer_stop(store);
	store_free(store);
}

/* LMDB syncs what it writes, not the names of the files it makes. */
static enum rc names_sync(const struct store *store, struct errmsg *why)
{
	mdb_filehandle_t fd;

	if (mdb_env_get_fd(store->env, &fd) != 0 || fsync(fd) != 0)
		return errmsg_errno(why, "cannot sync %s", store->dir);
	return file_sync_dir(store->dir, why);
}

/* What a creation that was cut off has left. */
static enum rc rest_remove(const struct store *store, struct errmsg *why)
{
	static const char *const names[] = { "data.mdb", "lock.mdb" };
	char path[4200];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", store->dir, names[i]);
		if (unlink(path) != 0 && errno != ENOENT)
			return errmsg_errno(why, "cannot remove %s", path);
	}
	return RC_OK;
}

/* An empty environment with every database, in store->dir. */
static enum rc environment_make(struct store *store, struct errmsg *why)
{
	enum rc rc = file_mkdir(store->dir, 0700, why);

	if (rc == RC_OK)
		rc = rest_remove(store, why);
	if (rc == RC_OK && chmod(store->dir, 0700) != 0)
		rc = errmsg_errno(why, "cannot make %s private", store->dir);
	if (rc == RC_OK)
		rc = env_open(store, why);
	if (rc == RC_OK)
		rc = databases_open(store, DB_META, DB_COUNT, true, why);
	return rc;
}

enum rc store_create_begin(
    const char *dir, struct keyring *keyring, struct store **out, struct errmsg *why)
{
	struct store *store = NULL;
	struct store_config config = { .dir = dir, .keyring = keyring };

	enum rc rc = store_new(dir, keyring, &store, why);
	if (rc != RC_OK)
		return rc;
	config_apply(store, &config);
	rc = file_mkdir(dir, 0700, why);
	if (rc == RC_OK)
		rc = store_filesystem_check(dir, why);
	if (rc == RC_OK)
		rc = store_lock(dir, false, &store->lock_fd, why);
	if (rc == RC_OK && data_file_check(store, NULL) != RC_NOTFOUND)
		rc = errmsg_rc(why, RC_EXISTS, "%s holds a timeline already", dir);
	if (rc == RC_OK && chmod(dir, 0700) != 0)
		rc = errmsg_errno(why, "cannot make %s private", dir);
	if (rc == RC_OK)
		rc = path_join(store->dir, sizeof(store->dir), dir, "timeline.new", why);
	if (rc == RC_OK)
		rc = environment_make(store, why);
	if (rc != RC_OK) {
		store_free(store);
		return rc;
	}
	*out = store;
	return RC_OK;
}

enum rc store_create_end(struct store *store, struct errmsg *why)
{
	char place[sizeof(store->dir)], dir[sizeof(store->dir)];

	enum rc rc = names_sync(store, why);
	mdb_env_close(store->env);
	store->env = NULL;
	memcpy(place, store->dir, sizeof(place));
	*strrchr(place, '.') = '\0'; /* timeline.new */
	memcpy(dir, place, sizeof(dir));
	*strrchr(dir, '/') = '\0';
	if (rc == RC_OK && rename(store->dir, place) != 0)
		rc = errmsg_errno(why, "cannot make %s", place);
	if (rc == RC_OK)
		rc = file_sync_dir(dir, why);
	store_free(store);
	return rc;
}

void store_create_abandon(struct store *store)
{
	store_free(store);
}

/* Made beside its place and renamed: there is a whole store or none. */
enum rc store_create(const char *dir, struct keyring *keyring, struct errmsg *why)
{
	struct store *store = NULL;

	enum rc rc = store_create_begin(dir, keyring, &store, why);
	if (rc != RC_OK)
		return rc;
	rc = meta_put(store, why);
	if (rc == RC_OK)
		return store_create_end(store, why);
	store_free(store);
	return rc;
}

const uint8_t *store_id(const struct store *store)
{
	return store->id;
}
