/* Documents: fields of an observation to weighted terms. */
#include "recall/document_inner.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "align/peek.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/timestamp.h"
#include "recall/token.h"

#define UNITS_OWN INDEX_UNITS
#define UNITS_EXACT 1
#define UNITS_KEY 2
#define UNITS_NEIGHBOUR 1
#define EXACT_MARK '='

/* ---- conversations ---------------------------------------------------------------------- */

enum rc document_talks_new(const struct language_model *model, struct document_talks **out)
{
	struct document_talks *talks = calloc(1, sizeof *talks);

	if (talks == NULL || stemmer_new(&talks->stemmer) != RC_OK) {
		free(talks);
		return RC_NOMEM;
	}
	talks->model = model;
	*out = talks;
	return RC_OK;
}

static void forget_talks(struct document_talks *talks)
{
	for (size_t i = 0; i < talks->lookup.cap; i++)
		free(talks->lookup.slots[i].value);
	lookup_fini(&talks->lookup);
}

void document_talks_free(struct document_talks *talks)
{
	if (talks == NULL)
		return;
	forget_talks(talks);
	stemmer_free(talks->stemmer);
	free(talks);
}

static uint64_t mix(uint64_t hash, const char *text, size_t len)
{
	hash = hash_bytes(hash, text, len);
	return (hash ^ hash >> 31) * UINT64_C(0xBF58476D1CE4E5B9);
}

static uint64_t talk_key(const struct observation *obs)
{
	static const char *const names[] = { "conversation", "conversation_id", "session", "thread",
		"chat", "channel" };
	uint64_t key = mix((uint64_t)obs->layer, obs->source, strlen(obs->source));
	struct peek member;

	peek_open(&member, obs->data_json);
	while (peek_next(&member)) {
		for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
			if (peek_is(&member, names[i]))
				key = mix(key, member.value, member.value_len);
		}
	}
	return key;
}

/* Old conversations go all at once when there are too many: same on rebuild. */
static enum rc talk_of(
    struct document_talks *talks, const struct observation *obs, struct talk **out)
{
	uint64_t key = talk_key(obs);
	struct talk *talk = lookup_find(&talks->lookup, key);

	if (talk == NULL) {
		if (talks->lookup.len >= DOCUMENT_TALKS_MAX)
			forget_talks(talks);
		talk = calloc(1, sizeof *talk);
		if (talk == NULL || lookup_put(&talks->lookup, key, talk) != RC_OK) {
			free(talk);
			return RC_NOMEM;
		}
	}
	*out = talk;
	return RC_OK;
}

static bool is_near(int64_t a_ns, int64_t b_ns)
{
	int64_t gap_ns;

	return !__builtin_sub_overflow(
		   a_ns > b_ns ? a_ns : b_ns, a_ns > b_ns ? b_ns : a_ns, &gap_ns) &&
	       gap_ns <= DOCUMENT_NEIGHBOUR_GAP_NS;
}

/* The newest text of the talk is near, and its stretch has room. */
static bool goes_on(const struct talk *talk, const struct observation *obs)
{
	return talk->len > 0 && is_near(talk->last[0].t0_ns, obs->place.t0_ns) &&
	       talk->turns_len < DOCUMENT_STRETCH_MAX;
}

/* ---- fields ---------------------------------------------------------------------------------- */

struct field {
	struct index *index;
	const struct token_rules *rules;
	uint32_t units;
	struct text_terms *remember; /* NULL: not */
};

static bool add_token(void *ctx, const struct token *token)
{
	const struct field *field = ctx;
	char text[TOKEN_BYTES_MAX + 8];

	if (token->exact) {
		text[0] = EXACT_MARK;
		memcpy(text + 1, token->text, token->len);
		index_add(field->index, text, token->len + 1, UNITS_EXACT);
		return true;
	}
	index_add(field->index, token->text, token->len, field->units);
	struct text_terms *remember = field->remember;
	if (remember != NULL && !token->stop && remember->len < DOCUMENT_NEIGHBOUR_TERMS_MAX) {
		uint32_t term = index_find(field->index, token->text, token->len);
		if (term != UINT32_MAX)
			remember->terms[remember->len++] = term;
	}
	return true;
}

static void add_string(void *ctx, const char *text, size_t len)
{
	const struct field *field = ctx;

	token_scan(field->rules, text, len, add_token, ctx);
}

/* Names of ours, in English. */
static void add_key(struct index *index, struct stemmer *stemmer, const char *text)
{
	const struct token_rules rules = { .stemmer = stemmer };
	struct field field = { .index = index, .rules = &rules, .units = UNITS_KEY };

	token_scan(&rules, text, strlen(text), add_token, &field);
}

static void add_date(struct index *index, struct stemmer *stemmer, const struct observation *obs)
{
	static const char *const weekdays[] = { "monday", "tuesday", "wednesday", "thursday",
		"friday", "saturday", "sunday" };
	static const char *const months[] = { "january", "february", "march", "april", "may",
		"june", "july", "august", "september", "october", "november", "december" };
	int64_t local_ns = obs->place.t0_ns + (obs->has_offset ? obs->offset_s * NS_PER_S : 0);
	struct civil civil;
	char text[80];

	civil_of_ns(local_ns, &civil);
	int weekday = civil_weekday(civil_days(civil.year, civil.month, civil.day));
	(void)snprintf(text, sizeof text, "%s %d %s %d", weekdays[weekday], civil.day,
	    months[civil.month - 1], civil.year);
	add_key(index, stemmer, text);
}

