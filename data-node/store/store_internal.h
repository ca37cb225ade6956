/*
 * Store internals: the databases, their keys, and who owns what.
 *
 * Databases of DIR/timeline/data.mdb (keys are big-endian, so that they sort):
 *   meta   "format", "store_id", "check", "lived" plain, plain, sealed, plain
 *   log    seq(8)                              sealed record: the truth
 *   time   layer(1) t0(8) seq(8)               empty; current versions
 *   span   layer(1) class(1) t0(8) seq(8) t1(8) empty; current versions, t1 > t0
 *   past   layer(1) class(1) t0(8) seq(8) t1(8) by(8) empty; superseded versions
 *   dedup  obs_id(16)                          seq(8) of the current version
 *   recent seq(8)                              obs_id(16) × n: store_id.h
 *   seen   hash(obs_id, content hash)(16)      seq(8) of a superseded version
 *   dirty  number(8)                           plain: store_dirty.h
 *   slice  grid(4) start(8) version(8)         sealed: store_slice.h
 *   episode start(8) from(8) until(8)          sealed: store_episode.h
 *   blobref name of a blob(32) seq(8)          empty; every record that refers to one
 *   clockmap                                   store_clock.h
 *   bundle layer(1) t0(8) seq(8)              sealed, and marks: store_bundle.h
 *   digest layer(1) level(1) start(8)         sealed: store_digest.h
 *   orphan name of a blob(32)                 plain: store_blob_sweep.c
 *   vector layer(1) day(4) seq(8)             sealed: store_vector.h
 *   snapshot number(4) part(4)                sealed, and a number: store_snapshot.h
 *
 * t0 and t1 are the hub's (store/placement.h), of a wide placement its extent.
 * A time is stored with its sign bit flipped.  `class` is the number of bits of
 * the duration t1 - t0 (0 for an instant): whatever of class c reaches over a
 * moment began within the 2^c ns before it, so an interval lookback reads one
 * bounded stretch of each class in use and never more than about twice what it
 * returns when durations spread evenly.  All but `log`, `clockmap`, `meta` and
 * `orphan` (what a sweep of blobs found: lost, it only waits longer) are derived.  What a clock map
 * has moved stands in `past` as well, by the record that brought the evidence.
 *
 * A sealed value is version(1) layer(1) day(4) nonce(24) ciphertext tag(16);
 * associated data: database name, 0, key, and the first six bytes.
 *
 * Threads: the writer thread (store_writer.c) owns every write transaction and
 * the map's size.  `map_lock` is held for reading by every read transaction,
 * for writing while the map grows.  `lock` guards the queue and the figures.
 */
#ifndef STORE_STORE_INTERNAL_H
#define STORE_STORE_INTERNAL_H

#include <lmdb.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/clock.h"
#include "os/gate.h"
#include "store/keyring.h"
#include "store/store.h"
#include "store/store_blob.h"
#include "store/store_dirty.h"
#include "store/store_id.h"
#include "store/store_lock.h"
#include "store/store_raw.h"

#define STORE_FORMAT 4u
#define STORE_VALUE_VERSION 1u
#define STORE_ID_BYTES 16
#define STORE_READERS_MAX 1024
#define STORE_MAP_FIRST_BYTES ((uint64_t)1 << 30)
#define STORE_MAP_STEP_BYTES ((uint64_t)1 << 30) /* grows by at least this */
#define STORE_DISK_RESERVE_BYTES ((uint64_t)16 << 20)
/* What urgent work wants to find free: LMDB takes a write cut short for an I/O
 * error, so a full disk must be noticed before. */
