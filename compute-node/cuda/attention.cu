/*
 * Attention of a pass: which kernels, and where their partial results lie.
 *
 * Work: values [rows of a group][n_head][steps][dv], softmaxes of steps in the same
 * order, then rows of floats where the caller wants other forms alone.
 */
#include "cuda/attention.cuh"

/* Steps beyond those of the context that a bound of positions may be rounded up to. */
#define SPARE_STEPS 2u

struct work_plan {
	uint64_t values, sums, rows; /* bytes of each part */
};

static uint64_t round_up(uint64_t n, uint64_t to)
{
	return (n + to - 1) / to * to;
}

static struct work_plan plan_work(
    uint32_t n_group, uint32_t n_rows, uint32_t n_head, uint32_t dv, uint32_t n_steps)
{
	uint64_t n = (uint64_t)n_group * n_head * n_steps;
	struct work_plan w;

	w.values = round_up(n * dv * sizeof(float), 256);
	w.sums = round_up(n * sizeof(float2), 256);
	w.rows = round_up((uint64_t)n_rows * n_head * dv * sizeof(float), 256);
	return w;
}

static uint32_t group_rows(uint32_t n_rows)
{
	return n_rows < BACKEND_ANSWER_ROWS ? n_rows : BACKEND_ANSWER_ROWS;
}

uint64_t cuda_attention_work(uint32_t n_rows, uint32_t n_head, uint32_t dv, uint32_t n_ctx)
{
	struct work_plan w = plan_work(group_rows(n_rows), n_rows, n_head, dv,
	    (n_ctx + CUDA_STEP - 1) / CUDA_STEP + SPARE_STEPS);

	return w.values + w.sums + w.rows;
}

/* Steps that a row may see something of when all positions lie before `bound`. */
static uint32_t steps_below(const struct backend_attention *a, uint32_t bound)
{
	uint32_t n = (bound + CUDA_STEP - 1) / CUDA_STEP;
	uint32_t most = (a->cells + CUDA_STEP - 1) / CUDA_STEP, wide;

	if (a->window > 0) { /* positions may lie beyond the cells; a window has fewer */
		wide = (a->window - 1 + CUDA_STEP - 1) / CUDA_STEP + 1;
		most = wide < most + 1 ? wide : most + 1;
	}
	return n < most ? n : most;
}

static uint32_t bound_of(const struct cuda_pass *p, uint32_t row, uint32_t n_rows)
{
	uint32_t bound = 0;

	if (p->answer)
		return p->n_past_max;
	for (uint32_t i = row; i < row + n_rows; i++)
		bound = p->host_rows[i].pos >= bound ? p->host_rows[i].pos + 1 : bound;
	return bound;
}

/* Rows of a prompt that share a sequence may lie in more groups than one, and would have
 * to see each other's keys. */
static bool fuses(const struct cuda_pass *p, const struct backend_attention *a)
{
	return p->answer && p->n_rows <= group_rows(p->n_rows) &&
	       p->n_rows <= ATTENTION_FUSED_ROWS && attention_has_steps(p, a);
}

/* Answers' kernels for rows in groups that share the work memory. */
static cudaError_t attend_groups(
    const struct cuda_pass *p, const struct backend_attention *a, const struct backend_acts *out)
{
	uint32_t most = group_rows(p->n_rows);
	uint32_t n_steps = steps_below(a, bound_of(p, 0, p->n_rows));
	struct work_plan w = plan_work(most, 0, a->n_head, a->dv, n_steps);
	cudaError_t rc = cudaSuccess;

	for (uint32_t row = 0; row < p->n_rows && rc == cudaSuccess; row += most) {
		uint32_t n = p->n_rows - row < most ? p->n_rows - row : most;
		struct attention_group g = {};

		g.rows = p->rows;
		g.row = row;
		g.n_rows = p->n_rows;
		g.fused = fuses(p, a);
		g.partials.values = (float *)p->work;
		g.partials.sums = (float2 *)(p->work + w.values);
		g.partials.n_steps = p->answer ? n_steps : steps_below(a, bound_of(p, row, n));
		g.out = *out;
		g.out.f16 = NULL; /* a whole row's, by cuda_forms() */
		g.counters = attention_finishes(p, a, n, g.partials.n_steps) ? p->counters : NULL;
		rc = attention_has_steps(p, a) ? attention_steps(p, a, &g, n)
					       : attention_steps_any(p, a, &g, n);
		if (rc == cudaSuccess && g.counters == NULL)
			rc = attention_merge(p, a, &g, n, out);
	}
	return rc;
}

static bool is_sane(const struct backend_attention *a)
{
	bool blocks = a->type != BACKEND_Q8_0 ||
		      (a->dk % ATTENTION_BLOCK == 0 && a->dv % ATTENTION_BLOCK == 0);

	return a->n_head_kv > 0 && a->n_head % a->n_head_kv == 0 && a->dk > 0 && a->dv > 0 &&
	       a->dk <= ATTENTION_DIM_MAX && a->dv <= ATTENTION_DIM_MAX && a->dv % 4 == 0 &&
	       a->cells > 0 && a->cells % ATTENTION_GRANULE == 0 && blocks &&
	       (!a->rotate || a->n_rot <= a->dk) && (!a->v_in_k || a->dv < a->dk);
}

cudaError_t cuda_attention(const struct cuda_pass *p, const struct backend_attention *a)
{
	bool prompt = !p->answer && attention_has_prompt(p, a);
	bool fused = !prompt && a->dv % FORMS_GROUP == 0; /* q8 forms, by the merge */
	uint32_t n_steps = steps_below(a, bound_of(p, 0, p->n_rows));
	struct work_plan w =
	    plan_work(prompt ? 0 : group_rows(p->n_rows), p->n_rows, a->n_head, a->dv, n_steps);
	struct backend_acts attended = a->out, rest = a->out;
	cudaError_t rc;

	if (p->n_rows == 0)
		return cudaSuccess;
	if (!is_sane(a))
		return cudaErrorInvalidValue;
	rest.f32 = NULL;
	rest.q8 = fused ? NULL : rest.q8;
	attended.q8 = fused ? attended.q8 : NULL;
	if (attended.f32 == NULL && (rest.q8 != NULL || rest.f16 != NULL))
		attended.f32 = (float *)(p->work + w.values + w.sums);
	else
		w.rows = 0;
	if (w.values + w.sums + w.rows > p->work_bytes)
		return cudaErrorMemoryAllocation;
	rc = fuses(p, a) ? cudaSuccess : attention_prepare(p, a);
	if (rc == cudaSuccess)
		rc = prompt ? attention_prompt(p, a, attended.f32) : attend_groups(p, a, &attended);
	if (rc == cudaSuccess && (rest.q8 != NULL || rest.f16 != NULL))
		rc = cuda_forms(p, attended.f32, a->n_head * a->dv, p->n_rows, &rest);
	return rc;
}
