/*
 * cuda/recurrent.cu under the emulator against the recurrences in double precision:
 * convolution, delta rule and Mamba-2, heads of several sizes, rows of several sequences
 * among each other, and the same bits however a sequence's rows are cut into passes.
 */

#include "cuda/parts.h"
#include "kernel_test.h"

#define SEQS 3u
#define CLOSE 2e-5

/* Sizes and weights of a layer. */
struct layer {
	backend_recurrent r = {};
	std::vector<float> conv, bias, a, dt, d;

	layer(uint32_t n_head, uint32_t head_dim, uint32_t n_group, uint32_t n_state, bool delta)
	{
		r.n_head = n_head;
		r.head_dim = head_dim;
		r.n_group = n_group;
		r.n_state = n_state;
		r.delta = delta;
		r.tiled = random_word() % 2 != 0;
		r.n_conv = 1 + random_word() % 7;
		r.n_channel = 2 * n_group * n_state + n_head * head_dim;
		r.state_seq = (uint64_t)r.n_conv * r.n_channel +
			      (uint64_t)n_head * n_state * head_dim;
		r.eps = 1e-6f;
		conv = random_floats(r.n_channel * (r.n_conv + 1));
		bias = random_floats(r.n_channel);
		a = random_floats(n_head);
		dt = random_floats(n_head);
		d = random_floats(n_head);
		for (float &x : a)
			x = -fabsf(x);
		r.conv = conv.data();
		r.conv_bias = delta ? NULL : bias.data();
		r.a = a.data();
		r.dt = dt.data();
		r.d = delta ? NULL : d.data();
	}
	size_t inner() const
	{
		return (size_t)r.n_head * r.head_dim;
	}
};

/* Rows and what they bring. */
struct input {
	std::vector<backend_row> rows;
	std::vector<float> in, alpha, beta, z;

	input(const struct layer &l, size_t n)
	{
		uint32_t lens[SEQS] = {};

		for (size_t i = 0; i < n; i++) { /* runs of one sequence, and single rows */
			backend_row row = {};

			row.seq = i > 0 && random_word() % 8 != 0 ? rows[i - 1].seq
								   : random_word() % SEQS;
			row.pos = lens[row.seq]++;
			rows.push_back(row);
		}
		in = random_floats(n * l.r.n_channel);
		alpha = random_floats(n * l.r.n_head);
		beta = random_floats(n * l.r.n_head);
		z = random_floats(n * l.inner());
	}
};

/* Rows first … first + n - 1 as one pass on `state`; convolved inputs and results go
 * behind those of earlier passes. */
static void run(const struct layer &l, const struct input &from, size_t first, size_t n,
    bool answer, std::vector<float> *state, std::vector<float> *convolved, std::vector<float> *out)
{
	const size_t inner = l.inner(), channels = l.r.n_channel, heads = l.r.n_head;
	std::vector<float> in(from.in.begin() + first * channels,
	    from.in.begin() + (first + n) * channels);
	std::vector<float> rates = poison(2 * n * heads), y = poison(n * inner);
	struct backend_recurrent r = l.r;
	struct cuda_pass p = pass_of((uint32_t)n);

	r.in = in.data();
	r.state = state->data();
	r.alpha = from.alpha.data() + first * heads;
	r.beta = from.beta.data() + first * heads;
	r.z = l.r.delta ? NULL : from.z.data() + first * inner;
	r.rates = rates.data();
	r.out = y.data();
	p.answer = answer;
	p.rows = p.host_rows = from.rows.data() + first;
	assert_int_equal(cuda_convolve(&p, &r), cudaSuccess);
	convolved->insert(convolved->end(), in.begin(), in.end());
	assert_int_equal(cuda_recur(&p, &r), cudaSuccess);
	out->insert(out->end(), y.begin(), y.end());
}

static double silu(double x)
{
	return x / (1 + exp(-x));
}

static void check_near(double got, double expected, double size)
{
	if (!(fabs(got - expected) <= CLOSE * (size + fabs(expected))))
		fail_msg("%.9g instead of %.9g", got, expected);
}

/* The convolution of row t, by looking back. */
static std::vector<double> convolve(const struct layer &l, const struct input &from, size_t t)
{
	const size_t channels = l.r.n_channel, kernel = l.r.n_conv + 1;
	std::vector<double> sums(channels);
	size_t tap = kernel;

	for (size_t c = 0; c < channels && l.r.conv_bias != NULL; c++)
		sums[c] = (double)l.bias[c];
	for (size_t i = t + 1; i-- > 0 && tap > 0;) {
		if (from.rows[i].seq != from.rows[t].seq)
			continue;
		tap--;
		for (size_t c = 0; c < channels; c++)
			sums[c] += (double)from.in[i * channels + c] *
				   (double)l.conv[c * kernel + tap];
	}
	for (double &x : sums)
		x = silu(x);
	return sums;
}

