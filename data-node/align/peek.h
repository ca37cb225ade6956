/*
 * Peek: read members of a canonical JSON text without building a tree.
 *
 * The hot path of the aligner asks a handful of questions about an
 * observation's `data`; this answers them by one walk over its bytes.  Input
 * was checked at ingest, but nothing here depends on that: a broken text ends
 * the walk.  Pure, no allocation, O(bytes), any thread.
 */
#ifndef ALIGN_PEEK_H
#define ALIGN_PEEK_H

#include <stdbool.h>
#include <stddef.h>

/* A walk over the members of one object; views live as long as the text. */
struct peek {
	const char *key; /* [key_len] between its quotes, escapes as written */
	size_t key_len;
	const char *value; /* [value_len] with quotes or brackets */
	size_t value_len;
	const char *at; /* NULL: the walk is over */
};

/* Start; a text that is no object has no members. */
void peek_open(struct peek *peek, const char *json);

/* Step to the next member; false at the end. */
bool peek_next(struct peek *peek);

/* True if the member's key is `key`. */
bool peek_is(const struct peek *peek, const char *key);

/* The member's value as a finite number; false if it is none. */
bool peek_number(const struct peek *peek, double *out);

/* The member's value as a view of its string, escapes as written. */
bool peek_string(const struct peek *peek, const char **text, size_t *len);

bool peek_true(const struct peek *peek);
bool peek_false(const struct peek *peek);

/* True for "", [], {}, null and false. */
bool peek_empty(const struct peek *peek);

/*
 * Every string value at any depth (keys excepted), decoded, in order, until
 * `bytes_max` bytes were handed out; strings past PEEK_STRING_BYTES_MAX are
 * cut at a character's border.  `text` lives until the visitor returns.
 */
#define PEEK_STRING_BYTES_MAX ((size_t)1024)
typedef void peek_string_fn(void *ctx, const char *text, size_t len);
void peek_strings(const char *json, size_t bytes_max, peek_string_fn *visit, void *ctx);

#endif
