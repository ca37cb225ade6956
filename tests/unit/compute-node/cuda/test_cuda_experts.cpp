/*
 * cuda/experts*.cu under the emulator: choices against a plain reading of
 * infer/experts.c, whole networks against sums in double, by blocks and by tiles, and
 * rows whose bits do not depend on the others.  cuda_widen() and the functions of
 * gemv.cu are stood in for here: a matrix is plain floats in its first plane.
 */

#include <algorithm>

#include "cuda/experts.cuh"
#include "kernel_test.h"
#include "model/type.h"

#define SUM_MIN 6.103515625e-5f

enum { SOFTMAX = 1, SIGMOID = 2, SOFTMAX_CHOSEN = 3 };

static unsigned n_by_blocks, n_widened;

/* ---- what other files do ---- */

cudaError_t cuda_widen(const struct cuda_pass *, const struct backend_matrix *m, uint64_t first,
    uint64_t rows, uint16_t *out)
{
	const float *from = (const float *)m->planes[0];
	uint64_t kp = gemm_padded(m->k);

	n_widened++;
	assert_true(first + rows <= m->rows);
	for (uint64_t r = 0; r < rows; r++) {
		for (uint64_t i = 0; i < kp; i++)
			out[r * kp + i] = i < m->k ? half_to_f16(from[(first + r) * m->k + i]) : 0;
	}
	return cudaSuccess;
}

cudaError_t cuda_gemv(const struct cuda_pass *, const struct backend_product *, uint32_t,
    const struct backend_acts *, uint32_t)
{
	return cudaErrorInvalidValue;
}

static double act(enum backend_activation kind, double gate, double up)
{
	switch (kind) {
	case BACKEND_SILU_GATED:
		return gate / (1 + exp(-gate)) * up;
	case BACKEND_CLAMPED_GATED:
		gate = fmin(gate, 7);
		return gate / (1 + exp(-1.702 * gate)) * (fmax(fmin(up, 7), -7) + 1);
	case BACKEND_RELU_SQUARED:
		return up > 0 ? up * up : 0;
	default:
		return 0;
	}
}

static double dot(const struct backend_matrix *m, uint64_t row, const double *x)
{
	const float *w = (const float *)m->planes[0] + row * m->k;
	double sum = 0;

	for (uint64_t i = 0; i < m->k; i++)
		sum += (double)w[i] * x[i];
	return sum * (m->factors != NULL ? m->factors[row / m->height] : 1);
}

static double inner(const struct backend_experts *e, uint32_t expert, uint32_t i, const double *x)
{
	uint64_t first = expert * e->up_height, at = (uint64_t)expert * e->n_ff + i;
	double up = dot(&e->up, first + e->up_height - e->n_ff + i, x), gate = 0;

	up += e->up_bias != NULL ? e->up_bias[at] : 0;
	if (e->gated)
		gate = dot(&e->gate, first + i, x) + (e->gate_bias != NULL ? e->gate_bias[at] : 0);
	return act(e->activation, gate, up);
}

static double outer(const struct backend_experts *e, uint32_t expert, uint32_t i, const double *x)
{
	uint64_t at = (uint64_t)expert * e->n + i;

	return dot(&e->down, at, x) + (e->down_bias != NULL ? e->down_bias[at] : 0);
}

/* Hidden goes through the same place in f32, or as f32 where q8 is wanted: n_ff numbers
 * of one byte would not do for a test of sums. */
static std::vector<float> kept;

cudaError_t cuda_gemv_experts(const struct cuda_pass *p, const struct backend_experts *e,
    const uint32_t *chosen, const struct backend_acts *hidden)
{
	uint64_t n = (uint64_t)p->n_rows * e->n_used;
	std::vector<double> x(e->n);

	n_by_blocks++;
	kept.assign(n * e->n_ff, 0);
	for (uint64_t s = 0; s < n; s++) {
		for (uint32_t i = 0; i < e->n; i++)
			x[i] = e->in.f32[s / e->n_used * e->n + i];
		for (uint32_t i = 0; i < e->n_ff; i++)
			kept[s * e->n_ff + i] = (float)inner(e, chosen[s], i, x.data());
	}
	if (hidden->f32 != NULL)
		memcpy(hidden->f32, kept.data(), kept.size() * sizeof(float));
	if (hidden->q8 != NULL) { /* all of it must be ours */
		memset(hidden->q8, 1, kept.size());
		memset(hidden->q8_scales, 1, kept.size() / 32 * 8);
	}
	return cudaSuccess;
}

