/*
 * Episodes: from rows where those stand, worked out from the slices where not.
 *
 * Time is walked stretch by stretch; what lies before the range is looked into
 * only as far back as an episode may reach into it.
 */
#include "align/episode.h"

#include <string.h>

#include "align/builder_inner.h"
#include "align/episode_inner.h"
#include "base/clock.h"
#include "base/timestamp.h"

#define STRETCH_NS STORE_EPISODE_STRETCH_NS
#define BACK_NS (2 * NS_PER_DAY) /* farther back nothing begins that still goes on */
#define VIEW_ARENA_BYTES ((size_t)128 << 20)

/* The episodes that begin in one stretch, as a row tells them. */
struct stretch {
	bool stands;
	const struct episode_run *runs; /* [runs_len] */
	size_t runs_len;
};

struct walk {
	const struct slice_source *source;
	int64_t from_ns, to_ns;
	episode_visit_fn *visit;
	void *ctx;
	int64_t first_ns;          /* of stretches[0] */
	struct stretch *stretches; /* [stretches_len] */
	size_t stretches_len;
	struct arena arena;
	struct store_episode_view view;
	struct episode_signs signs;
	struct episode_past past;
	bool from_row; /* the run at hand */
	bool stopped;
	enum rc rc;
};

static int64_t start_of(const struct walk *walk, size_t i)
{
	return walk->first_ns + (int64_t)i * STRETCH_NS;
}

/* ---- which rows stand --------------------------------------------------------------- */

/* Do rows tell of the log up to the cursor, as it is seen now and by this policy? */
static enum rc rows_count(const struct walk *walk, bool *out)
{
	const struct slice_source *source = walk->source;
	const struct store_slice_view *slices = &walk->view.slices;
	uint8_t hash[POLICY_HASH_BYTES];
	struct builder_state state;

	*out = false;
	if (source->as_known || source->work_out_all || slices->state == NULL)
		return RC_OK;
	lifecycle_init(&state.life);
	policy_hash(source->policy, hash);
	enum rc rc = builder_state_decode(slices->state, slices->state_len, &state);
	*out = rc == RC_OK && memcmp(state.policy_hash, hash, POLICY_HASH_BYTES) == 0 &&
	       state.cursor <= walk->signs.cursor && state.life.now_ns <= source->now_ns;
	lifecycle_fini(&state.life);
	return rc == RC_CORRUPT ? RC_OK : rc;
}

bool episode_is_marked(const struct store_episode_row *row, const struct store_slice_view *slices,
    uint64_t cursor, const struct policy *policy)
{
	struct touch touch;

	for (size_t i = 0; i < slices->marks_len; i++) {
		if (slices->marks[i].first_seq > cursor)
			continue;
		touch_of_mark(&slices->marks[i], policy, &touch);
		if (touch.from_ns < row->until_ns && touch.to_ns > row->from_ns)
			return true;
	}
	return false;
}

static enum rc read_rows(struct walk *walk)
{
	int64_t end_ns = start_of(walk, walk->stretches_len);
	bool count = false;

	enum rc rc = store_episode_read(walk->source->store, walk->first_ns, end_ns, &walk->arena,
	    &walk->view, walk->signs.why);
	if (rc != RC_OK)
		return rc;
	if (walk->signs.cursor == 0)
		walk->signs.cursor = walk->view.slices.cursor;
	rc = rows_count(walk, &count);
	for (size_t i = 0; i < walk->view.rows_len && count && rc == RC_OK; i++) {
		const struct store_episode_row *row = &walk->view.rows[i];
		struct episode_run *runs = NULL;
		size_t n = 0;
		if (row->bytes == NULL || row->start_ns % STRETCH_NS != 0 ||
		    episode_is_marked(
			row, &walk->view.slices, walk->signs.cursor, walk->source->policy))
			continue;
		rc = episode_row_decode(
		    row->bytes, row->len, row->start_ns, &walk->arena, &runs, &n);
		if (rc == RC_OK)
			walk->stretches[(row->start_ns - walk->first_ns) / STRETCH_NS] =
			    (struct stretch){ true, runs, n };
		else if (rc == RC_CORRUPT)
			rc = RC_OK;
	}
	return rc;
}

