/*
 * State: what recurrent layers remember of a sequence, whatever its length.
 *
 * For each layer the last inputs of its convolution and a matrix for each head.
 * It belongs to exactly the tokens that went in: it can be cleared, not cut.
 * The serve loop's thread owns it between passes.
 */
#ifndef INFER_STATE_H
#define INFER_STATE_H

#include "infer/engine.h"

struct device; /* infer/device.h */
struct model;

struct state {
	float *floats;         /* [recurrent layers][n_seq][n_conv + n_heads] */
	struct device *device; /* whose memory it is; NULL: the host's */
	uint32_t n_seq, n_layer;
	size_t n_conv, n_heads; /* numbers a layer */
	size_t bytes;
};

/* Sizes alone.  RC_LIMIT (overflow). */
enum rc state_measure(const struct model *model, const struct engine_config *config,
    struct state *out, struct errmsg *why) RC_CHECK;

/* Take the memory of a measured state, all zero. */
enum rc state_take(struct state *state, struct errmsg *why) RC_CHECK;
void state_fini(struct state *state);

/* Of one sequence and recurrent layer: the last inputs of the convolution
 * [kernel - 1][channels], and the heads' matrices [heads][n_state][head_dim]. */
float *state_conv(const struct state *state, uint32_t layer, uint32_t seq);
float *state_heads(const struct state *state, uint32_t layer, uint32_t seq);

/* Back to the state before the first token. */
void state_wipe(const struct state *state, uint32_t seq);

#endif
