/*
 * Backup restore: a data node's directory from a backup.
 *
 * First what may be wrong with the call: another directory, another key.  Then
 * the backup is checked from end to end, before anything is made of it.
 */
#include <stdlib.h>
#include <string.h>

#include "backup/backup_blobs.h"
#include "backup/backup_dir.h"
#include "backup/backup_internal.h"
#include "backup/segment.h"
#include "base/wipe.h"
#include "os/file.h"
#include "store/store_raw.h"

struct restoring {
	const struct backup_restore *restore;
	struct manifest manifest;
	char *text; /* of the manifest */
	size_t text_len;
	struct keyring *keyring;
	uint64_t done, total;
};

/* Checking, copying and making indexes are thirds of the way. */
static bool progress_third(struct restoring *r, unsigned third, uint64_t done, uint64_t total)
{
	double part = total == 0 ? 1 : (double)done / (double)total;

	if (r->restore->progress == NULL)
		return true;
	return r->restore->progress(
	    r->restore->ctx, (uint64_t)(third * 1000 + part * 1000), UINT64_C(3000));
}

static bool progress_check(void *ctx, uint64_t done, uint64_t total)
{
	return progress_third(ctx, 0, done, total);
}

static bool progress_rebuild(void *ctx, uint64_t done, uint64_t total)
{
	return progress_third(ctx, 2, done, total);
}

static void name_fault(void *ctx, const char *text)
{
	errmsg_set(ctx, "the backup is damaged: %s", text);
}

/* Hashes alone: what they vouch for is opened once it has been copied. */
static enum rc check_backup(struct restoring *r, struct backup_checked *out, struct errmsg *why)
{
	struct errmsg fault = ERRMSG_INIT;
	struct backup_check check = { .dest = r->restore->dest,
		.report = name_fault,
		.report_ctx = &fault,
		.progress = progress_check,
		.ctx = r };

	enum rc rc = backup_verify(&check, out, why == NULL ? NULL : &fault);
	return rc == RC_OK ? rc : errmsg_rc(why, rc, "%s", errmsg_text(&fault, rc));
}

static enum rc open_keys(struct restoring *r, struct errmsg *why)
{
	const struct manifest_file *file = manifest_find(&r->manifest, MANIFEST_KEYRING);
	uint8_t *bytes = NULL, key[MANIFEST_KEY_BYTES];
	struct errmsg detail = ERRMSG_INIT;
	struct backup_path path;
	size_t len = 0;

	enum rc rc = backup_file_get(r->restore->dest, file, &bytes, &len, &detail);
	if (rc == RC_NOTFOUND || rc == RC_LIMIT)
		rc = RC_CORRUPT;
	if (rc != RC_OK)
		return errmsg_rc(why, rc, "%s%s", rc == RC_CORRUPT ? "the backup is damaged: " : "",
		    errmsg_text(&detail, rc));
	rc = backup_path(r->restore->dir, "keyring", &path, why);
	if (rc == RC_OK)
		rc = file_write_atomic(path.text, 0600, bytes, len, why);
	free(bytes);
	if (rc == RC_OK)
		rc = keyring_open(r->restore->dir, r->restore->unlock, &r->keyring, why);
	if (rc == RC_OK)
		rc = backup_mac_key(r->keyring, key);
	if (rc == RC_OK && manifest_authenticate(r->text, r->text_len, key, NULL) != RC_OK)
		rc = errmsg_rc(why, RC_CORRUPT,
		    "the backup is damaged: its manifest is not as it was written");
	wipe(key, sizeof(key));
	return rc;
}

static enum rc copy_segment(struct restoring *r, struct store_load *load,
    const struct manifest_file *file, struct errmsg *why)
{
	struct segment_reader *reader = NULL;
	uint8_t hash[SEGMENT_HASH_BYTES];
	struct store_raw entry;
	struct backup_path path;

	enum rc rc = backup_path(r->restore->dest, file->name, &path, why);
	if (rc == RC_OK)
		rc = segment_open(path.text, r->manifest.store_id, &reader, why);
	while (rc == RC_OK && (rc = segment_next(reader, &entry, why)) == RC_OK)
		rc = store_load_put(load, &entry, why);
	if (rc == RC_NOTFOUND) {
		/* It was whole when it was checked; disks that fail do so now. */
		segment_hash(reader, hash);
		rc = memcmp(hash, file->hash, sizeof(hash)) == 0
			 ? RC_OK
			 : errmsg_rc(why, RC_CORRUPT, "%s changed meanwhile", file->name);
	}
	segment_close(reader);
	r->done += file->bytes;
	if (rc == RC_OK && !progress_third(r, 1, r->done, r->total))
		rc = errmsg_rc(why, RC_CANCELLED, "the restore was broken off: run it again");
	return rc;
}

