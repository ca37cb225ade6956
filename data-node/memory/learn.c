/* Learn: the gate for what a model read, and what becomes of what was known. */
#include "memory/learn.h"

#include <string.h>

#include "memory/book_write.h"

#define ARENA_BYTES_MAX (2 * OBS_RECORD_BYTES_MAX)
#define SCRATCH_BYTES_MAX ((size_t)64 << 20)

struct learning {
	struct book *book;
	struct book_draft *draft;
	struct arena *arena; /* keys of this call */
	/* Those of this call that were taken, [taken_len]: like entries. */
	struct book_entry *taken;
	size_t taken_len;
};

/* ---- what it was read from ----------------------------------------------------------- */

static bool may_be_learned_from(const struct observation *obs)
{
	return !obs->tombstone && (obs->origin == ORIGIN_OWNER || obs->origin == ORIGIN_DEVICE);
}

/* *good: all are there and may be learned from; then at_ns is the newest one's.  *own:
 * the owner typed or said all of it. */
static enum rc check_about(
    struct learning *l, struct fact *fact, bool *good, bool *own, struct errmsg *why)
{
	struct errmsg detail = ERRMSG_INIT;
	struct arena arena;
	enum rc rc = RC_OK;

	*good = fact->about_len > 0 && fact->about_len <= FACT_ABOUT_MAX;
	*own = true;
	fact->at_ns = OBS_TIME_MIN_NS;
	arena_init(&arena, ARENA_BYTES_MAX);
	for (size_t i = 0; i < fact->about_len && *good && rc == RC_OK; i++) {
		struct observation obs;
		arena_reset(&arena);
		rc = store_get_id(book_store(l->book), fact->about[i], &arena, &obs, &detail);
		*good = rc == RC_OK && may_be_learned_from(&obs);
		*own = *own && *good && obs.origin == ORIGIN_OWNER;
		if (*good && obs.place.t0_ns > fact->at_ns)
			fact->at_ns =
			    obs.place.t0_ns < OBS_TIME_MAX_NS ? obs.place.t0_ns : OBS_TIME_MAX_NS;
	}
	arena_fini(&arena);
	if (rc == RC_NOTFOUND || rc == RC_CORRUPT)
		return RC_OK; /* it is not good */
	return rc == RC_OK ? RC_OK : errmsg_rc(why, rc, "%s", errmsg_text(&detail, rc));
}

/* ---- what is known ------------------------------------------------------------------- */

/* Entry `i` of the book, then of this call; NULL behind the last. */
static const struct book_entry *entry_at(const struct learning *l, size_t i)
{
	size_t len;
	const struct book_entry *entries = book_entries(l->book, &len);

	if (i < len)
		return &entries[i];
	return i - len < l->taken_len ? &l->taken[i - len] : NULL;
}

static bool by_owner(const struct book_entry *entry)
{
	return entry->fact.by == FACT_BY_OWNER ||
	       (entry->changed_ns != 0 && entry->changed_by == FACT_BY_OWNER);
}

static bool is_over(const struct book_entry *entry)
{
	return entry->state == FACT_STATE_ENDED || entry->state == FACT_STATE_SUPERSEDED;
}

/* The same was said before: it holds or waits, the owner did away with it, or it
 * was over when this was said. */
static bool is_known(const struct learning *l, const struct book_entry *new)
{
	const struct book_entry *entry;

	for (size_t i = 0; (entry = entry_at(l, i)) != NULL; i++) {
		if (strcmp(entry->text_key, new->text_key) != 0)
			continue;
		if (!is_over(entry) || by_owner(entry) || new->fact.at_ns <= entry->to_ns ||
		    new->fact.at_ns <= entry->fact.at_ns)
			return true;
	}
	return false;
}

/* The one value of the same attribute that was said last and is not over. */
static const struct book_entry *find_slot(const struct learning *l, const struct book_entry *new)
{
	const struct book_entry *entry, *last = NULL;

	if (new->slot_key[0] == '\0')
		return NULL;
	for (size_t i = 0; (entry = entry_at(l, i)) != NULL; i++) {
		if (entry->state == FACT_STATE_HOLDS &&
		    strcmp(entry->slot_key, new->slot_key) == 0 &&
		    (last == NULL || entry->fact.at_ns >= last->fact.at_ns))
			last = entry;
	}
	return last;
}

/* The owner ended the attribute, and this was said before that. */
static bool was_ended(const struct learning *l, const struct book_entry *new)
{
	const struct book_entry *entry;

	for (size_t i = 0; new->slot_key[0] != '\0' && (entry = entry_at(l, i)) != NULL; i++) {
		if (is_over(entry) && strcmp(entry->slot_key, new->slot_key) == 0 &&
		    entry->changed_by == FACT_BY_OWNER && new->fact.at_ns <= entry->changed_ns)
			return true;
	}
	return false;
}

/* ---- what is written ------------------------------------------------------------------- */

static enum rc take(struct learning *l, struct book_entry *new)
{
	enum rc rc = book_draft_fact(l->draft, &new->fact, &new->fact.number);

