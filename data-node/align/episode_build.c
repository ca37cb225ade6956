/* Episode build: stretches without a row found, worked out, and put in portions. */
#include "align/episode_build.h"

#include <stdlib.h>
#include <string.h>

#include "align/builder_inner.h"
#include "align/episode_inner.h"
#include "base/clock.h"

#define STRETCH_NS STORE_EPISODE_STRETCH_NS
#define PAUSE_NS (5 * NS_PER_MIN) /* of the log's time, between two tries */
#define PART_NS (128 * NS_PER_DAY)
#define PUT_ROWS ((size_t)256)
#define RUNS_MAX ((size_t)(STRETCH_NS / EPISODE_GRID_NS))
#define ARENA_BYTES ((size_t)96 << 20)

_Static_assert(PART_NS / STRETCH_NS <= (int64_t)STORE_EPISODE_ROWS_MAX, "one reading has them all");

struct work {
	struct store *store;
	int64_t closed_ns;
	struct arena arena; /* of the part at hand: what stands, and what is to be put */
	struct store_episode_view view;
	struct store_episode_row rows[PUT_ROWS]; /* [rows_len] */
	size_t rows_len;
	struct slice_source source;
	struct episode_signs signs;
	struct episode_past past;
	int64_t past_ns; /* what `past` is known up to */
	struct episode_run runs[RUNS_MAX];
	size_t runs_len;
	bool sealed; /* all of them */
	struct buf bytes;
	struct errmsg *why;
};

void episode_build_init(struct episode_build *build)
{
	*build = (struct episode_build){ .most_ns = EPISODE_BUILD_NS,
		.next_ns = INT64_MIN,
		.tried_ns = INT64_MIN,
		.first_ns = INT64_MAX };
}

void episode_build_touched(struct episode_build *build, int64_t from_ns)
{
	int64_t first_ns = from_ns - STORE_EPISODE_REACH_NS;

	if (first_ns < build->next_ns)
		build->next_ns = first_ns;
	if (build->more && first_ns < build->first_ns)
		build->first_ns = first_ns;
}

static enum rc put_rows(struct work *work)
{
	enum rc rc = store_episode_put(work->store, work->rows, work->rows_len, work->why);

	work->rows_len = 0;
	return rc;
}

/* ---- one stretch ------------------------------------------------------------------------- */

