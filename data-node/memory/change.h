/*
 * Change: what the owner's Markdown changes about what is known.
 *
 * A line with a number that reads as its fact does changes nothing.  One that reads
 * otherwise supersedes it, by the owner: from now on, or since the date that it
 * names; with the date that stood there already it corrects (what it said before
 * never held).  A fact that the text was written from and that has no line any more
 * ends now.  A line without a number is new, unless the same holds already.
 *
 * What came since the text was written stays: its lines are compared with what they
 * said then, and where the owner changed one that was superseded meanwhile, theirs
 * supersedes the newest.
 */
#ifndef MEMORY_CHANGE_H
#define MEMORY_CHANGE_H

#include "memory/markdown.h"

struct change_counts {
	size_t added, superseded, ended, unchanged;
};

/*
 * Read `text` [len] and write what it changes, all in one commit.  RC_INVALID and
 * RC_LIMIT name the line, and nothing was changed; the book's and the store's
 * errors.
 */
enum rc memory_change(struct book *book, const char *text, size_t len,
    const struct markdown_zone *zone, int64_t now_ns, struct change_counts *out,
    struct errmsg *why) RC_CHECK;

#endif
