/*
 * Store load: a new store from the entries of another one.
 *
 * Built as timeline.new like a fresh store, with the mark of a rebuild in it,
 * and renamed once its log is whole and synced; then the rebuild makes the
 * rest, and whoever opens a store whose rebuild was cut off finishes it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "os/file.h"
#include "store/store_internal.h"
#include "store/store_raw.h"

#define BATCH_BYTES ((size_t)8 << 20)
#define BATCH_ENTRIES ((size_t)16384)

struct store_load {
	char dir[4096]; /* the data node's */
	struct keyring *keyring;
	struct store *store;
	struct buf bytes; /* of the batch: keys and values, one behind the other */
	struct load_entry {
		enum store_truth truth;
		size_t key_len, value_len;
	} * batch;
	size_t batch_len;
	uint64_t last_seq;
};

enum rc store_load_open(
    const char *dir, struct keyring *keyring, struct store_load **out, struct errmsg *why)
{
	struct store_load *load = calloc(1, sizeof(*load));

	if (load == NULL)
		return RC_NOMEM;
	buf_init(&load->bytes, BATCH_BYTES + STORE_RAW_KEY_BYTES_MAX + STORE_RAW_VALUE_BYTES_MAX);
	load->keyring = keyring;
	load->batch = calloc(BATCH_ENTRIES, sizeof(load->batch[0]));
	enum rc rc = load->batch == NULL ? RC_NOMEM : RC_OK;
	if (rc == RC_OK &&
	    snprintf(load->dir, sizeof(load->dir), "%s", dir) >= (int)sizeof(load->dir))
		rc = errmsg_rc(why, RC_LIMIT, "path too long");
	if (rc == RC_OK)
		rc = store_create_begin(dir, keyring, &load->store, why);
	if (rc != RC_OK) {
		store_load_close(load);
		return rc;
	}
	*out = load;
	return RC_OK;
}

static int batch_put(struct store_load *load, MDB_txn *txn)
{
	uint8_t *at = load->bytes.bytes;
	int err = store_rebuild_mark(load->store, txn);

	for (size_t i = 0; i < load->batch_len && err == 0; i++) {
		const struct load_entry *e = &load->batch[i];
		MDB_val key = { e->key_len, at }, value = { e->value_len, at + e->key_len };
		bool log = e->truth == STORE_TRUTH_LOG;
		err = mdb_put(txn, load->store->dbi[store_truth_db(e->truth)], &key, &value,
		    log ? MDB_APPEND : 0);
		at += e->key_len + e->value_len;
	}
	return err;
}

static enum rc batch_write(struct store_load *load, struct errmsg *why)
{
	enum rc rc = store_room_check(load->store, load->bytes.len, why);

	while (rc == RC_OK) {
		MDB_txn *txn = NULL;
		int err = mdb_txn_begin(load->store->env, NULL, 0, &txn);
		if (err == 0) {
			err = batch_put(load, txn);
			if (err == 0)
				err = mdb_txn_commit(txn);
			else
				mdb_txn_abort(txn);
		}
		if (err == 0)
			break;
		rc = err == MDB_MAP_FULL
			 ? store_map_grow(load->store, why)
			 : store_mdb_error(why, err, "the timeline cannot be filled");
	}
	buf_reset(&load->bytes);
	load->batch_len = 0;
	return rc;
}

enum rc store_load_put(struct store_load *load, const struct store_raw *entry, struct errmsg *why)
{
	bool log = entry->truth == STORE_TRUTH_LOG;

	if (entry->key_len == 0 || entry->key_len > STORE_RAW_KEY_BYTES_MAX ||
	    entry->value_len > STORE_RAW_VALUE_BYTES_MAX ||
	    store_truth_db(entry->truth) == DB_COUNT)
		return errmsg_rc(why, RC_INVALID, "an entry that no timeline has");
	if (log && store_raw_seq(entry) != load->last_seq + 1)
		return errmsg_rc(why, RC_INVALID, "log seq %llu follows %llu",
		    (unsigned long long)store_raw_seq(entry), (unsigned long long)load->last_seq);
	if (log)
		load->last_seq++;
	buf_append(&load->bytes, entry->key, entry->key_len);
	buf_append(&load->bytes, entry->value, entry->value_len);
	load->batch[load->batch_len++] =
	    (struct load_entry){ entry->truth, entry->key_len, entry->value_len };
	enum rc rc = buf_rc(&load->bytes);
	if (rc == RC_OK && (load->batch_len == BATCH_ENTRIES || load->bytes.len >= BATCH_BYTES))
		rc = batch_write(load, why);
	return rc;
}

enum rc store_load_finish(
    struct store_load *load, store_progress_fn *progress, void *ctx, struct errmsg *why)
{
	struct store_config config = { .dir = load->dir, .keyring = load->keyring };

	enum rc rc = batch_write(load, why);
	if (rc == RC_OK) {
		rc = store_create_end(load->store, why);
		load->store = NULL;
	}
	if (rc == RC_OK)
		rc = store_rebuild(&config, progress, ctx, NULL, why);
	store_load_close(load);
	return rc;
}

void store_load_close(struct store_load *load)
{
	if (load == NULL)
		return;
	store_create_abandon(load->store);
	buf_fini(&load->bytes);
	free(load->batch);
	free(load);
}
