/* GGUF bytes for tests. */
#include "gguf_build.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"

#define BYTES_MAX ((size_t)8 << 30)
#define POOL_BLOCKS ((uint64_t)1 << 18)

enum { U32 = 4, I32 = 5, F32 = 6, BOOL = 7, STRING = 8, ARRAY = 9 };

void gguf_build_init(struct gguf_build *b, uint64_t seed)
{
	*b =
	    (struct gguf_build){ .version = 3, .alignment = 32, .state = seed, .plain = seed == 0 };
	buf_init(&b->pairs, BYTES_MAX);
	buf_init(&b->infos, BYTES_MAX);
	buf_init(&b->data, BYTES_MAX);
	buf_init(&b->pool, BYTES_MAX);
}

void gguf_build_fini(struct gguf_build *b)
{
	buf_fini(&b->pairs);
	buf_fini(&b->infos);
	buf_fini(&b->data);
	buf_fini(&b->pool);
}

static void put_string(struct buf *to, const char *text)
{
	uint64_t len = strlen(text);

	buf_append(to, &len, sizeof(len));
	buf_append(to, text, (size_t)len);
}

static void put_u32(struct buf *to, uint32_t value)
{
	buf_append(to, &value, sizeof(value));
}

static void put_key(struct gguf_build *b, const char *key, uint32_t type)
{
	put_string(&b->pairs, key);
	put_u32(&b->pairs, type);
	b->n_pairs++;
}

void gguf_build_u32(struct gguf_build *b, const char *key, uint32_t value)
{
	put_key(b, key, U32);
	put_u32(&b->pairs, value);
}

void gguf_build_f32(struct gguf_build *b, const char *key, float value)
{
	put_key(b, key, F32);
	buf_append(&b->pairs, &value, sizeof(value));
}

void gguf_build_bool(struct gguf_build *b, const char *key, bool value)
{
	uint8_t byte = value;

	put_key(b, key, BOOL);
	buf_append(&b->pairs, &byte, 1);
}

void gguf_build_string(struct gguf_build *b, const char *key, const char *value)
{
	put_key(b, key, STRING);
	put_string(&b->pairs, value);
}

static void put_array(struct gguf_build *b, const char *key, uint32_t type, uint64_t n)
{
	put_key(b, key, ARRAY);
	put_u32(&b->pairs, type);
	buf_append(&b->pairs, &n, sizeof(n));
}

void gguf_build_strings(struct gguf_build *b, const char *key, const char *const *values, size_t n)
{
	put_array(b, key, STRING, n);
	for (size_t i = 0; i < n; i++)
		put_string(&b->pairs, values[i]);
}

void gguf_build_f32s(struct gguf_build *b, const char *key, const float *values, size_t n)
{
	put_array(b, key, F32, n);
	buf_append(&b->pairs, values, n * sizeof(*values));
}

void gguf_build_i32s(struct gguf_build *b, const char *key, const int32_t *values, size_t n)
{
	put_array(b, key, I32, n);
	buf_append(&b->pairs, values, n * sizeof(*values));
}

/* An IEEE half of a normal number, good enough for weights. */
static uint16_t to_half(float value)
{
	uint32_t bits;

	memcpy(&bits, &value, sizeof(bits));
	return (uint16_t)((bits >> 16 & 0x8000) | ((bits & 0x7fffffff) - 0x38000000) >> 13);
}

/* The F16 scale of a block, in front or behind, and the offset's scale beside
 * it where the format has one. */
static void place_scales(enum tensor_type type, uint8_t *block, uint16_t half)
{
	size_t bytes = type_info(type)->block_bytes, at = 0;

	if (type == TYPE_NVFP4)
		return; /* any bytes are scales */
	if (type == TYPE_Q3_K || type == TYPE_Q6_K)
		at = bytes - 2;
	if (type == TYPE_Q2_K)
		at = bytes - 4;
	memcpy(block + at, &half, sizeof(half));
	if (type == TYPE_Q2_K || type == TYPE_Q4_K || type == TYPE_Q5_K || type == TYPE_Q4_1 ||
	    type == TYPE_Q5_1)
		memcpy(block + at + 2, &half, sizeof(half));
}

