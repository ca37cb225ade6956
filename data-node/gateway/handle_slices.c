/*
 * GET /api/v1/slices: a pull stream over sub-ranges, so that memory is bounded
 * by one of them and not by the range; all see the log up to one cursor.  The
 * builder gets a moment to be as far; what it has not built is worked out.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "align/builder.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/timestamp.h"
#include "gateway/handle_slices.h"
#include "gateway/handlers.h"
#include "gateway/query.h"
#include "gateway/station.h"

/* Each build looks back before its range, so sub-ranges are long; a dense one
 * is cut by its bytes. */
#define SLICES_A_PULL 4096
#define PULL_BYTES ((size_t)16 << 20)
#define PULL_BYTES_MAX ((size_t)256 << 20)
#define STEP_DEFAULT_NS NS_PER_MIN

struct slices {
	struct station *station;
	struct slices_asked asked;
	struct slice_query query; /* from_ns moves on */
	int64_t end_ns;
	struct buf buf; /* built and not yet pulled, from `sent` on */
	size_t sent;
	int64_t cut_ns; /* where a dense sub-range was cut; 0: it was not */
	bool any, done;
	enum rc rc;
	struct errmsg why;
};

static bool visit(void *ctx, const struct slice *slice)
{
	struct slices *s = ctx;

	if (s->any)
		buf_putc(&s->buf, ',');
	s->any = true;
	s->rc = slice_json(slice, s->query.facets, &s->buf);
	if (s->rc != RC_OK || s->buf.len < PULL_BYTES)
		return s->rc == RC_OK;
	s->cut_ns = slice->end_ns;
	return false;
}

/* Build the next sub-range behind what the buffer holds. */
static enum rc build_more(struct slices *s)
{
	struct store *store = station_store(s->station);
	int64_t span = s->query.step_ns * SLICES_A_PULL;

	if (s->query.from_ns < s->end_ns) {
		s->query.to_ns =
		    s->end_ns - s->query.from_ns > span ? s->query.from_ns + span : s->end_ns;
		s->cut_ns = 0;
		enum rc rc = slice_serve(&s->asked.source, &s->query, visit, s, NULL, &s->why);
		if (rc == RC_CORRUPT && s->rc == RC_OK) {
			log_error("SLICES-DAMAGED", "error=%s", s->why.text);
			errmsg_reset(&s->why);
			rc = RC_OK; /* the others are there, as in the list of events */
		}
		if (rc == RC_OK)
			rc = s->rc;
		if (rc != RC_OK)
			return rc;
		s->query.from_ns = s->cut_ns != 0 ? s->cut_ns : s->query.to_ns;
	}
	if (s->query.from_ns >= s->end_ns) {
		buf_printf(&s->buf, "],\"clock_map\":%" PRIu64 ",\"policy\":%" PRIu64,
		    slice_clock_map_version(store, s->query.as_of_seq),
		    s->asked.source.policy->version);
		handle_slices_day(&s->asked, &s->buf);
		buf_puts(&s->buf, "}\n");
		s->done = true;
	}
	return buf_rc(&s->buf);
}

static long pull(void *ctx, char *out, size_t max)
{
	struct slices *s = ctx;

	if (s->sent == s->buf.len) {
		if (s->done)
			return API_PULL_END;
		buf_reset(&s->buf);
		s->sent = 0;
		if (build_more(s) != RC_OK)
			return API_PULL_FAIL;
	}
	size_t n = s->buf.len - s->sent;
	if (n > max)
		n = max;
	if (n > 0)
		memcpy(out, s->buf.bytes + s->sent, n);
	s->sent += n;
	return (long)n;
}

static void pull_free(void *ctx)
{
	struct slices *s = ctx;

	buf_fini(&s->buf);
	free(s);
}

static int64_t floor_to(int64_t t, int64_t step)
{
	int64_t r = t % step;

	return t - (r < 0 ? r + step : r);
}

/* A local day instead of a range: what its zone makes of it. */
static bool read_day(struct station *station, const struct api_request *request,
    struct slices_asked *asked, struct api_response *response)
{
	const char *date = api_param(request, "day"), *zone = api_param(request, "zone");
	struct errmsg why = ERRMSG_INIT;

	if (date == NULL || date[0] == '\0')
		return true;
	if (civil_parse_date(date, &asked->day) != RC_OK) {
		query_error(response, "day", "no such date: YYYY-MM-DD");
		return false;
	}
	struct civil_query query = { .day = asked->day,
		.zone = zone == NULL || zone[0] == '\0' ? NULL : zone,
		.fallback = station_config(station)->zone,
		.as_of_seq = asked->query.as_of_seq };
	enum rc rc = civil_day_find(station_store(station), &query, &asked->civil, &why);
	if (rc == RC_INVALID || rc == RC_NOTFOUND)
		query_error(response, "zone", "not a time zone that is known here");
	else if (rc != RC_OK)
		api_error_rc(response, rc, NULL, &why);
	asked->has_day = true;
	asked->query.from_ns = asked->civil.from_ns;
	asked->query.to_ns = asked->civil.to_ns;
	return rc == RC_OK;
}

