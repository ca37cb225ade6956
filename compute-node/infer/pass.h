/*
 * Pass: one ubatch on its way through the layers, and the memory it uses.
 *
 * All threads of the crew run the architecture's forward() together; each has
 * a worker with scratch of its own, all share one pass.  Everything is taken
 * at engine_new().
 */
#ifndef INFER_PASS_H
#define INFER_PASS_H

#include "infer/cache.h"
#include "infer/crew.h"
#include "infer/engine.h"
#include "infer/state.h"
#include "kernels/kernels.h"

struct adapter; /* model/adapter.h */
struct model;
struct device;  /* infer/device.h */
struct product; /* infer/block.h */

/* Positions that one step of attention takes together; partial results of
 * steps are merged in order, so this number is part of the numerics. */
#define PASS_STEP 256u
/* With fewer rows than this the steps of a row are shared out to threads. */
#define PASS_SPLIT_ROWS 4u
/* Queries of some rows that are taken together where the values of a step have to
 * be unpacked for them. */
#define PASS_SHARED_QUERIES 64u
/* Up to so many rows every thread norms for itself what it multiplies, which
 * takes less than waiting for others. */
#define PASS_OWN_ROWS 8u

/* Rows that a matrix will be multiplied with, in the forms its weights want. */
struct acts {
	float *f32;              /* [n_rows][width of the matrix] */
	struct q8_rows q8;       /* the same; NULL if the model has no such weights */
	size_t n_rows;           /* that stand in it; of a pass unless its block says other */
	const uint32_t *rows_of; /* [n_rows] which rows of the pass they are; NULL: these */
	/* On a device alone (struct backend_acts): scales of q8, halves and theirs. */
	float *q8_scales, *f16_scales;
	uint16_t *f16;
};

/* A feed-forward network of experts: each choice of a row is a slot, and the
 * slots of one expert stand together. */
struct routed {
	float *scores, *keys; /* [n_ubatch][n_expert] of the router; what the choice goes by */
	uint8_t *taken;       /* the same shape: out of the choice */
	uint32_t *chosen;     /* [n_ubatch][n_used] experts, best first */
	float *weights;       /* the same shape */
	uint32_t *slots;      /* the same shape */
	uint32_t *ends;       /* [n_expert] behind each expert's slots */
	uint32_t *rows_of;    /* [slots] whose choice each is */
	bool gather;          /* some expert has rows that do not stand together */
	struct acts latent;   /* [n_ubatch][n_latent] in, and then out */
	struct acts in;       /* [slots][n_embd, or n_latent] */
	float *gate, *up;     /* [slots][n_ff] */
	struct acts hidden;   /* [slots][n_ff] */
	float *out;           /* [slots][n_embd, or n_latent] */
	struct acts *ins, *hiddens;    /* [n_expert] of each expert that has rows */
	struct product *inner, *outer; /* [2 * n_expert], [n_expert + 1] */
	size_t n_inner, n_outer;
	float *shared_gate, *shared_up; /* [n_ubatch][n_ff_shared] */
	struct acts shared_hidden;
	float *shared;       /* [n_ubatch][n_embd] */
	float *shared_scale; /* [n_ubatch] */
	float *latent_out;   /* [n_ubatch][n_latent]; on a device alone */
	/* Beside a dense network: what the router reads, the stream meanwhile, what
	 * the dense network gives; all [n_ubatch][n_embd]. */
	struct acts router_in;
	float *stream, *dense;
};

/* What recurrent layers work on; attention with a gate keeps it in z. */
struct recur {
	float *in;           /* [n_ubatch][n_channel] */
	float *z;            /* [n_ubatch][d_inner or n_head * head_dim_v] */
	float *beta, *alpha; /* [n_ubatch][n_head] */
	struct acts out;     /* [n_ubatch][d_inner] */
	/* On a device alone: what one matrix gives for several places, the widest of any;
	 * rates of heads, [n_ubatch][n_head][2]. */
	float *packed, *rates;
};

