/*
 * Episodes: what each slice says of scene, place and company, where that
 * changes, and what the run between two cuts was.
 */
#include "align/episode.h"

#include <stdlib.h>
#include <string.h>

#include "align/blend.h"
#include "align/builder.h"
#include "align/lookup.h"
#include "align/peek.h"
#include "align/slice_row.h"
#include "base/clock.h"
#include "base/timestamp.h"

#define GRID_NS BUILDER_GRID_NS
#define DAY_SLICES ((size_t)(NS_PER_DAY / BUILDER_GRID_NS))
#define PART_NS (8 * NS_PER_DAY) /* of one reading */
#define NAMES_BYTES_MAX ((size_t)16 << 20)
#define NAME_LEN_MAX ((size_t)200)
#define SIGN_PEOPLE_MAX 4

/* What one slice says. */
struct sign {
	bool any; /* something was observed */
	bool has_position, cut;
	const char *scene, *place; /* interned; NULL: says nothing */
	const char *people[SIGN_PEOPLE_MAX];
	size_t people_len;
	double lat, lon;
	uint64_t version;
	const char *state, *cause;
};

struct walk {
	int64_t from_ns;    /* of signs[0] */
	struct sign *signs; /* [len] */
	size_t len;
	struct arena names;
	struct lookup known; /* hash of a name → its text */
	enum rc rc;
};

/* ---- signs ---------------------------------------------------------------------------- */

/* One pointer a name, so that names compare by pointer. */
static const char *intern(struct walk *walk, const char *text, size_t len)
{
	uint64_t hash = UINT64_C(0xCBF29CE484222325);

	if (len == 0)
		return NULL;
	if (len > NAME_LEN_MAX)
		len = NAME_LEN_MAX;
	for (size_t i = 0; i < len; i++)
		hash = (hash ^ (unsigned char)text[i]) * UINT64_C(0x100000001B3);
	char *name = lookup_find(&walk->known, hash);
	if (name != NULL)
		return name;
	name = arena_copy(&walk->names, text, len);
	walk->rc = name == NULL ? RC_NOMEM : lookup_put(&walk->known, hash, name);
	return walk->rc == RC_OK ? name : NULL;
}

static bool member_is(const struct peek *member, const char *const *names)
{
	for (; *names != NULL; names++) {
		if (peek_is(member, *names))
			return true;
	}
	return false;
}

/* The first string of a member that is one, or a list of them. */
static bool first_string(const struct peek *member, const char **text, size_t *len)
{
	if (peek_string(member, text, len))
		return true;
	if (member->value_len < 4 || member->value[0] != '[' || member->value[1] != '"')
		return false;
	const char *end = memchr(member->value + 2, '"', member->value_len - 2);
	*text = member->value + 2;
	*len = end == NULL ? 0 : (size_t)(end - *text);
	return end != NULL;
}

static void read_place(struct walk *walk, const struct cell *cell, struct sign *out)
{
	static const char *const names[] = { "place", "region", "inregions", NULL };
	struct blend_fix fix;
	struct peek member;
	const char *text;
	size_t len;

	for (size_t i = cell->values_len; i-- > 0;) {
		const struct cell_value *value = &cell->values[i];
		if (!out->has_position && blend_fix_of(cell_value_data(value), &fix)) {
			out->has_position = true;
			out->lat = fix.lat;
			out->lon = fix.lon;
		}
		peek_open(&member, cell_value_data(value));
		while (out->place == NULL && peek_next(&member)) {
			if (member_is(&member, names) && first_string(&member, &text, &len))
				out->place = intern(walk, text, len);
		}
	}
}

static void read_people(struct walk *walk, const struct cell *cell, struct sign *out)
{
	static const char *const names[] = { "speaker", "from", "with", "sender", NULL };
	struct peek member;
	const char *text;
	size_t len;

	for (size_t i = 0; i < cell->values_len; i++) {
		peek_open(&member, cell_value_data(&cell->values[i]));
		while (out->people_len < SIGN_PEOPLE_MAX && peek_next(&member)) {
			if (!member_is(&member, names) || !first_string(&member, &text, &len))
				continue;
			const char *name = intern(walk, text, len);
			bool seen = name == NULL;
			for (size_t k = 0; k < out->people_len; k++)
				seen = seen || out->people[k] == name;
			if (!seen)
				out->people[out->people_len++] = name;
		}
	}
}

