/*
 * Backup run: what is there, what is missing, what has to go; then the manifest.
 *
 * The log comes first and the keyring after it, so every key that a copied
 * record needs is in the copied keyring, unless something was forgotten in
 * between: then the marks of the keys differ and the run starts over.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backup/backup_blobs.h"
#include "backup/backup_internal.h"
#include "backup/segment.h"
#include "base/clock.h"
#include "base/hex.h"
#include "base/wipe.h"
#include "os/file.h"
#include "store/keyring_marks.h"
#include "store/store_raw.h"

#define TRIES_MAX 3
#define MARKS_BYTES_MAX ((size_t)32 << 20)
#define RECORD_ARENA_BYTES ((size_t)24 << 20)
#define PROGRESS_NS (NS_PER_S / 10)

struct run {
	const struct backup_config *config;
	struct backup_result *out;
	uint8_t mac_key[MANIFEST_KEY_BYTES];
	struct manifest old, now;
	bool *stale; /* [old.files_len]: a log file that is to be written anew */
	struct buf old_marks, marks, old_blobs, blobs;
	uint64_t cursor, done, total;
	int64_t shown_ns;
};

static enum rc step(struct run *r, uint64_t n, struct errmsg *why)
{
	const struct backup_config *c = r->config;
	int64_t now_ns = clock_mono_ns();

	r->done += n;
	if (c->progress == NULL || now_ns - r->shown_ns < PROGRESS_NS)
		return RC_OK;
	r->shown_ns = now_ns;
	return c->progress(c->ctx, r->done, r->total)
		   ? RC_OK
		   : errmsg_rc(why, RC_CANCELLED,
			 "the backup was broken off: what it held before stands");
}

/* ---- what the backup holds ------------------------------------------------------------ */

/* The obs_id of record `seq`, which never changes; zeros if it cannot be read. */
static enum rc record_id(
    struct run *r, uint64_t seq, uint8_t out[MANIFEST_ID_BYTES], struct errmsg *why)
{
	struct observation obs;
	struct arena arena;

	memset(out, 0, MANIFEST_ID_BYTES);
	arena_init(&arena, RECORD_ARENA_BYTES);
	enum rc rc = store_get_seq(r->config->store, seq, &arena, &obs, why);
	if (rc == RC_OK)
		memcpy(out, obs.obs_id, MANIFEST_ID_BYTES);
	arena_fini(&arena);
	return rc == RC_CORRUPT ? RC_OK : rc;
}

/* A timeline that was put back to an earlier state goes on with other records
 * than the backup holds: that one must not be overwritten. */
static enum rc check_same_past(struct run *r, struct errmsg *why)
{
	static const uint8_t unknown[MANIFEST_ID_BYTES];
	uint8_t id[MANIFEST_ID_BYTES];

	if (r->old.cursor > r->cursor)
		return errmsg_rc(why, RC_EXISTS,
		    "%s holds %" PRIu64 " records, this timeline %" PRIu64
		    ": it holds more than is here, so choose another destination",
		    r->config->dest, r->old.cursor, r->cursor);
	for (size_t i = 0; i < r->old.files_len; i++) {
		const struct manifest_file *file = &r->old.files[i];
		if (file->kind != MANIFEST_LOG ||
		    memcmp(file->last_id, unknown, sizeof(unknown)) == 0)
			continue;
		enum rc rc = record_id(r, file->last_seq, id, why);
		if (rc != RC_OK)
			return rc;
		if (memcmp(id, unknown, sizeof(id)) != 0 &&
		    memcmp(id, file->last_id, sizeof(id)) != 0)
			return errmsg_rc(why, RC_EXISTS,
			    "%s holds another seq %" PRIu64
			    " than is here: choose another destination",
			    r->config->dest, file->last_seq);
	}
	return RC_OK;
}

/* A list that is damaged or gone only means that the files are copied again. */
static enum rc old_blobs_read(struct run *r, struct errmsg *why)
{
	const struct manifest_file *file = manifest_find(&r->old, MANIFEST_BLOBS);
	uint8_t *list = NULL;
	size_t len = 0;

	if (file == NULL)
		return RC_OK;
	enum rc rc = backup_file_get(r->config->dest, file, &list, &len, why);
	if (rc == RC_OK && backup_blobs_parse(list, len) == RC_OK)
		buf_append(&r->old_blobs, list, len);
	free(list);
	if (rc == RC_CORRUPT || rc == RC_NOTFOUND) {
		errmsg_reset(why);
		return RC_OK;
	}
	return rc == RC_OK ? buf_rc(&r->old_blobs) : rc;
}

