/*
 * Store: the encrypted timeline in one directory (LMDB).
 *
 * reference: timeline §5.  `log` (seq → record) is the truth; `time`
 * (layer|t|seq), `recent` and `dedup` (obs_id → seq) and the rest are derived and
 * can be rebuilt equal.  Values are XChaCha20-Poly1305 under random per-(day, layer)
 * keys of the keyring; lmdb.h is seen in this folder only.
 *
 * Threads: one writer thread owns every write transaction and commits groups;
 * store_append() from any thread blocks until its commit.  Readers are any
 * threads; a read transaction lives ≤ 1 s: scans hand out pages and resume by
 * key, so a visitor may take its time without holding the store back.
 * Invariants:
 *  S1  acknowledged (store_append returned RC_OK) ⇒ on disk, synced.
 *  S2  seq is dense from 1 and never reused.
 *  S3  sending an observation again is a no-op (duplicate); the same id with
 *      other content is a new seq that supersedes the old one.
 *  S4  a failed sync ends the process's use of the store: every later append is
 *      RC_IO until it is opened anew.
 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include "store/observation.h"

struct store;
struct keyring; /* store/keyring.h */
struct store_kept;
struct keyring_unlock;

struct store_config {
	const char *dir;            /* the data node's directory */
	struct keyring *keyring;    /* unlocked; borrowed until store_close */
	int64_t commit_interval_ns; /* longest wait for company; 0: 2 ms, ≤ 50 ms */
	size_t commit_records_max;  /* 0: 4096 */
	size_t queue_records_max;   /* bounded queue; 0: 65536 */
	size_t recent_ids_max;      /* kept apart from the index of all ids; 0: 61440 */
	uint64_t map_bytes;         /* LMDB map, grown by the writer; 0: 1 GiB start */
	uint64_t quota_bytes;       /* 0: none */
	bool read_only;
};

/*
 * Takes the directory's lock: RC_BUSY if another process serves it.  RC_CORRUPT
 * or RC_DENIED (wrong key), RC_UNSUPPORTED (a newer format, a network file
 * system), RC_NOTFOUND (no store: run init).
 */
enum rc store_open(
    const struct store_config *config, struct store **out, struct errmsg *why) RC_CHECK;
void store_close(struct store *store);

/* Make an empty store; RC_EXISTS. */
enum rc store_create(const char *dir, struct keyring *keyring, struct errmsg *why) RC_CHECK;

/*
 * What `init` does: the directory (mode 0700, on a local disk), its keyring and
 * key file, an empty store.  An init that was cut off half-way is finished.
 * RC_EXISTS if there is a store already.
 */
enum rc store_init(
    const char *dir, const struct keyring_unlock *unlock, struct errmsg *why) RC_CHECK;

enum store_outcome { STORE_ACCEPTED, STORE_DUPLICATE, STORE_REJECTED };

struct store_result {
	enum store_outcome outcome;
	uint64_t seq; /* of the record, old one for a duplicate */
	uint8_t obs_id[OBS_ID_BYTES];
};

/*
 * Append `obs` [n] in order and wait for the commit; all or none.  Everything
 * in `obs` is borrowed for the call.  `results` [n] and `cursor` (the store's
 * newest seq after the commit) may be NULL.  RC_FULL: quota or disk, nothing
 * was stored; reads and deletes still work.  RC_AGAIN: queue full.  RC_IO: S4.
 */
enum rc store_append(struct store *store, const struct observation *obs, size_t n,
    struct store_result *results, uint64_t *cursor, struct errmsg *why) RC_CHECK;

/* Newest committed seq; 0 for an empty store.  Any thread, no I/O. */
uint64_t store_cursor(const struct store *store);

/* Wait until store_cursor() > `seq` or `timeout_ns` passed; returns the cursor.
 * Followers of the log (index, slices) block here. */
uint64_t store_wait(struct store *store, uint64_t seq, int64_t timeout_ns);
/* Whoever waits there looks up now, for another reason. */
void store_wake(struct store *store);

/*
 * Keep what is older than `before_ns` in bundles (whole days), from where
 * scans read it several times as fast.  The store does so by itself, a while
 * after a day is over and in moments without appends; this blocks until all is
 * done.  Appends go on beside it.
 */
