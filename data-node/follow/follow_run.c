/*
 * Follow run: the thread of a follower.
 *
 * One round asks for the records behind ours.  The answer tells whether keyring
 * and state are others by now; they are taken first, and the records are asked
 * for again.  Whatever fails is told in the status and tried again after a
 * moment; what the other node will never answer too, since the owner may put it
 * right there.
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "backup/backup_seal.h"
#include "backup/segment.h"
#include "base/clock.h"
#include "base/log.h"
#include "follow/follow_internal.h"
#include "os/file.h"
#include "os/process.h"
#include "store/keyring.h"
#include "store/keyring_marks.h"
#include "store/store.h"
#include "store/store_blob.h"
#include "store/store_follow.h"

#define ASK_NS (20 * NS_PER_S)
#define PAUSE_NS NS_PER_S /* after a failure */
#define MARKS_BYTES_MAX ((size_t)32 << 20)
#define RECORD_ARENA_BYTES ((size_t)24 << 20)
#define SEQS_MAX ((size_t)2048) /* asked for at once */

struct follow_run {
	struct follow_run_config config;
	char keyring_path[4096];
	struct follow_link *link;
	pthread_t thread;
	atomic_bool started; /* the thread has to be joined */
	atomic_bool stop;
	struct follow_answer answer;
	struct store_raw *entries; /* [STORE_FOLLOW_ENTRIES_MAX] */
	struct store_raw_opener *opener;
	struct follow_answer blob; /* while `entries` points into `answer` */
	uint8_t state_hash[FOLLOW_HASH_BYTES];
	bool has_state;
	enum rc told; /* the last failure that was logged */
	pthread_mutex_t lock;
	pthread_cond_t stopping;
	struct follow_status status; /* [lock] */
};

enum rc follow_frames(const uint8_t *data, size_t len, struct store_raw *out, size_t max, size_t *n,
    struct errmsg *why)
{
	uint64_t unused;
	size_t used = 0;

	for (*n = 0; len > 0 && *n < max; (*n)++) {
		enum rc rc = segment_parse(data, len, &used, &out[*n], &unused, why);
		if (rc != RC_OK || out[*n].truth != STORE_TRUTH_LOG)
			return errmsg_rc(why, RC_INVALID, "records that came are malformed");
		data += used;
		len -= used;
	}
	return RC_OK;
}

/* ---- asking ------------------------------------------------------------------------------ */

static enum rc ask(struct follow_run *r, struct wire_follow_ask *question, struct errmsg *why)
{
	memcpy(question->store_id, store_id(r->config.store), WIRE_STORE_ID_BYTES);
	if (question->name == NULL)
		question->name = "";
	enum rc rc = follow_link_ask(r->link, question, ASK_NS, &r->answer, why);
	if (rc == RC_OK &&
	    memcmp(r->answer.part.store_id, store_id(r->config.store), WIRE_STORE_ID_BYTES) != 0)
		rc = errmsg_rc(why, RC_INVALID, "the other node has another timeline");
	return rc;
}

static enum rc ask_log(struct follow_run *r, struct errmsg *why)
{
	struct wire_follow_ask question = { .what = FOLLOW_LOG };
	struct observation obs;
	struct arena arena;

	question.after = store_cursor(r->config.store);
	if (question.after > 0) {
		arena_init(&arena, RECORD_ARENA_BYTES);
		if (store_get_seq(r->config.store, question.after, &arena, &obs, NULL) == RC_OK)
			memcpy(question.last_id, obs.obs_id, OBS_ID_BYTES);
		arena_fini(&arena);
	}
	return ask(r, &question, why);
}

static enum rc own_keyring_hash(
    struct follow_run *r, uint8_t out[FOLLOW_HASH_BYTES], struct errmsg *why)
{
	uint8_t *bytes = NULL;
	size_t len = 0;

	enum rc rc = file_read(r->keyring_path, FOLLOW_FILE_BYTES_MAX, &bytes, &len, why);
	if (rc != RC_OK)
		return rc;
	follow_hash(bytes, len, out);
	free(bytes);
	return RC_OK;
}

/* ---- another keyring ----------------------------------------------------------------------- */