static bool take_slice(void *ctx, const struct slice *slice)
{
	struct walk *walk = ctx;
	struct sign *sign = &walk->signs[(slice->start_ns - walk->from_ns) / GRID_NS];
	const struct cell *scene = &slice->cells[FACET_SCENE];

	sign->any = slice_has_evidence(slice);
	sign->version = slice->version;
	sign->state = slice->state;
	sign->cause = slice->cause;
	if (scene->values_len > 0)
		sign->scene = intern(walk, cell_value_text(&scene->values[0]),
		    strlen(cell_value_text(&scene->values[0])));
	read_place(walk, &slice->cells[FACET_LOCATION], sign);
	read_people(walk, &slice->cells[FACET_LANGUAGE], sign);
	return walk->rc == RC_OK;
}

/* ---- cuts ------------------------------------------------------------------------------- */

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

static bool after_gap(const struct walk *walk, size_t at)
{
	size_t back = at < EPISODE_GAP_SLICES ? at : EPISODE_GAP_SLICES;

	for (size_t i = at - back; i < at; i++) {
		if (walk->signs[i].any)
			return false;
	}
	return true;
}

/* Another than it was last known to be, and so for a while?  A return after a
 * moment of something else is no change. */
static bool changes(const struct walk *walk, size_t at, enum aspect aspect)
{
	const struct sign *now = &walk->signs[at];
	size_t back = at < EPISODE_KNOWN_SLICES ? at : EPISODE_KNOWN_SLICES;
	size_t before = 0, known = 0;

	if (!says(now, aspect))
		return false;
	for (size_t i = at; i-- > at - back;) {
		if (!says(&walk->signs[i], aspect))
			continue;
		if (before > 0 && at - i > EPISODE_HOLD_SLICES)
			break;
		if (agree(&walk->signs[i], now, aspect))
			return false;
		before++;
	}
	for (size_t i = at; i < at + EPISODE_HOLD_SLICES && i < walk->len; i++) {
		const struct sign *sign = &walk->signs[i];
		if (!says(sign, aspect))
			continue;
		if (!agree(now, sign, aspect))
			return false;
		known++;
	}
	return before > 0 && known >= EPISODE_HOLD_SLICES / 2;
}

static void find_cuts(struct walk *walk)
{
	size_t since = 0; /* slices since the last cut of kinds E1 and E2 */

	for (size_t i = 0; i < walk->len; i++) {
		struct sign *sign = &walk->signs[i];
		bool cut = false;
		if (sign->any) {
			cut = after_gap(walk, i);
			for (int a = 0; a < ASPECT_COUNT && !cut; a++)
				cut = changes(walk, i, (enum aspect)a);
		}
		bool midnight = (walk->from_ns + (int64_t)i * GRID_NS) % NS_PER_DAY == 0;
		sign->cut = cut || (sign->any && midnight && since >= DAY_SLICES);
		since = cut ? 1 : since + 1;
	}
}

/* ---- runs ----------------------------------------------------------------------------------- */

/* The text that most slices of the run name; the first of equals. */
static const char *most(const struct sign *signs, size_t n, bool scene)
{
	const char *best = NULL;
	size_t best_count = 0;

	for (size_t i = 0; i < n; i++) {
		const char *name = scene ? signs[i].scene : signs[i].place;
		size_t count = 0;
		if (name == NULL || name == best)
			continue;
		for (size_t k = i; k < n; k++)
			count += (scene ? signs[k].scene : signs[k].place) == name;
		if (count > best_count) {
			best = name;
			best_count = count;
		}
	}
	return best;
}

static void add_people(struct episode *episode, const struct sign *sign)
{
	for (size_t i = 0; i < sign->people_len; i++) {
		bool seen = false;
		for (size_t k = 0; k < episode->people_len; k++)
			seen = seen || episode->people[k] == sign->people[i];
		if (!seen && episode->people_len < EPISODE_PEOPLE_MAX)
			episode->people[episode->people_len++] = sign->people[i];
	}
}

static void set_position(struct episode *episode, const struct sign *signs, size_t n)
{
	size_t known = 0, middle = 0;

	for (size_t i = 0; i < n; i++)
		known += signs[i].has_position;
	for (size_t i = 0; i < n && known > 0; i++) {
		if (!signs[i].has_position || middle++ != known / 2)
			continue;
		episode->has_position = true;
		episode->lat = signs[i].lat;
		episode->lon = signs[i].lon;
	}
}

/* The run of signs [begin, end), which begins and ends with something. */
static void describe(
    const struct walk *walk, size_t begin, size_t end, int64_t now_ns, struct episode *out)
{
	const struct sign *signs = walk->signs + begin;
	size_t n = end - begin;
	bool sealed = true;

	*out = (struct episode){ .start_ns = walk->from_ns + (int64_t)begin * GRID_NS,
		.end_ns = walk->from_ns + (int64_t)end * GRID_NS,
		.version = 1,
		.scene = most(signs, n, true),
		.place = most(signs, n, false) };
	for (size_t i = 0; i < n; i++) {
		if (!signs[i].any)
			continue;
		out->slices++;
		sealed = sealed && strcmp(signs[i].state, "sealed") == 0;
		if (signs[i].version > out->version) {
			out->version = signs[i].version;
			out->cause = signs[i].cause;
		}
		add_people(out, &signs[i]);
	}
	set_position(out, signs, n);
	if (out->end_ns + EPISODE_GAP_SLICES * GRID_NS > now_ns)
		out->state = "open"; /* it may still go on */
	else if (sealed)
		out->state = "sealed";
	else
		out->state = out->version > 1 ? "reopened" : "provisional";
}