/* One row of one head: S moves on, y comes out. */
static void step(const struct layer &l, const struct input &from, size_t t, uint32_t head,
    const double *in, double *s, double *y)
{
	const struct backend_recurrent &r = l.r;
	const size_t dk = r.n_state, dv = r.head_dim, inner = l.inner(), at = t * r.n_head + head;
	const size_t of_group = r.n_head / r.n_group;
	const size_t group = r.delta && r.tiled ? head % r.n_group : head / of_group;
	double soft = log1p(exp((double)from.alpha[at] + (double)l.dt[head]));
	double decay = exp((double)l.a[head] * soft);
	double rate = 1 / (1 + exp(-(double)from.beta[at])), lq = 0, lk = 0;
	const double *q = r.delta ? in + group * dk : in + inner + (r.n_group + group) * dk;
	const double *k = r.delta ? in + (r.n_group + group) * dk : in + inner + group * dk;
	const double *v = in + (r.delta ? 2 * r.n_group * dk : 0) + head * dv;

	for (size_t i = 0; i < dk; i++) {
		lq += q[i] * q[i];
		lk += k[i] * k[i];
	}
	lq = r.delta ? fmax(sqrt(lq), (double)r.eps) * sqrt((double)dk) : 1;
	lk = r.delta ? fmax(sqrt(lk), (double)r.eps) : 1;
	for (size_t j = 0; j < dv; j++) {
		double held = 0, e, sum = 0;

		for (size_t i = 0; i < dk; i++)
			held += s[i * dv + j] * k[i] / lk;
		e = r.delta ? rate * (v[j] - decay * held) : soft * v[j];
		for (size_t i = 0; i < dk; i++) {
			s[i * dv + j] = decay * s[i * dv + j] + e * k[i] / lk;
			sum += s[i * dv + j] * q[i] / lq;
		}
		if (!r.delta)
			sum = (sum + (double)l.d[head] * v[j]) *
			      silu((double)from.z[at * dv + j]);
		y[j] = sum;
	}
}

static void check_layer(const struct layer &l, size_t n, bool answer)
{
	const struct input from(l, n);
	const size_t dv = l.r.head_dim, size = l.r.n_state * dv;
	std::vector<float> state(SEQS * l.r.state_seq), convolved, out;
	std::vector<double> s(SEQS * l.r.n_head * size), y(dv);

	run(l, from, 0, n, answer, &state, &convolved, &out);
	for (size_t t = 0; t < n; t++) {
		std::vector<double> in = convolve(l, from, t);

		for (size_t c = 0; c < in.size(); c++)
			check_near((double)convolved[t * in.size() + c], in[c], 1);
		for (uint32_t h = 0; h < l.r.n_head; h++) {
			step(l, from, t, h, in.data(),
			    s.data() + (from.rows[t].seq * l.r.n_head + h) * size, y.data());
			for (size_t j = 0; j < dv; j++)
				check_near((double)out[(t * l.r.n_head + h) * dv + j], y[j], 4);
		}
	}
	for (size_t q = 0; q < SEQS; q++) { /* what stays behind */
		const float *heads =
		    state.data() + q * l.r.state_seq + (size_t)l.r.n_conv * l.r.n_channel;

		for (size_t i = 0; i < l.r.n_head * size; i++)
			check_near((double)heads[i], s[q * l.r.n_head * size + i], 4);
	}
}

static void test_rows_agree_with_the_recurrence(void **)
{
	check_layer(layer(4, 16, 2, 16, true), 27, false);
	check_layer(layer(2, 36, 1, 32, true), 16, true);
	check_layer(layer(4, 16, 2, 64, false), 21, false);
	check_layer(layer(2, 64, 2, 128, false), 9, true);
	check_layer(layer(2, 40, 1, 128, true), 10, false);
	check_layer(layer(1, 4, 1, 256, true), 3, true);
	check_layer(layer(3, 8, 3, 20, true), 11, false);
	check_layer(layer(2, 12, 1, 84, false), 4, true);
}

/* All at once, one by one, in uneven parts; blocks from the last on, too. */
static void test_bits_do_not_depend_on_how_rows_are_cut(void **)
{
	for (int kind = 0; kind < 2; kind++) {
		const struct layer l(2, 20, 1, 32, kind == 0);
		const size_t n = 20;
		const struct input from(l, n);
		std::vector<float> first, first_state(SEQS * l.r.state_seq), unused;

		run(l, from, 0, n, false, &first_state, &unused, &first);
		for (size_t most = 1; most < n; most = 2 * most + 1) {
			std::vector<float> state(SEQS * l.r.state_seq), out;

			emulate_backwards = most % 4 == 3;
			for (size_t at = 0, some; at < n; at += some) {
				some = n - at < most ? n - at : most;
				run(l, from, at, some, most < 16, &state, &unused, &out);
			}
			emulate_backwards = false;
			assert_memory_equal(out.data(), first.data(), out.size() * sizeof(float));
			assert_memory_equal(
			    state.data(), first_state.data(), state.size() * sizeof(float));
		}
	}
}

static void test_sizes_without_kernels_are_an_error(void **)
{
	struct layer l(2, 16, 1, 50, true);
	const struct input from(l, 1);
	std::vector<float> state(SEQS * l.r.state_seq), rates(4), out(32), in = from.in;
	struct backend_recurrent r = l.r;
	struct cuda_pass p = pass_of(1);

	r.in = in.data();
	r.state = state.data();
	r.alpha = from.alpha.data();
	r.beta = from.beta.data();
	r.rates = rates.data();
	r.out = out.data();
	p.rows = p.host_rows = from.rows.data();
	assert_int_not_equal(cuda_recur(&p, &r), cudaSuccess);
	r.n_conv = 8;
	assert_int_not_equal(cuda_convolve(&p, &r), cudaSuccess);
}

int main()
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows_agree_with_the_recurrence),
		cmocka_unit_test(test_bits_do_not_depend_on_how_rows_are_cut),
		cmocka_unit_test(test_sizes_without_kernels_are_an_error),
	};

	random_start();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
