/*
 * cuda/rows.cu against double: norms with and without weights, of all rows or the wanted
 * ones, activations of every kind, rotations, soft caps, and each form that rows are
 * written in; odd sizes, poisoned outputs, and rows whose bits do not depend on others.
 */
extern "C" {
#include "kernels/half.h"
}

#include "kernel_test.h"

#define POISON 0xa5
#define GUARD 64u /* numbers behind each output that nobody writes */
#define GELU_VALUES 65536u

static uint32_t padded(uint32_t n)
{
	return (n + CUDA_F16_PAD - 1) / CUDA_F16_PAD * CUDA_F16_PAD;
}

template <class T> static std::vector<T> poisoned(size_t n)
{
	std::vector<T> v(n + GUARD);

	memset((void *)v.data(), POISON, v.size() * sizeof(T));
	return v;
}

template <class T> static bool is_poison(const T &x)
{
	const uint8_t *bytes = (const uint8_t *)&x;

	for (size_t i = 0; i < sizeof(x); i++) {
		if (bytes[i] != POISON)
			return false;
	}
	return true;
}

template <class T> static void check_guard(const std::vector<T> &v)
{
	for (size_t i = v.size() - GUARD; i < v.size(); i++)
		assert_true(is_poison(v[i]));
}

/* All forms of some rows. */
struct forms {
	uint32_t n, n_rows;
	std::vector<float> f32, q8_scales, f16_scales;
	std::vector<int8_t> q8;
	std::vector<uint16_t> f16;
	struct backend_acts acts;
};

static struct forms forms_of(uint32_t n, uint32_t n_rows)
{
	struct forms f = { n, n_rows, poisoned<float>(n * n_rows),
		poisoned<float>(n / 32 * 2 * n_rows), poisoned<float>(n_rows),
		poisoned<int8_t>(n * n_rows), poisoned<uint16_t>(padded(n) * n_rows), {} };

	f.acts.f32 = f.f32.data();
	if (n % 32 == 0) {
		f.acts.q8 = f.q8.data();
		f.acts.q8_scales = f.q8_scales.data();
	}
	f.acts.f16 = f.f16.data();
	f.acts.f16_scales = f.f16_scales.data();
	return f;
}

static void expect(const char *what, double got, double want, double bound)
{
	if (!(fabs(got - want) <= bound))
		fail_msg("%s: %.9g, not %.9g (bound %.3g)", what, got, want, bound);
}

/* Groups of 32 have their scale from their largest number: integers of ±127. */
static void check_q8(const struct forms &f, uint32_t t, const std::vector<double> &want)
{
	for (uint32_t g = 0; g < f.n / 32; g++) {
		const float *scales = &f.q8_scales[(t * (f.n / 32) + g) * 2];
		double top = 0;
		int sum = 0;

		for (uint32_t i = g * 32; i < g * 32 + 32; i++)
			top = fmax(top, fabs(want[i]));
		expect("scale of a group", scales[0], top / 127, 1e-5 * top / 127);
		for (uint32_t i = g * 32; i < g * 32 + 32; i++) {
			int q = f.q8[t * f.n + i];

			sum += q;
			expect("integer", q * (double)scales[0], want[i], 0.5001 * top / 127);
		}
		expect("sum of a group", scales[1], (double)scales[0] * sum,
		    1e-6 * (double)scales[0] * 32 * 127);
	}
}

/* The largest lies in [2^9, 2^10) once the row is divided by its power of two. */
static void check_f16(const struct forms &f, uint32_t t, const std::vector<double> &want)
{
	double scale = f.f16_scales[t], top = 0;
	int exponent;

	assert_true(frexp(scale, &exponent) == 0.5);
	for (double y : want)
		top = fmax(top, fabs(y));
	if (top > 1e-20)
		assert_true(top / scale > 511.9 && top / scale < 1024.1);
	for (uint32_t i = 0; i < padded(f.n); i++) {
		double got = half_from_f16(f.f16[t * padded(f.n) + i]) * scale;

		if (i < f.n)
			expect("half", got, want[i], 0x1.01p-11 * fabs(want[i]) + 1e-7 * scale);
		else
			assert_int_equal(f.f16[t * padded(f.n) + i], 0);
	}
}

static void check_row(
    const struct forms &f, uint32_t t, const std::vector<double> &want, double relative)
{
	for (uint32_t i = 0; i < f.n; i++)
		expect("number", f.f32[t * f.n + i], want[i], relative * fabs(want[i]) + 1e-30);
	if (f.acts.q8 != NULL)
		check_q8(f, t, want);
	check_f16(f, t, want);
}

static void check_guards(const struct forms &f)
{
	check_guard(f.f32);
	check_guard(f.q8);
	check_guard(f.q8_scales);
	check_guard(f.f16);
	check_guard(f.f16_scales);
}

/* A pass over rows of which every other one wants logits. */
struct pass {
	std::vector<backend_row> rows;
	struct cuda_pass p;
};

