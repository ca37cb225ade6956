/*
 * Learn: facts that the night's model read from observations, into the book.
 *
 * The gate that every one of them passes, whatever the model said:
 *  - it names the observations it was read from, all of them are there, and none
 *    is text from outside, a model's words or the node's own;
 *  - what is known is not learned again, nor what the owner removed or refused;
 *  - of what there is but one (the same class, subject and attribute) a newer value
 *    supersedes the one before; where the owner's own word stands it becomes a
 *    proposal, and so does a wish that they did not type or say themselves.
 * A night that is run again over the same observations therefore adds nothing.
 */
#ifndef MEMORY_LEARN_H
#define MEMORY_LEARN_H

#include "memory/book.h"

enum learn_outcome {
	LEARN_ADDED,
	LEARN_SUPERSEDED, /* added; the one before ended where this one begins */
	LEARN_PROPOSED,   /* the owner said otherwise, or did not say this wish: it waits */
	LEARN_KNOWN,      /* nothing was added */
	LEARN_REFUSED,    /* malformed, or not from what may be learned from */
};

/*
 * `facts` [n], in order, in one commit.  Of each are read: class, subject,
 * attribute, text, validity (FACT_ALWAYS_… where none was said), `who` (the model),
 * `about` (1 to FACT_ABOUT_MAX ids) and learned_ns; the rest is worked out here.
 * `outcomes` [n] may be NULL.  The book's and the store's errors, RC_LIMIT; then
 * nothing was added.
 *
 * For the night's thread alone: who forgets holds that one (gateway/nightly.h), so
 * that nothing is learned from what is going.
 */
enum rc memory_learn(struct book *book, const struct fact *facts, size_t n,
    enum learn_outcome *outcomes, struct errmsg *why) RC_CHECK;

#endif
