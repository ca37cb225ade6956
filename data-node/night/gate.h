/*
 * Gate: what a model says is let through by rules alone, or refused with a reason.
 *
 * The model is not trusted: it may be small, and what it read may have been written
 * to steer it.  So nothing that it says is kept unless it holds against the texts it
 * was shown.  Pure but for the words it counts; one thread.
 */
#ifndef NIGHT_GATE_H
#define NIGHT_GATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "night/words.h"

/* X(NAME, "word") */
#define GATE_LIST(X)                                                                               \
	X(FORM, "form")         /* no JSON of the shape asked for */                               \
	X(LENGTH, "length")     /* empty or too long */                                            \
	X(LINE, "line")         /* no UTF-8, several lines, control characters */                  \
	X(MARKUP, "markup")     /* what templates and pages are made of */                         \
	X(LINK, "link")         /* an address that was not shown */                                \
	X(ORDER, "order")       /* speaks to a model */                                            \
	X(SECRET, "secret")     /* a password, a card, a key, a code */                            \
	X(NUMBER, "number")     /* a number that was not shown */                                  \
	X(NAME, "name")         /* a name that was not shown */                                    \
	X(CLASS, "class")       /* of no class there is */                                         \
	X(MOMENT, "moment")     /* read from nothing that was shown */                             \
	X(ORIGIN, "origin")     /* read from what is not the owner's own */                        \
	X(QUOTE, "quote")       /* the words it rests on do not stand there */                     \
	X(WORDS, "words")       /* says more than the words it rests on */                         \
	X(NEGATION, "negation") /* says no where they say yes, or the other way */                 \
	X(QUESTION, "question") /* they ask, they do not say */                                    \
	X(CONTEXT, "context")   /* too long for the model */                                       \
	X(ANSWER, "answer")     /* the model had no end, or cannot be asked this */

enum gate {
	GATE_PASSED,
#define X(name, word) GATE_##name,
	GATE_LIST(X)
#undef X
	    GATE_COUNT,
};

const char *gate_word(enum gate gate); /* "passed" for GATE_PASSED */

struct gate_counts {
	uint64_t of[GATE_COUNT];
};
/* All but GATE_PASSED. */
uint64_t gate_refused(const struct gate_counts *counts);
/* {"name":2,"number":1}: those that are not 0, without GATE_PASSED. */
void gate_put(const struct gate_counts *counts, struct buf *out);

#define GATE_WORD_BYTES_MAX 40

/* One line of 1 to `chars_max` characters, in words of at most GATE_WORD_BYTES_MAX bytes,
 * without what could be markup or a role's mark. */
enum gate gate_line(const char *text, size_t chars_max);

/* Every address of a page or of mail in `text` stands in `shown` as well. */
enum gate gate_links(const char *text, const char *shown);

/* It gives no orders to a model and speaks for no role. */
enum gate gate_orders(struct words *words, const char *text);

/* It holds nothing that opens something: gate_secret.c. */
enum gate gate_secrets(struct words *words, const char *text);

/* Numbers and names in `text` are in `words`.  In scripts without capitals names cannot be
 * told from other words. */
enum gate gate_names(struct words *words, const char *text);

#endif