cudaError_t cuda_gemv_experts_down(const struct cuda_pass *p, const struct backend_experts *e,
    const uint32_t *chosen, const float *weights, const struct backend_acts *hidden)
{
	uint64_t n = (uint64_t)p->n_rows * e->n_used;
	std::vector<double> x(e->n_ff);

	assert_true((hidden->f32 != NULL) == (e->down.type == TYPE_F32));
	assert_true((hidden->q8 != NULL) == (e->down.type != TYPE_F32));
	for (uint64_t s = 0; s < n; s++) {
		for (uint32_t i = 0; i < e->n_ff; i++)
			x[i] = kept[s * e->n_ff + i];
		for (uint32_t d = 0; d < e->n; d++)
			e->x[s / e->n_used * e->n + d] +=
			    weights[s] * (float)outer(e, chosen[s], d, x.data());
	}
	return cudaSuccess;
}

/* ---- choices ---- */

static uint32_t best_of(const float *keys, const uint8_t *taken, uint32_t n)
{
	uint32_t at = 0;

	while (taken[at] != 0)
		at++;
	for (uint32_t i = at + 1; i < n; i++) {
		if (taken[i] == 0 && keys[i] > keys[at])
			at = i;
	}
	return at;
}

static float group_of(const struct backend_experts *e, const float *keys, uint32_t n)
{
	std::vector<uint8_t> taken(n);
	uint32_t first = best_of(keys, taken.data(), n);

	if (e->gating == SOFTMAX || n == 1)
		return keys[first];
	taken[first] = 1;
	return keys[first] + keys[best_of(keys, taken.data(), n)];
}

static void leave_groups(
    const struct backend_experts *e, const float *keys, std::vector<uint8_t> &taken)
{
	uint32_t n = e->n_expert / e->n_group;
	std::vector<float> groups(e->n_group);
	std::vector<uint8_t> used(e->n_group);

	for (uint32_t g = 0; g < e->n_group; g++)
		groups[g] = group_of(e, keys + g * n, n);
	std::fill(taken.begin(), taken.end(), (uint8_t)1);
	for (uint32_t i = 0; i < e->n_group_used; i++) {
		uint32_t g = best_of(groups.data(), used.data(), e->n_group);

		used[g] = 1;
		std::fill(taken.begin() + g * n, taken.begin() + (g + 1) * n, (uint8_t)0);
	}
}

/* Keys are handed out too. */
static void choose(const struct backend_experts *e, uint64_t row, uint32_t *chosen, float *weights,
    std::vector<float> &keys)
{
	std::vector<float> scores(
	    e->scores + row * e->n_expert, e->scores + (row + 1) * e->n_expert);
	std::vector<uint8_t> taken(e->n_expert);
	float top = *std::max_element(scores.begin(), scores.end()), sum = 0, factor = e->scale;
	double all = 0;

	for (float &s : scores) {
		if (e->gating == SOFTMAX)
			all += s = expf(s - top);
		else if (e->gating == SIGMOID)
			s = 1.0f / (1.0f + expf(-s));
	}
	for (uint32_t i = 0; i < e->n_expert; i++) {
		scores[i] = e->gating == SOFTMAX ? (float)(scores[i] / all) : scores[i];
		keys[i] = e->choice_bias != NULL ? scores[i] + e->choice_bias[i] : scores[i];
	}
	if (e->n_group > 1)
		leave_groups(e, keys.data(), taken);
	for (uint32_t i = 0; i < e->n_used; i++) {
		chosen[i] = best_of(keys.data(), taken.data(), e->n_expert);
		taken[chosen[i]] = 1;
		weights[i] = scores[chosen[i]];
		if (e->gating == SOFTMAX_CHOSEN)
			weights[i] = expf(weights[i] - scores[chosen[0]]);
		sum += weights[i];
	}
	if (e->gating == SOFTMAX_CHOSEN)
		factor /= sum;
	else if (e->norm)
		factor /= sum > SUM_MIN ? sum : SUM_MIN;
	for (uint32_t i = 0; i < e->n_used; i++)
		weights[i] *= factor;
}

