/* Store clock, readers: placements at a cursor, versions, the list of lines. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "store/store_clock_internal.h"

int store_clock_rows(MDB_cursor *cursor, uint64_t seq, store_clock_row_fn *visit, void *ctx)
{
	uint8_t key_bytes[STORE_CLOCK_KEY_BYTES_MAX], prefix[9];
	MDB_val key = { sizeof key_bytes, key_bytes }, value;
	struct store_clock_row row;

	store_clock_place_key(seq, 0, key_bytes);
	memcpy(prefix, key_bytes, sizeof prefix);
	int err = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
	while (err == 0 && key.mv_size == sizeof key_bytes &&
	       memcmp(key.mv_data, prefix, sizeof prefix) == 0) {
		if (store_clock_row_decode(value.mv_data, value.mv_size, &row) != RC_OK)
			return MDB_CORRUPTED;
		if (!visit(ctx, store_get_be64((const uint8_t *)key.mv_data + 9), &row))
			return 0;
		err = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
	}
	return err == MDB_NOTFOUND ? 0 : err;
}

struct filling {
	uint64_t as_of_seq, next_since;
	struct placement *place;
};

static bool fill(void *ctx, uint64_t since, const struct store_clock_row *row)
{
	struct filling *filling = ctx;

	if (since > filling->as_of_seq) {
		filling->next_since = since;
		return false;
	}
	*filling->place = row->place;
	return true;
}

enum rc store_clock_fill(struct store *store, MDB_txn *txn, uint64_t as_of_seq,
    struct observation *obs, uint64_t *next_since, struct errmsg *why)
{
	struct filling filling = { .as_of_seq = as_of_seq, .place = &obs->place };
	MDB_cursor *cursor = NULL;

	*next_since = 0;
	if (obs->clock_id[0] == '\0')
		return RC_OK;
	int err = mdb_cursor_open(txn, store->dbi[DB_CLOCKMAP], &cursor);
	if (err == 0) {
		err = store_clock_rows(cursor, obs->seq, fill, &filling);
		mdb_cursor_close(cursor);
	}
	*next_since = filling.next_since;
	if (err == MDB_CORRUPTED)
		return errmsg_rc(why, RC_CORRUPT, "clockmap: the place of seq %llu is malformed",
		    (unsigned long long)obs->seq);
	return err == 0 ? RC_OK : store_mdb_error(why, err, "the clock maps cannot be read");
}

uint64_t store_clock_version(struct store *store, uint64_t as_of_seq)
{
	uint8_t key_bytes[9] = { 'v' };
	MDB_val key = { sizeof key_bytes, key_bytes }, value;
	MDB_cursor *cursor = NULL;
	MDB_txn *txn = NULL;
	uint64_t version = 0;

	store_put_be64(key_bytes + 1, as_of_seq == 0 ? UINT64_MAX : as_of_seq + 1);
	if (store_read_begin(store, &txn, NULL) != RC_OK)
		return 0;
	int err = mdb_cursor_open(txn, store->dbi[DB_CLOCKMAP], &cursor);
	if (err == 0) {
		err = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
		err =
		    mdb_cursor_get(cursor, &key, &value, err == MDB_NOTFOUND ? MDB_LAST : MDB_PREV);
		if (err == 0 && key.mv_size == 9 && *(const uint8_t *)key.mv_data == 'v')
			version = store_get_be64((const uint8_t *)key.mv_data + 1);
		mdb_cursor_close(cursor);
	}
	store_read_end(store, txn);
	return version;
}

/* ---- what was moved ---------------------------------------------------------------- */

#define MOVED_ROWS 65536u /* in one transaction */

struct moved {
	uint64_t after_seq, up_to_seq;
	store_clock_moved_fn *visit;
	void *ctx;
	uint64_t seq, since; /* of the row before; 0: there is none */
	struct store_clock_row row;
	bool done;
};

/* Rows of a record follow each other in the order in which it was moved. */
static int moved_row(struct moved *m, const MDB_val *key, const MDB_val *value)
{
	const uint8_t *bytes = key->mv_data;
	struct store_clock_row row;

	if (key->mv_size != STORE_CLOCK_KEY_BYTES_MAX || bytes[0] != 'p') {
		m->done = true;
		return 0;
	}
	uint64_t seq = store_get_be64(bytes + 1), since = store_get_be64(bytes + 9);
	if (store_clock_row_decode(value->mv_data, value->mv_size, &row) != RC_OK)
		return MDB_CORRUPTED;
	if (seq == m->seq && since > m->after_seq && since <= m->up_to_seq)
		m->done =
		    !m->visit(m->ctx, seq, since, (enum layer)row.layer, &m->row.place, &row.place);
	m->seq = seq;
	m->since = since;
	m->row = row;
	return 0;
}

static enum rc moved_some(struct store *store, struct moved *m, struct errmsg *why)
{
	uint8_t key_bytes[STORE_CLOCK_KEY_BYTES_MAX];
	MDB_val key = { sizeof key_bytes, key_bytes }, value;
	int64_t begin_ns = clock_mono_ns();
	MDB_cursor *cursor = NULL;
	MDB_txn *txn = NULL;

