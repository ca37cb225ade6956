/* Episode rows: the runs of a stretch as bytes. */
#include "align/bytes.h"
#include "align/episode_inner.h"

#define ROW_FORMAT 1u /* also of what cuts are: other rules are another number */
#define FLAG_BY_MIDNIGHT 1u
#define STRETCH_SLICES ((uint64_t)(STORE_EPISODE_STRETCH_NS / EPISODE_GRID_NS))
#define RUN_SLICES_MAX ((uint64_t)(STORE_EPISODE_REACH_NS / EPISODE_GRID_NS))

static unsigned cause_code(const char *cause)
{
	for (unsigned code = 1; code <= DIRTY_CAUSE_COUNT && cause != NULL; code++) {
		if (strcmp(cause, dirty_cause_word((enum dirty_cause)code)) == 0)
			return code;
	}
	return 0;
}

/* ---- writing -------------------------------------------------------------------------- */

static void put_slice(struct buf *out, uint32_t at)
{
	bytes_put_varint(out, at == EPISODE_NO_SLICE ? 0 : (uint64_t)at + 1);
}

/* Sealed, as all that is stored. */
static void put_run(struct buf *out, const struct episode_run *run, int64_t before_ns)
{
	bytes_put_varint(out, (uint64_t)((run->start_ns - before_ns) / EPISODE_GRID_NS));
	bytes_put_varint(out, (uint64_t)((run->end_ns - run->start_ns) / EPISODE_GRID_NS));
	bytes_put8(out, run->by_midnight ? FLAG_BY_MIDNIGHT : 0);
	bytes_put8(out, cause_code(run->cause));
	bytes_put_varint(out, run->version);
	bytes_put_varint(out, run->slices);
	put_slice(out, run->scene_at);
	put_slice(out, run->place_at);
	put_slice(out, run->position_at);
	bytes_put8(out, (unsigned)run->people_len);
	for (size_t i = 0; i < run->people_len; i++)
		put_slice(out, run->people_at[i]);
}

enum rc episode_row_encode(
    const struct episode_run *runs, size_t n, int64_t start_ns, struct buf *out)
{
	bytes_put8(out, ROW_FORMAT);
	bytes_put_varint(out, n);
	for (size_t i = 0; i < n; i++)
		put_run(out, &runs[i], i == 0 ? start_ns : runs[i - 1].end_ns);
	return buf_rc(out);
}

/* ---- reading -------------------------------------------------------------------------- */

static uint32_t get_slice(struct bytes *in, uint64_t slices)
{
	uint64_t at = bytes_get_varint(in);

	in->bad = in->bad || at > slices;
	return at == 0 || in->bad ? EPISODE_NO_SLICE : (uint32_t)(at - 1);
}

static void get_people(struct bytes *in, uint64_t slices, struct episode_run *run)
{
	size_t n = bytes_get8(in);

	in->bad = in->bad || n > EPISODE_PEOPLE_MAX;
	for (size_t i = 0; i < n && !in->bad; i++) {
		uint32_t at = get_slice(in, slices);
		in->bad =
		    in->bad || at == EPISODE_NO_SLICE || (i > 0 && at <= run->people_at[i - 1]);
		run->people_at[run->people_len++] = at;
	}
}

static void get_run(struct bytes *in, int64_t before_ns, struct episode_run *run)
{
	uint64_t gap = bytes_get_varint(in), slices = bytes_get_varint(in);
	unsigned flags = bytes_get8(in), cause = bytes_get8(in);

	*run = (struct episode_run){ .by_midnight = flags == FLAG_BY_MIDNIGHT, .sealed = true };
	run->version = bytes_get_varint(in);
	run->slices = bytes_get_varint(in);
	in->bad = in->bad || gap >= STRETCH_SLICES || slices == 0 || slices > RUN_SLICES_MAX ||
		  flags > FLAG_BY_MIDNIGHT || cause > DIRTY_CAUSE_COUNT || run->version == 0 ||
		  run->slices == 0 || run->slices > slices;
	if (in->bad)
		return;
	run->cause = cause == 0 ? NULL : dirty_cause_word((enum dirty_cause)cause);
	run->start_ns = before_ns + (int64_t)gap * EPISODE_GRID_NS;
	run->end_ns = run->start_ns + (int64_t)slices * EPISODE_GRID_NS;
	run->scene_at = get_slice(in, slices);
	run->place_at = get_slice(in, slices);
	run->position_at = get_slice(in, slices);
	get_people(in, slices, run);
}

enum rc episode_row_decode(const uint8_t *bytes, size_t len, int64_t start_ns, struct arena *arena,
    struct episode_run **out, size_t *n)
{
	struct bytes in = { bytes, len, false };
	unsigned format = bytes_get8(&in);
	uint64_t runs_len = bytes_get_varint(&in);
	int64_t before_ns = start_ns;

	if (in.bad || format != ROW_FORMAT || runs_len > STRETCH_SLICES)
		return RC_CORRUPT;
	struct episode_run *runs = arena_array(arena, (size_t)runs_len + 1, sizeof *runs);
	if (runs == NULL)
		return RC_NOMEM;
	for (size_t i = 0; i < runs_len; i++) {
		get_run(&in, before_ns, &runs[i]);
		if (in.bad || runs[i].start_ns >= start_ns + STORE_EPISODE_STRETCH_NS)
			return RC_CORRUPT;
		before_ns = runs[i].end_ns;
	}
	*out = runs;
	*n = (size_t)runs_len;
	return in.left == 0 ? RC_OK : RC_CORRUPT;
}
