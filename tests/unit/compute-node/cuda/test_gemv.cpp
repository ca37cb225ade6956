/*
 * Few rows times matrices in blocks: against sums in double precision, and the same bits
 * whatever other rows there are.
 */
#include "random_weights.h"

#define WORK_BYTES (8u << 20)

template <class T> static T *aligned(size_t n)
{
	T *at = (T *)device_memory((n * sizeof(T) + 511) / 256 * 256);

	memset((void *)at, 0xff, (n * sizeof(T) + 511) / 256 * 256);
	return at;
}

/* Rows of activations in the forms that answers have. */
struct test_acts {
	uint32_t n, rows;
	struct backend_acts a = {};

	test_acts(uint32_t n_, uint32_t rows_, bool fill) : n(n_), rows(rows_)
	{
		a.f32 = aligned<float>((size_t)n * rows);
		if (n % 32 == 0) {
			a.q8 = aligned<int8_t>((size_t)n * rows);
			a.q8_scales = aligned<float>((size_t)n * rows / 16);
		}
		for (size_t i = 0; fill && i < (size_t)n * rows; i++)
			a.f32[i] = random_float() * (i % 97 == 0 ? 4.0f : 1.0f);
		if (fill && a.q8 != NULL)
			quantize();
	}
	test_acts(const test_acts &) = delete;
	~test_acts()
	{
		device_memory_free(a.f32);
		device_memory_free(a.q8);
		device_memory_free(a.q8_scales);
	}
	void quantize()
	{
		for (size_t b = 0; b < (size_t)n * rows / 32; b++) {
			const float *x = a.f32 + 32 * b;
			float top = 0;
			int sum = 0;

			for (int i = 0; i < 32; i++)
				top = fmaxf(top, fabsf(x[i]));
			for (int i = 0; i < 32; i++) {
				int q = (int)rintf(x[i] * (top > 0 ? 127.0f / top : 0));

				a.q8[32 * b + i] = (int8_t)q;
				sum += q;
			}
			a.q8_scales[2 * b] = top / 127.0f;
			a.q8_scales[2 * b + 1] = top / 127.0f * (float)sum;
		}
	}
	/* As a matrix of this type sees it. */
	double value(uint32_t type, size_t row, size_t i) const
	{
		size_t at = row * n + i;

		return is_float_type(type) ? a.f32[at]
					   : (double)a.q8[at] * a.q8_scales[at / 32 * 2];
	}
};

static uint32_t test_cc = 90; /* decides how much shared memory there is */

static struct cuda_pass answer_of(uint32_t n_rows, uint32_t units)
{
	struct cuda_pass p = pass_of(n_rows, units);

	p.cc = test_cc;
	p.answer = true;
	p.work = aligned<uint8_t>(WORK_BYTES);
	p.work_bytes = WORK_BYTES;
	return p;
}

struct exact {
	double sum, size; /* Σ, Σ of magnitudes */
};

static struct exact dot(const test_matrix &m, uint64_t row, const test_acts &x, size_t t)
{
	struct exact e = { 0, 0 };

	for (size_t i = 0; i < m.m.k; i++) {
		double product = m.value(row, i) * x.value(m.m.type, t, i);

		e.sum += product;
		e.size += fabs(product);
	}
	return e;
}

static void assert_near(float is, double want, double size, const char *what, uint32_t type,
    unsigned k, unsigned row, unsigned t)
{
	if (!(fabs(is - want) <= size * 1e-6 + 1e-7))
		fail_msg("%s: type %u k %u row %u of activations %u: %g for %g", what, type, k, row,
		    t, is, want);
}

static struct backend_product product_of(const test_matrix &m, float *out, uint64_t stride)
{
	struct backend_product p = {};

	p.matrix = m.m;
	p.rows = m.m.rows;
	p.out = out;
	p.out_stride = stride;
	return p;
}

static uint64_t length_of(uint32_t type, unsigned which)
{
	const uint64_t floats[] = { 264, 512, 1000, 37 }, blocks[] = { 256, 1280, 2304, 512 };
	const uint64_t small[] = { 96, 1024, 1184, 64 }, pairs[] = { 64, 1024, 1216, 192 };

	return (is_float_type(type)	       ? floats
		: type_info(type)->block == 256 ? blocks
		: type_info(type)->block == 64	? pairs
						: small)[which];
}