static enum rc old_read(struct run *r, struct errmsg *why)
{
	const char *dest = r->config->dest;
	uint8_t *marks = NULL;
	char *text = NULL;
	size_t len = 0;

	enum rc rc = backup_manifest_read(dest, &text, &len, &r->old, why);
	if (rc == RC_NOTFOUND) {
		errmsg_reset(why);
		r->out->base = true;
		return RC_OK;
	}
	if (rc == RC_OK &&
	    memcmp(r->old.store_id, store_id(r->config->store), MANIFEST_ID_BYTES) != 0)
		rc = errmsg_rc(why, RC_EXISTS, "%s is the backup of another timeline", dest);
	if (rc == RC_OK)
		rc = manifest_authenticate(text, len, r->mac_key, why);
	free(text);
	if (rc == RC_OK)
		rc = check_same_past(r, why);
	if (rc == RC_OK)
		rc = old_blobs_read(r, why);
	if (rc != RC_OK)
		return rc;
	/* Without its marks nothing of it can be relied on: all is written anew. */
	rc = backup_file_get(dest, manifest_find(&r->old, MANIFEST_MARKS), &marks, &len, why);
	if (rc == RC_OK && keyring_marks_check(marks, len) == RC_OK) {
		buf_append(&r->old_marks, marks, len);
		rc = buf_rc(&r->old_marks);
	} else if (rc == RC_OK || rc == RC_CORRUPT || rc == RC_NOTFOUND) {
		errmsg_reset(why);
		manifest_fini(&r->old);
		rc = RC_OK;
	}
	free(marks);
	return rc;
}

/* ---- what of it is stale ------------------------------------------------------------------ */

/* Log files stand first in a manifest, in order. */
static struct manifest_file *log_file_of(struct run *r, uint64_t seq, size_t *at)
{
	size_t lo = 0, hi = r->old.files_len;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		struct manifest_file *file = &r->old.files[mid];
		if (file->kind == MANIFEST_LOG && file->first_seq <= seq && seq <= file->last_seq) {
			*at = mid;
			return file;
		}
		if (file->kind == MANIFEST_LOG && file->last_seq < seq)
			lo = mid + 1;
		else
			hi = mid;
	}
	return NULL;
}

struct looking {
	struct run *run;
	struct errmsg *why;
	enum rc rc;
};

/* A record of a day and layer whose key went may be another one by now, and so
 * may one under the key that belongs to no day: it may be a tombstone. */
static bool look_at(void *ctx, const struct store_raw *entry)
{
	struct looking *looking = ctx;
	struct run *r = looking->run;
	int32_t day = 0;
	unsigned layer = 0;
	size_t at = 0;

	uint64_t seq = store_raw_seq(entry);
	if (seq > r->old.cursor)
		return false;
	if (log_file_of(r, seq, &at) != NULL && !r->stale[at] &&
	    store_raw_sealed_under(entry, &day, &layer) &&
	    (layer == 0 || keyring_marks_changed(r->old_marks.bytes, r->old_marks.len,
			       r->marks.bytes, r->marks.len, day, layer)))
		r->stale[at] = true;
	looking->rc = step(r, 1, looking->why);
	return looking->rc == RC_OK;
}

static enum rc find_forgotten(struct run *r, struct errmsg *why)
{
	struct looking looking = { .run = r, .why = why };

	if (!keyring_marks_any_changed(
		r->old_marks.bytes, r->old_marks.len, r->marks.bytes, r->marks.len))
		return RC_OK;
	r->total += r->old.cursor;
	enum rc rc = store_raw_scan_log(r->config->store, 0, look_at, &looking, why);
	return looking.rc != RC_OK ? looking.rc : rc;
}

/* Files that are missing or have another size are made again; a small last one
 * is, to be joined with what is new. */
static enum rc find_stale(struct run *r, struct errmsg *why)
{
	uint64_t join = r->config->join_bytes == 0 ? BACKUP_JOIN_BYTES : r->config->join_bytes;
	struct backup_path path;
	struct stat st;

	free(r->stale);
	r->stale = calloc(r->old.files_len + 1, sizeof(r->stale[0]));
	if (r->stale == NULL)
		return RC_NOMEM;
	for (size_t i = 0; i < r->old.files_len; i++) {
		const struct manifest_file *file = &r->old.files[i];
		enum rc rc = backup_path(r->config->dest, file->name, &path, why);
		if (rc != RC_OK)
			return rc;
		bool there = stat(path.text, &st) == 0 && S_ISREG(st.st_mode) &&
			     (uint64_t)st.st_size == file->bytes;
		bool last = file->last_seq == r->old.cursor && r->cursor > r->old.cursor;
		if (file->kind == MANIFEST_LOG)
			r->stale[i] = !there || (last && file->bytes < join);
	}
	return find_forgotten(r, why);
}

