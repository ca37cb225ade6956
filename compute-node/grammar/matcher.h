/*
 * Matcher: where a constrained answer stands in its automaton, and which tokens may
 * come next.
 *
 * The pushdown automaton is made deterministic as far as the answer goes: a set of
 * (state, stack of returns) is a place, places and steps between them are remembered, and so
 * are the last few bitmaps.  All of that stands in one block that is taken when the
 * matcher is made; when it is full, everything but the current place is forgotten.
 * What is remembered never changes an answer: where an answer stands is a function of
 * its bytes alone, so one that is resumed by pushing its ids goes on identically.
 *
 * Work is bounded, for each request computes beside others: an answer with more than
 * MATCHER_OPTIONS_MAX readings at once keeps the first ones, and a bitmap that costs more
 * than some ten milliseconds is cut short, at the same token in each run.
 * One thread at a time; nothing but matcher_new() takes memory.
 */
#ifndef GRAMMAR_MATCHER_H
#define GRAMMAR_MATCHER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/errmsg.h"

struct automaton;
struct vocab;
struct matcher;

#define MATCHER_OPTIONS_MAX 256u

/* Takes the automaton on success; `vocab` is borrowed.  RC_NOMEM; RC_LIMIT: choices within
 * choices, so many that no first byte was found among those that are looked at. */
enum rc matcher_new(
    struct automaton *automaton_take, const struct vocab *vocab, struct matcher **out) RC_CHECK;
void matcher_free(struct matcher *matcher); /* wipes */

/* Back to where it was when it was new. */
void matcher_restart(struct matcher *matcher);

/* The same bytes for every automaton of a vocabulary of `n_vocab`. */
size_t matcher_bytes(size_t n_vocab);

/* Go on by a token.  False: it is not allowed; the matcher stays where it was. */
bool matcher_push(struct matcher *matcher, int32_t token);

/* The same by bytes, which need not be a token's. */
bool matcher_push_bytes(struct matcher *matcher, const uint8_t *bytes, size_t len);

/*
 * One bit for each of n_vocab ids, in words of 64, lowest first: what may come next,
 * tokens that end the answer among them where it may end.  Never empty with a vocabulary
 * that is whole, but for bitmaps that are cut short before their first token.  Lives until the next
 * call.  The first time at a place it costs a walk over the vocabulary.
 */
const uint64_t *matcher_allowed(struct matcher *matcher);

/*
 * The same where the answer is free and only begins here behind `front`: all ids, but for those
 * that begin with all of it and go on with what cannot follow.  `whole`: `front` is part of it,
 * and blanks may go before.
 */
const uint64_t *matcher_allowed_behind(
    struct matcher *matcher, const char *front, size_t len, bool whole);

/* The answer may end here; it must, because nothing can follow. */
bool matcher_accepts(const struct matcher *matcher);
bool matcher_over(const struct matcher *matcher);

#endif
