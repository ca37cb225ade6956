/*
 * Backend: what a device does for the engine, as a table of functions.
 *
 * A backend is a shared library with one exported symbol, backend_entry(), loaded
 * from an absolute path (backend/load.h).  It neither prints nor exits; what goes
 * wrong comes back as a code and a reason.  Addresses of device memory are plain
 * pointers that the host does not read.
 *
 * Rows of a pass belong to one of two classes.  Within a class the result of a row
 * does not depend on what else is in the pass (DESIGN §5); across them the order of
 * additions differs.  BACKEND_ANSWER rows, at most BACKEND_ANSWER_ROWS a pass, are
 * tokens of an answer; BACKEND_PROMPT rows are all others.  No more than as many of a
 * pass want logits.
 *
 *  B1  every function but open() is called by one thread at a time.
 *  B2  device memory is taken by take() and rehearse() alone, before the first pass.
 *  B3  functions of a pass only put work into a queue, in order; end() waits for it.
 *  B4  between begin() and end() of answer passes with as many rows, of which as many
 *      want logits that go to the same place, the calls are always the same: a backend
 *      may keep what it was shown by rehearse() and play it back.
 */
#ifndef BACKEND_BACKEND_H
#define BACKEND_BACKEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#include "base/errmsg.h"

#define BACKEND_ABI 6u /* one more with each change of what is below */
#define BACKEND_PLANES 4
#define BACKEND_ANSWER_ROWS 16u
#define BACKEND_SHORT_MAX 256u
/* The most that the sum of a shortlist is wrong by, as a share of it. */
#define BACKEND_SHORT_ERROR 0x1p-16
#define BACKEND_ENTRY "backend_entry"

enum backend_class { BACKEND_ANSWER, BACKEND_PROMPT };

/* The numbers of enum activation, model/model_impl.h; those behind them are activate()'s. */
enum backend_activation {
	BACKEND_SILU_GATED,
	BACKEND_CLAMPED_GATED,
	BACKEND_RELU_SQUARED,
	BACKEND_GELU_GATED,
	BACKEND_SIGMOID_GATED, /* up * σ(gate) */
	BACKEND_GELU           /* gelu(up) by tanh, no gate */
};

/* The numbers of enum cache_type, infer/engine.h. */
enum backend_cache { BACKEND_F16, BACKEND_F32, BACKEND_Q8_0 };

/* What a device is and has.  A driver's figure of free memory is a lead only. */
struct backend_info {
	char name[64];     /* as the maker calls it */
	char numerics[32]; /* "cuda/k1-90": what must agree for equal bits */
	uint64_t total_bytes, free_bytes;
	bool unified;         /* its memory is the host's */
	uint32_t n_graphs;    /* passes that rehearse() has kept */
	uint64_t graph_bytes; /* of the device, that they took */
};

/*
 * A matrix as it lies on the device, or several of one shape behind each other.  The
 * parts of its blocks stand in planes of their own, so that all reads are aligned;
 * row r of plane p begins at planes[p] + r * strides[p].
 */
struct backend_matrix {
	uint32_t type; /* enum tensor_type, model/type.h */
	uint64_t k;    /* weights a row */
	uint64_t rows; /* through all matrices */
	const uint8_t *planes[BACKEND_PLANES];
	uint64_t strides[BACKEND_PLANES];
	const float *factors; /* on the device, one for each `height` rows; NULL: none */
	uint64_t height;
};

/* Rows that matrices multiply, and the forms they want them in.  What a form's
 * pointer is NULL for is not wanted. */
struct backend_acts {
	float *f32;        /* [rows][n] */
	int8_t *q8;        /* [rows][n]; n a multiple of 32 */
	float *q8_scales;  /* [rows][n / 32][2]: scale, scale * sum of the integers */
	uint16_t *f16;     /* [rows][n rounded up to 64], zeros behind n */
	float *f16_scales; /* [rows] powers of two that f16 has been divided by */
};

struct backend_product {
	struct backend_matrix matrix; /* the rows that are multiplied, alone */
	uint64_t rows;
	const float *bias; /* [rows] or NULL */
	float *out;        /* [rows of acts][out_stride] */
	uint64_t out_stride;
	bool add; /* to what stands there */
};

struct backend_row {
	int32_t token;
	uint32_t seq, pos;
	uint32_t wanted; /* its place among the rows that want logits; UINT32_MAX: none */
	bool brief;      /* end() hands out no logits of it: the shortlist may do */
};

struct backend_candidate {
	int32_t id;
	float logit;
};

/*
 * The best of a row of logits, NaN being -inf.  Better is the higher logit, of equal ones
 * the smaller id.  All that is above -inf and not worse than `last` stands in it, the very
 * best at least, if there is one.
 */