static const struct store_episode_row *row_at(const struct work *work, int64_t start_ns)
{
	for (size_t low = 0, high = work->view.rows_len; low < high;) {
		size_t middle = low + (high - low) / 2;
		const struct store_episode_row *row = &work->view.rows[middle];
		if (row->start_ns == start_ns)
			return row;
		if (row->start_ns < start_ns)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

static void past_from(struct work *work, int64_t start_ns)
{
	if (work->past_ns != start_ns)
		work->past = (struct episode_past){ start_ns, INT64_MIN };
	work->past_ns = start_ns + STRETCH_NS;
}

/* RC_NOTFOUND: it has no row of this form. */
static enum rc look_at_row(struct work *work, int64_t start_ns)
{
	const struct store_episode_row *row = row_at(work, start_ns);
	struct episode_run *runs;
	size_t n = 0;

	if (row == NULL || row->bytes == NULL)
		return RC_NOTFOUND;
	enum rc rc = episode_row_decode(row->bytes, row->len, start_ns, &work->arena, &runs, &n);
	if (rc != RC_OK)
		return rc == RC_CORRUPT ? RC_NOTFOUND : rc;
	past_from(work, start_ns);
	for (size_t i = 0; i < n; i++)
		episode_past_add(&work->past, &runs[i]);
	return RC_OK;
}

static bool take_run(void *ctx, const struct episode_run *run)
{
	struct work *work = ctx;

	work->sealed = work->sealed && run->sealed;
	work->runs[work->runs_len++] = *run;
	return true;
}

static enum rc add_row(struct work *work, const struct store_episode_row *at)
{
	buf_reset(&work->bytes);
	enum rc rc = episode_row_encode(work->runs, work->runs_len, at->start_ns, &work->bytes);
	if (rc == RC_LIMIT)
		return RC_OK; /* worked out when asked for */
	if (rc == RC_OK && work->rows_len == PUT_ROWS)
		rc = put_rows(work);
	if (rc != RC_OK)
		return rc;
	struct store_episode_row *row = &work->rows[work->rows_len];
	*row = *at;
	row->bytes = (const uint8_t *)arena_copy(&work->arena, work->bytes.bytes, work->bytes.len);
	row->len = work->bytes.len;
	if (row->bytes == NULL)
		return RC_NOMEM;
	work->rows_len++;
	return RC_OK;
}

/* `*can`: nothing of it is going on or may still be sealed. */
static enum rc make(struct work *work, int64_t start_ns, bool *can)
{
	struct store_episode_row row = { .start_ns = start_ns };

	work->runs_len = 0;
	work->sealed = true;
	past_from(work, start_ns);
	enum rc rc = episode_runs(&work->signs, &work->past, start_ns, start_ns + STRETCH_NS,
	    take_run, work, &row.from_ns, &row.until_ns);
	if (rc != RC_OK)
		return rc;
	*can = work->sealed && row.until_ns <= work->closed_ns;
	if (work->signs.damaged) { /* whoever reads it is to be told */
		work->signs.damaged = false;
		work->signs.len = 0;
		return RC_OK;
	}
	return *can ? add_row(work, &row) : RC_OK;
}

/* ---- all of them --------------------------------------------------------------------------- */

static enum rc read_part(struct work *work, int64_t from_ns, int64_t to_ns)
{
	enum rc rc = put_rows(work);

	if (rc != RC_OK)
		return rc;
	arena_reset(&work->arena);
	return store_episode_read(
	    work->store, from_ns, to_ns, &work->arena, &work->view, work->why);
}

/* Has all that is stored of the stretch been left alone for so long that it is sealed?
 * Costs little, where most of what a row is made of has to be read. */
static enum rc is_settled(struct work *work, int64_t start_ns, bool *settled)
{
	int64_t round = lifecycle_round(work->source.policy, work->source.now_ns);
	struct store_slice_view view;
	struct slice_head head;
	struct arena arena;

	arena_init(&arena, ARENA_BYTES);
	enum rc rc = store_slice_read(
	    work->store, BUILDER_GRID_S, start_ns, start_ns + STRETCH_NS, &arena, &view, work->why);
	*settled = true;
	for (size_t i = 0; rc == RC_OK && i < view.rows_len && *settled; i++) {
		bool newest =
		    i + 1 == view.rows_len || view.rows[i + 1].start_ns != view.rows[i].start_ns;
		if (newest && slice_row_decode(view.rows[i].bytes, view.rows[i].len, &arena, &head,
				  NULL) == RC_OK)
			*settled = head.empty || head.round + 2 <= round;
	}
	arena_fini(&arena);
	return rc;
}

/* The round goes on from build->at_ns. */
static enum rc run(struct work *work, struct episode_build *build, const atomic_bool *stop)
{
	int64_t begin_ns = clock_mono_ns(), part_ns = INT64_MIN, start_ns;
	enum rc rc = RC_OK;

	for (start_ns = build->at_ns; rc == RC_OK; start_ns += STRETCH_NS) {
		bool can = true;
		int64_t slice_ns;
		bool stopped = stop != NULL && atomic_load(stop);
		build->more = stopped || (start_ns != build->at_ns &&
					     clock_mono_ns() - begin_ns > build->most_ns);
		if (build->more)
			break;
		rc = store_slice_next(work->store, BUILDER_GRID_S, start_ns, &slice_ns, work->why);
		if (rc == RC_OK)
			start_ns = episode_floor(slice_ns, STRETCH_NS);
		if (rc == RC_NOTFOUND || start_ns + STRETCH_NS > work->closed_ns)
			break;
		if (rc == RC_OK && (part_ns == INT64_MIN || start_ns >= part_ns)) {
			part_ns = start_ns + PART_NS;
			rc = read_part(work, start_ns, part_ns);
		}
		if (rc == RC_OK)
			rc = look_at_row(work, start_ns);
		if (rc == RC_NOTFOUND) {
			rc = is_settled(work, start_ns, &can);
			if (rc == RC_OK && can)
				rc = make(work, start_ns, &can);
		}
		if (!can && start_ns < build->first_ns)
			build->first_ns = start_ns;
	}
	if (rc == RC_NOTFOUND)
		rc = RC_OK;
	if (rc == RC_OK)
		rc = put_rows(work);
	build->at_ns = start_ns;
	return rc;
}

static void work_init(struct work *work, struct store *store, const struct policy *policy,
    const struct builder_state *state, struct errmsg *why)
{
	*work = (struct work){ .store = store,
		.closed_ns = state->life.closed_ns,
		.past_ns = INT64_MAX,
		.source = { .store = store, .policy = policy, .now_ns = state->life.now_ns },
		.why = why };
	arena_init(&work->arena, ARENA_BYTES);
	buf_init(&work->bytes, STORE_EPISODE_ROW_BYTES_MAX);
	episode_signs_init(&work->signs, &work->source, state->cursor, why);
}

static void work_fini(struct work *work)
{
	episode_signs_fini(&work->signs);
	arena_fini(&work->arena);
	buf_fini(&work->bytes);
	free(work);
}

enum rc episode_build(struct episode_build *build, struct store *store, const struct policy *policy,
    const struct builder_state *state, const atomic_bool *stop, struct errmsg *why)
{
	int64_t at_ns = build->next_ns < OBS_TIME_MIN_NS ? OBS_TIME_MIN_NS : build->next_ns;
	bool soon = build->tried_ns != INT64_MIN && state->life.now_ns - build->tried_ns < PAUSE_NS;

	if (!build->more && (soon || state->life.closed_ns <= at_ns))
		return RC_OK;
	struct work *work = malloc(sizeof *work);
	if (work == NULL)
		return RC_NOMEM;
	work_init(work, store, policy, state, why);
	if (!build->more) {
		build->tried_ns = state->life.now_ns;
		build->at_ns = episode_floor(at_ns, STRETCH_NS);
		build->first_ns = INT64_MAX;
	}
	enum rc rc = run(work, build, stop);
	if (rc != RC_OK)
		build->more = false; /* the next round begins where this one did */
	else if (!build->more)
		build->next_ns = build->first_ns < build->at_ns ? build->first_ns : build->at_ns;
	work_fini(work);
	return rc;
}