/* The newer keyring, and which of our records are under a key that went. */
struct renewal {
	struct follow_run *run;
	struct buf file, old_marks, new_marks;
	uint8_t hash[FOLLOW_HASH_BYTES];
	uint64_t seqs[SEQS_MAX];
	size_t seqs_len;
	uint64_t looked_seq;
	bool any;
};

static bool look_at(void *ctx, const struct store_raw *entry)
{
	struct renewal *n = ctx;
	int32_t day = 0;
	unsigned layer = 0;

	if (store_raw_sealed_under(entry, &day, &layer) &&
	    keyring_marks_changed(n->old_marks.bytes, n->old_marks.len, n->new_marks.bytes,
		n->new_marks.len, day, layer))
		n->seqs[n->seqs_len++] = store_raw_seq(entry);
	n->looked_seq = store_raw_seq(entry);
	return n->seqs_len < SEQS_MAX && !atomic_load(&n->run->stop);
}

/* Ask for them anew until all are there.  RC_AGAIN: the keyring changed again. */
static enum rc replace_seqs(struct renewal *n, struct errmsg *why)
{
	struct follow_run *r = n->run;

	for (size_t done = 0; done < n->seqs_len;) {
		struct wire_follow_ask question = {
			.what = FOLLOW_SEQS, .seqs = n->seqs + done, .seqs_len = n->seqs_len - done
		};
		size_t got = 0;
		enum rc rc = ask(r, &question, why);
		if (rc == RC_OK &&
		    memcmp(r->answer.part.keyring_hash, n->hash, sizeof(n->hash)) != 0)
			return RC_AGAIN;
		if (rc == RC_OK)
			rc = follow_frames(r->answer.data.bytes, r->answer.data.len, r->entries,
			    STORE_FOLLOW_ENTRIES_MAX, &got, why);
		if (rc == RC_OK && got == 0)
			rc = errmsg_rc(why, RC_INVALID, "records that are here are not there");
		if (rc == RC_OK)
			rc = store_follow_replace(r->config.store, r->entries, got, why);
		if (rc != RC_OK)
			return rc;
		done += got;
	}
	return RC_OK;
}

static enum rc replace_touched(struct renewal *n, struct errmsg *why)
{
	struct follow_run *r = n->run;

	n->any = keyring_marks_any_changed(
	    n->old_marks.bytes, n->old_marks.len, n->new_marks.bytes, n->new_marks.len);
	bool more = n->any;
	while (more) {
		uint64_t after = n->looked_seq;
		n->seqs_len = 0;
		enum rc rc = store_raw_scan_log(r->config.store, after, look_at, n, why);
		if (rc == RC_OK)
			rc = replace_seqs(n, why);
		if (rc == RC_OK && atomic_load(&r->stop))
			rc = RC_CANCELLED;
		if (rc != RC_OK)
			return rc;
		more = n->seqs_len == SEQS_MAX;
	}
	return RC_OK;
}

static enum rc renew(struct renewal *n, struct errmsg *why)
{
	struct follow_run *r = n->run;
	struct keyring *copy = NULL;

	enum rc rc = follow_link_file(r->link, FOLLOW_FILE_KEYRING, store_id(r->config.store),
	    ASK_NS, &n->file, &r->answer, why);
	if (rc != RC_OK)
		return rc;
	follow_hash(n->file.bytes, n->file.len, n->hash);
	if (memcmp(n->hash, r->answer.part.keyring_hash, sizeof(n->hash)) != 0)
		return RC_AGAIN; /* it was replaced while it came */
	rc = keyring_open_copy(r->config.keyring, n->file.bytes, n->file.len, &copy, why);
	if (rc == RC_OK)
		rc = keyring_marks(r->config.keyring, &n->old_marks);
	if (rc == RC_OK)
		rc = keyring_marks(copy, &n->new_marks);
	keyring_close(copy);
	if (rc == RC_OK)
		rc = replace_touched(n, why);
	if (rc == RC_OK)
		rc = keyring_adopt(r->config.keyring, n->file.bytes, n->file.len, why);
	if (rc == RC_OK && n->any) {
		uint64_t swept;
		enum rc ignored = store_blob_sweep(r->config.store, 0, &swept, NULL);
		(void)ignored; /* the sweep of every day takes what stays */
		log_info("FOLLOW-KEYS", "bytes=%zu", n->file.len);
		if (r->config.forgotten != NULL)
			r->config.forgotten(r->config.ctx);
	}
	return rc;
}

