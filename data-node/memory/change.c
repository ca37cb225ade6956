/* Changes: the owner's text against the book. */
#include "memory/change.h"

#include <string.h>

#include "align/lookup.h"
#include "base/hash.h"
#include "memory/book_write.h"

#define ARENA_BYTES_MAX ((size_t)128 << 20)

/* A text that holds, or that a line before said. */
struct said {
	const char *key;
	bool *kept; /* of the entry; NULL: it is a line */
};

struct changing {
	struct book *book;
	struct book_draft *draft;
	const struct markdown *doc;
	const struct markdown_zone *zone;
	int64_t now_ns;
	struct arena *arena;
	bool own;          /* the numbers in the text are of this book */
	bool *kept;        /* [book] has a line */
	struct said *said; /* [said_len] found by `lookup` */
	size_t said_len;
	struct lookup lookup;
	struct change_counts counts;
	struct errmsg *why;
};

static enum rc fail(const struct changing *c, const struct markdown_line *line, const char *what)
{
	return errmsg_rc(c->why, RC_INVALID, "line %zu: %s", line->at, what);
}

static size_t index_of(const struct changing *c, const struct book_entry *entry)
{
	size_t len;

	return (size_t)(entry - book_entries(c->book, &len));
}

static bool reads_as(const struct changing *c, const struct markdown_line *line,
    const struct fact *fact, int64_t from_ns, int64_t to_ns)
{
	struct buf text;

	buf_init(&text, MARKDOWN_LINE_BYTES_MAX);
	markdown_put_line(fact, from_ns, to_ns, c->zone, &text);
	bool same = buf_rc(&text) == RC_OK && strcmp(buf_text(&text), line->whole) == 0 &&
		    line->class == fact->class && strcmp(line->subject, fact->subject) == 0;
	buf_fini(&text);
	return same;
}

/* As it reads now, or as it did before something ended it. */
static bool is_unchanged(
    const struct changing *c, const struct markdown_line *line, const struct book_entry *entry)
{
	const struct fact *fact = &entry->fact;

	return reads_as(c, line, fact, entry->from_ns, entry->to_ns) ||
	       reads_as(c, line, fact, fact->valid_from_ns, fact->valid_to_ns);
}

static struct fact fact_of(const struct changing *c, const struct markdown_line *line)
{
	return (struct fact){ .class = line->class,
		.subject = line->subject,
		.attribute = line->attribute,
		.text = line->text,
		.valid_from_ns = FACT_ALWAYS_FROM_NS,
		.valid_to_ns = FACT_ALWAYS_TO_NS,
		.learned_ns = c->now_ns,
		.at_ns = c->now_ns,
		.by = FACT_BY_OWNER,
		.who = "" };
}

/* The dates of the line; one that reads as `old`'s is that moment. */
static enum rc read_dates(const struct changing *c, const struct markdown_line *line,
    const struct book_entry *old, struct fact *fact)
{
	char since[MARKDOWN_DATE_BYTES] = "", until[MARKDOWN_DATE_BYTES] = "";

	if (old != NULL) {
		markdown_since(&old->fact, old->from_ns, c->zone, since);
		markdown_until(old->to_ns, c->zone, until);
	}
	if (line->since[0] != '\0' && strcmp(line->since, since) == 0)
		fact->valid_from_ns = old->from_ns;
	else if (line->since[0] != '\0' &&
		 markdown_day(line->since, c->zone, &fact->valid_from_ns) != RC_OK)
		return fail(c, line, "no such day behind \"since\"");
	if (line->until[0] != '\0' && strcmp(line->until, until) == 0)
		fact->valid_to_ns = old->to_ns;
	else if (line->until[0] != '\0' &&
		 markdown_day(line->until, c->zone, &fact->valid_to_ns) != RC_OK)
		return fail(c, line, "no such day behind \"until\"");
	return RC_OK;
}

static enum rc draft(
    struct changing *c, const struct markdown_line *line, struct fact *fact, uint64_t *number)
{
	struct errmsg detail = ERRMSG_INIT;

