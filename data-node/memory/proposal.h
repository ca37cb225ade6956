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

/* The facts that the owner saw it would take the place of. */
#define PROPOSAL_SEEN_MAX ((size_t)16)
struct proposal_seen {
	uint64_t numbers[PROPOSAL_SEEN_MAX]; /* [len] */
	size_t len;
};

/*
 * The owner decides.  Accepted, it supersedes what holds of the same attribute; with `seen`
 * (else NULL) only if that is what they saw.  RC_NOTFOUND: no proposal of that number waits;
 * RC_EXISTS: something else holds by now.
 */
enum rc memory_decide(struct book *book, uint64_t number, bool accept,
    const struct proposal_seen *seen, int64_t now_ns, struct errmsg *why) RC_CHECK;

#endif
