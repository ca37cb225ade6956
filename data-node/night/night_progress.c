/* Night progress: a small JSON object in the log. */
#include "night/night_progress.h"

#include <inttypes.h>
#include <string.h>

#include "align/peek.h"
#include "base/clock.h"

#define PROGRESS_ARENA_BYTES ((size_t)1 << 20)
#define PROGRESS_NEWEST_BYTES ((size_t)32 << 20)

static struct observation blank(const struct night_table *table)
{
	return (struct observation){
		.source = OBS_SOURCE_NIGHT,
		.client_id = table->progress,
		.layer = LAYER_BEHAVIOUR,
		.kind = OBS_KIND_PROGRESS,
		.shape = SHAPE_INSTANT,
		.clock_id = "",
		.boot_epoch = "",
		.zone = "",
		.origin = ORIGIN_SYSTEM,
		.text = "",
		.data_json = "",
		.extra_json = "",
	};
}

/* ---- reading -------------------------------------------------------------------- */

/* {"language":1,"unit":1} */
static void read_versions(
    const struct night_table *table, const char *json, uint32_t versions[NIGHT_RULES_MAX])
{
	struct peek member;
	double number;

	peek_open(&member, json);
	while (peek_next(&member)) {
		for (size_t i = 0; i < table->len; i++) {
			if (peek_is(&member, table->rules[i]->name) &&
			    peek_number(&member, &number) && number >= 0 && number < 1e9)
				versions[i] = (uint32_t)number;
		}
	}
}

/* Cursors go as text: a double does not hold all of them. */
static uint64_t read_cursor(const struct peek *member)
{
	uint64_t cursor = 0;
	const char *text;
	size_t len;

	if (!peek_string(member, &text, &len) || len > 19)
		return 0;
	for (size_t i = 0; i < len && text[i] >= '0' && text[i] <= '9'; i++)
		cursor = cursor * 10 + (uint64_t)(text[i] - '0');
	return cursor;
}

static void read_member(
    const struct night_table *table, const struct peek *member, struct night_progress *out)
{
	double number = 0;

	if (peek_is(member, "cursor"))
		out->cursor = read_cursor(member);
	else if (peek_is(member, "target"))
		out->target = read_cursor(member);
	else if (peek_is(member, "finished"))
		out->finished_ns = (int64_t)read_cursor(member);
	else if (peek_is(member, "versions"))
		read_versions(table, member->value, out->versions);
	else if (peek_is(member, "target_versions"))
		read_versions(table, member->value, out->target_versions);
	else if (peek_is(member, "step") && peek_number(member, &number) && number >= 0 &&
		 number < NIGHT_RULES_MAX)
		out->step = (unsigned)number;
	else if (peek_is(member, "day") && peek_number(member, &number) && number > -1e6 &&
		 number < 1e6)
		out->day = (int32_t)number;
}

enum rc night_progress_read(struct store *store, const struct night_table *table,
    struct night_progress *out, struct errmsg *why)
{
	struct observation obs = blank(table);
	uint8_t id[OBS_ID_BYTES];
	struct peek member;
	struct arena arena;

	*out = (struct night_progress){ .cursor = 0 };
	store_obs_id(store, &obs, id);
	arena_init(&arena, PROGRESS_ARENA_BYTES);
	enum rc rc = store_get_id(store, id, &arena, &obs, why);
	if (rc == RC_OK && obs.origin == ORIGIN_SYSTEM && !obs.tombstone) {
		peek_open(&member, obs.data_json);
		while (peek_next(&member))
			read_member(table, &member, out);
		/* A cursor from elsewhere must not hide what is here. */
		if (out->cursor > store_cursor(store) || out->target > store_cursor(store))
			*out = (struct night_progress){ .cursor = 0 };
	}
	arena_fini(&arena);
	return rc == RC_NOTFOUND || rc == RC_CORRUPT ? RC_OK : rc;
}

/* ---- writing -------------------------------------------------------------------- */

static void put_versions(const struct night_table *table, struct buf *out, const char *name,
    const uint32_t versions[NIGHT_RULES_MAX])
{
	bool any = false;

	buf_printf(out, ",\"%s\":{", name);
	for (size_t i = 0; i < table->len; i++) {
		if (versions[i] == 0)
			continue;
		buf_printf(
		    out, "%s\"%s\":%" PRIu32, any ? "," : "", table->rules[i]->name, versions[i]);
		any = true;
	}
	buf_putc(out, '}');
}

/* Progress stands where the newest record that it counts does: the timeline
 * must not seem to reach to the hour of labelling. */
static int64_t time_of(
    struct store *store, const struct night_progress *progress, int64_t otherwise_ns)
{
	uint64_t seq = progress->target != 0 ? progress->target : progress->cursor;
	struct observation newest;
	struct arena arena;

	arena_init(&arena, PROGRESS_NEWEST_BYTES);
	enum rc rc = store_get_seq(store, seq, &arena, &newest, NULL);
	int64_t time_ns = rc == RC_OK ? newest.dev_t0_ns : otherwise_ns;
	arena_fini(&arena);
	return time_ns;
}

enum rc night_progress_write(struct store *store, const struct night_table *table,
    const struct night_progress *progress, struct errmsg *why)
{
	struct observation obs = blank(table);
	struct buf data;

	obs.recv_utc_ns = clock_utc_ns();
	obs.dev_t0_ns = obs.dev_t1_ns = time_of(store, progress, obs.recv_utc_ns);
	obs.recv_mono_ns = clock_mono_ns();
	buf_init(&data, OBS_DATA_BYTES_MAX);
	buf_printf(&data, "{\"cursor\":\"%" PRIu64 "\"", progress->cursor);
	if (progress->target != 0)
		buf_printf(&data, ",\"day\":%" PRId32, progress->day);
	buf_printf(&data, ",\"finished\":\"%" PRId64 "\"", progress->finished_ns);
	if (progress->target != 0) {
		buf_printf(&data, ",\"step\":%u,\"target\":\"%" PRIu64 "\"", progress->step,
		    progress->target);
		put_versions(table, &data, "target_versions", progress->target_versions);
	}
	put_versions(table, &data, "versions", progress->versions);
	buf_putc(&data, '}');
	enum rc rc = buf_rc(&data);
	obs.data_json = buf_text(&data);
	if (rc == RC_OK)
		rc = store_append(store, &obs, 1, NULL, NULL, why);
	buf_fini(&data);
	return rc;
}