/* `exact`: equal scores are many, and their order is that of the numbers. */
static void check_choice(const struct backend_experts *e, uint32_t n_rows, bool exact)
{
	std::vector<uint32_t> chosen(n_rows * e->n_used, UINT32_MAX), wanted(e->n_used);
	std::vector<float> weights(n_rows * e->n_used, NAN), by(e->n_used), keys(e->n_expert);
	struct cuda_pass p = pass_of(n_rows);

	assert_int_equal(cuda_choose(&p, e, chosen.data(), weights.data()), cudaSuccess);
	for (uint32_t t = 0; t < n_rows; t++) {
		const uint32_t *got = &chosen[t * e->n_used];

		choose(e, t, wanted.data(), by.data(), keys);
		for (uint32_t i = 0; i < e->n_used; i++) {
			assert_true(got[i] < e->n_expert);
			if (got[i] != wanted[i]) /* the last bits of a sum of exponents */
				assert_true(!exact && fabsf(keys[got[i]] - keys[wanted[i]]) <=
							  2e-6f * fabsf(keys[wanted[i]]));
			assert_true(fabsf(weights[t * e->n_used + i] - by[i]) <=
				    1e-5f * fabsf(by[i]) + 1e-30f);
		}
	}
}

static void test_choices_are_those_of_the_specification(void **)
{
	static const uint32_t all[][4] = { /* experts, used, groups, groups used */
		{ 1, 1, 1, 1 }, { 4, 2, 1, 1 }, { 8, 8, 1, 1 }, { 60, 4, 1, 1 }, { 128, 8, 1, 1 },
		{ 256, 8, 8, 4 }, { 160, 6, 8, 3 }, { 64, 6, 64, 20 }, { 512, 10, 1, 1 },
		{ 513, 22, 1, 1 }, { 100, 5, 3, 2 }, { 4096, 40, 32, 16 }, { 4096, 33, 1, 1 }
	};

	for (const uint32_t *s : all) {
		for (uint32_t gating = SOFTMAX; gating <= SOFTMAX_CHOSEN; gating++) {
			const uint32_t n_rows = s[0] > 1000 ? 2 : 7;
			std::vector<float> scores = random_floats(n_rows * s[0], 6.0f);
			std::vector<float> bias = random_floats(s[0], 0.5f);
			struct backend_experts e = {};

			e.scores = scores.data();
			e.n_expert = s[0];
			e.n_used = s[1];
			e.n_group = s[2];
			e.n_group_used = s[3];
			e.gating = gating;
			for (int i = 0; i < 4; i++) {
				e.norm = i % 2 != 0;
				e.choice_bias = i / 2 != 0 ? bias.data() : NULL;
				e.scale = i == 0 ? 1.0f : 2.5f;
				check_choice(&e, n_rows, false);
			}
		}
	}
}

static void test_equal_scores_go_to_the_lower_number(void **)
{
	for (uint32_t gating = SOFTMAX; gating <= SOFTMAX_CHOSEN; gating++) {
		std::vector<float> scores(9 * 96);
		struct backend_experts e = {};

		for (float &s : scores)
			s = (float)(random_word() % 5) - 2.0f;
		for (uint32_t i = 0; i < 96; i++)
			scores[i] = i % 2 != 0 ? 0.0f : -0.0f; /* equal, too */
		e.scores = scores.data();
		e.n_expert = 96;
		e.n_used = 12;
		e.n_group = 1;
		e.gating = gating;
		e.scale = 1.0f;
		e.norm = true;
		check_choice(&e, 9, true);
		if (gating == SOFTMAX) /* sums of a group differ in the last bit otherwise */
			continue;
		e.n_group = 6;
		e.n_group_used = 2;
		check_choice(&e, 9, true);
	}
}

