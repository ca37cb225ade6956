/* The inside of an engine, for infer/engine*.c. */
#ifndef INFER_ENGINE_IMPL_H
#define INFER_ENGINE_IMPL_H

#include "infer/engine.h"
#include "infer/pass.h"
#include "model/model_impl.h"

#define ENGINE_UBATCH_DEFAULT 256u
#define ENGINE_NUMERICS_BYTES 64

struct sequence {
	uint32_t n_past;
	uint32_t n_touched; /* positions ever written since the last wipe */
	const struct adapter *adapter;
};

struct engine {
	const struct model *model;
	struct engine_config config;
	struct cache cache;
	struct state state;
	struct pass pass;
	struct crew *crew;
	struct worker *workers; /* [n_threads] */
	struct sequence *seqs;  /* [n_seq] */
	uint32_t *tails;        /* [n_seq] scratch of row checks */
	uint8_t *scratch;
	size_t scratch_bytes;
	/* Of a pass, since scratch was wiped; steps of those whose steps were shared out. */
	size_t n_rows_touched, n_steps_touched;
	struct device *device; /* NULL: the crew computes */
	struct engine *lower;  /* of the first layers, on the CPU; NULL: the device has all */
	bool *brief;           /* [its places] of the last call's wanted rows */
	size_t n_brief;        /* of them; 0: they had no places */
	char numerics[ENGINE_NUMERICS_BYTES];
};

/*
 * Compute the rows that the pass points at, or as many of them as can be computed together;
 * `n_given` rows of the call have got their logits before.
 */
enum rc engine_run(struct engine *engine, size_t n_given, struct errmsg *why) RC_CHECK;

/* engine_lay.c: scratch parted into the pass's and the workers' arrays; base NULL: only
 * scratch_bytes is made out.  RC_LIMIT. */
enum rc engine_lay(struct engine *engine, uint8_t *base, struct errmsg *why) RC_CHECK;
/* Zero what passes have written of it since the last time, but for unpacked weights. */
void engine_lay_wipe(struct engine *engine);

/* engine_lower.c: what layers that the CPU computes beside a device take of the host. */
enum rc engine_lower_plan(const struct model *model, const struct engine_config *config,
    struct engine_plan *out, struct errmsg *why) RC_CHECK;
enum rc engine_lower_new(struct engine *engine, struct errmsg *why) RC_CHECK;
/* The rows that the pass points at, through the first layers and to the device. */
enum rc engine_lower_run(struct engine *engine, struct errmsg *why) RC_CHECK;

#endif
