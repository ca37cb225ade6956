/*
 * Store scan: pages of decrypted records, visited outside of transactions.
 *
 * A page is filled inside one short read transaction (records, bytes and time
 * are bounded), then the transaction ends and the visitor sees the page.  The
 * next page resumes by key, so it also sees what was written in between.
 */
#include <stdlib.h>
#include <string.h>

#include "store/store_bundle.h"
#include "store/store_kept.h"

struct page {
	struct arena arena;
	struct buf scratch;
	struct observation *items; /* [STORE_PAGE_RECORDS_MAX] */
	size_t len, looked;
	int64_t begin_ns;
	uint64_t last_seq;   /* log: the last one looked at */
	struct errmsg fault; /* the first record of the scan that cannot be read */
};

static enum rc page_init(struct page *page)
{
	arena_init(&page->arena, STORE_PAGE_ARENA_BYTES);
	buf_init(&page->scratch, OBS_RECORD_BYTES_MAX);
	page->len = 0;
	page->last_seq = 0;
	errmsg_reset(&page->fault);
	/* Not cleared: that takes longer than a scan of few records. */
	page->items = malloc(STORE_PAGE_RECORDS_MAX * sizeof(*page->items));
	return page->items == NULL ? RC_NOMEM : RC_OK;
}

static void page_fini(struct page *page)
{
	arena_fini(&page->arena);
	buf_fini(&page->scratch);
	free(page->items);
}

static void page_begin(struct page *page)
{
	arena_reset(&page->arena);
	page->len = page->looked = 0;
	page->begin_ns = clock_mono_ns();
}

/* The clock is looked at now and then: records of a bundle cost less than that. */
static bool page_full(const struct page *page, size_t want)
{
	return page->len >= want || page->len >= STORE_PAGE_RECORDS_MAX ||
	       page->arena.used_bytes >= STORE_PAGE_BYTES_MAX ||
	       (page->looked % 16 == 15 && clock_mono_ns() - page->begin_ns > STORE_READ_NS_MAX);
}

/* One damaged record must not hide the rest: note it and go on. */
static enum rc page_add(struct page *page, enum rc rc, const struct errmsg *detail)
{
	page->looked++;
	if (rc == RC_OK) {
		page->len++;
	} else if (rc == RC_CORRUPT) {
		errmsg_set(&page->fault, "%s", errmsg_text(detail, rc));
		rc = RC_OK;
	}
	return rc;
}

static enum rc page_verdict(const struct page *page, enum rc rc, struct errmsg *why)
{
	if (rc == RC_OK && page->fault.text[0] != '\0')
		return errmsg_rc(why, RC_CORRUPT, "%s", page->fault.text);
	return rc;
}

/* ---- the log in order of seq ------------------------------------------- */

static enum rc log_page(struct store *store, uint64_t after_seq, size_t want, struct page *page,
    bool *more, struct errmsg *why)
{
	uint8_t bytes[8];
	MDB_val key = { sizeof(bytes), bytes }, value;
	MDB_cursor *cursor = NULL;
	MDB_txn *txn = NULL;

	page_begin(page);
	enum rc rc = store_read_begin(store, &txn, why);
	if (rc != RC_OK)
		return rc;
	store_put_be64(bytes, after_seq + 1);
	int err = mdb_cursor_open(txn, store->dbi[DB_LOG], &cursor);
	if (err == 0)
		err = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
	while (err == 0 && rc == RC_OK && !page_full(page, want)) {
		struct errmsg detail = ERRMSG_INIT;
		if (key.mv_size != 8) {
			err = MDB_CORRUPTED;
			break;
		}
		struct observation *obs = &page->items[page->len];
		uint64_t next_since;
		page->last_seq = store_get_be64(key.mv_data);
		rc = store_record_open(
		    store, page->last_seq, &value, &page->scratch, &page->arena, obs, &detail);
		if (rc == RC_OK)
			rc = store_clock_fill(store, txn, UINT64_MAX, obs, &next_since, &detail);
		rc = page_add(page, rc, &detail);
		if (rc == RC_OK)
			err = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
		else
			errmsg_set(why, "%s", detail.text);
	}
	*more = err == 0;
	if (rc == RC_OK && err != 0 && err != MDB_NOTFOUND)
		rc = store_mdb_error(why, err, "the log cannot be read");
	if (cursor != NULL)
		mdb_cursor_close(cursor);
	store_read_end(store, txn);
	return rc;
}