static void put_data(struct gguf_build *b, const void *bytes, size_t n)
{
	b->data_bytes += n;
	if (!b->streams)
		buf_append(&b->data, bytes, n);
	else if (!b->measures)
		(void)fwrite(bytes, 1, n, b->file);
}

/* One block of any type: a scale of about `spread` in front, the rest random. */
static void put_block(
    struct gguf_build *b, struct buf *to, enum tensor_type type, float spread, float center)
{
	const struct type_info *info = type_info(type);
	float value =
	    center + spread * ((float)(int32_t)(random_next(&b->state) >> 40) * 0x1p-23f - 1.0f);
	uint8_t block[512];
	uint16_t half = to_half(spread > 1e-4f ? spread / 8 : 1e-4f);

	for (size_t i = 0; i < info->block_bytes; i += 8) {
		uint64_t bits = random_next(&b->state);

		memcpy(block + i, &bits, sizeof(bits));
	}
	if (type == TYPE_F32) {
		memcpy(block, &value, sizeof(value));
	} else if (type == TYPE_BF16) {
		memcpy(block, (uint8_t *)&value + 2, 2);
	} else if (type == TYPE_MXFP4) {
		block[0] = (uint8_t)(116 + block[0] % 4);
	} else {
		if (type == TYPE_F16)
			half = to_half(value > 1e-4f || value < -1e-4f ? value : 1e-4f);
		place_scales(type, block, half);
	}
	buf_append(to, block, info->block_bytes);
}

/* `blocks` blocks out of a pool that is begun anew for each tensor. */
static void put_pool(
    struct gguf_build *b, enum tensor_type type, uint64_t blocks, float spread, float center)
{
	uint64_t most = blocks < POOL_BLOCKS ? blocks : POOL_BLOCKS;

	buf_reset(&b->pool);
	for (uint64_t i = 0; i < most && !b->measures; i++)
		put_block(b, &b->pool, type, spread, center);
	for (uint64_t n; blocks > 0; blocks -= n) {
		n = blocks < most ? blocks : most;
		put_data(b, b->pool.bytes, n * type_info(type)->block_bytes);
	}
}

/* Numbers 1, or zero bits in types of blocks. */
static void put_plain(struct gguf_build *b, enum tensor_type type, uint64_t bytes)
{
	float block[4096];

	for (size_t i = 0; i < sizeof(block) / sizeof(block[0]); i++)
		block[i] = type == TYPE_F32 ? 1.0f : 0.0f;
	for (uint64_t n; bytes > 0; bytes -= n) {
		n = bytes < sizeof(block) ? bytes : sizeof(block);
		put_data(b, block, n);
	}
}

void gguf_build_stack(struct gguf_build *b, const char *name, enum tensor_type type, uint64_t n,
    uint64_t n_rows, uint64_t n_stack, float spread, float center)
{
	uint64_t offset, blocks = n * (n_rows > 0 ? n_rows : 1) / type_info(type)->block * n_stack;

	while (b->data_bytes % b->alignment != 0)
		put_data(b, "", 1);
	offset = b->data_bytes;
	put_string(&b->infos, name);
	put_u32(&b->infos, n_stack > 1 ? 3 : n_rows > 0 ? 2 : 1);
	buf_append(&b->infos, &n, sizeof(n));
	if (n_rows > 0)
		buf_append(&b->infos, &n_rows, sizeof(n_rows));
	if (n_stack > 1)
		buf_append(&b->infos, &n_stack, sizeof(n_stack));
	put_u32(&b->infos, type);
	buf_append(&b->infos, &offset, sizeof(offset));
	b->n_tensors++;
	if (b->plain)
		put_plain(b, type, blocks * type_info(type)->block_bytes);
	if (b->streams)
		put_pool(b, type, blocks, spread, center);
	for (uint64_t i = 0; i < blocks && !b->plain && !b->streams; i++) {
		put_block(b, &b->data, type, spread, center);
		b->data_bytes += type_info(type)->block_bytes;
	}
}

