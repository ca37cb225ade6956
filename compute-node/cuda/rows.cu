/*
 * Rows: norms, activations and forms, a block of threads for each row.
 *
 * A sum over a row: thread t takes the numbers 4t … 4t + 3, then those 4 * threads
 * further on, adds in that order; threads are added as a tree in each warp, warps as
 * another.  Root mean square norm: Zhang and Sennrich 2019.
 */
#include "cuda/forms.cuh"

#define ROW_THREADS_MAX 1024u
#define SOFTCAP_THREADS 256u

/* A row in four numbers at a time; rows of other lengths are read one by one. */
DEVICE float4 load4(const float *x, uint32_t i, uint32_t n)
{
	if (i >= n)
		return make_float4(0, 0, 0, 0);
	return *(const float4 *)(x + i);
}

static unsigned threads_of(uint32_t n)
{
	unsigned threads = (n / 4 + 31) / 32 * 32;

	return threads < 32 ? 32 : threads > ROW_THREADS_MAX ? ROW_THREADS_MAX : threads;
}

DEVICE float top4(float4 v)
{
	return fmaxf(fmaxf(fabsf(v.x), fabsf(v.y)), fmaxf(fabsf(v.z), fabsf(v.w)));
}

/* A row's numbers that a thread holds, as far as they fit, or reads again. */
template <int KEEP> struct row_numbers {
	const float *x;
	uint32_t n;
	float4 kept[KEEP > 0 ? KEEP : 1];

	__device__ __forceinline__ void load(const float *row, uint32_t length)
	{
		x = row;
		n = length;
#pragma unroll
		for (int i = 0; i < KEEP; i++)
			kept[i] = row != NULL ? load4(row, 4 * (i * blockDim.x + threadIdx.x), length)
					      : make_float4(1, 1, 1, 1);
	}
	/* Those from 4 * (i * threads + thread) on. */
	__device__ __forceinline__ float4 at(int i) const
	{
		if (KEEP > 0)
			return kept[i];
		return x != NULL ? load4(x, 4 * (i * blockDim.x + threadIdx.x), n)
				 : make_float4(1, 1, 1, 1);
	}
	__device__ __forceinline__ int rounds() const
	{
		return KEEP > 0 ? KEEP : (int)((n + 4 * blockDim.x - 1) / (4 * blockDim.x));
	}
};

/* 1 / rms of a row. */
template <int KEEP> DEVICE float inverse_rms(const row_numbers<KEEP> &x, float eps, float *shared)
{
	float sum = 0;

#pragma unroll
	for (int i = 0; i < x.rounds(); i++) {
		float4 v = x.at(i);

		sum = fmaf(v.x, v.x, sum);
		sum = fmaf(v.y, v.y, sum);
		sum = fmaf(v.z, v.z, sum);
		sum = fmaf(v.w, v.w, sum);
	}
	return 1.0f / sqrtf(block_sum(sum, shared) / (float)x.n + eps);
}

DEVICE float4 times4(float4 v, float scale, float4 w)
{
	return make_float4(
	    v.x * scale * w.x, v.y * scale * w.y, v.z * scale * w.z, v.w * scale * w.w);
}

/* The row of the pass whose place among the wanted rows is `place`. */
DEVICE uint32_t wanted_row(const backend_row *rows, uint32_t n_rows, uint32_t place)
{
	__shared__ uint32_t found;

	for (uint32_t t = threadIdx.x; t < n_rows; t += blockDim.x) {
		if (rows[t].wanted == place)
			found = t;
	}
	__syncthreads();
	return found;
}

