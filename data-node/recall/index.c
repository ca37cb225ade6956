/* Index: term table, postings and documents; see index_query.c for scores. */
#include "recall/index_inner.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/wipe.h"

#define TABLE_CAP_FIRST ((size_t)1024)
#define POSTING_BYTES_MAX 10 /* two varints of 32 bits */

enum rc index_new(struct index **out)
{
	struct index *index = calloc(1, sizeof *index);

	if (index == NULL)
		return RC_NOMEM;
	index->table = calloc(TABLE_CAP_FIRST, sizeof *index->table);
	if (index->table == NULL) {
		free(index);
		return RC_NOMEM;
	}
	index->table_cap = TABLE_CAP_FIRST;
	*out = index;
	return RC_OK;
}

void index_free(struct index *index)
{
	if (index == NULL)
		return;
	for (size_t i = 0; i < index->terms_len; i++) {
		free(index->terms[i].bytes);
		free(index->terms[i].skips);
	}
	if (index->texts != NULL)
		wipe(index->texts, index->texts_len);
	free(index->texts);
	free(index->terms);
	free(index->table);
	free(index->docs);
	free(index->turns);
	free(index->stretches);
	free(index->spans);
	free(index->parts);
	free(index);
}

/* ---- terms --------------------------------------------------------------------------------- */

static uint32_t hash_of(const char *text, size_t len)
{
	uint64_t hash = hash_bytes(HASH_START, text, len);

	hash ^= hash >> 29;
	hash *= UINT64_C(0xBF58476D1CE4E5B9);
	return (uint32_t)(hash >> 32);
}

/* Place of the term in the table, or the free place where it would go. */
static size_t probe(const struct index *index, const char *text, size_t len, uint32_t hash)
{
	size_t mask = index->table_cap - 1;

	for (size_t i = hash & mask;; i = (i + 1) & mask) {
		if (index->table[i] == 0)
			return i;
		const struct index_term *term = &index->terms[index->table[i] - 1];
		if (term->hash == hash && term->text_len == len &&
		    memcmp(index->texts + term->text_at, text, len) == 0)
			return i;
	}
}

uint32_t index_find(const struct index *index, const char *term, size_t len)
{
	size_t slot = probe(index, term, len, hash_of(term, len));

	return index->table[slot] == 0 ? UINT32_MAX : index->table[slot] - 1;
}

static enum rc grow_table(struct index *index)
{
	size_t cap = index->table_cap * 2, mask = cap - 1;
	uint32_t *table = calloc(cap, sizeof *table);

	if (table == NULL)
		return RC_NOMEM;
	for (size_t i = 0; i < index->terms_len; i++) {
		size_t slot = index->terms[i].hash & mask;
		while (table[slot] != 0)
			slot = (slot + 1) & mask;
		table[slot] = (uint32_t)i + 1;
	}
	free(index->table);
	index->table = table;
	index->table_cap = cap;
	return RC_OK;
}

/* Room for `more` elements of `size` behind `len`; grows by half. */
static enum rc reserve(void **array, size_t len, size_t *cap, size_t more, size_t size)
{
	if (*cap - len >= more)
		return RC_OK;
	size_t want = *cap + *cap / 2;
	if (want < len + more)
		want = len + more + 16;
	void *bigger = realloc(*array, want * size);
	if (bigger == NULL)
		return RC_NOMEM;
	*array = bigger;
	*cap = want;
	return RC_OK;
}

static enum rc new_term(
    struct index *index, const char *text, size_t len, uint32_t hash, uint32_t *out)
{
	if (index->terms_len == UINT32_MAX - 1 || index->texts_len > UINT32_MAX - len)
		return RC_LIMIT;
	if ((index->terms_len + 1) * 4 > index->table_cap * 3 && grow_table(index) != RC_OK)
		return RC_NOMEM;
	if (reserve((void **)&index->terms, index->terms_len, &index->terms_cap, 1,
		sizeof *index->terms) != RC_OK ||
	    reserve((void **)&index->texts, index->texts_len, &index->texts_cap, len, 1) != RC_OK)
		return RC_NOMEM;
	memcpy(index->texts + index->texts_len, text, len);
	index->terms[index->terms_len] = (struct index_term){
		.hash = hash, .text_at = (uint32_t)index->texts_len, .text_len = (uint32_t)len
	};
	index->texts_len += len;
	index->table[probe(index, text, len, hash)] = (uint32_t)index->terms_len + 1;
	*out = (uint32_t)index->terms_len++;
	return RC_OK;
}