static enum rc copy_store(struct restoring *r, struct errmsg *why)
{
	const struct manifest_file *truth = manifest_find(&r->manifest, MANIFEST_TRUTH);
	struct store_load *load = NULL;

	enum rc rc = store_load_open(r->restore->dir, r->keyring, &load, why);
	if (rc == RC_OK)
		rc = copy_segment(r, load, truth, why);
	for (size_t i = 0; i < r->manifest.files_len && rc == RC_OK; i++) {
		if (r->manifest.files[i].kind == MANIFEST_LOG)
			rc = copy_segment(r, load, &r->manifest.files[i], why);
	}
	if (rc == RC_OK)
		return store_load_finish(load, progress_rebuild, r, why);
	store_load_close(load);
	return rc;
}

static enum rc copy_blobs(struct restoring *r, struct errmsg *why)
{
	const struct manifest_file *file = manifest_find(&r->manifest, MANIFEST_BLOBS);
	uint8_t *list = NULL;
	size_t len = 0;

	if (file == NULL)
		return RC_OK;
	enum rc rc = backup_file_get(r->restore->dest, file, &list, &len, why);
	if (rc == RC_OK)
		rc = backup_blobs_parse(list, len);
	if (rc == RC_OK)
		rc = backup_blobs_restore(r->restore->dest, r->restore->dir, list, len, why);
	free(list);
	return rc;
}

static enum rc adopt_state(struct restoring *r, struct errmsg *why)
{
	const struct manifest_file *file = manifest_find(&r->manifest, MANIFEST_STATE);
	uint8_t *bytes = NULL;
	struct buf plain;
	size_t len = 0;

	buf_init(&plain, BACKUP_STATE_BYTES_MAX);
	enum rc rc = backup_file_get(r->restore->dest, file, &bytes, &len, why);
	if (rc == RC_OK)
		rc = backup_unseal(r->keyring, bytes, len, &plain, why);
	if (rc == RC_OK)
		rc = r->restore->adopt(
		    r->restore->adopt_ctx, r->keyring, plain.bytes, plain.len, why);
	free(bytes);
	buf_fini(&plain);
	return rc;
}

static void name_store_fault(void *ctx, const char *text)
{
	errmsg_set(ctx, "the restored timeline is damaged: %s", text);
}

/* What was made is read from end to end before it counts. */
static enum rc verify_store(struct restoring *r, struct errmsg *why)
{
	struct store_config config = { .dir = r->restore->dir, .keyring = r->keyring };
	struct store *store = NULL;

	enum rc rc = store_open(&config, &store, why);
	if (rc == RC_OK)
		rc = store_verify(store, name_store_fault, why, NULL, why);
	store_close(store);
	return rc;
}

/* RC_OK: there is nothing left that the caller could put right. */
static enum rc begin(struct restoring *r, struct backup_checked *out, struct errmsg *why)
{
	const struct backup_restore *restore = r->restore;

	enum rc rc = backup_manifest_read(restore->dest, &r->text, &r->text_len, &r->manifest, why);
	for (size_t i = 0; i < r->manifest.files_len; i++)
		r->total += r->manifest.files[i].bytes;
	if (rc == RC_OK)
		rc = backup_dir_begin(restore->dir, why);
	if (rc != RC_OK)
		return rc;
	rc = open_keys(r, why);
	if (rc == RC_OK)
		rc = check_backup(r, out, why);
	if (rc != RC_OK)
		backup_dir_undo(restore->dir);
	return rc;
}

enum rc backup_restore(
    const struct backup_restore *restore, struct backup_checked *out, struct errmsg *why)
{
	struct restoring r = { .restore = restore };

	enum rc rc = begin(&r, out, why);
	if (rc == RC_OK)
		rc = copy_blobs(&r, why);
	if (rc == RC_OK)
		rc = copy_store(&r, why);
	if (rc == RC_OK)
		rc = adopt_state(&r, why);
	if (rc == RC_OK)
		rc = verify_store(&r, why);
	if (rc == RC_OK)
		rc = backup_dir_end(restore->dir, why);
	keyring_close(r.keyring);
	manifest_fini(&r.manifest);
	free(r.text);
	return rc;
}