static enum rc take_keyring(struct follow_run *r, struct errmsg *why)
{
	struct renewal *n = calloc(1, sizeof(*n));

	if (n == NULL)
		return RC_NOMEM;
	n->run = r;
	buf_init(&n->file, FOLLOW_FILE_BYTES_MAX);
	buf_init(&n->old_marks, MARKS_BYTES_MAX);
	buf_init(&n->new_marks, MARKS_BYTES_MAX);
	enum rc rc = renew(n, why);
	buf_fini(&n->file);
	buf_fini(&n->old_marks);
	buf_fini(&n->new_marks);
	free(n);
	return rc == RC_AGAIN ? RC_OK : rc; /* the next round sees it */
}

/* ---- the state ---------------------------------------------------------- */

static enum rc take_state(struct follow_run *r, struct errmsg *why)
{
	uint8_t hash[FOLLOW_HASH_BYTES];
	struct buf file, plain;

	buf_init(&file, FOLLOW_FILE_BYTES_MAX);
	buf_init(&plain, FOLLOW_FILE_BYTES_MAX);
	enum rc rc = follow_link_file(
	    r->link, FOLLOW_FILE_STATE, store_id(r->config.store), ASK_NS, &file, &r->answer, why);
	if (rc == RC_OK) {
		follow_hash(file.bytes, file.len, hash);
		rc = backup_unseal(r->config.keyring, file.bytes, file.len, &plain, why);
	}
	if (rc == RC_OK)
		rc = r->config.state(r->config.ctx, plain.bytes, plain.len, why);
	if (rc == RC_OK) {
		memcpy(r->state_hash, hash, sizeof(hash));
		r->has_state = true;
	}
	buf_fini(&file);
	buf_fini(&plain);
	return rc;
}

/* ---- blobs -------------------------------------------------------------- */

/* A record that does not open is told by whoever appends it. */
static enum rc take_blobs(struct follow_run *r, size_t n, struct errmsg *why)
{
	struct observation obs;
	struct arena arena;
	enum rc rc = RC_OK;

	arena_init(&arena, RECORD_ARENA_BYTES);
	for (size_t i = 0; i < n && rc == RC_OK; i++) {
		arena_reset(&arena);
		if (store_raw_open(r->opener, &r->entries[i], &arena, &obs, NULL) == RC_OK &&
		    obs.blobs_len > 0)
			rc = follow_blobs_fetch(r->link, r->config.store, &obs, &r->blob, why);
	}
	arena_fini(&arena);
	return rc;
}

/* ---- rounds ------------------------------------------------------------- */

static enum rc round_once(struct follow_run *r, struct errmsg *why)
{
	uint8_t own[FOLLOW_HASH_BYTES];
	size_t n = 0;

	enum rc rc = ask_log(r, why);
	if (rc == RC_OK)
		rc = own_keyring_hash(r, own, why);
	if (rc != RC_OK)
		return rc;
	uint64_t cursor = r->answer.part.cursor;
	if (memcmp(own, r->answer.part.keyring_hash, sizeof(own)) != 0)
		return take_keyring(r, why);
	if (!r->has_state || memcmp(r->state_hash, r->answer.part.state_hash, sizeof(own)) != 0)
		return take_state(r, why);
	rc = follow_frames(r->answer.data.bytes, r->answer.data.len, r->entries,
	    STORE_FOLLOW_ENTRIES_MAX, &n, why);
	if (rc == RC_OK)
		rc = take_blobs(r, n, why);
	if (rc == RC_OK)
		rc = store_follow_append(r->config.store, r->entries, n, why);
	if (rc != RC_OK)
		return rc;
	bool level = store_cursor(r->config.store) >= cursor;
	(void)pthread_mutex_lock(&r->lock);
	r->status.cursor = cursor;
	if (level)
		r->status.level_ns = clock_mono_ns();
	(void)pthread_mutex_unlock(&r->lock);
	if (level && r->config.level != NULL)
		r->config.level(r->config.ctx, &r->stop);
	return RC_OK;
}

static void pause_a_moment(struct follow_run *r)
{
	struct timespec until;

	(void)clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += PAUSE_NS / NS_PER_S;
	(void)pthread_mutex_lock(&r->lock);
	if (!atomic_load(&r->stop))
		(void)pthread_cond_timedwait(&r->stopping, &r->lock, &until);
	(void)pthread_mutex_unlock(&r->lock);
}

