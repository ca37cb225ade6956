/*
 * gemma4 with experts beside a dense network against a twin: the same
 * arithmetic in double, one token after the other, straight from the published
 * definition, on a random model in F32.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/random.h"
#include "family_build.h"
#include "infer/engine.h"
#include "model/gguf.h"
#include "model/model.h"

#define N_TOKENS 24
#define N_EMBD 64
#define N_HEAD 6
#define N_HEAD_KV 2
#define N_FF 96
#define DIM_MAX 64
#define EXPERTS_MAX 16
#define WINDOW 5
#define EPS 1e-6
#define LOGIT_CAP 30.0

/* One token's way through one layer; keys and values of all tokens. */
struct twin {
	const struct gguf *gguf;
	int layer;
	bool local;
	size_t dim, n_expert, n_used;
	double keys[2][N_TOKENS][N_HEAD_KV * DIM_MAX], values[2][N_TOKENS][N_HEAD_KV * DIM_MAX];
};

static const float *tensor(const struct twin *t, const char *name)
{
	char full[96];
	const struct gguf_tensor *found;

	(void)snprintf(full, sizeof(full), "blk.%d.%s", t->layer, name);
	found = gguf_find_tensor(t->gguf, t->layer < 0 ? name : full);
	return found != NULL ? (const float *)(const void *)found->data : NULL;
}

static void multiply(const float *matrix, size_t n_rows, size_t n, const double *x, double *out)
{
	for (size_t r = 0; r < n_rows; r++) {
		out[r] = 0;
		for (size_t i = 0; i < n; i++)
			out[r] += (double)matrix[r * n + i] * x[i];
	}
}

/* `weight` may be NULL; `out` may be `x`. */
static void rms(const float *weight, size_t n, const double *x, double *out)
{
	double sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += x[i] * x[i];
	for (size_t i = 0; i < n; i++)
		out[i] =
		    x[i] / sqrt(sum / (double)n + EPS) * (weight != NULL ? (double)weight[i] : 1.0);
}

/* Pairs (i, i + dim / 2); layers without a window divide the angles. */
static void rotate(const struct twin *t, size_t pos, double *x)
{
	const struct gguf_tensor *divisors = gguf_find_tensor(t->gguf, "rope_freqs.weight");
	double base = t->local ? 10000.0 : 1000000.0;
	size_t half = t->dim / 2;

	for (size_t i = 0; i < half; i++) {
		double angle = (double)pos * pow(base, -2.0 * (double)i / (double)t->dim);
		double a = x[i], b = x[i + half];

		if (!t->local)
			angle /= (double)((const float *)(const void *)divisors->data)[i];
		x[i] = a * cos(angle) - b * sin(angle);
		x[i + half] = b * cos(angle) + a * sin(angle);
	}
}

static void store(struct twin *t, size_t pos, const double *in)
{
	double *k = t->keys[t->layer][pos], *v = t->values[t->layer][pos];
	const float *wv = tensor(t, "attn_v.weight"), *wk = tensor(t, "attn_k.weight");

	multiply(wk, N_HEAD_KV * t->dim, N_EMBD, in, k);
	multiply(wv != NULL ? wv : wk, N_HEAD_KV * t->dim, N_EMBD, in, v);
	for (size_t h = 0; h < N_HEAD_KV; h++) {
		rms(tensor(t, "attn_k_norm.weight"), t->dim, k + h * t->dim, k + h * t->dim);
		rms(NULL, t->dim, v + h * t->dim, v + h * t->dim);
		rotate(t, pos, k + h * t->dim);
	}
}

static void attend(const struct twin *t, size_t pos, size_t head, const double *q, double *out)
{
	size_t first = t->local && pos + 1 > WINDOW ? pos + 1 - WINDOW : 0;
	size_t at = head / (N_HEAD / N_HEAD_KV) * t->dim;
	double weights[N_TOKENS], sum = 0;

	memset(out, 0, t->dim * sizeof(*out));
	for (size_t p = first; p <= pos; p++) {
		double score = 0;

		for (size_t i = 0; i < t->dim; i++)
			score += q[i] * t->keys[t->layer][p][at + i];
		weights[p] = exp(score);
		sum += weights[p];
	}
	for (size_t p = first; p <= pos; p++) {
		for (size_t i = 0; i < t->dim; i++)
			out[i] += weights[p] / sum * t->values[t->layer][p][at + i];
	}
}