#define STORE_URGENT_BYTES ((uint64_t)128 << 10)
#define STORE_PAGE_RECORDS_MAX ((size_t)512)
#define STORE_PAGE_BYTES_MAX ((size_t)1 << 20) /* a page of a scan ends past it */
#define STORE_PAGE_ARENA_BYTES ((size_t)48 << 20)
#define STORE_READ_NS_MAX (NS_PER_S / 4) /* life of a read transaction */
/* A store up to this size has all its pages checked when it is opened. */
#define STORE_OPEN_CHECK_BYTES ((uint64_t)64 << 20)
#define STORE_BATCH_MAX ((size_t)1 << 20)
#define STORE_BATCH_BYTES_MAX ((size_t)128 << 20) /* encoded */
#define STORE_COMMIT_TIMES 1024
#define STORE_GATES 2
#define STORE_DIRTY_PENDING_MAX ((size_t)32)

#define STORE_HEAD_BYTES 6
#define STORE_NONCE_BYTES 24
#define STORE_NONCES 128
#define STORE_TAG_BYTES 16
#define STORE_SEAL_BYTES (STORE_HEAD_BYTES + STORE_NONCE_BYTES + STORE_TAG_BYTES)

#define STORE_TIME_KEY_BYTES 17
#define STORE_SPAN_KEY_BYTES 26
#define STORE_PAST_KEY_BYTES 34
#define STORE_CLASS_COUNT 64

enum store_db {
	DB_META,
	DB_LOG,
	DB_TIME,
	DB_SPAN,
	DB_PAST,
	DB_DEDUP,
	DB_SEEN,
	/* From here on: made when missing. */
	DB_DIRTY,
	DB_SLICE,
	DB_BLOBREF,
	DB_CLOCKMAP,
	DB_BUNDLE,
	DB_DIGEST,
	DB_ORPHAN,
	DB_VECTOR,
	DB_EPISODE,
	DB_RECENT,
	DB_SNAPSHOT,
	DB_COUNT,
};
#define DB_MADE_WHEN_MISSING DB_DIRTY

/* What the derived databases know of one record. */
struct store_entry {
	uint8_t layer;
	int64_t t0_ns, t1_ns;
	uint64_t seq;
	uint64_t by_seq; /* PAST: the seq that superseded it */
};

/* store_bundle.h: where the builder is.  Zeros, and `before_ns`, to begin with. */
struct store_bundle_progress {
	int64_t before_ns; /* days that end after it are left alone */
	bool more;         /* something is left to do */
	size_t records;    /* read in the last step */
	struct store_entry at;
	uint64_t touches;
};
struct store_bundle_task {
	struct store_bundle_progress in, out;
};

/* A day that was marked for the builder of bundles in this transaction. */
struct store_day_mark {
	bool set;
	int32_t day;
};

/*
 * What else the writer does inside its transaction.  Runs again from the start
 * when the map had to grow, so it changes nothing but the transaction and the
 * marks.  RC_OK with *err != 0: LMDB's code; either aborts the transaction.
 */
typedef enum rc store_task_fn(
    struct store *store, MDB_txn *txn, void *ctx, int *err, struct errmsg *why);

/* One append or task waiting for its commit; lives on its caller's stack. */
struct store_job {
	struct store_job *next;
	store_task_fn *task; /* NULL: an append of `n` records */
	void *task_ctx;
	bool urgent;                     /* of a task: store_task_run_urgent() */
	const struct observation *obs;   /* [n] */
	const struct store_plain *plain; /* [n] */
	const struct buf *records;       /* the encoded records of `plain` */
	size_t n;
	struct store_result *results; /* [n], may be NULL */
	enum rc rc;
	struct errmsg why;
	uint64_t cursor;
	size_t gate;      /* where its caller waits */
	atomic_bool done; /* set once, last */
};

/* What the caller's thread prepares: ids, hashes, encoded records. */
struct store_plain {
	uint8_t obs_id[OBS_ID_BYTES];
	uint8_t content_hash[OBS_ID_BYTES];
	size_t begin, len; /* of its bytes in store_job.records */
};

struct store {
	char dir[4096]; /* DIR/timeline */
	struct keyring *keyring;
	int64_t commit_interval_ns;
	size_t commit_records_max, queue_records_max;
	uint64_t quota_bytes;
	bool read_only;
	int lock_fd;
	uint8_t id[STORE_ID_BYTES];

