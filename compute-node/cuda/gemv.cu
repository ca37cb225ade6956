/* Gemv, the host's side: which kernels, how many blocks, what stands in shared memory. */
#include "cuda/gemv.cuh"

#define SHARED_MOST (200u << 10)   /* of activations, with one block a multiprocessor */
#define SHARED_SOME (96u << 10)    /* the same where several rows are taken at once */
#define SHARED_UNIT (224u << 10)   /* of a multiprocessor, for its blocks */
#define SHARED_BLOCK (1u << 10)    /* of a block, for the system */
#define ROW_BYTES 16u

/* What a launch is made of: kernels, width, sizes. */
struct plan {
	const struct gemv_kernels *kernels;
	enum gemv_way way;
	uint32_t width, nx; /* nx = 2^width rows of activations at once */
	uint32_t step;      /* bytes of a row's step of activations */
	bool quant;
	struct gemv_sizes sizes;
};

static const struct gemv_kernels *kernels_of(uint32_t type, bool ragged)
{
	const struct gemv_kernels *k = gemv_kernels_32(type);

	if (k == NULL)
		k = gemv_kernels_k(type);
	if (k == NULL)
		k = gemv_kernels_table(type);
	return k != NULL ? k : gemv_kernels_float(type, ragged);
}

/* A row of all steps, or two chunks of them. */
static bool plan_chunks(struct plan *p)
{
	uint32_t step = p->step * p->nx, some = p->nx > 1 ? SHARED_SOME : SHARED_MOST;
	struct gemv_sizes *s = &p->sizes;

	s->chunk = s->steps;
	s->x_bytes = s->steps * step;
	if (s->x_bytes <= some)
		return true;
	s->chunk = some / 2 / step;
	s->x_bytes = 2 * s->chunk * step;
	return p->nx > 1;
}

/* Of a block at most, by compute capability. */
static uint32_t shared_most(uint32_t cc)
{
	if (cc == 80 || cc == 87)
		return 163u << 10;
	return cc == 90 || cc / 10 == 10 ? 227u << 10 : 99u << 10;
}

/* Slots for all steps of activations, or as few as copying ahead needs.  False: they do not
 * fit. */
static bool plan_slots(struct plan *p, uint32_t cc)
{
	uint32_t slot = 32 * gemv_mma_x_group(p->nx), few = GEMV_MMA_AHEAD + 1;
	uint32_t others = 2 * 32 * GEMV_MMA_GROUP +
			  GEMV_MMA_WARPS * p->nx * GEMV_MMA_PITCH * (uint32_t)sizeof(float);
	uint32_t most = (shared_most(cc) - others) / slot;

	if (shared_most(cc) < others)
		return false;
	p->sizes.chunk = p->sizes.steps <= most ? p->sizes.steps : few;
	p->sizes.x_bytes = others + p->sizes.chunk * slot;
	return p->sizes.chunk <= most;
}

/* Which way, and what stands in shared memory. */
static bool plan_way(struct plan *p, uint32_t cc)
{
	p->way = p->width < GEMV_ONE_WIDTHS ? p->kernels->narrow : p->kernels->wide;
	while (p->way == GEMV_MMA && !plan_slots(p, cc)) {
		p->nx /= 2;
		if (--p->width < GEMV_ONE_WIDTHS)
			p->way = p->kernels->narrow;
	}
	return p->way != GEMV_STREAM || plan_chunks(p);
}

/* False: no kernels for it. */
static bool make_plan(const struct cuda_pass *pass, const struct backend_matrix *m, uint32_t n_rows,
    uint32_t nx_max, struct plan *p)
{
	uint32_t type = m->type, lane = type == TYPE_F32 ? 4 : 8, width = type == TYPE_F32 ? 4 : 2;
	bool is_float = type == TYPE_F32 || type == TYPE_F16 || type == TYPE_BF16;
	bool ragged = is_float && m->k * width % ROW_BYTES != 0;
	struct gemv_sizes *s = &p->sizes;

	p->kernels = kernels_of(type, ragged);
	if (p->kernels == NULL || m->k == 0 || m->k > UINT32_MAX / 8)
		return false;
	if (ragged)
		nx_max = 1;
	p->quant = !is_float;
	for (p->width = 0, p->nx = 1; p->nx < n_rows && p->nx < nx_max; p->nx *= 2)
		p->width++;
	lane = is_float ? lane : FORMAT_GROUP;
	p->step = is_float ? 32 * lane * 4 : 32 * lane + GEMV_SCALES;
	s->k = (uint32_t)m->k;
	s->groups = (s->k + lane - 1) / lane;
	s->steps = (s->groups + 31) / 32;
	s->copies = is_float ? s->k % 4 == 0 : s->k % (2 * FORMAT_GROUP) == 0;
	return plan_way(p, pass->cc);
}

