/* Families with experts and with state, and what turns a family into a file. */
#include "family_build.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What every file begins with: two layers of 64, 6 heads of 32 on 2. */
#define SIZES(layers)                                                                              \
	{ "context_length", 'u', FAMILY_CTX, NULL }, { "embedding_length", 'u', 64, NULL },        \
	    { "block_count", 'u', layers, NULL },                                                  \
	{                                                                                          \
		"attention.layer_norm_rms_epsilon", 'f', 1e-6, NULL                                \
	}

#define HEADS                                                                                      \
	{ "attention.head_count", 'u', 6, NULL }, { "attention.head_count_kv", 'u', 2, NULL },     \
	    { "attention.key_length", 'u', 32, NULL },                                             \
	{                                                                                          \
		"attention.value_length", 'u', 32, NULL                                            \
	}

#define EXPERTS(n, used)                                                                           \
	{ "expert_count", 'u', n, NULL }, { "expert_used_count", 'u', used, NULL },                \
	{                                                                                          \
		"expert_feed_forward_length", 'u', 96, NULL                                        \
	}

#define ATTENTION(il)                                                                              \
	{ "blk." il ".attn_norm.weight", FAMILY_NORM, 64, 0, 0 },                                  \
	    { "blk." il ".attn_q.weight", FAMILY_MATRIX, 64, 192, 0 },                             \
	    { "blk." il ".attn_k.weight", FAMILY_MATRIX, 64, 64, 0 },                              \
	    { "blk." il ".attn_v.weight", FAMILY_MATRIX, 64, 64, 0 },                              \
	{                                                                                          \
		"blk." il ".attn_output.weight", FAMILY_MATRIX, 192, 64, 0                         \
	}

#define HEAD_NORMS(il)                                                                             \
	{ "blk." il ".attn_q_norm.weight", FAMILY_NORM, 32, 0, 0 },                                \
	{                                                                                          \
		"blk." il ".attn_k_norm.weight", FAMILY_NORM, 32, 0, 0                             \
	}

#define ROUTED(il, n)                                                                              \
	{ "blk." il ".ffn_gate_inp.weight", FAMILY_FLOAT, 64, n, 0 },                              \
	    { "blk." il ".ffn_gate_exps.weight", FAMILY_MATRIX, 64, 96, n },                       \
	    { "blk." il ".ffn_up_exps.weight", FAMILY_MATRIX, 64, 96, n },                         \
	{                                                                                          \
		"blk." il ".ffn_down_exps.weight", FAMILY_MATRIX, 96, 64, n                        \
	}

#define FFN_NORM(il)                                                                               \
	{                                                                                          \
		"blk." il ".ffn_norm.weight", FAMILY_NORM, 64, 0, 0                                \
	}

#define POST_NORM(il)                                                                              \
	{                                                                                          \
		"blk." il ".post_attention_norm.weight", FAMILY_NORM, 64, 0, 0                     \
	}

#define QKV_BIASES(il)                                                                             \
	{ "blk." il ".attn_q.bias", FAMILY_BIAS, 192, 0, 0 },                                      \
	    { "blk." il ".attn_k.bias", FAMILY_BIAS, 64, 0, 0 },                                   \
	{                                                                                          \
		"blk." il ".attn_v.bias", FAMILY_BIAS, 64, 0, 0                                    \
	}

#define OSS_BIASES(il)                                                                             \
	{ "blk." il ".attn_q.bias", FAMILY_NEED, 192, 0, 0 },                                      \
	    { "blk." il ".attn_k.bias", FAMILY_NEED, 64, 0, 0 },                                   \
	    { "blk." il ".attn_v.bias", FAMILY_NEED, 64, 0, 0 },                                   \
	    { "blk." il ".attn_output.bias", FAMILY_NEED, 64, 0, 0 },                              \
	    { "blk." il ".attn_sinks.weight", FAMILY_NEED, 6, 0, 0 },                              \
	    { "blk." il ".ffn_gate_inp.bias", FAMILY_NEED, 6, 0, 0 },                              \
	    { "blk." il ".ffn_gate_exps.bias", FAMILY_NEED, 96, 6, 0 },                            \
	    { "blk." il ".ffn_up_exps.bias", FAMILY_NEED, 96, 6, 0 },                              \
	{                                                                                          \
		"blk." il ".ffn_down_exps.bias", FAMILY_NEED, 64, 6, 0                             \
	}

