/*
 * Mixture of experts: a router chooses a few networks for each row.
 *
 * The rows of a ubatch are sorted by expert, so that each expert's matrices are
 * read once and multiplied with all its rows.  The results of a row are added
 * in the order of its choices, whatever else is in the ubatch; equal scores go
 * to the lower number.
 */
#ifndef INFER_EXPERTS_H
#define INFER_EXPERTS_H

#include "infer/pass.h"

/* x += experts(normed), with the shared experts where the layer has some. */
void experts_forward(struct worker *worker, uint32_t layer);

#endif
