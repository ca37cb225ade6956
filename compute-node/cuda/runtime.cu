/* A device, its stream, memory, graphs, and what it can do at most. */
#include "cuda/runtime.h"

#include <dlfcn.h>
#include <new>
#include <stdio.h>
#include <stdlib.h>

#include <cublas_v2.h>

#define MEASURE_BYTES (UINT64_C(2) << 30)
#define MEASURE_SIDE 8192
#define MEASURE_RUNS 5
#define READ_THREADS 512u

struct runtime {
	struct runtime_figures figures;
	cudaStream_t stream;
	cudaEvent_t stages[RUNTIME_STAGES];
};

struct runtime_graph {
	cudaGraphExec_t exec;
};

cudaError_t runtime_open(unsigned index, struct runtime **out)
{
	struct runtime *r = new (std::nothrow) runtime();
	cudaDeviceProp prop;
	cudaError_t rc;

	if (r == NULL)
		return cudaErrorMemoryAllocation;
	/* All kernels come with the device: else each would at its first launch, and take
	 * memory while an answer is under way. */
	(void)setenv("CUDA_MODULE_LOADING", "EAGER", 0);
	rc = cudaGetDeviceProperties(&prop, (int)index);
	if (rc == cudaSuccess)
		rc = cudaSetDevice((int)index);
	if (rc == cudaSuccess)
		rc = cudaSetDeviceFlags(cudaDeviceScheduleSpin);
	if (rc == cudaSuccess)
		rc = cudaStreamCreateWithFlags(&r->stream, cudaStreamNonBlocking);
	for (unsigned i = 0; rc == cudaSuccess && i < RUNTIME_STAGES; i++)
		rc = cudaEventCreateWithFlags(&r->stages[i], cudaEventDisableTiming);
	if (rc != cudaSuccess) {
		(void)cudaGetLastError();
		delete r;
		return rc;
	}
	(void)snprintf(r->figures.name, sizeof(r->figures.name), "%s", prop.name);
	r->figures.total_bytes = prop.totalGlobalMem;
	r->figures.units = (uint32_t)prop.multiProcessorCount;
	r->figures.cc = (uint32_t)(prop.major * 10 + prop.minor);
	r->figures.unified = prop.integrated != 0;
	*out = r;
	return cudaSuccess;
}

void runtime_close(struct runtime *r)
{
	for (unsigned i = 0; i < RUNTIME_STAGES; i++)
		(void)cudaEventDestroy(r->stages[i]);
	(void)cudaStreamDestroy(r->stream);
	delete r;
}

cudaStream_t runtime_stream(const struct runtime *r)
{
	return r->stream;
}

const struct runtime_figures *runtime_figures(const struct runtime *r)
{
	return &r->figures;
}

uint64_t runtime_free_bytes(const struct runtime *)
{
	size_t available = 0, total = 0;

	(void)cudaMemGetInfo(&available, &total);
	return available;
}

cudaError_t runtime_take(struct runtime *r, uint64_t bytes, void **out)
{
	cudaError_t rc = cudaMalloc(out, bytes);

	if (rc == cudaSuccess)
		rc = cudaMemsetAsync(*out, 0, bytes, r->stream);
	else
		(void)cudaGetLastError();
	return rc;
}

void runtime_give(void *memory)
{
	(void)cudaFree(memory);
}

cudaError_t runtime_pin(uint64_t bytes, void **out)
{
	return cudaHostAlloc(out, bytes > 0 ? bytes : 1, cudaHostAllocDefault);
}

void runtime_unpin(void *memory, uint64_t bytes)
{
	volatile uint8_t *at = (volatile uint8_t *)memory;

	if (memory == NULL)
		return;
	for (uint64_t i = 0; i < bytes; i++)
		at[i] = 0;
	(void)cudaFreeHost(memory);
}

cudaError_t runtime_finish(struct runtime *r)
{
	return cudaStreamSynchronize(r->stream);
}

cudaError_t runtime_mark_stage(struct runtime *r, unsigned stage)
{
	return cudaEventRecord(r->stages[stage], r->stream);
}

cudaError_t runtime_wait_stage(struct runtime *r, unsigned stage)
{
	return cudaEventSynchronize(r->stages[stage]);
}

cudaError_t runtime_capture(struct runtime *r)
{
	return cudaStreamBeginCapture(r->stream, cudaStreamCaptureModeThreadLocal);
}

cudaError_t runtime_captured(struct runtime *r, struct runtime_graph **out)
{
	struct runtime_graph *g = new (std::nothrow) runtime_graph();
	cudaGraph_t graph = NULL;
	cudaError_t rc = cudaStreamEndCapture(r->stream, &graph);

	if (rc == cudaSuccess && g == NULL)
		rc = cudaErrorMemoryAllocation;
	if (rc == cudaSuccess)
		rc = cudaGraphInstantiate(&g->exec, graph, 0);
	if (graph != NULL)
		(void)cudaGraphDestroy(graph);
	if (rc == cudaSuccess) {
		rc = cudaGraphUpload(g->exec, r->stream);
		if (rc != cudaSuccess)
			(void)cudaGraphExecDestroy(g->exec);
	}
	if (rc != cudaSuccess) {
		(void)cudaGetLastError();
		delete g;
		return rc;
	}
	*out = g;
	return cudaSuccess;
}

cudaError_t runtime_replay(struct runtime *r, struct runtime_graph *graph)
{
	return cudaGraphLaunch(graph->exec, r->stream);
}

void runtime_graph_free(struct runtime_graph *graph)
{
	(void)cudaGraphExecDestroy(graph->exec);
	delete graph;
}

