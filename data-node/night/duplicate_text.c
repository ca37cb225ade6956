/* Duplicate text: folding, shingles, MinHash. */
#include "night/duplicate_text.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/unicode.h"
#include "base/utf8.h"

#define HASH_FACTOR UINT64_C(0x9E3779B97F4A7C15)
#define ROWS (DUPLICATE_BANDS * DUPLICATE_BAND_ROWS)

static uint64_t mix(uint64_t hash, uint64_t word)
{
	hash = (hash ^ word) * HASH_FACTOR;
	return hash ^ hash >> 32;
}

/* Letters go by; shingles come out. */
struct folding {
	struct duplicate_text *out;
	uint32_t last[DUPLICATE_SHINGLE_LETTERS]; /* the newest at the end */
	uint32_t *list;                           /* every shingle, with repetitions */
	size_t len;
};

static void take_letter(struct folding *folding, uint32_t cp)
{
	struct duplicate_text *out = folding->out;
	uint64_t hash = 1;

	memmove(folding->last, folding->last + 1, sizeof folding->last - sizeof folding->last[0]);
	folding->last[DUPLICATE_SHINGLE_LETTERS - 1] = cp;
	out->whole = mix(out->whole, cp);
	if (out->letters < DUPLICATE_HEAD_LETTERS)
		out->head = mix(out->head, cp);
	if (unicode_is_number(cp))
		out->numbers = mix(out->numbers, cp);
	if (++out->letters < DUPLICATE_SHINGLE_LETTERS)
		return;
	for (int i = 0; i < DUPLICATE_SHINGLE_LETTERS; i++)
		hash = mix(hash, folding->last[i]);
	folding->list[folding->len++] = (uint32_t)(hash >> 13);
}

/* One form for what is the same to a reader: no case, marks, signs, blanks. */
static void take_char(struct folding *folding, uint32_t cp)
{
	uint32_t base[UNICODE_BASE_MAX];

	if (cp < 0x80) {
		bool upper = cp >= 'A' && cp <= 'Z';
		if (upper || (cp >= 'a' && cp <= 'z') || (cp >= '0' && cp <= '9'))
			take_letter(folding, upper ? cp + 32 : cp);
		return;
	}
	if (!unicode_is_letter(cp) && !unicode_is_number(cp) && !unicode_is_symbol(cp))
		return;
	size_t n = unicode_base(unicode_lower(cp), base);
	for (size_t i = 0; i < n; i++)
		take_letter(folding, base[i]);
}

static int compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

/* The smallest of every row's own hash over all shingles; two rows a band. */
static void make_bands(const uint32_t *list, size_t len, uint64_t bands[DUPLICATE_BANDS])
{
	uint64_t least[ROWS];

	memset(least, 0xFF, sizeof least);
	for (size_t i = 0; i < len; i++) {
		for (uint64_t row = 0; row < ROWS; row++) {
			uint64_t hash =
			    (list[i] + 1) * (HASH_FACTOR + 2 * row * UINT64_C(0x2545F4914F6CDD1D));
			hash ^= hash >> 31;
			hash *= UINT64_C(0xD1B54A32D192ED03);
			least[row] = hash < least[row] ? hash : least[row];
		}
	}
	for (uint64_t band = 0; band < DUPLICATE_BANDS; band++)
		bands[band] = mix(mix(band + 1, least[2 * band]), least[2 * band + 1]);
}

void duplicate_text_read(const char *text, size_t len, struct duplicate_text *out)
{
	uint32_t list[DUPLICATE_TEXT_BYTES_MAX];
	struct folding folding = { .out = out, .list = list };
	const uint8_t *bytes = (const uint8_t *)text;
	size_t unique = 0;

	*out = (struct duplicate_text){ .whole = 1, .head = 2 };
	if (len > DUPLICATE_TEXT_BYTES_MAX)
		len = DUPLICATE_TEXT_BYTES_MAX;
	for (size_t i = 0; i < len;) {
		uint32_t cp = 0;
		size_t n = utf8_decode(bytes + i, len - i, &cp);
		if (n > 0)
			take_char(&folding, cp);
		i += n == 0 ? 1 : n;
	}
	make_bands(list, folding.len, out->bands);
	qsort(list, folding.len, sizeof list[0], compare);
	for (size_t i = 0; i < folding.len; i++) {
		if (i > 0 && list[i] == list[i - 1])
			continue;
		if (unique < DUPLICATE_SHINGLES_MAX)
			out->shingles[out->shingles_len++] = list[i];
		unique++;
	}
	out->shingles_all = unique;
}

/* How many of the smallest hashes both share, among those up to `last`. */
static size_t common(
    const struct duplicate_text *a, const struct duplicate_text *b, size_t *in_a, size_t *in_b)
{
	/* Beyond the smaller end of the kept ones nothing is known of one side. */
	bool a_cut = a->shingles_all > a->shingles_len, b_cut = b->shingles_all > b->shingles_len;
	uint32_t last = UINT32_MAX;
	size_t i = 0, k = 0, both = 0;

	if (a_cut)
		last = a->shingles[a->shingles_len - 1];
	if (b_cut && b->shingles[b->shingles_len - 1] < last)
		last = b->shingles[b->shingles_len - 1];
	for (;;) {
		bool more_a = i < a->shingles_len && a->shingles[i] <= last;
		bool more_b = k < b->shingles_len && b->shingles[k] <= last;
		if (!more_a && !more_b)
			break;
		if (more_a && more_b && a->shingles[i] == b->shingles[k]) {
			both++;
			i++;
			k++;
		} else if (!more_b || (more_a && a->shingles[i] < b->shingles[k])) {
			i++;
		} else {
			k++;
		}
	}
	*in_a = i;
	*in_b = k;
	return both;
}

double duplicate_text_likeness(const struct duplicate_text *a, const struct duplicate_text *b)
{
	size_t in_a, in_b;
	size_t both = common(a, b, &in_a, &in_b);
	size_t all = in_a + in_b - both;

	return all == 0 ? 0 : (double)both / (double)all;
}

double duplicate_text_inside(const struct duplicate_text *a, const struct duplicate_text *b)
{
	size_t in_a, in_b;
	size_t both = common(a, b, &in_a, &in_b);
	size_t shorter = a->shingles_all < b->shingles_all ? in_a : in_b;

	return shorter == 0 ? 0 : (double)both / (double)shorter;
}
