/* Encoders in double, and random files of them. */
#include "encoder_twin.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "model/model.h"

#define EPS 1e-12
#define BASE 1000.0

static void put_u32(struct gguf_build *b, const char *arch, const char *key, uint32_t value)
{
	char full[96];

	(void)snprintf(full, sizeof(full), "%s.%s", arch, key);
	gguf_build_u32(b, full, value);
}

static void put_keys(struct gguf_build *b, const struct encoder_twin_shape *s)
{
	const char *arch = s->nomic ? "nomic-bert" : "bert";

	gguf_build_string(b, "general.architecture", arch);
	put_u32(b, arch, "context_length", s->n_ctx);
	put_u32(b, arch, "embedding_length", s->n_embd);
	put_u32(b, arch, "block_count", s->n_layer);
	put_u32(b, arch, "feed_forward_length", s->n_ff);
	put_u32(b, arch, "attention.head_count", s->n_head);
	if (s->pooling != 0)
		put_u32(b, arch, "pooling_type", s->pooling);
	if (s->nomic)
		gguf_build_f32(b, "nomic-bert.rope.freq_base", (float)BASE);
	gguf_build_f32(b,
	    s->nomic ? "nomic-bert.attention.layer_norm_epsilon"
		     : "bert.attention.layer_norm_epsilon",
	    (float)EPS);
}

static void put_vocabulary(struct gguf_build *b)
{
	static const char *const marks[] = { "[PAD]", "[UNK]", "[CLS]", "[SEP]" };
	const char *texts[ENCODER_TWIN_VOCAB];
	char letters[52][8];
	int32_t types[ENCODER_TWIN_VOCAB];

	for (int i = 0; i < ENCODER_TWIN_VOCAB; i++) {
		types[i] = i < 4 ? 3 : 1;
		texts[i] = i < 4 ? marks[i] : letters[i - 4];
		if (i >= 4)
			(void)snprintf(letters[i - 4], sizeof(letters[0]), "%s%c",
			    i < 30 ? "\xe2\x96\x81" : "", 'a' + (i - 4) % 26);
	}
	gguf_build_string(b, "tokenizer.ggml.model", "bert");
	gguf_build_strings(b, "tokenizer.ggml.tokens", texts, ENCODER_TWIN_VOCAB);
	gguf_build_i32s(b, "tokenizer.ggml.token_type", types, ENCODER_TWIN_VOCAB);
	gguf_build_u32(b, "tokenizer.ggml.unknown_token_id", 1);
	gguf_build_u32(b, "tokenizer.ggml.cls_token_id", ENCODER_TWIN_CLS);
	gguf_build_u32(b, "tokenizer.ggml.seperator_token_id", ENCODER_TWIN_SEP);
}

static void put_layer(struct gguf_build *b, const struct encoder_twin_shape *s, uint32_t il)
{
	const struct {
		const char *name;
		uint64_t n, n_rows;
		bool in;
	} tensors[] = {
		{ "attn_q.weight", s->n_embd, s->n_embd, !s->fused },
		{ "attn_k.weight", s->n_embd, s->n_embd, !s->fused },
		{ "attn_v.weight", s->n_embd, s->n_embd, !s->fused },
		{ "attn_qkv.weight", s->n_embd, 3 * (uint64_t)s->n_embd, s->fused },
		{ "attn_q.bias", s->n_embd, 0, !s->fused && !s->nomic },
		{ "attn_k.bias", s->n_embd, 0, !s->fused && !s->nomic },
		{ "attn_v.bias", s->n_embd, 0, !s->fused && !s->nomic },
		{ "attn_qkv.bias", 3 * (uint64_t)s->n_embd, 0, s->fused && !s->nomic },
		{ "attn_output.weight", s->n_embd, s->n_embd, true },
		{ "attn_output.bias", s->n_embd, 0, !s->nomic },
		{ "attn_output_norm.weight", s->n_embd, 0, true },
		{ "attn_output_norm.bias", s->n_embd, 0, true },
		{ "ffn_gate.weight", s->n_embd, s->n_ff, s->nomic },
		{ "ffn_up.weight", s->n_embd, s->n_ff, true },
		{ "ffn_up.bias", s->n_ff, 0, !s->nomic },
		{ "ffn_down.weight", s->n_ff, s->n_embd, true },
		{ "ffn_down.bias", s->n_embd, 0, !s->nomic },
		{ "layer_output_norm.weight", s->n_embd, 0, true },
		{ "layer_output_norm.bias", s->n_embd, 0, true },
	};
	char name[64];

	for (size_t i = 0; i < sizeof(tensors) / sizeof(tensors[0]); i++) {
		bool center = strstr(tensors[i].name, "norm.weight") != NULL;

		if (!tensors[i].in)
			continue;
		(void)snprintf(name, sizeof(name), "blk.%u.%s", (unsigned)il, tensors[i].name);
		gguf_build_tensor(
		    b, name, TYPE_F32, tensors[i].n, tensors[i].n_rows, 0.3f, center ? 1.0f : 0.0f);
	}
}