static struct gemv_x x_of(const struct plan *p, const struct backend_acts *in, uint32_t n_rows)
{
	struct gemv_x x = { p->quant ? (const uint8_t *)in->q8 : (const uint8_t *)in->f32,
		p->quant ? in->q8_scales : NULL, n_rows };

	return x;
}

static struct gemv_matrix matrix_of(
    const struct backend_matrix *m, const float *bias, uint64_t rows)
{
	struct gemv_matrix out = {};

	for (int i = 0; i < FORMAT_PLANES_MAX; i++)
		out.planes[i] = m->planes[i];
	out.factors = m->factors;
	out.bias = bias;
	out.rows = (uint32_t)rows;
	out.per_height = (1ull << 63) / (m->height > 0 ? m->height : UINT32_MAX) + 1;
	return out;
}

static uint32_t blocks_at_once(const struct cuda_pass *p, const struct plan *plan, uint32_t shared)
{
	uint32_t by_shared = SHARED_UNIT / (shared + SHARED_BLOCK);
	uint32_t blocks = gemv_blocks_of(plan->nx);

	blocks = by_shared < blocks ? by_shared : blocks;
	return p->units * (blocks > 0 ? blocks : 1);
}

/* Rows of a matrix in a tile. */
static uint32_t tile_rows(const struct plan *p)
{
	return p->way == GEMV_MMA   ? GEMV_MMA_ROWS
	       : p->way == GEMV_ONE ? GEMV_ONE_ROWS
				    : gemv_rows_of(p->nx);
}

static dim3 gemv_grid(const struct cuda_pass *p, const struct plan *plan, const struct gemv_args *a)
{
	uint32_t blocks = (a->tiles + GEMV_WARPS - 1) / GEMV_WARPS;
	uint32_t most = blocks_at_once(p, plan, plan->sizes.x_bytes);
	uint32_t least = a->tiles < p->units ? a->tiles : p->units;

	blocks = blocks < most ? blocks : most;
	/* few rows: some warps stay idle rather than multiprocessors */
	if (plan->sizes.chunk >= plan->sizes.steps)
		blocks = blocks > least ? blocks : least;
	return dim3(blocks, (a->x.n + plan->nx - 1) / plan->nx);
}

static cudaError_t launch_products(
    const struct cuda_pass *p, const struct plan *plan, const struct gemv_args *a)
{
	gemv_fn *kernel = plan->kernels->gemv[plan->width];
	uint32_t y = (a->x.n + plan->nx - 1) / plan->nx;

	switch (plan->way) {
	case GEMV_ONE:
		return launch(kernel, dim3((a->tiles + GEMV_ONE_WARPS - 1) / GEMV_ONE_WARPS, y),
		    dim3(GEMV_ONE_THREADS), 0, p->stream, *a);
	case GEMV_MMA:
		return launch(kernel, dim3(a->tiles < p->units ? a->tiles : p->units, y),
		    dim3(GEMV_MMA_THREADS), plan->sizes.x_bytes, p->stream, *a);
	case GEMV_STREAM:
		break;
	}
	return launch(kernel, gemv_grid(p, plan, a), dim3(GEMV_THREADS), plan->sizes.x_bytes,
	    p->stream, *a);
}

static bool same_kind(const struct backend_matrix *a, const struct backend_matrix *b)
{
	return a->type == b->type && a->k == b->k;
}

/* Products first … n - 1 of one kind with the first, as many as a launch takes; `taken`
 * marks them. */
