/*
 * Store blobs, verified: each reference has its record and its file.
 *
 * The id of a blob is in the records only, so the walk goes over `blobref` and
 * asks the log for one record of each file.  No transaction is held while a
 * file is read.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/hex.h"
#include "store/store_internal.h"

#define TEXT_BYTES 320
#define SHOWN_BYTES 8 /* of a name, enough to find it by */

struct walk {
	struct store *store;
	store_fault_fn *report;
	void *ctx;
	uint8_t key[STORE_BLOBREF_KEY_BYTES]; /* the entry at hand */
	bool name_done;                       /* its file was verified by an entry before */
	struct arena arena;
};

/* The entry at or behind w->key; RC_NOTFOUND at the end. */
static enum rc entry_next(struct walk *w, bool *malformed, struct errmsg *why)
{
	MDB_val key = { sizeof(w->key), w->key }, value;
	MDB_cursor *cursor = NULL;
	MDB_txn *txn = NULL;

	enum rc rc = store_read_begin(w->store, &txn, why);
	if (rc != RC_OK)
		return rc;
	int err = mdb_cursor_open(txn, w->store->dbi[DB_BLOBREF], &cursor);
	if (err == 0)
		err = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
	*malformed = err == 0 && key.mv_size != sizeof(w->key);
	if (err == 0 && !*malformed)
		memcpy(w->key, key.mv_data, sizeof(w->key));
	if (cursor != NULL)
		mdb_cursor_close(cursor);
	store_read_end(w->store, txn);
	return err == MDB_NOTFOUND ? RC_NOTFOUND
	       : err == 0          ? RC_OK
				   : store_mdb_error(why, err, "blobref cannot be read");
}

static void fault(const struct walk *w, const char *what)
{
	char text[TEXT_BYTES], name[2 * SHOWN_BYTES + 1];

	hex_encode(w->key, SHOWN_BYTES, name);
	(void)snprintf(text, sizeof(text), "blob %s of log seq %" PRIu64 ": %s", name,
	    store_get_be64(w->key + BLOB_NAME_BYTES), what);
	w->report(w->ctx, text);
}

static enum rc entry_check(struct walk *w, uint64_t *blobs)
{
	uint64_t seq = store_get_be64(w->key + BLOB_NAME_BYTES);
	uint8_t name[BLOB_NAME_BYTES];
	struct errmsg why = ERRMSG_INIT;
	struct observation obs;
	size_t i = 0;

	arena_reset(&w->arena);
	enum rc rc = store_get_seq(w->store, seq, &w->arena, &obs, &why);
	if (rc == RC_NOMEM || rc == RC_IO)
		return rc;
	if (rc == RC_CORRUPT)
		return RC_OK; /* named where the log was read */
	for (; rc == RC_OK && i < obs.blobs_len; i++) {
		blob_name(&w->store->blobs, obs.blobs[i], name);
		if (memcmp(name, w->key, sizeof(name)) == 0)
			break;
	}
	if (rc != RC_OK || i == obs.blobs_len) {
		fault(w, "that record does not refer to it");
		return RC_OK;
	}
	if (w->name_done)
		return RC_OK;
	(*blobs)++;
	w->name_done = true;
	rc = blob_verify(&w->store->blobs, obs.blobs[i], &why);
	if (rc == RC_NOMEM)
		return rc;
	if (rc != RC_OK)
		fault(w, errmsg_text(&why, rc));
	return RC_OK;
}

/* The least key behind w->key; false: there is none. */
static bool key_step(struct walk *w)
{
	size_t i = sizeof(w->key);

	while (i > 0 && ++w->key[i - 1] == 0)
		i--;
	return i > 0;
}

enum rc store_blob_verify(
    struct store *store, store_fault_fn *report, void *ctx, uint64_t *blobs, struct errmsg *why)
{
	struct walk w = { .store = store, .report = report, .ctx = ctx };
	uint8_t name[BLOB_NAME_BYTES] = { 0 };
	bool malformed = false, more = true;
	enum rc rc = RC_OK;

	arena_init(&w.arena, STORE_PAGE_ARENA_BYTES);
	while (more) {
		rc = entry_next(&w, &malformed, why);
		if (rc == RC_OK && malformed)
			report(ctx, "blobref: an entry is malformed");
		if (rc != RC_OK || malformed)
			break;
		w.name_done = w.name_done && memcmp(name, w.key, sizeof(name)) == 0;
		memcpy(name, w.key, sizeof(name));
		rc = entry_check(&w, blobs);
		if (rc != RC_OK)
			break;
		more = key_step(&w);
	}
	arena_fini(&w.arena);
	return rc == RC_NOTFOUND ? RC_OK : rc;
}