void encoder_twin_build(struct gguf_build *b, const struct encoder_twin_shape *s)
{
	put_keys(b, s);
	put_vocabulary(b);
	gguf_build_tensor(b, "token_embd.weight", TYPE_F32, s->n_embd, ENCODER_TWIN_VOCAB, 1.0f, 0);
	gguf_build_tensor(b, "token_types.weight", TYPE_F32, s->n_embd, 2, 0.5f, 0);
	if (!s->nomic)
		gguf_build_tensor(
		    b, "position_embd.weight", TYPE_F32, s->n_embd, s->n_ctx, 0.5f, 0);
	gguf_build_tensor(b, "token_embd_norm.weight", TYPE_F32, s->n_embd, 0, 0.3f, 1.0f);
	gguf_build_tensor(b, "token_embd_norm.bias", TYPE_F32, s->n_embd, 0, 0.3f, 0);
	for (uint32_t il = 0; il < s->n_layer; il++)
		put_layer(b, s, il);
}

/* The floats of a tensor of a layer (-1: of none), or NULL. */
static const float *data_of(const struct gguf *g, int layer, const char *name, const char *kind)
{
	char full[64];
	const struct gguf_tensor *t;

	if (layer < 0)
		(void)snprintf(full, sizeof(full), "%s.%s", name, kind);
	else
		(void)snprintf(full, sizeof(full), "blk.%d.%s.%s", layer, name, kind);
	t = gguf_find_tensor(g, full);
	return t != NULL ? (const float *)(const void *)t->data : NULL;
}

static double at(const float *data, size_t i)
{
	return data != NULL ? (double)data[i] : 0;
}

/* out[r] = Σ W[first + r][i] in[i] + bias[first + r] */
static void linear(const struct gguf *g, int layer, const char *name, size_t first, size_t n_out,
    const double *in, size_t n_in, double *out)
{
	const float *weight = data_of(g, layer, name, "weight");
	const float *bias = data_of(g, layer, name, "bias");

	for (size_t r = 0; r < n_out; r++) {
		out[r] = at(bias, first + r);
		for (size_t i = 0; i < n_in; i++)
			out[r] += at(weight, (first + r) * n_in + i) * in[i];
	}
}

static void norm(const struct gguf *g, int layer, const char *name, double *x, size_t n)
{
	const float *weight = data_of(g, layer, name, "weight");
	const float *bias = data_of(g, layer, name, "bias");
	double mean = 0, variance = 0;

	for (size_t i = 0; i < n; i++)
		mean += x[i] / (double)n;
	for (size_t i = 0; i < n; i++)
		variance += (x[i] - mean) * (x[i] - mean) / (double)n;
	for (size_t i = 0; i < n; i++)
		x[i] = (x[i] - mean) / sqrt(variance + EPS) * at(weight, i) + at(bias, i);
}

/* Turn the pairs (i, i + dim / 2) of each head. */
static void rotate(double *x, size_t n_head, size_t dim, size_t pos)
{
	for (size_t h = 0; h < n_head; h++) {
		for (size_t i = 0; i < dim / 2; i++) {
			double angle = (double)pos * pow(BASE, -2.0 * (double)i / (double)dim);
			double *a = &x[h * dim + i], *b = &x[h * dim + i + dim / 2];
			double turned = *a * cos(angle) - *b * sin(angle);

			*b = *a * sin(angle) + *b * cos(angle);
			*a = turned;
		}
	}
}

static void attend(const struct encoder_twin_shape *s, const double *q, const double *k,
    const double *v, size_t n, double *out)
{
	size_t dim = s->n_embd / s->n_head;
	double *weights = calloc(n, sizeof(*weights));

	assert(weights != NULL);
	for (size_t h = 0; h < s->n_head; h++) {
		double sum = 0;

		for (size_t t = 0; t < n; t++) {
			weights[t] = 0;
			for (size_t d = 0; d < dim; d++)
				weights[t] += q[h * dim + d] * k[t * s->n_embd + h * dim + d];
			weights[t] = exp(weights[t] / sqrt((double)dim));
			sum += weights[t];
		}
		for (size_t d = 0; d < dim; d++) {
			out[h * dim + d] = 0;
			for (size_t t = 0; t < n; t++)
				out[h * dim + d] +=
				    weights[t] / sum * v[t * s->n_embd + h * dim + d];
		}
	}
	free(weights);
}