static cudaError_t gemv_kind(const struct cuda_pass *p, const struct backend_product *products,
    uint32_t first, uint32_t n, const struct backend_acts *in, uint32_t n_rows, bool *taken)
{
	struct gemv_args a = {};
	struct plan plan;

	if (!make_plan(p, &products[first].matrix, n_rows, BACKEND_ANSWER_ROWS, &plan))
		return cudaErrorInvalidValue;
	a.sizes = plan.sizes;
	a.x = x_of(&plan, in, n_rows);
	for (uint32_t i = first; i < n && a.n_products < GEMV_PRODUCTS; i++) {
		const struct backend_product *from = &products[i];
		struct gemv_product *to = &a.products[a.n_products];

		if (taken[i] || !same_kind(&from->matrix, &products[first].matrix))
			continue;
		taken[i] = true;
		to->m = matrix_of(&from->matrix, from->bias, from->rows);
		to->out = from->out;
		to->out_stride = from->out_stride;
		to->add = from->add;
		to->tiles = (to->m.rows + tile_rows(&plan) - 1) / tile_rows(&plan);
		a.tiles += to->tiles;
		a.n_products += to->tiles > 0;
	}
	if (a.tiles == 0 || n_rows == 0)
		return cudaSuccess;
	if (a.x.x == NULL)
		return cudaErrorInvalidValue;
	return launch_products(p, &plan, &a);
}

#define GROUP_MAX 64u /* products looked at together */

cudaError_t cuda_gemv(const struct cuda_pass *p, const struct backend_product *products,
    uint32_t n, const struct backend_acts *in, uint32_t n_rows)
{
	cudaError_t rc = cudaSuccess;

	for (; rc == cudaSuccess && n > GROUP_MAX; n -= GROUP_MAX, products += GROUP_MAX)
		rc = cuda_gemv(p, products, GROUP_MAX, in, n_rows);
	if (rc == cudaSuccess) {
		bool taken[GROUP_MAX] = { false };

		for (uint32_t i = 0; rc == cudaSuccess && i < n; i++) {
			if (!taken[i])
				rc = gemv_kind(p, products, i, n, in, n_rows, taken);
		}
	}
	return rc;
}

static dim3 gated_grid(const struct cuda_pass *p, const struct plan *plan, uint32_t blocks,
    uint32_t shared, uint32_t y)
{
	uint32_t most = blocks_at_once(p, plan, shared) / (y > 0 ? y : 1);

	most = most > 0 ? most : 1;
	return dim3(blocks < most ? blocks : most, y);
}

static cudaError_t launch_gated(
    const struct cuda_pass *p, const struct plan *plan, const struct gemv_gated_args *a)
{
	gemv_gated_fn *kernel = plan->kernels->gated[plan->width];
	uint32_t shared =
	    plan->sizes.x_bytes + 2 * 2 * plan->nx * GEMV_BLOCK * (uint32_t)sizeof(float);
	uint32_t blocks = (a->n_ff + GEMV_BLOCK - 1) / GEMV_BLOCK;
	uint32_t y = a->chosen != NULL ? a->x.n * a->n_used : (a->x.n + plan->nx - 1) / plan->nx;

	if (a->x.x == NULL || (a->out.q8 != NULL && a->n_ff % GEMV_BLOCK != 0))
		return cudaErrorInvalidValue;
	if (y == 0 || a->n_ff == 0)
		return cudaSuccess;
	switch (plan->way) {
	case GEMV_ONE:
		return launch(kernel, dim3(blocks, y), dim3(GEMV_THREADS), 0, p->stream, *a);
	case GEMV_MMA:
		return launch(kernel, dim3(blocks < p->units ? blocks : p->units, y),
		    dim3(GEMV_MMA_THREADS), plan->sizes.x_bytes, p->stream, *a);
	case GEMV_STREAM:
		break;
	}
	return launch(kernel, gated_grid(p, plan, blocks, shared, y), dim3(GEMV_THREADS), shared,
	    p->stream, *a);
}

/* Gate (may be NULL) and up of one type by one kernel; of two types the sums of gate by
 * one, into the pass's work, and the rest by another.  `args` has what is no matter of
 * types; n_out rows come out. */
