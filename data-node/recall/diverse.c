/* Diverse: words of each, likeness of two, the next one. */
#include "recall/diverse.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "recall/token.h"

struct word {
	uint64_t hash;
	double weight;
};

struct candidate {
	struct diverse_item item;
	struct word words[DIVERSE_WORDS_MAX]; /* [len], by hash */
	size_t len;
	double weight; /* of them all */
	double like;   /* to the likest that was chosen */
};

/* ---- words ------------------------------------------------------------------------------ */

struct reading {
	const struct index *index;
	struct candidate *to;
};

static bool add_word(void *ctx, const struct token *token)
{
	const struct reading *reading = ctx;
	struct candidate *to = reading->to;
	uint64_t hash = hash_bytes(HASH_START, token->word, token->word_len);

	if (token->exact || token->other)
		return true;
	for (size_t i = 0; i < to->len; i++) {
		if (to->words[i].hash == hash)
			return true;
	}
	double rare = index_rarity(reading->index, token->text, token->len);
	to->words[to->len++] = (struct word){ hash, rare * rare };
	return to->len < DIVERSE_WORDS_MAX;
}

static int by_hash(const void *a, const void *b)
{
	const struct word *x = a, *y = b;

	return x->hash < y->hash ? -1 : x->hash > y->hash;
}

static void read_words(const struct index *index, struct stemmer *stemmer, struct candidate *to)
{
	const struct token_rules rules = { .stemmer = stemmer };
	struct reading reading = { index, to };

	token_scan(&rules, to->item.text, strlen(to->item.text), add_word, &reading);
	if (to->len > 0)
		qsort(to->words, to->len, sizeof *to->words, by_hash);
	for (size_t i = 0; i < to->len; i++)
		to->weight += to->words[i].weight;
}

/* ---- likeness ------------------------------------------------------------------------------- */

/* What both say, of what either says. */
static double common_share(const struct candidate *a, const struct candidate *b)
{
	double common = 0;
	size_t i = 0, k = 0;

	while (i < a->len && k < b->len) {
		uint64_t x = a->words[i].hash, y = b->words[k].hash;
		if (x == y)
			common += a->words[i].weight;
		i += x <= y;
		k += x >= y;
	}
	double all = a->weight + b->weight - common;
	return all > 0 ? common / all : 0;
}

static double likeness(const struct candidate *a, const struct candidate *b)
{
	double like = (common_share(a, b) - DIVERSE_ALIKE_MIN) / (1 - DIVERSE_ALIKE_MIN);
	int64_t apart_ns;

	if (like <= 0)
		return 0;
	bool far = __builtin_sub_overflow(a->item.t0_ns, b->item.t0_ns, &apart_ns) ||
		   apart_ns > DIVERSE_APART_NS || apart_ns < -DIVERSE_APART_NS;
	return far ? like * DIVERSE_APART_WEIGHT : like;
}

/* ---- the order ---------------------------------------------------------------------------------
 */

/* The next of all [at, len). */
static size_t choose(const struct candidate *all, size_t at, size_t len, double best)
{
	size_t next = at;
	double most = -INFINITY;

	for (size_t i = at; i < len; i++) {
		double value =
		    DIVERSE_LAMBDA * all[i].item.score / best - (1 - DIVERSE_LAMBDA) * all[i].like;
		if (all[i].like >= DIVERSE_REPEAT_MIN)
			value -= 1; /* scores make up less */
		if (value > most) {
			most = value;
			next = i;
		}
	}
	return next;
}

/* Candidate `next` to `at`; what is left is as much like it as it is. */
static void take(struct candidate *all, size_t at, size_t len, size_t next)
{
	struct candidate chosen = all[next];

	memmove(&all[at + 1], &all[at], (next - at) * sizeof *all);
	all[at] = chosen;
	for (size_t i = at + 1; i < len; i++)
		all[i].like = fmax(all[i].like, likeness(&all[i], &all[at]));
}

enum rc diverse_rank(
    const struct index *index, struct diverse_item *items, size_t n, struct arena *arena)
{
	size_t len = n < DIVERSE_ITEMS_MAX ? n : DIVERSE_ITEMS_MAX;
	struct candidate *all = arena_array(arena, len + 1, sizeof *all);
	double best = 0, last = INFINITY;
	struct stemmer *stemmer;

	if (all == NULL || stemmer_new(&stemmer) != RC_OK)
		return RC_NOMEM;
	for (size_t i = 0; i < n; i++) {
		items[i].place = i;
		best = fmax(best, items[i].score);
	}
	for (size_t i = 0; i < len; i++) {
		all[i] = (struct candidate){ .item = items[i] };
		read_words(index, stemmer, &all[i]);
	}
	bool failed = stemmer_failed(stemmer);
	stemmer_free(stemmer);
	for (size_t at = 0; at < len; at++) {
		take(all, at, len, choose(all, at, len, best > 0 ? best : 1));
		items[at] = all[at].item;
	}
	for (size_t i = 0; i < n; i++)
		items[i].score = last = fmin(last, items[i].score);
	return failed ? RC_NOMEM : RC_OK;
}
