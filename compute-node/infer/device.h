/*
 * Device: a model on a backend (backend/backend.h), and the blocks of a pass there.
 *
 * An architecture's forward() is walked three times over: to measure what it
 * multiplies (device_measure, no device is needed), to place it (device_new), and,
 * once for each shape of a pass, to put the work into the backend's queue.  The
 * functions device_<block> stand for those of infer/block.h, infer/attention.h and
 * infer/experts.h; pointers of such a pass are addresses on the device.
 */
#ifndef INFER_DEVICE_H
#define INFER_DEVICE_H

#include "backend/backend.h"
#include "infer/block.h"
#include "infer/pass.h"

struct device;
struct encoder_norm; /* model/encoder.h */

/* Bytes on the device, all of `out` but the cache's: matrices and vectors, memory of passes,
 * graphs.  RC_UNSUPPORTED: what of the model cannot be computed there. */
enum rc device_measure(const struct model *model, const struct engine_config *config,
    struct engine_plan *out, struct errmsg *why) RC_CHECK;

/* Take all memory, weights, cache and passes; fills in `pass` and `cache`, which has been
 * measured.  Borrows `model`. */
enum rc device_new(const struct model *model, const struct engine_config *config, struct pass *pass,
    struct cache *cache, struct device **out, struct errmsg *why) RC_CHECK;
void device_free(struct device *device);

/* "cuda/k1-90" */
const char *device_numerics(const struct device *device);

/* Rows from `rows` on that one pass may take: neighbours of one class. */
size_t device_rows(const struct engine_row *rows, size_t n, size_t n_ubatch);

/* Passes that are played back from graphs, and what those took of the device. */
uint32_t device_graphs(const struct device *device, uint64_t *bytes);

/* Wanted rows whose logits and shortlists it keeps. */
uint32_t device_places(const struct device *device);

/* Compute the pass that `worker` points at.  Its wanted rows are kept from place `first`
 * on; `brief`: of those that are, nothing else is handed out. */
enum rc device_run(struct device *device, struct worker *worker, uint32_t first, bool brief,
    struct errmsg *why) RC_CHECK;

/* Rows `at` … at + n - 1 of the next pass, [n][n_embd], as the layers before its own left
 * them. */
enum rc device_load(struct device *device, const struct pass *pass, size_t at, const float *rows,
    size_t n, struct errmsg *why) RC_CHECK;

/* As backend/backend.h has them. */
float *device_host_logits(struct device *device);
const struct backend_shortlist *device_shortlist(struct device *device, uint32_t place);
enum rc device_fetch(
    struct device *device, uint32_t place, float *logits, struct errmsg *why) RC_CHECK;

/* Zero `bytes` bytes of device memory.  device_settle(): they are zero, and so is all
 * that passes left behind. */
void device_wipe(struct device *device, void *at, size_t bytes);
void device_settle(struct device *device);

void device_embed(struct worker *worker);
void device_norm(struct worker *worker, const float *weight, struct acts *out);
void device_norm_add(struct worker *worker, const float *weight, float *from);
void device_matmul(
    struct worker *worker, const struct product *products, size_t n, const struct acts *in);
void device_norm_gated(struct worker *worker, const float *norm, const struct gguf_tensor *gate,
    const struct gguf_tensor *up);
void device_logits(struct worker *worker);
void device_attention(struct worker *worker, uint32_t layer);
/* The same, as mixed.f32 alone. */
void device_attend(struct worker *worker, uint32_t layer);
void device_experts(struct worker *worker, uint32_t layer);

/*
 * Parts that only some families have (infer/device_parts.c).  Weights and tables are
 * named by their place in the host's memory, everything else by addresses on the device.
 */

/* Whether a walk only names what it uses: the pass's arrays have no addresses yet. */
bool device_measures(const struct worker *worker);
/* out = x; out = rows of `n` that stand in `from`, `times` as many as the pass has; it may
 * be out->f32. */
void device_take(struct worker *worker, struct acts *out);
void device_shape(
    struct worker *worker, const float *from, size_t n, size_t times, struct acts *out);
/* out = scale * the row of each token. */
void device_rows_of(
    struct worker *worker, const struct gguf_tensor *tensor, float scale, float *out);
void device_copy(struct worker *worker, const struct backend_copy *copies, size_t n);
/* eps 0: the model's.  `out` may be NULL. */
void device_norms(struct worker *worker, const struct backend_norms *norms, struct acts *out);
void device_blend(struct worker *worker, const struct backend_blend *blend);
/* out = act(gate) * up, rows of `n`; `up` is scratch afterwards. */
void device_activate(struct worker *worker, enum backend_activation kind, const float *gate,
    float *up, size_t n, struct acts *out);
/* Matrices of `stack` [n][height][k], each times rows of its own: in [n][n_rows][k], out
 * [n][n_rows][height]. */
void device_stacked(
    struct worker *worker, const struct gguf_tensor *stack, const struct acts *in, float *out);
/* Latent attention: norms of the latent and of what queries come from; all between the
 * projections and the output matrix, into mixed or, where heads share a key, values. */
void device_latent_norms(struct worker *worker, const struct latent *latent);
void device_latent_attention(struct worker *worker, uint32_t layer);
/* Those of infer/encode.h. */
void device_encode_embed(struct worker *worker);
void device_encode_add_norm(struct worker *worker, const struct encoder_norm *norm);
void device_encode_attend(struct worker *worker);
void device_convolve(struct worker *worker, uint32_t layer);
void device_recur(struct worker *worker, uint32_t layer);

#endif