void gguf_build_tensor(struct gguf_build *b, const char *name, enum tensor_type type, uint64_t n,
    uint64_t n_rows, float spread, float center)
{
	gguf_build_stack(b, name, type, n, n_rows, 1, spread, center);
}

static void put_header(struct gguf_build *b, struct buf *out)
{
	buf_append(out, "GGUF", 4);
	put_u32(out, b->version);
	buf_append(out, &b->n_tensors, sizeof(b->n_tensors));
	buf_append(out, &b->n_pairs, sizeof(b->n_pairs));
	buf_append(out, b->pairs.bytes, b->pairs.len);
	buf_append(out, b->infos.bytes, b->infos.len);
	while (b->n_tensors > 0 && out->len % b->alignment != 0)
		buf_putc(out, 0);
}

uint8_t *gguf_build_finish(struct gguf_build *b, size_t *len)
{
	struct buf out;

	buf_init(&out, BYTES_MAX);
	put_header(b, &out);
	buf_append(&out, b->data.bytes, b->data.len);
	return buf_take(&out, len);
}

bool gguf_build_write(struct gguf_build *b, const char *path)
{
	FILE *file = fopen(path, "wb");
	struct buf header;
	bool ok = file != NULL;

	buf_init(&header, BYTES_MAX);
	put_header(b, &header);
	ok = ok && fwrite(header.bytes, 1, header.len, file) == header.len;
	ok = ok && (b->data.len == 0 || fwrite(b->data.bytes, 1, b->data.len, file) == b->data.len);
	ok = file != NULL && fclose(file) == 0 && ok;
	buf_fini(&header);
	return ok;
}

static void put_number(struct gguf_build *b, const char *arch, const char *key, uint32_t value)
{
	char full[128];

	(void)snprintf(full, sizeof(full), "%s.%s", arch, key);
	gguf_build_u32(b, full, value);
}

static void put_networks(struct gguf_build *b, const struct gguf_build_llama *s, uint32_t il)
{
	const struct {
		const char *name;
		uint64_t n, n_rows;
	} matrices[] = { { "gate", s->n_embd, s->n_ff }, { "up", s->n_embd, s->n_ff },
		{ "down", s->n_ff, s->n_embd } };
	char name[64];

	for (size_t i = 0; i < sizeof(matrices) / sizeof(matrices[0]); i++) {
		(void)snprintf(name, sizeof(name), "blk.%u.ffn_%s%s.weight", il, matrices[i].name,
		    s->n_expert > 0 ? "_exps" : "");
		gguf_build_stack(b, name, s->type, matrices[i].n, matrices[i].n_rows,
		    s->n_expert > 0 ? s->n_expert : 1, 0.1f, 0);
	}
	if (s->n_expert == 0)
		return;
	(void)snprintf(name, sizeof(name), "blk.%u.ffn_gate_inp.weight", il);
	gguf_build_tensor(b, name, TYPE_F32, s->n_embd, s->n_expert, 0.1f, 0);
}

static void put_qk_norms(struct gguf_build *b, const struct gguf_build_llama *s, uint32_t il)
{
	char name[64];

	(void)snprintf(name, sizeof(name), "blk.%u.attn_q_norm.weight", il);
	gguf_build_tensor(b, name, TYPE_F32, s->head_dim, 0, 0.1f, 1.0f);
	(void)snprintf(name, sizeof(name), "blk.%u.attn_k_norm.weight", il);
	gguf_build_tensor(b, name, TYPE_F32, s->head_dim, 0, 0.1f, 1.0f);
}