enum rc store_scan_log(struct store *store, uint64_t after_seq, size_t limit, store_visit_fn *visit,
    void *ctx, struct errmsg *why)
{
	size_t left = limit == 0 ? SIZE_MAX : limit;
	struct page page;

	enum rc rc = page_init(&page);
	for (bool more = true; rc == RC_OK && more && left > 0 && after_seq < UINT64_MAX;) {
		rc = log_page(store, after_seq, left, &page, &more, why);
		size_t i = 0;
		while (i < page.len && visit(ctx, &page.items[i]))
			i++;
		if (i < page.len)
			break;
		left -= page.len;
		after_seq = page.last_seq;
	}
	rc = page_verdict(&page, rc, why);
	page_fini(&page);
	return rc;
}

/* ---- by time ------------------------------------------------------------ */

/*
 * One sorted source of entries: a (database, layer, class) and a stretch of t0.
 * All streams of a scan are merged by (t0, seq).
 */
struct stream {
	MDB_cursor *cursor;
	enum store_db db;
	uint8_t layer, cls;
	bool ahead;         /* head is from a bundle: the cursor is before it */
	int64_t last_t0_ns; /* entries up to it, inclusive */
	struct store_entry head;
};

#define STREAMS_MAX (LAYER_COUNT * (1 + 2 * STORE_CLASS_COUNT))

struct time_scan {
	struct store *store;
	const struct store_range *range;
	unsigned layers;
	uint64_t as_of; /* UINT64_MAX: newest */
	MDB_txn *txn;
	struct stream *streams; /* [STREAMS_MAX] */
	size_t streams_len;
	struct store_bundles *bundles; /* [LAYER_COUNT + 1] */
};

/* Does the entry belong to the answer (its record is not looked at)? */
static bool entry_wanted(
    const struct time_scan *scan, enum store_db db, const struct store_entry *e)
{
	const struct store_range *range = scan->range;

	if (e->seq > scan->as_of ||
	    (db == DB_PAST && !range->all_versions && e->by_seq <= scan->as_of))
		return false;
	if (e->t0_ns >= range->from_ns)
		return db != DB_SPAN && e->t0_ns < range->to_ns;
	return e->t1_ns > range->from_ns && e->t0_ns < range->to_ns && db != DB_TIME;
}

/* Read the entry under the cursor and go on to the first wanted one; the
 * stream ends (RC_NOTFOUND) with its prefix or its stretch. */
static enum rc stream_settle(
    const struct time_scan *scan, struct stream *s, MDB_val *key, int err, struct errmsg *why)
{
	while (err == 0) {
		const uint8_t *bytes = key->mv_data;
		struct store_entry e;
		if (key->mv_size < 2 || bytes[0] != s->layer ||
		    (s->db != DB_TIME && bytes[1] != s->cls))
			return RC_NOTFOUND;
		if (store_entry_parse(s->db, key, &e) != RC_OK)
			return errmsg_rc(
			    why, RC_CORRUPT, "%s: a key is malformed", store_db_name(s->db));
		if (e.t0_ns > s->last_t0_ns)
			return RC_NOTFOUND;
		if (entry_wanted(scan, s->db, &e)) {
			s->head = e;
			return RC_OK;
		}
		MDB_val value;
		err = mdb_cursor_get(s->cursor, key, &value, MDB_NEXT);
	}
	if (err == MDB_NOTFOUND)
		return RC_NOTFOUND;
	return store_mdb_error(why, err, "the time index cannot be read");
}

static enum rc stream_next(const struct time_scan *scan, struct stream *s, struct errmsg *why)
{
	MDB_val key, value;
	int err = mdb_cursor_get(s->cursor, &key, &value, MDB_NEXT);

	return stream_settle(scan, s, &key, err, why);
}

static size_t stream_key(const struct stream *s, int64_t t0_ns, uint64_t seq, uint8_t *out);

/* Behind an entry that came from a bundle: `next` in it (seq 0: the cursor
 * takes over). */
static enum rc stream_leap(const struct time_scan *scan, struct stream *s,
    const struct store_entry *next, struct errmsg *why)
{
	uint8_t bytes[STORE_PAST_KEY_BYTES];
	MDB_val key, value;

	if (next->seq != 0) {
		s->head = *next;
		s->ahead = true;
		return next->t0_ns > s->last_t0_ns ? RC_NOTFOUND : RC_OK;
	}
	s->ahead = false;
	key = (MDB_val){ stream_key(s, s->head.t0_ns, s->head.seq + 1, bytes), bytes };
	int err = mdb_cursor_get(s->cursor, &key, &value, MDB_SET_RANGE);
	return stream_settle(scan, s, &key, err, why);
}

