/*
 * Recall-only: the answer without a model, made of quotes.
 */
#ifndef ANSWER_RECALL_ONLY_H
#define ANSWER_RECALL_ONLY_H

#include "answer/pack.h"
#include "base/buf.h"

#define RECALL_ONLY_ITEMS_MAX ((size_t)8)

/*
 * One line that says the model is away, then the best-matching moments with
 * their times, best first, one a line.  Cuts `pack` to what it quotes.
 */
void recall_only_write(struct pack *pack, struct buf *out);

#endif
