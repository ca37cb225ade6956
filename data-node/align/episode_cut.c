/* Episode cuts: where what slices say changes, and what runs between two cuts are. */
#include "align/blend.h"
#include "align/episode_inner.h"
#include "base/clock.h"

#define GRID_NS EPISODE_GRID_NS
#define GAP_NS (EPISODE_GAP_SLICES * GRID_NS)
#define HOLD_NS (EPISODE_HOLD_SLICES * GRID_NS)
#define BEFORE_NS (EPISODE_BEFORE_SLICES * GRID_NS)
/* No run goes on beyond the second midnight behind its beginning. */
#define RUN_NS_MAX (2 * NS_PER_DAY)

_Static_assert(RUN_NS_MAX + GAP_NS + STORE_EPISODE_STRETCH_NS + HOLD_NS < STORE_EPISODE_REACH_NS,
    "what a row is made of lies within its reach");

/* ---- kinds E1 and E2 ----------------------------------------------------------------- */

enum aspect { ASPECT_SCENE, ASPECT_PLACE, ASPECT_POSITION, ASPECT_PEOPLE, ASPECT_COUNT };

static bool says(const struct sign *sign, enum aspect aspect)
{
	switch (aspect) {
	case ASPECT_SCENE:
		return sign->scene != NULL;
	case ASPECT_PLACE:
		return sign->place != NULL;
	case ASPECT_POSITION:
		return sign->has_position;
	case ASPECT_PEOPLE:
		return sign->people_len > 0;
	case ASPECT_COUNT:
		break;
	}
	return false;
}

/* Both say something of it. */
static bool agree(const struct sign *a, const struct sign *b, enum aspect aspect)
{
	switch (aspect) {
	case ASPECT_SCENE:
		return a->scene == b->scene;
	case ASPECT_PLACE:
		return a->place == b->place;
	case ASPECT_POSITION:
		return blend_metres(a->lat, a->lon, b->lat, b->lon) <= EPISODE_METRES;
	case ASPECT_PEOPLE:
		for (size_t i = 0; i < a->people_len; i++) {
			for (size_t k = 0; k < b->people_len; k++) {
				if (a->people[i] == b->people[k])
					return true;
			}
		}
		return false;
	case ASPECT_COUNT:
		break;
	}
	return true;
}

static bool after_gap(const struct episode_signs *signs, int64_t at_ns)
{
	for (int i = 1; i <= EPISODE_GAP_SLICES; i++) {
		if (episode_sign_at(signs, at_ns - i * GRID_NS)->any)
			return false;
	}
	return true;
}

/* Another than it was last known to be, and so for a while?  A return after a
 * moment of something else is no change. */
static bool changes(const struct episode_signs *signs, int64_t at_ns, enum aspect aspect)
{
	const struct sign *now = episode_sign_at(signs, at_ns);
	size_t before = 0, known = 0;

	if (!says(now, aspect))
		return false;
	for (int i = 1; i <= EPISODE_KNOWN_SLICES; i++) {
		const struct sign *sign = episode_sign_at(signs, at_ns - i * GRID_NS);
		if (!says(sign, aspect))
			continue;
		if (before > 0 && i > EPISODE_HOLD_SLICES)
			break;
		if (agree(sign, now, aspect))
			return false;
		before++;
	}
	for (int i = 0; i < EPISODE_HOLD_SLICES; i++) {
		const struct sign *sign = episode_sign_at(signs, at_ns + i * GRID_NS);
		if (!says(sign, aspect))
			continue;
		if (!agree(now, sign, aspect))
			return false;
		known++;
	}
	return before > 0 && known >= EPISODE_HOLD_SLICES / 2;
}

static bool is_change(const struct episode_signs *signs, int64_t at_ns)
{
	bool cut = after_gap(signs, at_ns);

	for (int a = 0; a < ASPECT_COUNT && !cut; a++)
		cut = changes(signs, at_ns, (enum aspect)a);
	return cut;
}

/* ---- runs ----------------------------------------------------------------------------- */

/* Where the text that most slices of the run name is said first; of equals the first. */
static uint32_t most(const struct episode_signs *signs, int64_t start_ns, uint32_t n, bool scene)
{
	const struct sign *run = episode_sign_at(signs, start_ns);
	uint32_t best_at = EPISODE_NO_SLICE;
	const char *best = NULL;
	size_t best_count = 0;

	for (uint32_t i = 0; i < n; i++) {
		const char *name = scene ? run[i].scene : run[i].place;
		size_t count = 0;
		if (name == NULL || name == best)
			continue;
		for (uint32_t k = i; k < n; k++)
			count += (scene ? run[k].scene : run[k].place) == name;
		if (count > best_count) {
			best = name;
			best_at = i;
			best_count = count;
		}
	}
	return best_at;
}

bool episode_people_add(const char **people, size_t *len, const struct sign *sign)
{
	bool any = false;

	for (size_t i = 0; i < sign->people_len; i++) {
		bool seen = *len == EPISODE_PEOPLE_MAX;
		for (size_t k = 0; k < *len; k++)
			seen = seen || people[k] == sign->people[i];
		if (!seen) {
			people[(*len)++] = sign->people[i];
			any = true;
		}
	}
	return any;
}

/* The middle one of the slices that tell a position. */
static uint32_t middle(const struct sign *run, uint32_t n)
{
	size_t known = 0, seen = 0;

	for (uint32_t i = 0; i < n; i++)
		known += run[i].has_position;
	for (uint32_t i = 0; i < n; i++) {
		if (run[i].has_position && seen++ == known / 2)
			return i;
	}
	return EPISODE_NO_SLICE;
}

