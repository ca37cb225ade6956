/*
 * Series pack: residuals as groups of few bits, or as planes of bytes.
 *
 * A group of 32 values takes as many bits a value as its largest one needs; a
 * group of XORs leaves out the zeros that all have at the end as well.
 */
#include <string.h>

#include "store/series_internal.h"

#define GROUP_BYTES_MAX (SERIES_GROUP * 8)
#define WORD_BYTES 8
#define WIDTH_ONE_LOAD 57u /* with up to 7 bits of the byte before, in one word */

struct group {
	size_t begin, len;
	unsigned width, shift;
};

static unsigned width_of(uint64_t value)
{
	return value == 0 ? 0 : 64 - (unsigned)__builtin_clzll(value);
}

static size_t bits_bytes(size_t n, unsigned width)
{
	return (n * width + 7) / 8;
}

static struct group group_of(const struct series_column *column, size_t g)
{
	struct group group = { .begin = g * SERIES_GROUP, .len = SERIES_GROUP };
	uint64_t all = 0;

	if (group.len > column->n - group.begin)
		group.len = column->n - group.begin;
	for (size_t i = 0; i < group.len; i++)
		all |= column->residuals[group.begin + i];
	if (column->kind == SERIES_BITS && all != 0)
		group.shift = (unsigned)__builtin_ctzll(all);
	group.width = width_of(all >> group.shift);
	return group;
}

size_t series_packed_bytes(const struct series_column *column)
{
	size_t bytes = 0, head = column->kind == SERIES_BITS ? 2 : 1;

	for (size_t g = 0; g < series_groups(column->n); g++) {
		struct group group = group_of(column, g);
		bytes += head + bits_bytes(group.len, group.width);
	}
	return bytes;
}

static void put_bits(const uint64_t *values, const struct group *group, struct buf *out)
{
	uint8_t bytes[GROUP_BYTES_MAX + 2 * WORD_BYTES] = { 0 };

	for (size_t i = 0; i < group->len; i++) {
		uint64_t value = values[i] >> group->shift;
		size_t bit = i * group->width;
		uint8_t *at = bytes + bit / 8;
		for (unsigned done = 0, off = (unsigned)(bit % 8); done < group->width; off = 0) {
			*at = (uint8_t)(*at | value << off);
			at++;
			value >>= 8 - off;
			done += 8 - off;
		}
	}
	buf_append(out, bytes, bits_bytes(group->len, group->width));
}

void series_pack(const struct series_column *column, struct buf *out)
{
	for (size_t g = 0; g < series_groups(column->n); g++) {
		struct group group = group_of(column, g);
		if (column->kind == SERIES_BITS) {
			buf_putc(out, (char)group.width);
			buf_putc(out, (char)group.shift);
		} else {
			buf_putc(out, (char)(group.width + SERIES_WIDTHS * column->orders[g]));
		}
		put_bits(column->residuals + group.begin, &group, out);
	}
}

static uint64_t load(const uint8_t *at)
{
	uint64_t word;

	memcpy(&word, at, sizeof(word));
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	word = __builtin_bswap64(word);
#endif
	return word;
}

/* `bytes` has two words of anything behind its bits. */
static void get_bits(const uint8_t *bytes, const struct group *group, uint64_t *values)
{
	unsigned width = group->width, shift = group->shift;
	uint64_t mask = width == 64 ? UINT64_MAX : (UINT64_C(1) << width) - 1;

	if (width <= WIDTH_ONE_LOAD) {
		for (size_t i = 0, bit = 0; i < group->len; i++, bit += width)
			values[i] = (load(bytes + bit / 8) >> bit % 8 & mask) << shift;
		return;
	}
	for (size_t i = 0, bit = 0; i < group->len; i++, bit += width) {
		unsigned off = (unsigned)(bit % 8);
		uint64_t value = load(bytes + bit / 8) >> off;
		if (off > 0)
			value |= (uint64_t)bytes[bit / 8 + WORD_BYTES] << (64 - off);
		values[i] = (value & mask) << shift;
	}
}