	if (fact->valid_to_ns <= fact->valid_from_ns)
		return fail(c, line, "it ends before it begins to hold");
	if (fact_check(fact, &detail) != RC_OK)
		return fail(c, line, detail.text);
	return book_draft_fact(c->draft, fact, number);
}

static enum rc mark(struct changing *c, const struct book_entry *entry, enum fact_act act,
    int64_t at_ns, uint64_t next)
{
	const struct fact_mark mark = { .fact = entry->fact.number,
		.act = act,
		.at_ns = at_ns,
		.next = next,
		.marked_ns = c->now_ns,
		.by = FACT_BY_OWNER,
		.who = "" };

	return book_draft_mark(c->draft, &mark);
}

/* ---- lines ----------------------------------------------------------------------------- */

static uint64_t hash_of(const char *key)
{
	return hash_bytes(HASH_START, key, strlen(key));
}

/* Of two keys with one hash the first stands: the other one is said twice at worst. */
static enum rc say(struct changing *c, const char *key, bool *kept)
{
	struct said *said = &c->said[c->said_len];
	uint64_t hash = hash_of(key);

	if (lookup_find(&c->lookup, hash) != NULL)
		return RC_OK;
	*said = (struct said){ .key = key, .kept = kept };
	c->said_len++;
	return lookup_put(&c->lookup, hash, said);
}

/* The same holds, or stands in the text already. */
static bool is_there(struct changing *c, const char *key)
{
	const struct said *said = lookup_find(&c->lookup, hash_of(key));

	if (said == NULL || strcmp(said->key, key) != 0)
		return false;
	if (said->kept != NULL)
		*said->kept = true;
	return true;
}

static enum rc add(struct changing *c, const struct markdown_line *line)
{
	struct fact fact = fact_of(c, line);
	const char *text_key = NULL, *slot_key = NULL;
	uint64_t number;

	enum rc rc = read_dates(c, line, NULL, &fact);
	if (rc == RC_OK)
		rc = book_keys(&fact, c->arena, &text_key, &slot_key);
	if (rc != RC_OK)
		return rc;
	if (is_there(c, text_key)) {
		c->counts.unchanged++;
		return RC_OK;
	}
	c->counts.added++;
	rc = draft(c, line, &fact, &number);
	return rc == RC_OK ? say(c, text_key, NULL) : rc;
}

/* What took its place, to the last one. */
static const struct book_entry *newest_of(const struct changing *c, const struct book_entry *entry)
{
	size_t len;

	(void)book_entries(c->book, &len);
	for (size_t i = 0; i < len && entry->next != 0; i++) {
		const struct book_entry *next = book_find(c->book, entry->next);
		if (next == NULL)
			break;
		entry = next;
	}
	return entry;
}

static enum rc supersede(
    struct changing *c, const struct markdown_line *line, const struct book_entry *entry)
{
	const struct book_entry *old = newest_of(c, entry);
	struct fact fact = fact_of(c, line);
	uint64_t number = 0;

	c->kept[index_of(c, old)] = true;
	enum rc rc = read_dates(c, line, old, &fact);
	if (rc != RC_OK)
		return rc;
	/* It may tell what was read, in other words: it goes along with that. */
	fact.about = old->fact.about;
	fact.about_len = old->fact.about_len;
	bool holds = book_entry_holds(old, c->now_ns);
	if (holds && fact.valid_from_ns == FACT_ALWAYS_FROM_NS)
		fact.valid_from_ns = c->now_ns;
	rc = draft(c, line, &fact, &number);
	if (rc != RC_OK || !holds) {
		c->counts.added += rc == RC_OK;
		return rc;
	}
	c->counts.superseded++;
	return mark(c, old, FACT_SUPERSEDED, fact.valid_from_ns, number);
}

