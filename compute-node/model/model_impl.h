/*
 * The inside of a model: hyperparameters, bound tensors, and the row of the
 * architecture table that knows how to run them.  For model/ and infer/ only.
 *
 * Shapes are written [rows][row length]: GGUF's dims are { row length, rows }.
 */
#ifndef MODEL_MODEL_IMPL_H
#define MODEL_MODEL_IMPL_H

#include "base/arena.h"
#include "model/gguf.h"
#include "model/model.h"
#include "model/rope.h"

#define MODEL_LAYERS_MAX 1024u
#define MODEL_HEADS_MAX 1024u
#define MODEL_HEAD_DIM_MAX 1024u
#define MODEL_EMBD_MAX (1u << 17)
#define MODEL_FF_MAX (1u << 20)
#define MODEL_VOCAB_MAX (1u << 22)
#define MODEL_CTX_MAX (1u << 26)
#define MODEL_EXPERTS_MAX 4096u
#define MODEL_STATE_MAX 4096u /* rows of a recurrent head's matrix */
#define RECURRENT_CONV_MAX 7u /* inputs that a convolution keeps */

struct worker;  /* infer/pass.h */
struct encoder; /* model/encoder.h */

struct arch {
	const char *name; /* general.architecture */
	/* Read keys, check and bind tensors; allocates in model->arena only. */
	enum rc (*bind)(struct model *model, struct errmsg *why);
	/* One ubatch, run by every thread of the crew together. */
	void (*forward)(struct worker *worker);
};

/* How a text's rows become its one vector; the numbers files use. */
enum pooling { POOLING_NONE, POOLING_MEAN, POOLING_CLS, POOLING_LAST, POOLING_RANK };

/* NULL if there is no such architecture. */
const struct arch *arch_find(struct gguf_string_view name);

/* How the queries and keys of a layer are rotated. */
enum layer_rope { LAYER_ROPE, LAYER_ROPE_LOCAL, LAYER_ROPE_NONE };

/* How scores of the router become weights (numbers as in expert_gating_func). */
enum moe_gating { MOE_SOFTMAX = 1, MOE_SIGMOID = 2, MOE_SOFTMAX_CHOSEN = 3 };

/* What a network does between its matrices. */
enum activation {
	ACT_SILU_GATED,    /* silu(gate) * up */
	ACT_CLAMPED_GATED, /* gpt-oss: bounded, gate * σ(1.702 gate) * (up + 1) */
	ACT_RELU_SQUARED,  /* max(up, 0)², no gate */
	ACT_GELU_GATED     /* gelu(gate) * up, by the model's table */
};

enum moe_shared { MOE_SHARED_NONE, MOE_SHARED_COUNTED, MOE_SHARED_SCALED };

/* Experts of the model; n_expert 0: it has none. */
struct moe {
	uint32_t n_expert, n_used, n_dense; /* n_dense: leading layers without */
	uint32_t n_ff, n_ff_shared;         /* the largest of any layer */
	uint32_t n_latent;                  /* width that experts work in; 0: that of the stream */
	uint32_t n_group, n_group_used;     /* 1: not in groups */
	enum moe_gating gating;
	bool keyed;  /* keys may say otherwise than the family about gating and norm */
	bool norm;   /* weights of a row sum to 1 */
	float scale; /* of the weights */
	enum activation activation;
	enum moe_shared shared;
	bool beside; /* a dense network works on the same rows */
};

/* Experts of one layer; matrices of all experts stand behind each other.  Gate
 * and up may be one tensor, gate first. */
