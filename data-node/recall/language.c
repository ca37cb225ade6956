/*
 * Language: script counts, and letters in threes and words against samples.
 *
 * Both features are rows of one kind of table: hash → cost of each sample row
 * in sixteenths of a bit.  Each sample is learned twice, as written and
 * without accents: people leave them out when they type.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/unicode.h"
#include "base/utf8.h"
#include "recall/language_internal.h"

#define GRAM_SLOTS ((size_t)1 << 15)
#define WORD_SLOTS ((size_t)1 << 14)
#define ROW_WIDTH 32        /* ≥ LANGUAGE_SAMPLES, for whole vectors */
#define SMOOTH_16 5         /* of a count, in sixteenths */
#define BIT 16              /* costs of one bit */
#define WORD_LETTERS_MAX 40 /* a longer word is cut */
#define IDEOGRAPH_WEIGHT 3  /* one says as much as so many letters */
#define SHARE_PERCENT 60    /* of the letters, for a script to speak for the text */
#define MARGIN_BITS 7       /* between the best and the next */
#define MARGIN_SHORT_BITS 9 /* the same for texts of few letters */
#define SHORT_LETTERS 9
#define RATE_BITS 11 /* a letter in three may cost so much before it is noise */
#define HASH_FACTOR UINT64_C(0x9E3779B97F4A7C15)

_Static_assert(LANGUAGE_SAMPLES <= ROW_WIDTH, "rows hold every sample");

struct table {
	size_t mask;
	uint64_t *keys;              /* [mask + 1], 0 = free */
	uint16_t (*rows)[ROW_WIDTH]; /* [mask + 1]: counts, later costs */
	size_t len;
};

struct language_model {
	struct table grams, words;
};

/* What a text was found to hold. */
struct tally {
	const struct language_model *model;
	struct language_model *learn; /* NULL: read */
	int row;                      /* to learn */
	bool strip;                   /* accents */
	uint32_t costs[ROW_WIDTH];
	size_t letters[SCRIPT_COUNT];
	size_t grams, known_words, chinese, japanese, persian, not_russian;
};

static const char *const codes[LANGUAGE_COUNT] = { "und", "en", "de", "es", "fr", "it", "pt", "nl",
	"ru", "zh", "ja", "ko", "el", "he", "ar", "th" };

const char *language_code(enum language language)
{
	return (unsigned)language < LANGUAGE_COUNT ? codes[language] : codes[0];
}

/* ---- tables ------------------------------------------------------------------- */

static uint64_t mix(uint64_t hash, uint64_t word)
{
	hash = (hash ^ word) * HASH_FACTOR;
	return hash ^ hash >> 29;
}

static enum rc table_init(struct table *table, size_t slots)
{
	table->mask = slots - 1;
	table->keys = calloc(slots, sizeof *table->keys);
	table->rows = calloc(slots, sizeof *table->rows);
	return table->keys == NULL || table->rows == NULL ? RC_NOMEM : RC_OK;
}

static void table_fini(struct table *table)
{
	free(table->keys);
	free(table->rows);
}

/* The slot of `key`, or the free one where it belongs. */
static size_t table_slot(const struct table *table, uint64_t key)
{
	size_t i = (size_t)(key >> 20) & table->mask;

	while (table->keys[i] != 0 && table->keys[i] != key)
		i = (i + 1) & table->mask;
	return i;
}

/* A table that fills up (it never does with these samples) learns no more. */
static void table_count(struct table *table, uint64_t key, int row)
{
	size_t i = table_slot(table, key);

	if (table->keys[i] == 0) {
		if (table->len > table->mask / 2)
			return;
		table->keys[i] = key;
		table->len++;
	}
	table->rows[i][row]++;
}

static bool table_add(const struct table *table, uint64_t key, uint32_t costs[ROW_WIDTH])
{
	size_t i = table_slot(table, key);

	if (table->keys[i] == 0)
		return false;
	for (int k = 0; k < ROW_WIDTH; k++)
		costs[k] += table->rows[i][k];
	return true;
}

/* BIT × log2(n), n ≥ 1, by squaring the mantissa: no libm, the same anywhere. */
static uint32_t log2_16(uint64_t n)
{
	int top = 63 - __builtin_clzll(n);
	uint64_t mantissa = top > 31 ? n >> (top - 31) : n << (31 - top); /* 1.31 fixed point */
	uint32_t bits = (uint32_t)top;

	for (int i = 0; i < 4; i++) {
		mantissa = mantissa * mantissa >> 31;
		bits <<= 1;
		if (mantissa >= UINT64_C(1) << 32) {
			mantissa >>= 1;
			bits |= 1;
		}
	}
	return bits;
}