/* The run of [start, end), which begins and ends with something. */
static struct episode_run run_of(
    const struct episode_signs *signs, int64_t start_ns, int64_t end_ns, bool by_midnight)
{
	const struct sign *run = episode_sign_at(signs, start_ns);
	uint32_t n = (uint32_t)((end_ns - start_ns) / GRID_NS);
	struct episode_run out = { .start_ns = start_ns,
		.end_ns = end_ns,
		.by_midnight = by_midnight,
		.sealed = true,
		.version = 1,
		.scene_at = most(signs, start_ns, n, true),
		.place_at = most(signs, start_ns, n, false),
		.position_at = middle(run, n) };
	const char *people[EPISODE_PEOPLE_MAX];
	size_t people_len = 0;

	for (uint32_t i = 0; i < n; i++) {
		if (!run[i].any)
			continue;
		out.slices++;
		out.sealed = out.sealed && run[i].sealed;
		if (run[i].version > out.version) {
			out.version = run[i].version;
			out.cause = run[i].cause;
		}
		if (episode_people_add(people, &people_len, &run[i]))
			out.people_at[out.people_len++] = i;
	}
	return out;
}

void episode_past_add(struct episode_past *past, const struct episode_run *run)
{
	if (!run->by_midnight)
		past->change_ns = run->start_ns;
}

/* ---- the walk ---------------------------------------------------------------------------- */

struct cutter {
	struct episode_signs *signs;
	struct episode_past *past;
	int64_t from_ns, to_ns;
	int64_t start_ns, last_ns; /* of the run at hand: its first and last slice */
	bool open, by_midnight;
	int64_t until_ns; /* what was looked at */
	episode_run_fn *visit;
	void *ctx;
	bool stopped;
};

static void look_until(struct cutter *c, int64_t ns)
{
	c->until_ns = ns > c->until_ns ? ns : c->until_ns;
}

static void close_run(struct cutter *c)
{
	struct episode_run run;

	if (!c->open)
		return;
	c->open = false;
	run = run_of(c->signs, c->start_ns, c->last_ns + GRID_NS, c->by_midnight);
	look_until(c, run.end_ns + GAP_NS); /* till then it might have gone on */
	c->stopped = !c->visit(c->ctx, &run);
}

/* A cut at `at_ns`; false: the end. */
static bool cut(struct cutter *c, int64_t at_ns, bool by_midnight)
{
	close_run(c);
	if (at_ns >= c->to_ns) {
		look_until(c, at_ns + HOLD_NS);
		return false;
	}
	if (!by_midnight)
		c->past->change_ns = at_ns;
	c->open = at_ns >= c->from_ns;
	c->start_ns = at_ns;
	c->by_midnight = by_midnight;
	return !c->stopped;
}

/* The first slice in which something was observed behind a midnight: E3? */
static bool is_midnight_cut(const struct cutter *c, int64_t at_ns)
{
	int64_t midnight_ns = episode_floor(at_ns, NS_PER_DAY);

	for (int64_t ns = midnight_ns; ns < at_ns; ns += GRID_NS) {
		if (at_ns - ns > GAP_NS || episode_sign_at(c->signs, ns)->any)
			return false;
	}
	return c->past->change_ns <= midnight_ns - NS_PER_DAY;
}

/* One slice; false: the end. */
static bool step(struct cutter *c, int64_t at_ns)
{
	if (at_ns >= c->to_ns && !c->open)
		return false;
	if (!episode_sign_at(c->signs, at_ns)->any) {
		if (c->open && at_ns - c->last_ns >= GAP_NS)
			close_run(c);
		return !c->stopped;
	}
	bool change = is_change(c->signs, at_ns);
	if (change || is_midnight_cut(c, at_ns)) {
		if (!cut(c, at_ns, !change))
			return false;
	}
	c->last_ns = at_ns;
	return true;
}

/* Where to begin so that a midnight at which a run may begin has a day behind it. */
static int64_t first_needed(const struct episode_past *past, int64_t from_ns, int64_t to_ns)
{
	int64_t midnight_ns = episode_floor(from_ns + NS_PER_DAY - 1, NS_PER_DAY);
	int64_t first_ns = midnight_ns - NS_PER_DAY;
	bool known = past->change_ns != INT64_MIN || past->known_from_ns <= first_ns;

	return known || midnight_ns >= to_ns ? from_ns : first_ns;
}

enum rc episode_runs(struct episode_signs *signs, struct episode_past *past, int64_t from_ns,
    int64_t to_ns, episode_run_fn *visit, void *ctx, int64_t *looked_from_ns,
    int64_t *looked_until_ns)
{
	struct cutter c = { .signs = signs,
		.past = past,
		.from_ns = from_ns,
		.to_ns = to_ns,
		.until_ns = to_ns + HOLD_NS,
		.visit = visit,
		.ctx = ctx };
	int64_t at_ns = first_needed(past, from_ns, to_ns), read_ns = to_ns + HOLD_NS;
	enum rc rc = RC_OK;

	if (at_ns < from_ns)
		*past = (struct episode_past){ at_ns, INT64_MIN };
	episode_signs_begin(signs, at_ns - BEFORE_NS);
	for (;; at_ns += GRID_NS) {
		if (at_ns + HOLD_NS > read_ns)
			read_ns += STORE_EPISODE_STRETCH_NS;
		rc = episode_signs_read(signs, read_ns);
		if (rc != RC_OK || !step(&c, at_ns))
			break;
	}
	if (looked_from_ns != NULL)
		*looked_from_ns = episode_floor(from_ns, NS_PER_DAY) == from_ns
				      ? from_ns - NS_PER_DAY - BEFORE_NS
				      : from_ns - BEFORE_NS;
	if (looked_until_ns != NULL)
		*looked_until_ns = c.until_ns;
	return rc;
}