/* One matrix and some rows: all sums, and nothing but them. */
static void check_product(
    uint32_t type, uint64_t k, uint64_t rows, uint32_t n_rows, uint32_t units, unsigned extra)
{
	test_matrix m(type, k, rows, extra & 1 && rows % 2 == 0 ? 2 : 0);
	test_acts x((uint32_t)k, n_rows, true);
	uint64_t stride = rows + 3;
	float *out = aligned<float>(stride * n_rows), *alone = aligned<float>(rows);
	std::vector<float> bias(rows), was(stride * n_rows);
	struct backend_product p = product_of(m, out, stride);
	struct cuda_pass pass = answer_of(n_rows, units);

	for (float &b : bias)
		b = random_float();
	p.bias = extra & 2 ? bias.data() : NULL;
	p.add = (extra & 4) != 0;
	for (size_t i = 0; p.add && i < stride * n_rows; i++)
		out[i] = random_float();
	memcpy(was.data(), out, stride * n_rows * sizeof(float));
	assert_int_equal(cuda_gemv(&pass, &p, 1, &x.a, n_rows), cudaSuccess);
	for (uint32_t t = 0; t < n_rows; t++) {
		for (uint64_t r = 0; r < rows; r++) {
			struct exact e = dot(m, r, x, t);
			double want = e.sum + (p.bias != NULL ? bias[r] : 0) +
				      (p.add ? was[t * stride + r] : 0);

			assert_near(out[t * stride + r], want, e.size + 2, "product", type,
			    (unsigned)k, (unsigned)r, t);
		}
		assert_memory_equal(out + t * stride + rows, &was[t * stride + rows], 12);
	}
	for (uint32_t t = 0; t < n_rows; t += 3) {
		struct backend_acts one = x.a;

		one.f32 += (size_t)t * k;
		one.q8 += (size_t)t * k;
		one.q8_scales += (size_t)t * k / 16;
		p.out = alone;
		memcpy(alone, &was[t * stride], rows * sizeof(float));
		assert_int_equal(cuda_gemv(&pass, &p, 1, &one, 1), cudaSuccess);
		assert_memory_equal(alone, out + t * stride, rows * sizeof(float));
	}
	device_memory_free(pass.work);
	device_memory_free(out);
	device_memory_free(alone);
}

static void test_products_are_the_sums_whatever_the_other_rows(void **state)
{
	const uint32_t counts[] = { 1, 2, 3, 5, 8, 11, 16, 33 };
	unsigned extra = 0;

	(void)state;
	for (uint32_t type : all_types) {
		for (unsigned i = 0; i < 8; i++, extra++)
			check_product(type, length_of(type, (i + extra) % 4), i % 2 ? 40 : 21,
			    counts[i], i % 3 + 1, extra);
	}
}

static void test_long_rows_come_in_chunks(void **state)
{
	(void)state;
	check_product(TYPE_Q4_0, 8192 + 96, 70, 16, 1, 7);
	check_product(TYPE_Q4_K, 16384, 9, 8, 2, 0);
	check_product(TYPE_Q6_K, 20480, 70, 5, 1, 0);
	check_product(TYPE_F16, 4096 + 8, 70, 16, 1, 0);
	check_product(TYPE_F32, 8192 + 4, 33, 4, 1, 0);
	check_product(TYPE_Q8_0, 49152, 20, 2, 1, 0);
	check_product(TYPE_Q8_0, 49152, 20, 1, 1, 0);
}

static void test_devices_with_less_shared_memory_give_the_same(void **state)
{
	const uint32_t ccs[] = { 80, 89 };

	(void)state;
	for (uint32_t cc : ccs) {
		test_cc = cc;
		check_product(TYPE_Q4_K, 5120, 50, 16, 2, 0);
		check_product(TYPE_Q6_K, 1280, 21, 8, 1, 2);
	}
	test_cc = 90;
}