	MDB_env *env;
	MDB_dbi dbi[DB_COUNT];
	pthread_rwlock_t map_lock;
	uint64_t map_bytes; /* writer; read under map_lock */
	size_t page_bytes;

	/* Held for reading from the check that blobs are there until the commit of
	 * what refers to them, for writing while one is removed. */
	pthread_rwlock_t blob_lock;
	struct blob_dir blobs;
	_Atomic uint64_t blob_bytes; /* of the files, once they were counted */
	atomic_bool blob_bytes_known;
	int64_t lived_mono_ns; /* up to here it is counted; whoever sweeps */

	pthread_mutex_t lock;
	pthread_cond_t work;      /* the queue has something, or stopping */
	pthread_cond_t committed; /* the cursor moved, or: */
	unsigned wakes;           /* store_wake() */
	struct store_job *queue, **queue_tail;
	size_t queue_records, queue_jobs;
	size_t wake_jobs; /* the writer sleeps until so many are queued; 0: until any is */
	struct gate gates[STORE_GATES]; /* the callers of one group wait at one of them */
	size_t gate_next;
	bool stopping, writer_started;
	pthread_t writer;
	atomic_bool failed; /* S4 */
	atomic_bool forgetting;
	_Atomic uint64_t rewrites; /* store_rewrites() */
	atomic_bool following;     /* store_follow.h */
	_Atomic uint64_t cursor;
	_Atomic int64_t built_ns; /* store_dirty.h: the frontier */
	uint64_t commits, duplicates;
	int64_t commit_ns[STORE_COMMIT_TIMES]; /* ring of the last ones */
	size_t commit_ns_len, commit_ns_next;

	pthread_t upkeep_thread;
	pthread_cond_t upkeep; /* stopping */
	bool upkeep_started;
	uint64_t upkeep_looks, upkeep_oldest; /* upkeep thread only */
	atomic_uint reader_alarms;            /* looks in a row that saw the same old reader */

	/* Writer thread only. */
	uint64_t next_seq, group_duplicates; /* of the transaction in progress */
	size_t jobs_expected;                /* how much company the next group may wait for */
	int64_t commit_ns_mean;              /* moving average */
	struct buf scratch, sealed;
	uint8_t nonces[STORE_NONCES][STORE_NONCE_BYTES]; /* drawn ahead: a system call each */
	size_t nonces_left;
	struct store_clock_desk *clocks;
	struct store_ids ids;
	bool bundle_loaded; /* store_bundle.h: */
	int64_t bundle_until_ns[LAYER_COUNT + 1];
	struct store_day_mark bundle_marked[LAYER_COUNT + 1];
	int32_t bundle_built_day;                 /* the newest day that the builder has been in */
	struct store_bundle_task bundle_task;     /* of the builder in quiet moments */
	uint64_t bundle_touches;                  /* so often something changed up to that day */
	bool digest_loaded;                       /* store_digest.h: */
	int64_t digest_until_ns[LAYER_COUNT + 1]; /* no row reaches beyond */
	_Atomic uint64_t digest_touches;          /* so often something changed before that */
	struct arena old;                         /* the version that is superseded */
	struct store_dirty dirty[STORE_DIRTY_PENDING_MAX]; /* of this transaction */
	size_t dirty_len;
};

/* ---- store_key.c: pure ------------------------------------------------- */
/* A text as a key: lives as long as `text`. */
MDB_val store_text_val(const char *text);
void store_put_be64(uint8_t out[8], uint64_t value);
uint64_t store_get_be64(const uint8_t in[8]);
unsigned store_class(int64_t t0_ns, int64_t t1_ns);
/* The earliest t0 of a thing of class `cls` that reaches beyond at_ns; the last
 * class (durations of 2^62 ns and more) has no bound. */
