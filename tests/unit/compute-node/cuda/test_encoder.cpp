/*
 * cuda/encoder.cu under the emulator: layer norms and attention over whole texts against
 * double precision, and a text's bits that do not depend on where in a pass it lies.
 */

#include "cuda/parts.h"
#include "kernel_test.h"

static void check_layer_norm(uint32_t n_rows, uint32_t n, bool more, bool each, bool bias)
{
	struct cuda_pass p = pass_of(n_rows);
	std::vector<float> x = random_floats(n_rows * n), y = random_floats(n_rows * n), e = random_floats(n);
	std::vector<float> w = random_floats(n), b = random_floats(n), kept = x, out = poison(n_rows * n);
	struct backend_layer_norm a = {};

	a.x = a.to = x.data(); /* in place */
	a.more = more ? y.data() : NULL;
	a.each = each ? e.data() : NULL;
	a.weight = w.data();
	a.bias = bias ? b.data() : NULL;
	a.n = n;
	a.eps = 1e-12f;
	a.out.f32 = out.data();
	assert_int_equal(cuda_layer_norm(&p, &a), cudaSuccess);
	for (uint32_t t = 0; t < n_rows; t++) {
		std::vector<double> v(n);
		double mean = 0, square = 0;

		for (uint32_t i = 0; i < n; i++) {
			v[i] = (double)kept[t * n + i] + (more ? (double)y[t * n + i] : 0) +
			       (each ? (double)e[i] : 0);
			mean += v[i] / n;
		}
		for (double z : v)
			square += (z - mean) * (z - mean) / n;
		for (uint32_t i = 0; i < n; i++) {
			double z = (v[i] - mean) / sqrt(square + 1e-12) * (double)w[i] +
				   (bias ? (double)b[i] : 0);

			check_close((double)x[t * n + i], z, 1e-5);
			check_close((double)out[t * n + i], z, 1e-5);
		}
	}
}

static void test_layer_norms_agree_with_double(void **)
{
	check_layer_norm(3, 64, true, true, true);
	check_layer_norm(2, 384, true, false, true);
	check_layer_norm(1, 1028, false, true, false);
}

/* Texts one behind another, and what is computed of them. */
struct texts {
	uint32_t n_head, dim, n_rot, n = 0;
	bool halves;
	std::vector<backend_row> rows;
	std::vector<float> q, k, v, rope, to;