static bool get_group_head(
    struct series_column *column, struct series_reader *in, size_t g, struct group *group)
{
	size_t head = column->kind == SERIES_BITS ? 2 : 1;

	if (in->left < head)
		return false;
	group->width = in->at[0];
	group->shift = 0;
	if (column->kind == SERIES_BITS) {
		group->shift = in->at[1];
		if (group->width > 64 || group->shift > 63 || group->width + group->shift > 64)
			return false;
	} else {
		if (group->width >= SERIES_WIDTHS * SERIES_ORDERS)
			return false;
		column->orders[g] = (uint8_t)(group->width / SERIES_WIDTHS);
		group->width %= SERIES_WIDTHS;
	}
	in->at += head;
	in->left -= head;
	return true;
}

bool series_unpack(struct series_column *column, struct series_reader *in)
{
	for (size_t g = 0, begin = 0; begin < column->n; g++, begin += SERIES_GROUP) {
		struct group group = { .begin = begin, .len = SERIES_GROUP };
		uint8_t tail[GROUP_BYTES_MAX + 2 * WORD_BYTES];
		if (group.len > column->n - begin)
			group.len = column->n - begin;
		if (!get_group_head(column, in, g, &group))
			return false;
		size_t bytes = bits_bytes(group.len, group.width);
		if (bytes > in->left)
			return false;
		const uint8_t *at = in->at;
		if (in->left < bytes + 2 * WORD_BYTES) {
			memset(tail, 0, sizeof(tail));
			memcpy(tail, at, bytes);
			at = tail;
		}
		get_bits(at, &group, column->residuals + begin);
		in->at += bytes;
		in->left -= bytes;
	}
	return true;
}

/* ---- planes -------------------------------------------------------------------- */

void series_planes_size(struct series_column *column)
{
	uint64_t all = 0;

	for (size_t i = 0; i < column->n; i++)
		all |= column->residuals[i];
	column->shift =
	    column->kind == SERIES_BITS && all != 0 ? (unsigned)__builtin_ctzll(all) : 0;
	column->planes = (width_of(all >> column->shift) + 7) / 8;
}

size_t series_planes_bytes(const struct series_column *column)
{
	size_t orders = column->kind == SERIES_BITS ? 0 : series_groups(column->n);

	return orders + column->planes * column->n;
}

void series_planes_put(const struct series_column *column, struct buf *out)
{
	uint8_t bytes[256];

	if (column->kind != SERIES_BITS)
		buf_append(out, column->orders, series_groups(column->n));
	for (unsigned plane = 0; plane < column->planes; plane++) {
		for (size_t i = 0; i < column->n;) {
			size_t len = 0;
			while (len < sizeof(bytes) && i < column->n)
				bytes[len++] =
				    (uint8_t)(column->residuals[i++] >> column->shift >> 8 * plane);
			buf_append(out, bytes, len);
		}
	}
}

bool series_planes_get(struct series_column *column, struct series_reader *in)
{
	size_t bytes = series_planes_bytes(column);
	const uint8_t *at = in->at;

	if (bytes > in->left)
		return false;
	in->at += bytes;
	in->left -= bytes;
	if (column->kind != SERIES_BITS) {
		for (size_t g = 0; g < series_groups(column->n); g++) {
			column->orders[g] = *at++;
			if (column->orders[g] >= SERIES_ORDERS)
				return false;
		}
	}
	memset(column->residuals, 0, column->n * sizeof(*column->residuals));
	for (unsigned plane = 0; plane < column->planes; plane++) {
		for (size_t i = 0; i < column->n; i++)
			column->residuals[i] |= (uint64_t)*at++ << 8 * plane;
	}
	for (size_t i = 0; column->shift > 0 && i < column->n; i++)
		column->residuals[i] <<= column->shift;
	return true;
}
