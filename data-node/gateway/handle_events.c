/* POST and GET /api/v1/events: events in, events out; GET /api/v1/events/OBS-ID: one of them. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/hex.h"
#include "base/log.h"
#include "gateway/handlers.h"
#include "gateway/metric.h"
#include "gateway/query.h"
#include "gateway/station.h"
#include "ingest/ingest.h"
#include "night/label_map.h"

#define PAGE_BYTES ((size_t)16 << 20) /* a page is cut past this; "next" goes on */
#define CURSOR_TEXT_BYTES 33

static void put_report(const struct ingest_report *report, struct buf *body)
{
	buf_printf(body, "{\"accepted\":%" PRIu64 ",\"duplicate\":%" PRIu64 ",\"rejected\":[",
	    report->accepted, report->duplicate);
	for (size_t i = 0; i < report->errors_len; i++) {
		const struct ingest_error *e = &report->errors[i];
		buf_printf(body, "%s{\"index\":%zu,\"field\":", i > 0 ? "," : "", e->index);
		buf_json_string(body, e->field, strlen(e->field));
		buf_puts(body, ",\"error\":");
		buf_json_string(body, e->text, strlen(e->text));
		buf_putc(body, '}');
	}
	buf_putc(body, ']');
	if (report->rejected > report->errors_len)
		buf_printf(body, ",\"rejected_total\":%" PRIu64, report->rejected);
	buf_printf(body, ",\"cursor\":%" PRIu64 "}\n", report->cursor);
}

void handle_events_post(struct station *station, const struct api_request *request,
    struct arena *arena, struct api_response *response)
{
	struct ingest_context ctx = { .store = station_store(station),
		.source = api_param(request, "source"),
		.layers = request->layers,
		.error_ns = request->error_ns,
		.recv_utc_ns = clock_utc_ns(),
		.recv_mono_ns = clock_mono_ns() };
	struct ingest_report report = { 0 };
	struct errmsg why = ERRMSG_INIT;

	if (ctx.source != NULL &&
	    (ctx.source[0] == 0 || strlen(ctx.source) > OBS_SOURCE_BYTES_MAX)) {
		query_error(response, "source", "1 to 128 bytes are allowed");
		return;
	}
	enum rc rc = ingest_body(&ctx, request->body, request->body_len, arena, &report, &why);
	if (rc == RC_LIMIT) {
		api_error(response, 413, "invalid_request_error", "body_too_large", NULL,
		    errmsg_text(&why, rc));
	} else if (rc != RC_OK) {
		api_error_rc(response, rc, NULL, &why);
	} else {
		put_report(&report, &response->body);
		metric_add(METRIC_EVENTS_ACCEPTED, report.accepted);
		metric_add(METRIC_EVENTS_DUPLICATE, report.duplicate);
		metric_add(METRIC_EVENTS_REJECTED, report.rejected);
	}
}

struct page {
	struct buf *body;
	const struct label_map *labels; /* NULL: not asked for */
	bool owners;                    /* shows what is known about the person, decided or not */
	size_t seen, count;
	bool cut;     /* by PAGE_BYTES */
	bool damaged; /* a record could not be read; the others are shown */
	bool failed;
};

/* Facts, among them those that wait or were refused: others than the owner read what holds
 * (handle_memory.c). */
static bool is_unseen(bool owners, const struct observation *obs)
{
	return !owners && strcmp(obs->source, OBS_SOURCE_MEMORY) == 0;
}

/* An event without an id of its own gets its obs_id as one, so that every
 * client has a handle. */
static bool visit(void *ctx, const struct observation *obs)
{
	struct page *page = ctx;
	struct buf one;

	page->seen++;
	if (is_unseen(page->owners, obs))
		return true;
	buf_init(&one, API_BODY_BYTES_MAX);
	enum rc rc = ingest_event_json(obs, &one);
	if (rc != RC_OK || one.len < 2) {
		page->failed = true;
		buf_fini(&one);
		return false;
	}
	if (page->count > 0)
		buf_putc(page->body, ',');
	if (page->labels == NULL) {
		buf_append(page->body, one.bytes, one.len);
	} else {
		buf_append(page->body, one.bytes, one.len - 1);
		buf_puts(page->body, ",\"labels\":");
		label_map_put(page->labels, obs->obs_id, page->body);
		buf_putc(page->body, '}');
	}
	buf_fini(&one);
	page->count++;
	page->cut = page->body->len > PAGE_BYTES;
	return !page->cut;
}

/* The stretch of time that a page is about. */
struct extent {
	int64_t t0_ns, t1_ns;
	bool any;
};

static bool visit_extent(void *ctx, const struct observation *obs)
{
	struct extent *extent = ctx;

	if (!extent->any || obs->place.t0_ns < extent->t0_ns)
		extent->t0_ns = obs->place.t0_ns;
	if (!extent->any || obs->place.t1_ns > extent->t1_ns)
		extent->t1_ns = obs->place.t1_ns;
	extent->any = true;
	return true;
}

/* Labels of what the page from `pos` on will show. */
static enum rc read_labels(struct station *station, const struct store_range *range,
    const struct store_position *pos, size_t limit, struct arena *arena, struct page *page,
    struct errmsg *why)
{
	struct store_position probe = *pos;
	struct extent extent = { .any = false };
	struct label_map *map = NULL;