/* The first stretch in which something may begin that reaches into the range. */
static size_t first_stretch(const struct walk *walk)
{
	size_t i = (size_t)((walk->from_ns - walk->first_ns) / STRETCH_NS);

	for (; i > 0; i--) {
		const struct stretch *before = &walk->stretches[i - 1];
		if (!before->stands)
			return 0;
		if (before->runs_len > 0)
			return i - 1;
	}
	return 0;
}

/* ---- runs into episodes -------------------------------------------------------------- */

/* What the slice at `at` of the run says: read anew for a run from a row. */
static enum rc sign_of(
    struct walk *walk, const struct episode_run *run, uint32_t at, const struct sign **out)
{
	int64_t at_ns = run->start_ns + (int64_t)at * EPISODE_GRID_NS;
	enum rc rc = RC_OK;

	if (walk->from_row) {
		episode_signs_begin(&walk->signs, at_ns);
		rc = episode_signs_read(&walk->signs, at_ns + EPISODE_GRID_NS);
	}
	*out = episode_sign_at(&walk->signs, at_ns);
	return rc;
}

/* Names live as long as the walk. */
static enum rc fill(struct walk *walk, const struct episode_run *run, struct episode *out)
{
	const struct sign *sign;
	enum rc rc = RC_OK;

	if (run->scene_at != EPISODE_NO_SLICE) {
		rc = sign_of(walk, run, run->scene_at, &sign);
		out->scene = sign->scene;
	}
	if (run->place_at != EPISODE_NO_SLICE && rc == RC_OK) {
		rc = sign_of(walk, run, run->place_at, &sign);
		out->place = sign->place;
	}
	if (run->position_at != EPISODE_NO_SLICE && rc == RC_OK) {
		rc = sign_of(walk, run, run->position_at, &sign);
		out->has_position = sign->has_position;
		out->lat = sign->lat;
		out->lon = sign->lon;
	}
	for (size_t i = 0; i < run->people_len && rc == RC_OK; i++) {
		rc = sign_of(walk, run, run->people_at[i], &sign);
		(void)episode_people_add(out->people, &out->people_len, sign);
	}
	return rc;
}

static const char *state_of(const struct walk *walk, const struct episode_run *run)
{
	if (run->end_ns + EPISODE_GAP_SLICES * EPISODE_GRID_NS > walk->source->now_ns)
		return "open"; /* it may still go on */
	if (run->sealed)
		return "sealed";
	return run->version > 1 ? "reopened" : "provisional";
}

static bool tell(void *ctx, const struct episode_run *run)
{
	struct walk *walk = ctx;
	struct episode episode = { .start_ns = run->start_ns,
		.end_ns = run->end_ns,
		.version = run->version,
		.cause = run->cause,
		.state = state_of(walk, run),
		.slices = run->slices };

	if (run->end_ns <= walk->from_ns || run->start_ns >= walk->to_ns)
		return true;
	walk->rc = fill(walk, run, &episode);
	if (walk->rc == RC_OK)
		walk->stopped = !walk->visit(walk->ctx, &episode);
	return walk->rc == RC_OK && !walk->stopped;
}

static void tell_row(struct walk *walk, const struct stretch *stretch)
{
	bool more = true;

	walk->from_row = true;
	for (size_t i = 0; i < stretch->runs_len && more; i++) {
		episode_past_add(&walk->past, &stretch->runs[i]);
		more = tell(walk, &stretch->runs[i]);
	}
	walk->from_row = false;
}

static enum rc walk_stretches(struct walk *walk)
{
	size_t i = first_stretch(walk);
	enum rc rc = RC_OK;