	if (rc != RC_OK)
		return rc;
	new->from_ns = new->fact.valid_from_ns;
	new->to_ns = new->fact.valid_to_ns;
	new->state = new->fact.proposed ? FACT_STATE_PROPOSED : FACT_STATE_HOLDS;
	l->taken[l->taken_len++] = *new;
	return RC_OK;
}

/* Within this call later facts must see it too. */
static void end_taken(struct learning *l, uint64_t number, int64_t at_ns)
{
	for (size_t i = 0; i < l->taken_len; i++) {
		struct book_entry *entry = &l->taken[i];
		if (entry->fact.number != number)
			continue;
		entry->state = FACT_STATE_SUPERSEDED;
		entry->to_ns = at_ns < entry->to_ns ? at_ns : entry->to_ns;
	}
}

/* Since when a value holds, as far as anybody said. */
static int64_t since(const struct book_entry *entry)
{
	return entry->from_ns != FACT_ALWAYS_FROM_NS ? entry->from_ns : entry->fact.at_ns;
}

/* `old` is the newer one by what was said: the new one is of the time before it. */
static enum rc take_older(struct learning *l, struct book_entry *new, const struct book_entry *old,
    enum learn_outcome *outcome)
{
	int64_t until_ns = since(old);

	*outcome = LEARN_KNOWN;
	if (until_ns < new->fact.valid_to_ns)
		new->fact.valid_to_ns = until_ns;
	if (new->fact.valid_from_ns >= new->fact.valid_to_ns)
		return RC_OK;
	*outcome = LEARN_ADDED;
	return take(l, new);
}

static enum rc take_newer(struct learning *l, struct book_entry *new, const struct book_entry *old,
    enum learn_outcome *outcome)
{
	struct fact *fact = &new->fact;
	uint64_t number = old->fact.number;

	*outcome = LEARN_SUPERSEDED;
	if (fact->valid_from_ns == FACT_ALWAYS_FROM_NS && fact->at_ns < fact->valid_to_ns)
		fact->valid_from_ns = fact->at_ns;
	enum rc rc = take(l, new);
	if (rc != RC_OK)
		return rc;
	const struct fact_mark mark = { .fact = number,
		.act = FACT_SUPERSEDED,
		.at_ns = fact->valid_from_ns,
		.next = fact->number,
		.marked_ns = fact->learned_ns,
		.by = FACT_BY_NIGHT,
		.who = fact->who,
		.about = fact->about,
		.about_len = fact->about_len };
	end_taken(l, number, fact->valid_from_ns);
	return book_draft_mark(l->draft, &mark);
}

static enum rc learn_one(
    struct learning *l, const struct fact *given, enum learn_outcome *outcome, struct errmsg *why)
{
	struct book_entry new = { .fact = *given };
	bool good = false, own = false;

	*outcome = LEARN_REFUSED;
	new.fact.by = FACT_BY_NIGHT;
	new.fact.proposed = false;
	enum rc rc = check_about(l, &new.fact, &good, &own, why);
	if (rc != RC_OK || !good || fact_check(&new.fact, NULL) != RC_OK)
		return rc;
	rc = book_keys(&new.fact, l->arena, &new.text_key, &new.slot_key);
	if (rc != RC_OK)
		return rc;
	*outcome = LEARN_KNOWN;
	if (is_known(l, &new) || was_ended(l, &new))
		return RC_OK;
	const struct book_entry *old = find_slot(l, &new);
	/* Wishes are heeded: what a microphone heard, anyone may have said. */
	bool waits = new.fact.class == FACT_WISHES && !own;
	if (old == NULL && !waits) {
		*outcome = LEARN_ADDED;
		return take(l, &new);
	}
	if (waits || by_owner(old)) {
		*outcome = LEARN_PROPOSED;
		new.fact.proposed = true;
		return take(l, &new);
	}
	return new.fact.at_ns < old->fact.at_ns ? take_older(l, &new, old, outcome)
						: take_newer(l, &new, old, outcome);
}

enum rc memory_learn(struct book *book, const struct fact *facts, size_t n,
    enum learn_outcome *outcomes, struct errmsg *why)
{
	struct book_draft draft;
	struct arena arena;

	enum rc rc = book_write_begin(book, &draft, why);
	if (rc != RC_OK)
		return rc;
	arena_init(&arena, SCRATCH_BYTES_MAX);
	struct learning l = { .book = book,
		.draft = &draft,
		.arena = &arena,
		.taken = arena_array(&arena, n, sizeof *l.taken) };
	if (l.taken == NULL)
		rc = RC_NOMEM;
	for (size_t i = 0; i < n && rc == RC_OK; i++) {
		enum learn_outcome outcome;
		rc = learn_one(&l, &facts[i], &outcome, why);
		if (outcomes != NULL)
			outcomes[i] = outcome;
	}
	enum rc end = book_write_end(book, &draft, rc == RC_OK, why);
	arena_fini(&arena);
	return rc != RC_OK ? errmsg_rc(why, rc, "%s", rc_text(rc)) : end;
}