/* The smallest key of the stretch: (t0, seq) is the first place to look at. */
static size_t stream_key(const struct stream *s, int64_t t0_ns, uint64_t seq, uint8_t *out)
{
	struct store_entry at = { .layer = s->layer, .t0_ns = t0_ns, .t1_ns = t0_ns, .seq = seq };

	if (s->db == DB_TIME) {
		store_time_key(&at, out);
		return STORE_TIME_KEY_BYTES;
	}
	store_span_key(&at, out);
	out[1] = s->cls;
	return 18; /* up to seq */
}

static enum rc stream_open(struct time_scan *scan, enum store_db db, unsigned layer, unsigned cls,
    int64_t first_t0_ns, int64_t last_t0_ns, const struct store_position *pos, struct errmsg *why)
{
	struct stream *s = &scan->streams[scan->streams_len];
	uint8_t bytes[STORE_PAST_KEY_BYTES];
	uint64_t seq = 0;

	if (pos->set && pos->t0_ns >= first_t0_ns) {
		first_t0_ns = pos->t0_ns;
		seq = pos->seq + 1;
	}
	if (first_t0_ns > last_t0_ns)
		return RC_OK;
	*s = (struct stream){
		.db = db, .layer = (uint8_t)layer, .cls = (uint8_t)cls, .last_t0_ns = last_t0_ns
	};
	int err = mdb_cursor_open(scan->txn, scan->store->dbi[db], &s->cursor);
	if (err != 0)
		return store_mdb_error(why, err, "the time index cannot be read");
	MDB_val value, key = { stream_key(s, first_t0_ns, seq, bytes), bytes };
	err = mdb_cursor_get(s->cursor, &key, &value, MDB_SET_RANGE);
	enum rc rc = stream_settle(scan, s, &key, err, why);
	if (rc == RC_OK)
		scan->streams_len++;
	else
		mdb_cursor_close(s->cursor);
	return rc == RC_NOTFOUND ? RC_OK : rc;
}

/* The classes of (db, layer) that hold anything, as a bit mask. */
static enum rc classes_find(
    struct time_scan *scan, enum store_db db, unsigned layer, uint64_t *mask, struct errmsg *why)
{
	MDB_cursor *cursor = NULL;
	uint8_t bytes[2] = { (uint8_t)layer, 0 };
	MDB_val key = { sizeof(bytes), bytes }, value;

	*mask = 0;
	int err = mdb_cursor_open(scan->txn, scan->store->dbi[db], &cursor);
	if (err == 0)
		err = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
	while (err == 0 && key.mv_size >= 2) {
		const uint8_t *at = key.mv_data;
		if (at[0] != layer || at[1] >= STORE_CLASS_COUNT)
			break;
		*mask |= UINT64_C(1) << at[1];
		bytes[1] = (uint8_t)(at[1] + 1);
		key = (MDB_val){ sizeof(bytes), bytes };
		err = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
	}
	if (cursor != NULL)
		mdb_cursor_close(cursor);
	return err == 0 || err == MDB_NOTFOUND
		   ? RC_OK
		   : store_mdb_error(why, err, "the time index cannot be read");
}

/* Streams of one layer in `span` or `past`: a stretch for each class in use. */
static enum rc class_streams(struct time_scan *scan, enum store_db db, unsigned layer,
    int64_t last_t0_ns, const struct store_position *pos, struct errmsg *why)
{
	uint64_t mask;

	enum rc rc = classes_find(scan, db, layer, &mask, why);
	for (unsigned cls = 0; cls < STORE_CLASS_COUNT && rc == RC_OK; cls++) {
		if ((mask & UINT64_C(1) << cls) == 0)
			continue;
		rc = stream_open(scan, db, layer, cls,
		    store_class_first_ns(cls, scan->range->from_ns), last_t0_ns, pos, why);
	}
	return rc;
}

static enum rc streams_open(
    struct time_scan *scan, const struct store_position *pos, struct errmsg *why)
{
	const struct store_range *range = scan->range;
	bool lookback = !pos->set || pos->t0_ns < range->from_ns;
	enum rc rc = RC_OK;

