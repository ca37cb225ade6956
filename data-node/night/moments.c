/* Moments: a scan, and lines under a budget. */
#include "night/moments.h"

#include <string.h>

#include "base/clock.h"
#include "base/timestamp.h"
#include "night/line.h"
#include "night/owner.h"

#define TEXT_BYTES_MAX ((size_t)400) /* of one moment, and less if there are many */
#define TEXT_BYTES_MIN ((size_t)80)
#define LINE_BYTES ((size_t)40) /* of a line, beside its text */
#define HEAD_BYTES ((size_t)600)
#define NAME_BYTES_MAX ((size_t)80)

int64_t moments_local_ns(const struct moments_zone *zone, int64_t utc_ns)
{
	return zone->offset_s == NULL ? utc_ns
				      : utc_ns + zone->offset_s(zone->ctx, utc_ns) * NS_PER_S;
}

int64_t moments_midnight_ns(const struct moments_zone *zone, int64_t day)
{
	int64_t ns = day * NS_PER_DAY;

	if (zone->offset_s == NULL)
		return ns;
	int64_t near_ns = ns - zone->offset_s(zone->ctx, ns) * NS_PER_S;
	return ns - zone->offset_s(zone->ctx, near_ns) * NS_PER_S;
}

/* ---- reading -------------------------------------------------------------------------- */

struct reading {
	struct moments *out;
	struct arena *arena;
	int64_t from_ns, to_ns;
	enum rc rc;
};

static bool is_wanted(const struct reading *reading, const struct observation *obs)
{
	return obs->origin != ORIGIN_SYSTEM && obs->origin != ORIGIN_ASSISTANT && !obs->tombstone &&
	       obs->text[0] != '\0' && obs->place.t0_ns >= reading->from_ns &&
	       obs->place.t0_ns < reading->to_ns;
}

static bool take(void *ctx, const struct observation *obs)
{
	struct reading *reading = ctx;
	struct moments *out = reading->out;

	if (!is_wanted(reading, obs))
		return true;
	struct moment moment = { .at_ns = obs->place.t0_ns,
		.owner = owner_said(obs),
		.said = obs->layer == LAYER_TEXT || obs->layer == LAYER_AUDITORY };
	const char *words =
	    moment.owner ? owner_words(obs, reading->arena, &moment.cut) : obs->text;
	if (words == NULL) {
		reading->rc = RC_NOMEM;
		return false;
	}
	moment.text = line_cut(words, strlen(words), TEXT_BYTES_MAX, reading->arena, &moment.cut);
	moment.kind = line_make(obs->kind, strlen(obs->kind), OBS_KIND_BYTES_MAX, reading->arena);
	if (moment.text == NULL || moment.kind == NULL) {
		reading->rc = RC_NOMEM;
		return false;
	}
	if (moment.text[0] == '\0')
		return true;
	memcpy(moment.obs_id, obs->obs_id, OBS_ID_BYTES);
	out->any_said = out->any_said || moment.said;
	out->list[out->len++] = moment;
	return out->len < MOMENTS_MAX;
}

enum rc moments_read(struct store *store, int64_t from_ns, int64_t to_ns, struct arena *arena,
    struct moments *out, struct errmsg *why)
{
	struct reading reading = {
		.out = out, .arena = arena, .from_ns = from_ns, .to_ns = to_ns, .rc = RC_OK
	};
	struct store_range range = { .from_ns = from_ns, .to_ns = to_ns };

	*out = (struct moments){ .list = arena_array(arena, MOMENTS_MAX, sizeof *out->list) };
	if (out->list == NULL)
		return RC_NOMEM;
	enum rc rc = store_scan_time(store, &range, NULL, 0, take, &reading, why);
	if (reading.rc != RC_OK)
		return reading.rc;
	return rc == RC_CORRUPT ? RC_OK : rc;
}

/* ---- lines ----------------------------------------------------------------------------- */

/* Bytes of all lines with texts of at most `max` bytes. */
static size_t bytes_of(const struct moments *moments, size_t max)
{
	size_t sum = 0;

	for (size_t i = 0; i < moments->len; i++) {
		size_t len = strlen(moments->list[i].text);
		sum += (len < max ? len : max) + LINE_BYTES;
	}
	return sum;
}

/* Keep one of so many that `room` bytes hold them, spread over the stretch. */
static void thin_out(struct moments *moments, size_t room)
{
	size_t fits = room / (TEXT_BYTES_MIN + LINE_BYTES);
	size_t len = moments->len;

	fits = fits == 0 ? 1 : fits;
	if (fits >= len)
		return;
	for (size_t i = 0; i < fits; i++)
		moments->list[i] = moments->list[i * len / fits];
	moments->len = fits;
}

static void put_heading(
    const struct episode *episode, int64_t local_ns, struct arena *arena, struct buf *out)
{
	struct civil day;

	civil_of_ns(local_ns, &day);
	buf_printf(out, "%04d-%02d-%02d", day.year, day.month, day.day);
	if (episode->scene != NULL)
		buf_printf(out, ", scene: %s", episode->scene);
	const char *place =
	    episode->place == NULL
		? ""
		: line_make(episode->place, strlen(episode->place), NAME_BYTES_MAX, arena);
	if (place != NULL && place[0] != '\0')
		buf_printf(out, ", place: %s", place);
	for (size_t i = 0; i < episode->people_len; i++) {
		const char *name = line_make(
		    episode->people[i], strlen(episode->people[i]), NAME_BYTES_MAX / 2, arena);
		buf_printf(out, "%s%s", i == 0 ? ", with: " : ", ", name == NULL ? "" : name);
	}
	buf_putc(out, '\n');
}

static void put_line(const struct moment *moment, const struct moments_zone *zone, struct buf *out)
{
	struct civil at;

	civil_of_ns(moments_local_ns(zone, moment->at_ns), &at);
	buf_printf(out, "[%02d:%02d %s%s] %s\n", at.hour, at.minute, moment->kind,
	    moment->owner ? ", owner" : "", moment->text);
}

const char *moments_lines(struct moments *moments, const struct episode *episode,
    const struct moments_zone *zone, size_t bytes_max, struct arena *arena)
{
	size_t room = bytes_max > HEAD_BYTES ? bytes_max - HEAD_BYTES : bytes_max / 2;
	size_t max = TEXT_BYTES_MAX;
	struct buf out;

	while (max > TEXT_BYTES_MIN && bytes_of(moments, max) > room)
		max = max / 2 < TEXT_BYTES_MIN ? TEXT_BYTES_MIN : max / 2;
	if (bytes_of(moments, max) > room)
		thin_out(moments, room);
	for (size_t i = 0; i < moments->len; i++) {
		struct moment *moment = &moments->list[i];
		moment->text =
		    line_cut(moment->text, strlen(moment->text), max, arena, &moment->cut);
		if (moment->text == NULL)
			return NULL;
	}
	buf_init(&out, bytes_max + HEAD_BYTES + MOMENTS_MAX * OBS_KIND_BYTES_MAX);
	put_heading(episode, moments_local_ns(zone, episode->start_ns), arena, &out);
	for (size_t i = 0; i < moments->len; i++)
		put_line(&moments->list[i], zone, &out);
	const char *lines = buf_rc(&out) == RC_OK ? arena_copy(arena, out.bytes, out.len) : NULL;
	buf_fini(&out);
	return lines;
}
