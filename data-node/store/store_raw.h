/*
 * Store raw: the truth of a store as the sealed bytes that lie on disk.
 *
 * What cannot be derived (the log and its like) is read and written here
 * without opening a value, so backups and followers carry ciphertext only and
 * a copy is made where the key is not.  A value is bound to its database and key
 * by its seal, so bytes put in a wrong place do not open.
 */
#ifndef STORE_STORE_RAW_H
#define STORE_STORE_RAW_H

#include "store/store.h"
#include "store/store_rebuild.h"

/* The databases that are not derived.  Stored and sent numbers: never reorder. */
enum store_truth {
	STORE_TRUTH_META = 1, /* whose store it is */
	STORE_TRUTH_LOG,
};
#define STORE_TRUTH_COUNT 2

#define STORE_RAW_KEY_BYTES_MAX ((size_t)64)
#define STORE_RAW_VALUE_BYTES_MAX (OBS_RECORD_BYTES_MAX + 64)
#define STORE_LOG_KEY_BYTES ((size_t)8)

struct store_raw {
	enum store_truth truth;
	const uint8_t *key, *value;
	size_t key_len, value_len;
};

/* Seq of an entry of the log; 0 if its key has a wrong size. */
uint64_t store_raw_seq(const struct store_raw *entry);

/* (UTC day, layer) of the key that seals the value; false: it is cut off. */
bool store_raw_sealed_under(const struct store_raw *entry, int32_t *day, unsigned *layer);

/* `entry` lives until it returns; false ends the scan.  Outside of transactions. */
typedef bool store_raw_fn(void *ctx, const struct store_raw *entry);

/*
 * The entries of one database in order of their keys, from behind `after`
 * [after_len] on (0: from the first), in short transactions.  What is written
 * meanwhile may be seen or not; an entry is always whole.
 */
enum rc store_raw_scan(struct store *store, enum store_truth truth, const uint8_t *after,
    size_t after_len, store_raw_fn *visit, void *ctx, struct errmsg *why) RC_CHECK;

/* The log's entries with seq > after_seq. */
enum rc store_raw_scan_log(struct store *store, uint64_t after_seq, store_raw_fn *visit, void *ctx,
    struct errmsg *why) RC_CHECK;

/* The log's entries of these seqs, in their order; one that is not there is left
 * out.  In short transactions. */
enum rc store_raw_get(struct store *store, const uint64_t *seqs, size_t n, store_raw_fn *visit,
    void *ctx, struct errmsg *why) RC_CHECK;

/* Opens entries of the log outside of a store. */
struct store_raw_opener;
enum rc store_raw_opener_new(struct keyring *keyring, struct store_raw_opener **out) RC_CHECK;
void store_raw_opener_free(struct store_raw_opener *opener);
/* Into `arena`.  RC_CORRUPT names the seq, also where its key is gone. */
enum rc store_raw_open(struct store_raw_opener *opener, const struct store_raw *entry,
    struct arena *arena, struct observation *out, struct errmsg *why) RC_CHECK;

/*
 * A store that is filled with entries of another one: DIR must hold the other's
 * keyring and no timeline.  The entries of META come first, those of a
 * database in order.  Closing without finishing leaves no store.
 */
struct store_load;

enum rc store_load_open(
    const char *dir, struct keyring *keyring, struct store_load **out, struct errmsg *why) RC_CHECK;
/* RC_INVALID: an entry that cannot be there, or out of order. */
enum rc store_load_put(
    struct store_load *load, const struct store_raw *entry, struct errmsg *why) RC_CHECK;
/* Synced, in its place, and every derived database made.  Frees `load`, also on
 * failure. */
enum rc store_load_finish(
    struct store_load *load, store_progress_fn *progress, void *ctx, struct errmsg *why) RC_CHECK;
void store_load_close(struct store_load *load);

#endif
