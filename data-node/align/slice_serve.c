/* Serving slices: which rows stand, what must be worked out, and the states. */
#include "align/slice_serve.h"

#include <string.h>

#include "align/builder_inner.h"
#include "align/slice_fill.h"
#include "base/clock.h"

#define VIEW_ARENA_BYTES ((size_t)256 << 20)
#define VIEW_NS (INT64_C(8192) * BUILDER_GRID_NS) /* of one reading */
#define JOIN_ROWS 32 /* fewer rows than this between two stretches: work out all */
#define RECORD_ARENA_BYTES ((size_t)24 << 20)

/* What is known of one slice of the grid at the cursor. */
struct known {
	struct slice_head head;            /* of the version then; version 0: no row */
	const struct store_slice_row *row; /* its newest version, if that stands */
	bool touched_later;                /* head.round is of a later time */
	bool empty;                        /* a row without content */
	bool stale;                        /* nothing that is stored, or not stored, counts */
};

struct serve {
	const struct slice_source *source;
	const struct slice_query *query;
	slice_visit_fn *visit;
	void *ctx;
	struct slice_served *served;
	struct errmsg *why;
	uint64_t cursor;
	int64_t now_ns, closed_ns; /* of the lifecycle at the cursor */
	bool stopped, damaged;
	uint8_t policy_hash[POLICY_HASH_BYTES];
	/* Of the part at hand. */
	struct arena arena;
	struct store_slice_view view;
	struct builder_state state;
	int64_t grid_from_ns; /* of known[0] */
	struct known *known;  /* [known_len] */
	size_t known_len;
	bool home_before; /* the home layer has records that may hold on */
};

static int64_t floor_to(int64_t ns, int64_t step_ns)
{
	int64_t rest = ns % step_ns;

	return ns - (rest < 0 ? rest + step_ns : rest);
}

/* ---- the lifecycle at the cursor ------------------------------------------------------- */

static enum rc known_then(struct serve *serve)
{
	struct store *store = serve->source->store;
	struct store_slice_row row;
	struct observation obs;
	struct arena arena;
	int64_t now_ns;

	arena_init(&arena, RECORD_ARENA_BYTES);
	serve->closed_ns = INT64_MIN;
	enum rc rc = store_slice_history(store, serve->cursor, &arena, &row, serve->why);
	if (rc == RC_OK && row.bytes != NULL)
		rc = builder_history_decode(row.bytes, row.len, &serve->closed_ns, &now_ns);
	if (rc == RC_NOTFOUND || rc == RC_CORRUPT)
		rc = RC_OK;
	if (rc == RC_OK)
		rc = store_get_seq(store, serve->cursor, &arena, &obs, NULL);
	if (rc == RC_OK)
		serve->now_ns = obs.recv_utc_ns;
	arena_fini(&arena);
	return rc == RC_NOTFOUND || rc == RC_CORRUPT ? RC_OK : rc;
}

static enum rc load_state(struct serve *serve)
{
	enum rc rc = RC_NOTFOUND;

	if (serve->view.state != NULL)
		rc = builder_state_decode(serve->view.state, serve->view.state_len, &serve->state);
	if (rc == RC_NOTFOUND || rc == RC_CORRUPT) {
		serve->state.cursor = 0;
		serve->state.ended_ns = INT64_MIN;
		serve->state.life.closed_ns = INT64_MIN;
		serve->state.life.now_ns = INT64_MIN;
		rc = RC_OK;
	}
	if (rc == RC_OK &&
	    memcmp(serve->state.policy_hash, serve->policy_hash, POLICY_HASH_BYTES) != 0)
		serve->state.ended_ns = INT64_MIN; /* rows of another policy */
	if (rc == RC_OK && !serve->source->as_known)
		serve->closed_ns =
		    lifecycle_closed_at(&serve->state.life, serve->source->policy, serve->now_ns);
	return rc;
}

/* ---- what is known of the grid ----------------------------------------------------------- */

static struct known *known_at(const struct serve *serve, int64_t start_ns)
{
	int64_t i = (start_ns - serve->grid_from_ns) / BUILDER_GRID_NS;

	return i < 0 || i >= (int64_t)serve->known_len ? NULL : &serve->known[i];
}

static void note_row(struct serve *serve, const struct store_slice_row *row)
{
	struct known *known = known_at(serve, row->start_ns);
	struct slice_head head;

	if (slice_row_decode(row->bytes, row->len, &serve->arena, &head, NULL) != RC_OK) {
		known->stale = true;
		return;
	}
	known->empty = head.empty;
	known->row = head.seq <= serve->cursor && !head.empty ? row : NULL;
	if (head.from_seq > serve->cursor)
		return; /* a version that was not known yet */
	known->head = head;
	known->touched_later = head.seq > serve->cursor;
}

