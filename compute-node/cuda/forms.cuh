/*
 * Forms: a finished row of activations as the matrices want it (backend_acts).
 *
 * A block of threads writes one row, each thread four neighbours at a time, so
 * that eight lanes hold the 32 numbers that share a scale.
 */
#ifndef CUDA_FORMS_CUH
#define CUDA_FORMS_CUH

#include "cuda/launch.h"

#define FORMS_GROUP 32
/* The largest number of a row of halves lies in [2^9, 2^10). */
#define FORMS_F16_EXPONENT 9

/* Of BACKEND_CLAMPED_GATED, and of the table of gates (kernels/exact.h). */
#define CLAMP 7.0f
#define CLAMPED_SLOPE 1.702f
#define GELU_ALL 10.0f

DEVICE float gelu_half(const float *table, float x)
{
	if (x >= GELU_ALL)
		return x;
	return x <= -GELU_ALL ? 0.0f : table[float_to_half(x)];
}

DEVICE float activate_one(enum backend_activation kind, const float *gelu, float gate, float up)
{
	float bounded;

	switch (kind) {
	case BACKEND_SILU_GATED:
		return gate / (1.0f + expf(-gate)) * up;
	case BACKEND_CLAMPED_GATED:
		gate = fminf(gate, CLAMP);
		bounded = fmaxf(fminf(up, CLAMP), -CLAMP) + 1.0f;
		return gate / (1.0f + expf(-CLAMPED_SLOPE * gate)) * bounded;
	case BACKEND_RELU_SQUARED:
		return up > 0 ? up * up : 0;
	case BACKEND_GELU_GATED:
		return gelu_half(gelu, gate) * up;
	case BACKEND_SIGMOID_GATED: /* of rows alone: items.cu */
	case BACKEND_GELU:
		break;
	}
	return 0;
}

/* Where one row of each form stands; NULL: not wanted. */
struct row_forms {
	float *f32;
	int8_t *q8;
	float *q8_scales;
	uint16_t *f16;
	float *f16_scale;
};

DEVICE row_forms forms_of_row(const backend_acts &acts, uint64_t row, uint32_t n)
{
	uint64_t padded = (n + CUDA_F16_PAD - 1) / CUDA_F16_PAD * CUDA_F16_PAD;
	row_forms r;

	r.f32 = acts.f32 != NULL ? acts.f32 + row * n : NULL;
	r.q8 = acts.q8 != NULL ? acts.q8 + row * n : NULL;
	r.q8_scales = acts.q8 != NULL ? acts.q8_scales + row * (n / FORMS_GROUP) * 2 : NULL;
	r.f16 = acts.f16 != NULL ? acts.f16 + row * padded : NULL;
	r.f16_scale = acts.f16 != NULL ? acts.f16_scales + row : NULL;
	return r;
}

DEVICE float warp_sum(float v)
{
	for (int by = 16; by > 0; by /= 2)
		v += __shfl_xor_sync(~0u, v, by);
	return v;
}

DEVICE float warp_max(float v)
{
	for (int by = 16; by > 0; by /= 2)
		v = fmaxf(v, __shfl_xor_sync(~0u, v, by));
	return v;
}

/* Of all threads of a block of whole warps: a tree in each, and a tree of theirs;
 * `shared` [32], free again for the next call. */
DEVICE float block_sum(float v, float *shared)
{
	v = warp_sum(v);
	__syncthreads();
	if (threadIdx.x % 32 == 0)
		shared[threadIdx.x / 32] = v;
	__syncthreads();
	return warp_sum(threadIdx.x % 32 < blockDim.x / 32 ? shared[threadIdx.x % 32] : 0.0f);
}

DEVICE float block_max(float v, float *shared)
{
	v = warp_max(v);
	__syncthreads();
	if (threadIdx.x % 32 == 0)
		shared[threadIdx.x / 32] = v;
	__syncthreads();
	return warp_max(threadIdx.x % 32 < blockDim.x / 32 ? shared[threadIdx.x % 32] : 0.0f);
}

/* The power of two that a row with this largest magnitude is divided by. */
DEVICE float f16_scale_of(float top)
{
	int exponent = (int)(__float_as_uint(top) >> 23 & 255) - 127 - FORMS_F16_EXPONENT;

	if (!(top > 0))
		return 1.0f;
	exponent = exponent < -100 ? -100 : exponent > 100 ? 100 : exponent;
	return __uint_as_float((uint32_t)(exponent + 127) << 23);
}

DEVICE int quantize_one(float x, float inverse)
{
	float scaled = rintf(x * inverse);

	return scaled >= -127.0f && scaled <= 127.0f ? (int)scaled : 0;
}

/* Four numbers of a row from `i` on; all lanes of a warp call it, those with i >= n
 * hand in zeros. */
DEVICE void write_forms(const row_forms &r, uint32_t n, uint32_t i, float4 y, float f16_inverse)
{
	bool inside = i < n;

	if (inside && r.f32 != NULL)
		*(float4 *)(r.f32 + i) = y;
	if (inside && r.f16 != NULL)
		*(uint2 *)(r.f16 + i) = make_uint2(floats_to_half2(y.x * f16_inverse, y.y * f16_inverse),
		    floats_to_half2(y.z * f16_inverse, y.w * f16_inverse));
	if (r.q8 != NULL) {
		float top = fmaxf(fmaxf(fabsf(y.x), fabsf(y.y)), fmaxf(fabsf(y.z), fabsf(y.w)));
		float inverse;
		int a, b, c, d, sum;

		for (int by = 4; by > 0; by /= 2)
			top = fmaxf(top, __shfl_xor_sync(~0u, top, by));
		inverse = top > 0 ? 127.0f / top : 0.0f;
		a = quantize_one(y.x, inverse);
		b = quantize_one(y.y, inverse);
		c = quantize_one(y.z, inverse);
		d = quantize_one(y.w, inverse);
		sum = a + b + c + d;
		for (int by = 4; by > 0; by /= 2)
			sum += __shfl_xor_sync(~0u, sum, by);
		if (inside)
			*(uint32_t *)(r.q8 + i) = (uint32_t)(a & 255) | (uint32_t)(b & 255) << 8 |
						  (uint32_t)(c & 255) << 16 | (uint32_t)d << 24;
		if (inside && i % FORMS_GROUP == 0)
			*(float2 *)(r.q8_scales + i / FORMS_GROUP * 2) =
			    make_float2(top / 127.0f, top / 127.0f * (float)sum);
	}
}

/* Zeros behind the last number of a row of halves. */
DEVICE void pad_f16(const row_forms &r, uint32_t n)
{
	uint32_t padded = (n + CUDA_F16_PAD - 1) / CUDA_F16_PAD * CUDA_F16_PAD;

	for (uint32_t i = n + threadIdx.x; r.f16 != NULL && i < padded; i += blockDim.x)
		r.f16[i] = 0;
}

#endif