	store_clock_place_key(m->seq, m->since + 1, key_bytes);
	enum rc rc = store_read_begin(store, &txn, why);
	if (rc != RC_OK)
		return rc;
	int err = mdb_cursor_open(txn, store->dbi[DB_CLOCKMAP], &cursor);
	if (err == 0)
		err = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
	for (unsigned n = 0; err == 0 && !m->done && n < MOVED_ROWS; n++) {
		if (n % 1024 == 1023 && clock_mono_ns() - begin_ns > STORE_READ_NS_MAX)
			break;
		err = moved_row(m, &key, &value);
		if (err == 0)
			err = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
	}
	if (err == MDB_NOTFOUND)
		m->done = true;
	if (cursor != NULL)
		mdb_cursor_close(cursor);
	store_read_end(store, txn);
	return err == 0 || err == MDB_NOTFOUND
		   ? RC_OK
		   : store_mdb_error(why, err, "the clock maps cannot be read");
}

enum rc store_clock_moved(struct store *store, uint64_t after_seq, uint64_t up_to_seq,
    store_clock_moved_fn *visit, void *ctx, struct errmsg *why)
{
	struct moved moved = {
		.after_seq = after_seq, .up_to_seq = up_to_seq, .visit = visit, .ctx = ctx
	};
	enum rc rc = RC_OK;

	moved.done = store_clock_version(store, up_to_seq) <= after_seq;
	while (rc == RC_OK && !moved.done)
		rc = moved_some(store, &moved, why);
	return rc;
}

/* ---- the list ------------------------------------------------------------------- */

/* Half the width of what the current epoch says of the time `now_ns`. */
static int64_t error_at(const struct line_epoch *epoch, int64_t now_ns)
{
	const struct curve *curve = &epoch->curve;
	int64_t lo_ns, hi_ns, since_ns;

	if (!epoch->synced || curve->len == 0 ||
	    __builtin_sub_overflow(now_ns, epoch->sync_ns, &since_ns))
		return INT64_MAX;
	int64_t dev_ns = curve->knots[curve->len - 1].dev_ns;
	if (since_ns > 0 && __builtin_add_overflow(dev_ns, since_ns, &dev_ns))
		return INT64_MAX;
	curve_bounds(curve, dev_ns, &lo_ns, &hi_ns);
	return hi_ns / 2 - lo_ns / 2;
}

static bool show(
    const struct store_clock_line *line, int64_t now_ns, store_clock_visit_fn *visit, void *ctx)
{
	const struct line_epoch *epoch = line_current(&line->line);
	struct store_clock_info info = {
		.clock = line->clock_name,
		.boot = line->boot_name,
		.epochs = line->line.len,
		.placed = line->placed,
		.limbo = line->limbo,
		.open = line->open,
		.error_ns = INT64_MAX,
	};

	if (epoch != NULL) {
		info.epoch = epoch->number;
		info.synced = epoch->synced;
		info.pings = epoch->synced && !epoch->assumed;
		info.sync_ns = epoch->synced ? epoch->sync_ns : 0;
		info.error_ns = error_at(epoch, now_ns);
	}
	return visit(ctx, &info);
}

static enum rc list_lines(struct store *store, MDB_txn *txn, struct store_clock_line *line,
    struct buf *plain, int64_t now_ns, size_t limit, store_clock_visit_fn *visit, void *ctx,
    struct errmsg *why)
{
	uint8_t first[1] = { 'l' };
	MDB_val key = { sizeof first, first }, value;
	MDB_cursor *cursor = NULL;
	enum rc rc = RC_OK;

	int err = mdb_cursor_open(txn, store->dbi[DB_CLOCKMAP], &cursor);
	if (err == 0)
		err = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
	for (size_t n = 0; err == 0 && rc == RC_OK && n < limit; n++) {
		if (key.mv_size != 1 + STORE_CLOCK_HASH_BYTES ||
		    *(const uint8_t *)key.mv_data != 'l')
			break;
		buf_reset(plain);
		rc = store_unseal(store, DB_CLOCKMAP, &key, &value, plain, why);
		if (rc == RC_OK)
			rc = store_clock_line_decode(plain->bytes, plain->len, line);
		if (rc == RC_OK && !show(line, now_ns, visit, ctx))
			break;
		err = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
	}
	if (cursor != NULL)
		mdb_cursor_close(cursor);
	if (rc == RC_OK && err != 0 && err != MDB_NOTFOUND)
		rc = store_mdb_error(why, err, "the clock maps cannot be read");
	return rc;
}

enum rc store_clock_list(struct store *store, int64_t now_ns, size_t limit,
    store_clock_visit_fn *visit, void *ctx, struct errmsg *why)
{
	struct store_clock_line *line = malloc(sizeof *line);
	MDB_txn *txn = NULL;
	struct buf plain;

	if (line == NULL)
		return RC_NOMEM;
	buf_init(&plain, STORE_CLOCK_VALUE_BYTES_MAX);
	enum rc rc = store_read_begin(store, &txn, why);
	if (rc == RC_OK) {
		rc = list_lines(store, txn, line, &plain, now_ns, limit, visit, ctx, why);
		store_read_end(store, txn);
	}
	buf_fini(&plain);
	free(line);
	return rc;
}
