/*
 * Proposals: facts that an agent, or the night against the owner's word, would have
 * known.  They are in no prompt and in no answer about what holds until the owner
 * accepts them.
 */
#ifndef MEMORY_PROPOSAL_H
#define MEMORY_PROPOSAL_H

#include "memory/book.h"

#define PROPOSALS_OPEN_MAX ((size_t)200)

/*
 * Of `fact` are read: class, subject, attribute, text, validity, `who` (the token's
 * name) and learned_ns.  Its number into `number`.  RC_EXISTS: the same holds, waits
 * or was refused; RC_LIMIT: too many wait; RC_INVALID; the book's and store's errors.
 */
enum rc memory_propose(
    struct book *book, const struct fact *fact, uint64_t *number, struct errmsg *why) RC_CHECK;

/* The owner decides.  Accepted, it supersedes what holds of the same attribute.
 * RC_NOTFOUND: no proposal of that number waits. */
enum rc memory_decide(
    struct book *book, uint64_t number, bool accept, int64_t now_ns, struct errmsg *why) RC_CHECK;

#endif
