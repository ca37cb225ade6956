/*
 * Markdown: facts as a text that the owner reads and edits, and back.
 *
 *   # Memory
 *   <!-- memory 8d2f6a01c3b4e597 12 2026-11-27T12:00:00.000000000Z … -->
 *   ## People
 *   ### Anna
 *   - Anna is a nurse (since 2024-05-01) #work ^f7
 *
 * A heading of the second level is a class, one of the third a subject.  `^f7` is
 * the fact's number; a line without one is new.  The comment says what the text was
 * written from, so that what came meanwhile is not taken for removed (change.h).
 * Reading is strict: what is not understood is refused by the number of its line,
 * never by its words.
 */
#ifndef MEMORY_MARKDOWN_H
#define MEMORY_MARKDOWN_H

#include "memory/book.h"

#define MARKDOWN_BYTES_MAX ((size_t)8 << 20)
#define MARKDOWN_LINE_BYTES_MAX ((size_t)1024)
#define MARKDOWN_LINES_MAX ((size_t)100000)
#define MARKDOWN_STORE_BYTES 17

/* Seconds east of UTC where the owner is, at that instant. */
struct markdown_zone {
	int32_t (*offset_s)(const void *ctx, int64_t utc_ns);
	const void *ctx;
};

struct markdown_base {
	char store[MARKDOWN_STORE_BYTES]; /* of its id; "": the text does not say */
	uint64_t number;                  /* of the newest record in it */
	int64_t at_ns;                    /* what held at this time */
};

struct markdown_line {
	size_t at;         /* its number in the text, from 1 */
	const char *whole; /* as it stands behind the "- " */
	enum fact_class class;
	const char *subject;
	const char *text, *attribute;
	const char *since, *until; /* dates, "" = none */
	uint64_t number;           /* 0: a new one */
};

struct markdown {
	struct markdown_base base;
	struct markdown_line *lines; /* [len] */
	size_t len;
};

/* The base of a view of `store` that holds at `at_ns`. */
void markdown_base_of(
    struct store *store, const struct book_view *view, int64_t at_ns, struct markdown_base *out);

/* The whole text. */
void markdown_write(const struct book_view *view, const struct markdown_base *base,
    const struct markdown_zone *zone, struct buf *out);

/* One fact as it stands behind its "- "; valid in [from, to). */
void markdown_put_line(const struct fact *fact, int64_t from_ns, int64_t to_ns,
    const struct markdown_zone *zone, struct buf *out);

/* Everything in `arena`.  RC_INVALID and RC_LIMIT name the line. */
enum rc markdown_read(const char *text, size_t len, struct arena *arena, struct markdown *out,
    struct errmsg *why) RC_CHECK;

/* "2026-11-20" of a bound of validity, "" where it says nothing; and the beginning of
 * such a day.  RC_INVALID. */
#define MARKDOWN_DATE_BYTES 16
void markdown_since(const struct fact *fact, int64_t from_ns, const struct markdown_zone *zone,
    char out[MARKDOWN_DATE_BYTES]);
void markdown_until(int64_t to_ns, const struct markdown_zone *zone, char out[MARKDOWN_DATE_BYTES]);
enum rc markdown_day(const char *date, const struct markdown_zone *zone, int64_t *out_ns) RC_CHECK;

#endif
