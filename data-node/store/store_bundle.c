/*
 * Store bundles in the writer's transactions: keys, marks and invalidation.
 */
#include "store/store_bundle.h"

#include <string.h>

#define DAY_KEY_BYTES 6
#define MARK_PREFIX 0

/* ---- keys ----------------------------------------------------------------------- */

static void day_key(unsigned layer, int32_t day, uint8_t out[DAY_KEY_BYTES])
{
	uint32_t bits = (uint32_t)day ^ UINT32_C(0x80000000);

	out[0] = MARK_PREFIX;
	out[1] = (uint8_t)layer;
	for (unsigned i = 0; i < 4; i++)
		out[2 + i] = (uint8_t)(bits >> (24 - 8 * i));
}

bool store_bundle_day_parse(const MDB_val *key, unsigned *layer, int32_t *day)
{
	const uint8_t *bytes = key->mv_data;
	uint32_t bits = 0;

	if (key->mv_size != DAY_KEY_BYTES || bytes[0] != MARK_PREFIX)
		return false;
	for (unsigned i = 0; i < 4; i++)
		bits = bits << 8 | bytes[2 + i];
	*layer = bytes[1];
	*day = (int32_t)(bits ^ UINT32_C(0x80000000));
	return true;
}

enum rc store_bundle_parse(const MDB_val *key, const MDB_val *value, struct store_entry *first,
    struct store_entry *last, MDB_val *sealed)
{
	MDB_val end;
	uint8_t bytes[STORE_TIME_KEY_BYTES];

	if (store_entry_parse(DB_TIME, key, first) != RC_OK ||
	    value->mv_size < STORE_BUNDLE_PLAIN_BYTES + STORE_SEAL_BYTES)
		return RC_CORRUPT;
	bytes[0] = first->layer;
	memcpy(bytes + 1, value->mv_data, STORE_BUNDLE_PLAIN_BYTES);
	end = (MDB_val){ sizeof(bytes), bytes };
	if (store_entry_parse(DB_TIME, &end, last) != RC_OK || store_entry_before(last, first))
		return RC_CORRUPT;
	sealed->mv_data = (uint8_t *)value->mv_data + STORE_BUNDLE_PLAIN_BYTES;
	sealed->mv_size = value->mv_size - STORE_BUNDLE_PLAIN_BYTES;
	return RC_OK;
}

void store_bundle_seal_key(const struct store_entry *first, const struct store_entry *last,
    uint8_t out[STORE_BUNDLE_SEAL_KEY_BYTES])
{
	uint8_t end[STORE_TIME_KEY_BYTES];

	store_time_key(first, out);
	store_time_key(last, end);
	memcpy(out + STORE_TIME_KEY_BYTES, end + 1, STORE_BUNDLE_PLAIN_BYTES);
}

/* ---- marks and invalidation -------------------------------------------------------- */

/* How far bundles reach in each layer, so that what is new looks for none. */
static int load(struct store *store, MDB_txn *txn)
{
	MDB_cursor *cursor = NULL;
	int err = mdb_cursor_open(txn, store->dbi[DB_BUNDLE], &cursor);

	for (unsigned layer = 1; layer <= LAYER_COUNT && err == 0; layer++) {
		uint8_t prefix = (uint8_t)(layer + 1);
		MDB_val key = { 1, &prefix }, value, sealed;
		struct store_entry first, last;
		store->bundle_until_ns[layer] = INT64_MIN;
		int found = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
		found = mdb_cursor_get(cursor, &key, &value, found == 0 ? MDB_PREV : MDB_LAST);
		if (found != 0 && found != MDB_NOTFOUND)
			err = found;
		if (found != 0 || ((uint8_t *)key.mv_data)[0] != layer)
			continue;
		store->bundle_until_ns[layer] =
		    store_bundle_parse(&key, &value, &first, &last, &sealed) == RC_OK ? last.t0_ns
										      : INT64_MAX;
	}
	if (cursor != NULL)
		mdb_cursor_close(cursor);
	store->bundle_loaded = err == 0;
	return err;
}

static int mark_day(struct store *store, MDB_txn *txn, unsigned layer, int32_t day)
{
	uint8_t bytes[DAY_KEY_BYTES];
	MDB_val key = { sizeof(bytes), bytes }, value = { 0, NULL };

	day_key(layer, day, bytes);
	int err = mdb_put(txn, store->dbi[DB_BUNDLE], &key, &value, MDB_NOOVERWRITE);
	return err == MDB_KEYEXIST ? 0 : err;
}

