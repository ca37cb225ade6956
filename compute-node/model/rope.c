/* Frequencies of the rotary embedding. */
#include "model/rope.h"

#include <math.h>
#include <stdio.h>

#include "kernels/exact.h"
#include "model/bind.h"

#define BASE_DEFAULT 10000.0f
#define TAU 6.283185307179586

/* What the keys say. */
struct scaling {
	bool yarn;
	float base, factor, attn_factor, ext_factor, beta_fast, beta_slow;
	uint32_t n_ctx_orig;
};

static enum rc read_type(struct model *m, struct scaling *s, struct errmsg *why)
{
	struct gguf_string_view type = { "linear", 6 };
	char key[GGUF_KEY_BYTES_MAX];
	enum rc rc;

	(void)snprintf(key, sizeof(key), "%s.rope.scaling.type", m->arch->name);
	rc = gguf_get_string(m->gguf, key, &type, why);
	if (rc != RC_OK && rc != RC_NOTFOUND)
		return rc;
	s->yarn = gguf_view_is(type, "yarn");
	if (!s->yarn && !gguf_view_is(type, "linear") && !gguf_view_is(type, "none"))
		return errmsg_rc(why, RC_UNSUPPORTED, "GGUF: key %s: unknown scaling '%.*s'", key,
		    (int)type.len, type.text);
	return RC_OK;
}

static enum rc read_scaling(struct model *m, struct scaling *s, struct errmsg *why)
{
	const struct {
		const char *key;
		float fallback;
		float *out;
	} floats[] = {
		{ "rope.freq_base", BASE_DEFAULT, &s->base },
		{ "rope.scale_linear", 1.0f, &s->factor },
		{ "rope.scaling.factor", 0.0f, &s->factor },
		{ "rope.scaling.attn_factor", 1.0f, &s->attn_factor },
		{ "rope.scaling.yarn_ext_factor", 1.0f, &s->ext_factor },
		{ "rope.scaling.yarn_beta_fast", 32.0f, &s->beta_fast },
		{ "rope.scaling.yarn_beta_slow", 1.0f, &s->beta_slow },
	};
	enum rc rc = read_type(m, s, why);

	for (size_t i = 0; rc == RC_OK && i < sizeof(floats) / sizeof(floats[0]); i++) {
		float value = 0;

		rc = bind_f32_or(m, floats[i].key, floats[i].fallback, &value, why);
		/* rope.scale_linear is the older name of the factor */
		if (rc == RC_OK && value != 0)
			*floats[i].out = value;
	}
	if (rc == RC_OK)
		rc = bind_u32_or(m, "rope.scaling.original_context_length", MODEL_CTX_MAX,
		    m->n_ctx_train, &s->n_ctx_orig, why);
	if (rc != RC_OK)
		return rc;
	if (!(s->base > 1.0f))
		return errmsg_rc(why, RC_INVALID, "GGUF: key %s.rope.freq_base: %g is out of range",
		    m->arch->name, (double)s->base);
	if (!(s->factor > 0.0f))
		return errmsg_rc(why, RC_INVALID,
		    "GGUF: key %s.rope.scaling.factor: %g is out of range", m->arch->name,
		    (double)s->factor);
	if (s->ext_factor < 0)
		s->ext_factor = 1.0f; /* written for "unset" */
	return RC_OK;
}

/* The dimension that turns `turns` times within the original context. */
static double correction_dim(const struct scaling *s, uint32_t n_rot, double turns)
{
	return n_rot * exact_log((double)s->n_ctx_orig / (turns * TAU)) /
	       (2 * exact_log((double)s->base));
}

/* How much pair `i` keeps its own frequency (YaRN's ramp). */
static double kept(const struct scaling *s, uint32_t n_rot, uint32_t i)
{
	double low = floor(correction_dim(s, n_rot, (double)s->beta_fast));
	double high = ceil(correction_dim(s, n_rot, (double)s->beta_slow));
	double ramp;

	low = low < 0 ? 0 : low;
	high = high > n_rot - 1 ? n_rot - 1 : high;
	ramp = (i - low) / (high - low > 0.001 ? high - low : 0.001);
	ramp = ramp < 0 ? 0 : ramp > 1 ? 1 : ramp;
	return (1 - ramp) * (double)s->ext_factor;
}

enum rc rope_bind(struct model *m, bool halves, struct rope *out, struct errmsg *why)
{
	struct scaling s = { .factor = 1.0f };
	const float *divisors = NULL;
	double *freqs;
	enum rc rc = read_scaling(m, &s, why);

	if (rc == RC_OK)
		rc = bind_u32_or(
		    m, "rope.dimension_count", m->head_dim_k, m->head_dim_k, &out->n_rot, why);
	if (rc != RC_OK)
		return rc;
	if (out->n_rot % 2 != 0)
		return errmsg_rc(why, RC_INVALID, "GGUF: key %s.rope.dimension_count: %u is odd",
		    m->arch->name, out->n_rot);
	rc = bind_vector_or_null(
	    m, BIND_GLOBAL, "rope_freqs.weight", out->n_rot / 2, &divisors, why);
	if (rc != RC_OK)
		return rc;
	freqs = arena_array(&m->arena, out->n_rot / 2, sizeof(*freqs));
	if (freqs == NULL)
		return RC_NOMEM;
	for (uint32_t i = 0; i < out->n_rot / 2; i++) {
		double own = exact_pow((double)s.base, -2.0 * i / out->n_rot);
		double slow, keep;

		if (divisors != NULL)
			own /= (double)divisors[i];
		slow = own / (double)s.factor;
		keep = s.yarn ? kept(&s, out->n_rot, i) : 0;
		freqs[i] = slow * (1 - keep) + own * keep;
	}
	out->freqs = freqs;
	out->halves = halves;
	out->magnitude = (double)s.attn_factor;
	if (s.yarn && s.factor > 1.0f)
		out->magnitude *= 1.0 + 0.1 * exact_log((double)s.factor);
	return RC_OK;
}

void rope_table(const struct rope *rope, uint32_t pos, float *out)
{
	for (uint32_t i = 0; i < rope->n_rot / 2; i++) {
		double s, c;

		exact_sincos(pos * rope->freqs[i], &s, &c);
		out[2 * i] = (float)(c * rope->magnitude);
		out[2 * i + 1] = (float)(s * rope->magnitude);
	}
}