int64_t store_class_first_ns(unsigned cls, int64_t at_ns);
void store_time_key(const struct store_entry *entry, uint8_t out[STORE_TIME_KEY_BYTES]);
void store_span_key(const struct store_entry *entry, uint8_t out[STORE_SPAN_KEY_BYTES]);
void store_past_key(const struct store_entry *entry, uint8_t out[STORE_PAST_KEY_BYTES]);
/* How the record `seq` stands in the derived databases: by its placement. */
struct store_entry store_entry_of(const struct observation *obs, uint64_t seq);
void store_entry_at(
    const struct placement *place, uint8_t layer, uint64_t seq, struct store_entry *out);
/* RC_CORRUPT if the size or a field cannot be. */
enum rc store_entry_parse(enum store_db db, const MDB_val *key, struct store_entry *out) RC_CHECK;
int32_t store_day(int64_t utc_ns);
const char *store_db_name(enum store_db db);

/* ---- store_seal.c ------------------------------------------------------- */
/* Append the sealed value of `plain` to `out` (reset by the caller). */
enum rc store_seal(struct store *store, enum store_db db, const MDB_val *key, int32_t day,
    unsigned layer, const void *plain, size_t len, struct buf *out, struct errmsg *why) RC_CHECK;
/* Open a value into `out` (reset by the caller).  RC_CORRUPT, RC_NOTFOUND (its
 * key is gone), RC_UNSUPPORTED (newer version). */
enum rc store_unseal(struct store *store, enum store_db db, const MDB_val *key,
    const MDB_val *value, struct buf *out, struct errmsg *why) RC_CHECK;

/* ---- store_hash.c: keyed hashes ------------------------------------------ */
void store_hash(const struct store *store, const struct observation *obs,
    uint8_t obs_id[OBS_ID_BYTES], uint8_t content[OBS_ID_BYTES]);
/* A clock, and one boot of it. */
void store_hash_clock(const struct store *store, const char *clock, const char *boot,
    uint8_t clock_hash[OBS_ID_BYTES], uint8_t line_hash[OBS_ID_BYTES]);
/* The key of `seen`. */
void store_hash_version(const struct store *store, const uint8_t obs_id[OBS_ID_BYTES],
    const uint8_t content[OBS_ID_BYTES], uint8_t out[OBS_ID_BYTES]);

/* ---- store_txn.c ---------------------------------------------------------- */
enum rc store_mdb_rc(int err);
enum rc store_mdb_error(struct errmsg *why, int err, const char *doing);
enum rc store_read_begin(struct store *store, MDB_txn **out, struct errmsg *why) RC_CHECK;
void store_read_end(struct store *store, MDB_txn *txn);
/* Writer thread, no transaction open.  RC_FULL at the quota; appends leave a part
 * of it, so that forgetting has room to work in. */
enum rc store_map_grow(struct store *store, struct errmsg *why) RC_CHECK;
enum rc store_map_grow_appends(struct store *store, struct errmsg *why) RC_CHECK;
uint64_t store_quota_for_appends(const struct store *store);
/* RC_FULL if the disk would have less than its reserve left after `bytes`. */
enum rc store_room_check(struct store *store, size_t bytes, struct errmsg *why) RC_CHECK;
/* Decrypt and decode the record `seq` from its value; its place is that of a
 * source without a clock. */
enum rc store_record_open(struct store *store, uint64_t seq, const MDB_val *value,
    struct buf *scratch, struct arena *arena, struct observation *out, struct errmsg *why) RC_CHECK;
/* The same from the log, and its place as it is now. */
enum rc store_record_get(struct store *store, MDB_txn *txn, uint64_t seq, struct buf *scratch,
    struct arena *arena, struct observation *out, struct errmsg *why) RC_CHECK;
enum rc store_cursor_read(
    struct store *store, MDB_txn *txn, uint64_t *seq, struct errmsg *why) RC_CHECK;

/* ---- store_index.c: the derived databases, writer thread ------------------- */
int store_index_put(struct store *store, MDB_txn *txn, const struct store_entry *entry);
int store_index_supersede(struct store *store, MDB_txn *txn, const struct store_entry *old);
/* ---- store_digest.c: digests over what changed go; writer thread, LMDB's code -- */
int store_digest_touch(struct store *store, MDB_txn *txn, const struct store_entry *entry);
int store_digest_drop_all(struct store *store, MDB_txn *txn);
/* How many rows do not open. */
enum rc store_digest_verify(struct store *store, uint64_t *bad, struct errmsg *why) RC_CHECK;

