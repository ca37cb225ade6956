/*
 * Choose: a token of a row that engine_forward() has computed, from its shortlist where
 * that says enough, else from its logits.
 */
#ifndef INFER_CHOOSE_H
#define INFER_CHOOSE_H

#include "infer/engine.h"
#include "infer/sample.h"

/* Of the `i`-th wanted row of the last engine_forward(), which was brief if
 * sample_is_brief() says so.  `row->logits` is where its logits were handed out to. */
enum rc choose_token(struct engine *engine, size_t i, const struct sample_params *params,
    const struct sample_row *row, void *scratch, int32_t *out, struct errmsg *why) RC_CHECK;

#endif