#define SHARED(il, n)                                                                              \
	{ "blk." il ".ffn_gate_shexp.weight", FAMILY_MATRIX, 64, n, 0 },                           \
	    { "blk." il ".ffn_up_shexp.weight", FAMILY_MATRIX, 64, n, 0 },                         \
	{                                                                                          \
		"blk." il ".ffn_down_shexp.weight", FAMILY_MATRIX, n, 64, 0                        \
	}

/* 6 value heads of 32 on 2 key heads of 20: 80 + 192 channels. */
#define DELTA_KEYS                                                                                 \
	{ "ssm.conv_kernel", 'u', 4, NULL }, { "ssm.inner_size", 'u', 192, NULL },                 \
	    { "ssm.state_size", 'u', 20, NULL }, { "ssm.time_step_rank", 'u', 6, NULL },           \
	{                                                                                          \
		"ssm.group_count", 'u', 2, NULL                                                    \
	}

#define DELTA_LAYER(il)                                                                            \
	{ "blk." il ".attn_norm.weight", FAMILY_NORM, 64, 0, 0 },                                  \
	    { "blk." il ".ssm_conv1d.weight", FAMILY_NEED, 4, 272, 0 },                            \
	    { "blk." il ".ssm_a", FAMILY_NEED, 6, 0, 0 },                                          \
	    { "blk." il ".ssm_dt.bias", FAMILY_NEED, 6, 0, 0 },                                    \
	    { "blk." il ".ssm_norm.weight", FAMILY_NORM, 32, 0, 0 },                               \
	{                                                                                          \
		"blk." il ".ssm_out.weight", FAMILY_MATRIX, 192, 64, 0                             \
	}

#define DELTA_PARTS(il)                                                                            \
	{ "blk." il ".attn_qkv.weight", FAMILY_MATRIX, 64, 272, 0 },                               \
	    { "blk." il ".attn_gate.weight", FAMILY_MATRIX, 64, 192, 0 },                          \
	    { "blk." il ".ssm_beta.weight", FAMILY_FLOAT, 64, 6, 0 },                              \
	{                                                                                          \
		"blk." il ".ssm_alpha.weight", FAMILY_FLOAT, 64, 6, 0                              \
	}

#define DELTA_WHOLE(il)                                                                            \
	{ "blk." il ".ssm_in.weight", FAMILY_EITHER, 64, 464, 0 },                                 \
	{                                                                                          \
		"blk." il ".ssm_ba.weight", FAMILY_EITHER, 64, 12, 0                               \
	}

#define GATED_ATTENTION(il)                                                                        \
	{ "blk." il ".attn_norm.weight", FAMILY_NORM, 64, 0, 0 },                                  \
	    { "blk." il ".attn_q.weight", FAMILY_MATRIX, 64, 384, 0 },                             \
	    { "blk." il ".attn_k.weight", FAMILY_MATRIX, 64, 64, 0 },                              \
	    { "blk." il ".attn_v.weight", FAMILY_MATRIX, 64, 64, 0 },                              \
	    { "blk." il ".attn_output.weight", FAMILY_MATRIX, 192, 64, 0 }, HEAD_NORMS(il)

#define DENSE(il)                                                                                  \
	POST_NORM(il), { "blk." il ".ffn_gate.weight", FAMILY_MATRIX, 64, 96, 0 },                 \
	    { "blk." il ".ffn_up.weight", FAMILY_MATRIX, 64, 96, 0 },                              \
	{                                                                                          \
		"blk." il ".ffn_down.weight", FAMILY_MATRIX, 96, 64, 0                             \
	}

#define MERGED(il, n)                                                                              \
	POST_NORM(il), { "blk." il ".ffn_gate_inp.weight", FAMILY_FLOAT, 64, n, 0 },               \
	    { "blk." il ".ffn_gate_up_exps.weight", FAMILY_EITHER, 64, 192, n },                   \
	    { "blk." il ".ffn_down_exps.weight", FAMILY_MATRIX, 96, 64, n }, SHARED(il, 96),       \
	{                                                                                          \
		"blk." il ".ffn_gate_inp_shexp.weight", FAMILY_FLOAT, 64, 0, 0                     \
	}

