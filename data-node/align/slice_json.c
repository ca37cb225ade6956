/* Slices as the contract shows them: JSON objects. */
#include <stdio.h>
#include <string.h>

#include "align/item.h"
#include "base/clock.h"
#include "base/hex.h"
#include "base/timestamp.h"

static const char *mode_word(enum cell_mode mode)
{
	switch (mode) {
	case CELL_ABSENT:
		break;
	case CELL_OBSERVED:
		return "observed";
	case CELL_OVERLAP:
		return "overlap";
	case CELL_CARRIED:
		return "carried";
	case CELL_INTERPOLATED:
		return "interpolated";
	}
	return "absent";
}

static const char *certainty_word(enum certainty certainty)
{
	return certainty == CERTAINTY_CERTAIN ? "certain" : "possible";
}

/* `"name":seconds`, exact, without needless zeros. */
static void put_seconds(struct buf *out, const char *name, int64_t ns)
{
	char fraction[16];
	int width = 9;

	(void)snprintf(fraction, sizeof fraction, "%09d", (int)(ns % NS_PER_S));
	while (width > 0 && fraction[width - 1] == '0')
		width--;
	buf_printf(out, ",\"%s\":%lld%s%.*s", name, (long long)(ns / NS_PER_S),
	    width > 0 ? "." : "", width, fraction);
}

static void put_name(struct buf *out, const char *name)
{
	buf_putc(out, '"');
	buf_puts(out, name);
	buf_puts(out, "\":");
}

/* `"name":"word"`; there is nothing to escape in it. */
static void put_word(struct buf *out, const char *name, const char *word)
{
	put_name(out, name);
	buf_putc(out, '"');
	buf_puts(out, word);
	buf_putc(out, '"');
}

static void put_time(struct buf *out, const char *name, int64_t ns)
{
	char text[TIMESTAMP_TEXT_BYTES];

	timestamp_format(ns, text);
	put_word(out, name, text);
}

static void put_string(struct buf *out, const char *name, const char *text)
{
	buf_putc(out, ',');
	put_name(out, name);
	buf_json_string(out, text, strlen(text));
}

static void put_id(struct buf *out, const char *name, const uint8_t id[OBS_ID_BYTES])
{
	char text[2 * OBS_ID_BYTES + 1];

	hex_encode(id, OBS_ID_BYTES, text);
	put_word(out, name, text);
}

static void put_value(struct buf *out, const struct cell *cell, const struct cell_value *value)
{
	const struct item_rest *rest = value->item->rest;
	const struct item *next = cell_value_next(value);
	const char *text = cell_value_text(value), *data_json = cell_value_data(value);
	int64_t t0_ns = value->item->t0_ns, t1_ns = next != NULL ? next->t0_ns : value->item->t1_ns;

	buf_putc(out, '{');
	put_id(out, "obs_id", rest->obs_id);
	if (next != NULL) {
		buf_putc(out, ',');
		put_id(out, "next_obs_id", next->rest->obs_id);
	}
	if (rest->client_id[0] != '\0')
		put_string(out, "id", rest->client_id);
	put_string(out, "source", rest->source);
	put_string(out, "kind", rest->kind);
	buf_putc(out, ',');
	put_time(out, "start", t0_ns);
	if (t1_ns > t0_ns) {
		buf_putc(out, ',');
		put_time(out, "end", t1_ns);
	}
	if (text[0] != '\0')
		put_string(out, "text", text);
	if (data_json[0] != '\0') {
		buf_puts(out, ",\"data\":");
		buf_puts(out, data_json);
	}
	if (value->mode != cell->mode)
		buf_printf(out, ",\"mode\":\"%s\"", mode_word(value->mode));
	if (value->age_ns != cell->age_ns)
		put_seconds(out, "age_s", value->age_ns);
	if (value->certainty != cell->certainty)
		buf_printf(out, ",\"certainty\":\"%s\"", certainty_word(value->certainty));
	buf_putc(out, '}');
}

static void put_cell(struct buf *out, const struct cell *cell)
{
	if (cell->mode == CELL_ABSENT) {
		buf_printf(out,
		    "{\"mode\":\"absent\",\"reason\":\"%s\",\"values\":[],\"age_s\":null,"
		    "\"error_s\":null,\"certainty\":null}",
		    cell->absent_reason);
		return;
	}
	buf_printf(out, "{\"mode\":\"%s\",\"values\":[", mode_word(cell->mode));
	for (size_t i = 0; i < cell->values_len; i++) {
		if (i > 0)
			buf_putc(out, ',');
		put_value(out, cell, &cell->values[i]);
	}
	buf_putc(out, ']');
	if (cell->values_total > cell->values_len)
		buf_printf(out, ",\"values_total\":%zu", cell->values_total);
	put_seconds(out, "age_s", cell->age_ns);
	put_seconds(out, "error_s", cell->error_ns);
	buf_printf(out, ",\"certainty\":\"%s\"}", certainty_word(cell->certainty));
}

static void put_cells(struct buf *out, const struct slice *slice, unsigned facets)
{
	bool first = true;

	buf_puts(out, ",\"cells\":{");
	for (int facet = 0; facet < FACET_COUNT; facet++) {
		if (facets != 0 && (facets & FACET_MASK(facet)) == 0)
			continue;
		buf_printf(out, "%s\"%s\":", first ? "" : ",", facet_word((enum facet)facet));
		put_cell(out, &slice->cells[facet]);
		first = false;
	}
	buf_putc(out, '}');
}

static void put_span(struct buf *out, const struct slice *slice)
{
	put_time(out, "start", slice->start_ns);
	buf_putc(out, ',');
	put_time(out, "end", slice->end_ns);
}

enum rc slice_json_cells(const struct slice *slice, unsigned facets, struct buf *out)
{
	put_span(out, slice);
	put_cells(out, slice, facets);
	return buf_rc(out);
}

enum rc slice_json(const struct slice *slice, unsigned facets, struct buf *out)
{
	buf_putc(out, '{');
	put_span(out, slice);
	buf_printf(out, ",\"version\":%llu,\"state\":\"%s\"", (unsigned long long)slice->version,
	    slice->state);
	if (slice->cause != NULL)
		buf_printf(out, ",\"cause\":\"%s\"", slice->cause);
	put_cells(out, slice, facets);
	buf_putc(out, '}');
	return buf_rc(out);
}
