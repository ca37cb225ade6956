/* The reserve: which facts, in which order, how many. */
#include "answer/reserve.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "answer/quote.h"
#include "base/hex.h"
#include "memory/fact_words.h"

#define QUESTION_BYTES_MAX ((size_t)8 << 10)
#define PLACE_NAME "memory" /* "source" of a fact's line */
#define DATE_BYTES 14       /* of quote_time(): "Thu 2026-11-19" */

/* ---- lines ------------------------------------------------------------------------------ */

/* "Anna: is a nurse, since Wed 2024-05-01" */
static const char *text_of(
    const struct host *host, const struct book_entry *entry, struct arena *arena)
{
	const struct fact *fact = &entry->fact;
	char since[QUOTE_TIME_BYTES], until[QUOTE_TIME_BYTES];
	bool has_since = entry->from_ns != FACT_ALWAYS_FROM_NS && entry->from_ns != fact->at_ns;
	bool has_until = entry->to_ns != FACT_ALWAYS_TO_NS;
	bool named = fact->subject[0] == '\0' || strstr(fact->text, fact->subject) != NULL;
	int32_t since_s = host->offset_s == NULL ? 0 : host->offset_s(host->ctx, entry->from_ns);
	int32_t until_s = host->offset_s == NULL ? 0 : host->offset_s(host->ctx, entry->to_ns);

	quote_time(entry->from_ns, since_s, since);
	quote_time(entry->to_ns, until_s, until);
	return arena_printf(arena, "%s%s%s%s%.*s%s%.*s", named ? "" : fact->subject,
	    named ? "" : ": ", fact->text, has_since ? ", since " : "", has_since ? DATE_BYTES : 0,
	    since, has_until ? ", until " : "", has_until ? DATE_BYTES : 0, until);
}

static enum rc write_fact(const struct host *host, const struct book_entry *entry,
    const char *question, size_t question_len, struct arena *arena, struct pack_fact *out)
{
	struct observation *obs = arena_alloc(arena, sizeof *obs);
	int64_t at_ns = entry->fact.at_ns;

	if (obs == NULL)
		return RC_NOMEM;
	*obs = (struct observation){
		.seq = entry->fact.number,
		.source = PLACE_NAME,
		.client_id = arena_printf(arena, "f%" PRIu64, entry->fact.number),
		.layer = LAYER_TEXT,
		.kind = fact_class_word(entry->fact.class),
		.shape = SHAPE_INSTANT,
		.dev_t0_ns = at_ns,
		.dev_t1_ns = at_ns,
		.place = placement_trusted(at_ns, at_ns, 0),
		.origin = ORIGIN_SYSTEM,
		.text = text_of(host, entry, arena),
		.data_json = "",
	};
	memcpy(obs->obs_id, entry->obs_id, OBS_ID_BYTES);
	if (obs->client_id == NULL || obs->text == NULL)
		return RC_NOMEM;
	out->class = entry->fact.class;
	out->about = entry->fact.about;
	out->about_len = entry->fact.about_len;
	return pack_write_item(host, obs, question, question_len, arena, &out->item);
}

/* ---- which, and in which order ------------------------------------------------------------ */

/* Always told, if there is room. */
static bool is_general(const struct pack_fact *fact)
{
	return fact->class == FACT_PROFILE || fact->class == FACT_WISHES;
}

static int by_order(const void *a, const void *b)
{
	const struct pack_fact *x = a, *y = b;

	if (x->class != y->class)
		return x->class < y->class ? -1 : 1;
	if (x->named != y->named)
		return x->named > y->named ? -1 : 1;
	int64_t x_ns = x->item.obs->dev_t0_ns, y_ns = y->item.obs->dev_t0_ns;
	if (x_ns != y_ns)
		return x_ns > y_ns ? -1 : 1;
	return x->item.obs->seq > y->item.obs->seq ? -1 : x->item.obs->seq < y->item.obs->seq;
}

struct finding {
	const struct host *host;
	const char *question;
	size_t question_len;
	struct arena *arena;
	uint32_t words[FACT_WORDS_MAX]; /* [words_len] of the question */
	size_t words_len;
	struct pack *pack;
};

/* In this order, so that where there are too many the last are left out. */
enum kind { KIND_WISHES, KIND_PROFILE, KIND_NAMED, KIND_PREFERENCES };

static enum kind kind_of(const struct fact *fact, unsigned named)
{
	if (fact->class == FACT_WISHES)
		return KIND_WISHES;
	if (fact->class == FACT_PROFILE)
		return KIND_PROFILE;
	return named > 0 ? KIND_NAMED : KIND_PREFERENCES;
}