/* ---- store_vector.c: vectors go with what they were made of; writer thread --------- */
/* Rows of records of that day, sealed under its key. */
int store_vector_drop_day(struct store *store, MDB_txn *txn, int32_t day, unsigned layer);
int store_vector_del(struct store *store, MDB_txn *txn, const struct observation *obs);
int store_vector_drop_all(struct store *store, MDB_txn *txn);

/* ---- store_snapshot.c: writer thread ------------------------------------------------ */
/* There is none any more, and none that is on its way will be put. */
int store_snapshot_void(struct store *store, MDB_txn *txn);
/* Likewise, and its key retires. */
enum rc store_snapshot_forget(
    struct store *store, MDB_txn *txn, int *err, struct errmsg *why) RC_CHECK;
int store_snapshot_drop_all(struct store *store, MDB_txn *txn);
/* How many of head and segments do not open. */
enum rc store_snapshot_verify(struct store *store, uint64_t *bad, struct errmsg *why) RC_CHECK;

/* ---- store_episode.c, store_slice.c: writer thread, LMDB's code --------------------- */
/* Rows that were made of slices in [from, to) go. */
int store_episode_touch(struct store *store, MDB_txn *txn, int64_t from_ns, int64_t to_ns);
/* Of a view: marks, state and cursor. */
struct store_slice_view;
enum rc store_slice_marks_read(struct store *store, MDB_txn *txn, struct arena *arena,
    struct store_slice_view *out, struct errmsg *why) RC_CHECK;

/* Is it in `time`? */
bool store_index_has(struct store *store, MDB_txn *txn, const struct store_entry *entry);

/* ---- store_clock.c: clock maps; writer thread, inside its transaction ---------- */
enum rc store_clock_desk_new(struct store *store) RC_CHECK;
void store_clock_desk_free(struct store *store);
/* After an aborted transaction: nothing at hand is in force. */
void store_clock_desk_clear(struct store *store);
/* Take in the record `seq` and set its place; before its entries are made. */
enum rc store_clock_take(struct store *store, MDB_txn *txn, struct observation *obs, uint64_t seq,
    int *err, struct errmsg *why) RC_CHECK;
/* Place anew what the record taken in last has changed; after its entries. */
int store_clock_settle(struct store *store, MDB_txn *txn, uint64_t seq);
/* A record that is superseded is not placed anew. */
int store_clock_close(struct store *store, MDB_txn *txn, uint64_t seq);
/* Write back what changed; before the commit. */
enum rc store_clock_flush(struct store *store, MDB_txn *txn, int *err, struct errmsg *why) RC_CHECK;

/* ---- store_clock_replay.c: before the writer thread starts ------------------------ */
/* No maps at all, or a replay that was cut off. */
bool store_clock_missing(struct store *store);
/* Make the maps from the log. */
enum rc store_clock_replay(struct store *store, struct errmsg *why) RC_CHECK;

/* ---- store_clock_read.c --------------------------------------------------------- */
/* Set obs->place as of a cursor (UINT64_MAX: now), if it names a clock;
 * `*next_since`: the record that placed it otherwise after that, 0 if none. */
enum rc store_clock_fill(struct store *store, MDB_txn *txn, uint64_t as_of_seq,
    struct observation *obs, uint64_t *next_since, struct errmsg *why) RC_CHECK;
/* Take away the entries of a current version, or of a superseded one; those that
 * are not there are no error. */
int store_index_del(struct store *store, MDB_txn *txn, const struct store_entry *entry);
int store_index_del_past(struct store *store, MDB_txn *txn, const struct store_entry *entry);

/* ---- store_open.c: a new store, made as DIR/timeline.new -------------------------- */
/* Open, with every database empty; RC_EXISTS. */
enum rc store_create_begin(
    const char *dir, struct keyring *keyring, struct store **out, struct errmsg *why) RC_CHECK;