enum rc index_put_term(struct index *index, const char *text, size_t len)
{
	uint32_t hash = hash_of(text, len), number;

	if (index->table[probe(index, text, len, hash)] != 0)
		return RC_EXISTS;
	return new_term(index, text, len, hash, &number);
}

/* ---- documents --------------------------------------------------------------------------------
 */

/* In seconds, rounded up. */
static uint32_t span_of(int64_t t0_ns, int64_t t1_ns)
{
	int64_t span_ns;

	if (__builtin_sub_overflow(t1_ns, t0_ns, &span_ns))
		span_ns = INT64_MAX; /* 1900 to 2200 */
	int64_t span_s = span_ns / INT64_C(1000000000) + (span_ns % INT64_C(1000000000) > 0);
	if (span_s <= 0)
		return 0;
	return span_s > UINT32_MAX ? UINT32_MAX : (uint32_t)span_s;
}

void index_begin(struct index *index, uint64_t seq, int64_t t0_ns, int64_t t1_ns)
{
	index->rc = RC_OK;
	index->parts_len = 0;
	index->next = (struct index_doc){ .seq = seq, .t0_ns = t0_ns };
	index->next.span_s = span_of(t0_ns, t1_ns);
	index->next_turn = (struct index_turn){ 0 };
}

void index_follow(struct index *index, uint32_t doc)
{
	index->next_turn.back = (uint32_t)index->docs_len - doc;
}

void index_add_number(struct index *index, uint32_t term, uint32_t units)
{
	if (index->rc != RC_OK)
		return;
	index->rc = reserve(
	    (void **)&index->parts, index->parts_len, &index->parts_cap, 1, sizeof *index->parts);
	if (index->rc == RC_OK)
		index->parts[index->parts_len++] = (struct index_part){ term, units };
}

void index_add(struct index *index, const char *term, size_t len, uint32_t units)
{
	uint32_t hash = hash_of(term, len), number = 0;

	if (index->rc != RC_OK)
		return;
	size_t slot = probe(index, term, len, hash);
	if (index->table[slot] != 0)
		number = index->table[slot] - 1;
	else
		index->rc = new_term(index, term, len, hash, &number);
	if (index->rc == RC_OK)
		index_add_number(index, number, units);
}

static int by_term(const void *a, const void *b)
{
	const struct index_part *x = a, *y = b;

	return x->term < y->term ? -1 : x->term > y->term;
}

static void merge_parts(struct index *index)
{
	size_t kept = 0;

	qsort(index->parts, index->parts_len, sizeof *index->parts, by_term);
	for (size_t i = 0; i < index->parts_len; i++) {
		if (kept > 0 && index->parts[kept - 1].term == index->parts[i].term)
			index->parts[kept - 1].units += index->parts[i].units;
		else
			index->parts[kept++] = index->parts[i];
	}
	index->parts_len = kept;
}

static uint32_t put_varint(uint8_t *out, uint32_t value)
{
	uint32_t n = 0;

	for (; value >= 0x80; value >>= 7)
		out[n++] = (uint8_t)(value | 0x80);
	out[n++] = (uint8_t)value;
	return n;
}

/* ---- postings ------------------------------------------------------------------------------ */

/* Room for the skip that one posting more needs: at powers of two. */
static enum rc reserve_skip(struct index_term *term)
{
	size_t have = term->docs / POSTING_GROUP;

	if ((term->docs + 1) % POSTING_GROUP != 0 || (have & (have - 1)) != 0)
		return RC_OK;
	size_t cap = have == 0 ? 1 : 2 * have;
	struct index_skip *skips = realloc(term->skips, cap * sizeof *skips);
	if (skips == NULL)
		return RC_NOMEM;
	term->skips = skips;
	return RC_OK;
}

/* The number that ends at `*at`: only its last byte is below 0x80. */
static uint32_t number_before(const uint8_t *bytes, uint32_t *at)
{
	uint32_t value = bytes[--*at];

	while (*at > 0 && bytes[*at - 1] >= 0x80)
		value = value << 7 | (bytes[--*at] & 0x7F);
	return value;
}

/* A posting that ends at `*at`, its document `*doc`: to the one before it. */
static void step_back(const struct index_term *term, uint32_t *at, uint32_t *doc)
{
	(void)number_before(term->bytes, at); /* units */
	*doc -= number_before(term->bytes, at);
}

/* None of the postings up to `at`, the last one of document `other`, is in the stretch
 * of `doc`; newest first, for most often one of the newest tells. */