/* 6 heads: keys of 32 and 8 that are rotated, values of 32, a latent of 64. */
#define LATENT_KEYS                                                                                \
	{ "attention.head_count", 'u', 6, NULL }, { "attention.q_lora_rank", 'u', 96, NULL },      \
	    { "attention.kv_lora_rank", 'u', 64, NULL }, { "rope.dimension_count", 'u', 8, NULL }, \
	    { "feed_forward_length", 'u', 160, NULL }, { "expert_shared_count", 'u', 1, NULL },    \
	    { "rope.scaling.type", 's', 0, "yarn" }, { "rope.scaling.factor", 'f', 4, NULL },      \
	    { "rope.scaling.yarn_log_multiplier", 'f', 0.0707, NULL },                             \
	{                                                                                          \
		"rope.scaling.original_context_length", 'u', 16, NULL                              \
	}

#define LATENT(il)                                                                                 \
	{ "blk." il ".attn_norm.weight", FAMILY_NORM, 64, 0, 0 },                                  \
	    { "blk." il ".attn_q_a.weight", FAMILY_MATRIX, 64, 96, 0 },                            \
	    { "blk." il ".attn_q_a_norm.weight", FAMILY_NORM, 96, 0, 0 },                          \
	    { "blk." il ".attn_q_b.weight", FAMILY_MATRIX, 96, 240, 0 },                           \
	    { "blk." il ".attn_kv_a_mqa.weight", FAMILY_MATRIX, 64, 72, 0 },                       \
	    { "blk." il ".attn_kv_a_norm.weight", FAMILY_NORM, 64, 0, 0 },                         \
	{                                                                                          \
		"blk." il ".attn_output.weight", FAMILY_MATRIX, 192, 64, 0                         \
	}

#define LATENT_SPLIT(il)                                                                           \
	{ "blk." il ".attn_k_b.weight", FAMILY_MATRIX, 32, 64, 6 },                                \
	{                                                                                          \
		"blk." il ".attn_v_b.weight", FAMILY_MATRIX, 64, 32, 6                             \
	}

#define PLAIN(il)                                                                                  \
	{ "blk." il ".ffn_gate.weight", FAMILY_MATRIX, 64, 160, 0 },                               \
	    { "blk." il ".ffn_up.weight", FAMILY_MATRIX, 64, 160, 0 },                             \
	{                                                                                          \
		"blk." il ".ffn_down.weight", FAMILY_MATRIX, 160, 64, 0                            \
	}

/* Mamba-2, attention, network. */
#define KINDS                                                                                      \
	{ "attention.head_count", 'a', 0, "0,6,0" },                                               \
	    { "attention.head_count_kv", 'a', 0, "0,2,0" },                                        \
	    { "feed_forward_length", 'a', 0, "0,0,96" },                                           \
	    { "attention.key_length", 'u', 32, NULL },                                             \
	{                                                                                          \
		"attention.value_length", 'u', 32, NULL                                            \
	}

#define NARROW_KEYS                                                                                \
	{ "expert_shared_count", 'u', 1, NULL }, { "expert_weights_norm", 'b', 1, NULL },          \
	    { "expert_shared_feed_forward_length", 'u', 160, NULL },                               \
	{                                                                                          \
		"expert_weights_scale", 'f', 2.5, NULL                                             \
	}

#define ONE_NORM(il)                                                                               \
	{                                                                                          \
		"blk." il ".attn_norm.weight", FAMILY_NORM, 64, 0, 0                               \
	}

/* 6 heads of 32 in 2 groups, states of 20. */
#define MAMBA(il)                                                                                  \
	ONE_NORM(il), { "blk." il ".ssm_in.weight", FAMILY_MATRIX, 64, 470, 0 },                   \
	    { "blk." il ".ssm_conv1d.weight", FAMILY_NEED, 4, 272, 0 },                            \
	    { "blk." il ".ssm_conv1d.bias", FAMILY_BIAS, 272, 0, 0 },                              \
	    { "blk." il ".ssm_a", FAMILY_NEED, 1, 6, 0 },                                          \
	    { "blk." il ".ssm_d", FAMILY_NEED, 1, 6, 0 },                                          \
	    { "blk." il ".ssm_dt.bias", FAMILY_NEED, 6, 0, 0 },                                    \
	    { "blk." il ".ssm_norm.weight", FAMILY_NORM, 96, 2, 0 },                               \
	{                                                                                          \
		"blk." il ".ssm_out.weight", FAMILY_MATRIX, 192, 64, 0                             \
	}