struct experts {
	uint32_t n_ff, n_ff_shared;
	const struct gguf_tensor *router;       /* [n_expert][n_embd] */
	const float *router_bias;               /* [n_expert] */
	const float *choice_bias;               /* [n_expert] for the choice alone */
	const struct gguf_tensor *gate, *up;    /* [n_expert][n_ff][n_embd] */
	const struct gguf_tensor *down;         /* [n_expert][n_embd][n_ff] */
	const float *gate_bias, *up_bias;       /* [n_expert][n_ff] */
	const float *down_bias;                 /* [n_expert][n_embd] */
	const struct gguf_tensor *shared_gate;  /* [n_ff_shared][n_embd] */
	const struct gguf_tensor *shared_up;    /* the same */
	const struct gguf_tensor *shared_down;  /* [n_embd][n_ff_shared] */
	const struct gguf_tensor *shared_scale; /* [1][n_embd] */
	const struct gguf_tensor *latent_down;  /* [n_latent][n_embd] */
	const struct gguf_tensor *latent_up;    /* [n_embd][n_latent] */
	/* Beside a dense network (gemma4), all [n_embd]: of what the router reads, of
	 * what the experts read and give, of what the dense network gives. */
	const float *router_norm, *norm, *post_norm, *dense_post_norm;
};

/* Recurrent layers of the model, all of one shape; n_layer 0: it has none. */
struct recurrent {
	uint32_t n_layer;
	uint32_t n_conv;    /* inputs that the convolution keeps: its width - 1 */
	uint32_t n_channel; /* that are convolved */
	uint32_t n_head, head_dim;
	uint32_t n_group; /* key heads, or groups of heads with B and C in common */
	uint32_t n_state; /* width of keys, B and C */
	bool tiled; /* head h has key head h mod n_group; else those of a group are neighbours */
};

/* Tensors of one recurrent layer; d_inner = n_head * head_dim. */
struct mixer {
	uint32_t index;                         /* among the recurrent layers */
	const struct gguf_tensor *in;           /* [n_channel][n_embd], or all projections */
	const struct gguf_tensor *z;            /* [d_inner][n_embd] */
	const struct gguf_tensor *beta, *alpha; /* [n_head][n_embd], or one for both */
	const struct gguf_tensor *out;          /* [n_embd][d_inner] */
	const float *conv;                      /* [n_channel][n_conv + 1] */
	const float *conv_bias;                 /* [n_channel] */
	const float *a, *dt, *d;                /* [n_head] */
	const float *norm;                      /* [head_dim], or [d_inner] */
};

/* Attention through a latent vector (deepseek2). */
struct latent_sizes {
	uint32_t n_rank, n_q_rank; /* of the latent; of queries, 0: they have none */
	uint32_t n_nope, n_value;  /* of a head: what is not rotated of its key; its value */
	bool absorbed;             /* heads share key and value; else each has its own */
};

struct latent {
	const struct gguf_tensor *q_a;  /* [n_q_rank][n_embd] or NULL */
	const float *q_norm;            /* [n_q_rank] */
	const struct gguf_tensor *q_b;  /* [n_head * (n_nope + n_rot)][n_q_rank or n_embd] */
	const struct gguf_tensor *kv_a; /* [n_rank + n_rot][n_embd] */
	const float *kv_norm;           /* [n_rank] */
	const struct gguf_tensor *k_b;  /* [n_head][n_rank][n_nope] */
	const struct gguf_tensor *v_b;  /* [n_head][n_value][n_rank] */
	const struct gguf_tensor *kv_b; /* not absorbed: [n_head * (n_nope + n_value)][n_rank] */
};