	scan->streams_len = 0;
	for (unsigned layer = 1; layer <= LAYER_COUNT && rc == RC_OK; layer++) {
		if ((scan->layers & LAYER_MASK(layer)) == 0)
			continue;
		rc = stream_open(
		    scan, DB_TIME, layer, 0, range->from_ns, range->to_ns - 1, pos, why);
		if (rc == RC_OK && lookback)
			rc = class_streams(scan, DB_SPAN, layer, range->from_ns - 1, pos, why);
		if (rc == RC_OK && (scan->as_of != UINT64_MAX || range->all_versions))
			rc = class_streams(scan, DB_PAST, layer, range->to_ns - 1, pos, why);
	}
	return rc;
}

static struct stream *stream_first(const struct time_scan *scan)
{
	struct stream *first = NULL;

	for (size_t i = 0; i < scan->streams_len; i++) {
		struct stream *s = &scan->streams[i];
		if (first == NULL || s->head.t0_ns < first->head.t0_ns ||
		    (s->head.t0_ns == first->head.t0_ns && s->head.seq < first->head.seq))
			first = s;
	}
	return first;
}

static void stream_drop(struct time_scan *scan, struct stream *s)
{
	mdb_cursor_close(s->cursor);
	*s = scan->streams[--scan->streams_len];
}

static bool wanted(const struct time_scan *scan, const struct observation *obs)
{
	const char *source = scan->range->source;

	return !obs->tombstone && (source == NULL || strcmp(obs->source, source) == 0);
}

/* Of all versions each is seen once: where it is now, not where it was too. */
static bool was_moved(const struct stream *s, const struct observation *obs)
{
	struct store_entry now = store_entry_of(obs, obs->seq);

	return s->db == DB_PAST && (s->head.t0_ns != now.t0_ns || s->head.t1_ns != now.t1_ns);
}

/* The record, placed by the newest maps: had before, or read now. */
static enum rc record_of(const struct time_scan *scan, uint64_t seq, struct page *page,
    struct observation *obs, struct errmsg *why)
{
	struct store_kept *kept = scan->range->kept;
	const struct observation *had = store_kept_find(kept, seq);

	if (had != NULL) {
		*obs = *had;
		return RC_OK;
	}
	struct arena *arena = store_kept_arena(kept);
	enum rc rc = store_record_get(scan->store, scan->txn, seq, &page->scratch,
	    arena != NULL ? arena : &page->arena, obs, why);
	if (rc == RC_OK && arena != NULL)
		store_kept_put(kept, obs);
	return rc;
}

/*
 * The record of an entry, placed as of the scan's cursor.  `*stale`: a clock map
 * has moved it, and at that cursor it had another entry.
 */
static enum rc entry_record(const struct time_scan *scan, const struct stream *s, struct page *page,
    struct observation *obs, bool *stale, struct errmsg *why)
{
	uint64_t seq = s->head.seq, next_since;

	*stale = false;
	enum rc rc = record_of(scan, seq, page, obs, why);
	if (rc == RC_NOTFOUND)
		return errmsg_rc(why, RC_CORRUPT, "%s: seq %llu is not in the log",
		    store_db_name(s->db), (unsigned long long)seq);
	if (rc == RC_OK && scan->as_of == UINT64_MAX)
		*stale = was_moved(s, obs);
	if (rc != RC_OK || scan->as_of == UINT64_MAX)
		return rc;
	rc = store_clock_fill(scan->store, scan->txn, scan->as_of, obs, &next_since, why);
	*stale = next_since != 0 && (s->db != DB_PAST || s->head.by_seq != next_since);
	return rc;
}

/* The record at the head of a stream, from a bundle or the log; `*leap`: what
 * follows is `next` (stream_leap), else what the cursor has. */
static enum rc head_get(struct time_scan *scan, struct stream *s, struct page *page,
    struct observation *obs, struct store_entry *next, bool *leap, bool *stale,
    struct errmsg *detail)
{
	*leap = *stale = false;
	if (s->db == DB_TIME) {
		enum rc rc =
		    store_bundles_get(scan->store, &scan->bundles[s->layer], &s->head, obs, next);
		*leap = rc == RC_OK || s->ahead;
		*stale = rc == RC_OK && obs->place.map_version > scan->as_of;
		if (rc != RC_NOTFOUND)
			return rc;
		next->seq = 0;
	}
	return entry_record(scan, s, page, obs, stale, detail);
}