#define RELU_EXPERTS(il, n)                                                                        \
	ONE_NORM(il), { "blk." il ".ffn_gate_inp.weight", FAMILY_FLOAT, 64, 6, 0 },                \
	    { "blk." il ".exp_probs_b.bias", FAMILY_BIAS, 6, 0, 0 },                               \
	    { "blk." il ".ffn_up_exps.weight", FAMILY_MATRIX, n, 96, 6 },                          \
	    { "blk." il ".ffn_down_exps.weight", FAMILY_MATRIX, 96, n, 6 },                        \
	    { "blk." il ".ffn_up_shexp.weight", FAMILY_MATRIX, 64, 160, 0 },                       \
	{                                                                                          \
		"blk." il ".ffn_down_shexp.weight", FAMILY_MATRIX, 160, 64, 0                      \
	}

#define NARROW(il, n)                                                                              \
	RELU_EXPERTS(il, n), { "blk." il ".ffn_latent_down.weight", FAMILY_MATRIX, 64, n, 0 },     \
	{                                                                                          \
		"blk." il ".ffn_latent_up.weight", FAMILY_MATRIX, n, 64, 0                         \
	}

const struct family family_table[] = {
	{ .name = "Mixtral",
	    .arch = "llama",
	    .keys = { SIZES(2), HEADS, EXPERTS(5, 2) },
	    .tensors = { ATTENTION("0"), FFN_NORM("0"), ROUTED("0", 5), ATTENTION("1"),
		FFN_NORM("1"), ROUTED("1", 5) } },
	{ .name = "qwen3moe",
	    .arch = "qwen3moe",
	    .keys = { SIZES(1), HEADS, EXPERTS(12, 3) },
	    .tensors = { ATTENTION("0"), HEAD_NORMS("0"), FFN_NORM("0"), ROUTED("0", 12) } },
	{ .name = "glm4moe",
	    .arch = "glm4moe",
	    .keys = { SIZES(3), HEADS, EXPERTS(6, 2), { "feed_forward_length", 'u', 160, NULL },
		{ "rope.dimension_count", 'u', 16, NULL },
		{ "leading_dense_block_count", 'u', 1, NULL },
		{ "nextn_predict_layers", 'u', 1, NULL }, { "expert_shared_count", 'u', 2, NULL },
		{ "expert_weights_norm", 'b', 1, NULL },
		{ "expert_weights_scale", 'f', 1.5, NULL } },
	    .tensors = { ATTENTION("0"), POST_NORM("0"), QKV_BIASES("0"),
		{ "blk.0.ffn_gate.weight", FAMILY_MATRIX, 64, 160, 0 },
		{ "blk.0.ffn_up.weight", FAMILY_MATRIX, 64, 160, 0 },
		{ "blk.0.ffn_down.weight", FAMILY_MATRIX, 160, 64, 0 }, ATTENTION("1"),
		POST_NORM("1"), ROUTED("1", 6), SHARED("1", 192),
		{ "blk.1.exp_probs_b.bias", FAMILY_BIAS, 6, 0, 0 } } },
	{ .name = "gpt-oss",
	    .arch = "gpt-oss",
	    .keys = { SIZES(2), HEADS, EXPERTS(6, 2), { "attention.sliding_window", 'u', 5, NULL },
		{ "rope.scaling.type", 's', 0, "yarn" }, { "rope.scaling.factor", 'f', 4, NULL },
		{ "rope.scaling.original_context_length", 'u', 16, NULL } },
	    .tensors = { ATTENTION("0"), POST_NORM("0"), ROUTED("0", 6), OSS_BIASES("0"),
		ATTENTION("1"), POST_NORM("1"), ROUTED("1", 6), OSS_BIASES("1") } },
	{ .name = "qwen35",
	    .arch = "qwen35",
	    .recurrent = true,
	    .keys = { SIZES(3), HEADS, { "feed_forward_length", 'u', 96, NULL }, DELTA_KEYS,
		{ "rope.dimension_count", 'u', 8, NULL },
		{ "attention.recurrent_layers", 'a', 0, "1,0,1" } },
	    .tensors = { DELTA_LAYER("0"), DELTA_PARTS("0"), DENSE("0"), GATED_ATTENTION("1"),
		DENSE("1"), DELTA_LAYER("2"), DELTA_PARTS("2"), DENSE("2") } },
	{ .name = "qwen35moe",
	    .arch = "qwen35moe",
	    .recurrent = true,
	    .keys = { SIZES(2), HEADS, EXPERTS(7, 3), DELTA_KEYS,
		{ "full_attention_interval", 'u', 2, NULL } },
	    .tensors = { DELTA_LAYER("0"), DELTA_PARTS("0"), MERGED("0", 7), GATED_ATTENTION("1"),
		MERGED("1", 7) } },
	{ .name = "qwen3next",
	    .arch = "qwen3next",
	    .recurrent = true,
	    .keys = { SIZES(2), HEADS, EXPERTS(7, 3), DELTA_KEYS,
		{ "full_attention_interval", 'u', 2, NULL } },
	    .tensors = { DELTA_LAYER("0"), DELTA_WHOLE("0"), MERGED("0", 7), GATED_ATTENTION("1"),
		MERGED("1", 7) } },
	{ .name = "qwen3next in parts",
	    .arch = "qwen3next",
	    .recurrent = true,
	    .keys = { SIZES(2), HEADS, EXPERTS(7, 3), DELTA_KEYS,
		{ "full_attention_interval", 'u', 2, NULL } },
	    .tensors = { DELTA_LAYER("0"), DELTA_PARTS("0"), MERGED("0", 7), GATED_ATTENTION("1"),
		MERGED("1", 7) } },
	{ .name = "deepseek2",
	    .arch = "deepseek2",
	    .keys = { SIZES(2), EXPERTS(12, 3), LATENT_KEYS,
		{ "attention.head_count_kv", 'u', 1, NULL },
		{ "attention.key_length", 'u', 72, NULL },
		{ "attention.value_length", 'u', 64, NULL },
		{ "attention.key_length_mla", 'u', 40, NULL },
		{ "attention.value_length_mla", 'u', 32, NULL },
		{ "leading_dense_block_count", 'u', 1, NULL },
		{ "expert_group_count", 'u', 4, NULL }, { "expert_group_used_count", 'u', 2, NULL },
		{ "expert_gating_func", 'u', 2, NULL }, { "expert_weights_norm", 'b', 1, NULL },
		{ "expert_weights_scale", 'f', 2.5, NULL } },
	    .tensors = { LATENT("0"), LATENT_SPLIT("0"), FFN_NORM("0"), PLAIN("0"), LATENT("1"),
		LATENT_SPLIT("1"), FFN_NORM("1"), ROUTED("1", 12), SHARED("1", 96),
		{ "blk.1.exp_probs_b.bias", FAMILY_BIAS, 12, 0, 0 } } },
	{ .name = "deepseek2 unsplit",
	    .arch = "deepseek2",
	    .keys = { SIZES(1), EXPERTS(6, 2), LATENT_KEYS,
		{ "attention.head_count_kv", 'u', 6, NULL },
		{ "attention.key_length", 'u', 40, NULL },
		{ "attention.value_length", 'u', 32, NULL } },
	    .tensors = { LATENT("0"), { "blk.0.attn_kv_b.weight", FAMILY_MATRIX, 64, 384, 0 },
		FFN_NORM("0"), ROUTED("0", 6), SHARED("0", 96) } },
	{ .name = "deepseek2 split",
	    .arch = "deepseek2",
	    .keys = { SIZES(1), EXPERTS(6, 2), LATENT_KEYS,
		{ "attention.head_count_kv", 'u', 1, NULL },
		{ "attention.key_length", 'u', 72, NULL },
		{ "attention.value_length", 'u', 64, NULL },
		{ "attention.key_length_mla", 'u', 40, NULL },
		{ "attention.value_length_mla", 'u', 32, NULL } },
	    .tensors = { LATENT("0"), LATENT_SPLIT("0"), FFN_NORM("0"), ROUTED("0", 6),
		SHARED("0", 96) } },
	{ .name = "nemotron_h",
	    .arch = "nemotron_h",
	    .recurrent = true,
	    .keys = { SIZES(3), KINDS, DELTA_KEYS },
	    .tensors = { MAMBA("0"), ATTENTION("1"), ONE_NORM("2"),
		{ "blk.2.ffn_up.weight", FAMILY_MATRIX, 64, 96, 0 },
		{ "blk.2.ffn_down.weight", FAMILY_MATRIX, 96, 64, 0 } } },
	{ .name = "nemotron_h_moe",
	    .arch = "nemotron_h_moe",
	    .recurrent = true,
	    .keys = { SIZES(3), KINDS, DELTA_KEYS, EXPERTS(6, 2), NARROW_KEYS,
		{ "moe_latent_size", 'u', 32, NULL } },
	    .tensors = { MAMBA("0"), ATTENTION("1"), NARROW("2", 32) } },
	{ .name = "nemotron_h_moe as wide",
	    .arch = "nemotron_h_moe",
	    .recurrent = true,
	    .keys = { SIZES(3), KINDS, DELTA_KEYS, EXPERTS(6, 2), NARROW_KEYS,
		{ "moe_latent_size", 'u', 64, NULL } },
	    .tensors = { MAMBA("0"), ATTENTION("1"), NARROW("2", 64) } },
	{ .name = "nemotron_h_moe in the stream",
	    .arch = "nemotron_h_moe",
	    .recurrent = true,
	    .keys = { SIZES(3), KINDS, DELTA_KEYS, EXPERTS(6, 2), NARROW_KEYS },
	    .tensors = { MAMBA("0"), ATTENTION("1"), RELU_EXPERTS("2", 64) } },
	{ 0 },
};

