/*
 * Store clock: each record of a clock taken in, and placed.
 *
 * Writer thread.  Lines are read when their clock is first named, kept on a
 * small desk, and written back before the commit; an aborted transaction clears
 * the desk.  store_clock_take() comes before the record's index entries are
 * made, store_clock_settle() after them.
 */
#include "store/store_clock.h"

#include <stdlib.h>
#include <string.h>

#include "store/store_clock_internal.h"

/* A placement that is not much narrower than the old one, or as narrow as
 * anyone needs, is not worth moving a record for. */
#define FINE_NS (NS_PER_S / 20)

static void key_of(
    char kind, const uint8_t hash[STORE_CLOCK_HASH_BYTES], uint8_t out[STORE_CLOCK_KEY_BYTES_MAX])
{
	out[0] = (uint8_t)kind;
	memcpy(out + 1, hash, STORE_CLOCK_HASH_BYTES);
}

/* ---- the desk ------------------------------------------------------------------------ */

enum rc store_clock_desk_new(struct store *store)
{
	store->clocks = calloc(1, sizeof *store->clocks);
	return store->clocks == NULL ? RC_NOMEM : RC_OK;
}

void store_clock_desk_free(struct store *store)
{
	free(store->clocks);
	store->clocks = NULL;
}

void store_clock_desk_clear(struct store *store)
{
	for (size_t i = 0; i < STORE_CLOCK_DESK; i++)
		store->clocks->lines[i].used = false;
}

static enum rc value_put(struct store *store, MDB_txn *txn, char kind,
    const uint8_t hash[STORE_CLOCK_HASH_BYTES], const void *plain, size_t len, int *err,
    struct errmsg *why)
{
	uint8_t key_bytes[STORE_CLOCK_KEY_BYTES_MAX];
	MDB_val key = { sizeof key_bytes, key_bytes };

	key_of(kind, hash, key_bytes);
	buf_reset(&store->sealed);
	enum rc rc = store_seal(store, DB_CLOCKMAP, &key, 0, 0, plain, len, &store->sealed, why);
	if (rc != RC_OK)
		return rc;
	MDB_val value = { store->sealed.len, store->sealed.bytes };
	*err = mdb_put(txn, store->dbi[DB_CLOCKMAP], &key, &value, 0);
	return RC_OK;
}

/* The plain value in store->scratch; RC_NOTFOUND. */
static enum rc value_get(struct store *store, MDB_txn *txn, char kind,
    const uint8_t hash[STORE_CLOCK_HASH_BYTES], int *err, struct errmsg *why)
{
	uint8_t key_bytes[STORE_CLOCK_KEY_BYTES_MAX];
	MDB_val key = { sizeof key_bytes, key_bytes }, value;

	key_of(kind, hash, key_bytes);
	*err = mdb_get(txn, store->dbi[DB_CLOCKMAP], &key, &value);
	if (*err == MDB_NOTFOUND) {
		*err = 0;
		return RC_NOTFOUND;
	}
	if (*err != 0)
		return RC_OK;
	buf_reset(&store->scratch);
	enum rc rc = store_unseal(store, DB_CLOCKMAP, &key, &value, &store->scratch, why);
	return rc == RC_NOTFOUND ? RC_CORRUPT : rc;
}

static enum rc line_write(
    struct store *store, MDB_txn *txn, struct store_clock_line *line, int *err, struct errmsg *why)
{
	uint8_t bytes[STORE_CLOCK_VALUE_BYTES_MAX], clock[9];

	store_put_be64(clock, (uint64_t)line->clock.known_ns);
	clock[8] = line->clock.pings;
	size_t len = store_clock_line_encode(line, bytes);
	enum rc rc = value_put(store, txn, 'l', line->line_hash, bytes, len, err, why);
	if (rc == RC_OK && *err == 0)
		rc = value_put(store, txn, 'c', line->clock_hash, clock, sizeof clock, err, why);
	line->changed = false;
	return rc;
}