static void test_no_score_chooses_outside(void **)
{
	std::vector<float> scores(3 * 40, NAN);
	std::vector<uint32_t> chosen(3 * 4, UINT32_MAX);
	std::vector<float> weights(3 * 4);
	struct backend_experts e = {};
	struct cuda_pass p = {};

	std::fill(scores.begin() + 40, scores.begin() + 80, -INFINITY);
	e.scores = scores.data();
	e.n_expert = 40;
	e.n_used = 4;
	e.n_group = 4;
	e.n_group_used = 1;
	e.scale = 1.0f;
	p.n_rows = 3;
	for (e.gating = SOFTMAX; e.gating <= SOFTMAX_CHOSEN; e.gating++) {
		assert_int_equal(cuda_choose(&p, &e, chosen.data(), weights.data()), cudaSuccess);
		for (uint32_t c : chosen)
			assert_true(c < 40);
	}
}

/* ---- sorting ---- */

static void check_sort(uint32_t n_rows, uint32_t n_used, uint32_t n_expert, uint32_t tile_rows)
{
	const uint32_t n = n_rows * n_used, n_tiles = n / tile_rows + n_expert;
	std::vector<uint32_t> chosen(n), ranks(n), counts(n_expert), slots(n, UINT32_MAX),
	    sources(n, UINT32_MAX), order(n);
	std::vector<struct gemm_tile> tiles(n_tiles);
	struct experts_sort s = {};
	struct cuda_pass p = {};
	size_t at = 0;

	for (uint32_t i = 0; i < n; i++) { /* of a row no two are the same; some have none */
		uint32_t first = i / n_used * n_used;

		do
			chosen[i] =
			    (random_word() % n_expert) / 2 * (n_expert > 2 * n_used ? 2 : 1);
		while (
		    n_used < n_expert / 2 && std::count(&chosen[first], &chosen[i], chosen[i]) > 0);
		order[i] = i;
	}
	std::stable_sort(order.begin(), order.end(),
	    [&](uint32_t a, uint32_t b) { return chosen[a] < chosen[b]; });
	p.n_rows = n_rows;
	s = { n, n_used, n_expert, chosen.data(), ranks.data(), counts.data(), slots.data(),
		sources.data(), tiles.data(), n_tiles, tile_rows };
	assert_int_equal(cuda_experts_sort(&p, &s), cudaSuccess);
	for (uint32_t slot = 0; slot < n; slot++) {
		assert_int_equal(slots[order[slot]], slot);
		assert_int_equal(sources[slot], order[slot] / n_used);
	}
	for (uint32_t slot = 0, end; slot < n; slot = end) { /* the tiles one after another */
		uint32_t expert = chosen[order[slot]];

		for (end = slot; end < n && end - slot < tile_rows && chosen[order[end]] == expert;)
			end++;
		assert_true(at < n_tiles);
		assert_int_equal(tiles[at].group, expert);
		assert_int_equal(tiles[at].first, slot);
		assert_int_equal(tiles[at].end, end);
		at++;
	}
	for (; at < n_tiles; at++)
		assert_int_equal(tiles[at].group, GEMM_NO_GROUP);
}

static void test_slots_are_sorted_by_expert_and_row(void **)
{
	check_sort(1, 1, 1, 64);
	check_sort(5, 2, 8, 64);
	check_sort(300, 8, 128, 64);
	check_sort(700, 3, 7, 128);
	check_sort(130, 10, 512, 64);
	check_sort(33, 4, 1000, 64);
}

/* ---- whole networks ---- */

struct network {
	struct backend_experts e;
	uint32_t n_rows;
	std::vector<float> scores, gate, up, down, gate_bias, up_bias, down_bias, f32, scales;
	std::vector<uint16_t> f16;
	std::vector<uint8_t> work;
};