	enum rc rc = store_scan_time(
	    station_store(station), range, &probe, limit, visit_extent, &extent, NULL);
	if (rc != RC_OK && rc != RC_CORRUPT)
		return rc;
	rc = label_map_read(
	    station_store(station), range->layers, extent.t0_ns, extent.t1_ns, arena, &map, why);
	page->labels = map;
	return rc;
}

static bool visit_any(void *ctx, const struct observation *obs)
{
	(void)obs;
	*(bool *)ctx = true;
	return false;
}

static bool read_cursor(
    const struct api_request *request, struct store_position *pos, struct api_response *response)
{
	uint8_t bytes[16];

	const char *text = api_param(request, "cursor");
	if (text == NULL || text[0] == 0)
		return true;
	if (hex_decode(text, bytes, sizeof(bytes)) != RC_OK) {
		query_error(response, "cursor", "pass the \"next\" of the page before as it was");
		return false;
	}
	uint64_t t = 0, seq = 0;
	for (size_t i = 0; i < 8; i++) {
		t = t << 8 | bytes[i];
		seq = seq << 8 | bytes[8 + i];
	}
	pos->t0_ns = (int64_t)t;
	pos->seq = seq;
	pos->set = true;
	return true;
}

/* "next": a cursor if anything stands behind `pos`, else null. */
static enum rc put_next(struct station *station, const struct store_range *range,
    const struct store_position *pos, bool full, bool damaged, struct buf *body, struct errmsg *why)
{
	struct store_position probe = *pos;
	bool more = false;

	if (full) {
		enum rc rc = store_scan_time(
		    station_store(station), range, &probe, 1, visit_any, &more, why);
		if (rc != RC_OK && rc != RC_CORRUPT)
			return rc;
	}
	if (more)
		buf_printf(body, "],\"next\":\"%016" PRIx64 "%016" PRIx64 "\"",
		    (uint64_t)pos->t0_ns, pos->seq);
	else
		buf_puts(body, "],\"next\":null");
	buf_puts(body, damaged ? ",\"damaged\":true}\n" : "}\n");
	return RC_OK;
}

void handle_events_get(struct station *station, const struct api_request *request,
    struct arena *arena, struct api_response *response)
{
	struct store_range range = { .from_ns = OBS_TIME_MIN_NS, .to_ns = OBS_TIME_MAX_NS };
	struct page page = { .body = &response->body, .owners = handle_is_owners(request) };
	struct store_position pos = { 0 };
	struct errmsg why = ERRMSG_INIT;
	int64_t limit = HANDLE_EVENTS_LIMIT, labels = 0;
	enum rc rc = RC_OK;

	range.source = api_param(request, "source");
	if (range.source != NULL && range.source[0] == 0)
		range.source = NULL;
	if (!query_time(request, "from", &range.from_ns, NULL, response) ||
	    !query_time(request, "to", &range.to_ns, NULL, response) ||
	    !query_layers(request, "layer", &range.layers, response) ||
	    !query_int(request, "limit", 1, HANDLE_EVENTS_LIMIT_MAX, &limit, response) ||
	    !query_int(request, "labels", 0, 1, &labels, response) ||
	    !read_cursor(request, &pos, response))
		return;
	if (range.from_ns > range.to_ns) {
		query_error(response, "to", "must not lie before \"from\"");
		return;
	}
	buf_puts(&response->body, "{\"events\":[");
	if (labels != 0)
		rc = read_labels(station, &range, &pos, (size_t)limit, arena, &page, &why);
	if (rc == RC_OK)
		rc = store_scan_time(
		    station_store(station), &range, &pos, (size_t)limit, visit, &page, &why);
	if (rc == RC_CORRUPT) {
		log_error("EVENTS-DAMAGED", "request=%016" PRIx64 " why=%s", request->request_id,
		    errmsg_text(&why, rc));
		page.damaged = true;
		rc = RC_OK;
	}
	if (rc == RC_OK && page.failed)
		rc = RC_NOMEM;
	if (rc == RC_OK)
		rc = put_next(station, &range, &pos, page.cut || page.seen == (size_t)limit,
		    page.damaged, &response->body, &why);
	if (rc != RC_OK)
		api_error_rc(response, rc, NULL, &why);
}

void handle_event_get(struct station *station, const struct api_request *request,
    struct arena *arena, struct api_response *response)
{
	const char *text = strrchr(request->path, '/');
	struct errmsg why = ERRMSG_INIT;
	uint8_t id[OBS_ID_BYTES];
	struct observation obs;

	enum rc rc = text == NULL ? RC_INVALID : hex_decode(text + 1, id, sizeof(id));
	if (rc == RC_OK)
		rc = store_get_id(station_store(station), id, arena, &obs, &why);
	if (rc == RC_OK && (obs.tombstone || is_unseen(handle_is_owners(request), &obs)))
		rc = RC_NOTFOUND;
	if (rc == RC_OK)
		rc = ingest_event_json(&obs, &response->body);
	if (rc == RC_OK)
		buf_putc(&response->body, '\n');
	else
		api_error_rc(response, rc == RC_INVALID ? RC_NOTFOUND : rc, NULL, &why);
}