	walk->past = (struct episode_past){ start_of(walk, i), INT64_MIN };
	while (i < walk->stretches_len && rc == RC_OK && !walk->stopped) {
		size_t end = i + 1;
		if (walk->stretches[i].stands) {
			tell_row(walk, &walk->stretches[i]);
		} else {
			while (end < walk->stretches_len && !walk->stretches[end].stands)
				end++;
			rc = episode_runs(&walk->signs, &walk->past, start_of(walk, i),
			    start_of(walk, end), tell, walk, NULL, NULL);
		}
		rc = rc == RC_OK ? walk->rc : rc;
		i = end;
	}
	return rc;
}

enum rc episode_walk(const struct slice_source *source, int64_t from_ns, int64_t to_ns,
    uint64_t as_of_seq, episode_visit_fn *visit, void *ctx, struct errmsg *why)
{
	struct walk walk = { .source = source,
		.from_ns = from_ns,
		.to_ns = to_ns,
		.visit = visit,
		.ctx = ctx,
		.rc = RC_OK };

	if (from_ns < OBS_TIME_MIN_NS || to_ns > OBS_TIME_MAX_NS || from_ns >= to_ns)
		return errmsg_rc(
		    why, RC_INVALID, "from, to: an empty range or outside 1900 to 2200");
	if (to_ns - from_ns > EPISODE_RANGE_NS_MAX)
		return errmsg_rc(why, RC_LIMIT, "more than 92 days: ask in parts");
	walk.first_ns = episode_floor(from_ns, STRETCH_NS) - BACK_NS;
	walk.stretches_len = (size_t)((to_ns - walk.first_ns + STRETCH_NS - 1) / STRETCH_NS);
	arena_init(&walk.arena, VIEW_ARENA_BYTES);
	episode_signs_init(&walk.signs, source, as_of_seq, why);
	walk.stretches = arena_array(&walk.arena, walk.stretches_len, sizeof *walk.stretches);
	enum rc rc = walk.stretches == NULL ? RC_NOMEM : read_rows(&walk);
	if (rc == RC_OK)
		rc = walk_stretches(&walk);
	if (rc == RC_OK && walk.signs.damaged)
		rc = RC_CORRUPT;
	episode_signs_fini(&walk.signs);
	arena_fini(&walk.arena);
	return rc;
}

/* ---- JSON ---------------------------------------------------------------------------- */

static void put_text(struct buf *out, const char *name, const char *text)
{
	buf_printf(out, ",\"%s\":", name);
	if (text == NULL)
		buf_puts(out, "null");
	else
		buf_json_string(out, text, strlen(text));
}

enum rc episode_json(const struct episode *episode, const char *more, struct buf *out)
{
	char start[TIMESTAMP_TEXT_BYTES], end[TIMESTAMP_TEXT_BYTES];

	timestamp_format(episode->start_ns, start);
	timestamp_format(episode->end_ns, end);
	buf_printf(out, "{\"start\":\"%s\",\"end\":\"%s\",\"version\":%llu,\"state\":\"%s\"", start,
	    end, (unsigned long long)episode->version, episode->state);
	if (episode->cause != NULL)
		buf_printf(out, ",\"cause\":\"%s\"", episode->cause);
	put_text(out, "scene", episode->scene);
	put_text(out, "place", episode->place);
	if (episode->has_position)
		buf_printf(
		    out, ",\"position\":{\"lat\":%.7f,\"lon\":%.7f}", episode->lat, episode->lon);
	buf_puts(out, ",\"people\":[");
	for (size_t i = 0; i < episode->people_len; i++) {
		if (i > 0)
			buf_putc(out, ',');
		buf_json_string(out, episode->people[i], strlen(episode->people[i]));
	}
	buf_printf(out, "],\"slices\":%zu", episode->slices);
	buf_puts(out, more);
	buf_putc(out, '}');
	return buf_rc(out);
}