/* A row under a mark does not stand. */
static void drop_marked(struct serve *serve)
{
	int64_t to_ns = serve->grid_from_ns + (int64_t)serve->known_len * BUILDER_GRID_NS;

	for (size_t i = 0; i < serve->view.marks_len; i++) {
		const struct store_dirty *mark = &serve->view.marks[i];
		struct touch touch;
		if (mark->first_seq > serve->cursor)
			continue;
		touch_of_mark(mark, serve->source->policy, &touch);
		int64_t at_ns = floor_to(touch.from_ns, BUILDER_GRID_NS);
		if (at_ns < serve->grid_from_ns)
			at_ns = serve->grid_from_ns;
		for (; at_ns < touch.to_ns && at_ns < to_ns; at_ns += BUILDER_GRID_NS)
			known_at(serve, at_ns)->stale = true;
	}
}

static bool stop_at_first(void *ctx, const struct observation *obs)
{
	(void)obs;
	*(bool *)ctx = true;
	return false;
}

static enum rc look_home(struct serve *serve, int64_t to_ns)
{
	struct store_range range = { .from_ns = OBS_TIME_MIN_NS,
		.to_ns = to_ns,
		.layers = LAYER_MASK(LAYER_HOME),
		.as_of_seq = serve->cursor };

	serve->home_before = false;
	if (serve->query->observed_only ||
	    (serve->query->facets & (FACET_MASK(FACET_HOME) | FACET_MASK(FACET_SCENE))) == 0)
		return RC_OK;
	enum rc rc = store_scan_time(
	    serve->source->store, &range, NULL, 1, stop_at_first, &serve->home_before, serve->why);
	return rc == RC_CORRUPT ? RC_OK : rc;
}

static enum rc read_part(struct serve *serve, int64_t from_ns, int64_t to_ns)
{
	arena_reset(&serve->arena);
	serve->grid_from_ns = floor_to(from_ns, BUILDER_GRID_NS);
	int64_t grid_to_ns = floor_to(to_ns + BUILDER_GRID_NS - 1, BUILDER_GRID_NS);
	enum rc rc = store_slice_read(serve->source->store, BUILDER_GRID_S, serve->grid_from_ns,
	    grid_to_ns, &serve->arena, &serve->view, serve->why);
	if (rc == RC_OK)
		rc = load_state(serve);
	if (rc == RC_OK)
		rc = look_home(serve, grid_to_ns);
	if (rc != RC_OK)
		return rc;
	serve->known_len = (size_t)((grid_to_ns - serve->grid_from_ns) / BUILDER_GRID_NS);
	serve->known = arena_array(&serve->arena, serve->known_len, sizeof *serve->known);
	if (serve->known == NULL)
		return RC_NOMEM;
	for (size_t i = 0; i < serve->view.rows_len; i++)
		note_row(serve, &serve->view.rows[i]);
	drop_marked(serve);
	return RC_OK;
}

/* ---- version and state --------------------------------------------------------------------- */

static void set_state(const struct serve *serve, struct slice *slice)
{
	int64_t round = lifecycle_round(serve->source->policy, serve->now_ns);
	int64_t at_ns = floor_to(slice->start_ns, BUILDER_GRID_NS);
	bool sealed = serve->closed_ns >= slice->end_ns;

	slice->version = 1;
	slice->cause = NULL;
	for (; at_ns < slice->end_ns; at_ns += BUILDER_GRID_NS) {
		const struct known *known = known_at(serve, at_ns);
		if (known == NULL || known->head.version == 0)
			continue;
		if (known->head.version > slice->version) {
			slice->version = known->head.version;
			slice->cause = dirty_cause_word((enum dirty_cause)known->head.cause);
		}
		if (!known->touched_later && known->head.round + 2 > round)
			sealed = false;
	}
	if (slice->end_ns > serve->now_ns)
		slice->state = "open";
	else if (sealed)
		slice->state = "sealed";
	else
		slice->state = slice->version > 1 ? "reopened" : "provisional";
}

static bool hand_out(struct serve *serve, struct slice *slice)
{
	bool any = serve->query->keep_empty;

	for (int facet = 0; facet < FACET_COUNT; facet++)
		any = any || ((serve->query->facets & FACET_MASK(facet)) != 0 &&
				 slice->cells[facet].mode != CELL_ABSENT);
	if (!any)
		return true;
	set_state(serve, slice);
	serve->stopped = !serve->visit(serve->ctx, slice);
	return !serve->stopped;
}

/* ---- worked out ---------------------------------------------------------------------------------
 */

static bool take_built(void *ctx, const struct slice *built)
{
	struct serve *serve = ctx;
	struct slice slice = *built;

	if (serve->served != NULL)
		serve->served->worked_out++;
	return hand_out(serve, &slice);
}

static enum rc work_out(struct serve *serve, int64_t from_ns, int64_t to_ns)
{
	struct slice_query query = *serve->query;

	query.from_ns = from_ns;
	query.to_ns = to_ns;
	query.as_of_seq = serve->cursor;
	query.policy = serve->source->policy;
	enum rc rc = slice_build(serve->source->store, &query, take_built, serve, serve->why);
	if (rc != RC_CORRUPT)
		return rc;
	serve->damaged = true;
	return RC_OK;
}

/* ---- from rows
 * ------------------------------------------------------------------------------------- */