static void attention(struct twin *t, size_t pos, double *x)
{
	double in[N_EMBD], q[N_HEAD * DIM_MAX], mixed[N_HEAD * DIM_MAX], out[N_EMBD];

	rms(tensor(t, "attn_norm.weight"), N_EMBD, x, in);
	multiply(tensor(t, "attn_q.weight"), N_HEAD * t->dim, N_EMBD, in, q);
	store(t, pos, in);
	for (size_t h = 0; h < N_HEAD; h++) {
		rms(tensor(t, "attn_q_norm.weight"), t->dim, q + h * t->dim, q + h * t->dim);
		rotate(t, pos, q + h * t->dim);
		attend(t, pos, h, q + h * t->dim, mixed + h * t->dim);
	}
	multiply(tensor(t, "attn_output.weight"), N_EMBD, N_HEAD * t->dim, mixed, out);
	rms(tensor(t, "post_attention_norm.weight"), N_EMBD, out, out);
	for (size_t i = 0; i < N_EMBD; i++)
		x[i] += out[i];
}

static double gelu(double x)
{
	return 0.5 * x * (1.0 + tanh(sqrt(2.0 / acos(-1.0)) * (x + 0.044715 * x * x * x)));
}

static void network(
    const float *gate, const float *up, const float *down, const double *in, double *out)
{
	double g[N_FF], u[N_FF];

	multiply(gate, N_FF, N_EMBD, in, g);
	multiply(up, N_FF, N_EMBD, in, u);
	for (size_t i = 0; i < N_FF; i++)
		g[i] = gelu(g[i]) * u[i];
	multiply(down, N_EMBD, N_FF, g, out);
}

/* Probabilities of all experts; those not among the best become 0, the rest sum to 1. */
static void choose(const struct twin *t, const double *x, double *weights)
{
	double in[N_EMBD], best = 0, sum = 0;
	bool taken[EXPERTS_MAX] = { false };

	rms(NULL, N_EMBD, x, in);
	for (size_t i = 0; i < N_EMBD; i++)
		in[i] *= (double)tensor(t, "ffn_gate_inp.scale")[i] / sqrt(N_EMBD);
	multiply(tensor(t, "ffn_gate_inp.weight"), t->n_expert, N_EMBD, in, weights);
	for (size_t n = 0; n < t->n_used; n++) {
		size_t at = EXPERTS_MAX;

		for (size_t e = 0; e < t->n_expert; e++) {
			if (!taken[e] && (at == EXPERTS_MAX || weights[e] > best)) {
				best = weights[e];
				at = e;
			}
		}
		taken[at] = true;
	}
	for (size_t e = 0; e < t->n_expert; e++) {
		weights[e] = taken[e] ? exp(weights[e]) : 0;
		sum += weights[e];
	}
	for (size_t e = 0; e < t->n_expert; e++)
		weights[e] /= sum;
}

static void experts(const struct twin *t, const double *x, double *out)
{
	const float *both = tensor(t, "ffn_gate_up_exps.weight");
	const float *down = tensor(t, "ffn_down_exps.weight");
	double in[N_EMBD], weights[EXPERTS_MAX], one[N_EMBD];

	choose(t, x, weights);
	rms(tensor(t, "pre_ffw_norm_2.weight"), N_EMBD, x, in);
	memset(out, 0, N_EMBD * sizeof(*out));
	for (size_t e = 0; e < t->n_expert; e++) {
		const float *gate = both + e * 2 * N_FF * N_EMBD;

		network(gate, gate + N_FF * N_EMBD, down + e * N_EMBD * N_FF, in, one);
		for (size_t i = 0; i < N_EMBD; i++)
			out[i] += weights[e] * (double)tensor(t, "ffn_down_exps.scale")[e] * one[i];
	}
}

static void feed_forward(const struct twin *t, double *x)
{
	double in[N_EMBD], dense[N_EMBD], routed[N_EMBD];

	rms(tensor(t, "ffn_norm.weight"), N_EMBD, x, in);
	network(tensor(t, "ffn_gate.weight"), tensor(t, "ffn_up.weight"),
	    tensor(t, "ffn_down.weight"), in, dense);
	rms(tensor(t, "post_ffw_norm_1.weight"), N_EMBD, dense, dense);
	experts(t, x, routed);
	rms(tensor(t, "post_ffw_norm_2.weight"), N_EMBD, routed, routed);
	for (size_t i = 0; i < N_EMBD; i++)
		dense[i] += routed[i];
	rms(tensor(t, "post_ffw_norm.weight"), N_EMBD, dense, dense);
	for (size_t i = 0; i < N_EMBD; i++) {
		x[i] += dense[i];
		if (tensor(t, "layer_output_scale.weight") != NULL)
			x[i] *= (double)*tensor(t, "layer_output_scale.weight");
	}
}