static bool is_new_stretch(const struct index *index, const struct index_term *term, uint32_t at,
    uint32_t other, uint32_t doc)
{
	const struct index_turn *turn = &index->turns[doc];

	if (at == 0 || turn->back == 0)
		return true;
	if (other == doc - turn->back)
		return false;
	uint32_t first = index->stretches[turn->stretch].first;
	while (at > 0 && other >= first) {
		if (index->turns[other].stretch == turn->stretch)
			return false;
		step_back(term, &at, &other);
	}
	return true;
}

void index_count_posting(
    const struct index *index, struct index_term *term, uint32_t doc, uint32_t begin, uint32_t end)
{
	term->stretches += is_new_stretch(index, term, begin, term->last_doc, doc);
	term->last_doc = doc;
	if (++term->docs % POSTING_GROUP == 0)
		term->skips[term->docs / POSTING_GROUP - 1] = (struct index_skip){ doc, end };
}

enum rc index_reserve_posting(struct index *index, struct index_term *term, size_t more)
{
	if (reserve_skip(term) != RC_OK)
		return RC_NOMEM;
	if (term->cap - term->len >= more)
		return RC_OK;
	if (more > UINT32_MAX / 2 - term->len)
		return RC_NOMEM;
	uint32_t cap = term->cap == 0 ? 16 : term->cap + term->cap / 2;
	if (cap < term->len + more)
		cap = term->len + (uint32_t)more;
	uint8_t *bytes = realloc(term->bytes, cap);
	if (bytes == NULL)
		return RC_NOMEM;
	index->postings_cap += cap - term->cap;
	term->bytes = bytes;
	term->cap = cap;
	return RC_OK;
}

void index_join_stretch(struct index *index, uint32_t doc)
{
	struct index_turn *turn = &index->turns[doc];

	if (turn->back == 0) {
		turn->stretch = (uint32_t)index->stretches_len++;
		index->stretches[turn->stretch] = (struct index_stretch){ 1, 0, doc, doc };
		return;
	}
	turn->stretch = index->turns[doc - turn->back].stretch;
	struct index_stretch *stretch = &index->stretches[turn->stretch];
	if (stretch->docs++ == 1) {
		index->shared_len++;
		index->shared_units += stretch->units;
	}
	stretch->last = doc;
}

enum rc index_reserve_docs(struct index *index, size_t more)
{
	enum rc rc = reserve(
	    (void **)&index->docs, index->docs_len, &index->docs_cap, more, sizeof *index->docs);

	if (rc == RC_OK)
		rc = reserve((void **)&index->turns, index->docs_len, &index->turns_cap, more,
		    sizeof *index->turns);
	if (rc == RC_OK)
		rc = reserve((void **)&index->stretches, index->stretches_len,
		    &index->stretches_cap, more, sizeof *index->stretches);
	size_t spans = (index->docs_len + INDEX_SPAN_DOCS - 1) / INDEX_SPAN_DOCS;
	if (rc == RC_OK)
		rc = reserve((void **)&index->spans, spans, &index->spans_cap,
		    more / INDEX_SPAN_DOCS + 1, sizeof *index->spans);
	return rc;
}

static int64_t end_of(const struct index_doc *doc)
{
	int64_t end_ns;

	if (__builtin_add_overflow(doc->t0_ns, (int64_t)doc->span_s * INT64_C(1000000000), &end_ns))
		return INT64_MAX;
	return end_ns;
}

static void widen_span(struct index *index, uint32_t number)
{
	struct index_span *span = &index->spans[number / INDEX_SPAN_DOCS];
	const struct index_doc *doc = &index->docs[number];
	int64_t end_ns = end_of(doc);

	if (number % INDEX_SPAN_DOCS == 0 && number + 1 == index->docs_len)
		*span = (struct index_span){ doc->t0_ns, end_ns };
	span->from_ns = doc->t0_ns < span->from_ns ? doc->t0_ns : span->from_ns;
	span->to_ns = end_ns > span->to_ns ? end_ns : span->to_ns;
}

void index_put_turn(struct index *index)
{
	struct index_turn *turn = &index->turns[index->docs_len];

	if (turn->units == 0)
		turn->units = 1;
	struct index_stretch *stretch = &index->stretches[turn->stretch];
	stretch->units += turn->units;
	if (stretch->docs > 1)
		index->shared_units += turn->units;
	index->units_total += turn->units;
	index->docs_len++;
	widen_span(index, (uint32_t)index->docs_len - 1);
}