/* Counts to costs: -log2 of the smoothed share. */
static void table_finish(struct table *table)
{
	uint64_t totals[ROW_WIDTH] = { 0 };

	for (size_t i = 0; i <= table->mask; i++) {
		for (int k = 0; k < LANGUAGE_SAMPLES; k++)
			totals[k] += table->rows[i][k];
	}
	for (int k = 0; k < LANGUAGE_SAMPLES; k++)
		totals[k] = log2_16(totals[k] * 16 + table->len * SMOOTH_16);
	for (size_t i = 0; i <= table->mask; i++) {
		for (int k = 0; k < LANGUAGE_SAMPLES && table->keys[i] != 0; k++) {
			uint64_t count = (uint64_t)table->rows[i][k] * 16 + SMOOTH_16;
			table->rows[i][k] = (uint16_t)(totals[k] - log2_16(count));
		}
	}
}

/* ---- reading a text ------------------------------------------------------------- */

static enum script script_of(uint32_t cp)
{
	if (cp < 0x250 || (cp >= 0x1E00 && cp < 0x1F00))
		return SCRIPT_LATIN;
	if (cp < 0x370)
		return SCRIPT_NONE;
	if (cp < 0x400 || (cp >= 0x1F00 && cp < 0x2000))
		return SCRIPT_GREEK;
	if (cp < 0x530)
		return SCRIPT_CYRILLIC;
	if (cp >= 0x590 && cp < 0x600)
		return SCRIPT_HEBREW;
	if (cp >= 0x600 && cp < 0x780)
		return SCRIPT_ARABIC;
	if (cp >= 0xE00 && cp < 0xE80)
		return SCRIPT_THAI;
	if ((cp >= 0x1100 && cp < 0x1200) || (cp >= 0xAC00 && cp < 0xD7B0))
		return SCRIPT_HANGUL;
	if ((cp >= 0x3041 && cp < 0x3100) || (cp >= 0xFF66 && cp < 0xFFA0))
		return SCRIPT_KANA;
	return unicode_is_ideograph(cp) ? SCRIPT_HAN : SCRIPT_OTHER;
}

static bool in_text(const char *list, const uint8_t *bytes, size_t len)
{
	return memmem(list, strlen(list), bytes, len) != NULL;
}

/* Characters that only one of the languages with ideographs uses, or uses in
 * every sentence; the letters that Persian and Urdu add to Arabic, and those of
 * Cyrillic that Russian does not have. */
static void note_sign(struct tally *tally, enum script script, const uint8_t *bytes, size_t len)
{
	if (script == SCRIPT_HAN) {
		tally->chinese += in_text("的我你他她是这這说說们們吗嗎么麼吧呢没沒还還个個很都给給"
					  "谁誰让讓吃喝哪啊哦嗯您咱",
		    bytes, len);
		tally->japanese +=
		    in_text("駅気対広桜々働込発経済図渋読変帰戻遅円売検", bytes, len);
	} else if (script == SCRIPT_ARABIC) {
		tally->persian += in_text("پچژگکیےٹڈڑہھں", bytes, len);
	} else if (script == SCRIPT_CYRILLIC) {
		tally->not_russian += in_text("іїєґўђјљњћџѓќѕІЇЄҐЎЂЈЉЊЋЏЃЌЅ", bytes, len);
	}
}

static void take_feature(struct tally *tally, bool word, uint64_t key)
{
	if (tally->learn != NULL) {
		table_count(word ? &tally->learn->words : &tally->learn->grams, key, tally->row);
	} else if (word) {
		tally->known_words += table_add(&tally->model->words, key, tally->costs);
	} else {
		tally->grams += table_add(&tally->model->grams, key, tally->costs);
	}
}

/* `word` has a blank before and behind its [len] letters. */
static void take_word(struct tally *tally, const uint32_t *word, size_t len)
{
	uint64_t key = HASH_FACTOR;

	for (size_t i = 0; i < len; i++)
		key = mix(key, word[i + 1]);
	take_feature(tally, true, key | 1);
	for (size_t i = 0; i < len; i++) {
		uint64_t gram = (uint64_t)word[i] << 42 | (uint64_t)word[i + 1] << 21 | word[i + 2];
		take_feature(tally, false, mix(HASH_FACTOR, gram) | 1);
	}
}

/* Letters in, whole words out. */
struct word {
	uint32_t letters[WORD_LETTERS_MAX + 2]; /* [0] is the blank before */
	size_t len;
};

