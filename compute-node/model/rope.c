/* Frequencies of the rotary embedding. */
#include "model/rope.h"

#include <math.h>
#include <stdio.h>

#include "kernels/exact.h"
#include "model/bind.h"

#define BASE_DEFAULT 10000.0f
#define FREQ_MAX 1e9 /* radians a position: far beyond sense, far below trouble */
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
	if (!s->yarn && !gguf_view_is(type, "linear") && !gguf_view_is(type, "none") &&
	    !gguf_view_is(type, "longrope"))
		return errmsg_rc(why, RC_UNSUPPORTED, "GGUF: key %s: unknown scaling '%.*s'", key,
		    (int)type.len, type.text);
	return RC_OK;
}

static enum rc check_base(const struct model *m, const char *key, float base, struct errmsg *why)
{
	if (!(base > 1.0f))
		return errmsg_rc(why, RC_INVALID, "GGUF: key %s.%s: %g is out of range",
		    m->arch->name, key, (double)base);
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
	rc = check_base(m, "rope.freq_base", s->base, why);
	if (rc != RC_OK)
		return rc;
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

/* The even number of dimensions that are rotated. */
static enum rc bind_dims(struct model *m, const char *key, uint32_t head_dim, uint32_t fallback,
    struct rope *out, struct errmsg *why)
{
	enum rc rc = bind_u32_or(m, key, head_dim, fallback, &out->n_rot, why);

	if (rc == RC_OK && out->n_rot % 2 != 0)
		return errmsg_rc(
		    why, RC_INVALID, "GGUF: key %s.%s: %u is odd", m->arch->name, key, out->n_rot);
	return rc;
}

/* Frequencies, each divided by its own of `divisors` (may be NULL), a tensor of
 * that name. */
static enum rc make_freqs(struct model *m, const struct scaling *s, uint32_t n_rot,
    const char *name, const float *divisors, const double **out, struct errmsg *why)
{
	double *freqs = arena_array(&m->arena, n_rot / 2, sizeof(*freqs));

	if (freqs == NULL)
		return RC_NOMEM;
	for (uint32_t i = 0; i < n_rot / 2; i++) {
		double own = exact_pow((double)s->base, -2.0 * i / n_rot);
		double slow, keep;

		if (divisors != NULL)
			own /= (double)divisors[i];
		if (!(fabs(own) <= FREQ_MAX))
			return errmsg_rc(
			    why, RC_INVALID, "GGUF: tensor %s: number %u is out of range", name, i);
		slow = own / (double)s->factor;
		keep = s->yarn ? kept(s, n_rot, i) : 0;
		freqs[i] = slow * (1 - keep) + own * keep;
	}
	*out = freqs;
	return RC_OK;
}

/* rope_freqs, or one set of factors for contexts up to the original one and one
 * for longer ones. */
static enum rc bind_freqs(
    struct model *m, const struct scaling *s, struct rope *out, struct errmsg *why)
{
	const char *near_name = "rope_factors_short.weight", *far_name = "rope_factors_long.weight";
	const char *name = "rope_freqs.weight";
	const float *near = NULL, *far = NULL;
	uint64_t n = out->n_rot / 2;
	enum rc rc = bind_vector_or_null(m, BIND_GLOBAL, name, n, &near, why);

	if (rc == RC_OK && near == NULL &&
	    (bind_has(m, BIND_GLOBAL, near_name) || bind_has(m, BIND_GLOBAL, far_name))) {
		name = near_name;
		rc = bind_vector(m, BIND_GLOBAL, near_name, n, &near, why);
		if (rc == RC_OK)
			rc = bind_vector(m, BIND_GLOBAL, far_name, n, &far, why);
	}
	if (rc == RC_OK)
		rc = make_freqs(m, s, out->n_rot, name, near, &out->freqs, why);
	if (rc == RC_OK && far != NULL)
		rc = make_freqs(m, s, out->n_rot, far_name, far, &out->freqs_long, why);
	return rc;
}

enum rc rope_bind(struct model *m, bool halves, struct rope *out, struct errmsg *why)
{
	struct scaling s = { .factor = 1.0f };
	enum rc rc = read_scaling(m, &s, why);

	if (rc == RC_OK)
		rc = bind_dims(m, "rope.dimension_count", m->head_dim_k, m->head_dim_k, out, why);
	if (rc == RC_OK)
		rc = bind_freqs(m, &s, out, why);
	if (rc != RC_OK)
		return rc;
	out->halves = halves;
	out->n_ctx_short = s.n_ctx_orig;
	out->magnitude = (double)s.attn_factor;
	if (s.yarn && s.factor > 1.0f)
		out->magnitude *= 1.0 + 0.1 * exact_log((double)s.factor);
	return RC_OK;
}

enum rc rope_bind_local(struct model *m, bool halves, uint32_t head_dim, float base,
    struct rope *out, struct errmsg *why)
{
	struct scaling s = { .factor = 1.0f };
	enum rc rc = bind_f32_or(m, "rope.freq_base_swa", base, &s.base, why);

	if (rc == RC_OK)
		rc = check_base(m, "rope.freq_base_swa", s.base, why);
	if (rc == RC_OK)
		rc = bind_dims(m, "rope.dimension_count_swa", head_dim, head_dim, out, why);
	if (rc == RC_OK)
		rc = make_freqs(m, &s, out->n_rot, NULL, NULL, &out->freqs, why);
	out->halves = halves;
	out->magnitude = 1.0;
	return rc;
}

void rope_table(const struct rope *rope, bool far, uint32_t pos, float *out)
{
	const double *freqs = far ? rope->freqs_long : rope->freqs;

	for (uint32_t i = 0; i < rope->n_rot / 2; i++) {
		double s, c;

		exact_sincos(pos * freqs[i], &s, &c);
		out[2 * i] = (float)(c * rope->magnitude);
		out[2 * i + 1] = (float)(s * rope->magnitude);
	}
}
