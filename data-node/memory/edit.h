/*
 * Edit: one fact added, changed, put right or ended by the owner, where it still stands
 * as they saw it.
 *
 * A text of many lines (change.h) goes by what it was written from and supersedes what
 * came meanwhile; here whoever edits has one fact before them, and one that was changed
 * or ended meanwhile is left alone, so that they can look at it first.
 */
#ifndef MEMORY_EDIT_H
#define MEMORY_EDIT_H

#include "memory/book.h"

enum edit_how {
	EDIT_ADD,
	EDIT_CHANGE,  /* it held until now, or until `from_ns`; this holds instead */
	EDIT_CORRECT, /* it never held; this did */
	EDIT_END,     /* it holds until now, or until `to_ns` */
	EDIT_DENY,    /* it never held */
};
#define EDIT_HOW_COUNT 5

struct edit {
	enum edit_how how;
	uint64_t number; /* of the fact; none to add one */
	/* How it is to read.  0 and NULL: as it was (change: from now on), or nothing. */
	enum fact_class class;
	const char *subject, *attribute, *text;
	const int64_t *from_ns, *to_ns; /* bounds as a fact has them */
};

/* "add", "change", "correct", "end", "deny".  False: none of them. */
bool edit_how_parse(const char *word, enum edit_how *out);

/*
 * In one commit; `number`: of what holds now, or of what ended.  RC_NOTFOUND: there is no
 * such fact; RC_EXISTS: it does not hold any more, or what is added holds already or is
 * said of the same time already (one that is yet to hold can be edited); RC_INVALID and RC_LIMIT
 * name the field; the book's and the store's errors.
 */
enum rc memory_edit(struct book *book, const struct edit *edit, int64_t now_ns, uint64_t *number,
    struct errmsg *why) RC_CHECK;

#endif
