/*
 * Backup: a copy of the timeline that grows with it.
 *
 * reference: timeline §5.  A directory DEST holds the log in files of at most
 * BACKUP_FILE_BYTES, everything sealed as it lies in the store, the keyring
 * (wrapped; the key file and the passphrase are never in it), the sealed state
 * of the catalogue and the blobs; DEST/manifest says which files these are.  The
 * first run copies the whole log, later ones what came after; where something
 * was forgotten since, the files that held it are written anew.  A run writes new
 * files beside the old ones and replaces the manifest as its last step: broken
 * off anywhere it leaves the backup as it was.
 *
 * The log is read in short transactions while the node serves, so no copy holds
 * the store back, and what is copied is the live values only.
 */
#ifndef BACKUP_BACKUP_H
#define BACKUP_BACKUP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "store/store.h"
#include "store/store_rebuild.h"

#define BACKUP_FILE_BYTES ((uint64_t)256 << 20)
/* A last log file smaller than this is written anew with what came after it, so
 * that small increments do not become many files. */
#define BACKUP_JOIN_BYTES ((uint64_t)16 << 20)
#define BACKUP_STATE_BYTES_MAX ((size_t)256 << 20)
#define BACKUP_PATH_BYTES_MAX ((size_t)3072)

struct backup_config {
	const char *dir;  /* the data node's directory */
	const char *dest; /* absolute */
	struct store *store;
	struct keyring *keyring;
	const uint8_t *state; /* [state_len], sealed into the backup */
	size_t state_len;
	store_progress_fn *progress; /* NULL */
	void *ctx;
	uint64_t file_bytes, join_bytes; /* 0: BACKUP_FILE_BYTES, BACKUP_JOIN_BYTES */
};

struct backup_result {
	bool base; /* there was nothing before */
	int64_t made_ns;
	uint64_t cursor;        /* of the store: all up to here is in it */
	uint64_t records;       /* written by this run */
	uint64_t bytes_written; /* by this run */
	uint64_t bytes, files;  /* of the whole backup */
};

/*
 * Bring DEST up to date.  Any thread; RC_BUSY if another run is at it.  RC_INVALID
 * for a DEST that lies inside the directory or holds it, RC_EXISTS if something
 * else is in it (not empty and no backup, or another timeline's), RC_DENIED if
 * its manifest was not made with this keyring, RC_FULL, RC_IO.  RC_CANCELLED:
 * `progress` said so.
 */
enum rc backup_run(
    const struct backup_config *config, struct backup_result *out, struct errmsg *why) RC_CHECK;

struct backup_checked {
	uint64_t files, bytes, records, faults;
	int64_t made_ns;
	uint64_t cursor;
};

/*
 * Read every file of the backup at `dest`, report each fault; RC_CORRUPT if
 * there was any.  With `keyring` (of that timeline; NULL: without) also that the
 * manifest is genuine and that each record opens with the keyring in the
 * backup.
 */
struct backup_check {
	const char *dest;
	struct keyring *keyring;
	store_fault_fn *report;
	void *report_ctx;
	store_progress_fn *progress;
	void *ctx;
};
enum rc backup_verify(
    const struct backup_check *check, struct backup_checked *out, struct errmsg *why) RC_CHECK;

/*
 * Make DIR (missing or empty, or what a restore that was broken off has left)
 * from the backup at `dest`: everything is checked first, then copied, indexes
 * made.  `unlock` names what no backup holds and is tried before the rest; a
 * key file outside DIR stays where it is.  DIR is left as it was where the key is
 * another one (RC_DENIED), something is in it (RC_EXISTS) or the backup is
 * damaged (RC_CORRUPT, and `why` names what).  The state is handed to `adopt`, which
 * makes the rest of the directory from it; only then is the restore complete.
 */
typedef enum rc backup_adopt_fn(
    void *ctx, struct keyring *keyring, const uint8_t *state, size_t len, struct errmsg *why);
struct keyring_unlock;
struct backup_restore {
	const char *dest, *dir;
	const struct keyring_unlock *unlock;
	backup_adopt_fn *adopt;
	void *adopt_ctx;
	store_progress_fn *progress;
	void *ctx;
};
enum rc backup_restore(
    const struct backup_restore *restore, struct backup_checked *out, struct errmsg *why) RC_CHECK;

#endif
