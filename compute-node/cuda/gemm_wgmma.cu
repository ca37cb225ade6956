/*
 * The products of gemm.cu on Hopper's units: four warps together multiply 64 rows of x
 * with up to 256 of weights, both read from shared memory.  Built with CUDA_WGMMA for
 * compute_90a; the emulator does not know these units.
 *
 * All threads copy and all multiply.  While the products of one step are under way the
 * copies of that after the next are started, into the stage whose products are known
 * to have ended before the last barrier.
 *
 * PTX: "Parallel Thread Execution ISA", wgmma.mma_async, matrix descriptors, 128-byte
 * swizzle (which is the layout of gemm_tile.cuh when stages begin at 1024 bytes).
 */
#ifdef CUDA_WGMMA

#include "cuda/gemm_tile.cuh"

#define STAGE_ALIGN 1024
#define GROUP_THREADS 128
#define DESCRIPTOR_128B (1ull << 62)
#define DESCRIPTOR_ROWS8 ((8ull * ROW_BYTES >> 4) << 32) /* from 8 rows to the next */
#define DESCRIPTOR_LEADING (1ull << 16)                  /* not read with this swizzle */

template <int GROUPS_M, int GROUPS_N, int N_, int STAGES_> struct wide_shape {
	static constexpr int N = N_, STAGES = STAGES_, GROUPS = GROUPS_M * GROUPS_N;
	static constexpr int BM = 64 * GROUPS_M, BN = N * GROUPS_N;
	static constexpr int THREADS = GROUP_THREADS * GROUPS;
	static constexpr int MT = 1, NT = N / 8;
	static constexpr int LOAD_ROWS = THREADS / 8;
	static constexpr int A_LOADS = BM / LOAD_ROWS, B_LOADS = BN / LOAD_ROWS;
	static constexpr int STAGE_BYTES = (BM + BN) * (int)ROW_BYTES;
	static constexpr int BYTES = STAGES * STAGE_BYTES + STAGE_ALIGN;

	DEVICE uint32_t group_m()
	{
		return threadIdx.x / GROUP_THREADS / GROUPS_N * 64;
	}
	DEVICE uint32_t warp_m()
	{
		return group_m() + threadIdx.x / 32 % 4 * 16;
	}
	DEVICE uint32_t warp_n()
	{
		return threadIdx.x / GROUP_THREADS % GROUPS_N * N;
	}
};

#ifdef __CUDA_ARCH_FEAT_SM90_ALL

#define SUMS4(d, i) "+f"(d[i]), "+f"(d[(i) + 1]), "+f"(d[(i) + 2]), "+f"(d[(i) + 3])
#define SUMS16(d, i) SUMS4(d, i), SUMS4(d, (i) + 4), SUMS4(d, (i) + 8), SUMS4(d, (i) + 12)

/* d = a · b, or d += a · b: a [64][16] and b [N][16] by their descriptors. */
DEVICE void wgmma_n256(float d[128], uint64_t a, uint64_t b, int add)
{
	asm volatile("{\n.reg .pred p;\nsetp.ne.b32 p, %130, 0;\n"
		     "wgmma.mma_async.sync.aligned.m64n256k16.f32.f16.f16 {"
		     "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, "
		     "%12, %13, %14, %15, %16, %17, %18, %19, %20, %21, %22, %23, "
		     "%24, %25, %26, %27, %28, %29, %30, %31, %32, %33, %34, %35, "
		     "%36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, "
		     "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, "
		     "%60, %61, %62, %63, %64, %65, %66, %67, %68, %69, %70, %71, "
		     "%72, %73, %74, %75, %76, %77, %78, %79, %80, %81, %82, %83, "
		     "%84, %85, %86, %87, %88, %89, %90, %91, %92, %93, %94, %95, "
		     "%96, %97, %98, %99, %100, %101, %102, %103, %104, %105, %106, %107, "
		     "%108, %109, %110, %111, %112, %113, %114, %115, %116, %117, %118, %119, "
		     "%120, %121, %122, %123, %124, %125, %126, %127"
		     "}, %128, %129, p, 1, 1, 0, 0;\n}"
		     : SUMS16(d, 0), SUMS16(d, 16), SUMS16(d, 32), SUMS16(d, 48), SUMS16(d, 64),
		     SUMS16(d, 80), SUMS16(d, 96), SUMS16(d, 112)
		     : "l"(a), "l"(b), "r"(add));
}

DEVICE void wgmma_n128(float d[64], uint64_t a, uint64_t b, int add)
{
	asm volatile("{\n.reg .pred p;\nsetp.ne.b32 p, %66, 0;\n"
		     "wgmma.mma_async.sync.aligned.m64n128k16.f32.f16.f16 {"
		     "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, "
		     "%12, %13, %14, %15, %16, %17, %18, %19, %20, %21, %22, %23, "
		     "%24, %25, %26, %27, %28, %29, %30, %31, %32, %33, %34, %35, "
		     "%36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, "
		     "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, "
		     "%60, %61, %62, %63"
		     "}, %64, %65, p, 1, 1, 0, 0;\n}"
		     : SUMS16(d, 0), SUMS16(d, 16), SUMS16(d, 32), SUMS16(d, 48)
		     : "l"(a), "l"(b), "r"(add));
}

