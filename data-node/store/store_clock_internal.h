/*
 * Store clock, inside: the writer's desk of lines, keys and rows.
 */
#ifndef STORE_STORE_CLOCK_INTERNAL_H
#define STORE_STORE_CLOCK_INTERNAL_H

#include "clock/line_codec.h"
#include "store/store_clock.h"
#include "store/store_internal.h"

#define STORE_CLOCK_DESK 16 /* lines at hand */
#define STORE_CLOCK_HASH_BYTES 16
#define STORE_CLOCK_KEY_BYTES_MAX 17
#define STORE_CLOCK_VALUE_BYTES_MAX (LINE_BYTES_MAX + 512)

/* A line at hand.  Of one clock at most one is, so that its clock is one too. */
struct store_clock_line {
	bool used, changed;
	uint64_t touched;
	uint8_t clock_hash[STORE_CLOCK_HASH_BYTES], line_hash[STORE_CLOCK_HASH_BYTES];
	char clock_name[OBS_CLOCK_BYTES_MAX + 1], boot_name[OBS_CLOCK_BYTES_MAX + 1];
	struct line_clock clock;
	struct line line;
	uint64_t placed, limbo, open;
};

/* Writer thread only. */
struct store_clock_desk {
	struct store_clock_line lines[STORE_CLOCK_DESK];
	uint64_t touches;
	struct line_news news; /* of the record in progress */
	struct store_clock_line *at;
	bool replaying; /* the derived databases are not there: rows alone */
};

/* ---- store_clock_row.c: keys and plain values ---- */
void store_clock_place_key(uint64_t seq, uint64_t since, uint8_t out[STORE_CLOCK_KEY_BYTES_MAX]);
void store_clock_open_key(uint64_t epoch, uint64_t seq, uint8_t out[STORE_CLOCK_KEY_BYTES_MAX]);
/* The rows of a record in order of `since`, until `visit` says false.
 * MDB_CORRUPTED for a malformed one. */
typedef bool store_clock_row_fn(void *ctx, uint64_t since, const struct store_clock_row *row);
int store_clock_rows(MDB_cursor *cursor, uint64_t seq, store_clock_row_fn *visit, void *ctx);
/* ---- store_clock_ping.c ---- */
/* False if the record is no ping. */
bool store_clock_ping_read(const struct observation *obs, uint64_t seq, struct line_ping *out);

enum rc store_clock_line_decode(
    const uint8_t *bytes, size_t len, struct store_clock_line *out) RC_CHECK;
size_t store_clock_line_encode(
    const struct store_clock_line *line, uint8_t out[STORE_CLOCK_VALUE_BYTES_MAX]);

#endif
