/*
 * What tests of attention's kernels begin with: layers of random inputs and their caches,
 * the same in double precision, and passes built and run over both.
 */
#ifndef CUDA_ATTENTION_FIXTURE_H
#define CUDA_ATTENTION_FIXTURE_H

#include "kernel_test.h"

#define POISON 0xa5
#define GUARD 4096u

static uint32_t n_passes; /* whose number decides how large the device is said to be */
/* Between passes all zero, as between kernels. */
static std::vector<uint32_t> counters(CUDA_COUNTERS);
/* Whether steps are merged by the last block of a head: as it comes, never, always. */
enum { FINISH_MIXED, FINISH_NEVER, FINISH_ALWAYS };
static int finish;

/* A number in [-1, 1) that belongs to four others. */
static float random_of(uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
	uint64_t x = random_seed ^ (a * 0x9e3779b97f4a7c15u) ^ (b * 0xbf58476d1ce4e5b9u) ^
		     (c * 0x94d049bb133111ebu) ^ (d * 0xd6e8feb86659fd93u);

	for (int i = 0; i < 3; i++) {
		x ^= x >> 31;
		x *= 0x7fb5d329728ea185u;
		x ^= x >> 27;
		x *= 0x81dadef4bc2dd44du;
	}
	return (float)(int32_t)(x >> 33 << 1) / 0x1p31f;
}

/* A layer and its cache. */
struct layer {
	uint32_t n_head, n_head_kv, dk, dv;
	enum backend_cache type;
	uint32_t cells, window, n_seq;
	bool norms, v_norm, v_is_k, v_in_k, rotate, halves, sinks;
	uint32_t n_rot;
	float softcap, temp_scale;
	float loud; /* size of queries */
};

static struct layer layer_of(
    uint32_t n_head, uint32_t n_head_kv, uint32_t d, enum backend_cache type)
{
	struct layer l = {};

	l.n_head = n_head;
	l.n_head_kv = n_head_kv;
	l.dk = l.dv = d;
	l.type = type;
	l.cells = 512;
	l.n_seq = 2;
	l.rotate = true;
	l.n_rot = d;
	l.loud = 4;
	return l;
}

struct place {
	uint32_t seq, pos;
};

struct result {
	std::vector<float> f32, q8_scales, f16_scales;
	std::vector<int8_t> q8;
	std::vector<uint16_t> f16;
};

struct world {
	struct layer l;
	std::vector<uint8_t> keys, values;
	std::vector<float> q_norm, k_norm, sinks;
	/* as kept, by seq, position, head */
	std::vector<std::vector<std::vector<double>>> kept_k, kept_v;
};

static uint64_t kept_bytes(enum backend_cache type, uint64_t n)
{
	return type == BACKEND_F16 ? 2 * n : type == BACKEND_F32 ? 4 * n : n + n / 32 * 2;
}

static struct world world_new(struct layer l)
{
	struct world w;

	w.l = l;
	w.keys.assign(kept_bytes(l.type, l.dk) * l.cells * l.n_head_kv * l.n_seq, 0);
	w.values.assign(kept_bytes(l.type, l.dv) * l.cells * l.n_head_kv * l.n_seq, 0);
	for (uint32_t i = 0; i < l.dk; i++) {
		w.q_norm.push_back(1 + random_of(1, i, 0, 0) / 2);
		w.k_norm.push_back(1 + random_of(2, i, 0, 0) / 2);
	}
	for (uint32_t i = 0; i < l.n_head; i++)
		w.sinks.push_back(3 * random_of(3, i, 0, 0));
	w.kept_k.resize(l.n_seq);
	w.kept_v.resize(l.n_seq);
	return w;
}