static struct pass wanting(uint32_t n_rows)
{
	struct pass all = { std::vector<backend_row>(n_rows), pass_of(n_rows, 4) };

	for (uint32_t t = 0; t < n_rows; t++) {
		all.rows[t] = {};
		all.rows[t].pos = random_word() % 100000;
		all.rows[t].wanted = t % 2 == 1 ? all.p.n_wanted++ : UINT32_MAX;
	}
	all.p.rows = all.rows.data();
	return all;
}

static const uint32_t widths[] = { 4, 36, 64, 100, 640, 4096, 5120, 8192, 8260 };

/* x * weight / rms(x) */
static std::vector<double> normed(const float *x, const float *weight, uint32_t n, double eps)
{
	std::vector<double> y(n);
	double sum = 0;

	for (uint32_t i = 0; i < n; i++)
		sum += (double)x[i] * x[i];
	for (uint32_t i = 0; i < n; i++)
		y[i] = x[i] * (weight != NULL ? (double)weight[i] : 1) / sqrt(sum / n + eps);
	return y;
}

static void test_norms_agree_with_double(void **)
{
	for (uint32_t n : widths) {
		for (int kind = 0; kind < 4; kind++) {
			bool wanted = kind % 2 == 1, weights = kind / 2 == 0;
			uint32_t n_rows = 5, n_out = wanted ? 2 : n_rows;
			struct pass pass = wanting(n_rows);
			std::vector<float> x = random_floats(n * n_rows, ldexpf(1, kind * 9 - 12));
			std::vector<float> weight = random_floats(n);
			struct forms f = forms_of(n, n_out);

			for (uint32_t i = 0; i < n; i++)
				x[n + i] = 0; /* a row of zeros */
			assert_int_equal(cuda_norm(&pass.p, x.data(),
					     weights ? weight.data() : NULL, n, 1e-5f, wanted,
					     &f.acts),
			    cudaSuccess);
			for (uint32_t t = 0; t < n_out; t++)
				check_row(f, t,
				    normed(&x[(wanted ? 2 * t + 1 : t) * n],
					weights ? weight.data() : NULL, n, 1e-5f),
				    4e-6);
			check_guards(f);
		}
	}
}

static void test_norms_are_added_to_what_stands_there(void **)
{
	for (uint32_t n : widths) {
		uint32_t n_rows = 3;
		struct pass pass = wanting(n_rows);
		std::vector<float> from = random_floats(n * n_rows), weight = random_floats(n);
		std::vector<float> was = random_floats(n * n_rows), x = was;

		x.resize(x.size() + GUARD);
		memset(&x[n * n_rows], POISON, GUARD * sizeof(float));
		assert_int_equal(
		    cuda_norm_add(&pass.p, from.data(), weight.data(), n, 1e-6f, x.data()),
		    cudaSuccess);
		for (uint32_t t = 0; t < n_rows; t++) {
			std::vector<double> y = normed(&from[t * n], weight.data(), n, 1e-6f);

			for (uint32_t i = 0; i < n; i++)
				expect("sum", x[t * n + i], was[t * n + i] + y[i],
				    4e-6 * (fabs(y[i]) + fabs((double)was[t * n + i])));
		}
		check_guard(x);
	}
}

static void test_forms_are_of_the_rows(void **)
{
	for (uint32_t n : widths) {
		for (uint32_t n_rows : { 1u, 3u }) {
			struct pass pass = wanting(n_rows);
			std::vector<float> x = random_floats(n * n_rows, 1e4f);
			struct forms f = forms_of(n, n_rows);

			assert_int_equal(
			    cuda_forms(&pass.p, x.data(), n, n_rows, &f.acts), cudaSuccess);
			for (uint32_t t = 0; t < n_rows; t++)
				check_row(f, t,
				    std::vector<double>(x.begin() + t * n, x.begin() + (t + 1) * n),
				    0);
			check_guards(f);
			f.acts.f32 = x.data(); /* they stand there already */
			assert_int_equal(
			    cuda_forms(&pass.p, x.data(), n, n_rows, &f.acts), cudaSuccess);
			assert_memory_equal(x.data(), f.f32.data(), x.size() * sizeof(float));
		}
	}
}

static double gelu(double x)
{
	return 0.5 * x * (1 + tanh(0.79788456080286535588 * (x + 0.044715 * x * x * x)));
}

static double activated(enum backend_activation kind, double gate, double up)
{
	switch (kind) {
	case BACKEND_SILU_GATED:
		return gate / (1 + exp(-gate)) * up;
	case BACKEND_CLAMPED_GATED:
		gate = fmin(gate, 7);
		return gate / (1 + exp(-1.702 * gate)) * (fmax(fmin(up, 7), -7) + 1);
	case BACKEND_RELU_SQUARED:
		return up > 0 ? up * up : 0;
	default: /* by a table of halves, but where it has nothing to say */
		if (fabs(gate) < 10)
			gate = gelu((double)half_from_f16(half_to_f16((float)gate)));
		else
			gate = fmax(gate, 0);
		return gate * up;
	}
}

