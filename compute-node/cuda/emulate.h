/*
 * Emulate: the part of CUDA that this folder uses, on the host, for tests.
 *
 * A block's threads are fibers of one host thread: they run in turn, from one
 * barrier or exchange to the next, blocks one after another.  Copies into shared
 * memory happen when they are waited for, not before.  Exchanges of a warp want all
 * of its living lanes.  Memory of the device is the host's.  One thread only.
 *
 * What a device traps is trapped here: addresses that are no multiple of what is read or
 * written there (the Makefile has the compiler look).
 */
#ifndef CUDA_EMULATE_H
#define CUDA_EMULATE_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <functional>
#include <vector>

extern "C" {
#include "kernels/half.h"
}

#define DEVICE static inline
#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __constant__
#define __grid_constant__
#define __shared__ static
#define __launch_bounds__(...)
#define __align__(n) __attribute__((aligned(n)))
#define KERNEL_SHARED(type, name) type *name = reinterpret_cast<type *>(emulate_shared())

struct dim3 {
	unsigned x, y, z;

	dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_)
	{
	}
};

#define EMULATE_VECTOR(type, name)                                                                 \
	struct __attribute__((aligned(2 * sizeof(type)))) name##2                                  \
	{                                                                                          \
		type x, y;                                                                         \
	};                                                                                         \
	struct __attribute__((aligned(16))) name##4                                                \
	{                                                                                          \
		type x, y, z, w;                                                                   \
	};                                                                                         \
	static inline name##2 make_##name##2(type x, type y)                                       \
	{                                                                                          \
		return name##2 { x, y };                                                           \
	}                                                                                          \
	static inline name##4 make_##name##4(type x, type y, type z, type w)                       \
	{                                                                                          \
		return name##4 { x, y, z, w };                                                     \
	}
EMULATE_VECTOR(float, float)
EMULATE_VECTOR(int, int)
EMULATE_VECTOR(unsigned, uint)
#undef EMULATE_VECTOR

/* Where the running fiber stands. */
struct emulate_place {
	dim3 thread, block, block_dim, grid_dim;
};
extern struct emulate_place emulate_place;
#define threadIdx emulate_place.thread
#define blockIdx emulate_place.block
#define blockDim emulate_place.block_dim
#define gridDim emulate_place.grid_dim
#define warpSize 32

void *emulate_shared();
/* Run all blocks of a kernel; the last one first where a test says so, since no result
 * may depend on their order. */
extern bool emulate_backwards;
/* Where it is not NULL kernels are kept there, to be run later. */
extern std::vector<std::function<void()>> *emulate_kept;
void emulate_run(dim3 grid, dim3 block, size_t shared, const std::function<void()> &kernel);
void emulate_block_barrier();
void emulate_warp_barrier();

/* Every living lane of the warp hands in `n` words; those of lane l are then at [l]. */
#define EMULATE_WORDS 8
typedef uint64_t emulate_words[EMULATE_WORDS];
const emulate_words *emulate_exchange(const uint64_t *words, int n);
/* Bit l: lane l has not ended. */
uint32_t emulate_alive();
int emulate_lane();

static inline void __syncthreads()
{
	emulate_block_barrier();
}

static inline void __syncwarp(unsigned mask = ~0u)
{
	(void)mask;
	emulate_warp_barrier();
}

template <class T> static inline T emulate_shuffle(T value, int from)
{
	uint64_t word = 0;

	memcpy(&word, &value, sizeof(value));
	memcpy(&value, &emulate_exchange(&word, 1)[from & 31][0], sizeof(value));
	return value;
}

template <class T> static inline T __shfl_sync(unsigned, T value, int from, int width = 32)
{
	return emulate_shuffle(value, (emulate_lane() & ~(width - 1)) | (from & (width - 1)));
}

template <class T> static inline T __shfl_xor_sync(unsigned, T value, int mask, int = 32)
{
	return emulate_shuffle(value, emulate_lane() ^ mask);
}

template <class T> static inline T __shfl_down_sync(unsigned, T value, unsigned by, int = 32)
{
	int from = emulate_lane() + (int)by;

	return emulate_shuffle(value, from < 32 ? from : emulate_lane());
}

template <class T> static inline T __shfl_up_sync(unsigned, T value, unsigned by, int = 32)
{
	int from = emulate_lane() - (int)by;

	return emulate_shuffle(value, from >= 0 ? from : emulate_lane());
}

static inline unsigned __ballot_sync(unsigned, int predicate)
{
	uint64_t word = predicate != 0;
	uint32_t alive = emulate_alive(), bits = 0;
	const emulate_words *all = emulate_exchange(&word, 1);

	for (int i = 0; i < 32; i++)
		bits |= (alive >> i & 1) != 0 && all[i][0] != 0 ? 1u << i : 0;
	return bits;
}

