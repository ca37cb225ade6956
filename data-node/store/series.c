/* Series: columns put together, and the smaller of two forms. */
#include "store/series.h"

#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "base/wipe.h"
#include "store/series_internal.h"

#define COLUMNS_MAX (SERIES_CHANNELS_MAX + 1)
#define VARINT_BYTES_MAX 10
/* Fewer bytes than this in planes are not worth what opening zstd costs; nor is
 * a gain of less than a thirty-second. */
#define PLANES_BYTES_MIN ((size_t)4096)
#define PLANES_GAIN 32
#define ZSTD_LEVEL 1
/* Integers that need more bits a value than this are tried as bits as well. */
#define WIDE_BITS 24

struct columns {
	struct series_column all[COLUMNS_MAX];
	size_t len;
	size_t frames, channels;
	bool times;
	uint64_t *residuals; /* [len][frames] */
	uint8_t *orders;     /* [len][groups] */
};

static void columns_free(struct columns *c)
{
	if (c == NULL)
		return;
	if (c->residuals != NULL)
		wipe(c->residuals, c->len * c->frames * sizeof(*c->residuals));
	free(c->residuals);
	free(c->orders);
	free(c);
}

static enum rc columns_new(size_t frames, size_t channels, bool times, struct columns **out)
{
	struct columns *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return RC_NOMEM;
	c->len = channels + (times ? 1 : 0);
	c->frames = frames;
	c->channels = channels;
	c->times = times;
	c->residuals = calloc(c->len * frames, sizeof(*c->residuals));
	c->orders = calloc(c->len, series_groups(frames));
	if (c->residuals == NULL || c->orders == NULL) {
		columns_free(c);
		return RC_NOMEM;
	}
	for (size_t i = 0; i < c->len; i++) {
		c->all[i].n = frames;
		c->all[i].residuals = c->residuals + i * frames;
		c->all[i].orders = c->orders + i * series_groups(frames);
	}
	*out = c;
	return RC_OK;
}

/* ---- encoding ----------------------------------------------------------------- */

static void put_varint(uint64_t value, struct buf *out)
{
	for (; value > 0x7F; value >>= 7)
		buf_putc(out, (char)(value | 0x80));
	buf_putc(out, (char)value);
}

static void put_head(const struct series_column *column, bool planes, struct buf *out)
{
	buf_putc(out,
	    (char)((unsigned)column->kind | (column->zero_signed ? SERIES_KIND_ZERO_SIGNED : 0)));
	if (column->kind == SERIES_BITS) {
		for (unsigned i = 0; i < 8; i++)
			buf_putc(out, (char)(column->first >> 8 * i));
	} else {
		put_varint(series_zigzag(column->exponent), out);
		put_varint(series_zigzag(column->base), out);
		put_varint(column->unit, out);
		put_varint(series_zigzag(column->centre), out);
	}
	if (planes) {
		buf_putc(out, (char)column->planes);
		buf_putc(out, (char)column->shift);
	}
}

static void put_front(const struct columns *c, bool planes, struct buf *out)
{
	buf_putc(out, SERIES_VERSION);
	buf_putc(
	    out, (char)((c->times ? SERIES_FLAG_TIMES : 0u) | (planes ? SERIES_FLAG_PLANES : 0u)));
	put_varint(c->frames, out);
	put_varint(c->channels, out);
	for (size_t i = 0; i < c->len; i++)
		put_head(&c->all[i], planes, out);
}

static enum rc column_of_values(
    const double *values, size_t stride, struct series_column *column, int64_t *k)
{
	if (!series_scale_find(values, stride, column->n, column, k)) {
		series_column_bits(column, values, stride);
		return RC_OK;
	}
	series_column_integers(column, k);
	size_t bytes = series_packed_bytes(column);
	if (bytes * 8 <= column->n * WIDE_BITS)
		return RC_OK;
	struct series_column bits = { .n = column->n };
	bits.residuals = calloc(column->n, sizeof(*bits.residuals));
	if (bits.residuals == NULL)
		return RC_NOMEM;
	series_column_bits(&bits, values, stride);
	if (series_packed_bytes(&bits) < bytes) {
		memcpy(column->residuals, bits.residuals, column->n * sizeof(*bits.residuals));
		bits.orders = column->orders;
		uint64_t *spent = bits.residuals;
		bits.residuals = column->residuals;
		*column = bits;
		bits.residuals = spent;
	}
	wipe(bits.residuals, column->n * sizeof(*bits.residuals));
	free(bits.residuals);
	return RC_OK;
}

static enum rc columns_fill(struct columns *c, const struct series *series, struct errmsg *why)
{
	struct series_column *column = c->all;
	enum rc rc = RC_OK;