enum rc index_end(struct index *index)
{
	if (index->rc == RC_OK && index->docs_len >= INDEX_DOCS_MAX)
		index->rc = RC_LIMIT;
	if (index->rc == RC_OK)
		index->rc = index_reserve_docs(index, 1);
	if (index->rc != RC_OK)
		return index->rc;
	if (index->parts_len > 0)
		merge_parts(index);
	/* All memory first, so that a document is in whole or not at all. */
	for (size_t i = 0; i < index->parts_len; i++) {
		struct index_term *term = &index->terms[index->parts[i].term];
		if (index_reserve_posting(index, term, POSTING_BYTES_MAX) != RC_OK)
			return index->rc = RC_NOMEM;
	}
	uint32_t number = (uint32_t)index->docs_len;
	for (size_t i = 0; i < index->parts_len; i++)
		index->next_turn.units += index->parts[i].units;
	index->turns[number] = index->next_turn;
	index->docs[number] = index->next;
	index_join_stretch(index, number);
	index_put_turn(index);
	for (size_t i = 0; i < index->parts_len; i++) {
		const struct index_part *part = &index->parts[i];
		struct index_term *term = &index->terms[part->term];
		uint32_t begin = term->len;
		term->len += put_varint(term->bytes + begin, number - term->last_doc);
		term->len += put_varint(term->bytes + term->len, part->units);
		index_count_posting(index, term, number, begin, term->len);
	}
	return RC_OK;
}

bool index_find_doc(const struct index *index, uint64_t seq, uint32_t *doc)
{
	size_t low = 0, high = index->docs_len;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		if (index->docs[mid].seq < seq)
			low = mid + 1;
		else
			high = mid;
	}
	*doc = (uint32_t)low;
	return low < index->docs_len && index->docs[low].seq == seq;
}

void index_kill_doc(struct index *index, uint32_t doc)
{
	index->dead += index->turns[doc].units != 0;
	index->turns[doc].units = 0;
}

void index_kill(struct index *index, uint64_t seq)
{
	uint32_t doc;

	if (index_find_doc(index, seq, &doc))
		index_kill_doc(index, doc);
}

void index_move(struct index *index, uint32_t doc, int64_t t0_ns, int64_t t1_ns)
{
	index->docs[doc].t0_ns = t0_ns;
	index->docs[doc].span_s = span_of(t0_ns, t1_ns);
	widen_span(index, doc);
}

size_t index_docs_len(const struct index *index)
{
	return index->docs_len;
}

size_t index_terms_len(const struct index *index)
{
	return index->terms_len;
}

const struct index_doc *index_docs(const struct index *index)
{
	return index->docs;
}

uint32_t index_units(const struct index *index, size_t doc)
{
	return index->turns[doc].units;
}

uint32_t index_stretch(const struct index *index, size_t doc)
{
	return index->turns[doc].stretch;
}

void index_get_stats(const struct index *index, struct index_stats *out)
{
	*out = (struct index_stats){
		.docs = index->docs_len, .dead = index->dead, .terms = index->terms_len
	};
	for (size_t i = 0; i < index->terms_len; i++) {
		size_t skips = index->terms[i].docs / POSTING_GROUP;
		out->postings_bytes += index->terms[i].len;
		while ((skips & (skips - 1)) != 0) /* room goes by powers of two */
			skips++;
		out->bytes += skips * sizeof(struct index_skip);
	}
	out->bytes += sizeof *index + index->docs_cap * sizeof *index->docs +
		      index->turns_cap * sizeof *index->turns +
		      index->stretches_cap * sizeof *index->stretches +
		      index->spans_cap * sizeof *index->spans +
		      index->terms_cap * sizeof *index->terms + index->texts_cap +
		      index->table_cap * sizeof *index->table + index->postings_cap +
		      index->parts_cap * sizeof *index->parts;
}

uint64_t index_checksum(const struct index *index)
{
	uint64_t sum = HASH_START;

	for (size_t i = 0; i < index->docs_len; i++) {
		const struct index_doc *doc = &index->docs[i];
		const struct index_turn *turn = &index->turns[i];
		sum = hash_bytes(sum, &doc->seq, sizeof doc->seq);
		sum = hash_bytes(sum, &doc->t0_ns, sizeof doc->t0_ns);
		sum = hash_bytes(sum, &doc->span_s, sizeof doc->span_s);
		sum = hash_bytes(sum, &turn->units, sizeof turn->units);
		sum = hash_bytes(sum, &turn->back, sizeof turn->back);
	}
	sum = hash_bytes(sum, index->texts, index->texts_len);
	for (size_t i = 0; i < index->terms_len; i++)
		sum = hash_bytes(sum, index->terms[i].bytes, index->terms[i].len);
	return sum;
}
