/*
 * Backup verify: every byte is read, hashed, taken apart; with keys, opened.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "backup/backup_blobs.h"
#include "backup/backup_internal.h"
#include "backup/segment.h"
#include "base/clock.h"
#include "base/wipe.h"
#include "store/keyring_marks.h"
#include "store/store_raw.h"

#define FAULT_BYTES 320
#define RECORD_ARENA_BYTES ((size_t)24 << 20)
#define PROGRESS_NS (NS_PER_S / 10)

struct checking {
	const struct backup_check *check;
	struct backup_checked out;
	struct manifest manifest;
	uint64_t total; /* bytes */
	int64_t shown_ns;
	struct keyring *keys;            /* the backup's own */
	struct store_raw_opener *opener; /* NULL: records stay closed */
	struct arena arena;
};

static void fault(struct checking *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void fault(struct checking *c, const char *fmt, ...)
{
	char text[FAULT_BYTES];
	va_list ap;

	if (++c->out.faults > STORE_FAULTS_MAX || c->check->report == NULL)
		return;
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	c->check->report(c->check->report_ctx, text);
}

static enum rc step(struct checking *c, struct errmsg *why)
{
	int64_t now_ns = clock_mono_ns();

	if (c->check->progress == NULL || now_ns - c->shown_ns < PROGRESS_NS)
		return RC_OK;
	c->shown_ns = now_ns;
	return c->check->progress(c->check->ctx, c->out.bytes, c->total)
		   ? RC_OK
		   : errmsg_rc(why, RC_CANCELLED, "the check was broken off");
}

/* An error of ours ends the check; one of the backup is a fault, and it goes on. */
static bool is_fault(enum rc rc)
{
	return rc == RC_CORRUPT || rc == RC_NOTFOUND || rc == RC_UNSUPPORTED || rc == RC_LIMIT ||
	       rc == RC_INVALID || rc == RC_DENIED;
}

/* ---- segments ---------------------------------------------------------------------------- */

struct segment_check {
	const struct manifest_file *file;
	uint64_t next_seq;
	uint8_t last_id[MANIFEST_ID_BYTES];
};

static enum rc check_entry(
    struct checking *c, struct segment_check *s, const struct store_raw *entry, struct errmsg *why)
{
	static const uint8_t unknown[MANIFEST_ID_BYTES];
	struct errmsg detail = ERRMSG_INIT;
	struct observation obs;

	if ((entry->truth == STORE_TRUTH_LOG) != (s->file->kind == MANIFEST_LOG)) {
		fault(c, "%s: an entry that does not belong there", s->file->name);
		return RC_OK;
	}
	if (entry->truth != STORE_TRUTH_LOG)
		return RC_OK;
	uint64_t seq = store_raw_seq(entry);
	if (seq != s->next_seq)
		fault(c, "%s: seq %" PRIu64 " where %" PRIu64 " belongs", s->file->name, seq,
		    s->next_seq);
	s->next_seq = seq + 1;
	c->out.records++;
	if (c->opener == NULL)
		return step(c, why);
	arena_reset(&c->arena);
	enum rc rc = store_raw_open(c->opener, entry, &c->arena, &obs, &detail);
	if (rc == RC_NOMEM)
		return rc;
	if (rc != RC_OK)
		fault(c, "%s: %s", s->file->name, errmsg_text(&detail, rc));
	else if (seq == s->file->last_seq &&
		 memcmp(s->file->last_id, unknown, sizeof(unknown)) != 0 &&
		 memcmp(s->file->last_id, obs.obs_id, MANIFEST_ID_BYTES) != 0)
		fault(c, "%s: ends with another record than the manifest says", s->file->name);
	return step(c, why);
}

static enum rc check_segment(
    struct checking *c, const struct manifest_file *file, struct errmsg *why)
{
	struct segment_check s = { .file = file, .next_seq = file->first_seq };
	uint8_t hash[SEGMENT_HASH_BYTES];
	struct errmsg detail = ERRMSG_INIT;
	struct segment_reader *reader = NULL;
	struct store_raw entry;
	struct backup_path path;

	enum rc rc = backup_path(c->check->dest, file->name, &path, why);
	if (rc != RC_OK)
		return rc;
	rc = segment_open(path.text, c->manifest.store_id, &reader, &detail);
	while (rc == RC_OK && (rc = segment_next(reader, &entry, &detail)) == RC_OK)
		rc = check_entry(c, &s, &entry, why);
	bool whole = reader != NULL && rc == RC_NOTFOUND;
	if (whole)
		segment_hash(reader, hash);
	segment_close(reader);
	if (whole && memcmp(hash, file->hash, sizeof(hash)) != 0)
		fault(c, "%s is damaged: its hash is another one", file->name);
	else if (whole && file->kind == MANIFEST_LOG && s.next_seq != file->last_seq + 1)
		fault(c, "%s ends at seq %" PRIu64 " instead of %" PRIu64, file->name,
		    s.next_seq - 1, file->last_seq);
	else if (!whole && is_fault(rc))
		fault(c, "%s: %s", file->name, errmsg_text(&detail, rc));
	if (whole || is_fault(rc))
		return RC_OK;
	return errmsg_rc(why, rc, "%s", errmsg_text(&detail, rc));
}

static void pass_fault(void *ctx, const char *text)
{
	struct checking *c = ctx;

	if (c->check->report != NULL)
		c->check->report(c->check->report_ctx, text);
}

static enum rc check_blobs(struct checking *c, const struct manifest_file *file,
    const uint8_t *list, size_t len, struct errmsg *why)
{
	if (backup_blobs_parse(list, len) != RC_OK)
		return errmsg_rc(why, RC_CORRUPT, "%s is malformed", file->name);
	c->out.files += len / BACKUP_BLOB_BYTES;
	return backup_blobs_check(
	    c->check->dest, list, len, pass_fault, c, &c->out.faults, &c->out.bytes, why);
}

static enum rc check_small(struct checking *c, const struct manifest_file *file, struct errmsg *why)
{
	struct errmsg detail = ERRMSG_INIT;
	uint8_t *bytes = NULL;
	struct buf plain;
	size_t len = 0;

	enum rc rc = backup_file_get(c->check->dest, file, &bytes, &len, &detail);
	if (rc == RC_OK && file->kind == MANIFEST_MARKS && keyring_marks_check(bytes, len) != RC_OK)
		rc = errmsg_rc(&detail, RC_CORRUPT, "%s is malformed", file->name);
	if (rc == RC_OK && file->kind == MANIFEST_STATE && c->check->keyring != NULL) {
		buf_init(&plain, BACKUP_STATE_BYTES_MAX);
		rc = backup_unseal(c->check->keyring, bytes, len, &plain, &detail);
		buf_fini(&plain);
	}
	if (rc == RC_OK && file->kind == MANIFEST_BLOBS)
		rc = check_blobs(c, file, bytes, len, &detail);
	free(bytes);
	if (rc == RC_OK)
		return RC_OK;
	if (!is_fault(rc))
		return errmsg_rc(why, rc, "%s", errmsg_text(&detail, rc));
	fault(c, "%s", errmsg_text(&detail, rc));
	return RC_OK;
}

/* ---- all of it ------------------------------------------------------------------------------ */

static enum rc check_manifest(struct checking *c, struct errmsg *why)
{
	uint8_t key[MANIFEST_KEY_BYTES];
	struct errmsg detail = ERRMSG_INIT;
	char *text = NULL;
	size_t len = 0;

	enum rc rc = backup_manifest_read(c->check->dest, &text, &len, &c->manifest, &detail);
	if (rc == RC_OK && c->check->keyring != NULL) {
		rc = backup_mac_key(c->check->keyring, key);
		if (rc == RC_OK)
			rc = manifest_authenticate(text, len, key, &detail);
		wipe(key, sizeof(key));
	}
	free(text);
	if (rc == RC_CORRUPT || rc == RC_DENIED)
		fault(c, "%s", errmsg_text(&detail, rc));
	if (rc == RC_OK || rc == RC_CORRUPT || rc == RC_DENIED)
		return RC_OK;
	return errmsg_rc(why, rc, "%s", errmsg_text(&detail, rc));
}

/* The backup's keyring, opened by way of ours. */
static enum rc open_keys(struct checking *c, struct errmsg *why)
{
	const struct manifest_file *file = manifest_find(&c->manifest, MANIFEST_KEYRING);
	struct errmsg detail = ERRMSG_INIT;
	uint8_t *bytes = NULL;
	size_t len = 0;

	if (c->check->keyring == NULL || file == NULL)
		return RC_OK;
	enum rc rc = backup_file_get(c->check->dest, file, &bytes, &len, &detail);
	if (rc == RC_OK)
		rc = keyring_open_copy(c->check->keyring, bytes, len, &c->keys, &detail);
	free(bytes);
	if (rc == RC_OK)
		return store_raw_opener_new(c->keys, &c->opener);
	if (!is_fault(rc))
		return errmsg_rc(why, rc, "%s", errmsg_text(&detail, rc));
	/* A damaged file is named with the others. */
	if (rc == RC_DENIED)
		fault(c, "%s: %s", file->name, errmsg_text(&detail, rc));
	return RC_OK;
}

static enum rc check_files(struct checking *c, struct errmsg *why)
{
	enum rc rc = open_keys(c, why);

	c->out.made_ns = c->manifest.made_ns;
	c->out.cursor = c->manifest.cursor;
	for (size_t i = 0; i < c->manifest.files_len; i++)
		c->total += c->manifest.files[i].bytes;
	for (size_t i = 0; i < c->manifest.files_len && rc == RC_OK; i++) {
		const struct manifest_file *file = &c->manifest.files[i];
		bool segment = file->kind == MANIFEST_LOG || file->kind == MANIFEST_TRUTH;
		rc = segment ? check_segment(c, file, why) : check_small(c, file, why);
		c->out.files++;
		c->out.bytes += file->bytes;
	}
	return rc;
}

enum rc backup_verify(
    const struct backup_check *check, struct backup_checked *out, struct errmsg *why)
{
	struct checking c = { .check = check };

	arena_init(&c.arena, RECORD_ARENA_BYTES);
	enum rc rc = check_manifest(&c, why);
	if (rc == RC_OK)
		rc = check_files(&c, why);
	store_raw_opener_free(c.opener);
	keyring_close(c.keys);
	arena_fini(&c.arena);
	manifest_fini(&c.manifest);
	*out = c.out;
	if (rc == RC_OK && c.out.faults > 0)
		rc = errmsg_rc(why, RC_CORRUPT, "%" PRIu64 " faults in the backup", c.out.faults);
	return rc;
}