	texts(uint32_t n_head_, uint32_t dim_, uint32_t n_rot_)
	    : n_head(n_head_), dim(dim_), n_rot(n_rot_), halves(random_word() % 2 != 0)
	{
	}
	size_t width() const
	{
		return (size_t)n_head * dim;
	}
	void add(uint32_t len)
	{
		for (uint32_t i = 0; i < len; i++, n++) {
			backend_row row = {};

			row.pos = i;
			rows.push_back(row);
		}
		for (std::vector<float> *to_fill : { &q, &k, &v }) {
			std::vector<float> more = random_floats(len * width(), 2);

			to_fill->insert(to_fill->end(), more.begin(), more.end());
		}
		for (uint32_t i = 0; i < len * n_rot / 2; i++) {
			double angle = random_word() % 1000 * 0.01;

			rope.push_back((float)cos(angle));
			rope.push_back((float)sin(angle));
		}
	}
	/* Rows first … first + n - 1 of it alone. */
	texts part(uint32_t first, uint32_t n_rows) const
	{
		texts t = *this;
		size_t w = width();

		t.n = n_rows;
		t.rows.assign(rows.begin() + first, rows.begin() + first + n_rows);
		t.q.assign(q.begin() + first * w, q.begin() + (first + n_rows) * w);
		t.k.assign(k.begin() + first * w, k.begin() + (first + n_rows) * w);
		t.v.assign(v.begin() + first * w, v.begin() + (first + n_rows) * w);
		t.rope.assign(rope.begin() + first * n_rot, rope.begin() + (first + n_rows) * n_rot);
		return t;
	}
	void run()
	{
		struct cuda_pass p = pass_of(n);
		std::vector<float> turned_q = q, turned_k = k, forms = poison(n * width());
		struct backend_texts a = {};

		to = poison(n * width());
		p.rows = p.host_rows = rows.data();
		a.q = turned_q.data();
		a.k = turned_k.data();
		a.v = v.data();
		a.n_head = n_head;
		a.dim = dim;
		a.n_rot = n_rot;
		a.halves = halves;
		a.rope = rope.data();
		a.scale = 0.3f;
		a.to = to.data();
		if (width() % 4 == 0)
			a.out.f32 = forms.data();
		assert_int_equal(cuda_texts(&p, &a), cudaSuccess);
		if (a.out.f32 != NULL)
			assert_memory_equal(forms.data(), to.data(), to.size() * sizeof(float));
	}
	std::vector<double> turned(const std::vector<float> &x, uint32_t row, uint32_t head) const
	{
		const float *from = &x[row * width() + head * dim];
		std::vector<double> out(from, from + dim);

		for (uint32_t i = 0; i < n_rot / 2; i++) {
			uint32_t a = halves ? i : 2 * i, b = halves ? i + n_rot / 2 : 2 * i + 1;
			double c = (double)rope[row * n_rot + 2 * i];
			double s = (double)rope[row * n_rot + 2 * i + 1];

			out[a] = (double)from[a] * c - (double)from[b] * s;
			out[b] = (double)from[a] * s + (double)from[b] * c;
		}
		return out;
	}
	void check(uint32_t row, uint32_t head) const
	{
		uint32_t first = row - rows[row].pos, end = row + 1;
		std::vector<double> y = turned(q, row, head), sums(dim), weights;
		double top = -INFINITY, sum = 0;

		while (end < n && rows[end].pos != 0)
			end++;
		for (uint32_t t = first; t < end; t++) {
			std::vector<double> key = turned(k, t, head);
			double score = 0;

			for (uint32_t d = 0; d < dim; d++)
				score += y[d] * key[d] * (double)0.3f;
			weights.push_back(score);
			top = fmax(top, score);
		}
		for (uint32_t t = first; t < end; t++) {
			double weight = exp(weights[t - first] - top);

			sum += weight;
			for (uint32_t d = 0; d < dim; d++)
				sums[d] += weight * (double)v[t * width() + head * dim + d];
		}
		for (uint32_t d = 0; d < dim; d++)
			check_close(
			    (double)to[row * width() + head * dim + d], sums[d] / sum, 2e-5);
	}
};

static void check_texts(texts t, const std::vector<uint32_t> &lengths)
{
	uint32_t first = 0;

	for (uint32_t len : lengths)
		t.add(len);
	t.run();
	for (uint32_t row = 0; row < t.n; row++) {
		for (uint32_t head = 0; head < t.n_head; head++)
			t.check(row, head);
	}
	for (uint32_t len : lengths) { /* alone it has the same bits */
		texts alone = t.part(first, len);

		alone.run();
		assert_memory_equal(alone.to.data(), &t.to[first * t.width()],
		    len * t.width() * sizeof(float));
		first += len;
	}
}

static void test_texts_agree_with_double_and_with_themselves_alone(void **)
{
	check_texts(texts(2, 32, 0), { 1, 16, 17, 3, 40 });
	check_texts(texts(3, 20, 8), { 33, 5 });
	check_texts(texts(1, 64, 64), { 70, 1, 1, 15 });
	check_texts(texts(1, 72, 72), { 18 });
	check_texts(texts(1, 132, 0), { 4, 33 });
}

static void test_heads_without_kernels_are_an_error(void **)
{
	struct cuda_pass p = pass_of(1);
	struct backend_texts a = {};

	a.n_head = 1;
	a.dim = 260;
	assert_int_not_equal(cuda_texts(&p, &a), cudaSuccess);
}

int main()
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_layer_norms_agree_with_double),
		cmocka_unit_test(test_texts_agree_with_double_and_with_themselves_alone),
		cmocka_unit_test(test_heads_without_kernels_are_an_error),
	};

	random_start();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