static void feed_forward(
    const struct gguf *g, const struct encoder_twin_shape *s, int il, const double *x, double *out)
{
	double *up = calloc(s->n_ff, sizeof(*up)), *gate = calloc(s->n_ff, sizeof(*gate));

	assert(up != NULL && gate != NULL);
	linear(g, il, "ffn_up", 0, s->n_ff, x, s->n_embd, up);
	if (s->nomic)
		linear(g, il, "ffn_gate", 0, s->n_ff, x, s->n_embd, gate);
	for (size_t i = 0; i < s->n_ff; i++)
		up[i] *= s->nomic ? gate[i] / (1 + exp(-gate[i]))
				  : 0.5 * (1 + tanh(sqrt(2 / 3.14159265358979323846) *
						    (up[i] + 0.044715 * up[i] * up[i] * up[i])));
	linear(g, il, "ffn_down", 0, s->n_embd, up, s->n_ff, out);
	free(up);
	free(gate);
}

/* x [n][n_embd] through one layer. */
static void layer(
    const struct gguf *g, const struct encoder_twin_shape *s, int il, double *x, size_t n)
{
	static const char *const names[] = { "attn_q", "attn_k", "attn_v" };
	size_t n_embd = s->n_embd;
	double *parts[3], *mixed = calloc(n_embd, sizeof(*mixed)),
			  *out = calloc(n_embd, sizeof(*out));

	assert(mixed != NULL && out != NULL);
	for (int i = 0; i < 3; i++) {
		parts[i] = calloc(n * n_embd, sizeof(*parts[i]));
		assert(parts[i] != NULL);
		for (size_t t = 0; t < n; t++) {
			linear(g, il, s->fused ? "attn_qkv" : names[i],
			    s->fused ? (size_t)i * n_embd : 0, n_embd, x + t * n_embd, n_embd,
			    parts[i] + t * n_embd);
			if (s->nomic && i < 2)
				rotate(parts[i] + t * n_embd, s->n_head, n_embd / s->n_head, t);
		}
	}
	for (size_t t = 0; t < n; t++) {
		attend(s, parts[0] + t * n_embd, parts[1], parts[2], n, mixed);
		linear(g, il, "attn_output", 0, n_embd, mixed, n_embd, out);
		for (size_t i = 0; i < n_embd; i++)
			x[t * n_embd + i] += out[i];
		norm(g, il, "attn_output_norm", x + t * n_embd, n_embd);
		feed_forward(g, s, il, x + t * n_embd, out);
		for (size_t i = 0; i < n_embd; i++)
			x[t * n_embd + i] += out[i];
		norm(g, il, "layer_output_norm", x + t * n_embd, n_embd);
	}
	for (int i = 0; i < 3; i++)
		free(parts[i]);
	free(mixed);
	free(out);
}

void encoder_twin_embed(const struct gguf *g, const struct encoder_twin_shape *s,
    const int32_t *ids, size_t n, double *out)
{
	size_t n_embd = s->n_embd;
	const float *tokens = data_of(g, -1, "token_embd", "weight");
	const float *types = data_of(g, -1, "token_types", "weight");
	const float *positions = data_of(g, -1, "position_embd", "weight");
	double *x = calloc(n * n_embd, sizeof(*x)), square = 0;

	assert(x != NULL);
	for (size_t t = 0; t < n; t++) {
		for (size_t i = 0; i < n_embd; i++)
			x[t * n_embd + i] = at(tokens, (size_t)ids[t] * n_embd + i) + at(types, i) +
					    at(positions, t * n_embd + i);
		norm(g, -1, "token_embd_norm", x + t * n_embd, n_embd);
	}
	for (uint32_t il = 0; il < s->n_layer; il++)
		layer(g, s, (int)il, x, n);
	for (size_t i = 0; i < n_embd; i++) {
		out[i] = s->pooling == TWIN_LAST ? x[(n - 1) * n_embd + i] : x[i];
		for (size_t t = 1; t < n && s->pooling <= TWIN_MEAN; t++)
			out[i] += x[t * n_embd + i];
		square += out[i] * out[i];
	}
	for (size_t i = 0; i < n_embd; i++)
		out[i] /= sqrt(square);
	free(x);
}

struct model *encoder_twin_open(const struct encoder_twin_shape *shape)
{
	char path[] = "/tmp/hearth-twin-XXXXXX";
	struct errmsg why = ERRMSG_INIT;
	struct model *model = NULL;
	struct gguf_build b;
	int fd = mkstemp(path);

	assert(fd >= 0);
	(void)close(fd);
	gguf_build_init(&b, 11);
	encoder_twin_build(&b, shape);
	if (!gguf_build_write(&b, path) || model_open(path, &model, &why) != RC_OK) {
		(void)fprintf(stderr, "%s: %s\n", path, why.text);
		abort();
	}
	(void)unlink(path);
	gguf_build_fini(&b);
	return model;
}