static void note(struct follow_run *r, enum rc rc, const struct errmsg *why)
{
	bool gone = rc == RC_TIMEOUT || rc == RC_CLOSED; /* the link's own word tells */

	(void)pthread_mutex_lock(&r->lock);
	(void)snprintf(r->status.error, sizeof(r->status.error), "%s",
	    rc == RC_OK || gone ? "" : errmsg_text(why, rc));
	(void)pthread_mutex_unlock(&r->lock);
	if (rc != r->told && rc != RC_OK && rc != RC_CANCELLED)
		log_warn(
		    "FOLLOW-FAILED", "reason=%s detail=\"%s\"", rc_word(rc), errmsg_text(why, rc));
	else if (rc == RC_OK && r->told != RC_OK)
		log_info("FOLLOW-GOES-ON", "cursor=%" PRIu64, store_cursor(r->config.store));
	r->told = rc;
}

static void *follow_main(void *arg)
{
	struct follow_run *r = arg;

	process_name_thread("follow-run");
	while (!atomic_load(&r->stop)) {
		struct errmsg why = ERRMSG_INIT;
		enum rc rc = round_once(r, &why);
		note(r, rc, &why);
		if (rc != RC_OK && rc != RC_CLOSED && rc != RC_TIMEOUT)
			pause_a_moment(r);
	}
	return NULL;
}

enum rc follow_run_open(
    const struct follow_run_config *config, struct follow_run **out, struct errmsg *why)
{
	struct follow_run *r = calloc(1, sizeof(*r));
	pthread_condattr_t mono;

	if (r == NULL)
		return RC_NOMEM;
	r->config = *config;
	(void)pthread_mutex_init(&r->lock, NULL);
	(void)pthread_condattr_init(&mono);
	(void)pthread_condattr_setclock(&mono, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&r->stopping, &mono);
	(void)pthread_condattr_destroy(&mono);
	follow_answer_init(&r->answer);
	r->entries = calloc(STORE_FOLLOW_ENTRIES_MAX, sizeof(r->entries[0]));
	follow_answer_init(&r->blob);
	enum rc rc =
	    r->entries == NULL ? RC_NOMEM : store_raw_opener_new(config->keyring, &r->opener);
	if (rc == RC_OK && snprintf(r->keyring_path, sizeof(r->keyring_path), "%s/keyring",
			       config->dir) >= (int)sizeof(r->keyring_path))
		rc = errmsg_rc(why, RC_LIMIT, "path too long");
	store_follow_set(config->store, true);
	if (rc == RC_OK)
		rc = follow_link_open(&config->link, &r->link, why);
	if (rc == RC_OK && pthread_create(&r->thread, NULL, follow_main, r) != 0)
		rc = errmsg_rc(why, RC_NOMEM, "no thread to follow");
	atomic_store(&r->started, rc == RC_OK);
	if (rc != RC_OK) {
		follow_run_close(r);
		return rc;
	}
	*out = r;
	return RC_OK;
}

void follow_run_stop(struct follow_run *r)
{
	if (r == NULL || !atomic_exchange(&r->started, false))
		return;
	(void)pthread_mutex_lock(&r->lock);
	atomic_store(&r->stop, true);
	(void)pthread_cond_broadcast(&r->stopping);
	(void)pthread_mutex_unlock(&r->lock);
	follow_link_stop(r->link);
	(void)pthread_join(r->thread, NULL);
}

void follow_run_close(struct follow_run *r)
{
	if (r == NULL)
		return;
	follow_run_stop(r);
	follow_link_close(r->link);
	follow_answer_fini(&r->answer);
	follow_answer_fini(&r->blob);
	store_raw_opener_free(r->opener);
	free(r->entries);
	(void)pthread_cond_destroy(&r->stopping);
	(void)pthread_mutex_destroy(&r->lock);
	free(r);
}

void follow_run_status(struct follow_run *r, struct follow_status *out)
{
	(void)pthread_mutex_lock(&r->lock);
	*out = r->status;
	(void)pthread_mutex_unlock(&r->lock);
	out->link = follow_link_word(r->link);
}