struct plan {
	uint32_t n_rows, n_expert, n_used, n, n_ff, type;
	enum backend_activation activation;
	bool one_matrix, biased;
};

static struct backend_matrix matrix_of(
    uint32_t type, const std::vector<float> &w, uint64_t k, uint64_t height)
{
	struct backend_matrix m = {};

	m.type = type;
	m.k = k;
	m.rows = w.size() / k;
	m.height = height;
	m.planes[0] = (const uint8_t *)w.data();
	m.strides[0] = k * 4;
	return m;
}

/* Rows as halves of a power of two, and the same as floats. */
static void fill_rows(struct network *w)
{
	uint32_t n = w->e.n;
	size_t np = gemm_padded(n);

	w->f32.resize((size_t)w->n_rows * n);
	w->f16.assign(w->n_rows * np, 0);
	w->scales.resize(w->n_rows);
	for (uint32_t t = 0; t < w->n_rows; t++) {
		w->scales[t] = ldexpf(1.0f, (int)(random_word() % 3) - 1);
		for (uint32_t i = 0; i < n; i++) {
			uint16_t half = half_to_f16(random_float());

			w->f16[t * np + i] = half;
			w->f32[(size_t)t * n + i] = half_from_f16(half) * w->scales[t];
		}
	}
}

static void fill(struct network *w, const struct plan &s)
{
	struct backend_experts *e = &w->e;
	uint64_t height = s.one_matrix ? 2 * s.n_ff : s.n_ff;

	*e = {};
	e->n_expert = s.n_expert;
	e->n_used = s.n_used;
	e->n_group = 1;
	e->gating = SOFTMAX_CHOSEN;
	e->scale = 1.0f;
	e->activation = s.activation;
	e->gated = s.activation != BACKEND_RELU_SQUARED;
	e->n = s.n;
	e->n_ff = s.n_ff;
	e->up_height = height;
	w->n_rows = s.n_rows;
	w->scores = random_floats(s.n_rows * s.n_expert, 2.0f);
	w->up = random_floats(s.n_expert * height * s.n, 0.2f);
	w->gate = random_floats(s.n_expert * height * s.n, 0.2f);
	w->down = random_floats((size_t)s.n_expert * s.n_ff * s.n, 0.2f);
	w->gate_bias = random_floats(s.n_expert * s.n_ff);
	w->up_bias = random_floats(s.n_expert * s.n_ff);
	w->down_bias = random_floats(s.n_expert * s.n);
	e->up = matrix_of(s.type, w->up, s.n, height);
	e->gate = s.one_matrix ? e->up : matrix_of(s.type, w->gate, s.n, height);
	e->down = matrix_of(s.type, w->down, s.n_ff, s.n);
	e->scores = w->scores.data();
	if (s.biased) {
		e->gate_bias = w->gate_bias.data();
		e->up_bias = w->up_bias.data();
		e->down_bias = w->down_bias.data();
	}
	fill_rows(w);
	e->in.f16 = w->f16.data();
	e->in.f16_scales = w->scales.data();
	w->work.resize(cuda_experts_work(
	    s.n_rows, s.n_expert, s.n_used, s.n, s.n_ff, (uint64_t)s.n_expert * height * s.n));
}

/* x of `n` rows from `first` on. */
static std::vector<float> run(
    struct network *w, bool answer, uint32_t first, uint32_t n, const std::vector<float> &old)
{
	struct backend_experts e = w->e;
	struct cuda_pass p = pass_of(n, 1 + random_word() % 132);
	std::vector<float> x(
	    old.begin() + (size_t)first * e.n, old.begin() + (size_t)(first + n) * e.n);

	memset(w->work.data(), 0xff, w->work.size());
	p.answer = answer;
	p.work = w->work.data();
	p.work_bytes = w->work.size();
	e.scores += (size_t)first * e.n_expert;
	e.in.f16 += first * gemm_padded(e.n);
	e.in.f16_scales += first;
	e.in.f32 = e.in.f32 != NULL ? e.in.f32 + (size_t)first * e.n : NULL;
	e.x = x.data();
	assert_int_equal(cuda_experts(&p, &e), cudaSuccess);
	return x;
}

