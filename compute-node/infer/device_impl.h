/* The inside of a device, for infer/device*.c. */
#ifndef INFER_DEVICE_IMPL_H
#define INFER_DEVICE_IMPL_H

#include "infer/device.h"
#include "infer/layout.h"

/* What a walk through the layers does with what it meets. */
enum device_walk { WALK_MEASURE, WALK_PLACE, WALK_RUN };

/* A tensor, or the slice of one that is used. */
struct device_matrix {
	const uint8_t *host;
	uint64_t rows;
	const struct gguf_tensor *tensor;
	struct backend_matrix on_device;
};

struct device_vector {
	const void *host;
	uint64_t bytes;
	void *on_device;
};

struct device {
	const struct backend_api *api;
	struct backend *backend; /* NULL while measuring */
	const struct model *model;
	enum device_walk walk;
	enum backend_class class_;
	struct backend_info info;
	struct device_matrix *matrices;
	size_t matrices_len, matrices_cap;
	struct device_vector *vectors;
	size_t vectors_len, vectors_cap;
	uint64_t weights_bytes;
	uint64_t matrix_weights;     /* of the largest that prompts are multiplied with */
	bool quantised, floats, f32; /* kinds of matrices: of blocks; of numbers; of 32-bit ones */
	void *scratch;               /* of passes */
	size_t scratch_bytes;
	struct backend_row *rows; /* [n_ubatch] */
	uint32_t n_places;
	enum rc failed; /* the first failure of a walk, and why */
	struct errmsg why;
};

/* Memory of passes of up to `rows` rows; walked twice, as layouts are. */
void device_lay(struct layout *at, const struct model *model, size_t rows, struct pass *pass);

/* device_pass.c: the passes of as many answers as there may be, up to each power of two of
 * positions, the small ones first; what takes too long is left out. */
enum rc device_rehearse(struct device *device, const struct engine_config *config,
    struct pass *pass, struct errmsg *why) RC_CHECK;

/* The matrix on the device, or nothing while measuring. */
struct backend_matrix device_matrix(struct worker *worker, const struct gguf_tensor *tensor);
/* `n` items of `size` bytes that stand in host memory; NULL for NULL. */
const void *device_vector(struct worker *worker, const void *host, size_t n, size_t size);

/* Whether the blocks are to be put into the queue. */
static inline bool device_runs(const struct device *d)
{
	return d->walk == WALK_RUN;
}

/* The forms of rows that the matrices want in this pass. */
struct backend_acts device_forms(
    const struct device *device, const struct acts *acts, size_t width);

#endif
