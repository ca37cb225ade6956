/* What the files of the backup share. */
#ifndef BACKUP_BACKUP_INTERNAL_H
#define BACKUP_BACKUP_INTERNAL_H

#include "backup/backup.h"
#include "backup/backup_seal.h"
#include "backup/manifest.h"
#include "store/keyring.h"

#define BACKUP_MANIFEST "manifest"
#define BACKUP_PART "unfinished" /* there until a first run is complete */
#define BACKUP_LOCK "lock"

struct backup_path {
	char text[4096];
};

/* DIR/NAME; RC_LIMIT. */
enum rc backup_path(
    const char *dir, const char *name, struct backup_path *out, struct errmsg *why) RC_CHECK;

/* ---- backup_place.c: is DEST a place for this backup? ----------------------------- */

/* RC_INVALID, RC_EXISTS, RC_UNSUPPORTED; makes DEST if it is missing, mode 0700. */
enum rc backup_place_take(const char *dir, const char *dest,
    const uint8_t store_id[MANIFEST_ID_BYTES], int *lock_fd, struct errmsg *why) RC_CHECK;

/* DEST's manifest as text (the caller frees) and read.  RC_NOTFOUND: no backup. */
enum rc backup_manifest_read(
    const char *dest, char **text, size_t *len, struct manifest *out, struct errmsg *why) RC_CHECK;

/* Remove what neither the manifest nor a run in progress needs. */
enum rc backup_place_sweep(
    const char *dest, const struct manifest *manifest, struct errmsg *why) RC_CHECK;

/* ---- backup_file.c: small files and seals ------------------------------------------- */

/* Key of the manifest's MAC. */
enum rc backup_mac_key(const struct keyring *keyring, uint8_t out[MANIFEST_KEY_BYTES]) RC_CHECK;

/* Write bytes as DEST/KIND-HASH, synced; fills `out`. */
enum rc backup_file_put(const char *dest, enum manifest_kind kind, const uint8_t *bytes, size_t len,
    struct manifest_file *out, struct errmsg *why) RC_CHECK;

/* Read one back, its size and hash checked; malloc'ed.  RC_CORRUPT, RC_NOTFOUND. */
enum rc backup_file_get(const char *dest, const struct manifest_file *file, uint8_t **out,
    size_t *len, struct errmsg *why) RC_CHECK;

#endif
