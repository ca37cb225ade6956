/* Store clock rows: the stored forms of placements and lines. */
#include <string.h>

#include "store/store_clock_internal.h"

#define FLAG_LIMBO 1u
#define LINE_VERSION 1u

void store_clock_place_key(uint64_t seq, uint64_t since, uint8_t out[STORE_CLOCK_KEY_BYTES_MAX])
{
	out[0] = 'p';
	store_put_be64(out + 1, seq);
	store_put_be64(out + 9, since);
}

void store_clock_open_key(uint64_t epoch, uint64_t seq, uint8_t out[STORE_CLOCK_KEY_BYTES_MAX])
{
	out[0] = 'o';
	store_put_be64(out + 1, epoch);
	store_put_be64(out + 9, seq);
}

/* ---- one placement --------------------------------------------------------------- */

void store_clock_row_encode(const struct store_clock_row *row, uint8_t out[STORE_CLOCK_ROW_BYTES])
{
	const struct placement *place = &row->place;
	const uint64_t words[] = { (uint64_t)place->t0_ns, (uint64_t)place->t1_ns,
		(uint64_t)place->early_ns, (uint64_t)place->late_ns, place->map_version,
		place->epoch, (uint64_t)row->dev_t0_ns, (uint64_t)row->dev_t1_ns,
		(uint64_t)row->recv_ns, row->open };

	out[0] = 1;
	out[1] = place->limbo ? FLAG_LIMBO : 0;
	out[2] = row->layer;
	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
		store_put_be64(out + 3 + 8 * i, words[i]);
}

static bool is_time(int64_t ns)
{
	return ns >= OBS_TIME_MIN_NS && ns <= OBS_TIME_MAX_NS;
}

enum rc store_clock_row_decode(const uint8_t *bytes, size_t len, struct store_clock_row *out)
{
	uint64_t words[10];

	if (len != STORE_CLOCK_ROW_BYTES || bytes[0] != 1 || bytes[1] > FLAG_LIMBO ||
	    layer_word((enum layer)bytes[2]) == NULL)
		return RC_CORRUPT;
	for (size_t i = 0; i < 10; i++)
		words[i] = store_get_be64(bytes + 3 + 8 * i);
	struct store_clock_row row = {
		.place = { .t0_ns = (int64_t)words[0],
		    .t1_ns = (int64_t)words[1],
		    .early_ns = (int64_t)words[2],
		    .late_ns = (int64_t)words[3],
		    .map_version = words[4],
		    .epoch = words[5],
		    .limbo = bytes[1] != 0 },
		.dev_t0_ns = (int64_t)words[6],
		.dev_t1_ns = (int64_t)words[7],
		.recv_ns = (int64_t)words[8],
		.layer = bytes[2],
		.open = words[9],
	};
	if (!is_time(row.place.t0_ns) || !is_time(row.place.t1_ns) ||
	    row.place.t1_ns < row.place.t0_ns || row.place.early_ns < 0 || row.place.late_ns < 0 ||
	    !is_time(row.dev_t0_ns) || !is_time(row.dev_t1_ns) || row.dev_t1_ns < row.dev_t0_ns ||
	    row.place.epoch == 0)
		return RC_CORRUPT;
	*out = row;
	return RC_OK;
}

/* ---- one line: version(1) name(1+n) boot(1+n) placed(8) limbo(8) open(8) line ------ */

static size_t put_name(uint8_t *out, const char *name)
{
	size_t len = strlen(name);

	out[0] = (uint8_t)len;
	memcpy(out + 1, name, len);
	return 1 + len;
}

size_t store_clock_line_encode(
    const struct store_clock_line *line, uint8_t out[STORE_CLOCK_VALUE_BYTES_MAX])
{
	uint8_t *at = out;

	*at++ = LINE_VERSION;
	at += put_name(at, line->clock_name);
	at += put_name(at, line->boot_name);
	store_put_be64(at, line->placed);
	store_put_be64(at + 8, line->limbo);
	store_put_be64(at + 16, line->open);
	at += 24;
	at += line_encode(&line->line, at);
	return (size_t)(at - out);
}

static bool get_name(const uint8_t **at, const uint8_t *end, char out[OBS_CLOCK_BYTES_MAX + 1])
{
	if (*at == end || **at > OBS_CLOCK_BYTES_MAX || (size_t)(end - *at) < 1u + **at ||
	    memchr(*at + 1, 0, **at) != NULL)
		return false;
	memcpy(out, *at + 1, **at);
	out[**at] = '\0';
	*at += 1 + **at;
	return true;
}

enum rc store_clock_line_decode(const uint8_t *bytes, size_t len, struct store_clock_line *out)
{
	const uint8_t *at = bytes, *end = bytes + len;

	if (len == 0 || *at++ != LINE_VERSION || !get_name(&at, end, out->clock_name) ||
	    !get_name(&at, end, out->boot_name) || end - at < 24)
		return RC_CORRUPT;
	out->placed = store_get_be64(at);
	out->limbo = store_get_be64(at + 8);
	out->open = store_get_be64(at + 16);
	return line_decode(at + 24, (size_t)(end - at) - 24, &out->line) ? RC_OK : RC_CORRUPT;
}