enum rc store_clock_flush(struct store *store, MDB_txn *txn, int *err, struct errmsg *why)
{
	enum rc rc = RC_OK;

	*err = 0;
	for (size_t i = 0; i < STORE_CLOCK_DESK && rc == RC_OK && *err == 0; i++) {
		struct store_clock_line *line = &store->clocks->lines[i];
		if (line->used && line->changed)
			rc = line_write(store, txn, line, err, why);
	}
	return rc;
}

/* What is damaged is begun anew: nothing of it is believed. */
static enum rc line_read(struct store *store, MDB_txn *txn, const struct observation *obs,
    struct store_clock_line *line, int *err)
{
	struct buf *plain = &store->scratch;

	enum rc rc = value_get(store, txn, 'l', line->line_hash, err, NULL);
	if (rc == RC_NOMEM || *err != 0)
		return rc;
	if (rc != RC_OK || store_clock_line_decode(plain->bytes, plain->len, line) != RC_OK) {
		line_init(&line->line);
		line->placed = line->limbo = line->open = 0;
		memcpy(line->clock_name, obs->clock_id, strlen(obs->clock_id) + 1);
		memcpy(line->boot_name, obs->boot_epoch, strlen(obs->boot_epoch) + 1);
	}
	line->clock = (struct line_clock){ .known_ns = INT64_MIN };
	rc = value_get(store, txn, 'c', line->clock_hash, err, NULL);
	if (rc == RC_NOMEM || *err != 0)
		return rc;
	if (rc == RC_OK && plain->len == 9) {
		line->clock.known_ns = (int64_t)store_get_be64(plain->bytes);
		line->clock.pings = plain->bytes[8] != 0;
	}
	return RC_OK;
}

/* The line of a record, on the desk; others of its clock are put back. */
static enum rc line_fetch(struct store *store, MDB_txn *txn, const struct observation *obs,
    struct store_clock_line **out, int *err, struct errmsg *why)
{
	uint8_t clock_hash[STORE_CLOCK_HASH_BYTES], line_hash[STORE_CLOCK_HASH_BYTES];
	struct store_clock_line *lines = store->clocks->lines, *place = &lines[0];

	store_hash_clock(store, obs->clock_id, obs->boot_epoch, clock_hash, line_hash);
	for (size_t i = 0; i < STORE_CLOCK_DESK; i++) {
		struct store_clock_line *line = &lines[i];
		if (!line->used) {
			place = place->used ? line : place;
			continue;
		}
		if (memcmp(line->line_hash, line_hash, sizeof line_hash) == 0) {
			line->touched = ++store->clocks->touches;
			*out = line;
			return RC_OK;
		}
		if (memcmp(line->clock_hash, clock_hash, sizeof clock_hash) == 0) {
			place = line;
			break;
		}
		if (place->used && line->touched < place->touched)
			place = line;
	}
	enum rc rc = RC_OK;
	if (place->used && place->changed)
		rc = line_write(store, txn, place, err, why);
	if (rc != RC_OK || *err != 0)
		return rc;
	place->used = false;
	memcpy(place->clock_hash, clock_hash, sizeof clock_hash);
	memcpy(place->line_hash, line_hash, sizeof line_hash);
	rc = line_read(store, txn, obs, place, err);
	if (rc != RC_OK || *err != 0)
		return rc;
	place->used = true;
	place->changed = false;
	place->touched = ++store->clocks->touches;
	*out = place;
	return RC_OK;
}

/* ---- rows --------------------------------------------------------------------------------- */

static int row_put(struct store *store, MDB_txn *txn, uint64_t seq, uint64_t since,
    const struct store_clock_row *row)
{
	uint8_t key_bytes[STORE_CLOCK_KEY_BYTES_MAX], bytes[STORE_CLOCK_ROW_BYTES];
	MDB_val key = { sizeof key_bytes, key_bytes }, value = { sizeof bytes, bytes };

	store_clock_place_key(seq, since, key_bytes);
	store_clock_row_encode(row, bytes);
	return mdb_put(txn, store->dbi[DB_CLOCKMAP], &key, &value, 0);
}

