/*
 * Store blobs: which records refer to which files, and what nobody refers to.
 *
 * `blobref` (name of a blob's file | seq) has one entry for each record of the
 * log that refers to a blob, superseded versions included; it is derived from
 * the log.  A record is appended only while its blobs are in their places, and a
 * file goes only when no record refers to it, so references resolve after
 * every crash.  Any thread, unless it says otherwise.
 */
#ifndef STORE_STORE_BLOB_H
#define STORE_STORE_BLOB_H

#include "store/blob.h"
#include "store/store.h"

#define STORE_BLOBREF_KEY_BYTES (BLOB_NAME_BYTES + 8)
/* A blob is sent before the event that refers to it: so long it may wait, of the
 * time that the store is open. */
#define STORE_BLOB_GRACE_S INT64_C(86400)

/* For blob_write_open() and blob_open(); lives as long as the store. */
const struct blob_dir *store_blobs(const struct store *store);

/* RC_FULL: `bytes` more would pass the quota or fill the disk. */
enum rc store_blob_room(struct store *store, uint64_t bytes, struct errmsg *why) RC_CHECK;
/* Tell of a file that was written (it counts against the quota). */
void store_blob_added(struct store *store, uint64_t bytes);

/* RC_NOTFOUND if a blob that `obs` refers to is not there. */
enum rc store_blob_check(
    struct store *store, const struct observation *obs, struct errmsg *why) RC_CHECK;

struct store_blob_use {
	uint64_t blobs, bytes; /* files and what they take */
};
enum rc store_blob_usage(
    struct store *store, struct store_blob_use *out, struct errmsg *why) RC_CHECK;

/* Visit the name of each file in its place; false ends it.  What backups copy. */
typedef bool store_blob_fn(void *ctx, const uint8_t name[BLOB_NAME_BYTES]);
enum rc store_blob_each(
    struct store *store, store_blob_fn *visit, void *ctx, struct errmsg *why) RC_CHECK;

/*
 * Remove what no record refers to, and what another sweep found so before, at
 * least `grace_s` of time ago that the store was open in (no clock on the wall
 * decides); with a grace of 0 or less, at once.  One sweep at a time.
 */
enum rc store_blob_sweep(
    struct store *store, int64_t grace_s, uint64_t *swept, struct errmsg *why) RC_CHECK;

/* The same for one file, whatever its age; RC_OK also if it stays or is gone. */
enum rc store_blob_drop(
    struct store *store, const uint8_t name[BLOB_NAME_BYTES], struct errmsg *why) RC_CHECK;

#endif