/* Synced and renamed into its place; closes it, also on failure. */
enum rc store_create_end(struct store *store, struct errmsg *why) RC_CHECK;
void store_create_abandon(struct store *store);

/* ---- store_raw.c ---------------------------------------------------------------- */
/* DB_COUNT: no such one. */
enum store_db store_truth_db(enum store_truth truth);

/* ---- store_rebuild.c -------------------------------------------------------- */
/* Begin one: whoever opens the store next runs it.  LMDB's code. */
int store_rebuild_mark(struct store *store, MDB_txn *txn);
/* Is there a rebuild that was cut off? */
enum rc store_rebuild_marked(struct store *store, bool *out, struct errmsg *why) RC_CHECK;
/* Without a writer thread; see store_rebuild(). */
enum rc store_rebuild_run(struct store *store, store_progress_fn *progress, void *ctx,
    struct store_rebuilt *out, struct errmsg *why) RC_CHECK;

/* ---- store_blob.c ------------------------------------------------------------- */
enum rc store_blob_begin(struct store *store, const char *dir, struct errmsg *why) RC_CHECK;
/* Uploads that a crash cut off: before anything can be at it, whoever opens the
 * store for writing. */
void store_blob_clear_uploads(const struct store *store);
void store_blobref_key(const struct store *store, const uint8_t id[BLOB_ID_BYTES], uint64_t seq,
    uint8_t out[STORE_BLOBREF_KEY_BYTES]);
/* Writer thread: the references of the record `seq` come with it and go with it. */
int store_blobref_put(
    struct store *store, MDB_txn *txn, const struct observation *obs, uint64_t seq);
int store_blobref_del(
    struct store *store, MDB_txn *txn, const struct observation *obs, uint64_t seq);
/* The blobs of obs[n] are there, and stay until store_blob_release(). */
enum rc store_blob_hold(struct store *store, const struct observation *obs, size_t n, bool *held,
    struct errmsg *why) RC_CHECK;
void store_blob_release(struct store *store, bool *held);
/* Every reference and every file; the number of files into *blobs. */
enum rc store_blob_verify(struct store *store, store_fault_fn *report, void *ctx, uint64_t *blobs,
    struct errmsg *why) RC_CHECK;

/* ---- store_apply.c: one observation into the databases, writer thread -------- */
/* In dedup (store_id.h knows the rest) or seen; these return LMDB's code. */
int store_seq_get(struct store *store, MDB_txn *txn, enum store_db db,
    const uint8_t id[OBS_ID_BYTES], uint64_t *seq);
int store_seq_put(struct store *store, MDB_txn *txn, enum store_db db,
    const uint8_t id[OBS_ID_BYTES], uint64_t seq);
/* The current version `old` gives way to `seq`; its content stays known. */
int store_supersede(struct store *store, MDB_txn *txn, const struct observation *old, uint64_t seq);
/* Slices over `obs` are built anew because of record `seq`. */
void store_mark_changed(
    struct store *store, const struct observation *obs, uint64_t seq, enum dirty_cause cause);
/* RC_OK with *err != 0: LMDB's code; the transaction must be aborted. */
enum rc store_apply(struct store *store, MDB_txn *txn, const struct store_job *job, size_t i,
    struct store_result *result, int *err, struct errmsg *why) RC_CHECK;

/* ---- store_dirty.c: parts of the writer's transactions ----------------------------- */
/* These return LMDB's code. */
int store_dirty_flush(struct store *store, MDB_txn *txn);
int store_dirty_drop(struct store *store, MDB_txn *txn, uint64_t newest);
int store_dirty_frontier_put(struct store *store, MDB_txn *txn, int64_t built_ns);
enum rc store_dirty_read(struct store *store, MDB_txn *txn, struct arena *arena,
    struct store_dirty **out, size_t *len, uint64_t *newest, struct errmsg *why) RC_CHECK;
/* Run a task that puts the frontier to *built_ns (NULL: leaves it), so that no
 * mark is missed meanwhile. */