static int open_put(struct store *store, MDB_txn *txn, uint64_t epoch, uint64_t seq)
{
	uint8_t key_bytes[STORE_CLOCK_KEY_BYTES_MAX];
	MDB_val key = { sizeof key_bytes, key_bytes }, value = { 0, NULL };

	store_clock_open_key(epoch, seq, key_bytes);
	return mdb_put(txn, store->dbi[DB_CLOCKMAP], &key, &value, 0);
}

static int version_put(struct store *store, MDB_txn *txn, uint64_t seq)
{
	uint8_t key_bytes[9] = { 'v' };
	MDB_val key = { sizeof key_bytes, key_bytes }, value = { 0, NULL };

	store_put_be64(key_bytes + 1, seq);
	return mdb_put(txn, store->dbi[DB_CLOCKMAP], &key, &value, 0);
}

/* ---- one record ----------------------------------------------------------------------------- */

static int64_t within(int64_t ns)
{
	if (ns < OBS_TIME_MIN_NS)
		return OBS_TIME_MIN_NS;
	return ns > OBS_TIME_MAX_NS ? OBS_TIME_MAX_NS : ns;
}

static struct placement placement_of(const struct line_place *at, uint64_t version)
{
	return (struct placement){
		.t0_ns = within(at->t0_ns),
		.t1_ns = within(at->t1_ns),
		.early_ns = at->early_ns,
		.late_ns = at->late_ns,
		.map_version = version,
		.epoch = at->epoch,
		.limbo = at->limbo,
	};
}

/* A ping itself lies between the hub's own stamps. */
static void take_ping(struct store_clock_line *line, const struct line_ping *ping,
    struct line_place *at, struct line_news *news)
{
	bool good = line_ping(&line->line, &line->clock, ping, news);
	const struct line_epoch *epoch = line_current(&line->line);

	*at = (struct line_place){
		.t0_ns = ping->t2_ns,
		.t1_ns = ping->t3_ns < ping->t2_ns ? ping->t2_ns : ping->t3_ns,
		.epoch = good && epoch != NULL ? epoch->number : ping->seq,
	};
}

/* Its own sync may already confirm it. */
static void place_at_once(struct store_clock_line *line, const struct line_news *news,
    const struct line_event *event, struct line_place *at)
{
	for (size_t i = 0; i < news->len; i++) {
		const struct line_change *change = &news->changes[i];
		if (at->open == change->epoch && event->recv_ns <= change->until_ns &&
		    line_place(&line->line, change, event, at))
			return;
	}
}

enum rc store_clock_take(struct store *store, MDB_txn *txn, struct observation *obs, uint64_t seq,
    int *err, struct errmsg *why)
{
	struct store_clock_desk *desk = store->clocks;
	struct line_event event = { seq, obs->dev_t0_ns, obs->dev_t1_ns, obs->recv_utc_ns,
		obs->recv_mono_ns };
	struct line_ping ping;
	struct line_place at;

	desk->at = NULL;
	obs->place = placement_trusted(obs->dev_t0_ns, obs->dev_t1_ns, obs->error_ns);
	if (obs->clock_id[0] == '\0')
		return RC_OK;
	enum rc rc = line_fetch(store, txn, obs, &desk->at, err, why);
	if (rc != RC_OK || *err != 0)
		return rc;
	struct store_clock_line *line = desk->at;
	if (store_clock_ping_read(obs, seq, &ping)) {
		take_ping(line, &ping, &at, &desk->news);
	} else {
		line_event(&line->line, &line->clock, &event, &at, &desk->news);
		place_at_once(line, &desk->news, &event, &at);
	}
	line->changed = true;
	line->placed++;
	line->limbo += at.limbo;
	line->open += at.open != 0;
	if (desk->news.map_changed)
		*err = version_put(store, txn, seq);
	obs->place = placement_of(&at, seq);
	struct store_clock_row row = { obs->place, obs->dev_t0_ns, obs->dev_t1_ns, obs->recv_utc_ns,
		(uint8_t)obs->layer, at.open };
	if (*err == 0)
		*err = row_put(store, txn, seq, seq, &row);
	if (*err == 0 && at.open != 0)
		*err = open_put(store, txn, at.open, seq);
	return RC_OK;
}

