/* Pack: filter, weigh, count and fit the moments for a prompt. */
#include "answer/pack.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "answer/quote.h"
#include "answer/reserve.h"
#include "base/clock.h"
#include "base/hex.h"

#define FIND_K ((size_t)96)
#define FIND_ENOUGH ((size_t)32) /* fewer left after the filter: look further down */
#define FIND_WAIT_NS (500 * NS_PER_MS)
#define ID_BYTES_MAX ((size_t)48) /* of a sender's id in a line */
#define WORDS_MAX ((size_t)64)
#define CHAT_WEIGHT 0.5
#define SAME_QUESTION 0.8 /* share of common words that makes two questions one */

/* ---- what must not enter ---- */

struct word {
	const char *text;
	size_t len;
};

static bool letter(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
	       (c & 0x80) != 0;
}

static size_t split(const char *text, size_t len, struct word words[WORDS_MAX])
{
	size_t n = 0;

	for (size_t i = 0; i < len && n < WORDS_MAX;) {
		size_t end = i;
		while (end < len && letter(text[end]))
			end++;
		if (end > i)
			words[n++] = (struct word){ .text = text + i, .len = end - i };
		i = end + 1;
	}
	return n;
}

static bool holds(const struct word *words, size_t n, const struct word *word)
{
	for (size_t i = 0; i < n; i++) {
		if (words[i].len == word->len &&
		    strncasecmp(words[i].text, word->text, word->len) == 0)
			return true;
	}
	return false;
}

static bool same_question(const char *a, size_t a_len, const char *b, size_t b_len)
{
	struct word a_words[WORDS_MAX];
	struct word b_words[WORDS_MAX];
	size_t a_n = split(a, a_len, a_words);
	size_t b_n = split(b, b_len, b_words);
	size_t common = 0;

	for (size_t i = 0; i < a_n; i++)
		common += holds(b_words, b_n, &a_words[i]);
	size_t most = a_n > b_n ? a_n : b_n;
	return most > 0 && (double)common >= SAME_QUESTION * (double)most;
}

/* One sentence that ends in a question mark: it asks, it does not tell. */
static bool bare_question(const char *text)
{
	size_t len = strlen(text);

	while (len > 0 && (text[len - 1] == ' ' || text[len - 1] == '\n'))
		len--;
	bool asks = len > 0 && text[len - 1] == '?';
	if (len >= 3 && memcmp(text + len - 3, "\xEF\xBC\x9F", 3) == 0) { /* U+FF1F */
		asks = true;
		len -= 2;
	}
	if (!asks)
		return false;
	for (size_t i = 0; i + 1 < len; i++) {
		if (text[i] == '\n')
			return false;
		if ((text[i] == '.' || text[i] == '!') && text[i + 1] == ' ')
			return false;
	}
	return true;
}

/* 0: it must not enter. */
static double weight(const struct observation *obs, const char *question, size_t question_len)
{
	if (obs->tombstone || obs->origin == ORIGIN_ASSISTANT || obs->origin == ORIGIN_SYSTEM)
		return 0;
	if (strcmp(obs->source, PACK_SOURCE_CHAT) != 0)
		return 1;
	if (bare_question(obs->text) ||
	    same_question(obs->text, strlen(obs->text), question, question_len))
		return 0;
	return CHAT_WEIGHT;
}

/* ---- lines ---- */