/* Attention through a latent vector. */
struct latents {
	struct acts q_rank;  /* [n_ubatch][n_q_rank] */
	float *q;            /* [n_ubatch][n_head][n_nope + n_rot] */
	float *kv;           /* [n_ubatch][n_rank + n_rot] */
	struct acts rank;    /* [n_ubatch][n_rank] the latent, normed */
	struct acts by_head; /* [n_head][n_rows][n_nope or n_rank] */
	struct acts values;  /* [n_ubatch][n_head * n_value] */
	float *heads_kv;     /* [n_ubatch][n_head][n_nope + n_value], not absorbed */
	float *stacked;      /* [n_head][n_rows][n_rank or n_value]; on a device alone */
};

/* Layers first … end - 1: all of them, or where a backend and the CPU share them those of
 * the one side.  Rows come to the first side as tokens, to the other as they stand in `x`. */
struct pass_layers {
	uint32_t first, end;
};

struct pass_layers pass_layers_of(const struct model *model, const struct engine_config *config);

struct pass {
	const struct model *model;
	struct pass_layers layers;
	struct device *device; /* that computes it; NULL: the crew does */
	const struct kernels *kernels;
	struct crew *crew;
	struct cache *cache;
	struct state *state;

	const struct engine_row *rows;
	size_t n_rows;    /* ≤ n_ubatch */
	uint32_t *wanted; /* [n_wanted] those of them that want logits */
	size_t n_wanted;
	float *logits;     /* [wanted rows][n_vocab] */
	float *embeddings; /* [n_rows][n_embd] or NULL */

	/* Of each row, NULL: it has none; `adapted` if one has. */
	const struct adapter **adapters; /* [n_ubatch] */
	bool adapted;
	float *low; /* [products' rows of a stage][ADAPTER_RANK_MAX] A·x of adapters */

	float *x;                 /* [n_ubatch][n_embd] the residual stream */
	struct acts normed;       /* [n_ubatch][n_embd] */
	float *q;                 /* [n_ubatch][n_head * head_dim_k] */
	float *k, *v;             /* [n_ubatch][n_head_kv * head_dim] */
	struct acts mixed;        /* [n_ubatch][n_head * head_dim_v] what attention gives */
	float *gate, *up;         /* [n_ubatch][n_ff] */
	struct acts hidden;       /* [n_ubatch][n_ff] */
	bool rope_long;           /* the context asks for the long factors */
	struct routed routed;     /* empty without experts */
	struct latents latents;   /* empty without them */
	struct recur recur;       /* empty without recurrent layers */
	float *rope;              /* [n_ubatch][n_rot / 2][2] cos, sin */
	float *rope_local;        /* the same of layers that rotate by rope_local */
	float *per_layer;         /* [n_ubatch][n_layer][n_per_layer] */
	float *per_layer_embd;    /* the same, of the tokens; on a device alone */
	struct partial *partials; /* [steps][PASS_SPLIT_ROWS - 1][n_head] */
	float *partial_values;    /* the same, [head_dim_v] each */
};

/* A softmax over some positions: max of scores, sum of weights. */
struct partial {
	float max, sum;
};

struct worker {
	struct pass *pass;
	unsigned thread;
	struct kernel_scratch strip;
	float *tile;              /* [n_ubatch][KERNEL_STRIP] */
	float *row;               /* [n_layer * n_per_layer] */
	float *tile_up;           /* the same */
	struct acts own;          /* [PASS_OWN_ROWS][n_embd] normed by this thread for itself */
	struct product *products; /* [model's n_products] */
	struct acts *slices;      /* [model's n_products] */
	float *heads;             /* [2 * n_state + head_dim] vectors of a recurrent head */
	float *queries;           /* [KERNEL_QUERIES_MAX][head_dim_k] */
	float *scores;            /* [KERNEL_QUERIES_MAX][PASS_STEP] */
	float *step_values;       /* [KERNEL_QUERIES_MAX][head_dim_v] of one step */
	float *sum_values;        /* [queries of a unit][head_dim_v] merged */
	uint8_t *unpacked;        /* [PASS_STEP][head_dim_v] values out of keys, as cached */
};

#endif
