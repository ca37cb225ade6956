/*
 * What tests on models of ../shared/data share: opening them, their tokens, and errors
 * against the logits beside them.  A file that is missing or bad fails the test.
 */
#ifndef SUPPORT_GOLDEN_MODELS_H
#define SUPPORT_GOLDEN_MODELS_H

#include <stddef.h>
#include <stdint.h>

#include "model/model.h"

#define GOLDEN_DATA "../shared/data"
#define GOLDEN_TOKENS_MAX 256

struct model *golden_open(const char *folder, const char *name);

/* All of a file; the caller frees. */
uint8_t *golden_file(size_t *len, const char *folder, const char *name);

/* The ids in a folder's tokens.txt to `ids` [GOLDEN_TOKENS_MAX]; returns how many. */
size_t golden_tokens(const char *folder, int32_t *ids);

/* Mean squared error, as a part of what was expected. */
double golden_nmse(const float *got, const float *expected, size_t n);

/* The peer's own error for one format of the quant set, from its list. */
double golden_peer_nmse(const char *format);

#endif