static double kept_number(enum backend_cache type, const uint8_t *at, uint32_t n, uint32_t d)
{
	uint16_t half;
	float x;

	if (type == BACKEND_F32) {
		memcpy(&x, at + 4 * d, 4);
		return x;
	}
	memcpy(&half, type == BACKEND_F16 ? at + 2 * d : at + n + d / 32 * 2, 2);
	return type == BACKEND_F16 ? half_from_f16(half) : half_from_f16(half) * (int8_t)at[d];
}

static void turn(const struct layer *l, uint32_t pos, std::vector<double> &x)
{
	for (uint32_t i = 0; l->rotate && i < l->n_rot / 2; i++) {
		uint32_t a = l->halves ? i : 2 * i, b = l->halves ? i + l->n_rot / 2 : 2 * i + 1;
		double angle = pos * pow(1000.0, -2.0 * i / l->n_rot), at = x[a];

		x[a] = at * cos(angle) - x[b] * sin(angle);
		x[b] = at * sin(angle) + x[b] * cos(angle);
	}
}

static std::vector<double> normed(const std::vector<float> &x, const float *weight, bool wanted)
{
	std::vector<double> y(x.begin(), x.end());
	double sum = 0;

	for (double v : y)
		sum += v * v;
	for (size_t i = 0; wanted && i < y.size(); i++)
		y[i] *= (weight != NULL ? weight[i] : 1.0) / sqrt(sum / (double)y.size() + 1e-6);
	return y;
}

/* What is projected: kind 0 q, 1 k, 2 v. */
static std::vector<float> projected(
    const struct layer *l, struct place r, uint32_t kind, uint32_t h)
{
	uint32_t n = kind == 2 ? l->dv : l->dk;
	std::vector<float> x(n);

	for (uint32_t d = 0; d < n; d++)
		x[d] = (kind == 0 ? l->loud : 1.5f) *
		       random_of(10 + kind, (uint64_t)r.seq << 32 | r.pos, h, d);
	return x;
}

static void check_near(double got, double want, double tolerance, const char *what)
{
	if (!(fabs(got - want) <= tolerance))
		fail_msg("%s: %.9g instead of %.9g (off by %.3g)", what, got, want, got - want);
}

/* Scales are the largest of each block / 127, as halves. */
static void check_scales(const uint8_t *at, const std::vector<double> &x)
{
	for (size_t b = 0; b < x.size() / 32; b++) {
		double top = 0;
		uint16_t half;

		for (size_t i = 0; i < 32; i++)
			top = fmax(top, fabs(x[b * 32 + i]));
		memcpy(&half, at + x.size() + 2 * b, 2);
		check_near(half_from_f16(half), top / 127, top / 127 / 1000, "scale");
	}
}

/* Read back what was kept for a row, and compare it. */
static void check_kept(struct world *w, struct place r)
{
	const struct layer *l = &w->l;

	for (uint32_t h = 0; h < l->n_head_kv; h++) {
		std::vector<double> k = normed(projected(l, r, 1, h), w->k_norm.data(), l->norms);
		std::vector<double> v =
		    normed(projected(l, r, l->v_is_k ? 1 : 2, h), NULL, l->v_norm);
		double top_k = 0, top_v = 0,
		       step = l->type == BACKEND_Q8_0  ? 1 / 250.0
			      : l->type == BACKEND_F16 ? 1 / 2000.0
						       : 1e-5;
		uint64_t at = ((uint64_t)r.seq * l->n_head_kv + h) * l->cells + r.pos % l->cells;
		std::vector<double> kept_k(l->dk), kept_v(l->dv);

		turn(l, r.pos, k);
		for (double x : k)
			top_k = fmax(top_k, fabs(x));
		for (double x : v)
			top_v = fmax(top_v, fabs(x));
		for (uint32_t d = 0; d < l->dk; d++) {
			kept_k[d] = kept_number(
			    l->type, &w->keys[at * kept_bytes(l->type, l->dk)], l->dk, d);
			check_near(kept_k[d], k[d], step * top_k, "key");
		}
		for (uint32_t d = 0; d < l->dv && l->v_in_k; d++)
			kept_v[d] = kept_k[l->dk - l->dv + d];
		for (uint32_t d = 0; d < l->dv && !l->v_in_k; d++) {
			kept_v[d] = kept_number(
			    l->type, &w->values[at * kept_bytes(l->type, l->dv)], l->dv, d);
			check_near(kept_v[d], v[d], step * top_v, "value");
		}
		if (l->type == BACKEND_Q8_0)
			check_scales(&w->keys[at * kept_bytes(l->type, l->dk)], k);
		if (l->type == BACKEND_Q8_0 && !l->v_in_k)
			check_scales(&w->values[at * kept_bytes(l->type, l->dv)], v);
		if (w->kept_k[r.seq].size() <= (r.pos + 1) * l->n_head_kv) {
			w->kept_k[r.seq].resize((r.pos + 1) * l->n_head_kv + h + 1);
			w->kept_v[r.seq].resize((r.pos + 1) * l->n_head_kv + h + 1);
		}
		w->kept_k[r.seq][r.pos * l->n_head_kv + h] = kept_k;
		w->kept_v[r.seq][r.pos * l->n_head_kv + h] = kept_v;
	}
}