/* ---- writing the log ------------------------------------------------------------------------ */

struct writing {
	struct run *run;
	struct errmsg *why;
	struct segment_writer *segment;
	uint64_t first_seq, next_seq, last_seq;
	enum rc rc;
};

static enum rc part_begin(struct writing *w, struct errmsg *why)
{
	struct backup_path path;

	enum rc rc = backup_path(w->run->config->dest, "log-unfinished", &path, why);
	if (rc != RC_OK)
		return rc;
	w->first_seq = w->next_seq;
	return segment_create(path.text, store_id(w->run->config->store), &w->segment, why);
}

/* The file gets its name from what it holds. */
static enum rc part_end(struct writing *w, struct errmsg *why)
{
	struct manifest_file file = {
		.kind = MANIFEST_LOG, .first_seq = w->first_seq, .last_seq = w->next_seq - 1
	};
	char hash[2 * MANIFEST_HASH_BYTES + 1];
	struct run *r = w->run;
	struct backup_path from, to;

	enum rc rc = segment_end(w->segment, &file.bytes, file.hash, why);
	w->segment = NULL;
	if (rc == RC_OK)
		rc = record_id(r, file.last_seq, file.last_id, why);
	if (rc != RC_OK)
		return rc;
	hex_encode(file.hash, sizeof(file.hash), hash);
	(void)snprintf(file.name, sizeof(file.name), "log-%" PRIu64 "-%" PRIu64 "-%.16s",
	    file.first_seq, file.last_seq, hash);
	rc = backup_path(r->config->dest, "log-unfinished", &from, why);
	if (rc == RC_OK)
		rc = backup_path(r->config->dest, file.name, &to, why);
	if (rc == RC_OK && rename(from.text, to.text) != 0)
		rc = errmsg_errno(why, "cannot rename a file of the backup");
	r->out->bytes_written += file.bytes;
	return rc == RC_OK ? manifest_add(&r->now, &file, why) : rc;
}

static enum rc write_entry(struct writing *w, const struct store_raw *entry, uint64_t seq)
{
	struct run *r = w->run;
	uint64_t max = r->config->file_bytes == 0 ? BACKUP_FILE_BYTES : r->config->file_bytes;
	enum rc rc = RC_OK;

	if (seq != w->next_seq)
		return errmsg_rc(w->why, RC_CORRUPT,
		    "log seq %" PRIu64 " is missing: run `data-node verify`", w->next_seq);
	if (w->segment == NULL)
		rc = part_begin(w, w->why);
	if (rc == RC_OK)
		rc = segment_put(w->segment, entry, w->why);
	if (rc != RC_OK)
		return rc;
	w->next_seq++;
	r->out->records++;
	if (segment_bytes(w->segment) >= max)
		rc = part_end(w, w->why);
	return rc == RC_OK ? step(r, 1, w->why) : rc;
}

static bool take_entry(void *ctx, const struct store_raw *entry)
{
	struct writing *w = ctx;
	uint64_t seq = store_raw_seq(entry);

	if (seq > w->last_seq)
		return false;
	w->rc = write_entry(w, entry, seq);
	return w->rc == RC_OK && seq < w->last_seq;
}

static enum rc write_range(struct run *r, uint64_t first, uint64_t last, struct errmsg *why)
{
	struct writing w = { .run = r, .why = why, .next_seq = first, .last_seq = last };

	enum rc rc = store_raw_scan_log(r->config->store, first - 1, take_entry, &w, why);
	if (w.rc != RC_OK)
		rc = w.rc;
	if (rc == RC_OK && w.next_seq <= last)
		rc = errmsg_rc(why, RC_CORRUPT,
		    "log seq %" PRIu64 " is missing: run `data-node verify`", w.next_seq);
	if (rc == RC_OK && w.segment != NULL)
		rc = part_end(&w, why);
	segment_abandon(w.segment);
	return rc;
}

/* Kept files stay, stretches of stale ones and what is new are written. */
static enum rc write_log(struct run *r, struct errmsg *why)
{
	uint64_t next = 1; /* not in the manifest yet */
	enum rc rc = RC_OK;