__global__ void __launch_bounds__(READ_THREADS) read_kernel(
    const uint4 *at, uint64_t n, uint32_t *out)
{
	uint64_t step = (uint64_t)gridDim.x * blockDim.x;
	uint32_t sum = 0;

#pragma unroll 8
	for (uint64_t i = (uint64_t)blockIdx.x * blockDim.x + threadIdx.x; i < n; i += step) {
		uint4 v = load_stream16(at + i);

		sum += v.x ^ v.y ^ v.z ^ v.w;
	}
	if (sum == 0x12345678)
		*out = sum;
}

__global__ void fill_kernel(uint32_t *at, uint64_t n)
{
	uint64_t step = (uint64_t)gridDim.x * blockDim.x;

	/* halves of either kind between 1 and 2, of no pattern */
	for (uint64_t i = (uint64_t)blockIdx.x * blockDim.x + threadIdx.x; i < n; i += step) {
		uint64_t z = (i + 1) * UINT64_C(0x9e3779b97f4a7c15);

		z = (z ^ z >> 29) * UINT64_C(0xbf58476d1ce4e5b9);
		at[i] = ((uint32_t)(z >> 32) & 0x807f807fu) | 0x3f803f80u;
	}
}

/* Milliseconds of the fastest of some runs. */
template <class F> static cudaError_t fastest(cudaStream_t stream, F run, float *out)
{
	cudaEvent_t from, to;
	cudaError_t rc = cudaEventCreate(&from);

	if (rc != cudaSuccess)
		return rc;
	rc = cudaEventCreate(&to);
	*out = 0;
	for (int i = 0; rc == cudaSuccess && i < MEASURE_RUNS; i++) {
		float ms = 0;

		rc = cudaEventRecord(from, stream);
		if (rc == cudaSuccess)
			rc = run();
		if (rc == cudaSuccess)
			rc = cudaEventRecord(to, stream);
		if (rc == cudaSuccess)
			rc = cudaEventSynchronize(to);
		if (rc == cudaSuccess)
			rc = cudaEventElapsedTime(&ms, from, to);
		*out = *out == 0 || ms < *out ? ms : *out;
	}
	(void)cudaEventDestroy(from);
	(void)cudaEventDestroy(to);
	return rc;
}

typedef cublasStatus_t create_fn(cublasHandle_t *);
typedef cublasStatus_t destroy_fn(cublasHandle_t);
typedef cublasStatus_t stream_fn(cublasHandle_t, cudaStream_t);
typedef cublasStatus_t gemm_fn(cublasHandle_t, cublasOperation_t, cublasOperation_t, int, int, int,
    const void *, const void *, cudaDataType, int, const void *, cudaDataType, int, const void *,
    void *, cudaDataType, int, cublasComputeType_t, cublasGemmAlgo_t);

static cudaError_t measure_product(struct runtime *r, uint8_t *memory, double *flops_s)
{
	void *library = dlopen("libcublas.so.13", RTLD_NOW | RTLD_LOCAL);
	const float one = 1.0f, zero = 0.0f;
	const uint64_t bytes = (uint64_t)MEASURE_SIDE * MEASURE_SIDE * 2;
	cublasHandle_t handle = NULL;
	cudaError_t rc;
	float ms = 0;

	*flops_s = 0;
	if (library == NULL)
		return cudaSuccess;
	create_fn *create = (create_fn *)dlsym(library, "cublasCreate_v2");
	destroy_fn *destroy = (destroy_fn *)dlsym(library, "cublasDestroy_v2");
	stream_fn *set_stream = (stream_fn *)dlsym(library, "cublasSetStream_v2");
	gemm_fn *gemm = (gemm_fn *)dlsym(library, "cublasGemmEx");

	if (create == NULL || destroy == NULL || set_stream == NULL || gemm == NULL ||
	    create(&handle) != CUBLAS_STATUS_SUCCESS)
		return cudaSuccess;
	(void)set_stream(handle, r->stream);
	rc = fastest(
	    r->stream,
	    [&]() {
		    cublasStatus_t s = gemm(handle, CUBLAS_OP_T, CUBLAS_OP_N, MEASURE_SIDE,
			MEASURE_SIDE, MEASURE_SIDE, &one, memory, CUDA_R_16BF, MEASURE_SIDE,
			memory + bytes, CUDA_R_16BF, MEASURE_SIDE, &zero, memory + 2 * bytes,
			CUDA_R_16BF, MEASURE_SIDE, CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT);

		    return s == CUBLAS_STATUS_SUCCESS ? cudaSuccess : cudaErrorUnknown;
	    },
	    &ms);
	(void)destroy(handle);
	if (rc == cudaSuccess && ms > 0)
		*flops_s = 2.0 * MEASURE_SIDE * MEASURE_SIDE * MEASURE_SIDE / (ms / 1e3);
	return rc;
}

cudaError_t runtime_measure(struct runtime *r, double *read_bytes_s, double *tensor_flops_s)
{
	uint8_t *memory = NULL;
	cudaError_t rc = cudaMalloc(&memory, MEASURE_BYTES);
	unsigned blocks = r->figures.units * 4;
	float ms = 0;

	if (rc != cudaSuccess)
		return rc;
	fill_kernel<<<blocks, READ_THREADS, 0, r->stream>>>((uint32_t *)memory, MEASURE_BYTES / 4);
	rc = fastest(
	    r->stream,
	    [&]() {
		    read_kernel<<<blocks, READ_THREADS, 0, r->stream>>>(
			(const uint4 *)memory, MEASURE_BYTES / 16, (uint32_t *)memory);
		    return cudaGetLastError();
	    },
	    &ms);
	if (rc == cudaSuccess)
		*read_bytes_s = (double)MEASURE_BYTES / (ms / 1e3);
	if (rc == cudaSuccess)
		rc = measure_product(r, memory, tensor_flops_s);
	(void)cudaFree(memory);
	return rc;
}
