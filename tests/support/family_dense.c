/* Dense families, and gemma4 with experts beside: layers of 64, 6 heads of 32 on 2, a network
 * of 96. */
#include "family_build.h"

#define SIZES(layers)                                                                              \
	{ "context_length", 'u', FAMILY_CTX, NULL }, { "embedding_length", 'u', 64, NULL },        \
	    { "block_count", 'u', layers, NULL }, { "feed_forward_length", 'u', 96, NULL },        \
	    { "attention.head_count", 'u', 6, NULL }, { "attention.head_count_kv", 'u', 2, NULL }, \
	{                                                                                          \
		"attention.layer_norm_rms_epsilon", 'f', 1e-6, NULL                                \
	}

#define HEADS_OF(dim)                                                                              \
	{ "attention.key_length", 'u', dim, NULL },                                                \
	{                                                                                          \
		"attention.value_length", 'u', dim, NULL                                           \
	}

/* One tensor of layer `il`. */
#define T(il, name, kind, n, n_rows)                                                               \
	{                                                                                          \
		"blk." il "." name, FAMILY_##kind, n, n_rows, 0                                    \
	}

#define NORM(il, name, n) T(il, name ".weight", NORM, n, 0)
#define BIAS(il, name, n) T(il, name ".bias", BIAS, n, 0)
#define MATRIX(il, name, n, n_rows) T(il, name ".weight", MATRIX, n, n_rows)

#define QKV(il)                                                                                    \
	NORM(il, "attn_norm", 64), MATRIX(il, "attn_q", 64, 192), MATRIX(il, "attn_k", 64, 64),    \
	    MATRIX(il, "attn_v", 64, 64), MATRIX(il, "attn_output", 192, 64)
#define QKV_BIASES(il) BIAS(il, "attn_q", 192), BIAS(il, "attn_k", 64), BIAS(il, "attn_v", 64)
#define HEAD_NORMS(il) NORM(il, "attn_q_norm", 32), NORM(il, "attn_k_norm", 32)
#define FEED(il)                                                                                   \
	NORM(il, "ffn_norm", 64), MATRIX(il, "ffn_gate", 64, 96), MATRIX(il, "ffn_up", 64, 96),    \
	    MATRIX(il, "ffn_down", 96, 64)
#define FUSED_FEED(il)                                                                             \
	NORM(il, "ffn_norm", 64), MATRIX(il, "ffn_up", 64, 192), MATRIX(il, "ffn_down", 96, 64)
#define SANDWICH(il) NORM(il, "post_attention_norm", 64), NORM(il, "post_ffw_norm", 64)

#define LAYER(il) QKV(il), FEED(il)
#define PHI_LAYER(il)                                                                              \
	NORM(il, "attn_norm", 64), MATRIX(il, "attn_qkv", 64, 320), BIAS(il, "attn_qkv", 320),     \
	    MATRIX(il, "attn_output", 192, 64), FUSED_FEED(il)
#define GEMMA_LAYER(il) QKV(il), FEED(il), SANDWICH(il)

/* gemma4: 6 heads of 32 on 2 with a window, of 64 without. */
#define GEMMA4_LOCAL(il)                                                                           \
	NORM(il, "attn_norm", 64), MATRIX(il, "attn_q", 64, 192), MATRIX(il, "attn_k", 64, 64),    \
	    T(il, "attn_v.weight", BIAS, 64, 64), MATRIX(il, "attn_output", 192, 64),              \
	    HEAD_NORMS(il), FEED(il), SANDWICH(il), T(il, "layer_output_scale.weight", BIAS, 1, 0)
#define GEMMA4_FULL(il)                                                                            \
	NORM(il, "attn_norm", 64), MATRIX(il, "attn_q", 64, 384), MATRIX(il, "attn_k", 64, 128),   \
	    MATRIX(il, "attn_output", 384, 64), NORM(il, "attn_q_norm", 64),                       \
	    NORM(il, "attn_k_norm", 64), FEED(il), SANDWICH(il)
#define GEMMA4_SHARING(il)                                                                         \
	NORM(il, "attn_norm", 64), MATRIX(il, "attn_q", 64, 192),                                  \
	    MATRIX(il, "attn_output", 192, 64), NORM(il, "attn_q_norm", 32), FEED(il),             \
	    SANDWICH(il)
#define PER_LAYER(il)                                                                              \
	MATRIX(il, "inp_gate", 64, 32), MATRIX(il, "proj", 32, 64), NORM(il, "post_norm", 64)
#define BESIDE(il)                                                                                 \
	T(il, "ffn_gate_inp.weight", FLOAT, 64, 6), T(il, "ffn_gate_inp.scale", NORM, 64, 0),      \
	    NORM(il, "pre_ffw_norm_2", 64), NORM(il, "post_ffw_norm_1", 64),                       \
	    NORM(il, "post_ffw_norm_2", 64), T(il, "ffn_down_exps.scale", BIAS, 6, 0),             \
	    { "blk." il ".ffn_gate_up_exps.weight", FAMILY_EITHER, 64, 192, 6 },                   \
	{                                                                                          \
		"blk." il ".ffn_down_exps.weight", FAMILY_MATRIX, 96, 64, 6                        \
	}
#define GEMMA4_KEYS(layers, pattern)                                                               \
	SIZES(layers), HEADS_OF(64), { "attention.key_length_swa", 'u', 32, NULL },                \
	    { "attention.value_length_swa", 'u', 32, NULL },                                       \
	    { "attention.sliding_window", 'u', 5, NULL },                                          \
	    { "rope.freq_base", 'f', 1000000, NULL },                                              \
	    { "rope.dimension_count_swa", 'u', 32, NULL },                                         \
	    { "final_logit_softcapping", 'f', 30, NULL },                                          \
	{                                                                                          \
		"attention.sliding_window_pattern", 'a', 0, pattern                                \
	}