static void word_end(struct tally *tally, struct word *word)
{
	while (word->len > 0 && word->letters[word->len] == '\'')
		word->len--;
	word->letters[0] = ' ';
	word->letters[word->len + 1] = ' ';
	if (word->len > 0)
		take_word(tally, word->letters, word->len);
	word->len = 0;
}

static void word_letter(struct tally *tally, struct word *word, uint32_t cp)
{
	uint32_t base[UNICODE_BASE_MAX];

	cp = cp < 0x80 ? cp | 0x20 : unicode_lower(cp);
	if (tally->strip && cp >= 0x80 && unicode_base(cp, base) == 1)
		cp = base[0];
	/* "soooo": a letter three times running says nothing more. */
	bool drawn =
	    word->len >= 2 && word->letters[word->len] == cp && word->letters[word->len - 1] == cp;
	if (word->len < WORD_LETTERS_MAX && !drawn)
		word->letters[++word->len] = cp;
}

static bool is_letter(uint32_t cp)
{
	if (cp < 0x80)
		return (cp | 0x20) >= 'a' && (cp | 0x20) <= 'z';
	return unicode_is_letter(cp);
}

/* One stretch without blanks. */
static void take_token(struct tally *tally, const uint8_t *bytes, size_t len)
{
	struct word word = { .len = 0 };

	for (size_t i = 0; i < len;) {
		uint32_t cp = 0;
		size_t n = utf8_decode(bytes + i, len - i, &cp);
		if (n > 0 && is_letter(cp)) {
			enum script script = script_of(cp);
			tally->letters[script]++;
			if (script == SCRIPT_LATIN || script == SCRIPT_CYRILLIC)
				word_letter(tally, &word, cp);
			if (script != SCRIPT_LATIN)
				note_sign(tally, script, bytes + i, n);
		} else if ((cp == '\'' || cp == 0x2019) && word.len > 0) {
			word_letter(tally, &word, '\'');
			word.letters[word.len] = '\'';
		} else if (n > 0 && !unicode_is_mark(cp)) {
			word_end(tally, &word);
		}
		i += n == 0 ? 1 : n;
	}
	word_end(tally, &word);
}

/* Addresses, names of files and accounts, numbers: no language in them. */
static bool is_opaque(const uint8_t *bytes, size_t len)
{
	if (memchr(bytes, '@', len) != NULL || memchr(bytes, '_', len) != NULL ||
	    memmem(bytes, len, "://", 3) != NULL || (len > 4 && memcmp(bytes, "www.", 4) == 0))
		return true;
	for (size_t i = 0; i < len; i++) {
		if (bytes[i] >= '0' && bytes[i] <= '9')
			return true;
	}
	return bytes[0] == '#';
}

static void take_text(struct tally *tally, const char *text, size_t len)
{
	const uint8_t *bytes = (const uint8_t *)text;

	if (len > LANGUAGE_BYTES_MAX && tally->learn == NULL)
		len = LANGUAGE_BYTES_MAX;
	for (size_t i = 0; i < len;) {
		size_t begin = i;
		while (i < len && bytes[i] > ' ')
			i++;
		bool ideographs = i - begin > 2 && bytes[begin] >= 0xE3;
		if (i > begin && (ideographs || !is_opaque(bytes + begin, i - begin)))
			take_token(tally, bytes + begin, i - begin);
		i++;
	}
}

/* ---- the verdict ------------------------------------------------------------------ */

static size_t weight_of(const struct tally *tally, int script)
{
	bool ideograph = script == SCRIPT_HAN || script == SCRIPT_KANA || script == SCRIPT_HANGUL;

	return tally->letters[script] * (ideograph ? IDEOGRAPH_WEIGHT : 1);
}

/* 1 - 2^-(bits/2), without libm. */
static double confidence_of(uint32_t margin)
{
	uint32_t halves = margin / (2 * BIT);
	double rest = (double)(margin % (2 * BIT)) / (2 * BIT);
	double odds = 1;

	for (uint32_t i = 0; i < halves && i < 20; i++)
		odds /= 2;
	return 1 - odds * (1 - rest / 2);
}

/* Rows of one script against each other. */
static struct language_guess by_features(const struct tally *tally, enum script script)
{
	const struct language_guess unknown = { LANGUAGE_UNKNOWN, 0 };
	uint32_t best = UINT32_MAX, next = UINT32_MAX;
	int row = -1;