static cudaError_t gated(const struct cuda_pass *p, const struct backend_matrix *gate,
    const struct backend_matrix *up, const struct backend_acts *in, uint32_t nx_max,
    const struct gemv_gated_args *args, uint64_t n_out)
{
	struct gemv_gated_args a = *args;
	const struct backend_acts out = a.out;
	struct plan plan;
	cudaError_t rc;

	if (!make_plan(p, up, p->n_rows, nx_max, &plan))
		return cudaErrorInvalidValue;
	a.gated = gate != NULL && same_kind(gate, up);
	if (gate != NULL && !a.gated) {
		struct plan first;
		struct gemv_gated_args sums = a;

		if (!make_plan(p, gate, p->n_rows, nx_max, &first) ||
		    n_out * a.n_ff * sizeof(float) > p->work_bytes)
			return cudaErrorInvalidValue;
		sums.sizes = first.sizes;
		sums.x = x_of(&first, in, p->n_rows);
		sums.up = a.gate;
		sums.up_first = 0;
		sums.raw = true;
		sums.out = {};
		sums.out.f32 = (float *)p->work;
		rc = launch_gated(p, &first, &sums);
		if (rc != cudaSuccess)
			return rc;
		a.gate_sums = sums.out.f32;
	}
	a.sizes = plan.sizes;
	a.x = x_of(&plan, in, p->n_rows);
	a.out = out;
	return launch_gated(p, &plan, &a);
}

cudaError_t cuda_gemv_gated(const struct cuda_pass *p, const struct backend_matrix *gate,
    const struct backend_matrix *up, enum backend_activation kind, const float *gelu,
    const struct backend_acts *in, const struct backend_acts *out)
{
	struct gemv_gated_args a = {};

	a.gate = matrix_of(gate, NULL, gate->rows);
	a.up = matrix_of(up, NULL, up->rows);
	a.n_used = 1;
	a.n_ff = (uint32_t)up->rows;
	a.kind = kind;
	a.gelu = gelu;
	a.out = *out;
	return gated(p, gate, up, in, BACKEND_ANSWER_ROWS, &a, p->n_rows);
}

cudaError_t cuda_gemv_experts(const struct cuda_pass *p, const struct backend_experts *e,
    const uint32_t *chosen, const struct backend_acts *hidden)
{
	struct gemv_gated_args a = {};

	a.gate = matrix_of(e->gated ? &e->gate : &e->up, e->gated ? e->gate_bias : NULL, e->n_ff);
	a.up = matrix_of(&e->up, e->up_bias, e->n_ff);
	a.gate_rows = a.up_rows = (uint32_t)e->up_height;
	a.up_first = (uint32_t)e->up_height - e->n_ff;
	a.chosen = chosen;
	a.n_used = e->n_used;
	a.n_ff = e->n_ff;
	a.kind = e->activation;
	a.gelu = e->gelu;
	a.out = *hidden;
	return gated(p, e->gated ? &e->gate : NULL, &e->up, &e->in, 1, &a,
	    (uint64_t)p->n_rows * e->n_used);
}

cudaError_t cuda_gemv_experts_down(const struct cuda_pass *p, const struct backend_experts *e,
    const uint32_t *chosen, const float *weights, const struct backend_acts *hidden)
{
	struct gemv_down_args a = {};
	struct plan plan;
	uint32_t most, rows;

	if (!make_plan(p, &e->down, 1, 1, &plan))
		return cudaErrorInvalidValue;
	if (p->n_rows == 0)
		return cudaSuccess;
	a.x = x_of(&plan, hidden, p->n_rows * e->n_used);
	a.down = matrix_of(&e->down, e->down_bias, e->n);
	a.chosen = chosen;
	a.weights = weights;
	a.n_used = e->n_used;
	a.out = e->x;
	a.sizes = plan.sizes;
	if (a.x.x == NULL)
		return cudaErrorInvalidValue;
	if (plan.way == GEMV_ONE) {
		rows = GEMV_ONE_WARPS * GEMV_ONE_ROWS;
		return launch(plan.kernels->down, dim3((e->n + rows - 1) / rows, p->n_rows),
		    dim3(GEMV_ONE_THREADS), 0, p->stream, a);
	}
	rows = GEMV_WARPS * gemv_rows_of(1);
	most = SHARED_SOME / plan.sizes.x_bytes;
	a.window = most < 1 ? 1 : most < e->n_used ? most : e->n_used;
	a.sizes.x_bytes *= a.window;
	return launch(plan.kernels->down, dim3((e->n + rows - 1) / rows, p->n_rows),
	    dim3(GEMV_THREADS), a.sizes.x_bytes, p->stream, a);
}
