/*
 * Engine: token ids in, logits out.  The narrow border between serving and
 * arithmetic: everything above it knows sequences and positions, everything
 * below it knows tensors.
 *
 * Determinism (DESIGN §5): the logits of a row depend only on the tokens of
 * its own sequence up to it, never on batch, ubatch, thread count or how the
 * prompt was split.  Invariants:
 *  I1  a sequence holds positions 0 … n_past-1 without holes.
 *  I2  all memory is taken by engine_new(); engine_forward() allocates nothing.
 *  I3  one thread calls into an engine at a time (the serve loop's own).
 */
#ifndef INFER_ENGINE_H
#define INFER_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/errmsg.h"

struct adapter;     /* model/adapter.h */
struct backend_api; /* backend/backend.h */
struct backend_shortlist;
struct model; /* model/model.h: immutable, mapped */
struct crew;  /* infer/crew.h */
struct engine;

/* engine_config.n_ctx 0: the model's own context, but no more than this. */
#define ENGINE_CTX_DEFAULT_MAX 8192u

enum cache_type { CACHE_F16, CACHE_F32, CACHE_Q8_0 };

struct engine_config {
	uint32_t
	    n_ctx; /* tokens a sequence may hold; 0: ENGINE_CTX_DEFAULT_MAX or the model's own */
	uint32_t n_seq;     /* sequences; 0: 1 */
	uint32_t n_ubatch;  /* rows computed at once; 0: 256, or 2048 on a device */
	uint32_t n_threads; /* 0: all cores; 1 where a backend computes all */
	enum cache_type cache;
	const struct backend_api *backend; /* that computes; NULL: the CPU */
	unsigned device;                   /* which of the backend's */
	/* So many of the first layers the CPU computes beside the backend; without one they
	 * are all that is computed (the inside of an engine with one). */
	uint32_t n_host_layers;
	bool adapters;           /* sequences may have one; neither encoders nor devices take any */
	_Atomic uint64_t *pulse; /* moves on while a pass is computed; NULL: none; borrowed */
};

/* What it will take, from the header alone (the caller checks the budget): of the
 * host's memory, or with a backend of the device's. */
struct engine_plan {
	uint64_t weights_bytes; /* mapped, shared, reclaimable */
	uint64_t cache_bytes;   /* KV and recurrent state */
	uint64_t scratch_bytes; /* activations, logits, thread stacks, vocabulary */
	uint64_t graph_bytes;   /* on a device: passes of answers that are played back, at most */
	uint64_t message_bytes; /* of serving: fleet_plan() */
	/* Of the host, for layers that the CPU computes beside a backend: mapped; taken. */
	uint64_t host_weights_bytes, host_bytes;
};

struct engine_row {
	int32_t token;
	uint32_t seq; /* < n_seq */
	uint32_t pos; /* = n_past of the sequence, then +1 for each row */
	bool want_logits;
	bool brief; /* engine_shortlist() may do instead of its logits */
	/* A token of an answer, not of its prompt: a backend may add up these in another
	 * order (backend/backend.h), so what is computed again has to say the same. */
	bool answer;
};

/* The effective configuration (zeros resolved); `out` may be `config`.  RC_LIMIT. */
enum rc engine_resolve(const struct model *model, const struct engine_config *config,
    struct engine_config *out, struct errmsg *why) RC_CHECK;

enum rc engine_plan(const struct model *model, const struct engine_config *config,
    struct engine_plan *out, struct errmsg *why) RC_CHECK;

/* Borrows `model` until engine_free(). */
enum rc engine_new(const struct model *model, const struct engine_config *config,
    struct engine **out, struct errmsg *why) RC_CHECK;

/* Wipes cache and scratch. */
void engine_free(struct engine *engine);

/* As engine_resolve() says. */
const struct engine_config *engine_config(const struct engine *engine);

/*
 * Append rows to their sequences and compute them, any number, split into
 * ubatches inside; rows of one sequence in order of position.
 * `logits`: [number of rows with want_logits][n_vocab], in row order; what stands there
 * of a row with a shortlist is not touched.
 * `embeddings` (encoders and pooling; may be NULL): [rows][n_embd] of the final norm.
 * RC_INVALID (token id, position), RC_CONTEXT (sequence full), RC_CANCELLED
 * when `cancel` (may be NULL) turned true between ubatches: rows of finished
 * ubatches stay appended.
 * An encoder computes whole texts, at most n_ubatch rows of them: each starts at
 * position 0 and leaves nothing behind.  RC_UNSUPPORTED if logits are wanted.
 */
enum rc engine_forward(struct engine *engine, const struct engine_row *rows, size_t rows_len,
    float *logits, float *embeddings, const volatile bool *cancel, struct errmsg *why) RC_CHECK;

/* Memory of the engine's that logits come to fastest, for as many rows as there are
 * sequences; until engine_free(), wiped with each sequence.  NULL: any is as good. */
float *engine_logits(struct engine *engine);

/*
 * Of the `i`-th row with want_logits of the last engine_forward(), until the next: what
 * sample_short() may choose from.  NULL: its logits were handed out, because it was not
 * brief, more rows wanted logits than there are sequences, or the CPU computes.
 */
const struct backend_shortlist *engine_shortlist(struct engine *engine, size_t i);

/* The logits, [n_vocab], of a row that has a shortlist. */
enum rc engine_fetch(struct engine *engine, size_t i, float *logits, struct errmsg *why) RC_CHECK;

/* Tokens held by a sequence. */
uint32_t engine_seq_len(const struct engine *engine, uint32_t seq);

/* Forget all but the first n_keep tokens.  RC_UNSUPPORTED, and nothing is
 * forgotten, where it cannot go back so far: then n_keep is 0 or all.  Recurrent
 * layers cannot go back at all; those with a window keep little more than it. */
enum rc engine_seq_truncate(struct engine *engine, uint32_t seq, uint32_t n_keep) RC_CHECK;

/*
 * What rows of this sequence are computed with from now on (of the engine's model);
 * NULL: its model alone.  Rows of other sequences, in the same pass too, have the bits
 * that they would have without.  Borrowed until the next call, or the wipe.
 * RC_UNSUPPORTED: the engine takes none.
 */
enum rc engine_seq_adapt(
    struct engine *engine, uint32_t seq, const struct adapter *adapter) RC_CHECK;

/* Forget all and zero the memory that held it, and what passes left in scratch, which is as
 * much as their rows took since the last wipe. */
void engine_seq_wipe(struct engine *engine, uint32_t seq);

/* Its threads, for what has to be done between two passes; NULL: a backend computes. */
struct crew *engine_crew(struct engine *engine);

/* Passes of answers that a backend plays back, and bytes that they took of its device:
 * engine_plan.graph_bytes at most. */
uint32_t engine_graphs(const struct engine *engine, uint64_t *bytes);

/* "cpu/k1/f16", "cuda/k1-90/f16": what must agree for equal bits: backend, specification
 * of its kernels, cache type.  Instruction sets all follow the one specification. */
const char *engine_numerics_id(const struct engine *engine);

#endif
