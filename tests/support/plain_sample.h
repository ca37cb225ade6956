/*
 * Sampling as its header defines it, by the plainest way: every weight exact, every
 * candidate sorted, all sums in the order that the definition adds them in.
 */
#ifndef SUPPORT_PLAIN_SAMPLE_H
#define SUPPORT_PLAIN_SAMPLE_H

#include "infer/sample.h"

/* What sample_token() has to choose; leaves `row->logits` as they are. */
int32_t plain_sample(const struct sample_params *params, const struct sample_row *row);

#endif