static void visit_runs(const struct walk *walk, int64_t from_ns, int64_t to_ns, int64_t now_ns,
    episode_visit_fn *visit, void *ctx)
{
	for (size_t i = 0; i < walk->len;) {
		struct episode episode;
		size_t begin = i, end = i;
		if (!walk->signs[i].cut) {
			i++;
			continue;
		}
		for (i++; i < walk->len && !walk->signs[i].cut; i++)
			end = walk->signs[i].any ? i : end;
		describe(walk, begin, end + 1, now_ns, &episode);
		if (episode.end_ns > from_ns && episode.start_ns < to_ns && !visit(ctx, &episode))
			return;
	}
}

static enum rc read_slices(
    struct walk *walk, const struct slice_source *source, uint64_t as_of_seq, struct errmsg *why)
{
	int64_t end_ns = walk->from_ns + (int64_t)walk->len * GRID_NS;
	struct slice_query query = {
		.from_ns = walk->from_ns, .step_ns = GRID_NS, .as_of_seq = as_of_seq
	};
	bool damaged = false;

	while (query.from_ns < end_ns) {
		query.to_ns = end_ns - query.from_ns > PART_NS ? query.from_ns + PART_NS : end_ns;
		enum rc rc = slice_serve(source, &query, take_slice, walk, NULL, why);
		if (walk->rc != RC_OK)
			return walk->rc;
		damaged = damaged || rc == RC_CORRUPT;
		if (rc != RC_OK && rc != RC_CORRUPT)
			return rc;
		query.from_ns = query.to_ns;
	}
	return damaged ? RC_CORRUPT : RC_OK;
}

static int64_t floor_day(int64_t ns)
{
	int64_t rest = ns % NS_PER_DAY;

	return ns - (rest < 0 ? rest + NS_PER_DAY : rest);
}

enum rc episode_walk(const struct slice_source *source, int64_t from_ns, int64_t to_ns,
    uint64_t as_of_seq, episode_visit_fn *visit, void *ctx, struct errmsg *why)
{
	struct walk walk = { .rc = RC_OK };

	if (from_ns < OBS_TIME_MIN_NS || to_ns > OBS_TIME_MAX_NS || from_ns >= to_ns)
		return errmsg_rc(
		    why, RC_INVALID, "from, to: an empty range or outside 1900 to 2200");
	if (to_ns - from_ns > EPISODE_RANGE_NS_MAX)
		return errmsg_rc(why, RC_LIMIT, "more than 92 days: ask in parts");
	/* A day to know of each midnight whether it is a cut, and another for what
	 * the beginning of the walk itself looks like; none lasts beyond the second
	 * midnight behind its beginning. */
	walk.from_ns = floor_day(from_ns) - 3 * NS_PER_DAY;
	int64_t to_day_ns = floor_day(to_ns) + 3 * NS_PER_DAY;
	if (walk.from_ns < OBS_TIME_MIN_NS)
		walk.from_ns = OBS_TIME_MIN_NS;
	if (to_day_ns > OBS_TIME_MAX_NS)
		to_day_ns = OBS_TIME_MAX_NS;
	walk.len = (size_t)((to_day_ns - walk.from_ns) / GRID_NS);
	walk.signs = calloc(walk.len, sizeof *walk.signs);
	if (walk.signs == NULL)
		return RC_NOMEM;
	arena_init(&walk.names, NAMES_BYTES_MAX);
	enum rc rc = read_slices(&walk, source, as_of_seq, why);
	if (rc == RC_OK || rc == RC_CORRUPT) {
		find_cuts(&walk);
		visit_runs(&walk, from_ns, to_ns, source->now_ns, visit, ctx);
	}
	lookup_fini(&walk.known);
	arena_fini(&walk.names);
	free(walk.signs);
	return rc;
}

/* ---- JSON --------------------------------------------------------------------------------------
 */

static void put_text(struct buf *out, const char *name, const char *text)
{
	buf_printf(out, ",\"%s\":", name);
	if (text == NULL)
		buf_puts(out, "null");
	else
		buf_json_string(out, text, strlen(text));
}

enum rc episode_json(const struct episode *episode, struct buf *out)
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
	buf_printf(out, "],\"slices\":%zu}", episode->slices);
	return buf_rc(out);
}