/* Sizes and tensors of one layer; what a family lacks is NULL or 0. */
struct layer {
	uint32_t n_head, n_head_kv, n_ff;
	uint32_t head_dim_k, head_dim_v; /* the model's, unless bound before */
	uint32_t window;                 /* positions seen, its own among them; 0: all */
	uint32_t kv_back;                /* reads the KV of this many layers before; 0: its own */
	enum layer_rope rope;
	bool v_in_k;                 /* its values are the last head_dim_v numbers of its keys */
	bool v_norm;                 /* RMS norm of each value head, without weights */
	uint64_t keys_at, values_at; /* numbers a position that earlier layers of its reach keep */
	const float *attn_norm;      /* [n_embd] */
	const struct gguf_tensor *q; /* [n_head * head_dim_k][n_embd] */
	const struct gguf_tensor *k; /* [n_head_kv * head_dim_k][n_embd] */
	const struct gguf_tensor *v; /* [n_head_kv * head_dim_v][n_embd]; NULL: v is k */
	const struct gguf_tensor *o; /* [n_embd][n_head * head_dim_v] */
	const float *q_bias, *k_bias, *v_bias, *o_bias;
	const float *sinks;                  /* [n_head] a score without a value */
	const float *attn_post_norm;         /* [n_embd] of what attention adds */
	const float *q_norm, *k_norm;        /* [head_dim_k] of each head, before rotation */
	const float *ffn_norm;               /* [n_embd] */
	const struct gguf_tensor *gate, *up; /* [n_ff][n_embd] */
	const struct gguf_tensor *down;      /* [n_embd][n_ff] */
	const float *ffn_post_norm;          /* [n_embd] of what the network adds */
	struct experts *experts;             /* instead of gate, up and down */
	/* What the layer learns of the token itself (gemma4). */
	const struct gguf_tensor *token_gate; /* [n_per_layer][n_embd] */
	const struct gguf_tensor *token_proj; /* [n_embd][n_per_layer] */
	const float *token_post_norm;         /* [n_embd] */
	const float *out_scale;               /* [1] of the stream behind the layer */
	struct latent *latent;                /* instead of q, k and v */
	struct mixer *mixer;                  /* recurrent: instead of attention */
};

/* Numbers that a position takes in the KV cache. */
struct kv_sizes {
	uint64_t keys, values;
};

struct model {
	struct gguf *gguf;
	struct tokenizer *tokenizer;
	struct arena arena;
	const struct arch *arch;
	struct model_info info;

	uint32_t n_vocab, n_embd, n_layer, n_ctx_train;
	uint32_t n_head, n_head_kv, n_ff; /* the largest of any layer */
	uint32_t head_dim_k, head_dim_v;
	float norm_eps;
	const float *gelu;   /* table of exact_gelu_half(); NULL: gates are SiLU */
	float attn_scale;    /* of q·k */
	float attn_softcap;  /* scores = cap·tanh(scores / cap); 0: none */
	float logit_softcap; /* the same of logits */
	float embd_scale;    /* of token embeddings; 0: none */
	float temp_scale;    /* queries grow by temp_scale·ln(1 + ⌊pos / temp_step⌋) */
	uint32_t temp_step;
	struct rope rope, rope_local; /* n_rot 0: the model has none */
	struct moe moe;
	struct recurrent recurrent;
	struct latent_sizes latent;
	bool one_kind;       /* a layer is attention, recurrent or a network, not two of them */
	uint32_t n_products; /* the most that the family multiplies in one stage */
	uint64_t row_max;    /* the longest row of any matrix */
	/* Of the KV that layers keep: of all positions, and of a window's. */
	struct kv_sizes kv_full, kv_window;
	uint32_t window;  /* the widest of any layer; 0: none has one */
	unsigned forms;   /* bit 1 << enum kernel_form: what activations are needed as */
	bool *multiplied; /* [tensors of the file] bound as a matrix; NULL: none was */

	const struct gguf_tensor *token_embd; /* [n_vocab][n_embd] */
	const struct gguf_tensor *output;     /* [n_vocab][n_embd]; tied: token_embd */
	const float *output_norm;             /* [n_embd] */
	/* A token's embedding for each layer (gemma4); n_per_layer 0: none. */
	uint32_t n_per_layer;
	const struct gguf_tensor *per_layer_embd; /* [n_vocab][n_layer * n_per_layer] */
	const struct gguf_tensor *per_layer_proj; /* [n_layer * n_per_layer][n_embd] */
	const float *per_layer_norm;              /* [n_per_layer] */
	struct layer *layers;                     /* [n_layer] */
	struct encoder *encoder;                  /* NULL: a decoder */
	enum pooling pooling;                     /* not NONE: embeds */
};

#endif