/* Delete the bundle over `entry`, if there is one. */
static int uncover(struct store *store, MDB_txn *txn, const struct store_entry *entry)
{
	uint8_t bytes[STORE_TIME_KEY_BYTES];
	MDB_val key = { sizeof(bytes), bytes }, value, sealed;
	struct store_entry first, last;
	MDB_cursor *cursor = NULL;

	store_time_key(entry, bytes);
	int err = mdb_cursor_open(txn, store->dbi[DB_BUNDLE], &cursor);
	if (err != 0)
		return err;
	err = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
	if (err == MDB_NOTFOUND)
		err = mdb_cursor_get(cursor, &key, &value, MDB_LAST);
	else if (err == 0 &&
		 (key.mv_size != sizeof(bytes) || memcmp(key.mv_data, bytes, sizeof(bytes)) != 0))
		err = mdb_cursor_get(cursor, &key, &value, MDB_PREV);
	if (err == 0 && store_bundle_parse(&key, &value, &first, &last, &sealed) == RC_OK &&
	    first.layer == entry->layer && !store_entry_before(&last, entry))
		err = mdb_cursor_del(cursor, 0);
	mdb_cursor_close(cursor);
	return err == MDB_NOTFOUND ? 0 : err;
}

int store_bundle_touch(struct store *store, MDB_txn *txn, const struct store_entry *entry)
{
	int32_t day = store_day(entry->t0_ns);
	unsigned layer = entry->layer;
	int err = 0;

	if (!store->bundle_loaded)
		err = load(store, txn);
	if (err == 0 &&
	    !(store->bundle_marked[layer].set && store->bundle_marked[layer].day == day))
		err = mark_day(store, txn, layer, day);
	if (err != 0)
		return err;
	store->bundle_marked[layer].set = true;
	store->bundle_marked[layer].day = day;
	if (day <= store->bundle_built_day)
		store->bundle_touches++;
	return entry->t0_ns > store->bundle_until_ns[layer] ? 0 : uncover(store, txn, entry);
}

int store_bundle_drop_day(struct store *store, MDB_txn *txn, int32_t day, unsigned layer)
{
	struct store_entry from = { .layer = (uint8_t)layer, .t0_ns = (int64_t)day * NS_PER_DAY };
	uint8_t bytes[STORE_TIME_KEY_BYTES], until[STORE_TIME_KEY_BYTES];
	MDB_val key = { sizeof(bytes), bytes }, value;
	MDB_cursor *cursor = NULL;

	store->bundle_touches++;
	store_time_key(&from, bytes);
	from.t0_ns = ((int64_t)day + 1) * NS_PER_DAY;
	store_time_key(&from, until);
	int err = mdb_cursor_open(txn, store->dbi[DB_BUNDLE], &cursor);
	if (err == 0)
		err = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
	while (err == 0 && key.mv_size == sizeof(until) &&
	       memcmp(key.mv_data, until, sizeof(until)) < 0) {
		err = mdb_cursor_del(cursor, 0);
		if (err == 0)
			err = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
	}
	if (cursor != NULL)
		mdb_cursor_close(cursor);
	if (err == 0 || err == MDB_NOTFOUND)
		err = mark_day(store, txn, layer, day);
	return err;
}

int store_bundle_drop_all(struct store *store, MDB_txn *txn)
{
	store->bundle_touches++;
	return mdb_drop(txn, store->dbi[DB_BUNDLE], 0);
}

/* Every day that `time` has entries in, by one look a day. */
int store_bundle_mark_all(struct store *store, MDB_txn *txn)
{
	uint8_t done[1] = { MARK_PREFIX };
	MDB_val key = { sizeof(done), done }, value = { 0, NULL };
	MDB_cursor *cursor = NULL;
	int err = mdb_get(txn, store->dbi[DB_BUNDLE], &key, &value);

	if (err != MDB_NOTFOUND)
		return err;
	err = mdb_cursor_open(txn, store->dbi[DB_TIME], &cursor);
	if (err == 0)
		err = mdb_cursor_get(cursor, &key, &value, MDB_FIRST);
	while (err == 0) {
		struct store_entry entry;
		uint8_t bytes[STORE_TIME_KEY_BYTES];
		if (store_entry_parse(DB_TIME, &key, &entry) != RC_OK) {
			err = MDB_CORRUPTED;
			break;
		}
		err = mark_day(store, txn, entry.layer, store_day(entry.t0_ns));
		entry.t0_ns = ((int64_t)store_day(entry.t0_ns) + 1) * NS_PER_DAY;
		entry.seq = 0;
		store_time_key(&entry, bytes);
		key = (MDB_val){ sizeof(bytes), bytes };
		if (err == 0)
			err = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
	}
	if (cursor != NULL)
		mdb_cursor_close(cursor);
	key = (MDB_val){ sizeof(done), done };
	value = (MDB_val){ 0, NULL };
	return err == MDB_NOTFOUND ? mdb_put(txn, store->dbi[DB_BUNDLE], &key, &value, 0) : err;
}

int store_bundle_unmark(struct store *store, MDB_txn *txn, unsigned layer, int32_t day)
{
	uint8_t bytes[DAY_KEY_BYTES];
	MDB_val key = { sizeof(bytes), bytes };

	day_key(layer, day, bytes);
	store->bundle_marked[layer].set = false;
	return mdb_del(txn, store->dbi[DB_BUNDLE], &key, NULL);
}