static void check_several(unsigned n_rows)
{
	const uint32_t types[] = { TYPE_Q4_K, TYPE_Q6_K, TYPE_Q4_K, TYPE_F32, TYPE_Q4_K, TYPE_Q4_K,
		TYPE_Q4_K, TYPE_Q4_K, TYPE_Q4_K, TYPE_Q4_K, TYPE_Q4_K, TYPE_F32 };
	const unsigned n = sizeof(types) / sizeof(types[0]), k = 512;
	struct backend_product products[n] = {};
	std::vector<test_matrix *> m;
	test_acts x(k, n_rows, true);
	struct cuda_pass pass = answer_of(n_rows, 2);

	for (unsigned i = 0; i < n; i++) {
		m.push_back(new test_matrix(types[i], k, 1 + 5 * i));
		products[i] = product_of(
		    *m[i], aligned<float>(m[i]->m.rows * n_rows), m[i]->m.rows);
	}
	assert_int_equal(cuda_gemv(&pass, products, n, &x.a, n_rows), cudaSuccess);
	for (unsigned i = 0; i < n; i++) {
		for (unsigned at = 0; at < n_rows * m[i]->m.rows; at++) {
			unsigned t = at / (unsigned)m[i]->m.rows, r = at % (unsigned)m[i]->m.rows;
			struct exact e = dot(*m[i], r, x, t);

			assert_near(
			    products[i].out[at], e.sum, e.size, "several", types[i], i, r, t);
		}
		device_memory_free(products[i].out);
		delete m[i];
	}
	device_memory_free(pass.work);
}

static void test_products_of_several_types_in_one_call(void **state)
{
	(void)state;
	check_several(3);
	check_several(7);
	check_several(11);
}

/* A table in the place of GELU's: values that tell the index. */
static const float *gelu_table()
{
	static std::vector<float> table(65536);

	for (unsigned i = 0; i < 65536; i++)
		table[i] = half_from_f16((uint16_t)i) * 0.5f;
	return table.data();
}

static double activation(enum backend_activation kind, double gate, double up)
{
	double g = gate < 7 ? gate : 7, u = up < 7 ? up > -7 ? up : -7 : 7;

	switch (kind) {
	case BACKEND_SILU_GATED:
		return gate / (1 + exp(-gate)) * up;
	case BACKEND_CLAMPED_GATED:
		return g / (1 + exp(-1.702f * g)) * (u + 1);
	case BACKEND_RELU_SQUARED:
		return up > 0 ? up * up : 0;
	case BACKEND_SIGMOID_GATED:
	case BACKEND_GELU:
		break; /* of rows alone */
	case BACKEND_GELU_GATED:
		return (gate >= 10    ? gate
			: gate <= -10 ? 0
				      : half_from_f16(half_to_f16((float)gate)) * 0.5) *
		       up;
	}
	return 0;
}

/* q8 is what quantising f32 gives. */
static void assert_quantized(const struct backend_acts &a, uint32_t n, uint32_t rows)
{
	test_acts again(n, rows, false);

	memcpy(again.a.f32, a.f32, (size_t)n * rows * sizeof(float));
	again.quantize();
	assert_memory_equal(again.a.q8, a.q8, (size_t)n * rows);
	assert_memory_equal(again.a.q8_scales, a.q8_scales, (size_t)n * rows / 4);
}

static double slack(enum backend_activation kind, double gate, double up, double size)
{
	/* a step of the table, as both sides may round the gate differently */
	double step = kind == BACKEND_GELU_GATED ? fabs(gate * up) * 1e-3 + 1e-5 * fabs(up) : 0;

	return step / 1e-6 + (size + 1) * (4 + 2 * fabs(gate) + 2 * fabs(up));
}

static void check_gated(uint32_t gate_type, uint32_t up_type, uint32_t k, uint32_t n_ff,
    uint32_t n_rows, enum backend_activation kind, uint32_t units)
{
	test_matrix gate(gate_type, k, n_ff, 1), up(up_type, k, n_ff);
	test_acts x(k, n_rows, true), out(n_ff, n_rows, false), alone(n_ff, 1, false);
	struct cuda_pass pass = answer_of(n_rows, units);
	const float *table = gelu_table();

	assert_int_equal(cuda_gemv_gated(&pass, &gate.m, &up.m, kind, table, &x.a, &out.a),
	    cudaSuccess);
	for (uint32_t t = 0; t < n_rows; t++) {
		for (uint32_t r = 0; r < n_ff; r++) {
			struct exact g = dot(gate, r, x, t), u = dot(up, r, x, t);

			assert_near(out.a.f32[(size_t)t * n_ff + r], activation(kind, g.sum, u.sum),
			    slack(kind, g.sum, u.sum, g.size + u.size), "gated", up_type, k, r, t);
		}
	}
	if (out.a.q8 != NULL)
		assert_quantized(out.a, n_ff, n_rows);
	pass.n_rows = 1;
	for (uint32_t t = 0; t < n_rows; t += 4) {
		struct backend_acts one = x.a;

		one.f32 += (size_t)t * k;
		one.q8 += (size_t)t * k;
		one.q8_scales += (size_t)t * k / 16;
		assert_int_equal(
		    cuda_gemv_gated(&pass, &gate.m, &up.m, kind, table, &one, &alone.a),
		    cudaSuccess);
		assert_memory_equal(alone.a.f32, out.a.f32 + (size_t)t * n_ff, n_ff * 4);
	}
	device_memory_free(pass.work);
}

