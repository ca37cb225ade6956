/*
 * POST /control/night: do the night's work now, with lines of progress.
 *
 * The answer is NDJSON: a line a while as long as the pass runs, then one with
 * its outcome.  A client that goes away leaves the pass running.
 */
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/timestamp.h"
#include "gateway/handlers.h"
#include "gateway/nightly.h"
#include "gateway/query.h"
#include "gateway/station.h"
#include "recall/recall.h"

#define LINE_WAIT_NS (200 * NS_PER_MS)
#define LINE_BYTES_MAX ((size_t)4096)
#define TIME_S_MAX (INT64_C(7) * 86400)

struct follow {
	struct station *station;
	uint64_t pass;
	struct buf line;
	size_t sent;
	bool done;
};

/* {"end","model","days","days_total","questions","notes","withdrawn","refused":{reason: how often},
 * "facts":{"learned","proposed","known","refused"}} */
static void put_notes(const struct annotate_report *notes, struct buf *out)
{
	buf_printf(out, "{\"end\":\"%s\",\"model\":", annotate_end_word(notes->end));
	if (notes->model[0] == '\0')
		buf_puts(out, "null");
	else
		buf_json_string(out, notes->model, strlen(notes->model));
	buf_printf(out,
	    ",\"days\":%" PRIu64 ",\"days_total\":%" PRIu64 ",\"questions\":%" PRIu64
	    ",\"notes\":%" PRIu64 ",\"withdrawn\":%" PRIu64 ",\"refused\":",
	    notes->days, notes->days_total, notes->questions, notes->notes, notes->notes_withdrawn);
	gate_put(&notes->notes_gate, out);
	buf_printf(out,
	    ",\"facts\":{\"learned\":%" PRIu64 ",\"proposed\":%" PRIu64 ",\"known\":%" PRIu64
	    ",\"refused\":",
	    notes->facts, notes->facts_proposed, notes->facts_known);
	gate_put(&notes->facts_gate, out);
	buf_puts(out, "}}");
}

/* Texts without a vector are embedded by recall's own thread, night and day. */
static void put_vectors(struct station *station, struct buf *out)
{
	struct recall_stats stats;

	if (station_recall(station) == NULL)
		return;
	recall_get_stats(station_recall(station), &stats);
	buf_printf(out, ",\"vectors\":{\"have\":%zu,\"of\":%zu}", stats.vectors, stats.items);
}

static void put_outcome(struct station *station, const struct nightly_view *view, struct buf *out)
{
	const struct night_report *report = &view->report;

	buf_printf(out,
	    "{\"done\":true,\"finished\":%s,\"days\":%" PRIu64 ",\"observations\":%" PRIu64
	    ",\"written\":%" PRIu64 ",\"withdrawn\":%" PRIu64 ",\"cursor\":%" PRIu64,
	    report->finished ? "true" : "false", report->days, report->observations,
	    report->written, report->withdrawn, report->cursor);
	if (view->annotates) {
		buf_puts(out, ",\"notes\":");
		put_notes(&view->notes, out);
		put_vectors(station, out);
	}
	if (view->rc != RC_OK) {
		const char *text = errmsg_text(&view->why, view->rc);
		buf_printf(out, ",\"rc\":\"%s\",\"error\":", rc_word(view->rc));
		buf_json_string(out, text, strlen(text));
	}
	buf_puts(out, "}\n");
}

static void put_progress(const struct nightly_view *view, struct buf *out)
{
	bool notes = view->step == NIGHTLY_NOTES;

	buf_printf(out,
	    "{\"step\":\"%s\",\"days_done\":%" PRIu64 ",\"days_total\":%" PRIu64
	    ",\"rule\":\"%s\",\"written\":%" PRIu64,
	    nightly_step_word(view->step), notes ? view->notes.days : view->state.days_done,
	    notes ? view->notes.days_total : view->state.days_total, view->state.rule,
	    view->state.written);
	if (notes) {
		buf_puts(out, ",\"notes\":");
		put_notes(&view->notes, out);
	}
	buf_puts(out, "}\n");
}