	int64_t *k = calloc(c->frames, sizeof(*k));
	if (k == NULL)
		return RC_NOMEM;
	for (size_t i = 0; c->times && i < c->frames && rc == RC_OK; i++) {
		k[i] = series->times_ns[i];
		if (k[i] < 0 || k[i] > SERIES_OFFSET_NS_MAX)
			rc = errmsg_rc(why, RC_INVALID, "times: an offset is out of range");
	}
	if (c->times && rc == RC_OK)
		series_column_integers(column++, k);
	for (size_t i = 0; i < c->channels && rc == RC_OK; i++)
		rc = column_of_values(series->values + i, c->channels, column++, k);
	wipe(k, c->frames * sizeof(*k));
	free(k);
	return rc;
}

/* The form with planes, if it is well below `packed` bytes; else nothing. */
static enum rc put_planes(struct columns *c, size_t packed, struct buf *out)
{
	struct buf planes;
	size_t bytes = 0;

	for (size_t i = 0; i < c->len; i++) {
		series_planes_size(&c->all[i]);
		bytes += series_planes_bytes(&c->all[i]);
	}
	if (bytes < PLANES_BYTES_MIN)
		return RC_OK;
	size_t room = ZSTD_compressBound(bytes);
	uint8_t *pressed = malloc(room);
	if (pressed == NULL)
		return RC_NOMEM;
	buf_init(&planes, SERIES_SCRATCH_BYTES_MAX);
	for (size_t i = 0; i < c->len; i++)
		series_planes_put(&c->all[i], &planes);
	enum rc rc = buf_rc(&planes);
	size_t len = room;
	if (rc == RC_OK)
		len = ZSTD_compress(pressed, room, planes.bytes, planes.len, ZSTD_LEVEL);
	if (rc == RC_OK && !ZSTD_isError(len) && len < packed - packed / PLANES_GAIN) {
		put_front(c, true, out);
		buf_append(out, pressed, len);
	}
	buf_fini(&planes);
	wipe(pressed, room);
	free(pressed);
	return rc;
}

enum rc series_encode(const struct series *series, struct buf *out, struct errmsg *why)
{
	struct columns *c = NULL;
	size_t packed = 0, before = out->len;

	if (series->frames == 0 || series->channels == 0 ||
	    series->channels > SERIES_CHANNELS_MAX ||
	    series->frames > SERIES_VALUES_MAX / series->channels)
		return errmsg_rc(why, RC_LIMIT, "values: none, or more than %zu in %zu channels",
		    SERIES_VALUES_MAX, SERIES_CHANNELS_MAX);
	enum rc rc = columns_new(series->frames, series->channels, series->times_ns != NULL, &c);
	if (rc == RC_OK)
		rc = columns_fill(c, series, why);
	for (size_t i = 0; rc == RC_OK && i < c->len; i++)
		packed += series_packed_bytes(&c->all[i]);
	if (rc == RC_OK)
		rc = put_planes(c, packed, out);
	if (rc == RC_OK && out->len == before) {
		put_front(c, false, out);
		for (size_t i = 0; i < c->len; i++)
			series_pack(&c->all[i], out);
	}
	columns_free(c);
	return rc == RC_OK ? buf_rc(out) : rc;
}

/* ---- decoding ------------------------------------------------------------------- */

static bool get_byte(struct series_reader *in, unsigned *out)
{
	if (in->left == 0)
		return false;
	*out = *in->at++;
	in->left--;
	return true;
}

static bool get_varint(struct series_reader *in, uint64_t *out)
{
	unsigned byte = 0x80;

	*out = 0;
	for (unsigned i = 0; i < VARINT_BYTES_MAX && byte >= 0x80; i++) {
		if (!get_byte(in, &byte))
			return false;
		*out |= (uint64_t)(byte & 0x7F) << 7 * i;
	}
	return byte < 0x80;
}

static bool get_signed(struct series_reader *in, int64_t *out)
{
	uint64_t zigzag;

	if (!get_varint(in, &zigzag))
		return false;
	*out = series_unzigzag(zigzag);
	return true;
}

static bool get_integer_head(struct series_reader *in, struct series_column *column)
{
	int64_t exponent, max;

	max = column->kind == SERIES_DECIMAL ? SERIES_DECIMAL_MAX : SERIES_BINARY_MAX;
	if (!get_signed(in, &exponent) || exponent < 0 || exponent > max)
		return false;
	column->exponent = (int)exponent;
	return get_signed(in, &column->base) && get_varint(in, &column->unit) &&
	       get_signed(in, &column->centre);
}