static void check_activation(
    enum backend_activation kind, const std::vector<float> &table, uint32_t n, uint64_t stride)
{
	uint32_t n_rows = 3;
	struct pass pass = wanting(n_rows);
	bool gated = kind != BACKEND_RELU_SQUARED;
	std::vector<float> gate = random_floats(stride * n_rows, 12);
	std::vector<float> up = random_floats(stride * n_rows, 9);
	struct forms f = forms_of(n, n_rows);

	assert_int_equal(cuda_activate(&pass.p, kind, table.data(), gated ? gate.data() : NULL,
			     up.data(), stride, n, n_rows, &f.acts),
	    cudaSuccess);
	for (uint32_t t = 0; t < n_rows; t++) {
		std::vector<double> want(n);

		for (uint32_t i = 0; i < n; i++)
			want[i] =
			    activated(kind, gate[t * stride + i], up[t * stride + i]);
		check_row(f, t, want, 4e-6);
	}
	check_guards(f);
}

static void test_activations_of_every_kind_agree_with_double(void **)
{
	std::vector<float> table(GELU_VALUES);

	for (uint32_t i = 0; i < GELU_VALUES; i++)
		table[i] = (float)gelu((double)half_from_f16((uint16_t)i));
	for (int kind = BACKEND_SILU_GATED; kind <= BACKEND_GELU_GATED; kind++) {
		for (uint32_t n : { 4u, 100u, 704u, 4224u })
			check_activation((enum backend_activation)kind, table, n, n + 4 * (n % 3));
	}
}

static void test_rotations_agree_with_double(void **)
{
	for (uint32_t n_rot : { 2u, 64u, 130u }) {
		struct pass pass = wanting(5);
		std::vector<double> freqs(n_rot / 2);
		std::vector<float> out = poisoned<float>(5 * n_rot);
		double magnitude = 1.19;

		for (uint32_t i = 0; i < n_rot / 2; i++)
			freqs[i] = pow(10000, -2.0 * i / n_rot);
		assert_int_equal(
		    cuda_rotations(&pass.p, freqs.data(), n_rot, magnitude, out.data()),
		    cudaSuccess);
		for (uint32_t t = 0; t < 5; t++) {
			for (uint32_t i = 0; i < n_rot / 2; i++) {
				double angle = pass.rows[t].pos * freqs[i];
				const float *pair = &out[t * n_rot + 2 * i];

				expect("cosine", pair[0], cos(angle) * magnitude, 1e-7);
				expect("sine", pair[1], sin(angle) * magnitude, 1e-7);
			}
		}
		check_guard(out);
	}
}

static void test_soft_caps_agree_with_double(void **)
{
	for (uint32_t n : { 1u, 255u, 1000u }) {
		struct pass pass = wanting(1);
		std::vector<float> was = random_floats(n, 90), x = was;

		x.resize(n + GUARD);
		memset(&x[n], POISON, GUARD * sizeof(float));
		assert_int_equal(cuda_softcap(&pass.p, x.data(), n, 30), cudaSuccess);
		for (uint32_t i = 0; i < n; i++)
			expect("capped", x[i], 30 * tanh(was[i] / 30.0), 3e-6 * fabs(was[i]));
		check_guard(x);
	}
}

static void test_a_row_is_the_same_beside_others(void **)
{
	for (uint32_t n : { 640u, 8192u }) {
		struct pass many = wanting(9), one = wanting(1);
		std::vector<float> x = random_floats(n * 9), weight = random_floats(n);
		struct forms all = forms_of(n, 9), alone = forms_of(n, 1);

		assert_int_equal(cuda_norm(&many.p, x.data(), weight.data(), n, 1e-5f, false,
				     &all.acts),
		    cudaSuccess);
		assert_int_equal(cuda_norm(&one.p, &x[4 * n], weight.data(), n, 1e-5f, false,
				     &alone.acts),
		    cudaSuccess);
		assert_memory_equal(alone.f32.data(), &all.f32[4 * n], n * sizeof(float));
		assert_memory_equal(alone.q8.data(), &all.q8[4 * n], n);
		assert_memory_equal(
		    alone.f16.data(), &all.f16[4 * padded(n)], padded(n) * sizeof(uint16_t));
	}
}

int main()
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_norms_agree_with_double),
		cmocka_unit_test(test_norms_are_added_to_what_stands_there),
		cmocka_unit_test(test_forms_are_of_the_rows),
		cmocka_unit_test(test_activations_of_every_kind_agree_with_double),
		cmocka_unit_test(test_rotations_agree_with_double),
		cmocka_unit_test(test_soft_caps_agree_with_double),
		cmocka_unit_test(test_a_row_is_the_same_beside_others),
	};

	random_start();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