static void check_rows(
    struct network *w, const std::vector<float> &x, const std::vector<float> &old)
{
	const struct backend_experts *e = &w->e;
	std::vector<uint32_t> chosen(e->n_used);
	std::vector<float> weights(e->n_used), keys(e->n_expert);
	std::vector<double> in(e->n), hidden(e->n_ff), out(e->n);
	double error = 0, size = 0;

	for (uint32_t t = 0; t < w->n_rows; t++) {
		choose(e, t, chosen.data(), weights.data(), keys);
		for (uint32_t i = 0; i < e->n; i++) {
			in[i] = w->f32[(size_t)t * e->n + i];
			out[i] = old[(size_t)t * e->n + i];
		}
		for (uint32_t u = 0; u < e->n_used; u++) {
			for (uint32_t i = 0; i < e->n_ff; i++)
				hidden[i] = inner(e, chosen[u], i, in.data());
			for (uint32_t i = 0; i < e->n; i++)
				out[i] += weights[u] * outer(e, chosen[u], i, hidden.data());
		}
		for (uint32_t i = 0; i < e->n; i++) {
			double d = x[(size_t)t * e->n + i] - out[i];

			assert_true(fabs(d) <= 0.02 * (1 + fabs(out[i])));
			error += d * d;
			size += out[i] * out[i];
		}
	}
	assert_true(sqrt(error / size) < 1e-3);
}

static void check_network(const struct plan &s, uint64_t work, unsigned widened)
{
	struct network w;
	std::vector<float> old;

	fill(&w, s);
	old = random_floats((size_t)s.n_rows * s.n);
	if (work > 0)
		w.work.resize(w.work.size() -
			      cuda_gemm_work((uint64_t)s.n_expert * w.e.up_height * s.n) + work);
	n_by_blocks = n_widened = 0;
	check_rows(&w, run(&w, false, 0, s.n_rows, old), old);
	assert_int_equal(n_by_blocks, 0);
	assert_int_equal(n_widened, widened);
}

static void test_tiles_agree_with_double(void **)
{
	const enum backend_activation silu = BACKEND_SILU_GATED, relu = BACKEND_RELU_SQUARED;

	check_network({ 17, 8, 2, 96, 40, TYPE_Q8_0, silu, false, false }, 0, 3);
	check_network({ 70, 6, 3, 100, 72, TYPE_Q8_0, relu, false, true }, 0, 2);
	check_network({ 33, 4, 2, 64, 132, TYPE_Q4_K, BACKEND_CLAMPED_GATED, false, true }, 0, 3);
	check_network({ 40, 5, 2, 128, 32, TYPE_Q8_0, silu, true, true }, 0, 2);
	check_network({ 1, 16, 4, 64, 64, TYPE_Q8_0, silu, false, false }, 0, 3);
	/* tiles of 128 */
	check_network({ 210, 4, 2, 68, 36, TYPE_Q8_0, silu, false, true }, 0, 3);
}

/* Two experts fit the work memory: four times gate, up and down each. */
static void test_experts_that_do_not_fit_come_in_parts(void **)
{
	check_network({ 21, 7, 2, 128, 64, TYPE_Q8_0, BACKEND_SILU_GATED, false, true },
	    2 * 128 * 64 * 2 + 100, 12);
}