	for (size_t i = 0; i < r->old.files_len; i++)
		r->total +=
		    r->stale[i] ? r->old.files[i].last_seq - r->old.files[i].first_seq + 1 : 0;
	r->total += r->cursor - r->old.cursor;
	for (size_t i = 0; i < r->old.files_len && rc == RC_OK; i++) {
		const struct manifest_file *file = &r->old.files[i];
		if (file->kind != MANIFEST_LOG || r->stale[i])
			continue;
		if (file->first_seq > next)
			rc = write_range(r, next, file->first_seq - 1, why);
		if (rc == RC_OK)
			rc = manifest_add(&r->now, file, why);
		next = file->last_seq + 1;
	}
	if (rc == RC_OK && next <= r->cursor)
		rc = write_range(r, next, r->cursor, why);
	return rc;
}

/* ---- the small files ------------------------------------------------------------------------- */

static enum rc put_small(
    struct run *r, enum manifest_kind kind, const uint8_t *bytes, size_t len, struct errmsg *why)
{
	struct manifest_file file;

	enum rc rc = backup_file_put(r->config->dest, kind, bytes, len, &file, why);
	r->out->bytes_written += len;
	return rc == RC_OK ? manifest_add(&r->now, &file, why) : rc;
}

static enum rc put_keyring(struct run *r, struct errmsg *why)
{
	struct backup_path path;
	uint8_t *bytes = NULL;
	size_t len = 0;

	enum rc rc = backup_path(r->config->dir, "keyring", &path, why);
	if (rc == RC_OK)
		rc = file_read(path.text, BACKUP_STATE_BYTES_MAX, &bytes, &len, why);
	if (rc == RC_OK)
		rc = put_small(r, MANIFEST_KEYRING, bytes, len, why);
	free(bytes);
	return rc;
}

/* Behind the log: a record's blobs are in their places before it is. */
static enum rc put_blobs(struct run *r, struct errmsg *why)
{
	buf_reset(&r->blobs);
	enum rc rc = backup_blobs_copy(r->config->store, r->config->dest, r->old_blobs.bytes,
	    r->old_blobs.len, &r->blobs, &r->out->bytes_written, why);
	return rc == RC_OK && r->blobs.len > 0
		   ? put_small(r, MANIFEST_BLOBS, r->blobs.bytes, r->blobs.len, why)
		   : rc;
}

static enum rc put_state(struct run *r, struct errmsg *why)
{
	struct buf sealed;

	buf_init(&sealed, BACKUP_STATE_BYTES_MAX);
	enum rc rc =
	    backup_seal(r->config->keyring, r->config->state, r->config->state_len, &sealed, why);
	if (rc == RC_OK)
		rc = put_small(r, MANIFEST_STATE, sealed.bytes, sealed.len, why);
	buf_fini(&sealed);
	return rc;
}

static bool take_truth(void *ctx, const struct store_raw *entry)
{
	struct writing *w = ctx;

	w->rc = segment_put(w->segment, entry, w->why);
	return w->rc == RC_OK;
}

static enum rc put_truth(struct run *r, struct errmsg *why)
{
	struct manifest_file file = { .kind = MANIFEST_TRUTH };
	char hash[2 * MANIFEST_HASH_BYTES + 1];
	struct writing w = { .run = r, .why = why };
	struct backup_path from, to;

	enum rc rc = backup_path(r->config->dest, "truth-unfinished", &from, why);
	if (rc == RC_OK)
		rc = segment_create(from.text, store_id(r->config->store), &w.segment, why);
	for (unsigned t = 1; t <= STORE_TRUTH_COUNT && rc == RC_OK; t++) {
		if (t == STORE_TRUTH_LOG)
			continue;
		rc = store_raw_scan(
		    r->config->store, (enum store_truth)t, NULL, 0, take_truth, &w, why);
		rc = w.rc != RC_OK ? w.rc : rc;
	}
	if (rc != RC_OK) {
		segment_abandon(w.segment);
		return rc;
	}
	rc = segment_end(w.segment, &file.bytes, file.hash, why);
	hex_encode(file.hash, sizeof(file.hash), hash);
	(void)snprintf(file.name, sizeof(file.name), "truth-%.16s", hash);
	if (rc == RC_OK)
		rc = backup_path(r->config->dest, file.name, &to, why);
	if (rc == RC_OK && rename(from.text, to.text) != 0)
		rc = errmsg_errno(why, "cannot rename a file of the backup");
	r->out->bytes_written += file.bytes;
	return rc == RC_OK ? manifest_add(&r->now, &file, why) : rc;
}

/* ---- all of it ---------------------------------------------------------- */

static enum rc marks_take(struct run *r, struct buf *out, struct errmsg *why)
{
	buf_reset(out);
	enum rc rc = keyring_marks(r->config->keyring, out);
	return rc == RC_OK ? RC_OK : errmsg_rc(why, rc, "the keys cannot be marked");
}

/* RC_AGAIN: something was forgotten meanwhile. */
static enum rc copy_all(struct run *r, struct errmsg *why)
{
	struct buf after;