/* ---- placing anew --------------------------------------------------------------------------- */

static void mark_moved(
    struct store *store, const struct store_clock_row *row, uint64_t seq, uint64_t by_seq)
{
	struct store_entry entry;

	store_entry_at(&row->place, row->layer, seq, &entry);
	store_dirty_mark(store, &(struct store_dirty){
				    .from_ns = entry.t0_ns,
				    .to_ns = entry.t1_ns + 1,
				    .layers = LAYER_MASK(row->layer),
				    .cause = DIRTY_REMAPPED,
				    .first_seq = seq,
				    .last_seq = by_seq,
				});
}

/* Move a record's entries; one that was forgotten has none. */
static int row_move(struct store *store, MDB_txn *txn, uint64_t seq, uint64_t by_seq,
    const struct store_clock_row *old, const struct store_clock_row *row)
{
	struct store_entry entry;

	if (store->clocks->replaying)
		return row_put(store, txn, seq, by_seq, row);
	store_entry_at(&old->place, old->layer, seq, &entry);
	entry.by_seq = by_seq;
	if (!store_index_has(store, txn, &entry))
		return 0;
	int err = store_index_supersede(store, txn, &entry);
	store_entry_at(&row->place, row->layer, seq, &entry);
	if (err == 0)
		err = store_index_put(store, txn, &entry);
	if (err == 0)
		err = row_put(store, txn, seq, by_seq, row);
	mark_moved(store, old, seq, by_seq);
	mark_moved(store, row, seq, by_seq);
	return err;
}

static int64_t width_ns(const struct placement *place)
{
	return place->early_ns / 2 + place->late_ns / 2;
}

static bool is_worth_it(
    const struct line_change *change, const struct placement *old, const struct placement *place)
{
	if (old->limbo || change->other != 0 || placement_is_wide(old))
		return true;
	return width_ns(old) > FINE_NS / 2 && width_ns(place) <= width_ns(old) / 4 * 3;
}

/* The newest row of a record; MDB_NOTFOUND. */
static int row_newest(
    MDB_cursor *cursor, uint64_t seq, uint64_t *since, struct store_clock_row *out)
{
	uint8_t key_bytes[STORE_CLOCK_KEY_BYTES_MAX], prefix[9];
	MDB_val key = { sizeof key_bytes, key_bytes }, value;

	store_clock_place_key(seq + 1, 0, key_bytes);
	memcpy(prefix, "p", 1);
	store_put_be64(prefix + 1, seq);
	int err = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
	err = mdb_cursor_get(cursor, &key, &value, err == MDB_NOTFOUND ? MDB_LAST : MDB_PREV);
	if (err != 0)
		return err;
	if (key.mv_size != STORE_CLOCK_KEY_BYTES_MAX || memcmp(key.mv_data, prefix, 9) != 0)
		return MDB_NOTFOUND;
	*since = store_get_be64((const uint8_t *)key.mv_data + 9);
	return store_clock_row_decode(value.mv_data, value.mv_size, out) == RC_OK ? 0
										  : MDB_CORRUPTED;
}