/* Fill the page; `pos` moves behind the last entry looked at. */
static enum rc merge_page(struct time_scan *scan, struct store_position *pos, size_t want,
    struct page *page, bool *more, struct errmsg *why)
{
	struct stream *s;
	enum rc rc = RC_OK;

	while (rc == RC_OK && !page_full(page, want) && (s = stream_first(scan)) != NULL) {
		struct observation *obs = &page->items[page->len];
		uint64_t seq = s->head.seq;
		struct errmsg detail = ERRMSG_INIT;
		struct store_entry next = { 0 };
		bool leap, stale;
		rc = head_get(scan, s, page, obs, &next, &leap, &stale, &detail);
		size_t before = page->len;
		rc = page_add(page, rc, &detail);
		if (rc != RC_OK)
			return errmsg_rc(why, rc, "%s", errmsg_text(&detail, rc));
		*pos = (struct store_position){ s->head.t0_ns, seq, true };
		if (page->len > before && (stale || seq > scan->as_of || !wanted(scan, obs)))
			page->len--;
		rc = leap ? stream_leap(scan, s, &next, why) : stream_next(scan, s, why);
		if (rc == RC_NOTFOUND) {
			stream_drop(scan, s);
			rc = RC_OK;
		}
	}
	*more = scan->streams_len > 0;
	return rc;
}

static enum rc time_page(struct time_scan *scan, struct store_position *pos, size_t want,
    struct page *page, bool *more, struct errmsg *why)
{
	page_begin(page);
	*more = false;
	enum rc rc = store_read_begin(scan->store, &scan->txn, why);
	if (rc != RC_OK)
		return rc;
	rc = streams_open(scan, pos, why);
	for (unsigned layer = 1; layer <= LAYER_COUNT && rc == RC_OK; layer++)
		rc = store_bundles_attach(
		    scan->store, scan->txn, &page->arena, &scan->bundles[layer], why);
	if (rc == RC_OK)
		rc = merge_page(scan, pos, want, page, more, why);
	for (size_t i = 0; i < scan->streams_len; i++)
		mdb_cursor_close(scan->streams[i].cursor);
	for (unsigned layer = 1; layer <= LAYER_COUNT; layer++)
		store_bundles_detach(&scan->bundles[layer]);
	store_read_end(scan->store, scan->txn);
	return rc;
}

enum rc store_scan_time(struct store *store, const struct store_range *range,
    struct store_position *pos, size_t limit, store_visit_fn *visit, void *ctx, struct errmsg *why)
{
	size_t left = limit == 0 ? SIZE_MAX : limit;
	struct store_position none = { 0 };
	struct time_scan scan = {
		.store = store,
		.range = range,
		.layers = range->layers == 0 ? LAYER_MASK_ALL : range->layers,
		.as_of = range->as_of_seq == 0 ? UINT64_MAX : range->as_of_seq,
	};
	struct page page;
	bool more = true;

	if (range->to_ns <= range->from_ns)
		return RC_OK;
	if (pos == NULL)
		pos = &none;
	enum rc rc = page_init(&page);
	scan.streams = malloc(STREAMS_MAX * sizeof(*scan.streams));
	scan.bundles = calloc(LAYER_COUNT + 1, sizeof(*scan.bundles));
	if (scan.streams == NULL || scan.bundles == NULL)
		rc = RC_NOMEM;
	for (unsigned layer = 1; layer <= LAYER_COUNT && scan.bundles != NULL; layer++)
		store_bundles_init(&scan.bundles[layer], layer);
	while (rc == RC_OK && left > 0 && more) {
		struct store_position next = *pos;
		rc = time_page(&scan, &next, left, &page, &more, why);
		size_t i = 0;
		bool on = true;
		for (; i < page.len && on; i++)
			on = visit(ctx, &page.items[i]);
		more = more && on;
		if (i > 0) {
			const struct observation *last = &page.items[i - 1];
			struct store_entry at = store_entry_of(last, last->seq);
			*pos = (struct store_position){ at.t0_ns, at.seq, true };
		}
		left -= i;
		if (rc == RC_OK && i == page.len && more)
			*pos = next;
	}
	for (unsigned layer = 1; layer <= LAYER_COUNT && scan.bundles != NULL; layer++)
		store_bundles_fini(&scan.bundles[layer]);
	free(scan.bundles);
	free(scan.streams);
	rc = page_verdict(&page, rc, why);
	page_fini(&page);
	return rc;
}