/* Layer 0 has a window of WINDOW and heads of 32, layer 1 heads of 64. */
static void twin_token(struct twin *t, int32_t id, size_t pos, double *logits)
{
	const float *embd;
	double x[N_EMBD];

	t->layer = -1;
	embd = tensor(t, "token_embd.weight");
	for (size_t i = 0; i < N_EMBD; i++)
		x[i] = (double)embd[(size_t)id * N_EMBD + i] * sqrt(N_EMBD);
	for (t->layer = 0; t->layer < 2; t->layer++) {
		t->local = t->layer == 0;
		t->dim = t->local ? 32 : 64;
		attention(t, pos, x);
		feed_forward(t, x);
	}
	t->layer = -1;
	rms(tensor(t, "output_norm.weight"), N_EMBD, x, x);
	multiply(embd, FAMILY_VOCAB, N_EMBD, x, logits);
	for (size_t i = 0; i < FAMILY_VOCAB; i++)
		logits[i] = LOGIT_CAP * tanh(logits[i] / LOGIT_CAP);
}

static void compute(const char *path, const int32_t *ids, float *logits)
{
	struct engine_config config = { .n_ctx = N_TOKENS, .n_threads = 2, .cache = CACHE_F32 };
	struct engine_row rows[N_TOKENS];
	struct model *model = NULL;
	struct engine *engine = NULL;
	struct errmsg why = ERRMSG_INIT;

	for (uint32_t i = 0; i < N_TOKENS; i++)
		rows[i] = (struct engine_row){ .token = ids[i], .pos = i, .want_logits = true };
	if (model_open(path, &model, &why) != RC_OK ||
	    engine_new(model, &config, &engine, &why) != RC_OK ||
	    engine_forward(engine, rows, N_TOKENS, logits, NULL, NULL, &why) != RC_OK)
		fail_msg("%s", why.text);
	engine_free(engine);
	model_close(model);
}

static void test_experts_beside_a_dense_network_give_what_the_twin_gives(void **unused)
{
	const struct family *f = NULL;
	struct twin *t = calloc(1, sizeof(*t));
	struct gguf *gguf = NULL;
	struct gguf_build b;
	struct errmsg why = ERRMSG_INIT;
	char path[64];
	int32_t ids[N_TOKENS];
	float got[N_TOKENS * FAMILY_VOCAB];
	double expected[FAMILY_VOCAB], error = 0, power = 0;
	uint64_t state = 4;

	(void)unused;
	assert_non_null(t);
	while ((f = family_next(f)) != NULL && strcmp(f->name, "gemma4 with experts") != 0)
		continue;
	assert_non_null(f);
	(void)snprintf(path, sizeof(path), "/tmp/test_gemma4.%d.gguf", (int)getpid());
	gguf_build_init(&b, 9);
	family_build(&b, f, TYPE_F32);
	assert_true(gguf_build_write(&b, path));
	gguf_build_fini(&b);
	for (size_t i = 0; i < N_TOKENS; i++)
		ids[i] = (int32_t)(random_next(&state) % FAMILY_VOCAB);
	compute(path, ids, got);
	assert_int_equal(gguf_open(path, &gguf, &why), RC_OK);
	t->gguf = gguf;
	t->n_expert = 6;
	t->n_used = 2;
	for (size_t pos = 0; pos < N_TOKENS; pos++) {
		twin_token(t, ids[pos], pos, expected);
		for (size_t i = 0; i < FAMILY_VOCAB; i++) {
			double d = (double)got[pos * FAMILY_VOCAB + i] - expected[i];

			error += d * d;
			power += expected[i] * expected[i];
		}
	}
	print_message("NMSE %.3g\n", error / power);
	assert_true(power > 1 && error / power < 1e-6); /* GELU is of 16 bits in the engine */
	gguf_close(gguf);
	(void)unlink(path);
	free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_experts_beside_a_dense_network_give_what_the_twin_gives),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