static int place_again(struct store *store, MDB_txn *txn, MDB_cursor *rows,
    const struct line_change *change, uint64_t seq, uint64_t by_seq, bool *kept_open)
{
	struct store_clock_line *line = store->clocks->at;
	struct store_clock_row old, row;
	struct line_place at;
	uint64_t since;

	*kept_open = false;
	int err = row_newest(rows, seq, &since, &old);
	if (err != 0)
		return err == MDB_NOTFOUND ? 0 : err;
	*kept_open = old.recv_ns > change->until_ns;
	if (*kept_open)
		return 0;
	line->open -= line->open > 0;
	struct line_event event = { seq, old.dev_t0_ns, old.dev_t1_ns, old.recv_ns, 0 };
	if (!line_place(&line->line, change, &event, &at))
		return 0;
	row = old;
	row.open = 0;
	row.place = placement_of(&at, by_seq);
	if (!is_worth_it(change, &old.place, &row.place))
		return 0;
	line->limbo -= old.place.limbo && line->limbo > 0;
	return row_move(store, txn, seq, by_seq, &old, &row);
}

/* All open records of an epoch, in order. */
static int change_apply(
    struct store *store, MDB_txn *txn, const struct line_change *change, uint64_t by_seq)
{
	uint8_t key_bytes[STORE_CLOCK_KEY_BYTES_MAX], prefix[9] = { 'o' };
	MDB_val key = { sizeof key_bytes, key_bytes }, value;
	MDB_cursor *opens = NULL, *rows = NULL;

	store_put_be64(prefix + 1, change->epoch);
	store_clock_open_key(change->epoch, 0, key_bytes);
	int err = mdb_cursor_open(txn, store->dbi[DB_CLOCKMAP], &opens);
	if (err == 0)
		err = mdb_cursor_open(txn, store->dbi[DB_CLOCKMAP], &rows);
	while (err == 0) {
		bool kept_open;
		err = mdb_cursor_get(opens, &key, &value, MDB_SET_RANGE);
		if (err != 0 || key.mv_size != sizeof key_bytes ||
		    memcmp(key.mv_data, prefix, sizeof prefix) != 0)
			break;
		uint64_t seq = store_get_be64((const uint8_t *)key.mv_data + 9);
		if (seq < by_seq) { /* the record itself was placed at once */
			err = place_again(store, txn, rows, change, seq, by_seq, &kept_open);
			/* What was found lies in a page that may have changed meanwhile. */
			store_clock_open_key(change->epoch, seq, key_bytes);
			key = (MDB_val){ sizeof key_bytes, key_bytes };
			if (err == 0 && !kept_open)
				err = mdb_del(txn, store->dbi[DB_CLOCKMAP], &key, NULL);
		}
		store_clock_open_key(change->epoch, seq + 1, key_bytes);
		key = (MDB_val){ sizeof key_bytes, key_bytes };
	}
	if (rows != NULL)
		mdb_cursor_close(rows);
	if (opens != NULL)
		mdb_cursor_close(opens);
	return err == MDB_NOTFOUND ? 0 : err;
}

int store_clock_close(struct store *store, MDB_txn *txn, uint64_t seq)
{
	uint8_t key_bytes[STORE_CLOCK_KEY_BYTES_MAX];
	MDB_val key = { sizeof key_bytes, key_bytes };
	struct store_clock_row row;
	MDB_cursor *rows = NULL;
	uint64_t since;

	int err = mdb_cursor_open(txn, store->dbi[DB_CLOCKMAP], &rows);
	if (err == 0) {
		err = row_newest(rows, seq, &since, &row);
		mdb_cursor_close(rows);
	}
	if (err == 0 && row.open != 0) {
		store_clock_open_key(row.open, seq, key_bytes);
		err = mdb_del(txn, store->dbi[DB_CLOCKMAP], &key, NULL);
	}
	return err == MDB_NOTFOUND ? 0 : err;
}

int store_clock_settle(struct store *store, MDB_txn *txn, uint64_t seq)
{
	struct store_clock_desk *desk = store->clocks;
	int err = 0;

	for (size_t i = 0; desk->at != NULL && i < desk->news.len && err == 0; i++)
		err = change_apply(store, txn, &desk->news.changes[i], seq);
	return err;
}