/* KEEP: rounds of threads that a row takes; 0: any, and it is read again. */
template <int KEEP>
__global__ void __launch_bounds__(1024) norm_kernel(const float *x, const float *weight,
    uint32_t n, float eps, const backend_row *rows, uint32_t n_rows, bool wanted, backend_acts out)
{
	__shared__ float shared[32];
	row_forms r = forms_of_row(out, blockIdx.x, n);
	row_numbers<KEEP> v, w;
	float scale, inverse = 1.0f;

	w.load(weight, n); /* while the kernel before ends */
	pdl_wait();
	v.load(x + (uint64_t)(wanted ? wanted_row(rows, n_rows, blockIdx.x) : blockIdx.x) * n, n);
	scale = inverse_rms(v, eps, shared);
	if (r.f16 != NULL) {
		float top = 0;

#pragma unroll
		for (int i = 0; i < v.rounds(); i++)
			top = fmaxf(top, top4(times4(v.at(i), scale, w.at(i))));
		top = f16_scale_of(block_max(top, shared));
		inverse = 1.0f / top;
		if (threadIdx.x == 0)
			*r.f16_scale = top;
	}
#pragma unroll
	for (int i = 0; i < v.rounds(); i++)
		write_forms(r, n, 4 * (i * blockDim.x + threadIdx.x),
		    times4(v.at(i), scale, w.at(i)), inverse);
	pad_f16(r, n);
}

cudaError_t cuda_norm(const struct cuda_pass *p, const float *x, const float *weight, uint32_t n,
    float eps, bool wanted, const struct backend_acts *out)
{
	uint32_t n_rows = wanted ? p->n_wanted : p->n_rows, once = 4 * threads_of(n);
	auto kernel = n <= once ? norm_kernel<1> : n <= 2 * once ? norm_kernel<2> : norm_kernel<0>;

	if (n_rows == 0)
		return cudaSuccess;
	return launch(kernel, n_rows, threads_of(n), 0, p->stream, x, weight, n, eps, p->rows,
	    p->n_rows, wanted, *out);
}

__global__ void __launch_bounds__(1024) forms_kernel(
    const float *from, uint32_t n, backend_acts out)
{
	__shared__ float shared[32];
	row_forms r = forms_of_row(out, blockIdx.x, n);
	float inverse = 1.0f;

	pdl_wait();
	from += (uint64_t)blockIdx.x * n;
	if (r.f32 == from)
		r.f32 = NULL;
	if (r.f16 != NULL) {
		float top = 0;

		for (uint32_t i = 4 * threadIdx.x; i < n; i += 4 * blockDim.x)
			top = fmaxf(top, top4(load4(from, i, n)));
		top = f16_scale_of(block_max(top, shared));
		inverse = 1.0f / top;
		if (threadIdx.x == 0)
			*r.f16_scale = top;
	}
	for (uint32_t base = 0; base < n; base += 4 * blockDim.x) {
		uint32_t i = base + 4 * threadIdx.x;

		write_forms(r, n, i, load4(from, i, n), inverse);
	}
	pad_f16(r, n);
}

cudaError_t cuda_forms(const struct cuda_pass *p, const float *from, uint32_t n, uint32_t n_rows,
    const struct backend_acts *out)
{
	if (n_rows == 0)
		return cudaSuccess;
	return launch(forms_kernel, n_rows, threads_of(n), 0, p->stream, from, n, *out);
}

__global__ void __launch_bounds__(1024) norm_add_kernel(
    const float *from, const float *weight, uint32_t n, float eps, float *x)
{
	__shared__ float shared[32];
	row_numbers<0> v, w;
	float scale;

	pdl_wait();
	v.load(from + (uint64_t)blockIdx.x * n, n);
	w.load(weight, n);
	x += (uint64_t)blockIdx.x * n;
	scale = inverse_rms(v, eps, shared);
	for (int i = 0; i < v.rounds(); i++) {
		uint32_t at = 4 * (i * blockDim.x + threadIdx.x);
		float4 add = times4(v.at(i), scale, w.at(i)), was = load4(x, at, n);

		if (at < n)
			*(float4 *)(x + at) = make_float4(
			    was.x + add.x, was.y + add.y, was.z + add.z, was.w + add.w);
	}
}