static enum rc take_line(struct changing *c, const struct markdown_line *line)
{
	if (!c->own || line->number == 0)
		return add(c, line);
	const struct book_entry *entry = book_find(c->book, line->number);
	if (entry == NULL || entry->state == FACT_STATE_PROPOSED ||
	    entry->state == FACT_STATE_REFUSED)
		return fail(c, line,
		    "there is no such fact, or it was forgotten; without its ^ the line is new");
	bool *kept = &c->kept[index_of(c, entry)];
	if (*kept)
		return fail(c, line, "its ^ stands in another line as well");
	*kept = true;
	if (!is_unchanged(c, line, entry))
		return supersede(c, line, entry);
	c->counts.unchanged++;
	return RC_OK;
}

/* What stood in the text and is not there any more. */
static enum rc end_missing(struct changing *c)
{
	const struct markdown_base *base = &c->doc->base;
	size_t len;
	const struct book_entry *entries = book_entries(c->book, &len);
	enum rc rc = RC_OK;

	for (size_t i = 0; c->own && base->store[0] != '\0' && i < len && rc == RC_OK; i++) {
		if (c->kept[i] || entries[i].fact.number > base->number ||
		    !book_entry_holds(&entries[i], base->at_ns) ||
		    !book_entry_holds(&entries[i], c->now_ns))
			continue;
		c->counts.ended++;
		rc = mark(c, &entries[i], FACT_ENDED, c->now_ns, 0);
	}
	return rc;
}

/* What holds, by its text. */
static enum rc say_what_holds(struct changing *c)
{
	size_t len;
	const struct book_entry *entries = book_entries(c->book, &len);
	enum rc rc = RC_OK;

	c->kept = arena_array(c->arena, len, sizeof *c->kept);
	c->said = arena_array(c->arena, len + c->doc->len, sizeof *c->said);
	if (c->kept == NULL || c->said == NULL)
		return RC_NOMEM;
	for (size_t i = 0; i < len && rc == RC_OK; i++) {
		if (book_entry_holds(&entries[i], c->now_ns))
			rc = say(c, entries[i].text_key, &c->kept[i]);
	}
	return rc;
}

static enum rc change_all(struct changing *c)
{
	struct markdown_base here;
	const struct book_view none = { .number = 0 };

	enum rc rc = say_what_holds(c);
	markdown_base_of(book_store(c->book), &none, 0, &here);
	c->own = c->doc->base.store[0] == '\0' || strcmp(c->doc->base.store, here.store) == 0;
	/* Lines with numbers first: what they keep is no match for a new one. */
	for (size_t i = 0; i < c->doc->len && rc == RC_OK; i++) {
		if (c->own && c->doc->lines[i].number != 0)
			rc = take_line(c, &c->doc->lines[i]);
	}
	for (size_t i = 0; i < c->doc->len && rc == RC_OK; i++) {
		if (!c->own || c->doc->lines[i].number == 0)
			rc = take_line(c, &c->doc->lines[i]);
	}
	return rc == RC_OK ? end_missing(c) : rc;
}

enum rc memory_change(struct book *book, const char *text, size_t len,
    const struct markdown_zone *zone, int64_t now_ns, struct change_counts *out, struct errmsg *why)
{
	struct book_draft draft;
	struct markdown doc;
	struct arena arena;

	arena_init(&arena, ARENA_BYTES_MAX);
	enum rc rc = markdown_read(text, len, &arena, &doc, why);
	if (rc == RC_OK)
		rc = book_write_begin(book, &draft, why);
	if (rc == RC_OK) {
		struct changing c = { .book = book,
			.draft = &draft,
			.doc = &doc,
			.zone = zone,
			.now_ns = now_ns,
			.arena = &arena,
			.why = why };
		rc = change_all(&c);
		lookup_fini(&c.lookup);
		enum rc end = book_write_end(book, &draft, rc == RC_OK, why);
		rc = rc == RC_OK ? end : rc;
		*out = c.counts;
	}
	arena_fini(&arena);
	return rc == RC_OK ? RC_OK : errmsg_rc(why, rc, "%s", rc_text(rc));
}