struct backend_shortlist {
	struct backend_candidate last; /* INT32_MAX and -inf: nothing is missing */
	float sum;                     /* Σ e^(logit - best) of the whole row */
	uint32_t n;
	struct backend_candidate best[BACKEND_SHORT_MAX]; /* [n] in any order */
};

struct backend_attention {
	float *q;                     /* [rows][n_head][dk]; scratch afterwards */
	float *k, *v;                 /* [rows][n_head_kv][dk or dv] */
	const float *q_norm, *k_norm; /* [dk] or NULL */
	float norm_eps;
	bool v_is_k; /* v is k as projected */
	bool v_in_k; /* values are the last dv numbers of the keys in the cache; v is not read */
	bool v_norm; /* RMS norm of value heads, without weights */
	bool store;  /* put k and v into the cache; false: they are there */
	bool rotate, halves;
	const float *rope; /* [rows][n_rot / 2][cos, sin] */
	uint32_t n_rot;
	float temp_scale; /* queries grow by temp_scale * ln(1 + pos / temp_step) */
	uint32_t temp_step;
	uint32_t n_head, n_head_kv, dk, dv;
	enum backend_cache type;
	/* Of sequence 0 and KV head 0, by position (a ring of `cells`): [cells][dk], [cells][dv].
	 * Q8_0: each position's numbers are followed by their F16 scales, [dk / 32]. */
	uint8_t *keys, *values;
	uint64_t keys_head, keys_seq, values_head, values_seq; /* bytes from one to the next */
	uint32_t cells, window;                                /* window 0: all is seen */
	float scale, softcap;                                  /* softcap 0: none */
	const float *sinks;                                    /* [n_head] or NULL */
	struct backend_acts out;                               /* [rows][n_head * dv] */
};

/* A network of experts for all rows of a pass: x += Σ weight · expert(in). */
struct backend_experts {
	const float *scores; /* [rows][n_expert] of the router */
	uint32_t n_expert, n_used, n_group, n_group_used;
	uint32_t gating; /* enum moe_gating */
	bool norm;
	float scale;
	const float *choice_bias; /* [n_expert] or NULL */
	enum backend_activation activation;
	const float *gelu; /* table of half floats, with BACKEND_GELU_GATED */
	uint32_t n, n_ff;
	struct backend_matrix gate, up, down; /* [n_expert][n_ff][n], [n_expert][n][n_ff] */
	uint64_t up_height; /* rows of one expert in gate and up: n_ff, or twice it where
			     * gate and up are one matrix, gate first */
	bool gated;
	const float *gate_bias, *up_bias, *down_bias; /* [n_expert][n_ff or n] or NULL */
	struct backend_acts in;                       /* [rows][n] */
	float *x;                                     /* [rows][n] */
};

#define BACKEND_COPIES 4u /* in one call */

/* Parts of rows: item j of row i is the `n` numbers from i * row + j * item on. */
struct backend_copy {
	const float *from;
	uint64_t from_row, from_item;
	float *to;
	uint64_t to_row, to_item;
	uint32_t items, n;
};

/* RMS norms of parts of rows. */
struct backend_norms {
	const float *x; /* by x_row and x_item, as above */
	uint64_t x_row, x_item;
	uint32_t items, n;
	const float *weight; /* [weights][n]: item j takes that of j % weights */
	uint32_t weights;
	float eps;
	const float *gate;       /* [rows][items][n]: times silu of it behind the norm; or NULL */
	float *to;               /* [rows][items][n], may be x */
	struct backend_acts out; /* forms of rows of items * n */
};

/* to = keep * to + σ(gate) * times * from, rows of `n`. */
struct backend_blend {
	float *to;
	float keep;        /* 0: what stands there is not read */
	const float *from; /* NULL: zeros */
	float times;
	const float *gate; /* [rows] or NULL: 1 */
	uint32_t n;
};

/*
 * A recurrent layer (infer/recurrent.h).  The state of sequence s begins at
 * state + s * state_seq: the last inputs of the convolution [n_conv][n_channel], then
 * the heads' matrices [n_head][n_state][head_dim].
 */
struct backend_recurrent {
	float *in; /* [rows][n_channel], convolved in place */
	float *state;
	uint64_t state_seq; /* numbers */
	uint32_t n_conv, n_channel, n_head, head_dim, n_group, n_state;
	const float *conv;      /* [n_channel][n_conv + 1] */
	const float *conv_bias; /* [n_channel] or NULL */
	bool delta;             /* the gated delta rule: in is q, k, v; else Mamba-2: x, B, C */
	bool tiled; /* head h has key head h mod n_group; else those of a group are neighbours */
	const float *a, *dt, *d;   /* [n_head]; d: Mamba-2 alone */
	const float *alpha, *beta; /* [rows][n_head]; beta: delta alone */
	float *rates;              /* [rows][n_head][2] scratch */
	const float *z;            /* [rows][n_head][head_dim]: Mamba-2 alone, times silu */
	float eps;                 /* of the lengths of q and k */
	float *out;                /* [rows][n_head][head_dim] */
};

