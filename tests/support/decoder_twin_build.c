/* Random files of the decoders' twin. */
#include <stdio.h>
#include <string.h>

#include "decoder_twin.h"

static const char *const names[] = { "llama", "gemma2", "deepseek2" };

static void put_u32(
    struct gguf_build *b, const struct decoder_twin_shape *s, const char *key, uint32_t value)
{
	char full[96];

	(void)snprintf(full, sizeof(full), "%s.%s", names[s->family], key);
	if (value != 0)
		gguf_build_u32(b, full, value);
}

static void put_keys(struct gguf_build *b, const struct decoder_twin_shape *s)
{
	const struct {
		const char *key;
		uint32_t value;
	} keys[] = {
		{ "context_length", s->n_ctx },
		{ "embedding_length", s->n_embd },
		{ "block_count", s->n_layer + s->n_next },
		{ "nextn_predict_layers", s->n_next },
		{ "feed_forward_length", s->n_ff },
		{ "attention.head_count", s->n_head },
		{ "attention.head_count_kv", s->n_head_kv },
		{ "rope.dimension_count", s->n_rot },
		{ "attention.sliding_window", s->window },
		{ "expert_count", s->n_expert },
		{ "expert_used_count", s->n_used },
		{ "expert_feed_forward_length", s->n_ff_expert },
		{ "expert_shared_count", s->n_shared },
		{ "expert_group_count", s->n_group },
		{ "expert_group_used_count", s->n_group_used },
		{ "leading_dense_block_count", s->n_dense },
		{ "attention.q_lora_rank", s->n_q_rank },
		{ "attention.kv_lora_rank", s->n_rank },
	};
	bool latent = s->family == TWIN_DEEPSEEK2;
	char eps[96];

	gguf_build_string(b, "general.architecture", names[s->family]);
	gguf_build_string(b, "tokenizer.ggml.model", "no_vocab");
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		put_u32(b, s, keys[i].key, keys[i].value);
	(void)snprintf(eps, sizeof(eps), "%s.attention.layer_norm_rms_epsilon", names[s->family]);
	gguf_build_f32(b, eps, 1e-6f);
	put_u32(b, s, "attention.key_length", latent ? s->n_rank + s->n_rot : s->n_dim);
	put_u32(b, s, "attention.value_length", latent ? s->n_rank : s->n_dim);
	if (!latent)
		return;
	put_u32(b, s, "attention.key_length_mla", s->n_nope + s->n_rot);
	put_u32(b, s, "attention.value_length_mla", s->n_dim);
	put_u32(b, s, "expert_gating_func", s->sigmoid ? 2 : 1);
	gguf_build_bool(b, "deepseek2.expert_weights_norm", s->norm);
	gguf_build_f32(b, "deepseek2.expert_weights_scale", s->scale);
}

/* Random bytes as scales of NVFP4 would reach far: keep those below 2^-5. */
static void calm_scales(struct gguf_build *b, uint64_t n_bytes)
{
	size_t block = type_info(TYPE_NVFP4)->block_bytes;

	for (uint8_t *at = b->data.bytes + b->data.len - n_bytes; at < b->data.bytes + b->data.len;
	     at += block) {
		for (size_t i = 0; i < 4; i++)
			at[i] = (uint8_t)(at[i] % 16);
	}
}

static void put_matrix(struct gguf_build *b, const struct decoder_twin_shape *s, const char *name,
    uint64_t n, uint64_t n_rows, uint64_t n_stack)
{
	enum tensor_type type = strstr(name, "gate_inp") != NULL ? TYPE_F32 : s->type;
	char full[64];

	(void)snprintf(full, sizeof(full), "%s.weight", name);
	gguf_build_stack(b, full, type, n, n_rows, n_stack, type == TYPE_Q8_0 ? 0.005f : 0.3f, 0);
	if (type == TYPE_NVFP4)
		calm_scales(b, type_row_bytes(type, (size_t)n) * n_rows * n_stack);
	(void)snprintf(full, sizeof(full), "%s.scale", name);
	if (s->factors) /* one number for some stacks */
		gguf_build_tensor(
		    b, full, TYPE_F32, strstr(name, "up") != NULL ? 1 : n_stack, 0, 0.4f, 0.8f);
}

struct tensor {
	const char *name;
	uint64_t n, n_rows, n_stack; /* n_rows 0: a norm or bias */
	bool in;
};

static void put_tensors(struct gguf_build *b, const struct decoder_twin_shape *s, uint32_t il,
    const struct tensor *tensors, size_t n)
{
	char name[64];

	for (size_t i = 0; i < n; i++) {
		const struct tensor *t = &tensors[i];
		bool norm = strstr(t->name, "norm") != NULL;

		if (!t->in)
			continue;
		(void)snprintf(name, sizeof(name), "blk.%u.%s", (unsigned)il, t->name);
		if (t->n_rows > 0)
			put_matrix(b, s, name, t->n, t->n_rows, t->n_stack);
		else
			gguf_build_tensor(
			    b, name, TYPE_F32, t->n, 0, norm ? 0.3f : 0.1f, norm ? 1.0f : 0);
	}
}