enum rc store_dirty_settle(struct store *store, store_task_fn *task, void *ctx,
    const int64_t *built_ns, struct errmsg *why) RC_CHECK;
/* Read the frontier at open. */
enum rc store_dirty_open(struct store *store, MDB_txn *txn, struct errmsg *why) RC_CHECK;

/* A record that is no observation: sealed under the key of no day and layer,
 * in no index but that of ids. */
enum rc store_plain_put(struct store *store, MDB_txn *txn, const struct store_plain *plain,
    const uint8_t *record, size_t len, uint64_t seq, int *err, struct errmsg *why) RC_CHECK;

/* ---- store_readers.c ------------------------------------------------------- */
struct store_readers {
	unsigned open;   /* read transactions */
	uint64_t behind; /* commits since the oldest of them began */
	uint64_t oldest; /* its number; 0: none is open */
};
enum rc store_readers_look(struct store *store, struct store_readers *out) RC_CHECK;

/* ---- store_ballast.c: DIR/ballast ------------------------------------------- */
struct statvfs;
/* What appends leave free on a disk of this size; also the ballast's size. */
uint64_t store_reserve_bytes(const struct statvfs *fs);
bool store_ballast_there(const struct store *store);
/* If there is ample room; else nothing. */
void store_ballast_make(const struct store *store);
/* True if that made room. */
bool store_ballast_release(const struct store *store);
/* Free bytes of the disk, as far as we may have them. */
uint64_t store_room_bytes(const struct store *store);
/* Room for urgent work, if need be that of the ballast.  RC_FULL. */
enum rc store_room_make(const struct store *store, struct errmsg *why) RC_CHECK;

/* ---- store_upkeep.c ---------------------------------------------------------- */
enum rc store_upkeep_start(struct store *store, struct errmsg *why) RC_CHECK;
void store_upkeep_stop(struct store *store);
/* One look, as its thread takes one every minute; not beside that thread. */
void store_upkeep_look(struct store *store);

/* ---- store_migrate.c: before there is a writer thread ------------------------ */
/*
 * One step of the format, from `from` to `from` + 1.  It may be cut off at any
 * instruction and is then run again from its start; the number moves in the
 * step's last transaction or in one of its own behind it.
 */
struct store_step {
	uint64_t from;
	const char *what; /* for people: "databases" */
	enum rc (*run)(struct store *store, struct errmsg *why);
};
/*
 * Bring the environment from its format to `target` by `steps` [steps_len].
 * RC_UNSUPPORTED: newer than `target` (the text has both numbers), older than
 * the first step, or it is older and opened for reading only.
 */
enum rc store_migrate(struct store *store, const struct store_step *steps, size_t steps_len,
    uint64_t target, struct errmsg *why) RC_CHECK;
/* The same with the program's own table, to STORE_FORMAT. */
enum rc store_format_check(struct store *store, struct errmsg *why) RC_CHECK;
/* One write transaction around `task`, repeated with a larger map if it is full. */
enum rc store_write(
    struct store *store, store_task_fn *task, void *ctx, struct errmsg *why) RC_CHECK;

/* ---- store_writer.c, store_append.c ------------------------------------------- */
/* The monotonic time in so many ns, for pthread_cond_timedwait(). */
void store_deadline(int64_t ns, struct timespec *out);
enum rc store_writer_start(struct store *store, struct errmsg *why) RC_CHECK;
/* Run `task` in a transaction of the writer, alone or with a group of appends,
 * and wait for its commit.  The errors of store_append(). */
enum rc store_task_run(
    struct store *store, store_task_fn *task, void *ctx, struct errmsg *why) RC_CHECK;
/* The same for what makes room or must not wait for it (forgetting): it may use
 * what appends leave of the quota, and the ballast. */
enum rc store_task_run_urgent(
    struct store *store, store_task_fn *task, void *ctx, struct errmsg *why) RC_CHECK;
/* Drains the queue, then joins. */
void store_writer_stop(struct store *store);

#endif