static void test_gates_are_activated_and_quantized(void **state)
{
	const enum backend_activation kinds[] = { BACKEND_SILU_GATED, BACKEND_CLAMPED_GATED,
		BACKEND_RELU_SQUARED, BACKEND_GELU_GATED };
	const uint32_t counts[] = { 1, 8, 2, 11, 4, 33, 7, 16, 3, 19 };
	unsigned n = 0;

	(void)state;
	for (uint32_t type : all_types) {
		for (unsigned i = 0; i < 4; i++, n++)
			check_gated(type, type, (uint32_t)length_of(type, n % 3), n % 3 ? 96 : 64,
			    counts[n % 10], kinds[n % 4], 1 + n % 2);
	}
	check_gated(TYPE_F16, TYPE_F16, 37, 50, 3, BACKEND_SILU_GATED, 1);
	check_gated(TYPE_F32, TYPE_F32, 64, 33, 5, BACKEND_GELU_GATED, 1);
	check_gated(TYPE_Q8_0, TYPE_Q8_0, 12288, 160, 16, BACKEND_SILU_GATED, 1);
}

static void test_gate_and_up_of_two_types(void **state)
{
	(void)state;
	check_gated(TYPE_Q4_K, TYPE_Q6_K, 512, 96, 3, BACKEND_SILU_GATED, 2);
	check_gated(TYPE_F16, TYPE_Q8_0, 512, 64, 16, BACKEND_GELU_GATED, 2);
	check_gated(TYPE_Q6_K, TYPE_Q4_K, 1280, 160, 11, BACKEND_SILU_GATED, 2);
	check_gated(TYPE_Q4_K, TYPE_Q8_0, 256, 96, 8, BACKEND_CLAMPED_GATED, 1);
}

/* A network of experts, its matrices apart or gate and up in one. */
struct network {
	uint32_t n_expert, n_used, n, n_ff, n_rows;
	bool merged, gated, biased;
	uint32_t type, gate_type;
	enum backend_activation kind;
};

/* Of each choice: its expert's rows, behind the activation. */
static void check_hidden(const struct network &c, const struct backend_experts &e,
    const test_matrix &gate, const test_matrix &up, const test_acts &x,
    const std::vector<uint32_t> &chosen, const test_acts &hidden)
{
	for (uint32_t i = 0; i < chosen.size(); i++) {
		for (uint32_t r = 0; r < c.n_ff; r++) {
			uint64_t row = chosen[i] * e.up_height;
			uint64_t at = chosen[i] * (uint64_t)c.n_ff + r;
			struct exact a = dot(gate, row + r, x, i / c.n_used);
			struct exact b = dot(up, row + e.up_height - c.n_ff + r, x, i / c.n_used);

			a.sum += c.biased ? e.gate_bias[at] : 0;
			b.sum += c.biased ? e.up_bias[at] : 0;
			assert_near(hidden.a.f32[i * (size_t)c.n_ff + r],
			    activation(c.kind, a.sum, b.sum),
			    slack(c.kind, a.sum, b.sum, a.size + b.size), "experts", c.type, c.n,
			    r, i);
		}
	}
	if (hidden.a.q8 != NULL)
		assert_quantized(hidden.a, c.n_ff, (uint32_t)chosen.size());
}

/* Of each row: what it was, and its experts' products by their weights. */
static void check_down(const struct network &c, const struct backend_experts &e,
    const test_matrix &down, const test_acts &hidden, const std::vector<uint32_t> &chosen,
    const std::vector<float> &weights, const std::vector<float> &was)
{
	for (size_t at = 0; at < was.size(); at++) {
		uint32_t t = (uint32_t)(at / c.n), d = (uint32_t)(at % c.n);
		double want = was[at], size = 2;

		for (uint32_t j = t * c.n_used; j < (t + 1) * c.n_used; j++) {
			uint64_t row = chosen[j] * (uint64_t)c.n + d;
			struct exact b = dot(down, row, hidden, j);

			want += weights[j] * (b.sum + (c.biased ? e.down_bias[row] : 0));
			size += b.size;
		}
		assert_near(e.x[at], want, size, "down", c.type, c.n_ff, d, t);
	}
}