/* Up alone and unlike gate: one matrix of both holds gate first. */
static void test_halves_are_used_where_they_lie(void **)
{
	struct network w;
	std::vector<float> old;
	std::vector<uint16_t> halves;

	fill(&w, { 30, 6, 2, 64, 128, TYPE_Q8_0, BACKEND_SILU_GATED, true, true });
	old = random_floats(30 * 64);
	for (float &v : w.up) {
		halves.push_back(half_to_f16(v));
		v = half_from_f16(halves.back());
	}
	w.e.up.type = w.e.gate.type = TYPE_F16;
	w.e.up.strides[0] = w.e.gate.strides[0] = 64 * 2;
	w.e.up.planes[0] = w.e.gate.planes[0] = (const uint8_t *)halves.data();
	n_widened = 0;
	std::vector<float> x = run(&w, false, 0, 30, old);
	assert_int_equal(n_widened, 1); /* down */
	w.e.up.planes[0] = w.e.gate.planes[0] = (const uint8_t *)w.up.data();
	check_rows(&w, x, old);
}

static void test_bits_of_a_row_do_not_depend_on_the_others(void **)
{
	const uint32_t n_rows = 220, firsts[] = { 0, 5, 100, 219 }, counts[] = { 1, 16, 70 };
	struct network w;
	std::vector<float> old, all;

	/* 64 rows a tile for few rows, 128 for all of them */
	fill(&w, { n_rows, 4, 2, 72, 40, TYPE_Q8_0, BACKEND_SILU_GATED, false, true });
	old = random_floats((size_t)n_rows * 72);
	all = run(&w, false, 0, n_rows, old);
	for (uint32_t first : firsts) {
		for (uint32_t count : counts) {
			std::vector<float> x;

			count = count < n_rows - first ? count : n_rows - first;
			x = run(&w, false, first, count, old);
			assert_memory_equal(
			    x.data(), all.data() + (size_t)first * 72, x.size() * sizeof(float));
		}
	}
}

static void test_answers_and_small_float_networks_go_by_blocks(void **)
{
	static const struct plan all[] = {
		{ 5, 8, 2, 64, 64, TYPE_Q8_0, BACKEND_SILU_GATED, false, true },
		{ 16, 8, 2, 64, 32, TYPE_F32, BACKEND_RELU_SQUARED, false, false },
	};

	for (const struct plan &s : all) {
		struct network w;
		std::vector<float> old = random_floats((size_t)s.n_rows * s.n);

		fill(&w, s);
		w.e.in.f32 = w.f32.data();
		n_by_blocks = 0;
		check_rows(&w, run(&w, true, 0, s.n_rows, old), old);
		assert_int_equal(n_by_blocks, 1);
	}
	{
		struct plan s = all[1];
		struct network w;
		std::vector<float> old;

		s.n_rows = 1100; /* more than are taken at once */
		fill(&w, s);
		old = random_floats((size_t)s.n_rows * s.n);
		w.e.in.f32 = w.f32.data();
		n_by_blocks = 0;
		check_rows(&w, run(&w, false, 0, s.n_rows, old), old);
		assert_int_equal(n_by_blocks, 2);
	}
}

static void test_too_little_work_memory_is_an_error(void **)
{
	struct network w;
	struct cuda_pass p = pass_of(3);
	std::vector<float> x(3 * 64);

	fill(&w, { 3, 4, 2, 64, 64, TYPE_Q8_0, BACKEND_SILU_GATED, false, false });
	w.e.x = x.data();
	p.work = w.work.data();
	for (p.work_bytes = 0; p.work_bytes < 3000; p.work_bytes += 500)
		assert_int_not_equal(cuda_experts(&p, &w.e), cudaSuccess);
}

int main()
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_choices_are_those_of_the_specification),
		cmocka_unit_test(test_equal_scores_go_to_the_lower_number),
		cmocka_unit_test(test_no_score_chooses_outside),
		cmocka_unit_test(test_slots_are_sorted_by_expert_and_row),
		cmocka_unit_test(test_tiles_agree_with_double),
		cmocka_unit_test(test_experts_that_do_not_fit_come_in_parts),
		cmocka_unit_test(test_halves_are_used_where_they_lie),
		cmocka_unit_test(test_bits_of_a_row_do_not_depend_on_the_others),
		cmocka_unit_test(test_answers_and_small_float_networks_go_by_blocks),
		cmocka_unit_test(test_too_little_work_memory_is_an_error),
	};

	random_start();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