static long pull(void *ctx, char *out, size_t max)
{
	struct follow *follow = ctx;
	struct nightly_view view;

	if (follow->sent == follow->line.len) {
		if (follow->done)
			return API_PULL_END;
		if (station_stopping(follow->station))
			return API_PULL_FAIL;
		buf_reset(&follow->line);
		follow->sent = 0;
		nightly_look(station_nightly(follow->station), follow->pass, LINE_WAIT_NS, &view);
		follow->done = view.passes >= follow->pass;
		if (follow->done)
			put_outcome(follow->station, &view, &follow->line);
		else if (view.running)
			put_progress(&view, &follow->line);
	}
	size_t n = follow->line.len - follow->sent;
	n = n > max ? max : n;
	if (n > 0)
		memcpy(out, follow->line.bytes + follow->sent, n);
	follow->sent += n;
	return (long)n;
}

static void pull_free(void *ctx)
{
	struct follow *follow = ctx;

	buf_fini(&follow->line);
	free(follow);
}

void handle_control_night_post(struct station *station, const struct api_request *request,
    struct arena *arena, struct api_response *response)
{
	json_error_t error;
	int64_t time_s = 0;

	(void)arena;
	json_t *root = json_loadb(request->body != NULL ? request->body : "", request->body_len,
	    JSON_REJECT_DUPLICATES, &error);
	const json_t *time = json_object_get(root, "time_s");
	if (time != NULL)
		time_s = json_is_integer(time) ? json_integer_value(time) : -1;
	bool good = json_is_object(root) && time_s >= 0 && time_s <= TIME_S_MAX;
	json_decref(root);
	if (!good) {
		query_error(response, "time_s", "whole seconds, at most a week; 0: no limit");
		return;
	}
	if (station_nightly(station) == NULL) {
		struct errmsg why = ERRMSG_INIT;
		errmsg_set(&why, "this node does no night's work: a node that follows another one "
				 "has the labels from there");
		api_error_rc(response, RC_UNSUPPORTED, NULL, &why);
		return;
	}
	struct follow *follow = calloc(1, sizeof *follow);
	if (follow == NULL) {
		api_error_rc(response, RC_NOMEM, NULL, NULL);
		return;
	}
	follow->station = station;
	buf_init(&follow->line, LINE_BYTES_MAX);
	follow->pass = nightly_start(station_nightly(station), time_s * NS_PER_S);
	response->content_type = "application/x-ndjson";
	response->pull = pull;
	response->pull_ctx = follow;
	response->pull_free = pull_free;
}

enum rc handle_night_status(struct station *station, struct buf *out, struct errmsg *why)
{
	struct nightly_view view = { .running = false };
	char text[TIMESTAMP_TEXT_BYTES];
	uint64_t cursor = 0;
	int64_t at_ns = 0;

	enum rc rc = night_last(station_store(station), &cursor, &at_ns, why);
	if (rc != RC_OK)
		return rc;
	if (station_nightly(station) != NULL)
		nightly_look(station_nightly(station), 0, 0, &view);
	timestamp_format(at_ns, text);
	buf_printf(out, ",\"night\":{\"running\":%s,\"cursor\":%" PRIu64,
	    view.running ? "true" : "false", cursor);
	if (at_ns != 0)
		buf_printf(out, ",\"finished\":\"%s\"", text);
	else
		buf_puts(out, ",\"finished\":null");
	if (view.running)
		buf_printf(out, ",\"days_done\":%" PRIu64 ",\"days_total\":%" PRIu64,
		    view.state.days_done, view.state.days_total);
	if (view.passes > 0)
		buf_printf(out,
		    ",\"written\":%" PRIu64 ",\"withdrawn\":%" PRIu64 ",\"last\":\"%s\"",
		    view.report.written, view.report.withdrawn, rc_word(view.rc));
	if (view.annotates && (view.running || view.passes > 0)) {
		buf_puts(out, ",\"notes\":");
		put_notes(&view.notes, out);
	}
	buf_putc(out, '}');
	return RC_OK;
}
