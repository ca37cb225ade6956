/*
 * Reserve: the facts about the person that go into a prompt.
 *
 * A fifth of the budget is theirs.  Profile and standing wishes come first, then what
 * the question names (a person, a place, a word of a fact), then the other
 * preferences; where something is named, the first ones leave half of the reserve
 * to it.  What the reserve does not need is the moments'.
 *
 * A fact is untrusted text like any moment: it is one line, and no special token.
 */
#ifndef ANSWER_RESERVE_H
#define ANSWER_RESERVE_H

#include "answer/pack.h"

#define RESERVE_SHARE 5u /* one part in so many of the budget */
#define RESERVE_FACTS_MAX ((size_t)256)

/*
 * The facts that hold at `at_ns` (wishes: at `now_ns`) and may be told, into `pack`;
 * everything in `arena`.  A host without facts has none.
 */
enum rc reserve_find(const struct host *host, const char *question, size_t question_len,
    int64_t at_ns, int64_t now_ns, struct arena *arena, struct pack *pack,
    struct errmsg *why) RC_CHECK;

/* Mark the facts that are kept under `budget_tokens` of the whole pack; the tokens
 * that they take. */
uint32_t reserve_fit(struct pack *pack, uint32_t budget_tokens);

#endif
