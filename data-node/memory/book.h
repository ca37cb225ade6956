/*
 * Book: what is known about the person, from the facts and marks of the log.
 *
 * Derived: it is read from the store when it is first asked, follows the log by
 * number, and is read anew when records were written anew (store_rewrites()), so
 * that what was forgotten is in no answer.  Any thread; a mutex around it.
 * Invariants:
 *  B1  equal for equal logs: an entry is a function of the records alone.
 *  B2  only accepted facts hold; what an agent proposed holds once the owner
 *      accepted it.
 *  B3  what was written by one caller (book_write.h) is in one commit.
 *  B4  while something is forgotten (book_hold()) nothing is written: what was made of it
 *      before is gone with it, and what is written after is made of what stayed.
 */
#ifndef MEMORY_BOOK_H
#define MEMORY_BOOK_H

#include "memory/fact.h"

struct book;

#define BOOK_RECORDS_MAX ((uint64_t)200000) /* facts and marks; more are refused */

enum fact_state {
	FACT_STATE_HOLDS,    /* within its validity */
	FACT_STATE_PROPOSED, /* waits for the owner */
	FACT_STATE_REFUSED,
	FACT_STATE_ENDED,
	FACT_STATE_SUPERSEDED,
};

struct book_entry {
	struct fact fact;
	enum fact_state state;
	int64_t from_ns,
	    to_ns;          /* valid in [from, to), by the fact and its marks; none: to ≤ from */
	int64_t changed_ns; /* when the last mark was made; 0: there is none */
	enum fact_by changed_by;
	uint64_t next; /* superseded: by this one */
	uint8_t obs_id[OBS_ID_BYTES];
	const char *text_key;  /* class, subject and text, folded */
	const char *slot_key;  /* class, subject and attribute, folded; "": without one */
	const uint32_t *words; /* [words_len] of subject, attribute and text (fact_words.h) */
	size_t words_len;
};

enum rc book_open(struct store *store, struct book **out, struct errmsg *why) RC_CHECK;
void book_close(struct book *book);

/* What is wanted; zeroed: all of it, with its history. */
struct book_query {
	bool holds; /* valid at `at_ns` only */
	int64_t at_ns;
	bool proposals;  /* those that wait only */
	bool decided;    /* none that waits or was refused */
	uint64_t number; /* this one only; 0: any */
};

struct book_view {
	const struct book_entry *entries; /* [len] by class, subject, number */
	size_t len;
	uint64_t number; /* of the newest record: what the view was made from */
};

/* Everything in `arena`.  The store's errors, RC_NOMEM. */
enum rc book_read(struct book *book, const struct book_query *query, struct arena *arena,
    struct book_view *out, struct errmsg *why) RC_CHECK;

/*
 * Between hold and release writing is refused, RC_BUSY; hold waits for what is being written.
 * For who takes observations away: a fact that is written meanwhile might tell one of them and
 * be looked at no more.  As often as wanted.
 */
void book_hold(struct book *book);
void book_release(struct book *book);

/* Read what came to the log; and drop what was forgotten.  book_read() does it too. */
enum rc book_refresh(struct book *book, struct errmsg *why) RC_CHECK;

struct book_stats {
	size_t holds; /* now */
	size_t proposals;
	uint64_t records;
};
enum rc book_get_stats(
    struct book *book, int64_t now_ns, struct book_stats *out, struct errmsg *why) RC_CHECK;

/* Does it hold at that time? */
bool book_entry_holds(const struct book_entry *entry, int64_t at_ns);

#endif