/* What a slice of the grid needs: nothing, its row, or work. */
enum need { NEED_NOTHING, NEED_ROW, NEED_WORK };

static enum need need_of(const struct serve *serve, int64_t start_ns)
{
	const struct known *known = known_at(serve, start_ns);
	bool ended = start_ns + BUILDER_GRID_NS <= serve->state.ended_ns;

	if (serve->source->work_out_all || !ended || known->stale)
		return NEED_WORK;
	if (known->row != NULL)
		return NEED_ROW;
	/* Without a row nothing was observed, so only a state can hold on. */
	bool holds = serve->home_before && !serve->query->observed_only;
	bool nothing = known->head.version == 0 && !known->empty && !holds &&
		       !serve->query->keep_empty && serve->cursor >= serve->state.cursor;
	return nothing ? NEED_NOTHING : NEED_WORK;
}

static enum rc serve_row(struct serve *serve, struct fill *fill, int64_t start_ns)
{
	const struct store_slice_row *row = known_at(serve, start_ns)->row;
	struct slice slice = { .start_ns = start_ns, .end_ns = start_ns + BUILDER_GRID_NS };
	struct slice_refs refs;
	struct slice_head head;
	struct arena arena;

	arena_init(&arena, RECORD_ARENA_BYTES);
	enum rc rc = slice_row_decode(row->bytes, row->len, &arena, &head, &refs);
	if (rc == RC_OK)
		rc = fill_slice(fill, &refs, &slice, serve->why);
	arena_fini(&arena);
	if (rc == RC_NOTFOUND || rc == RC_CORRUPT)
		return work_out(serve, start_ns, slice.end_ns);
	if (rc != RC_OK)
		return rc;
	if (serve->served != NULL)
		serve->served->from_rows++;
	(void)hand_out(serve, &slice);
	return RC_OK;
}

/* The end of the stretch from `from_ns` on that is worked out at once: few rows
 * in between do not interrupt it, for each beginning costs a look back. */
static int64_t work_end(const struct serve *serve, int64_t from_ns, int64_t to_ns)
{
	int64_t end_ns = from_ns;

	for (int64_t at_ns = from_ns; at_ns < to_ns; at_ns += BUILDER_GRID_NS) {
		if (need_of(serve, at_ns) == NEED_WORK)
			end_ns = at_ns + BUILDER_GRID_NS;
		else if (at_ns - end_ns >= JOIN_ROWS * BUILDER_GRID_NS)
			break;
	}
	return end_ns;
}

static enum rc serve_grid(struct serve *serve, int64_t from_ns, int64_t to_ns)
{
	struct fill fill;
	enum rc rc = RC_OK;

	fill_init(&fill, serve->source->store, serve->source->policy, serve->query->facets);
	for (int64_t at_ns = from_ns; at_ns < to_ns && rc == RC_OK && !serve->stopped;) {
		enum need need = need_of(serve, at_ns);
		if (need != NEED_WORK) {
			if (need == NEED_ROW)
				rc = serve_row(serve, &fill, at_ns);
			at_ns += BUILDER_GRID_NS;
			continue;
		}
		int64_t end_ns = work_end(serve, at_ns, to_ns);
		rc = work_out(serve, at_ns, end_ns);
		at_ns = end_ns;
	}
	fill_fini(&fill);
	return rc;
}

enum rc slice_serve(const struct slice_source *source, const struct slice_query *asked,
    slice_visit_fn *visit, void *ctx, struct slice_served *served, struct errmsg *why)
{
	struct slice_query query = *asked;
	struct serve serve = { .source = source,
		.query = &query,
		.visit = visit,
		.ctx = ctx,
		.served = served,
		.why = why,
		.now_ns = source->now_ns,
		.cursor = store_cursor(source->store) };

	enum rc rc = slice_query_check(&query, why);
	if (rc != RC_OK)
		return rc;
	if (query.as_of_seq != 0 && query.as_of_seq < serve.cursor)
		serve.cursor = query.as_of_seq;
	if (source->as_known)
		rc = known_then(&serve);
	policy_hash(source->policy, serve.policy_hash);
	lifecycle_init(&serve.state.life);
	arena_init(&serve.arena, VIEW_ARENA_BYTES);
	int64_t most_ns = floor_to(VIEW_NS, query.step_ns);
	if (most_ns == 0)
		most_ns = query.step_ns;
	for (int64_t at_ns = query.from_ns; at_ns < query.to_ns && rc == RC_OK && !serve.stopped;) {
		int64_t to_ns = query.to_ns - at_ns > most_ns ? at_ns + most_ns : query.to_ns;
		rc = read_part(&serve, at_ns, to_ns);
		if (rc == RC_OK)
			rc = query.step_ns == BUILDER_GRID_NS ? serve_grid(&serve, at_ns, to_ns)
							      : work_out(&serve, at_ns, to_ns);
		at_ns = to_ns;
	}
	lifecycle_fini(&serve.state.life);
	arena_fini(&serve.arena);
	return rc == RC_OK && serve.damaged ? RC_CORRUPT : rc;
}