void handle_slices_day(const struct slices_asked *asked, struct buf *out)
{
	const struct civil_day *day = &asked->civil;
	char date[16], from[TIMESTAMP_TEXT_BYTES], to[TIMESTAMP_TEXT_BYTES];

	if (!asked->has_day)
		return;
	civil_format_date(asked->day, date);
	timestamp_format(day->from_ns, from);
	timestamp_format(day->to_ns, to);
	buf_printf(out, ",\"day\":{\"date\":\"%s\",\"from\":\"%s\",\"to\":\"%s\",\"hours\":%.10g",
	    date, from, to, (double)(day->to_ns - day->from_ns) / (double)NS_PER_HOUR);
	if (day->known)
		buf_printf(
		    out, ",\"zone\":\"%s\",\"zone_at_end\":\"%s\"}", day->zone_from, day->zone_to);
	else
		buf_puts(out, ",\"zone\":null,\"zone_at_end\":null}");
}

/* Fill the range and check it against the grid. */
static bool read_range(struct station *station, const struct api_request *request,
    struct slices_asked *asked, struct api_response *response)
{
	struct slice_query *q = &asked->query;
	bool has_from = false, has_to = false;

	if (!query_time(request, "from", &q->from_ns, &has_from, response) ||
	    !query_time(request, "to", &q->to_ns, &has_to, response) ||
	    !query_duration(request, "step", NS_PER_S, NS_PER_DAY, &q->step_ns, response) ||
	    !read_day(station, request, asked, response))
		return false;
	if (asked->has_day && (has_from || has_to)) {
		query_error(response, "day", "either a day or a range");
		return false;
	}
	has_from = has_from || asked->has_day;
	has_to = has_to || asked->has_day;
	if (q->step_ns % NS_PER_S != 0 || NS_PER_DAY % q->step_ns != 0) {
		query_error(response, "step", "whole seconds that divide a day");
		return false;
	}
	if (!has_to)
		q->to_ns = has_from ? q->from_ns + NS_PER_DAY : clock_utc_ns();
	if (!has_from)
		q->from_ns = q->to_ns - NS_PER_DAY;
	if (q->from_ns > q->to_ns) {
		query_error(response, "to", "must not lie before \"from\"");
		return false;
	}
	q->from_ns = floor_to(q->from_ns, q->step_ns);
	if ((uint64_t)(q->to_ns - q->from_ns) / (uint64_t)q->step_ns > SLICE_COUNT_MAX) {
		api_error(response, 400, "invalid_request_error", "limit_exceeded", "step",
		    "more than 100000 slices: ask for a shorter range or a longer step");
		return false;
	}
	q->to_ns = floor_to(q->to_ns + q->step_ns - 1, q->step_ns);
	return true;
}

bool handle_slices_asked(struct station *station, const struct api_request *request,
    struct slices_asked *out, struct api_response *response)
{
	struct slice_query *q = &out->query;
	int64_t as_of = 0;

	*out = (struct slices_asked){ .query = { .step_ns = STEP_DEFAULT_NS } };
	if (!query_int(request, "as_of", 0, INT64_MAX, &as_of, response))
		return false;
	uint64_t cursor = store_cursor(station_store(station));
	bool as_known = as_of > 0 && (uint64_t)as_of < cursor;
	q->as_of_seq = as_known ? (uint64_t)as_of : cursor;
	if (!read_range(station, request, out, response) ||
	    !query_words(request, "facets", facet_parse, &q->facets, response))
		return false;
	if (q->facets == 0)
		q->facets = FACET_MASK_ALL;
	if (station_builder(station) != NULL)
		(void)builder_wait(station_builder(station), cursor, BUILDER_WAIT_NS);
	/* It may be farther by now, and what it has built tells of no cursor before. */
	if (!as_known)
		q->as_of_seq = store_cursor(station_store(station));
	out->source = (struct slice_source){ .store = station_store(station),
		.policy = station_policy(station),
		.now_ns = clock_utc_ns(),
		.as_known = as_known };
	return true;
}

void handle_slices_get(struct station *station, const struct api_request *request,
    struct arena *arena, struct api_response *response)
{
	struct slices_asked asked;

	(void)arena;
	if (!handle_slices_asked(station, request, &asked, response))
		return;
	struct slices *s = calloc(1, sizeof(*s));
	if (s == NULL) {
		api_error_rc(response, RC_NOMEM, NULL, NULL);
		return;
	}
	s->station = station;
	s->query = asked.query;
	s->asked = asked;
	s->end_ns = s->query.to_ns;
	buf_init(&s->buf, PULL_BYTES_MAX);
	buf_puts(&s->buf, "{\"slices\":[");
	/* The first sub-range now: its errors can still have a status. */
	enum rc rc = build_more(s);
	if (rc != RC_OK) {
		api_error_rc(response, rc, NULL, &s->why);
		pull_free(s);
		return;
	}
	response->pull = pull;
	response->pull_ctx = s;
	response->pull_free = pull_free;
}
