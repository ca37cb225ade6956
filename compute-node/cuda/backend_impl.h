/*
 * The inside of a backend, for cuda/backend*.cu.
 */
#ifndef CUDA_BACKEND_IMPL_H
#define CUDA_BACKEND_IMPL_H

#include <vector>

#include "cuda/launch.h"
#include "cuda/runtime.h"

#define STAGES 2 /* of weights on their way to the device */

/* What a pass of this shape puts into the queue. */
struct graph {
	uint32_t n_rows, n_wanted, first, n_past_max;
	struct runtime_graph *graph;
};

struct taken { /* of the device's memory */
	void *memory;
	uint64_t bytes;
};

struct backend {
	struct runtime *runtime;
	struct cuda_pass pass;
	struct backend_sizes sizes;
	std::vector<taken> memory;
	struct backend_row *rows;              /* device */
	struct backend_row *pinned_rows;       /* host */
	float *logits;                         /* device [n_wanted][n_vocab] */
	float *pinned_logits;                  /* host, the same */
	struct backend_shortlist *shortlists;  /* host [n_wanted], written by the device */
	uint32_t first;                        /* place of the pass's wanted rows in the three */
	uint8_t *stages[STAGES], *raw[STAGES]; /* host, device */
	std::vector<graph> graphs;
	/* Of the device, by its free bytes: of all graphs, at most graphs_bytes(); the most that
	 * one of them took. */
	uint64_t graphs_taken, graph_most;
	uint64_t free_before; /* the rehearsal */
	bool rehearsing;      /* what is put into the queue is kept, and not run */
	bool full;            /* there is no memory for more graphs */
	cudaError_t failed;   /* the first launch of the pass that did not go */
	const char *failed_at;
};

/* backend_cuda.cu */

enum rc backend_fail(struct errmsg *why, const char *what, cudaError_t rc);
/* The first launch of a pass that did not go. */
void backend_note(struct backend *b, const char *what, cudaError_t rc);
uint64_t backend_logits_bytes(const struct backend_sizes *sizes);

/* backend_pass.cu */

/* A pass's rows on their way to the device; what follows belongs to it. */
enum rc backend_begin(struct backend *b, enum backend_class class_, const struct backend_row *rows,
    uint32_t n_rows, uint32_t first, struct errmsg *why);
/* Put the slots of passes into the table. */
void backend_passes(struct backend_api *api);

/* backend_graphs.cu */

/* Bound of all positions of a pass, one of few: part of a graph's key. */
uint32_t backend_graphs_bound(const struct backend_row *rows, uint32_t n, uint32_t n_ctx);
/* Play back what was kept for a pass like this one, if there is such. */
enum rc backend_graphs_replay(struct backend *b, bool *replayed, struct errmsg *why);
/* What was captured becomes a graph. */
enum rc backend_graphs_end(struct backend *b, struct errmsg *why);
void backend_graphs_free(struct backend *b);
/* Put the slots of graphs into the table. */
void backend_graphs(struct backend_api *api);

#endif