/* Layer norms of sums of rows. */
struct backend_layer_norm {
	const float *x, *more;      /* [rows][n]; more may be NULL */
	const float *each;          /* [n] added to every row, or NULL */
	const float *weight, *bias; /* [n]; bias may be NULL */
	uint32_t n;
	float eps;
	float *to; /* [rows][n], may be x or more */
	struct backend_acts out;
};

/* Attention over whole texts, both ways; a text's rows begin at position 0. */
struct backend_texts {
	float *q, *k;   /* [rows][n_head][dim], rotated in place */
	const float *v; /* the same shape */
	uint32_t n_head, dim;
	uint32_t n_rot; /* 0: not rotated */
	bool halves;
	const float *rope; /* [rows][n_rot / 2][cos, sin] */
	float scale;
	float *to; /* [rows][n_head * dim] */
	struct backend_acts out;
};

/* The most that passes will ask for. */
struct backend_sizes {
	uint32_t n_rows, n_wanted; /* of a pass */
	uint32_t n_ctx, n_vocab;
	uint32_t n_head, dv;     /* attention: the most of any layer */
	uint64_t matrix_weights; /* of the largest matrix that prompt rows are multiplied with,
				  * each row rounded up to 64 */
	uint32_t n_expert, n_used, n_expert_in, n_expert_ff; /* 0: no experts */
	uint32_t n_stack;   /* matrices of the largest stack; 0: none */
	uint32_t n_layer;   /* that are computed there */
	uint32_t n_answers; /* at once; 0: nothing is rehearsed */
};

struct backend; /* one open device, for one engine */

struct backend_api {
	uint32_t abi;     /* BACKEND_ABI */
	const char *name; /* "cuda" */

	/* Device `index`.  RC_NOTFOUND: there is none. */
	enum rc (*open)(unsigned index, struct backend **out, struct errmsg *why);
	/* Wipes and gives back all that was taken. */
	void (*close)(struct backend *b);
	void (*info)(const struct backend *b, struct backend_info *out);

	/* Whether matrices of a type can be multiplied. */
	bool (*computes)(uint32_t type);
	/* Bytes that a matrix takes on the device. */
	uint64_t (*matrix_bytes)(uint32_t type, uint64_t k, uint64_t rows);
	/* Bytes that passes need beside what the caller keeps. */
	uint64_t (*work_bytes)(const struct backend_sizes *sizes);
	/* Bytes that what rehearse() keeps may take, at most. */
	uint64_t (*graph_bytes)(const struct backend_sizes *sizes);

	/* Zeroed memory, aligned to 256 bytes.  RC_NOMEM. */
	enum rc (*take)(struct backend *b, uint64_t bytes, void **out, struct errmsg *why);
	/* Take what work_bytes() says.  Once. */
	enum rc (*work)(struct backend *b, const struct backend_sizes *sizes, struct errmsg *why);
	enum rc (*upload)(
	    struct backend *b, void *to, const void *from, uint64_t bytes, struct errmsg *why);
	enum rc (*download)(
	    struct backend *b, void *to, const void *from, uint64_t bytes, struct errmsg *why);
	/* `rows` rows of a file's tensor to `to` (matrix_bytes() of it). */
	enum rc (*place)(struct backend *b, uint32_t type, uint64_t k, uint64_t rows,
	    const uint8_t *bytes, void *to, struct backend_matrix *out, struct errmsg *why);
	/* Zero bytes in order with the passes; seen to be zero after finish(). */
	enum rc (*wipe)(struct backend *b, void *at, uint64_t bytes, struct errmsg *why);
	enum rc (*finish)(struct backend *b, struct errmsg *why);
	/* Zero, in the same order, what passes left in memory that the caller does not see. */
	enum rc (*forget)(struct backend *b, struct errmsg *why);

	/* Memory of the host for logits, [n_wanted][n_vocab]: what goes there is not copied
	 * once more.  The backend's own, until close(); forget() wipes it. */
	float *(*host_logits)(struct backend *b);