static void put_attention(struct gguf_build *b, const struct decoder_twin_shape *s, uint32_t il)
{
	const bool latent = s->family == TWIN_DEEPSEEK2, gemma = s->family == TWIN_GEMMA2;
	const uint64_t n = s->n_embd, nq = (uint64_t)s->n_head * s->n_dim;
	const uint64_t nk = (uint64_t)s->n_head_kv * s->n_dim;
	const uint64_t n_queries = (uint64_t)s->n_head * (s->n_nope + s->n_rot);
	const struct tensor tensors[] = {
		{ "attn_norm.weight", n, 0, 0, true },
		{ "attn_q", n, nq, 1, !latent },
		{ "attn_k", n, nk, 1, !latent },
		{ "attn_v", n, nk, 1, !latent },
		{ "attn_q", n, n_queries, 1, latent && s->n_q_rank == 0 },
		{ "attn_q_a", n, s->n_q_rank, 1, latent && s->n_q_rank > 0 },
		{ "attn_q_a_norm.weight", s->n_q_rank, 0, 0, latent && s->n_q_rank > 0 },
		{ "attn_q_b", s->n_q_rank, n_queries, 1, latent && s->n_q_rank > 0 },
		{ "attn_kv_a_mqa", n, s->n_rank + s->n_rot, 1, latent },
		{ "attn_kv_a_norm.weight", s->n_rank, 0, 0, latent },
		{ "attn_k_b", s->n_nope, s->n_rank, s->n_head, latent },
		{ "attn_v_b", s->n_rank, s->n_dim, s->n_head, latent },
		{ "attn_output", nq, n, 1, true },
		{ "post_attention_norm.weight", n, 0, 0, gemma },
	};

	put_tensors(b, s, il, tensors, sizeof(tensors) / sizeof(tensors[0]));
}

static void put_network(struct gguf_build *b, const struct decoder_twin_shape *s, uint32_t il)
{
	const bool routed = s->n_expert > 0 && il >= s->n_dense;
	const uint64_t n = s->n_embd, n_ff = s->n_ff, n_exp = s->n_ff_expert, e = s->n_expert;
	const uint64_t n_sh = n_exp * s->n_shared;
	const struct tensor tensors[] = {
		{ "ffn_norm.weight", n, 0, 0, true },
		{ "ffn_gate", n, n_ff, 1, !routed },
		{ "ffn_up", n, n_ff, 1, !routed },
		{ "ffn_down", n_ff, n, 1, !routed },
		{ "ffn_gate_inp", n, e, 1, routed },
		{ "exp_probs_b.bias", e, 0, 0, routed && s->sigmoid },
		{ "ffn_gate_exps", n, n_exp, e, routed },
		{ "ffn_up_exps", n, n_exp, e, routed },
		{ "ffn_down_exps", n_exp, n, e, routed },
		{ "ffn_gate_shexp", n, n_sh, 1, routed && n_sh > 0 },
		{ "ffn_up_shexp", n, n_sh, 1, routed && n_sh > 0 },
		{ "ffn_down_shexp", n_sh, n, 1, routed && n_sh > 0 },
		{ "post_ffw_norm.weight", n, 0, 0, s->family == TWIN_GEMMA2 },
	};

	put_tensors(b, s, il, tensors, sizeof(tensors) / sizeof(tensors[0]));
}

void decoder_twin_build(struct gguf_build *b, const struct decoder_twin_shape *s)
{
	put_keys(b, s);
	put_matrix(b, s, "token_embd", s->n_embd, DECODER_TWIN_VOCAB, 1);
	gguf_build_tensor(b, "output_norm.weight", TYPE_F32, s->n_embd, 0, 0.3f, 1.0f);
	if (s->family != TWIN_GEMMA2)
		put_matrix(b, s, "output", s->n_embd, DECODER_TWIN_VOCAB, 1);
	for (uint32_t il = 0; il < s->n_layer + s->n_next; il++) {
		put_attention(b, s, il);
		put_network(b, s, il);
		if (il < s->n_layer)
			continue;
		const struct tensor next[] = {
			{ "nextn.eh_proj", 2 * (uint64_t)s->n_embd, s->n_embd, 1, true },
			{ "nextn.enorm.weight", s->n_embd, 0, 0, true },
			{ "nextn.hnorm.weight", s->n_embd, 0, 0, true },
		};

		put_tensors(b, s, il, next, sizeof(next) / sizeof(next[0]));
	}
}