/* One head of a row over what was kept. */
static std::vector<double> attend(const struct world *w, struct place r, uint32_t head)
{
	const struct layer *l = &w->l;
	uint32_t kv = head / (l->n_head / l->n_head_kv);
	uint32_t first = l->window > 0 && r.pos >= l->window ? r.pos + 1 - l->window : 0;
	std::vector<double> q = normed(projected(l, r, 0, head), w->q_norm.data(), l->norms);
	std::vector<double> out(l->dv), s;
	double top = l->sinks ? w->sinks[head] : -INFINITY, sum;

	turn(l, r.pos, q);
	for (double &x : q)
		x *= l->temp_scale != 0 ? 1 + l->temp_scale * log(1.0 + r.pos / 16) : 1;
	for (uint32_t p = first; p <= r.pos; p++) {
		const std::vector<double> &k = w->kept_k[r.seq][p * l->n_head_kv + kv];
		double dot = 0;

		for (uint32_t d = 0; d < l->dk; d++)
			dot += q[d] * k[d];
		dot /= sqrt(l->dk);
		s.push_back(l->softcap != 0 ? l->softcap * tanh(dot / l->softcap) : dot);
		top = fmax(top, s.back());
	}
	sum = l->sinks ? exp(w->sinks[head] - top) : 0;
	for (uint32_t p = first; p <= r.pos; p++) {
		const std::vector<double> &v = w->kept_v[r.seq][p * l->n_head_kv + kv];
		double weight = exp(s[p - first] - top);

		sum += weight;
		for (uint32_t d = 0; d < l->dv; d++)
			out[d] += weight * v[d];
	}
	for (double &x : out)
		x /= sum;
	return out;
}

static void check_forms(const struct layer *l, const struct result *r, size_t n_rows)
{
	size_t n = l->n_head * l->dv, padded = (n + 63) / 64 * 64;

	for (size_t row = 0; row < n_rows; row++) {
		float top = 0, scale = r->f16_scales[row];

		for (size_t i = 0; i < n; i++)
			top = fmaxf(top, fabsf(r->f32[row * n + i]));
		assert_true(top / scale >= 512 && top / scale < 1024);
		for (size_t i = 0; i < padded; i++)
			assert_int_equal(r->f16[row * padded + i],
			    i < n ? half_to_f16(r->f32[row * n + i] / scale) : 0);
		for (size_t b = 0; n % 32 == 0 && b < n / 32; b++) {
			const float *x = &r->f32[row * n + b * 32];
			const float *scales = &r->q8_scales[(row * n / 32 + b) * 2];
			int sum = 0;

			top = 0;
			for (size_t i = 0; i < 32; i++)
				top = fmaxf(top, fabsf(x[i]));
			for (size_t i = 0; i < 32; i++) {
				sum += r->q8[row * n + b * 32 + i];
				assert_int_equal(
				    r->q8[row * n + b * 32 + i], (int)rintf(x[i] * (127.0f / top)));
			}
			assert_true(scales[0] == top / 127.0f);
			assert_true(scales[1] == top / 127.0f * (float)sum);
		}
	}
}