	manifest_fini(&r->now);
	r->done = r->total = 0;
	r->out->records = r->out->bytes_written = 0;
	r->cursor = store_cursor(r->config->store);
	enum rc rc = marks_take(r, &r->marks, why);
	if (rc == RC_OK)
		rc = find_stale(r, why);
	if (rc == RC_OK)
		rc = write_log(r, why);
	if (rc == RC_OK)
		rc = put_blobs(r, why);
	if (rc == RC_OK)
		rc = put_truth(r, why);
	if (rc == RC_OK)
		rc = put_keyring(r, why);
	if (rc == RC_OK)
		rc = put_state(r, why);
	if (rc != RC_OK)
		return rc;
	buf_init(&after, MARKS_BYTES_MAX);
	rc = marks_take(r, &after, why);
	if (rc == RC_OK &&
	    keyring_marks_any_changed(r->marks.bytes, r->marks.len, after.bytes, after.len))
		rc = RC_AGAIN;
	if (rc == RC_OK)
		rc = put_small(r, MANIFEST_MARKS, after.bytes, after.len, why);
	buf_fini(&after);
	return rc;
}

static enum rc manifest_put(struct run *r, struct errmsg *why)
{
	struct backup_path path;
	struct buf text;

	buf_init(&text, MANIFEST_BYTES_MAX);
	memcpy(r->now.store_id, store_id(r->config->store), MANIFEST_ID_BYTES);
	r->now.made_ns = clock_utc_ns();
	r->now.cursor = r->cursor;
	enum rc rc = manifest_encode(&r->now, r->mac_key, &text);
	if (rc == RC_OK)
		rc = backup_path(r->config->dest, BACKUP_MANIFEST, &path, why);
	/* The names of the files that it lists are on disk before it is. */
	if (rc == RC_OK)
		rc = file_sync_dir(r->config->dest, why);
	if (rc == RC_OK)
		rc = file_write_atomic(path.text, 0600, text.bytes, text.len, why);
	buf_fini(&text);
	return rc;
}

static enum rc run_locked(struct run *r, struct errmsg *why)
{
	r->cursor = store_cursor(r->config->store);
	enum rc rc = old_read(r, why);
	for (unsigned tries = 0; rc == RC_OK; tries++) {
		rc = copy_all(r, why);
		if (rc != RC_AGAIN)
			break;
		rc = tries + 1 < TRIES_MAX
			 ? RC_OK
			 : errmsg_rc(why, RC_BUSY, "things are being forgotten: try again later");
	}
	if (rc == RC_OK)
		rc = manifest_put(r, why);
	if (rc == RC_OK)
		rc = backup_place_sweep(r->config->dest, &r->now, why);
	if (rc == RC_OK)
		rc = backup_blobs_sweep(r->config->dest, r->blobs.bytes, r->blobs.len, why);
	return rc;
}

enum rc backup_run(
    const struct backup_config *config, struct backup_result *out, struct errmsg *why)
{
	struct run r = { .config = config, .out = out };
	struct errmsg detail = ERRMSG_INIT;
	int lock_fd = -1;

	*out = (struct backup_result){ 0 };
	buf_init(&r.old_marks, MARKS_BYTES_MAX);
	buf_init(&r.marks, MARKS_BYTES_MAX);
	buf_init(&r.old_blobs, BACKUP_BLOBS_BYTES_MAX);
	buf_init(&r.blobs, BACKUP_BLOBS_BYTES_MAX);
	enum rc rc = backup_mac_key(config->keyring, r.mac_key);
	if (rc == RC_OK)
		rc = backup_place_take(
		    config->dir, config->dest, store_id(config->store), &lock_fd, &detail);
	if (rc == RC_OK) {
		rc = run_locked(&r, &detail);
		(void)close(lock_fd);
	}
	if (rc == RC_FULL)
		errmsg_set(why, "there is no room in %s: what it held before stands", config->dest);
	else if (rc != RC_OK)
		errmsg_set(why, "%s", errmsg_text(&detail, rc));
	out->made_ns = r.now.made_ns;
	out->cursor = r.now.cursor;
	out->files = r.now.files_len;
	for (size_t i = 0; i < r.now.files_len; i++)
		out->bytes += r.now.files[i].bytes;
	manifest_fini(&r.old);
	manifest_fini(&r.now);
	buf_fini(&r.old_marks);
	buf_fini(&r.marks);
	buf_fini(&r.old_blobs);
	buf_fini(&r.blobs);
	free(r.stale);
	wipe(r.mac_key, sizeof(r.mac_key));
	return rc;
}
