/* Episode signs: what each slice says of scene, place and company. */
#include <stdlib.h>
#include <string.h>

#include "align/blend.h"
#include "align/episode_inner.h"
#include "align/peek.h"
#include "align/slice_row.h"
#include "base/clock.h"
#include "base/hash.h"

#define PART_NS (8 * NS_PER_DAY) /* of one reading */
#define NAMES_BYTES_MAX ((size_t)16 << 20)
#define NAME_LEN_MAX ((size_t)200)

/* ---- one slice ---------------------------------------------------------------------- */

/* One pointer a name, so that names compare by pointer. */
static const char *intern(struct episode_signs *signs, const char *text, size_t len)
{
	if (len == 0)
		return NULL;
	if (len > NAME_LEN_MAX)
		len = NAME_LEN_MAX;
	uint64_t hash = hash_bytes(HASH_START, text, len);
	char *name = lookup_find(&signs->known, hash);
	if (name != NULL)
		return name;
	name = arena_copy(&signs->names, text, len);
	signs->rc = name == NULL ? RC_NOMEM : lookup_put(&signs->known, hash, name);
	return signs->rc == RC_OK ? name : NULL;
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

static void read_place(struct episode_signs *signs, const struct cell *cell, struct sign *out)
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
				out->place = intern(signs, text, len);
		}
	}
}

static void read_people(struct episode_signs *signs, const struct cell *cell, struct sign *out)
{
	static const char *const names[] = { "speaker", "from", "with", "sender", NULL };
	struct peek member;
	const char *text;
	size_t len;

	for (size_t i = 0; i < cell->values_len; i++) {
		peek_open(&member, cell_value_data(&cell->values[i]));
		while (out->people_len < EPISODE_SIGN_PEOPLE_MAX && peek_next(&member)) {
			if (!member_is(&member, names) || !first_string(&member, &text, &len))
				continue;
			const char *name = intern(signs, text, len);
			bool seen = name == NULL;
			for (size_t k = 0; k < out->people_len; k++)
				seen = seen || out->people[k] == name;
			if (!seen)
				out->people[out->people_len++] = name;
		}
	}
}

/* A slice in which only a state holds on says nothing: it may be left out. */
static bool take_slice(void *ctx, const struct slice *slice)
{
	struct episode_signs *signs = ctx;
	struct sign *sign = &signs->signs[(slice->start_ns - signs->from_ns) / EPISODE_GRID_NS];
	const struct cell *scene = &slice->cells[FACET_SCENE];

	if (!slice_has_evidence(slice))
		return true;
	sign->any = true;
	sign->version = slice->version;
	sign->sealed = strcmp(slice->state, "sealed") == 0;
	sign->cause = slice->cause;
	if (scene->values_len > 0)
		sign->scene = intern(signs, cell_value_text(&scene->values[0]),
		    strlen(cell_value_text(&scene->values[0])));
	read_place(signs, &slice->cells[FACET_LOCATION], sign);
	read_people(signs, &slice->cells[FACET_LANGUAGE], sign);
	return signs->rc == RC_OK;
}

/* ---- a stretch of them ---------------------------------------------------------------- */

void episode_signs_init(struct episode_signs *signs, const struct slice_source *source,
    uint64_t cursor, struct errmsg *why)
{
	*signs =
	    (struct episode_signs){ .source = source, .cursor = cursor, .rc = RC_OK, .why = why };
	arena_init(&signs->names, NAMES_BYTES_MAX);
}

void episode_signs_fini(struct episode_signs *signs)
{
	lookup_fini(&signs->known);
	arena_fini(&signs->names);
	free(signs->signs);
}

void episode_signs_begin(struct episode_signs *signs, int64_t from_ns)
{
	int64_t past = (from_ns - signs->from_ns) / EPISODE_GRID_NS;
	size_t gone = signs->len;

	if (from_ns >= signs->from_ns && past < (int64_t)signs->len)
		gone = (size_t)past;
	signs->len -= gone;
	if (signs->len > 0)
		memmove(signs->signs, signs->signs + gone, signs->len * sizeof *signs->signs);
	signs->from_ns = from_ns;
}

static enum rc make_room(struct episode_signs *signs, size_t n)
{
	size_t cap = signs->cap == 0 ? 512 : signs->cap;

	while (cap < n)
		cap *= 2;
	if (cap > signs->cap) {
		struct sign *more = realloc(signs->signs, cap * sizeof *more);
		if (more == NULL)
			return RC_NOMEM;
		signs->signs = more;
		signs->cap = cap;
	}
	memset(signs->signs + signs->len, 0, (n - signs->len) * sizeof *signs->signs);
	return RC_OK;
}

/* No slice lies beyond the times that observations may have. */
static enum rc read_part(struct episode_signs *signs, int64_t from_ns, int64_t to_ns)
{
	struct slice_query query = { .from_ns =
					 from_ns < OBS_TIME_MIN_NS ? OBS_TIME_MIN_NS : from_ns,
		.to_ns = to_ns > OBS_TIME_MAX_NS ? OBS_TIME_MAX_NS : to_ns,
		.step_ns = EPISODE_GRID_NS,
		.as_of_seq = signs->cursor,
		.observed_only = true };

	if (query.from_ns >= query.to_ns)
		return RC_OK;
	enum rc rc = slice_serve(signs->source, &query, take_slice, signs, NULL, signs->why);
	if (signs->rc != RC_OK)
		return signs->rc;
	signs->damaged = signs->damaged || rc == RC_CORRUPT;
	return rc == RC_CORRUPT ? RC_OK : rc;
}

enum rc episode_signs_read(struct episode_signs *signs, int64_t to_ns)
{
	int64_t at_ns = signs->from_ns + (int64_t)signs->len * EPISODE_GRID_NS;

	while (at_ns < to_ns) {
		int64_t end_ns = to_ns - at_ns > PART_NS ? at_ns + PART_NS : to_ns;
		size_t len = (size_t)((end_ns - signs->from_ns) / EPISODE_GRID_NS);
		enum rc rc = make_room(signs, len);
		if (rc == RC_OK)
			rc = read_part(signs, at_ns, end_ns);
		if (rc != RC_OK)
			return rc;
		signs->len = len;
		at_ns = end_ns;
	}
	return RC_OK;
}

const struct sign *episode_sign_at(const struct episode_signs *signs, int64_t at_ns)
{
	static const struct sign nothing;
	int64_t i = (at_ns - signs->from_ns) / EPISODE_GRID_NS;

	return at_ns < signs->from_ns || i >= (int64_t)signs->len ? &nothing : &signs->signs[i];
}