	for (int k = 0; k < LANGUAGE_SAMPLES; k++) {
		const struct language_sample *sample = &language_samples[k];
		if (sample->script != script)
			continue;
		if (tally->costs[k] < best) {
			next = best;
			best = tally->costs[k];
			row = k;
		} else if (tally->costs[k] < next) {
			next = tally->costs[k];
		}
	}
	if (row < 0 || tally->grams == 0 || tally->not_russian > 0)
		return unknown;
	uint32_t margin = next - best;
	uint32_t want = tally->letters[script] < SHORT_LETTERS ? MARGIN_SHORT_BITS : MARGIN_BITS;
	/* Noise costs every row the most there is, and one a little less by chance. */
	uint32_t features = (uint32_t)(tally->grams + tally->known_words);
	if (margin < want * BIT || best > features * RATE_BITS * BIT)
		return unknown;
	enum language language = language_samples[row].language;
	if (language == LANGUAGE_UNKNOWN)
		return unknown;
	return (struct language_guess){ language, confidence_of(margin) };
}

static struct language_guess by_ideographs(const struct tally *tally)
{
	size_t han = tally->letters[SCRIPT_HAN], kana = tally->letters[SCRIPT_KANA];

	if (kana > 0 && kana * 10 >= han)
		return (struct language_guess){ LANGUAGE_JA, 0.99 };
	if (tally->japanese > tally->chinese)
		return (struct language_guess){ LANGUAGE_JA, 0.8 };
	if (han >= 2 && tally->chinese > tally->japanese)
		return (struct language_guess){ LANGUAGE_ZH, 0.95 };
	if (han >= 6 && tally->japanese == 0)
		return (struct language_guess){ LANGUAGE_ZH, 0.8 };
	return (struct language_guess){ LANGUAGE_UNKNOWN, 0 };
}

static struct language_guess by_script(const struct tally *tally, enum script script)
{
	switch (script) {
	case SCRIPT_LATIN:
	case SCRIPT_CYRILLIC:
		return by_features(tally, script);
	case SCRIPT_KANA:
	case SCRIPT_HAN:
		return by_ideographs(tally);
	case SCRIPT_HANGUL:
		return (struct language_guess){ LANGUAGE_KO, 0.99 };
	case SCRIPT_GREEK:
		return (struct language_guess){ LANGUAGE_EL, 0.95 };
	case SCRIPT_HEBREW:
		return (struct language_guess){ LANGUAGE_HE, 0.9 };
	case SCRIPT_THAI:
		return (struct language_guess){ LANGUAGE_TH, 0.95 };
	case SCRIPT_ARABIC:
		if (tally->persian == 0 && tally->letters[SCRIPT_ARABIC] >= 3)
			return (struct language_guess){ LANGUAGE_AR, 0.8 };
		break;
	default:
		break;
	}
	return (struct language_guess){ LANGUAGE_UNKNOWN, 0 };
}

struct language_guess language_detect(
    const struct language_model *model, const char *text, size_t len)
{
	struct tally tally = { .model = model };
	size_t all = 0, most = 0;
	int script = SCRIPT_NONE;

	take_text(&tally, text, len);
	for (int k = SCRIPT_NONE + 1; k < SCRIPT_COUNT; k++) {
		size_t weight = weight_of(&tally, k);
		all += weight;
		if (k == SCRIPT_HAN) /* Japanese is written in both */
			weight += weight_of(&tally, SCRIPT_KANA);
		if (weight > most) {
			most = weight;
			script = k;
		}
	}
	size_t letters = tally.letters[script];
	if (all == 0 || most * 100 < all * SHARE_PERCENT ||
	    (letters < 2 && script != SCRIPT_HAN && script != SCRIPT_KANA))
		return (struct language_guess){ LANGUAGE_UNKNOWN, 0 };
	return by_script(&tally, (enum script)script);
}

/* ---- life ------------------------------------------------------------------------- */

enum rc language_new(struct language_model **out)
{
	struct language_model *model = calloc(1, sizeof *model);

	if (model == NULL)
		return RC_NOMEM;
	enum rc rc = table_init(&model->grams, GRAM_SLOTS);
	if (rc == RC_OK)
		rc = table_init(&model->words, WORD_SLOTS);
	if (rc != RC_OK) {
		language_free(model);
		return rc;
	}
	for (int pass = 0; pass < 2; pass++) {
		for (int k = 0; k < LANGUAGE_SAMPLES; k++) {
			struct tally tally = { .learn = model, .row = k, .strip = pass == 1 };
			take_text(
			    &tally, language_samples[k].text, strlen(language_samples[k].text));
		}
	}
	table_finish(&model->grams);
	table_finish(&model->words);
	*out = model;
	return RC_OK;
}

void language_free(struct language_model *model)
{
	if (model == NULL)
		return;
	table_fini(&model->grams);
	table_fini(&model->words);
	free(model);
}