/* What projections and tables give for the rows of a pass. */
struct inputs {
	std::vector<struct backend_row> rows;
	std::vector<float> q, k, v, rope;
};

static void append(std::vector<float> *to, const std::vector<float> &x)
{
	to->insert(to->end(), x.begin(), x.end());
}

static struct inputs inputs_of(const struct layer *l, const std::vector<place> &places)
{
	struct inputs in;

	for (const place &at : places) {
		in.rows.push_back({ 0, at.seq, at.pos, UINT32_MAX, false });
		for (uint32_t h = 0; h < l->n_head; h++)
			append(&in.q, projected(l, at, 0, h));
		for (uint32_t h = 0; h < l->n_head_kv; h++) {
			append(&in.k, projected(l, at, 1, h));
			append(&in.v, projected(l, at, 2, h));
		}
		for (uint32_t i = 0; i < l->n_rot / 2; i++) {
			double angle = at.pos * pow(1000.0, -2.0 * i / l->n_rot);

			in.rope.push_back((float)cos(angle));
			in.rope.push_back((float)sin(angle));
		}
	}
	return in;
}

/* Filled with what no pass may leave where it was asked to write. */
static struct result result_of(size_t n_rows, size_t wide)
{
	size_t padded = (wide + 63) / 64 * 64;
	struct result r;

	r.f32.assign(n_rows * wide, NAN);
	r.q8.assign(n_rows * wide, 99);
	r.q8_scales.assign(n_rows * wide / 32 * 2, NAN);
	r.f16.assign(n_rows * padded, 0x7e00);
	r.f16_scales.assign(n_rows, NAN);
	return r;
}

static void set_cache(struct backend_attention *a, struct world *w)
{
	const struct layer *l = &w->l;

	a->type = l->type;
	a->keys = w->keys.data();
	a->values = l->v_in_k ? NULL : w->values.data();
	a->keys_head = kept_bytes(l->type, l->dk) * l->cells;
	a->values_head = kept_bytes(l->type, l->dv) * l->cells;
	a->keys_seq = a->keys_head * l->n_head_kv;
	a->values_seq = a->values_head * l->n_head_kv;
	a->cells = l->cells;
}

static struct backend_attention attention_of(struct world *w, struct inputs *in, bool store)
{
	const struct layer *l = &w->l;
	struct backend_attention a = {};

	a.q = in->q.data();
	a.k = store ? in->k.data() : NULL;
	a.v = store && !l->v_is_k && !l->v_in_k ? in->v.data() : NULL;
	a.q_norm = l->norms ? w->q_norm.data() : NULL;
	a.k_norm = l->norms ? w->k_norm.data() : NULL;
	a.norm_eps = 1e-6f;
	a.v_is_k = l->v_is_k;
	a.v_in_k = l->v_in_k;
	a.v_norm = l->v_norm;
	a.store = store;
	a.rotate = l->rotate;
	a.halves = l->halves;
	a.rope = in->rope.data();
	a.n_rot = l->n_rot;
	a.temp_scale = l->temp_scale;
	a.temp_step = 16;
	a.n_head = l->n_head;
	a.n_head_kv = l->n_head_kv;
	a.dk = l->dk;
	a.dv = l->dv;
	set_cache(&a, w);
	a.window = l->window;
	a.scale = (float)(1 / sqrt(l->dk));
	a.softcap = l->softcap;
	a.sinks = l->sinks ? w->sinks.data() : NULL;
	return a;
}

