/*
 * Device: the primitives that kernels here are written with, on a GPU, or with
 * CUDA_EMULATED on the host (cuda/emulate.h), where tests run the same source.
 *
 * PTX: "Parallel Thread Execution ISA", mma.m16n8k16, m16n8k32, ldmatrix, cp.async,
 * griddepcontrol.
 */
#ifndef CUDA_DEVICE_CUH
#define CUDA_DEVICE_CUH

#include <stdint.h>

#ifdef CUDA_EMULATED
#include "cuda/emulate.h"
#else

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

#define DEVICE static __device__ __forceinline__
#define KERNEL_SHARED(type, name)                                                                  \
	extern __shared__ __align__(128) unsigned char kernel_shared_bytes[];                      \
	type *name = reinterpret_cast<type *>(kernel_shared_bytes)

DEVICE float half_to_float(uint16_t h)
{
	return __half2float(__ushort_as_half(h));
}

DEVICE uint16_t float_to_half(float x)
{
	return __half_as_ushort(__float2half_rn(x));
}

DEVICE float2 half2_to_float2(uint32_t h)
{
	__half2 pair;

	memcpy(&pair, &h, sizeof(pair));
	return __half22float2(pair);
}

/* `low` in the low half of the word. */
DEVICE uint32_t floats_to_half2(float low, float high)
{
	__half2 pair = __floats2half2_rn(low, high);
	uint32_t word;

	memcpy(&word, &pair, sizeof(word));
	return word;
}

DEVICE float bf16_to_float(uint16_t b)
{
	return __uint_as_float((uint32_t)b << 16);
}

DEVICE float exp_fast(float x)
{
	return __expf(x);
}

/* Weights: read once, so not kept in the nearest cache. */
DEVICE uint4 load_stream16(const void *at)
{
	uint4 v;

	asm("ld.global.nc.L1::no_allocate.v4.u32 {%0,%1,%2,%3}, [%4];"
	    : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
	    : "l"(at));
	return v;
}

DEVICE uint2 load_stream8(const void *at)
{
	uint2 v;

	asm("ld.global.nc.L1::no_allocate.v2.u32 {%0,%1}, [%2];" : "=r"(v.x), "=r"(v.y) : "l"(at));
	return v;
}

DEVICE uint32_t load_stream4(const void *at)
{
	uint32_t v;

	asm("ld.global.nc.L1::no_allocate.u32 %0, [%1];" : "=r"(v) : "l"(at));
	return v;
}

/*
 * What earlier kernels of the stream wrote is seen behind it, and the next kernel may
 * begin, up to its own pdl_wait().  Every kernel calls it before it reads or writes
 * anything but weights.  No sooner, and not for small kernels alone: what those behind
 * read would stand in the way of the little that these wait for (an 8B model of Q8_0 took
 * 3.15 ms a token instead of 2.41 where norms and attention let the next begin at once; and
 * 2.64 where products asked for 20 MB of the next weights to come into the L2 cache).
 */
DEVICE void pdl_wait()
{
#if __CUDA_ARCH__ >= 900
	asm volatile("griddepcontrol.wait;" ::: "memory");
	asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}

/* 16 bytes to shared memory, of which `bytes` are read and the rest are zero. */
DEVICE void cp_async16(void *shared, const void *global, int bytes)
{
	uint32_t to = (uint32_t)__cvta_generic_to_shared(shared);

	asm volatile("cp.async.cg.shared.global.L2::128B [%0], [%1], 16, %2;" ::"r"(to), "l"(global),
	    "r"(bytes)
	    : "memory");
}

/* The same of 8. */
DEVICE void cp_async8(void *shared, const void *global, int bytes)
{
	uint32_t to = (uint32_t)__cvta_generic_to_shared(shared);

	asm volatile("cp.async.ca.shared.global [%0], [%1], 8, %2;" ::"r"(to), "l"(global), "r"(bytes)
	    : "memory");
}

DEVICE void cp_async_commit()
{
	asm volatile("cp.async.commit_group;" ::: "memory");
}

/* Until at most N of this thread's groups are under way. */
template <int N> DEVICE void cp_async_wait()
{
	asm volatile("cp.async.wait_group %0;" ::"n"(N) : "memory");
}

/* Four 8x8 matrices of halves; lane l names row l % 8 of matrix l / 8. */
DEVICE void ldmatrix_x4(uint32_t r[4], const void *row)
{
	uint32_t at = (uint32_t)__cvta_generic_to_shared(row);

	asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
		     : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
		     : "r"(at)
		     : "memory");
}

DEVICE void ldmatrix_x4_trans(uint32_t r[4], const void *row)
{
	uint32_t at = (uint32_t)__cvta_generic_to_shared(row);

	asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
		     : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
		     : "r"(at)
		     : "memory");
}

/* c += a · b: a [16][16] and b [16][8] of halves, c [16][8]. */
DEVICE void mma_f16(float c[4], const uint32_t a[4], const uint32_t b[2])
{
	asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, "
	    "{%8,%9}, {%0,%1,%2,%3};"
	    : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
	    : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

/* c += a · b of int8: a [16][32] and b [32][8], c [16][8]. */
DEVICE void mma_s8(int c[4], const uint32_t a[4], const uint32_t b[2])
{
	asm("mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, "
	    "{%8,%9}, {%0,%1,%2,%3};"
	    : "+r"(c[0]), "+r"(c[1]), "+r"(c[2]), "+r"(c[3])
	    : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

/* The same of half as much: a [16][16], b [16][8]. */
DEVICE void mma_s8_half(int c[4], const uint32_t a[2], uint32_t b)
{
	asm("mma.sync.aligned.m16n8k16.row.col.s32.s8.s8.s32 {%0,%1,%2,%3}, {%4,%5}, {%6}, "
	    "{%0,%1,%2,%3};"
	    : "+r"(c[0]), "+r"(c[1]), "+r"(c[2]), "+r"(c[3])
	    : "r"(a[0]), "r"(a[1]), "r"(b));
}

/* Launch so that the kernel may begin while the one before it ends (pdl_wait()). */
template <class... P, class... A>
static cudaError_t launch(
    void (*kernel)(P...), dim3 grid, dim3 block, size_t shared, cudaStream_t stream, A... args)
{
	cudaLaunchConfig_t config = {};
	cudaLaunchAttribute attribute = {};

	/* 48 KB without being asked for, with what a kernel declares itself */
	if (shared > 24u << 10) {
		cudaError_t rc = cudaFuncSetAttribute((const void *)kernel,
		    cudaFuncAttributeMaxDynamicSharedMemorySize, (int)shared);

		if (rc != cudaSuccess)
			return rc;
	}
	attribute.id = cudaLaunchAttributeProgrammaticStreamSerialization;
	attribute.val.programmaticStreamSerializationAllowed = 1;
	config.gridDim = grid;
	config.blockDim = block;
	config.dynamicSmemBytes = shared;
	config.stream = stream;
	config.attrs = &attribute;
	config.numAttrs = 1;
	return cudaLaunchKernelEx(&config, kernel, P(args)...);
}

#endif

#endif
