/* GET /api/v1/episodes: runs of slices cut where the scene changes, and what a model noted. */
#include <inttypes.h>

#include "align/episode.h"
#include "base/clock.h"
#include "base/log.h"
#include "gateway/handle_slices.h"
#include "gateway/handlers.h"
#include "gateway/station.h"
#include "night/note.h"

#define NOTES_ARENA_BYTES ((size_t)64 << 20)
#define NOTE_JSON_BYTES_MAX ((size_t)16 << 10)
#define BEFORE_NS (2 * NS_PER_DAY)

struct list {
	const struct api_request *request;
	struct buf *out;
	const struct note *notes; /* [notes_len] in order of start */
	size_t notes_len, note_at;
	struct buf note;
	bool any;
	enum rc rc;
};

/* The note of the episode that begins there; NULL.  Episodes come in order. */
static const struct note *note_of(struct list *list, int64_t start_ns)
{
	while (list->note_at < list->notes_len && list->notes[list->note_at].start_ns < start_ns)
		list->note_at++;
	bool there =
	    list->note_at < list->notes_len && list->notes[list->note_at].start_ns == start_ns;
	return there ? &list->notes[list->note_at] : NULL;
}

static bool visit(void *ctx, const struct episode *episode)
{
	struct list *list = ctx;

	if (list->any)
		buf_putc(list->out, ',');
	list->any = true;
	buf_reset(&list->note);
	note_json(note_of(list, episode->start_ns), &list->note);
	list->rc = buf_rc(&list->note);
	if (list->rc == RC_OK)
		list->rc = episode_json(episode, buf_text(&list->note), list->out);
	if (list->rc == RC_OK && api_gone(list->request))
		list->rc = RC_CANCELLED;
	return list->rc == RC_OK;
}

/* An episode that reaches into the range begins up to BEFORE_NS before it. */
static enum rc read_notes(struct station *station, const struct slices_asked *asked,
    struct arena *arena, struct list *out, struct errmsg *why)
{
	const struct slice_query *query = &asked->query;
	int64_t from_ns = query->from_ns < OBS_TIME_MIN_NS + BEFORE_NS ? OBS_TIME_MIN_NS
								       : query->from_ns - BEFORE_NS;
	struct note *notes = NULL;

	enum rc rc = note_list(station_store(station), from_ns, query->to_ns, query->as_of_seq,
	    arena, &notes, &out->notes_len, why);
	out->notes = notes;
	return rc;
}

static enum rc list_episodes(struct station *station, const struct slices_asked *asked,
    struct list *list, struct errmsg *why)
{
	struct arena arena;

	arena_init(&arena, NOTES_ARENA_BYTES);
	buf_init(&list->note, NOTE_JSON_BYTES_MAX);
	enum rc rc = read_notes(station, asked, &arena, list, why);
	if (rc == RC_OK)
		rc = episode_walk(&asked->source, asked->query.from_ns, asked->query.to_ns,
		    asked->query.as_of_seq, visit, list, why);
	buf_fini(&list->note);
	arena_fini(&arena);
	return rc;
}

void handle_episodes_get(struct station *station, const struct api_request *request,
    struct arena *arena, struct api_response *response)
{
	struct list list = { .request = request, .out = &response->body };
	struct errmsg why = ERRMSG_INIT;
	struct slices_asked asked;

	(void)arena;
	if (!handle_slices_asked(station, request, &asked, response))
		return;
	buf_puts(list.out, "{\"episodes\":[");
	enum rc rc = list_episodes(station, &asked, &list, &why);
	if (rc == RC_CORRUPT) {
		log_error("SLICES-DAMAGED", "error=%s", why.text);
		rc = RC_OK;
	}
	if (rc == RC_OK)
		rc = list.rc;
	if (rc != RC_OK) {
		api_error_rc(response, rc, NULL, &why);
		return;
	}
	buf_printf(list.out, "],\"clock_map\":%" PRIu64 ",\"policy\":%" PRIu64,
	    slice_clock_map_version(station_store(station), asked.query.as_of_seq),
	    asked.source.policy->version);
	handle_slices_day(&asked, list.out);
	buf_puts(list.out, "}\n");
}
