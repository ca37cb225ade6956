/* Proposals: put, and decided by the owner. */
#include "memory/proposal.h"

#include <string.h>

#include "memory/book_write.h"

static enum rc may_be_put(const struct book *book, const struct book_entry *new, struct errmsg *why)
{
	size_t len, open = 0;
	const struct book_entry *entries = book_entries(book, &len);

	for (size_t i = 0; i < len; i++) {
		const struct book_entry *entry = &entries[i];
		bool over =
		    entry->state == FACT_STATE_ENDED || entry->state == FACT_STATE_SUPERSEDED;
		open += entry->state == FACT_STATE_PROPOSED;
		if (!over && strcmp(entry->text_key, new->text_key) == 0)
			return errmsg_rc(
			    why, RC_EXISTS, "this is known, waits already, or was refused");
	}
	return open < PROPOSALS_OPEN_MAX
		   ? RC_OK
		   : errmsg_rc(why, RC_LIMIT, "%zu proposals wait for the owner already", open);
}

enum rc memory_propose(
    struct book *book, const struct fact *fact, uint64_t *number, struct errmsg *why)
{
	struct book_entry new = { .fact = *fact };
	struct book_draft draft;

	new.fact.by = FACT_BY_AGENT;
	new.fact.proposed = true;
	new.fact.at_ns = fact->learned_ns;
	new.fact.about = NULL;
	new.fact.about_len = 0;
	enum rc rc = fact_check(&new.fact, why);
	if (rc == RC_OK)
		rc = book_write_begin(book, &draft, why);
	if (rc != RC_OK)
		return rc;
	rc = book_keys(&new.fact, &draft.arena, &new.text_key, &new.slot_key);
	if (rc == RC_OK)
		rc = may_be_put(book, &new, why);
	if (rc == RC_OK)
		rc = book_draft_fact(&draft, &new.fact, number);
	enum rc end = book_write_end(book, &draft, rc == RC_OK, why);
	return rc == RC_OK ? end : errmsg_rc(why, rc, "%s", rc_text(rc));
}

static bool takes_place_of(
    const struct book_entry *accepted, const struct book_entry *entry, int64_t now_ns)
{
	return accepted->slot_key[0] != '\0' && book_entry_holds(entry, now_ns) &&
	       strcmp(entry->slot_key, accepted->slot_key) == 0;
}

/* What it would take the place of is what the owner saw, all of it. */
static bool is_as_seen(const struct book *book, const struct book_entry *accepted,
    const struct proposal_seen *seen, int64_t now_ns)
{
	size_t len, found = 0;
	const struct book_entry *entries = book_entries(book, &len);

	for (size_t i = 0; i < len; i++) {
		if (!takes_place_of(accepted, &entries[i], now_ns))
			continue;
		size_t j = 0;
		while (j < seen->len && seen->numbers[j] != entries[i].fact.number)
			j++;
		if (j == seen->len)
			return false;
		found++;
	}
	return found == seen->len;
}

/* What of the same attribute holds now ends at `at_ns`; *any: there was some. */
static enum rc supersede(struct book *book, struct book_draft *draft,
    const struct book_entry *accepted, int64_t at_ns, int64_t now_ns, bool *any)
{
	size_t len;
	const struct book_entry *entries = book_entries(book, &len);
	enum rc rc = RC_OK;

	for (size_t i = 0; i < len && rc == RC_OK; i++) {
		if (!takes_place_of(accepted, &entries[i], now_ns))
			continue;
		const struct fact_mark mark = { .fact = entries[i].fact.number,
			.act = FACT_SUPERSEDED,
			.at_ns = at_ns,
			.next = accepted->fact.number,
			.marked_ns = now_ns,
			.by = FACT_BY_OWNER,
			.who = "" };
		*any = true;
		rc = book_draft_mark(draft, &mark);
	}
	return rc;
}

enum rc memory_decide(struct book *book, uint64_t number, bool accept,
    const struct proposal_seen *seen, int64_t now_ns, struct errmsg *why)
{
	struct fact_mark mark = { .fact = number,
		.act = accept ? FACT_ACCEPTED : FACT_REFUSED,
		.at_ns = FACT_ALWAYS_FROM_NS,
		.marked_ns = now_ns,
		.by = FACT_BY_OWNER,
		.who = "" };
	struct book_draft draft;

	enum rc rc = book_write_begin(book, &draft, why);
	if (rc != RC_OK)
		return rc;
	const struct book_entry *entry = book_find(book, number);
	if (entry == NULL || entry->state != FACT_STATE_PROPOSED)
		rc = errmsg_rc(why, RC_NOTFOUND, "no proposal of that number waits");
	if (rc == RC_OK && accept && seen != NULL && !is_as_seen(book, entry, seen, now_ns))
		rc = errmsg_rc(
		    why, RC_EXISTS, "what it would take the place of was changed meanwhile");
	if (rc == RC_OK && accept) {
		bool any = false;
		int64_t from_ns = entry->from_ns != FACT_ALWAYS_FROM_NS ? entry->from_ns : now_ns;
		rc = supersede(book, &draft, entry, from_ns, now_ns, &any);
		mark.at_ns = any ? from_ns : FACT_ALWAYS_FROM_NS;
	}
	if (rc == RC_OK)
		rc = book_draft_mark(&draft, &mark);
	enum rc end = book_write_end(book, &draft, rc == RC_OK, why);
	return rc == RC_OK ? end : errmsg_rc(why, rc, "%s", rc_text(rc));
}