/* ---- languages ---------------------------------------------------------------------------------
 */

static enum language most_written(const struct document_talks *talks)
{
	enum language most = LANGUAGE_EN;

	for (enum language i = 0; i < LANGUAGE_COUNT; i++) {
		if (talks->written[i] > talks->written[most])
			most = i;
	}
	return most;
}

static enum language read_language(
    const struct document_talks *talks, const char *text, size_t len, bool *sure)
{
	struct language_guess guess = language_detect(talks->model, text, len);

	*sure = guess.language != LANGUAGE_UNKNOWN;
	return *sure ? guess.language : most_written(talks);
}

size_t document_languages(const struct document_talks *talks, const char *question, size_t len,
    enum language out[LANGUAGE_COUNT])
{
	uint64_t all = 0;
	size_t n = 1;
	bool sure;

	out[0] = read_language(talks, question, len, &sure);
	for (size_t i = 0; i < LANGUAGE_COUNT; i++)
		all += talks->written[i];
	for (enum language i = 0; i < LANGUAGE_COUNT; i++) {
		uint64_t written = talks->written[i];
		if (i == out[0] || written == 0 || written * DOCUMENT_LANGUAGE_SHARE < all)
			continue;
		size_t at = n++;
		for (; at > 1 && talks->written[out[at - 1]] < written; at--)
			out[at] = out[at - 1];
		out[at] = i;
	}
	return n;
}

/* ---- a record ----------------------------------------------------------------------------------
 */

static void add_neighbours(
    struct index *index, const struct talk *talk, const struct observation *obs)
{
	for (size_t i = 0; i < talk->len; i++) {
		const struct text_terms *last = &talk->last[i];
		if (last->seq == obs->supersedes_seq || !is_near(last->t0_ns, obs->place.t0_ns))
			continue; /* its own older version, or another time */
		for (size_t k = 0; k < last->len; k++)
			index_add_number(index, last->terms[k], UNITS_NEIGHBOUR);
	}
	if (goes_on(talk, obs))
		index_follow(index, talk->doc);
}

/* `obs` is in the index, as its last document. */
static void remember(struct talk *talk, const struct index *index, const struct observation *obs,
    const struct text_terms *own)
{
	talk->turns_len = goes_on(talk, obs) ? talk->turns_len + 1 : 1;
	talk->doc = (uint32_t)index_docs_len(index) - 1;
	memmove(&talk->last[1], &talk->last[0], (DOCUMENT_NEIGHBOURS - 1) * sizeof talk->last[0]);
	talk->last[0] = *own;
	if (talk->len < DOCUMENT_NEIGHBOURS)
		talk->len++;
}

static void add_fields(struct index *index, struct stemmer *stemmer, enum language language,
    const struct observation *obs, struct text_terms *own)
{
	const struct token_rules rules = {
		.stemmer = stemmer, .languages = { language }, .languages_len = 1
	};
	struct field field = { .index = index, .rules = &rules, .units = UNITS_OWN };

	field.remember = own;
	token_scan(&rules, obs->text, strlen(obs->text), add_token, &field);
	field.remember = NULL;
	peek_strings(obs->data_json, DOCUMENT_DATA_BYTES_MAX, add_string, &field);
	add_key(index, stemmer, layer_word(obs->layer));
	add_key(index, stemmer, obs->kind);
	add_key(index, stemmer, obs->source);
	add_date(index, stemmer, obs);
}

/* Nothing is remembered of a record that did not get in: it will come again. */
enum rc document_take(
    struct index *index, struct document_talks *talks, const struct observation *obs, bool *added)
{
	struct text_terms own = { .seq = obs->seq, .t0_ns = obs->place.t0_ns };
	struct talk *talk = NULL;
	enum rc rc = RC_OK;
	bool sure = false;

	*added = false;
	if (obs->supersedes_seq != 0)
		index_kill(index, obs->supersedes_seq);
	if (obs->tombstone || obs->origin == ORIGIN_SYSTEM || (obs->gap && obs->text[0] == '\0'))
		return RC_OK;
	enum language language = read_language(talks, obs->text, strlen(obs->text), &sure);
	index_begin(index, obs->seq, obs->place.t0_ns, obs->place.t1_ns);
	add_fields(index, talks->stemmer, language, obs, &own);
	if (stemmer_failed(talks->stemmer))
		return RC_NOMEM;
	if (own.len > 0) {
		rc = talk_of(talks, obs, &talk);
		if (rc != RC_OK)
			return rc;
		add_neighbours(index, talk, obs);
	}
	rc = index_end(index);
	if (rc != RC_OK)
		return rc;
	talks->written[language] += sure;
	if (talk != NULL)
		remember(talk, index, obs, &own);
	*added = true;
	return RC_OK;
}
