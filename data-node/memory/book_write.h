/*
 * Writing to the book: read, decide, append in one piece.
 *
 * For the files of this folder that know what is to be written (learn.c, change.c).
 * Between begin and end nobody else writes, and the entries stand.
 */
#ifndef MEMORY_BOOK_WRITE_H
#define MEMORY_BOOK_WRITE_H

#include "memory/book.h"

/* Facts and marks on their way to the log. */
struct book_draft {
	struct observation *obs; /* [len] */
	size_t len, cap;
	uint64_t next_number;
	struct arena arena;
};

/* Refreshes, then keeps the book to itself.  On RC_OK book_write_end() follows.  RC_BUSY: something
 * is being forgotten. */
enum rc book_write_begin(struct book *book, struct book_draft *draft, struct errmsg *why) RC_CHECK;
/* With `keep`, append what was drafted in one commit.  Lets go of the book. */
enum rc book_write_end(
    struct book *book, struct book_draft *draft, bool keep, struct errmsg *why) RC_CHECK;

/* A fact that was checked; its number into `number`. */
enum rc book_draft_fact(
    struct book_draft *draft, const struct fact *fact, uint64_t *number) RC_CHECK;
enum rc book_draft_mark(struct book_draft *draft, const struct fact_mark *mark) RC_CHECK;

/* Between begin and end: entries in the order of their numbers. */
const struct book_entry *book_entries(const struct book *book, size_t *len);
const struct book_entry *book_find(const struct book *book, uint64_t number);
struct store *book_store(struct book *book);

/* The keys of a fact, as entries have them; in `arena`. */
enum rc book_keys(const struct fact *fact, struct arena *arena, const char **text_key,
    const char **slot_key) RC_CHECK;

#endif