static void check_experts(const struct network &c)
{
	uint64_t inner = (uint64_t)c.n_ff * (c.merged ? 2 : 1);
	test_matrix up(c.type, c.n, c.n_expert * inner, c.n_expert);
	test_matrix gate(c.gate_type, c.n, c.n_expert * (uint64_t)c.n_ff, 1);
	test_matrix down(c.type, c.n_ff, c.n_expert * (uint64_t)c.n, c.n_expert);
	const test_matrix &g = c.merged ? up : gate;
	test_acts x(c.n, c.n_rows, true), hidden(c.n_ff, c.n_rows * c.n_used, false);
	struct cuda_pass pass = answer_of(c.n_rows, 2);
	uint32_t n_choices = c.n_rows * c.n_used;
	std::vector<uint32_t> chosen(n_choices);
	std::vector<float> weights(n_choices), bias(c.n_expert * (size_t)(c.n_ff + c.n));
	std::vector<float> out((size_t)c.n * c.n_rows), was;
	struct backend_experts e = {};

	for (uint32_t i = 0; i < n_choices; i++) {
		chosen[i] = (i / c.n_used * 3 + i % c.n_used * 5) % c.n_expert;
		weights[i] = random_float();
	}
	for (float &b : bias)
		b = random_float();
	for (float &v : out)
		v = random_float();
	was = out;
	e.n_expert = c.n_expert;
	e.n_used = c.n_used;
	e.activation = c.kind;
	e.gelu = gelu_table();
	e.n = c.n;
	e.n_ff = c.n_ff;
	e.gate = g.m;
	e.up = up.m;
	e.down = down.m;
	e.up_height = inner;
	e.gated = c.gated;
	if (c.biased) {
		e.gate_bias = bias.data();
		e.up_bias = bias.data() + 7;
		e.down_bias = bias.data() + 3;
	}
	e.in = x.a;
	e.x = out.data();
	assert_int_equal(cuda_gemv_experts(&pass, &e, chosen.data(), &hidden.a), cudaSuccess);
	check_hidden(c, e, g, up, x, chosen, hidden);
	assert_int_equal(
	    cuda_gemv_experts_down(&pass, &e, chosen.data(), weights.data(), &hidden.a),
	    cudaSuccess);
	check_down(c, e, down, hidden, chosen, weights, was);
	device_memory_free(pass.work);
}

static void test_experts_are_read_by_choice(void **state)
{
	const struct network networks[] = {
		{ 8, 3, 256, 64, 2, false, true, false, TYPE_Q4_0, TYPE_Q4_0,
		    BACKEND_SILU_GATED },
		{ 6, 4, 96, 160, 3, false, true, true, TYPE_MXFP4, TYPE_MXFP4,
		    BACKEND_CLAMPED_GATED },
		{ 5, 2, 512, 256, 1, true, true, false, TYPE_Q4_K, TYPE_Q4_K,
		    BACKEND_GELU_GATED },
		{ 7, 6, 256, 256, 1, false, false, false, TYPE_Q6_K, TYPE_Q6_K,
		    BACKEND_RELU_SQUARED },
		{ 4, 2, 64, 50, 3, true, true, true, TYPE_F16, TYPE_F16,
		    BACKEND_SILU_GATED },
		{ 4, 2, 37, 41, 2, false, true, true, TYPE_F32, TYPE_F32,
		    BACKEND_SILU_GATED },
		{ 3, 3, 64, 12288, 1, false, true, false, TYPE_BF16, TYPE_BF16,
		    BACKEND_SILU_GATED },
		{ 4, 2, 256, 256, 2, false, true, true, TYPE_Q5_K, TYPE_Q8_0,
		    BACKEND_SILU_GATED },
		{ 9, 8, 128, 64, 16, false, true, false, TYPE_NVFP4, TYPE_NVFP4,
		    BACKEND_SILU_GATED },
	};

	(void)state;
	for (const struct network &n : networks)
		check_experts(n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_products_are_the_sums_whatever_the_other_rows),
		cmocka_unit_test(test_long_rows_come_in_chunks),
		cmocka_unit_test(test_devices_with_less_shared_memory_give_the_same),
		cmocka_unit_test(test_products_of_several_types_in_one_call),
		cmocka_unit_test(test_gates_are_activated_and_quantized),
		cmocka_unit_test(test_gate_and_up_of_two_types),
		cmocka_unit_test(test_experts_are_read_by_choice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