template <int N> DEVICE void wgmma(float *d, uint64_t a, uint64_t b, int add)
{
	if constexpr (N == 256)
		wgmma_n256(d, a, b, add);
	else
		wgmma_n128(d, a, b, add);
}

DEVICE void wgmma_fence()
{
	asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
}

DEVICE void wgmma_commit()
{
	asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
}

template <int N> DEVICE void wgmma_wait()
{
	asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(N) : "memory");
}

/* What this thread has copied is seen by the units that read shared memory themselves. */
DEVICE void copies_to_units()
{
	asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
}

DEVICE uint64_t descriptor(uint32_t shared)
{
	return DESCRIPTOR_128B | DESCRIPTOR_ROWS8 | DESCRIPTOR_LEADING | (shared & 0x3ffff) >> 4;
}

template <class S> DEVICE void multiply(float *sums, uint32_t stage, bool add)
{
	uint64_t a = descriptor(stage + S::group_m() * ROW_BYTES);
	uint64_t b = descriptor(stage + (S::BM + S::warp_n()) * ROW_BYTES);

	wgmma_fence();
#pragma unroll
	for (int k16 = 0; k16 < (int)STEP / 16; k16++) /* 32 bytes on in each row */
		wgmma<S::N>(sums, a + 2 * k16, b + 2 * k16, k16 > 0 || add);
	wgmma_commit();
}

template <class S>
DEVICE void add_up(float *sums, struct loader<S> *l, uint8_t *shared, uint32_t steps)
{
	constexpr int AHEAD = S::STAGES - 2;
	uint32_t first = (uint32_t)__cvta_generic_to_shared(shared), from = 0, to = AHEAD;

#pragma unroll
	for (int i = 0; i < AHEAD; i++) {
		if ((uint32_t)i < steps)
			load_step<S>(l, shared + i * S::STAGE_BYTES);
		cp_async_commit();
	}
	for (uint32_t step = 0; step < steps; step++) {
		cp_async_wait<AHEAD - 1>();
		copies_to_units();
		__syncthreads();
		multiply<S>(sums, first + from * S::STAGE_BYTES, step > 0);
		if (step + AHEAD < steps)
			load_step<S>(l, shared + to * S::STAGE_BYTES);
		cp_async_commit();
		wgmma_wait<1>();
		from = from + 1 == S::STAGES ? 0 : from + 1;
		to = to + 1 == S::STAGES ? 0 : to + 1;
	}
	wgmma_wait<0>();
#pragma unroll
	for (int i = 0; i < S::NT * 4; i++) /* not read before here */
		asm volatile("" : "+f"(sums[i])::"memory");
	cp_async_wait<0>();
}

#endif

template <class S>
__global__ void __launch_bounds__(S::THREADS, 1)
    wgmma_kernel(const __grid_constant__ struct gemm_job job, uint32_t m_tiles)
{
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
	KERNEL_SHARED(uint8_t, shared);
	float sums[S::MT][S::NT][4];
	struct loader<S> l;
	struct spot s;

	pdl_wait();
	s = locate<S>(&job, m_tiles);
	if (job.groups.tiles != NULL && s.group >= job.groups.n)
		return;
	shared += -(uint32_t)__cvta_generic_to_shared(shared) % STAGE_ALIGN;
	loader_set<S>(&l, &job, &s);
	add_up<S>(&sums[0][0][0], &l, shared, job.kp / STEP);
	store<S>(sums, &job, &s);
#else
	__trap(); /* an image for other units was loaded where p->cc is 90 */
#endif
}

using large = wide_shape<2, 1, 256, 4>;  /* 128 x 256 */
using middle = wide_shape<2, 1, 128, 6>; /* 128 x 128 */
using small = wide_shape<1, 2, 128, 5>;  /* 64 x 256 */

template <class S>
static cudaError_t start(const struct cuda_pass *p, const struct gemm_job *job, uint64_t m_tiles)
{
	return launch(wgmma_kernel<S>, dim3((unsigned)(m_tiles * gemm_over(job->rows, S::BN))),
	    dim3(S::THREADS), (size_t)S::BYTES, p->stream, *job, (uint32_t)m_tiles);
}

cudaError_t cuda_gemm_wgmma(const struct cuda_pass *p, const struct gemm_job *job)
{
	const struct gemm_groups *g = &job->groups;
	uint64_t m128 = gemm_over(job->n_rows, 128), m64 = gemm_over(job->n_rows, 64);
	uint64_t n256 = gemm_over(job->rows, 256), n128 = gemm_over(job->rows, 128);
	uint64_t of_large = gemm_cost(p, m128 * n256, 4, 100);
	uint64_t of_middle = gemm_cost(p, m128 * n128, 2, 115);
	uint64_t of_small = gemm_cost(p, m64 * n256, 2, 115);

	if (g->tiles != NULL && g->tile_rows == 64)
		return start<small>(p, job, g->n_tiles);
	if (g->tiles != NULL)
		return of_large <= of_middle ? start<large>(p, job, g->n_tiles)
					     : start<middle>(p, job, g->n_tiles);
	if (of_large <= of_middle && of_large <= of_small)
		return start<large>(p, job, m128);
	return of_middle <= of_small ? start<middle>(p, job, m128) : start<small>(p, job, m64);
}

#endif
