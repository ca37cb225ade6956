/*
 * Manifest: what a backup consists of.
 *
 * One small text file, DEST/manifest, replaced whole as the last step of a run,
 * so a backup is always what its manifest says:
 *
 *   hearth-backup 1
 *   store HEX32
 *   made NS
 *   cursor SEQ
 *   file KIND NAME BYTES HASH [FIRST LAST ID]      one a file; the last three: log
 *   mac HEX64                                      over every byte before it
 *
 * HASH is BLAKE2b-256 of the file.  The MAC is keyed by the keyring, so nobody
 * without the key can make, swap or shorten a backup unnoticed; the hashes can
 * be checked without the key.  Log files stand first and follow each other without a gap from
 * seq 1 to the cursor; ID is the obs_id of the last record.
 */
#ifndef BACKUP_MANIFEST_H
#define BACKUP_MANIFEST_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/errmsg.h"

#define MANIFEST_FILES_MAX ((size_t)65536)
#define MANIFEST_BYTES_MAX ((size_t)16 << 20)
#define MANIFEST_NAME_BYTES_MAX ((size_t)95)
#define MANIFEST_ID_BYTES ((size_t)16)
#define MANIFEST_HASH_BYTES ((size_t)32)
#define MANIFEST_KEY_BYTES ((size_t)32)

enum manifest_kind {
	MANIFEST_KEYRING, /* wrapped keys, as they lie in the directory */
	MANIFEST_MARKS,   /* store/keyring_marks.h */
	MANIFEST_STATE,   /* sealed: what the catalogue knows, the wire key */
	MANIFEST_TRUTH,   /* a segment of what is small and no log */
	MANIFEST_BLOBS,   /* the list of blobs */
	MANIFEST_LOG,     /* a segment of the log */
};
#define MANIFEST_KIND_COUNT 6

const char *manifest_kind_word(enum manifest_kind kind);

struct manifest_file {
	enum manifest_kind kind;
	char name[MANIFEST_NAME_BYTES_MAX + 1]; /* in DEST: letters, digits, '-', '.' */
	uint64_t bytes;
	uint8_t hash[MANIFEST_HASH_BYTES];
	uint64_t first_seq, last_seq;       /* LOG */
	uint8_t last_id[MANIFEST_ID_BYTES]; /* LOG; zeros: not known */
};

/* All zero is empty; manifest_fini() frees. */
struct manifest {
	uint8_t store_id[MANIFEST_ID_BYTES];
	int64_t made_ns;
	uint64_t cursor;
	struct manifest_file *files; /* [files_len] */
	size_t files_len, files_cap;
	uint8_t mac[MANIFEST_HASH_BYTES]; /* as read */
};

void manifest_fini(struct manifest *manifest);
enum rc manifest_add(
    struct manifest *manifest, const struct manifest_file *file, struct errmsg *why) RC_CHECK;

/* The one file of a kind that stands once; NULL. */
const struct manifest_file *manifest_find(const struct manifest *manifest, enum manifest_kind kind);

/* The text, with its MAC under `key`. */
enum rc manifest_encode(const struct manifest *manifest, const uint8_t key[MANIFEST_KEY_BYTES],
    struct buf *out) RC_CHECK;

/* Read into an empty manifest.  RC_CORRUPT, RC_UNSUPPORTED (a newer version);
 * the MAC is not checked. */
enum rc manifest_decode(
    const char *text, size_t len, struct manifest *out, struct errmsg *why) RC_CHECK;

/* RC_DENIED: made with another key, or changed. */
enum rc manifest_authenticate(const char *text, size_t len, const uint8_t key[MANIFEST_KEY_BYTES],
    struct errmsg *why) RC_CHECK;

#endif
