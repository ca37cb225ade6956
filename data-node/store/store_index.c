/* Store index: keeping the derived databases in step with the log. */
#include <errno.h>
#include <string.h>

#include "store/store_bundle.h"

static int put_key(struct store *store, MDB_txn *txn, enum store_db db, void *bytes, size_t len)
{
	MDB_val key = { len, bytes }, value = { 0, NULL };

	return mdb_put(txn, store->dbi[db], &key, &value, 0);
}

static int del_key(struct store *store, MDB_txn *txn, enum store_db db, void *bytes, size_t len)
{
	MDB_val key = { len, bytes };

	return mdb_del(txn, store->dbi[db], &key, NULL);
}

bool store_index_has(struct store *store, MDB_txn *txn, const struct store_entry *entry)
{
	uint8_t time[STORE_TIME_KEY_BYTES];
	MDB_val key = { sizeof(time), time }, value;

	store_time_key(entry, time);
	return mdb_get(txn, store->dbi[DB_TIME], &key, &value) == 0;
}

/* What was derived from the entry goes. */
static int touch(struct store *store, MDB_txn *txn, const struct store_entry *entry)
{
	int err = store_bundle_touch(store, txn, entry);

	return err == 0 ? store_digest_touch(store, txn, entry) : err;
}

int store_index_put(struct store *store, MDB_txn *txn, const struct store_entry *entry)
{
	uint8_t time[STORE_TIME_KEY_BYTES], span[STORE_SPAN_KEY_BYTES];

	store_time_key(entry, time);
	int err = put_key(store, txn, DB_TIME, time, sizeof(time));
	if (err == 0)
		err = touch(store, txn, entry);
	if (err != 0 || entry->t1_ns == entry->t0_ns)
		return err;
	store_span_key(entry, span);
	return put_key(store, txn, DB_SPAN, span, sizeof(span));
}

int store_index_del(struct store *store, MDB_txn *txn, const struct store_entry *entry)
{
	uint8_t time[STORE_TIME_KEY_BYTES], span[STORE_SPAN_KEY_BYTES];

	store_time_key(entry, time);
	int err = del_key(store, txn, DB_TIME, time, sizeof(time));
	if ((err == 0 || err == MDB_NOTFOUND) && entry->t1_ns != entry->t0_ns) {
		store_span_key(entry, span);
		err = del_key(store, txn, DB_SPAN, span, sizeof(span));
	}
	return err == 0 || err == MDB_NOTFOUND ? touch(store, txn, entry) : err;
}

/* By whom it was superseded stands at the end of the key. */
int store_index_del_past(struct store *store, MDB_txn *txn, const struct store_entry *entry)
{
	uint8_t past[STORE_PAST_KEY_BYTES];
	MDB_val key = { sizeof(past), past }, value;
	MDB_cursor *cursor = NULL;
	struct store_entry any = *entry;

	any.by_seq = 0;
	store_past_key(&any, past);
	int err = mdb_cursor_open(txn, store->dbi[DB_PAST], &cursor);
	if (err != 0)
		return err;
	err = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
	while (err == 0 && key.mv_size == sizeof(past) &&
	       memcmp(key.mv_data, past, STORE_SPAN_KEY_BYTES) == 0) {
		err = mdb_cursor_del(cursor, 0);
		if (err == 0)
			err = mdb_cursor_get(cursor, &key, &value, MDB_GET_CURRENT);
	}
	mdb_cursor_close(cursor);
	if (err == MDB_NOTFOUND || err == EINVAL)
		err = 0;
	return err == 0 ? store_digest_touch(store, txn, entry) : err;
}

int store_index_supersede(struct store *store, MDB_txn *txn, const struct store_entry *old)
{
	uint8_t time[STORE_TIME_KEY_BYTES], span[STORE_SPAN_KEY_BYTES], past[STORE_PAST_KEY_BYTES];

	store_time_key(old, time);
	int err = del_key(store, txn, DB_TIME, time, sizeof(time));
	if (err == 0 && old->t1_ns != old->t0_ns) {
		store_span_key(old, span);
		err = del_key(store, txn, DB_SPAN, span, sizeof(span));
	}
	if (err == MDB_NOTFOUND)
		return MDB_CORRUPTED; /* the index lags behind the log: verify names it */
	if (err == 0)
		err = touch(store, txn, old);
	if (err != 0)
		return err;
	store_past_key(old, past);
	return put_key(store, txn, DB_PAST, past, sizeof(past));
}