/* Forms that a pass may be asked for. */
enum { FORM_F32 = 1, FORM_Q8 = 2, FORM_F16 = 4, FORM_ALL = 7 };

static void ask_for(struct backend_attention *a, struct result *r, int forms)
{
	size_t wide = (size_t)a->n_head * a->dv;

	a->out.f32 = (forms & FORM_F32) != 0 ? r->f32.data() : NULL;
	a->out.q8 = (forms & FORM_Q8) != 0 && wide % 32 == 0 ? r->q8.data() : NULL;
	a->out.q8_scales = a->out.q8 != NULL ? r->q8_scales.data() : NULL;
	a->out.f16 = (forms & FORM_F16) != 0 ? r->f16.data() : NULL;
	a->out.f16_scales = a->out.f16 != NULL ? r->f16_scales.data() : NULL;
}

/* Sizes of devices and who merges steps change from pass to pass. */
static struct cuda_pass pass_of(const struct inputs *in, bool answer, uint32_t bound)
{
	struct cuda_pass p = pass_of((uint32_t)in->rows.size(), n_passes++ % 2 == 0 ? 1 : 132);

	if (finish == FINISH_ALWAYS || (finish == FINISH_MIXED && n_passes / 2 % 2 == 0))
		p.counters = counters.data();
	p.answer = answer;
	p.rows = p.host_rows = in->rows.data();
	p.n_past_max = bound;
	return p;
}

/* Nothing is written behind the work area, and counters are left as they were. */
static struct result run_pass(struct world *w, const std::vector<place> &places, bool answer,
    bool store, uint32_t bound, int forms)
{
	const struct layer *l = &w->l;
	struct inputs in = inputs_of(l, places);
	struct backend_attention a = attention_of(w, &in, store);
	struct result r = result_of(places.size(), (size_t)l->n_head * l->dv);
	std::vector<uint8_t> work;
	struct cuda_pass p;

	for (const place &at : places)
		bound = at.pos >= bound ? at.pos + 1 : bound;
	ask_for(&a, &r, forms);
	p = pass_of(&in, answer, bound);
	p.work_bytes = cuda_attention_work(p.n_rows, l->n_head, l->dv, bound);
	work.assign(p.work_bytes + GUARD, POISON);
	p.work = work.data();
	assert_int_equal(cuda_attention(&p, &a), cudaSuccess);
	for (size_t i = 0; i < GUARD; i++)
		assert_int_equal(work[p.work_bytes + i], POISON);
	for (uint32_t i : counters)
		assert_int_equal(i, 0);
	return r;
}

/* Stores rows whose results nobody looks at; a window of one keeps that cheap. */
static void fill(struct world *w, const std::vector<place> &places)
{
	uint32_t window = w->l.window;

	w->l.window = 1;
	(void)run_pass(w, places, false, true, 0, FORM_F32);
	w->l.window = window;
	for (const place &at : places)
		check_kept(w, at);
}

/* Cells that a pass writes hold NaN before. */
static void poison(struct world *w, const std::vector<place> &places)
{
	const struct layer *l = &w->l;
	uint64_t k = kept_bytes(l->type, l->dk), v = kept_bytes(l->type, l->dv);

	for (const place &r : places) {
		for (uint32_t h = 0; h < l->n_head_kv; h++) {
			uint64_t at =
			    ((uint64_t)r.seq * l->n_head_kv + h) * l->cells + r.pos % l->cells;

			memset(&w->keys[at * k], 0x7f, k);
			memset(&w->values[at * v], 0x7f, v);
		}
	}
}

static std::vector<place> run_of(uint32_t seq, uint32_t first, uint32_t n)
{
	std::vector<place> places;

	for (uint32_t i = 0; i < n; i++)
		places.push_back({ seq, first + i });
	return places;
}

static std::vector<place> operator+(std::vector<place> a, const std::vector<place> &b)
{
	a.insert(a.end(), b.begin(), b.end());
	return a;
}

#endif
