/*
 * Store forget, apply: what the writer thread does in a forgetting.
 *
 * Tasks of store_task_run(): each changes the transaction and the marks only,
 * and starts from its own beginning when it is run again.
 */
#ifndef STORE_STORE_FORGET_APPLY_H
#define STORE_STORE_FORGET_APPLY_H

#include "store/store_forget.h"
#include "store/store_internal.h"

/* One bit a layer for each day from 1900 to 2200. */
#define FORGET_DAY_FIRST (OBS_TIME_MIN_NS / NS_PER_DAY)
#define FORGET_DAYS ((size_t)(OBS_TIME_MAX_NS / NS_PER_DAY - FORGET_DAY_FIRST + 1))
/* Index of a day in such a table; days beyond it are the last one. */
size_t store_forget_day(int32_t day);
/* Is the sealed value under a key whose bit is set? */
bool store_forget_is_under(const MDB_val *value, const uint8_t *days);

/* The record that says what is forgotten, as it is appended; borrows `what`. */
struct observation store_forget_record(const struct store_forget *what);

struct store_forget_mark {
	struct observation record;
	char client_id[2 * OBS_ID_BYTES + 1];
	struct store_plain plain;
	struct buf bytes; /* the encoded record */
	uint64_t seq;     /* out */
};
enum rc store_forget_mark_make(struct store *store, const struct store_forget *what,
    struct store_forget_mark *mark, struct errmsg *why) RC_CHECK;
void store_forget_mark_fini(struct store_forget_mark *mark);

/* The record into the log, and that it is under way; ctx: store_forget_mark. */
enum rc store_forget_mark(
    struct store *store, MDB_txn *txn, void *ctx, int *err, struct errmsg *why) RC_CHECK;
/* ctx: the table of days whose keys retire. */
enum rc store_forget_retire(
    struct store *store, MDB_txn *txn, void *ctx, int *err, struct errmsg *why) RC_CHECK;

#define FORGET_BATCH 256
#define FORGET_BATCH_BYTES ((size_t)4 << 20)
struct store_forget_batch {
	const struct observation *forget; /* seq 0: nothing matches */
	const struct buf *memory;         /* seqs (u64, rising) of facts read from what goes */
	uint64_t seqs[FORGET_BATCH];
	size_t len;
	uint64_t forgotten, resealed; /* out */
	struct buf blobs;             /* out: names of files that a forgotten one referred to */
};
/* Each record becomes a tombstone or is sealed anew; ctx: store_forget_batch. */
enum rc store_forget_apply(
    struct store *store, MDB_txn *txn, void *ctx, int *err, struct errmsg *why) RC_CHECK;
/* It is done; ctx unused. */
enum rc store_forget_unmark(
    struct store *store, MDB_txn *txn, void *ctx, int *err, struct errmsg *why) RC_CHECK;

/* Seq of the record whose forgetting is under way, or 0. */
enum rc store_forget_marked(struct store *store, uint64_t *seq, struct errmsg *why) RC_CHECK;
/* Finish what was cut off; for store_open(). */
enum rc store_forget_resume(struct store *store, struct errmsg *why) RC_CHECK;

#endif
