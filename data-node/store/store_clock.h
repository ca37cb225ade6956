/*
 * Store clock: the clock maps of the timeline, and what they say at a cursor.
 *
 * Database `clockmap`, never dropped by a rebuild:
 *   'c' hash(clock)(16)         sealed: what is known of a clock
 *   'l' hash(clock, boot)(16)   sealed: its line (clock/line.h), names, counts
 *   'v' seq(8)                  empty: the maps changed with that record
 *   'p' seq(8) since(8)         where record seq lies, from cursor `since` on
 *   'o' epoch(8) seq(8)         hash(16) of the line: open placements
 * Like the keys of the time index, 'p' and 'o' hold times and no names.
 *
 * Maps are a function of the log: each record is taken in by itself, in order,
 * whatever batch it came in, and a record that changes the map places anew
 * exactly the open events of the epochs it touches: their old placement stays
 * for readers of the past, slices over both are marked dirty.
 */
#ifndef STORE_STORE_CLOCK_H
#define STORE_STORE_CLOCK_H

#include "store/observation.h"

struct store;

/*
 * A ping (DESIGN §7, /api/v1/time) is a record like any other: origin system,
 * this kind, start and end the device's t1 and t4, and the hub's stamps as data
 * {"t2":ns,"t3":ns}.  Only the node itself makes them: ingest refuses the kind.
 */
#define STORE_CLOCK_PING_KIND "clock_ping"

struct store_clock_ping {
	const char *clock, *boot;
	int64_t t1_ns, t2_ns, t3_ns, t4_ns;
};

/* The record of a ping; it borrows the names, its data lives in `arena`.
 * RC_INVALID: the stamps cannot be (more time away than between t1 and t4). */
enum rc store_clock_ping_make(const struct store_clock_ping *ping, int64_t recv_utc_ns,
    int64_t recv_mono_ns, struct arena *arena, struct observation *out) RC_CHECK;

/* Number of the maps in force at a cursor (0: now): the seq of the record with
 * which they last changed.  0: no clock was ever named, or it cannot be read. */
uint64_t store_clock_version(struct store *store, uint64_t as_of_seq);

struct store_clock_info {
	const char *clock, *boot; /* live until the visitor returns */
	uint64_t epoch;           /* the current one */
	size_t epochs;            /* that are held */
	bool synced, pings;
	int64_t sync_ns;  /* hub time of the newest sync */
	int64_t error_ns; /* half the width of its bounds at `now_ns` */
	uint64_t placed, limbo, open;
};
typedef bool store_clock_visit_fn(void *ctx, const struct store_clock_info *info);

/* Lines in no particular order, at most `limit`.  RC_CORRUPT, RC_NOMEM. */
enum rc store_clock_list(struct store *store, int64_t now_ns, size_t limit,
    store_clock_visit_fn *visit, void *ctx, struct errmsg *why) RC_CHECK;

/*
 * Visit the records `seq` that records in (after_seq, up_to_seq] placed anew: where
 * each was and where it is since; of one record in order; false ends it.  Reads every placement
 * there is, unless the maps did not change.  RC_CORRUPT.
 */
typedef bool store_clock_moved_fn(void *ctx, uint64_t seq, uint64_t by_seq, enum layer layer,
    const struct placement *from, const struct placement *to);
enum rc store_clock_moved(struct store *store, uint64_t after_seq, uint64_t up_to_seq,
    store_clock_moved_fn *visit, void *ctx, struct errmsg *why) RC_CHECK;

/* ---- stored forms, for tests ------------------------------------------------ */

/* One placement of one record. */
struct store_clock_row {
	struct placement place; /* defaulted is not kept */
	int64_t dev_t0_ns, dev_t1_ns, recv_ns;
	uint8_t layer;
	uint64_t open; /* the epoch whose sync places it anew; 0: it stands */
};
#define STORE_CLOCK_ROW_BYTES 83
void store_clock_row_encode(const struct store_clock_row *row, uint8_t out[STORE_CLOCK_ROW_BYTES]);
/* RC_CORRUPT. */
enum rc store_clock_row_decode(
    const uint8_t *bytes, size_t len, struct store_clock_row *out) RC_CHECK;

#endif
