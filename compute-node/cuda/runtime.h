/*
 * Runtime: the calls of the CUDA runtime that a backend makes, behind functions that
 * the emulator has as well: a device, its stream, memory, graphs, measures.
 */
#ifndef CUDA_RUNTIME_H
#define CUDA_RUNTIME_H

#include "cuda/device.cuh"

struct runtime;       /* a device and its stream */
struct runtime_graph; /* what was captured, ready to run */

struct runtime_figures {
	char name[64];
	uint64_t total_bytes;
	uint32_t units, cc; /* multiprocessors; compute capability, 90 */
	bool unified;
};

#define RUNTIME_STAGES 2u

cudaError_t runtime_open(unsigned index, struct runtime **out);
void runtime_close(struct runtime *r);
cudaStream_t runtime_stream(const struct runtime *r);
const struct runtime_figures *runtime_figures(const struct runtime *r);
uint64_t runtime_free_bytes(const struct runtime *r);

/* Zeroed memory of the device. */
cudaError_t runtime_take(struct runtime *r, uint64_t bytes, void **out);
void runtime_give(void *memory);
/* Memory of the host that the device reads and writes; wiped when given back. */
cudaError_t runtime_pin(uint64_t bytes, void **out);
void runtime_unpin(void *memory, uint64_t bytes);

/* Wait for all that is in the stream. */
cudaError_t runtime_finish(struct runtime *r);
/* Mark what is in the stream now; wait until it is done. */
cudaError_t runtime_mark_stage(struct runtime *r, unsigned stage);
cudaError_t runtime_wait_stage(struct runtime *r, unsigned stage);

/* What is put into the stream from here on is kept, and not run. */
cudaError_t runtime_capture(struct runtime *r);
/* Ends the capture, also of one that failed.  The graph is ready on the device. */
cudaError_t runtime_captured(struct runtime *r, struct runtime_graph **out);
cudaError_t runtime_replay(struct runtime *r, struct runtime_graph *graph);
void runtime_graph_free(struct runtime_graph *graph);

/* Bytes read a second; operations a second of the maker's own bf16 product, or 0 where
 * its library is not there. */
cudaError_t runtime_measure(struct runtime *r, double *read_bytes_s, double *tensor_flops_s);

#endif