enum rc store_build_bundles(struct store *store, int64_t before_ns, struct errmsg *why) RC_CHECK;

/* 16 random bytes made at creation: derived stores compare it. */
const uint8_t *store_id(const struct store *store);

/*
 * Visitor of a scan: `obs` lives until it returns.  false ends the scan.
 * Called outside of any transaction.
 */
typedef bool store_visit_fn(void *ctx, const struct observation *obs);

/* Records with seq > after_seq in order of seq, at most `limit` (0: all).
 * Superseded ones are included (log order is history).  In every scan a record
 * that cannot be read is passed over; the rest is visited, then the result is
 * RC_CORRUPT and `why` names the first of them. */
enum rc store_scan_log(struct store *store, uint64_t after_seq, size_t limit, store_visit_fn *visit,
    void *ctx, struct errmsg *why) RC_CHECK;

/* Position of a time scan; zero it to start. */
struct store_position {
	int64_t t0_ns;
	uint64_t seq;
	bool set;
};

struct store_range {
	int64_t from_ns, to_ns;  /* on the hub's time: observations that intersect
				    [from, to), intervals that began before `from`
				    and wide placements that reach into it included */
	unsigned layers;         /* LAYER_MASK bits; 0: all */
	const char *source;      /* NULL: all */
	uint64_t as_of_seq;      /* only records with seq ≤ it; 0: newest */
	bool all_versions;       /* superseded ones too, each where the newest maps place
				    it; as_of_seq is 0 */
	struct store_kept *kept; /* store_kept.h; NULL: every record is read anew */
};

/*
 * Current versions (not superseded, no tombstones) in order of (t0, seq) of
 * their placement's extent, merged over layers, at most `limit` (0: all) from `pos` on; `pos` (may
 * be NULL) is moved behind the last one visited.
 */
enum rc store_scan_time(struct store *store, const struct store_range *range,
    struct store_position *pos, size_t limit, store_visit_fn *visit, void *ctx,
    struct errmsg *why) RC_CHECK;

/* One record, copied into `arena`.  RC_NOTFOUND. */
enum rc store_get_seq(struct store *store, uint64_t seq, struct arena *arena,
    struct observation *out, struct errmsg *why) RC_CHECK;
/* Several, each placed as of `as_of_seq`.  RC_NOTFOUND, RC_CORRUPT of the first
 * that is not there. */
enum rc store_get_seqs(struct store *store, const uint64_t *seqs, size_t n, uint64_t as_of_seq,
    struct arena *arena, struct observation *out, struct errmsg *why) RC_CHECK;
enum rc store_get_id(struct store *store, const uint8_t obs_id[OBS_ID_BYTES], struct arena *arena,
    struct observation *out, struct errmsg *why) RC_CHECK;

/* obs_id of (source, client_id), or of the canonical payload without one. */
void store_obs_id(
    const struct store *store, const struct observation *obs, uint8_t out[OBS_ID_BYTES]);

struct store_stats {
	uint64_t records, bytes_used, map_bytes, commits, duplicates;
	int64_t first_ns, last_ns; /* of dev_t0, 0 when empty */
	int64_t commit_ns_p50, commit_ns_p99;
	uint64_t reader_behind; /* commits since the oldest read transaction began */
	unsigned reader_alarms; /* minutes for which one has held the same old snapshot */
};
enum rc store_get_stats(struct store *store, struct store_stats *out, struct errmsg *why) RC_CHECK;

/*
 * Reads everything and reports each fault ("log seq 17: does not decrypt");
 * RC_CORRUPT if there was any.  Works on a store that is being served, up to
 * the cursor at its start.  First the pages of the file (structure, so that the
 * rest may trust them; in one transaction, so pages freed meanwhile are kept
 * for that long), then log, time, span, past, dedup and seen against each other
 * in short transactions, last the blobs that records refer to.  At most
 * STORE_FAULTS_MAX faults are reported one by one; all are counted.
 */
#define STORE_FAULTS_MAX ((uint64_t)1000)
typedef void store_fault_fn(void *ctx, const char *fault);
struct store_verified {
	uint64_t records, time_entries, dedup_entries, faults;
	uint64_t pages, blobs;
};
enum rc store_verify(struct store *store, store_fault_fn *report, void *ctx,
    struct store_verified *out, struct errmsg *why) RC_CHECK;

#endif