const struct family family_dense[] = {
	{ .name = "qwen2",
	    .arch = "qwen2",
	    .keys = { SIZES(2), HEADS_OF(32) },
	    .tensors = { LAYER("0"), QKV_BIASES("0"), LAYER("1"), BIAS("1", "attn_output", 64) } },
	{ .name = "qwen3",
	    .arch = "qwen3",
	    .keys = { SIZES(2), HEADS_OF(32), { "rope.scaling.type", 's', 0, "yarn" },
		{ "rope.scaling.factor", 'f', 4, NULL },
		{ "rope.scaling.original_context_length", 'u', 16, NULL } },
	    .tensors = { LAYER("0"), HEAD_NORMS("0"), LAYER("1"), HEAD_NORMS("1") } },
	{ .name = "smollm3",
	    .arch = "smollm3",
	    .keys = { SIZES(4), HEADS_OF(32) },
	    .tensors = { LAYER("0"), LAYER("1"), LAYER("2"), LAYER("3") } },
	{ .name = "mistral3",
	    .arch = "mistral3",
	    .keys = { SIZES(2), HEADS_OF(32), { "rope.scaling.type", 's', 0, "yarn" },
		{ "rope.scaling.factor", 'f', 4, NULL },
		{ "rope.scaling.original_context_length", 'u', 8, NULL },
		{ "rope.scaling.yarn_log_multiplier", 'f', 1, NULL },
		{ "attention.temperature_scale", 'f', 0.1, NULL } },
	    .tensors = { LAYER("0"), LAYER("1") } },
	{ .name = "phi3",
	    .arch = "phi3",
	    .keys = { SIZES(2), HEADS_OF(32), { "rope.dimension_count", 'u', 24, NULL },
		{ "rope.scaling.type", 's', 0, "longrope" },
		{ "rope.scaling.attn_factor", 'f', 1.19, NULL },
		{ "rope.scaling.original_context_length", 'u', 16, NULL } },
	    .tensors = { { "rope_factors_short.weight", FAMILY_NORM, 12, 0, 0 },
		{ "rope_factors_long.weight", FAMILY_NORM, 12, 0, 0 }, PHI_LAYER("0"),
		PHI_LAYER("1") } },
	{ .name = "glm4",
	    .arch = "glm4",
	    .keys = { SIZES(2), HEADS_OF(32), { "rope.dimension_count", 'u', 16, NULL } },
	    .tensors = { QKV("0"), QKV_BIASES("0"), FUSED_FEED("0"), SANDWICH("0"), QKV("1"),
		FUSED_FEED("1"), SANDWICH("1") } },
	{ .name = "gemma2",
	    .arch = "gemma2",
	    .keys = { SIZES(2), HEADS_OF(32), { "attention.sliding_window", 'u', 5, NULL } },
	    .tensors = { GEMMA_LAYER("0"), GEMMA_LAYER("1") } },
	{ .name = "gemma3",
	    .arch = "gemma3",
	    .keys = { SIZES(3), HEADS_OF(32), { "attention.sliding_window", 'u', 7, NULL },
		{ "attention.sliding_window_pattern", 'u', 3, NULL },
		{ "rope.freq_base", 'f', 1000000, NULL }, { "rope.scaling.factor", 'f', 8, NULL } },
	    .tensors = { GEMMA_LAYER("0"), HEAD_NORMS("0"), GEMMA_LAYER("1"), HEAD_NORMS("1"),
		GEMMA_LAYER("2"), HEAD_NORMS("2") } },
	{ .name = "gemma4 with inputs of layers and sharing",
	    .arch = "gemma4",
	    .keys = { GEMMA4_KEYS(3, "1,0,1"), { "attention.shared_kv_layers", 'u', 1, NULL },
		{ "embedding_length_per_layer_input", 'u', 32, NULL } },
	    .tensors = { { "rope_freqs.weight", FAMILY_NORM, 32, 0, 0 },
		{ "per_layer_token_embd.weight", FAMILY_MATRIX, 96, FAMILY_VOCAB, 0 },
		{ "per_layer_model_proj.weight", FAMILY_MATRIX, 64, 96, 0 },
		{ "per_layer_proj_norm.weight", FAMILY_NORM, 32, 0, 0 }, GEMMA4_LOCAL("0"),
		PER_LAYER("0"), GEMMA4_FULL("1"), PER_LAYER("1"), GEMMA4_SHARING("2"),
		PER_LAYER("2") } },
	{ .name = "gemma4",
	    .arch = "gemma4",
	    .keys = { GEMMA4_KEYS(2, "0,1") },
	    .tensors = { { "rope_freqs.weight", FAMILY_NORM, 32, 0, 0 }, GEMMA4_FULL("0"),
		GEMMA4_LOCAL("1") } },
	{ .name = "gemma4 with experts",
	    .arch = "gemma4",
	    .keys = { GEMMA4_KEYS(2, "1,0"), { "expert_count", 'u', 6, NULL },
		{ "expert_used_count", 'u', 2, NULL },
		{ "expert_feed_forward_length", 'u', 96, NULL } },
	    .tensors = { { "rope_freqs.weight", FAMILY_NORM, 32, 0, 0 }, GEMMA4_LOCAL("0"),
		BESIDE("0"), GEMMA4_FULL("1"), BESIDE("1") } },
	{ 0 },
};
