/*
 * Backup blobs: the files under DEST/blobs and the list of them.
 *
 * A blob's file never changes under its name and is copied as it lies; what was
 * forgotten is not in the next list, and its file goes.  List: an entry of
 * BACKUP_BLOB_BYTES for each, sorted: name(32) bytes(8) hash(32).
 */
#ifndef BACKUP_BACKUP_BLOBS_H
#define BACKUP_BACKUP_BLOBS_H

#include "base/buf.h"
#include "base/errmsg.h"
#include "store/store_blob.h"

#define BACKUP_BLOB_HASH_BYTES ((size_t)32)
#define BACKUP_BLOB_BYTES (BLOB_NAME_BYTES + 8 + BACKUP_BLOB_HASH_BYTES)
#define BACKUP_BLOBS_BYTES_MAX ((size_t)192 << 20)

/* RC_CORRUPT: a wrong length, or out of order. */
enum rc backup_blobs_parse(const uint8_t *list, size_t len) RC_CHECK;

/* Copy what DEST lacks; `old` [old_len] is the list of before; the new one is
 * appended to `list`.  `written` grows by the bytes copied. */
enum rc backup_blobs_copy(struct store *store, const char *dest, const uint8_t *old, size_t old_len,
    struct buf *list, uint64_t *written, struct errmsg *why) RC_CHECK;

/* Remove files that are not in the list. */
enum rc backup_blobs_sweep(
    const char *dest, const uint8_t *list, size_t len, struct errmsg *why) RC_CHECK;

/* Read each file and compare; `report` hears of those that differ or are gone,
 * and they are counted; `bytes` grows by what was read. */
enum rc backup_blobs_check(const char *dest, const uint8_t *list, size_t len,
    store_fault_fn *report, void *ctx, uint64_t *faults, uint64_t *bytes,
    struct errmsg *why) RC_CHECK;

/* Copy all of them to DIR/blobs. */
enum rc backup_blobs_restore(const char *dest, const char *dir, const uint8_t *list, size_t len,
    struct errmsg *why) RC_CHECK;

#endif