static bool plain_id(const char *id)
{
	size_t len = strlen(id);

	if (len == 0 || len > ID_BYTES_MAX)
		return false;
	for (size_t i = 0; i < len; i++) {
		char c = id[i];
		if (!((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
			c == '-' || c == '_' || c == '.' || c == ':' || c == '/' || c == '#'))
			return false;
	}
	return true;
}

/* A name of the sender's without what could close or fake the bracket. */
static const char *safe_name(const char *name, struct arena *arena)
{
	char *out = arena_strdup(arena, name);

	for (char *c = out; c != NULL && *c != '\0'; c++) {
		if ((unsigned char)*c < ' ' || *c == '[' || *c == ']' || *c == ',')
			*c = '_';
	}
	return out;
}

enum rc pack_write_item(const struct host *host, const struct observation *obs,
    const char *question, size_t question_len, struct arena *arena, struct pack_item *item)
{
	char hex[OBS_ID_BYTES * 2 + 1];
	char when[QUOTE_TIME_BYTES];

	hex_encode(obs->obs_id, OBS_ID_BYTES, hex);
	item->obs = obs;
	/* "Z" names the instant, not where the person was. */
	bool local = obs->has_offset && obs->offset_s != 0;
	item->offset_s = local || host->offset_s == NULL
			     ? obs->offset_s
			     : host->offset_s(host->ctx, obs->place.t0_ns);
	item->id = obs->client_id != NULL && obs->client_id[0] != '\0' ? obs->client_id
								       : arena_strdup(arena, hex);
	item->quote = quote_make(obs, question, question_len, PACK_QUOTE_BYTES_MAX, arena);
	const char *text = quote_make(obs, question, question_len, PACK_LINE_TEXT_BYTES_MAX, arena);
	const char *source = safe_name(obs->source, arena);
	const char *kind = safe_name(obs->kind, arena);
	if (item->id == NULL || item->quote == NULL || text == NULL || source == NULL ||
	    kind == NULL)
		return RC_NOMEM;
	quote_time(obs->place.t0_ns, item->offset_s, when);
	item->line = arena_printf(arena, "[%s, %s, %s] %s: %s\n",
	    plain_id(item->id) ? item->id : hex, when, source, kind, text);
	if (item->line == NULL)
		return RC_NOMEM;
	item->tokens = count_estimate(strlen(item->line));
	return RC_OK;
}

static bool same_moment(const struct pack *pack, const struct observation *obs)
{
	for (size_t i = 0; i < pack->len; i++) {
		const struct observation *other = pack->items[i].obs;
		if (other->place.t0_ns == obs->place.t0_ns && strcmp(other->kind, obs->kind) == 0 &&
		    strcmp(other->text, obs->text) == 0 &&
		    strcmp(other->data_json, obs->data_json) == 0)
			return true;
	}
	return false;
}

static int by_score(const void *a, const void *b)
{
	const struct pack_item *x = a;
	const struct pack_item *y = b;

	if (x->score != y->score)
		return x->score > y->score ? -1 : 1;
	if (x->obs->place.t0_ns != y->obs->place.t0_ns)
		return x->obs->place.t0_ns < y->obs->place.t0_ns ? -1 : 1;
	return x->obs->seq < y->obs->seq ? -1 : x->obs->seq > y->obs->seq;
}

enum rc pack_of_hits(const struct host *host, const struct recall_hit *hits, size_t hits_len,
    const char *question, size_t question_len, struct arena *arena, struct pack *out)
{
	size_t room = hits_len < PACK_ITEMS_MAX ? hits_len : PACK_ITEMS_MAX;

	*out = (struct pack){ .items = arena_array(arena, room, sizeof(*out->items)) };
	if (out->items == NULL)
		return RC_NOMEM;
	for (size_t i = 0; i < hits_len && out->len < room; i++) {
		const struct observation *obs = &hits[i].obs;
		double factor = weight(obs, question, question_len);
		if (factor == 0 || same_moment(out, obs))
			continue;
		struct pack_item *item = &out->items[out->len];
		enum rc rc = pack_write_item(host, obs, question, question_len, arena, item);
		if (rc != RC_OK)
			return rc;
		item->score = hits[i].score * factor;
		out->tokens += item->tokens;
		out->len++;
	}
	qsort(out->items, out->len, sizeof(*out->items), by_score);
	return RC_OK;
}

/* The moments; the time that the question names into `when`. */
static enum rc find_moments(const struct host *host, const char *question, size_t question_len,
    int64_t now_utc_ns, struct arena *arena, struct pack *out, struct timewords *when,
    struct errmsg *why)
{
	struct recall_query query = {
		.text = question,
		.text_len =
		    question_len < RECALL_QUERY_BYTES_MAX ? question_len : RECALL_QUERY_BYTES_MAX,
		.k = FIND_K,
		.read_timewords = true,
		.varied = true,
		.now_utc_ns = now_utc_ns,
		.offset_s = host->offset_s == NULL ? 0 : host->offset_s(host->ctx, now_utc_ns),
		.need_cursor = host->cursor == NULL ? 0 : host->cursor(host->ctx),
		.wait_ns = FIND_WAIT_NS,
	};

	*out = (struct pack){ 0 };
	if (host->search == NULL || question_len == 0)
		return RC_OK;
	while (query.text_len < question_len && query.text_len > 0 &&
	       ((unsigned char)question[query.text_len] & 0xC0) == 0x80)
		query.text_len--;
	for (;;) {
		struct recall_result result = { 0 };
		enum rc rc = host->search(host->ctx, &query, arena, &result, why);
		if (rc == RC_NOMEM && out->len > 0)
			return RC_OK; /* deeper hits are too much; these will do */
		if (rc == RC_OK)
			rc = pack_of_hits(
			    host, result.hits, result.hits_len, question, question_len, arena, out);
		out->support = result.support;
		*when = result.when;
		if (rc != RC_OK)
			return rc;
		bool more = result.hits_len == query.k && query.k < RECALL_K_MAX;
		if (out->len >= FIND_ENOUGH || !more)
			return RC_OK;
		query.k = query.k * 4 < RECALL_K_MAX ? query.k * 4 : RECALL_K_MAX;
	}
}

enum rc pack_find(const struct host *host, const char *question, size_t question_len,
    int64_t now_utc_ns, struct arena *arena, struct pack *out, struct errmsg *why)
{
	struct timewords when = { .found = false };
	enum rc rc = find_moments(host, question, question_len, now_utc_ns, arena, out, &when, why);

	if (rc != RC_OK)
		return rc;
	/* Of a time that is over: what held at its end. */
	bool past = when.found && when.to_ns <= now_utc_ns;
	return reserve_find(host, question, question_len, past ? when.to_ns - 1 : now_utc_ns,
	    now_utc_ns, arena, out, why);
}

/* Item `i`, then fact `i - len`. */
static struct pack_item *any_item(const struct pack *pack, size_t i)
{
	return i < pack->len ? &pack->items[i] : &pack->facts[i - pack->len].item;
}

void pack_count(struct pack *pack, struct pool *pool, const char *model, struct arena *arena)
{
	size_t n = pack->len + pack->facts_len;
	struct count_text *texts = arena_array(arena, n, sizeof(*texts));
	uint32_t *tokens = arena_array(arena, n, sizeof(*tokens));

	if (texts == NULL || tokens == NULL || pool == NULL || n == 0)
		return;
	for (size_t i = 0; i < n; i++)
		texts[i] = (struct count_text){
			.text = any_item(pack, i)->line,
			.len = strlen(any_item(pack, i)->line),
		};
	if (count_tokens(pool, model, texts, n, COUNT_TIMEOUT_NS, tokens) != RC_OK)
		return;
	pack->tokens = 0;
	for (size_t i = 0; i < n; i++) {
		any_item(pack, i)->tokens = tokens[i];
		pack->tokens += i < pack->len ? tokens[i] : 0;
	}
}

void pack_fit(struct pack *pack, uint32_t budget_tokens)
{
	uint32_t used = reserve_fit(pack, budget_tokens);
	size_t kept = 0;

	for (size_t i = 0; i < pack->len; i++) {
		if (pack->items[i].tokens > budget_tokens - used)
			continue;
		used += pack->items[i].tokens;
		pack->items[kept++] = pack->items[i];
	}
	pack->len = kept;
	pack->tokens = used;
}

static int by_time(const void *a, const void *b)
{
	const struct pack_item *x = *(const struct pack_item *const *)a;
	const struct pack_item *y = *(const struct pack_item *const *)b;

	if (x->obs->place.t0_ns != y->obs->place.t0_ns)
		return x->obs->place.t0_ns < y->obs->place.t0_ns ? -1 : 1;
	return x->obs->seq < y->obs->seq ? -1 : x->obs->seq > y->obs->seq;
}

const struct pack_item **pack_by_time(const struct pack *pack, struct arena *arena)
{
	const struct pack_item **items = arena_array(arena, pack->len, sizeof(*items));

	if (items == NULL)
		return NULL;
	for (size_t i = 0; i < pack->len; i++)
		items[i] = &pack->items[i];
	qsort(items, pack->len, sizeof(*items), by_time);
	return items;
}
