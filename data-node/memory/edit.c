/* Edits: one fact against the book. */
#include "memory/edit.h"

#include <string.h>

#include "memory/book_write.h"

static const char *const words[EDIT_HOW_COUNT] = {
	[EDIT_ADD] = "add",
	[EDIT_CHANGE] = "change",
	[EDIT_CORRECT] = "correct",
	[EDIT_END] = "end",
	[EDIT_DENY] = "deny",
};

bool edit_how_parse(const char *word, enum edit_how *out)
{
	for (int i = 0; i < EDIT_HOW_COUNT; i++) {
		if (strcmp(words[i], word) != 0)
			continue;
		*out = (enum edit_how)i;
		return true;
	}
	return false;
}

static enum rc mark(struct book_draft *draft, const struct book_entry *old, enum fact_act act,
    int64_t at_ns, uint64_t next, int64_t now_ns)
{
	const struct fact_mark said = { .fact = old->fact.number,
		.act = act,
		.at_ns = at_ns,
		.next = next,
		.marked_ns = now_ns,
		.by = FACT_BY_OWNER,
		.who = "" };

	return book_draft_mark(draft, &said);
}

/* What holds from this edit on; `old`: what it is about, or NULL. */
static struct fact fact_of(const struct edit *edit, const struct book_entry *old, int64_t now_ns)
{
	struct fact fact = { .subject = "",
		.attribute = "",
		.text = "",
		.valid_from_ns = FACT_ALWAYS_FROM_NS,
		.valid_to_ns = FACT_ALWAYS_TO_NS };

	if (old != NULL) {
		/* It may tell what was read, in other words: it goes along with that. */
		fact = old->fact;
		fact.valid_from_ns =
		    edit->how == EDIT_CHANGE && old->from_ns < now_ns ? now_ns : old->from_ns;
		fact.valid_to_ns = old->to_ns;
	}
	if (edit->class != 0)
		fact.class = edit->class;
	if (edit->subject != NULL)
		fact.subject = edit->subject;
	if (edit->attribute != NULL)
		fact.attribute = edit->attribute;
	if (edit->text != NULL)
		fact.text = edit->text;
	if (edit->from_ns != NULL)
		fact.valid_from_ns = *edit->from_ns;
	if (edit->to_ns != NULL)
		fact.valid_to_ns = *edit->to_ns;
	fact.learned_ns = fact.at_ns = now_ns;
	fact.by = FACT_BY_OWNER;
	fact.who = "";
	fact.proposed = false;
	return fact;
}

/* The same holds, or is said of the same time, which may be over or yet to come. */
static bool is_known(const struct book_entry *entry, const struct fact *fact, const char *text_key)
{
	if (strcmp(entry->text_key, text_key) != 0)
		return false;
	return book_entry_holds(entry, fact->at_ns) ||
	       (entry->state == FACT_STATE_HOLDS && entry->from_ns == fact->valid_from_ns &&
		   entry->to_ns == fact->valid_to_ns);
}

/* The same in the same place, by its text. */
static enum rc check_new(
    const struct book *book, struct book_draft *draft, const struct fact *fact, struct errmsg *why)
{
	const char *text_key = NULL, *slot_key = NULL;
	size_t len;
	const struct book_entry *entries = book_entries(book, &len);

	enum rc rc = book_keys(fact, &draft->arena, &text_key, &slot_key);
	for (size_t i = 0; i < len && rc == RC_OK; i++) {
		if (is_known(&entries[i], fact, text_key))
			rc = errmsg_rc(why, RC_EXISTS, "this is known already");
	}
	return rc;
}

/* A new fact, in the place of `old` where there is one. */
static enum rc put(struct book *book, struct book_draft *draft, const struct edit *edit,
    const struct book_entry *old, int64_t now_ns, uint64_t *number, struct errmsg *why)
{
	const struct fact fact = fact_of(edit, old, now_ns);

	enum rc rc = fact_check(&fact, why);
	if (rc == RC_OK && old == NULL)
		rc = check_new(book, draft, &fact, why);
	if (rc == RC_OK)
		rc = book_draft_fact(draft, &fact, number);
	if (rc != RC_OK || old == NULL)
		return rc;
	return mark(draft, old, FACT_SUPERSEDED,
	    edit->how == EDIT_CORRECT ? old->from_ns : fact.valid_from_ns, *number, now_ns);
}

/* It does not hold any more, or never did; or what becomes of it is settled. */
static bool is_over(const struct book_entry *entry, int64_t now_ns)
{
	return entry->to_ns <= now_ns || entry->to_ns <= entry->from_ns || entry->next != 0;
}

static enum rc apply(struct book *book, struct book_draft *draft, const struct edit *edit,
    int64_t now_ns, uint64_t *number, struct errmsg *why)
{
	if (edit->how == EDIT_ADD)
		return put(book, draft, edit, NULL, now_ns, number, why);
	const struct book_entry *old = book_find(book, edit->number);
	if (old == NULL || old->state == FACT_STATE_PROPOSED || old->state == FACT_STATE_REFUSED)
		return errmsg_rc(why, RC_NOTFOUND, "there is no such fact, or it was forgotten");
	if (is_over(old, now_ns))
		return errmsg_rc(why, RC_EXISTS, "it was changed or ended meanwhile");
	if (edit->how == EDIT_CHANGE || edit->how == EDIT_CORRECT)
		return put(book, draft, edit, old, now_ns, number, why);
	int64_t at_ns = edit->how == EDIT_DENY ? old->from_ns
			: edit->to_ns != NULL  ? *edit->to_ns
					       : now_ns;
	if (at_ns < OBS_TIME_MIN_NS || at_ns > OBS_TIME_MAX_NS)
		return errmsg_rc(why, RC_INVALID, "valid_to: not within 1900 to 2200");
	if (at_ns > old->to_ns)
		return errmsg_rc(why, RC_INVALID, "valid_to: it ends before that");
	*number = old->fact.number;
	return mark(draft, old, FACT_ENDED, at_ns, 0, now_ns);
}

enum rc memory_edit(struct book *book, const struct edit *edit, int64_t now_ns, uint64_t *number,
    struct errmsg *why)
{
	struct book_draft draft;
	uint64_t out = 0;

	enum rc rc = book_write_begin(book, &draft, why);
	if (rc != RC_OK)
		return rc;
	rc = apply(book, &draft, edit, now_ns, &out, why);
	enum rc end = book_write_end(book, &draft, rc == RC_OK, why);
	rc = rc == RC_OK ? end : rc;
	if (rc == RC_OK)
		*number = out;
	return rc == RC_OK ? RC_OK : errmsg_rc(why, rc, "%s", rc_text(rc));
}