const struct family *family_next(const struct family *f)
{
	const struct family *next = f == NULL ? family_table : f + 1;
	bool dense = false;

	for (const struct family *d = family_dense; d->name != NULL; d++)
		dense = dense || d == f;
	if (next->name == NULL && !dense)
		next = family_dense;
	return next->name != NULL ? next : NULL;
}

static void put_key(struct gguf_build *b, const char *arch, const struct family_key *key)
{
	char name[128];
	int32_t items[16];
	size_t n = 0;

	(void)snprintf(name, sizeof(name), "%s.%s", arch, key->name);
	switch (key->type) {
	case 'u':
		gguf_build_u32(b, name, (uint32_t)key->value);
		return;
	case 'f':
		gguf_build_f32(b, name, (float)key->value);
		return;
	case 'b':
		gguf_build_bool(b, name, key->value != 0);
		return;
	case 's':
		gguf_build_string(b, name, key->text);
		return;
	default:
		for (char *at = NULL, *from = (char *)(uintptr_t)key->text; n < 16; from = at + 1) {
			items[n++] = (int32_t)strtol(from, &at, 10);
			if (*at != ',')
				break;
		}
		gguf_build_i32s(b, name, items, n);
	}
}

static void put_tensor(struct gguf_build *b, const struct family_tensor *t, enum tensor_type type)
{
	bool matrix = t->kind <= FAMILY_EITHER, norm = t->kind == FAMILY_NORM;

	gguf_build_stack(b, t->name, matrix ? type : TYPE_F32, t->n, t->n_rows,
	    t->n_stack > 0 ? t->n_stack : 1, matrix || norm ? 0.1f : 0.5f, norm ? 1.0f : 0.0f);
}

void family_build(struct gguf_build *b, const struct family *f, enum tensor_type type)
{
	gguf_build_string(b, "general.architecture", f->arch);
	gguf_build_string(b, "tokenizer.ggml.model", "no_vocab");
	for (const struct family_key *key = f->keys; key->name != NULL; key++)
		put_key(b, f->arch, key);
	gguf_build_tensor(b, "token_embd.weight", type, 64, FAMILY_VOCAB, 1.0f, 0);
	gguf_build_tensor(b, "output_norm.weight", TYPE_F32, 64, 0, 0.1f, 1.0f);
	for (const struct family_tensor *t = f->tensors; t->name != NULL; t++)
		put_tensor(b, t, type);
}