/* Blocks run one after another. */
static inline void __threadfence()
{
}

template <class T> static inline T atomicAdd(T *at, T by)
{
	T was = *at;

	*at = was + by;
	return was;
}

static inline int __dp4a(int a, int b, int c)
{
	for (int i = 0; i < 4; i++)
		c += (int)(int8_t)(a >> 8 * i) * (int)(int8_t)(b >> 8 * i);
	return c;
}

template <class T> static inline T __ldg(const T *at)
{
	return *at;
}

static inline int __popc(unsigned x)
{
	return __builtin_popcount(x);
}

static inline int __ffs(int x)
{
	return __builtin_ffs(x);
}

static inline float __uint_as_float(uint32_t bits)
{
	return half_bits_to_f32(bits);
}

static inline float __int_as_float(int bits)
{
	return half_bits_to_f32((uint32_t)bits);
}

static inline uint32_t __float_as_uint(float x)
{
	uint32_t bits;

	memcpy(&bits, &x, sizeof(bits));
	return bits;
}

static inline int __float2int_rn(float x)
{
	return (int)nearbyintf(x);
}

static inline uint32_t __byte_perm(uint32_t x, uint32_t y, uint32_t s)
{
	uint64_t both = (uint64_t)y << 32 | x;
	uint32_t out = 0;

	for (int i = 0; i < 4; i++)
		out |= (uint32_t)(both >> 8 * (s >> 4 * i & 7) & 0xff) << 8 * i;
	return out;
}

template <class T> static inline T min(T a, T b)
{
	return b < a ? b : a;
}

template <class T> static inline T max(T a, T b)
{
	return a < b ? b : a;
}

static inline float rsqrtf(float x)
{
	return 1.0f / sqrtf(x);
}

static inline float half_to_float(uint16_t h)
{
	return half_from_f16(h);
}

static inline uint16_t float_to_half(float x)
{
	return half_to_f16(x);
}

static inline float2 half2_to_float2(uint32_t h)
{
	return make_float2(half_from_f16((uint16_t)h), half_from_f16((uint16_t)(h >> 16)));
}

static inline uint32_t floats_to_half2(float low, float high)
{
	return (uint32_t)half_to_f16(high) << 16 | half_to_f16(low);
}

static inline float bf16_to_float(uint16_t b)
{
	return half_bits_to_f32((uint32_t)b << 16);
}

static inline float exp_fast(float x)
{
	return expf(x);
}

static inline uint4 load_stream16(const void *at)
{
	return *(const uint4 *)at;
}

static inline uint2 load_stream8(const void *at)
{
	return *(const uint2 *)at;
}

static inline uint32_t load_stream4(const void *at)
{
	return *(const uint32_t *)at;
}

static inline void pdl_wait()
{
}

void cp_async16(void *shared, const void *global, int bytes);
void cp_async8(void *shared, const void *global, int bytes);
void cp_async_commit();
void emulate_copies_wait(int n);

template <int N> static inline void cp_async_wait()
{
	emulate_copies_wait(N);
}

void ldmatrix_x4(uint32_t r[4], const void *row);
void ldmatrix_x4_trans(uint32_t r[4], const void *row);
void mma_f16(float c[4], const uint32_t a[4], const uint32_t b[2]);
void mma_s8(int c[4], const uint32_t a[4], const uint32_t b[2]);
void mma_s8_half(int c[4], const uint32_t a[2], uint32_t b);

/* ---- the runtime, as far as the plugin calls it ---- */

typedef int cudaError_t;
typedef struct emulate_stream *cudaStream_t;
#define cudaSuccess 0
#define cudaErrorMemoryAllocation 2
#define cudaErrorInvalidValue 1

template <class... P, class... A>
static cudaError_t launch(
    void (*kernel)(P...), dim3 grid, dim3 block, size_t shared, cudaStream_t, A... args)
{
	emulate_run(grid, block, shared, [=]() { kernel(P(args)...); });
	return cudaSuccess;
}

static inline const char *cudaGetErrorString(cudaError_t)
{
	return "emulated";
}

static inline cudaError_t cudaGetLastError()
{
	return cudaSuccess;
}

static inline cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t n, int, cudaStream_t)
{
	memmove(to, from, n);
	return cudaSuccess;
}

static inline cudaError_t cudaMemsetAsync(void *at, int value, size_t n, cudaStream_t)
{
	memset(at, value, n);
	return cudaSuccess;
}

#define cudaMemcpyHostToDevice 1
#define cudaMemcpyDeviceToHost 2
#define cudaMemcpyDeviceToDevice 3

#endif
