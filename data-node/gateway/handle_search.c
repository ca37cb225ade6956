/* GET /api/v1/search: the best-matching moments, best first. */
#include <string.h>

#include "base/clock.h"
#include "base/hex.h"
#include "base/timestamp.h"
#include "base/utf8.h"
#include "gateway/handlers.h"
#include "gateway/metric.h"
#include "gateway/query.h"
#include "gateway/station.h"
#include "recall/recall.h"

#define TEXT_BYTES_MAX ((size_t)32 << 10) /* of one result */

static void put_hit(const struct recall_hit *hit, struct buf *body)
{
	char id[2 * OBS_ID_BYTES + 1], start[TIMESTAMP_TEXT_BYTES];
	const struct observation *obs = &hit->obs;

	hex_encode(obs->obs_id, OBS_ID_BYTES, id);
	timestamp_format(obs->place.t0_ns, start);
	buf_puts(body, "{\"id\":");
	if (obs->client_id[0] != 0)
		buf_json_string(body, obs->client_id, strlen(obs->client_id));
	else
		buf_puts(body, "null"); /* the sender gave none */
	buf_printf(body, ",\"obs_id\":\"%s\",\"source\":", id);
	buf_json_string(body, obs->source, strlen(obs->source));
	buf_printf(body, ",\"start\":\"%s\",\"layer\":\"%s\",\"score\":%.6g,\"text\":", start,
	    layer_word(obs->layer), hit->score);
	size_t len = strlen(obs->text);
	if (len > TEXT_BYTES_MAX)
		len = TEXT_BYTES_MAX - utf8_pending(obs->text, TEXT_BYTES_MAX);
	buf_json_string(body, obs->text, len);
	buf_putc(body, '}');
}

void handle_search_get(struct station *station, const struct api_request *request,
    struct arena *arena, struct api_response *response)
{
	struct recall_query q = { .from_ns = OBS_TIME_MIN_NS, .to_ns = OBS_TIME_MAX_NS };
	struct recall_result result = { 0 };
	struct errmsg why = ERRMSG_INIT;
	int64_t k = HANDLE_SEARCH_K;

	if (!query_time(request, "from", &q.from_ns, &q.has_range, response) ||
	    !query_time(request, "to", &q.to_ns, &q.has_range, response) ||
	    !query_int(request, "k", 1, HANDLE_SEARCH_K_MAX, &k, response))
		return;
	q.text = api_param(request, "q");
	if (q.text == NULL) {
		query_error(response, "q", "what to search for is missing");
		return;
	}
	q.text_len = strlen(q.text);
	if (q.text_len > RECALL_QUERY_BYTES_MAX) {
		query_error(response, "q", "longer than 64 KiB");
		return;
	}
	if (q.from_ns > q.to_ns) {
		query_error(response, "to", "must not lie before \"from\"");
		return;
	}
	if (station_recall(station) == NULL) {
		api_error_rc(response, RC_UNAVAILABLE, NULL, NULL);
		return;
	}
	q.k = (size_t)k;
	q.read_timewords = !q.has_range;
	q.now_utc_ns = clock_utc_ns();
	q.offset_s = station_time_offset(station, q.now_utc_ns);
	q.need_cursor = store_cursor(station_store(station));
	enum rc rc = recall_search(station_recall(station), &q, arena, &result, &why);
	if (rc != RC_OK) {
		api_error_rc(response, rc, "q", &why);
		return;
	}
	metric_add(METRIC_SEARCHES, 1);
	buf_puts(&response->body, "{\"results\":[");
	for (size_t i = 0; i < result.hits_len; i++) {
		if (i > 0)
			buf_putc(&response->body, ',');
		put_hit(&result.hits[i], &response->body);
	}
	/* The index did not reach what was acknowledged in time. */
	buf_puts(&response->body, result.behind ? "],\"behind\":true}\n" : "]}\n");
}