	/* A pass.  Its wanted rows are kept from place `first` of n_wanted on.  *replayed: all
	 * of it, as it was in another pass of this shape, has been put into the queue; only
	 * end() is left to be called. */
	enum rc (*begin)(struct backend *b, enum backend_class class_,
	    const struct backend_row *rows, uint32_t n_rows, uint32_t first, bool *replayed,
	    struct errmsg *why);
	/* Before the first pass, in place of begin(): an answer pass of this shape, up to
	 * these positions, will come.  Nothing is computed, end() then keeps what was put into
	 * the queue, as long as graph_bytes() have room for it.  *known: it is kept already or
	 * will not be; end() is not to be called. */
	enum rc (*rehearse)(struct backend *b, const struct backend_row *rows, uint32_t n_rows,
	    uint32_t first, bool *known, struct errmsg *why);
	/* `logits` (may be NULL): [wanted rows][n_vocab] in host memory. */
	enum rc (*end)(struct backend *b, float *logits, struct errmsg *why);
	/* What passes left at a place, until another is computed there: its shortlist, in
	 * memory of the host; its logits, [n_vocab]. */
	const struct backend_shortlist *(*shortlist)(struct backend *b, uint32_t place);
	enum rc (*fetch)(struct backend *b, uint32_t place, float *logits, struct errmsg *why);

	void (*embed)(struct backend *b, const struct backend_matrix *m, float scale, float *x);
	/* out[row] = cos and sin of freqs [n_rot / 2] at each row's position. */
	void (*rotations)(
	    struct backend *b, const double *freqs, uint32_t n_rot, double magnitude, float *out);
	/* out = x * weight / rms(x); weight NULL: none; `wanted`: of the rows that want logits. */
	void (*norm)(struct backend *b, const float *x, const float *weight, uint32_t n, float eps,
	    bool wanted, const struct backend_acts *out);
	/* x += from * weight / rms(from) */
	void (*norm_add)(struct backend *b, const float *from, const float *weight, uint32_t n,
	    float eps, float *x);
	/* `n` matrices of one row length times `in`; all of the pass's rows. */
	void (*matmul)(struct backend *b, const struct backend_product *products, uint32_t n,
	    const struct backend_acts *in);
	/* out = act(gate · in) * (up · in) */
	void (*gated)(struct backend *b, const struct backend_matrix *gate,
	    const struct backend_matrix *up, enum backend_activation kind, const float *gelu,
	    const struct backend_acts *in, float *gate_scratch, float *up_scratch,
	    const struct backend_acts *out);
	void (*attention)(struct backend *b, const struct backend_attention *a);
	void (*experts)(struct backend *b, const struct backend_experts *e);
	/* Forms of rows of `n` as they stand in `from`, `times` as many as the pass has. */
	void (*forms)(struct backend *b, const float *from, uint32_t n, uint32_t times,
	    const struct backend_acts *out);
	/* `n` at once, at most BACKEND_COPIES; none reads what another writes. */
	void (*copy)(struct backend *b, const struct backend_copy *copies, uint32_t n);
	void (*norms)(struct backend *b, const struct backend_norms *n);
	void (*blend)(struct backend *b, const struct backend_blend *m);
	/* Forms of act(gate) * up, rows of `n`; `gate` is NULL where the kind has none, `up` is
	 * scratch afterwards. */
	void (*activate)(struct backend *b, enum backend_activation kind, const float *gelu,
	    const float *gate, float *up, uint32_t n, const struct backend_acts *out);
	/* Matrix s of a stack of `n`, each m->rows / n high, times rows of its own:
	 * in [n][rows][k], out [n][rows][m->rows / n]. */
	void (*stacked)(struct backend *b, const struct backend_matrix *m, uint32_t n,
	    const struct backend_acts *in, float *out);
	/* x = the matrix's row of each row's position. */
	void (*positions)(struct backend *b, const struct backend_matrix *m, float *x);
	void (*layer_norm)(struct backend *b, const struct backend_layer_norm *n);
	void (*texts)(struct backend *b, const struct backend_texts *t);
	/* r->in = silu(causal convolution of r->in), the state's inputs moving on. */
	void (*convolve)(struct backend *b, const struct backend_recurrent *r);
	/* r->out = what the heads' matrices give, which every row updates. */
	void (*recur)(struct backend *b, const struct backend_recurrent *r);
	/* Logits and shortlists of the wanted rows: output · in, in being those rows alone. */
	void (*logits)(struct backend *b, const struct backend_product *output, float softcap,
	    const struct backend_acts *in);

	/* What the device can do: bytes read, and f16 products on its tensor units, a second. */
	enum rc (*measure)(
	    struct backend *b, double *read_bytes_s, double *tensor_flops_s, struct errmsg *why);
};

/* The one exported symbol. */
typedef const struct backend_api *backend_entry_fn(void);

#ifdef __cplusplus
}
#endif

#endif
