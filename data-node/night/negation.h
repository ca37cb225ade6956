/*
 * Negation: which words turn a sentence round, and whether what is said of it turns round the
 * same.  By lists of words alone: in doubt it does not.
 */
#ifndef NIGHT_NEGATION_H
#define NIGHT_NEGATION_H

#include "base/arena.h"
#include "night/words.h"

/*
 * Does `text` say no, or that something is no more ("not", "kein", "stopped", "used to")?
 * In scripts without spaces a pair does that holds such a sign.  RC_NOMEM.
 */
enum rc negation_any(struct words *words, const char *text, bool *any) RC_CHECK;

/*
 * Does `text` say no to what `sentence` says no to, or neither of them to anything?  What is
 * no more counts as a no.  A no in both agrees only if it is the only one in each, the same word
 * comes behind it, and its clause holds nothing that it may be about instead ("not only", "but",
 * "every").  `*clause`: what of the sentence counts then, all of it or what stands between the
 * commas around its no; in `arena`.  Empties the set of `words`.  RC_NOMEM.
 */
enum rc negation_agrees(struct words *words, const char *sentence, const char *text,
    struct arena *arena, const char **clause, bool *agrees) RC_CHECK;

#endif
