/* The runtime of the emulator: the host's memory, graphs of what is run later, nothing to
 * measure.  HEARTH_EMULATED_GRAPH_BYTES: what each graph takes of the device. */
#include <atomic>
#include <memory>
#include <new>
#include <stdio.h>
#include <stdlib.h>

#include "cuda/runtime.h"

#define UNITS 4u
#define TOTAL_BYTES (UINT64_C(4) << 30)
#define KERNEL_BYTES (UINT64_C(10) << 10)

struct runtime {
	struct runtime_figures figures;
};

struct runtime_graph {
	std::unique_ptr<std::vector<std::function<void()>>> kernels;
	uint64_t bytes;
};

/* What a device's driver would have taken for them. */
static std::atomic<uint64_t> graphs_bytes;

static uint64_t bytes_of(size_t kernels)
{
	const char *said = getenv("HEARTH_EMULATED_GRAPH_BYTES");

	return said != NULL ? strtoull(said, NULL, 10) : kernels * KERNEL_BYTES;
}

cudaError_t runtime_open(unsigned index, struct runtime **out)
{
	struct runtime *r;

	if (index != 0)
		return cudaErrorInvalidValue;
	r = new (std::nothrow) runtime();
	if (r == NULL)
		return cudaErrorMemoryAllocation;
	(void)snprintf(r->figures.name, sizeof(r->figures.name), "emulated");
	r->figures.total_bytes = TOTAL_BYTES;
	r->figures.units = UNITS;
	r->figures.cc = 90;
	*out = r;
	return cudaSuccess;
}

void runtime_close(struct runtime *r)
{
	delete r;
}

cudaStream_t runtime_stream(const struct runtime *)
{
	return NULL;
}

const struct runtime_figures *runtime_figures(const struct runtime *r)
{
	return &r->figures;
}

uint64_t runtime_free_bytes(const struct runtime *)
{
	return TOTAL_BYTES - graphs_bytes;
}

cudaError_t runtime_take(struct runtime *, uint64_t bytes, void **out)
{
	*out = aligned_alloc(256, (bytes + 255) / 256 * 256);
	if (*out == NULL)
		return cudaErrorMemoryAllocation;
	memset(*out, 0, bytes);
	return cudaSuccess;
}

void runtime_give(void *memory)
{
	free(memory);
}

cudaError_t runtime_pin(uint64_t bytes, void **out)
{
	*out = malloc(bytes > 0 ? bytes : 1);
	return *out != NULL ? cudaSuccess : cudaErrorMemoryAllocation;
}

void runtime_unpin(void *memory, uint64_t)
{
	free(memory);
}

cudaError_t runtime_finish(struct runtime *)
{
	return cudaSuccess;
}

cudaError_t runtime_mark_stage(struct runtime *, unsigned)
{
	return cudaSuccess;
}

cudaError_t runtime_wait_stage(struct runtime *, unsigned)
{
	return cudaSuccess;
}

cudaError_t runtime_capture(struct runtime *)
{
	emulate_kept = new std::vector<std::function<void()>>();
	return cudaSuccess;
}

cudaError_t runtime_captured(struct runtime *, struct runtime_graph **out)
{
	*out = new runtime_graph{
		std::unique_ptr<std::vector<std::function<void()>>>(emulate_kept),
		bytes_of(emulate_kept->size())
	};
	graphs_bytes += (*out)->bytes;
	emulate_kept = NULL;
	return cudaSuccess;
}

cudaError_t runtime_replay(struct runtime *, struct runtime_graph *graph)
{
	for (const std::function<void()> &run : *graph->kernels)
		run();
	return cudaSuccess;
}

void runtime_graph_free(struct runtime_graph *graph)
{
	graphs_bytes -= graph->bytes;
	delete graph;
}

cudaError_t runtime_measure(struct runtime *, double *read_bytes_s, double *tensor_flops_s)
{
	*read_bytes_s = *tensor_flops_s = 0;
	return cudaSuccess;
}
