/* Episode verify: each stored row made again from the slices, and compared. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "align/builder_inner.h"
#include "align/episode_inner.h"
#include "base/clock.h"
#include "base/timestamp.h"

#define STRETCH_NS STORE_EPISODE_STRETCH_NS
#define PART_NS (16 * NS_PER_DAY)
#define RUNS_MAX ((size_t)(STRETCH_NS / EPISODE_GRID_NS))
#define ARENA_BYTES ((size_t)32 << 20)
#define FAULT_BYTES 160

struct verify {
	struct store *store;
	const struct policy *policy;
	struct arena arena, after; /* of the part at hand, and of one row */
	struct store_episode_view view;
	struct slice_source source;
	struct episode_signs signs;
	struct episode_past past;
	int64_t past_ns; /* what `past` is known up to */
	struct episode_run runs[RUNS_MAX];
	size_t runs_len;
	struct buf bytes;
	store_fault_fn *report;
	void *ctx;
	uint64_t *faults;
	struct errmsg *why;
};

static void fault(struct verify *v, const struct store_episode_row *row, const char *what)
{
	char text[FAULT_BYTES], start[TIMESTAMP_TEXT_BYTES];

	timestamp_format(row->start_ns, start);
	(void)snprintf(
	    text, sizeof text, "episode: the row of %s %s: a rebuild makes it again", start, what);
	++*v->faults;
	v->report(v->ctx, text);
}

/* By the state that the view saw: do its rows count, and as of when? */
static enum rc pin(struct verify *v, bool *count)
{
	const struct store_slice_view *slices = &v->view.slices;
	uint8_t hash[POLICY_HASH_BYTES];
	struct builder_state state;

	*count = false;
	if (slices->state == NULL)
		return RC_OK;
	lifecycle_init(&state.life);
	policy_hash(v->policy, hash);
	enum rc rc = builder_state_decode(slices->state, slices->state_len, &state);
	*count = rc == RC_OK && memcmp(hash, state.policy_hash, POLICY_HASH_BYTES) == 0;
	v->source = (struct slice_source){
		.store = v->store, .policy = v->policy, .now_ns = state.life.now_ns
	};
	if (*count && v->signs.cursor != state.cursor) {
		v->signs.cursor = state.cursor;
		v->signs.len = 0; /* as of another cursor */
		v->past_ns = INT64_MAX;
	}
	lifecycle_fini(&state.life);
	return rc == RC_CORRUPT ? RC_OK : rc;
}

static bool take_run(void *ctx, const struct episode_run *run)
{
	struct verify *v = ctx;

	v->runs[v->runs_len++] = *run;
	return true;
}

/* RC_NOTFOUND: it cannot be told. */
static enum rc make_again(struct verify *v, const struct store_episode_row *row, bool *same)
{
	int64_t from_ns, until_ns;

	if (v->past_ns != row->start_ns)
		v->past = (struct episode_past){ row->start_ns, INT64_MIN };
	v->past_ns = row->start_ns + STRETCH_NS;
	v->runs_len = 0;
	buf_reset(&v->bytes);
	enum rc rc = episode_runs(&v->signs, &v->past, row->start_ns, row->start_ns + STRETCH_NS,
	    take_run, v, &from_ns, &until_ns);
	if (rc == RC_OK && v->signs.damaged) {
		v->signs.damaged = false; /* of that the log's own check tells */
		v->signs.len = 0;
		return RC_NOTFOUND;
	}
	if (rc == RC_OK)
		rc = episode_row_encode(v->runs, v->runs_len, row->start_ns, &v->bytes);
	*same = rc == RC_OK && from_ns == row->from_ns && until_ns == row->until_ns &&
		v->bytes.len == row->len && memcmp(v->bytes.bytes, row->bytes, row->len) == 0;
	return rc;
}

/* Is it still there, with no mark over it?  What changed under it has seen to one
 * of these. */
static enum rc still_stands(struct verify *v, const struct store_episode_row *row, bool *stands)
{
	struct store_episode_view view;

	arena_reset(&v->after);
	enum rc rc = store_episode_read(
	    v->store, row->start_ns, row->start_ns + 1, &v->after, &view, v->why);
	*stands = rc == RC_OK && view.rows_len == 1 && view.rows[0].len == row->len &&
		  view.rows[0].from_ns == row->from_ns && view.rows[0].until_ns == row->until_ns &&
		  (row->len == 0 || memcmp(view.rows[0].bytes, row->bytes, row->len) == 0) &&
		  !episode_is_marked(row, &view.slices, UINT64_MAX, v->policy);
	return rc;
}

static enum rc check(struct verify *v, const struct store_episode_row *row)
{
	bool same = false, stands = false, opens = row->bytes != NULL;
	enum rc rc = RC_OK;

	if (episode_is_marked(row, &v->view.slices, UINT64_MAX, v->policy))
		return RC_OK;
	if (opens && row->start_ns % STRETCH_NS == 0)
		rc = make_again(v, row, &same);
	if (rc == RC_OK && !same)
		rc = still_stands(v, row, &stands);
	if (rc == RC_OK && stands)
		fault(v, row, opens ? "differs from its slices" : "does not open");
	return rc == RC_NOTFOUND ? RC_OK : rc;
}

static enum rc check_part(struct verify *v, int64_t from_ns, int64_t to_ns)
{
	bool count = false;

	arena_reset(&v->arena);
	enum rc rc = store_episode_read(v->store, from_ns, to_ns, &v->arena, &v->view, v->why);
	if (rc == RC_OK)
		rc = pin(v, &count);
	for (size_t i = 0; i < v->view.rows_len && count && rc == RC_OK; i++)
		rc = check(v, &v->view.rows[i]);
	return rc;
}

enum rc episode_verify(struct store *store, const struct policy *policy, store_fault_fn *report,
    void *ctx, uint64_t *faults, struct errmsg *why)
{
	struct verify *v = calloc(1, sizeof *v);
	int64_t from_ns = OBS_TIME_MIN_NS - NS_PER_DAY;
	enum rc rc = RC_OK;

	if (v == NULL)
		return RC_NOMEM;
	*v = (struct verify){ .store = store,
		.policy = policy,
		.past_ns = INT64_MAX,
		.report = report,
		.ctx = ctx,
		.faults = faults,
		.why = why };
	arena_init(&v->arena, ARENA_BYTES);
	arena_init(&v->after, ARENA_BYTES);
	buf_init(&v->bytes, STORE_EPISODE_ROW_BYTES_MAX);
	episode_signs_init(&v->signs, &v->source, 0, why);
	while (rc == RC_OK && (rc = store_episode_next(store, from_ns, &from_ns, why)) == RC_OK) {
		rc = check_part(v, from_ns, from_ns + PART_NS);
		from_ns += PART_NS;
	}
	episode_signs_fini(&v->signs);
	arena_fini(&v->arena);
	arena_fini(&v->after);
	buf_fini(&v->bytes);
	free(v);
	return rc == RC_NOTFOUND ? RC_OK : rc;
}