cudaError_t cuda_norm_add(const struct cuda_pass *p, const float *from, const float *weight,
    uint32_t n, float eps, float *x)
{
	return launch(
	    norm_add_kernel, p->n_rows, threads_of(n), 0, p->stream, from, weight, n, eps, x);
}

DEVICE float4 activate4(enum backend_activation kind, const float *gelu, const float *gate,
    const float *up, uint32_t i, uint32_t n)
{
	float4 u = load4(up, i, n), g = gate != NULL ? load4(gate, i, n) : u;

	return make_float4(activate_one(kind, gelu, g.x, u.x), activate_one(kind, gelu, g.y, u.y),
	    activate_one(kind, gelu, g.z, u.z), activate_one(kind, gelu, g.w, u.w));
}

__global__ void __launch_bounds__(1024) activate_kernel(enum backend_activation kind,
    const float *gelu, const float *gate, const float *up, uint64_t stride, uint32_t n,
    backend_acts out)
{
	__shared__ float shared[32];
	row_forms r = forms_of_row(out, blockIdx.x, n);
	float inverse = 1.0f;

	pdl_wait();
	gate = gate != NULL ? gate + blockIdx.x * stride : NULL;
	up += blockIdx.x * stride;
	if (r.f16 != NULL) {
		float top = 0;

		for (uint32_t i = 4 * threadIdx.x; i < n; i += 4 * blockDim.x)
			top = fmaxf(top, top4(activate4(kind, gelu, gate, up, i, n)));
		top = f16_scale_of(block_max(top, shared));
		inverse = 1.0f / top;
		if (threadIdx.x == 0)
			*r.f16_scale = top;
	}
	for (uint32_t base = 0; base < n; base += 4 * blockDim.x) {
		uint32_t i = base + 4 * threadIdx.x;

		write_forms(r, n, i, activate4(kind, gelu, gate, up, i, n), inverse);
	}
	pad_f16(r, n);
}

cudaError_t cuda_activate(const struct cuda_pass *p, enum backend_activation kind,
    const float *gelu, const float *gate, const float *up, uint64_t stride, uint32_t n,
    uint32_t n_rows, const struct backend_acts *out)
{
	if (n_rows == 0)
		return cudaSuccess;
	return launch(activate_kernel, n_rows, threads_of(n), 0, p->stream, kind, gelu, gate, up,
	    stride, n, *out);
}

__global__ void rotations_kernel(
    const double *freqs, uint32_t n_rot, double magnitude, const backend_row *rows, float *out)
{
	pdl_wait();
	for (uint32_t i = threadIdx.x; i < n_rot / 2; i += blockDim.x) {
		double s, c;

		sincos((double)rows[blockIdx.x].pos * freqs[i], &s, &c);
		*(float2 *)(out + (uint64_t)blockIdx.x * n_rot + 2 * i) =
		    make_float2((float)(c * magnitude), (float)(s * magnitude));
	}
}

cudaError_t cuda_rotations(const struct cuda_pass *p, const double *freqs, uint32_t n_rot,
    double magnitude, float *out)
{
	return launch(
	    rotations_kernel, p->n_rows, 64, 0, p->stream, freqs, n_rot, magnitude, p->rows, out);
}

__global__ void softcap_kernel(float *x, uint64_t n, float cap)
{
	uint64_t i = (uint64_t)blockIdx.x * blockDim.x + threadIdx.x;

	pdl_wait();
	if (i < n)
		x[i] = cap * tanhf(x[i] / cap);
}

cudaError_t cuda_softcap(const struct cuda_pass *p, float *x, uint64_t n, float cap)
{
	return launch(softcap_kernel, (unsigned)((n + SOFTCAP_THREADS - 1) / SOFTCAP_THREADS),
	    SOFTCAP_THREADS, 0, p->stream, x, n, cap);
}