static bool get_head(struct series_reader *in, bool planes, struct series_column *column)
{
	unsigned kind, byte;

	if (!get_byte(in, &kind) || (kind & SERIES_KIND_MASK) > SERIES_BITS || kind > 7)
		return false;
	column->kind = (enum series_kind)(kind & SERIES_KIND_MASK);
	column->zero_signed = (kind & SERIES_KIND_ZERO_SIGNED) != 0;
	if (column->kind == SERIES_BITS) {
		for (unsigned i = 0; i < 8; i++) {
			if (!get_byte(in, &byte))
				return false;
			column->first |= (uint64_t)byte << 8 * i;
		}
	} else if (!get_integer_head(in, column)) {
		return false;
	}
	return !planes || (get_byte(in, &column->planes) && get_byte(in, &column->shift) &&
			      column->planes <= 8 && column->shift <= 63);
}

/* Open the zstd frame that `in` is; it must hold exactly the planes. */
static enum rc get_planes(struct columns *c, struct series_reader *in, bool *good)
{
	size_t bytes = 0;

	*good = false;
	for (size_t i = 0; i < c->len; i++)
		bytes += series_planes_bytes(&c->all[i]);
	if (bytes > SERIES_SCRATCH_BYTES_MAX)
		return RC_OK;
	uint8_t *planes = malloc(bytes + 1);
	if (planes == NULL)
		return RC_NOMEM;
	*good = ZSTD_decompress(planes, bytes, in->at, in->left) == bytes;
	struct series_reader reader = { planes, bytes };
	for (size_t i = 0; *good && i < c->len; i++)
		*good = series_planes_get(&c->all[i], &reader);
	in->left = 0;
	wipe(planes, bytes);
	free(planes);
	return RC_OK;
}

/* Times in the range of the encoder, doubles in their places. */
static enum rc columns_spread(struct columns *c, struct arena *arena, struct series *out)
{
	struct series_column *column = c->all;
	double *values = arena_array(arena, c->frames * c->channels, sizeof(*values));
	int64_t *times = c->times ? arena_array(arena, c->frames, sizeof(*times)) : NULL;

	if (values == NULL || (c->times && times == NULL))
		return RC_NOMEM;
	if (c->times) {
		if (column->kind != SERIES_DECIMAL || column->exponent != 0 || column->zero_signed)
			return RC_CORRUPT;
		series_column_sum(column);
		memcpy(times, column->residuals, c->frames * sizeof(*times));
		for (size_t i = 0; i < c->frames; i++) {
			if (times[i] < 0 || times[i] > SERIES_OFFSET_NS_MAX)
				return RC_CORRUPT;
		}
		column++;
	}
	for (size_t i = 0; i < c->channels; i++, column++) {
		if (column->kind == SERIES_BITS) {
			series_column_unxor(column, values + i, c->channels);
			continue;
		}
		series_column_sum(column);
		series_scale_apply(
		    column, (const int64_t *)column->residuals, values + i, c->channels);
	}
	*out = (struct series){ values, times, c->frames, c->channels };
	return RC_OK;
}

static enum rc get_columns(struct series_reader *in, unsigned flags, struct columns *c)
{
	bool planes = (flags & SERIES_FLAG_PLANES) != 0, good = true;

	for (size_t i = 0; good && i < c->len; i++)
		good = get_head(in, planes, &c->all[i]);
	if (good && planes) {
		enum rc rc = get_planes(c, in, &good);
		if (rc != RC_OK)
			return rc;
	}
	for (size_t i = 0; good && !planes && i < c->len; i++)
		good = series_unpack(&c->all[i], in);
	return good && in->left == 0 ? RC_OK : RC_CORRUPT;
}

enum rc series_decode(
    const uint8_t *bytes, size_t len, struct arena *arena, struct series *out, struct errmsg *why)
{
	struct series_reader in = { bytes, len };
	uint64_t frames, channels;
	struct columns *c = NULL;
	unsigned version, flags;

	if (len > SERIES_BYTES_MAX || !get_byte(&in, &version) || version != SERIES_VERSION ||
	    !get_byte(&in, &flags) || flags > (SERIES_FLAG_TIMES | SERIES_FLAG_PLANES) ||
	    !get_varint(&in, &frames) || !get_varint(&in, &channels) || frames == 0 ||
	    channels == 0 || channels > SERIES_CHANNELS_MAX ||
	    frames > SERIES_VALUES_MAX / channels)
		return errmsg_rc(why, RC_CORRUPT, "series: its front is damaged");
	enum rc rc =
	    columns_new((size_t)frames, (size_t)channels, (flags & SERIES_FLAG_TIMES) != 0, &c);
	if (rc == RC_OK)
		rc = get_columns(&in, flags, c);
	if (rc == RC_OK)
		rc = columns_spread(c, arena, out);
	columns_free(c);
	if (rc == RC_CORRUPT)
		return errmsg_rc(why, rc, "series: its columns are damaged");
	return rc;
}