static void put_layer(struct gguf_build *b, const struct gguf_build_llama *s, uint32_t il)
{
	uint64_t nq = (uint64_t)s->n_head * s->head_dim, nk = (uint64_t)s->n_head_kv * s->head_dim;
	const struct {
		const char *name;
		uint64_t n, n_rows;
	} matrices[] = { { "attn_q.weight", s->n_embd, nq }, { "attn_k.weight", s->n_embd, nk },
		{ "attn_v.weight", s->n_embd, nk }, { "attn_output.weight", nq, s->n_embd } };
	char name[64];

	(void)snprintf(name, sizeof(name), "blk.%u.attn_norm.weight", il);
	gguf_build_tensor(b, name, TYPE_F32, s->n_embd, 0, 0.1f, 1.0f);
	(void)snprintf(name, sizeof(name), "blk.%u.ffn_norm.weight", il);
	gguf_build_tensor(b, name, TYPE_F32, s->n_embd, 0, 0.1f, 1.0f);
	for (size_t i = 0; i < sizeof(matrices) / sizeof(matrices[0]); i++) {
		(void)snprintf(name, sizeof(name), "blk.%u.%s", il, matrices[i].name);
		gguf_build_tensor(b, name, s->type, matrices[i].n, matrices[i].n_rows, 0.1f, 0);
	}
	put_networks(b, s, il);
	if (s->qk_norm)
		put_qk_norms(b, s, il);
	if (s->bias) {
		(void)snprintf(name, sizeof(name), "blk.%u.attn_q.bias", il);
		gguf_build_tensor(b, name, TYPE_F32, nq, 0, 0.3f, 0);
		(void)snprintf(name, sizeof(name), "blk.%u.attn_v.bias", il);
		gguf_build_tensor(b, name, TYPE_F32, nk, 0, 0.3f, 0);
	}
}

void gguf_build_llama(struct gguf_build *b, const struct gguf_build_llama *s)
{
	const char *arch = s->arch != NULL ? s->arch : "llama";
	char eps[64];

	gguf_build_string(b, "general.architecture", arch);
	put_number(b, arch, "context_length", s->n_ctx);
	put_number(b, arch, "vocab_size", s->n_vocab);
	put_number(b, arch, "embedding_length", s->n_embd);
	put_number(b, arch, "block_count", s->n_layer);
	put_number(b, arch, "feed_forward_length", s->n_ff);
	if (s->n_expert > 0) {
		put_number(b, arch, "expert_feed_forward_length", s->n_ff);
		put_number(b, arch, "expert_count", s->n_expert);
		put_number(b, arch, "expert_used_count", s->n_used);
	}
	put_number(b, arch, "attention.head_count", s->n_head);
	put_number(b, arch, "attention.head_count_kv", s->n_head_kv);
	put_number(b, arch, "attention.key_length", s->head_dim);
	put_number(b, arch, "attention.value_length", s->head_dim);
	put_number(b, arch, "rope.dimension_count", s->head_dim);
	(void)snprintf(eps, sizeof(eps), "%s.attention.layer_norm_rms_epsilon", arch);
	gguf_build_f32(b, eps, 1e-5f);
	gguf_build_string(b, "tokenizer.ggml.model", "no_vocab");
	gguf_build_tensor(b, "token_embd.weight", s->type, s->n_embd, s->n_vocab, 1.0f, 0);
	gguf_build_tensor(b, "output_norm.weight", TYPE_F32, s->n_embd, 0, 0.1f, 1.0f);
	if (!s->tied)
		gguf_build_tensor(b, "output.weight", s->type, s->n_embd, s->n_vocab, 0.1f, 0);
	if (s->freqs)
		gguf_build_tensor(b, "rope_freqs.weight", TYPE_F32, s->head_dim / 2, 0, 0.5f, 2.0f);
	for (uint32_t il = 0; il < s->n_layer; il++)
		put_layer(b, s, il);
}

bool gguf_build_stream(const struct gguf_build_llama *shape, const char *path)
{
	struct gguf_build head, body;
	struct buf header;
	bool ok;

	gguf_build_init(&head, 1);
	head.streams = head.measures = true;
	gguf_build_llama(&head, shape);
	buf_init(&header, BYTES_MAX);
	put_header(&head, &header);
	gguf_build_init(&body, 1);
	body.streams = true;
	body.file = fopen(path, "wb");
	ok = body.file != NULL && fwrite(header.bytes, 1, header.len, body.file) == header.len;
	if (ok)
		gguf_build_llama(&body, shape);
	ok = ok && ferror(body.file) == 0;
	ok = body.file != NULL && fclose(body.file) == 0 && ok;
	gguf_build_fini(&head);
	gguf_build_fini(&body);
	buf_fini(&header);
	return ok;
}
