/*
 * Store bundles read: the one over an entry is opened and followed.
 *
 * A scan goes forward, so of each layer one bundle is open at a time.  Its
 * plaintext is kept over the transactions of the scan; the page in progress gets
 * a copy to point into.  Between two pages the bundle may have been replaced:
 * the nonce of the row tells.
 */
#include <string.h>

#include "store/store_bundle.h"

void store_bundles_init(struct store_bundles *bundles, unsigned layer)
{
	*bundles = (struct store_bundles){ .layer = layer };
	buf_init(&bundles->plain, BUNDLE_BYTES_MAX);
}

void store_bundles_fini(struct store_bundles *bundles)
{
	store_bundles_detach(bundles);
	buf_fini(&bundles->plain);
}

void store_bundles_detach(struct store_bundles *bundles)
{
	if (bundles->cursor != NULL)
		mdb_cursor_close(bundles->cursor);
	bundles->cursor = NULL;
}

static int seek(
    struct store_bundles *bundles, const struct store_entry *at, MDB_val *key, MDB_val *value)
{
	uint8_t bytes[STORE_TIME_KEY_BYTES];

	store_time_key(at, bytes);
	*key = (MDB_val){ sizeof(bytes), bytes };
	return mdb_cursor_get(bundles->cursor, key, value, MDB_SET_RANGE);
}

/* Bytes for this page to point into. */
static bool copy_for_page(struct store_bundles *bundles)
{
	uint8_t *copy = arena_alloc(bundles->arena, bundles->plain.len);

	if (copy != NULL)
		memcpy(copy, bundles->plain.bytes, bundles->plain.len);
	bundles->copy = copy;
	return copy != NULL;
}

static const char *moved(const char *text, const uint8_t *from, const uint8_t *to)
{
	return (const char *)(to + ((const uint8_t *)text - from));
}

/* Go on in a new copy of the same bytes. */
static bool move_to_page(struct store_bundles *bundles)
{
	struct bundle_reader *reader = &bundles->reader;
	const uint8_t *from = bundles->copy;

	if (!copy_for_page(bundles))
		return false;
	reader->end = bundles->copy + (reader->end - from);
	reader->spot.at = bundles->copy + (reader->spot.at - from);
	for (size_t i = 0; i < reader->templates_len; i++) {
		struct bundle_template *t = &reader->templates[i];
		t->source = moved(t->source, from, bundles->copy);
		t->kind = moved(t->kind, from, bundles->copy);
		t->clock_id = moved(t->clock_id, from, bundles->copy);
		t->boot_epoch = moved(t->boot_epoch, from, bundles->copy);
		t->zone = moved(t->zone, from, bundles->copy);
	}
	return true;
}

enum rc store_bundles_attach(struct store *store, MDB_txn *txn, struct arena *arena,
    struct store_bundles *bundles, struct errmsg *why)
{
	struct store_entry first, last;
	MDB_val key, value, sealed;

	int err = mdb_cursor_open(txn, store->dbi[DB_BUNDLE], &bundles->cursor);
	if (err != 0)
		return store_mdb_error(why, err, "the bundles cannot be read");
	bundles->arena = arena;
	bundles->none = false;
	bundles->next.seq = 0;
	if (!bundles->open)
		return RC_OK;
	bundles->open = false;
	if (seek(bundles, &bundles->first, &key, &value) == 0 &&
	    store_bundle_parse(&key, &value, &first, &last, &sealed) == RC_OK &&
	    memcmp((uint8_t *)sealed.mv_data + STORE_HEAD_BYTES, bundles->nonce,
		STORE_NONCE_BYTES) == 0)
		bundles->open = move_to_page(bundles);
	return RC_OK;
}

/* Open the bundle of a row. */
static bool open_row(struct store *store, struct store_bundles *bundles, const MDB_val *sealed)
{
	uint8_t bytes[STORE_BUNDLE_SEAL_KEY_BYTES];
	MDB_val key = { sizeof(bytes), bytes };

	store_bundle_seal_key(&bundles->first, &bundles->last, bytes);
	buf_reset(&bundles->plain);
	if (store_unseal(store, DB_BUNDLE, &key, sealed, &bundles->plain, NULL) != RC_OK ||
	    !copy_for_page(bundles) ||
	    bundle_open(&bundles->reader, bundles->copy, bundles->plain.len,
		(enum layer)bundles->layer, NULL) != RC_OK)
		return false;
	memcpy(bundles->nonce, (uint8_t *)sealed->mv_data + STORE_HEAD_BYTES, STORE_NONCE_BYTES);
	return true;
}

/* Find the bundle over `at`, or how far there is none. */
static void find(struct store *store, struct store_bundles *bundles, const struct store_entry *at)
{
	struct store_entry first, last;
	MDB_val key, value, sealed;
	bool over = false;

	bundles->open = false;
	int err = seek(bundles, at, &key, &value);
	bool exact = err == 0 &&
		     store_bundle_parse(&key, &value, &first, &last, &sealed) == RC_OK &&
		     first.layer == bundles->layer;
	bundles->none = !exact;
	if (exact) {
		bundles->next = first;
		over = !store_entry_before(at, &first);
	}
	if (!over) {
		err = mdb_cursor_get(bundles->cursor, &key, &value, err == 0 ? MDB_PREV : MDB_LAST);
		over = err == 0 &&
		       store_bundle_parse(&key, &value, &first, &last, &sealed) == RC_OK &&
		       first.layer == bundles->layer && !store_entry_before(&last, at);
	}
	if (!over)
		return;
	bundles->first = first;
	bundles->last = last;
	bundles->open = open_row(store, bundles, &sealed);
	bundles->none = false;
	bundles->next = last; /* of one that cannot be read: nothing up to its end */
	bundles->next.seq++;
}

/* The entry of the next record. */
static bool entry_next(struct store_bundles *bundles, struct store_entry *out)
{
	const struct bundle_front *front;

	if (bundle_peek(&bundles->reader, &front, NULL) != RC_OK)
		return false;
	store_entry_at(&front->place, (uint8_t)bundles->layer, front->seq, out);
	return true;
}

enum rc store_bundles_get(struct store *store, struct store_bundles *bundles,
    const struct store_entry *at, struct observation *out, struct store_entry *next)
{
	struct store_entry entry;

	if (!bundles->open || store_entry_before(&bundles->last, at)) {
		bundles->open = false;
		if (bundles->none ||
		    (bundles->next.seq != 0 && store_entry_before(at, &bundles->next)))
			return RC_NOTFOUND;
		find(store, bundles, at);
	}
	while (bundles->open && entry_next(bundles, &entry)) {
		if (store_entry_before(at, &entry))
			return RC_NOTFOUND;
		if (bundle_next(&bundles->reader, out, NULL) != RC_OK)
			break;
		if (store_entry_before(&entry, at))
			continue;
		if (!entry_next(bundles, next))
			next->seq = 0;
		return RC_OK;
	}
	bundles->open = false;
	return RC_NOTFOUND;
}