/* `named` [view]: words that the question shares with each. */
static enum rc take_kind(
    struct finding *f, const struct book_view *view, const unsigned *named, enum kind kind)
{
	for (size_t i = 0; i < view->len && f->pack->facts_len < RESERVE_FACTS_MAX; i++) {
		const struct fact *fact = &view->entries[i].fact;
		bool told =
		    named[i] > 0 || (fact->class != FACT_PEOPLE && fact->class != FACT_PLACES);
		if (!told || kind_of(fact, named[i]) != kind)
			continue;
		struct pack_fact *out = &f->pack->facts[f->pack->facts_len];
		enum rc rc = write_fact(
		    f->host, &view->entries[i], f->question, f->question_len, f->arena, out);
		if (rc != RC_OK)
			return rc;
		out->named = named[i];
		out->share = named[i] == 0 ? 0 : (double)named[i] / (double)f->words_len;
		f->pack->facts_len++;
	}
	return RC_OK;
}

static enum rc take_view(
    struct finding *f, const struct book_view *view, enum kind first, enum kind last)
{
	unsigned *named = arena_array(f->arena, view->len, sizeof *named);
	enum rc rc = named != NULL ? RC_OK : RC_NOMEM;

	for (size_t i = 0; i < view->len && rc == RC_OK; i++)
		named[i] = fact_words_common(
		    f->words, f->words_len, view->entries[i].words, view->entries[i].words_len);
	for (enum kind kind = first; kind <= last && rc == RC_OK; kind++)
		rc = take_kind(f, view, named, kind);
	return rc;
}

static enum rc read_question(struct finding *f)
{
	size_t len = f->question_len < QUESTION_BYTES_MAX ? f->question_len : QUESTION_BYTES_MAX;
	struct stemmer *stemmer = NULL;

	enum rc rc = stemmer_new(&stemmer);
	if (rc == RC_OK)
		f->words_len = fact_words(stemmer, f->question, len, f->words, 0);
	stemmer_free(stemmer);
	return rc;
}

static enum rc find(struct finding *f, int64_t at_ns, int64_t now_ns, struct errmsg *why)
{
	struct book_query query = { .holds = true, .at_ns = now_ns };
	struct book_view view;

	enum rc rc = f->host->facts(f->host->ctx, &query, f->arena, &view, why);
	if (rc != RC_OK || at_ns == now_ns)
		return rc == RC_OK ? take_view(f, &view, KIND_WISHES, KIND_PREFERENCES) : rc;
	rc = take_view(f, &view, KIND_WISHES, KIND_WISHES);
	query.at_ns = at_ns;
	if (rc == RC_OK)
		rc = f->host->facts(f->host->ctx, &query, f->arena, &view, why);
	return rc == RC_OK ? take_view(f, &view, KIND_PROFILE, KIND_PREFERENCES) : rc;
}

enum rc reserve_find(const struct host *host, const char *question, size_t question_len,
    int64_t at_ns, int64_t now_ns, struct arena *arena, struct pack *pack, struct errmsg *why)
{
	pack->facts_len = 0;
	if (host->facts == NULL)
		return RC_OK;
	struct finding *f = arena_alloc(arena, sizeof *f);
	pack->facts = arena_array(arena, RESERVE_FACTS_MAX, sizeof *pack->facts);
	if (f == NULL || pack->facts == NULL)
		return RC_NOMEM;
	*f = (struct finding){ .host = host,
		.question = question,
		.question_len = question_len,
		.arena = arena,
		.pack = pack };
	enum rc rc = read_question(f);
	if (rc == RC_OK)
		rc = find(f, at_ns, now_ns, why);
	qsort(pack->facts, pack->facts_len, sizeof *pack->facts, by_order);
	return rc;
}

/* ---- how many ------------------------------------------------------------------------------- */

static void keep(struct pack_fact *fact, uint32_t limit, uint32_t *used)
{
	if (fact->kept || *used > limit || fact->item.tokens > limit - *used)
		return;
	fact->kept = true;
	*used += fact->item.tokens;
}

uint32_t reserve_fit(struct pack *pack, uint32_t budget_tokens)
{
	uint32_t reserve = budget_tokens / RESERVE_SHARE, used = 0;
	bool any_named = false;

	for (size_t i = 0; i < pack->facts_len; i++) {
		pack->facts[i].kept = false;
		any_named = any_named || (pack->facts[i].named > 0 && !is_general(&pack->facts[i]));
	}
	for (size_t i = 0; i < pack->facts_len; i++) {
		if (is_general(&pack->facts[i]))
			keep(&pack->facts[i], any_named ? reserve / 2 : reserve, &used);
	}
	for (size_t i = 0; i < pack->facts_len; i++) {
		if (pack->facts[i].named > 0)
			keep(&pack->facts[i], reserve, &used);
	}
	for (size_t i = 0; i < pack->facts_len; i++)
		keep(&pack->facts[i], reserve, &used);
	return used;
}
