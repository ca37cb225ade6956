/* GET /api/v1/status, /healthz and /metrics: numbers, never content. */
#include <inttypes.h>
#include <string.h>

#include "answer/pool.h"
#include "base/clock.h"
#include "base/hex.h"
#include "base/timestamp.h"
#include "gateway/catalogue.h"
#include "gateway/handlers.h"
#include "gateway/metric.h"
#include "gateway/station_follow.h"
#include "recall/recall.h"
#include "store/store.h"
#include "store/store_clock.h"

#define CLOCKS_MAX ((size_t)256) /* listed */

const char *handle_link_word(int state)
{
	switch (state) {
	case WIRE_LINK_UP:
		return "up";
	case WIRE_LINK_CONNECTING:
		return "connecting";
	case WIRE_LINK_REFUSED:
		return "refused";
	default:
		return "down";
	}
}

static void put_time(struct buf *out, const char *name, int64_t ns)
{
	char text[TIMESTAMP_TEXT_BYTES];

	timestamp_format(ns, text);
	if (ns == 0)
		buf_printf(out, ",\"%s\":null", name);
	else
		buf_printf(out, ",\"%s\":\"%s\"", name, text);
}

static void put_string(struct buf *out, const char *name, const char *text)
{
	buf_printf(out, "\"%s\":", name);
	buf_json_string(out, text, strlen(text));
}

static enum rc put_store(struct station *station, struct buf *out, struct errmsg *why)
{
	struct store_stats st = { 0 };

	enum rc rc = store_get_stats(station_store(station), &st, why);
	if (rc != RC_OK)
		return rc;
	buf_printf(out,
	    ",\"store\":{\"records\":%" PRIu64 ",\"cursor\":%" PRIu64 ",\"bytes\":%" PRIu64
	    ",\"map_bytes\":%" PRIu64 ",\"commits\":%" PRIu64 ",\"duplicates\":%" PRIu64
	    ",\"commit_ms_p50\":%.3f,\"commit_ms_p99\":%.3f",
	    st.records, store_cursor(station_store(station)), st.bytes_used, st.map_bytes,
	    st.commits, st.duplicates, (double)st.commit_ns_p50 / (double)NS_PER_MS,
	    (double)st.commit_ns_p99 / (double)NS_PER_MS);
	put_time(out, "first", st.first_ns);
	put_time(out, "last", st.last_ns);
	buf_putc(out, '}');
	return RC_OK;
}

const char *handle_drain_word(const struct pool_node *node)
{
	return !node->drains ? NULL : node->running > 0 ? "draining" : "drained";
}

/* What a node said of itself when it was asked last; null: it never was. */
static void put_stats(struct buf *out, const struct pool_node *n)
{
	const struct wire_stats *st = &n->stats;

	if (n->stats_at_ns == 0) {
		buf_puts(out, ",\"stats\":null");
		return;
	}
	buf_printf(out,
	    ",\"stats\":{\"age_s\":%.1f,\"uptime_s\":%.1f,\"restarts\":%" PRIu64
	    ",\"memory_kills\":%" PRIu64 ",\"watchdog_kills\":%" PRIu64 ",\"memory_short\":%s"
	    ",\"kv_tokens\":%" PRIu64 ",\"kv_tokens_used\":%" PRIu64 ",\"leases\":%" PRIu32,
	    (double)(clock_mono_ns() - n->stats_at_ns) / (double)NS_PER_S,
	    (double)st->uptime_ns / (double)NS_PER_S, st->restarts, st->memory_kills,
	    st->watchdog_kills, st->memory_short ? "true" : "false", st->kv_tokens,
	    st->kv_tokens_used, st->leases);
	buf_printf(out,
	    ",\"requests\":%" PRIu64 ",\"refused\":%" PRIu64 ",\"tokens_prompt\":%" PRIu64
	    ",\"tokens_generated\":%" PRIu64 ",\"budget_bytes\":%" PRIu64
	    ",\"planned_bytes\":%" PRIu64 ",\"mem_available_bytes\":%" PRIu64
	    ",\"memory_stalled_s\":%.3f}",
	    st->requests, st->refused, st->tokens_prompt, st->tokens_generated, st->budget_bytes,
	    st->planned_bytes, st->mem_available_bytes, (double)st->memory_stalled_us / 1e6);
}

static void put_model(struct buf *out, const struct pool_model *m)
{
	buf_putc(out, '{');
	put_string(out, "name", m->name);
	buf_putc(out, ',');
	put_string(out, "architecture", m->architecture);
	buf_printf(out,
	    ",\"context\":%" PRIu64 ",\"parameters\":%" PRIu64 ",\"chat\":%s,\"embed\":%s",
	    m->context, m->parameters, m->chat ? "true" : "false", m->embed ? "true" : "false");
	if (m->tokens_per_second > 0)
		buf_printf(out, ",\"tokens_per_second\":%.2f", m->tokens_per_second);
	buf_putc(out, '}');
}

static void put_node(struct buf *out, const struct pool_node *n)
{
	const char *drain = handle_drain_word(n);

	buf_putc(out, '{');
	put_string(out, "name", n->name);
	buf_putc(out, ',');
	put_string(out, "address", n->address);
	buf_printf(out,
	    ",\"state\":\"%s\",\"running\":%u,\"active\":%u,\"queued\":%u,\"slots\":%u,"
	    "\"tokens_per_second\":%.2f",
	    handle_link_word((int)n->state), n->running, n->load.active, n->load.queued,
	    n->load.slots, n->load.tokens_per_second);
	if (drain != NULL)
		buf_printf(out, ",\"drain\":\"%s\"", drain);
	put_stats(out, n);
	buf_puts(out, ",\"models\":[");
	for (size_t i = 0; i < n->models_len; i++) {
		buf_puts(out, i > 0 ? "," : "");
		put_model(out, &n->models[i]);
	}
	buf_puts(out, "]}");
}

struct clocks {
	struct buf *out;
	size_t len;
};

static bool put_clock(void *ctx, const struct store_clock_info *info)
{
	struct clocks *clocks = ctx;
	struct buf *out = clocks->out;

	buf_puts(out, clocks->len++ > 0 ? ",{" : "{");
	put_string(out, "name", info->clock);
	buf_putc(out, ',');
	put_string(out, "boot", info->boot);
	buf_printf(out,
	    ",\"epoch\":%" PRIu64 ",\"synced\":%s,\"events\":%" PRIu64 ",\"limbo\":%" PRIu64
	    ",\"unconfirmed\":%" PRIu64,
	    info->epoch,
	    !info->synced ? "\"no\""
	    : info->pings ? "\"pings\""
			  : "\"receipts\"",
	    info->placed, info->limbo, info->open);
	if (info->error_ns < INT64_MAX)
		buf_printf(out, ",\"error_s\":%.6f", (double)info->error_ns / (double)NS_PER_S);
	else
		buf_puts(out, ",\"error_s\":null");
	put_time(out, "last_sync", info->sync_ns);
	buf_putc(out, '}');
	return true;
}

static enum rc put_clocks(struct station *station, struct buf *out, struct errmsg *why)
{
	struct clocks clocks = { .out = out };

	buf_printf(out, ",\"clock_map\":%" PRIu64 ",\"clocks\":[",
	    store_clock_version(station_store(station), 0));
	enum rc rc = store_clock_list(
	    station_store(station), clock_utc_ns(), CLOCKS_MAX, put_clock, &clocks, why);
	buf_putc(out, ']');
	return rc;
}

/* Without a pool (a command run while nothing serves) the registered nodes are
 * shown as "not-dialled". */
static enum rc put_compute(
    struct station *station, struct arena *arena, struct buf *out, struct errmsg *why)
{
	struct catalogue_compute *known = NULL;
	struct pool_node *nodes = NULL;
	size_t len = 0;

	buf_puts(out, ",\"compute\":[");
	enum rc rc = RC_OK;
	if (station_pool(station) != NULL) {
		rc = pool_list(station_pool(station), arena, &nodes, &len);
		for (size_t i = 0; i < len && rc == RC_OK; i++) {
			buf_puts(out, i > 0 ? "," : "");
			put_node(out, &nodes[i]);
		}
	} else {
		rc = catalogue_compute_list(station_catalogue(station), arena, &known, &len, why);
		for (size_t i = 0; i < len && rc == RC_OK; i++) {
			buf_puts(out, i > 0 ? ",{" : "{");
			put_string(out, "name", known[i].name);
			buf_putc(out, ',');
			put_string(out, "address", known[i].address);
			buf_printf(out, ",\"state\":\"not-dialled\"%s,\"models\":[]}",
			    known[i].drained_ns != 0 ? ",\"drain\":\"drained\"" : "");
		}
	}
	buf_putc(out, ']');
	return rc;
}

enum rc handle_status_json(
    struct station *station, bool whole, struct arena *arena, struct buf *out, struct errmsg *why)
{
	struct catalogue_device *devices = NULL;
	size_t len = 0, valid = 0;

	enum rc rc = catalogue_device_list(station_catalogue(station), arena, &devices, &len, why);
	if (rc != RC_OK)
		return rc;
	for (size_t i = 0; i < len; i++)
		valid += devices[i].revoked_ns == 0 && devices[i].id != CATALOGUE_OWNER;
	buf_printf(out,
	    "{\"version\":\"%s\",\"uptime_s\":%.1f,\"zone\":\"%s\",\"public_key\":\"%s\","
	    "\"devices\":%zu",
	    HEARTH_VERSION, (double)station_uptime_ns(station) / (double)NS_PER_S,
	    station_zone_name(station), station_public_key(station), valid);
	put_time(out, "now", clock_utc_ns());
	rc = put_store(station, out, why);
	if (rc == RC_OK)
		rc = put_clocks(station, out, why);
	if (rc == RC_OK && station_recall(station) != NULL)
		buf_printf(out, ",\"recall\":{\"cursor\":%" PRIu64 ",\"vectors\":%zu}",
		    recall_cursor(station_recall(station)),
		    recall_vectors(station_recall(station)));
	if (rc == RC_OK)
		rc = handle_night_status(station, out, why);
	if (rc == RC_OK && whole)
		rc = handle_memory_status(station, out, why);
	if (rc == RC_OK)
		rc = put_compute(station, arena, out, why);
	if (rc == RC_OK && whole)
		station_follow_json(station, out);
	if (rc == RC_OK && whole)
		rc = handle_backups_json(station, arena, out, why);
	buf_puts(out, "}\n");
	return rc;
}

void handle_status_get(struct station *station, const struct api_request *request,
    struct arena *arena, struct api_response *response)
{
	struct errmsg why = ERRMSG_INIT;

	/* A device that may only send need not know where backups lie. */
	bool whole = request->layers == 0;
	enum rc rc = handle_status_json(station, whole, arena, &response->body, &why);
	if (rc != RC_OK)
		api_error_rc(response, rc, NULL, &why);
}

void handle_healthz_get(struct station *station, const struct api_request *request,
    struct arena *arena, struct api_response *response)
{
	(void)request;
	(void)arena;
	if (station_stopping(station)) {
		api_error(response, 503, "server_error", "stopping", NULL, "going down");
		return;
	}
	buf_puts(&response->body, "{\"status\":\"ok\"}\n");
}

static void put_compute_metrics(struct buf *out, const struct pool_node *nodes, size_t len)
{
	double restarts = 0, memory_kills = 0, watchdog_kills = 0, queued = 0, is_short = 0;

	for (size_t i = 0; i < len; i++) {
		restarts += (double)nodes[i].stats.restarts;
		memory_kills += (double)nodes[i].stats.memory_kills;
		watchdog_kills += (double)nodes[i].stats.watchdog_kills;
		if (nodes[i].state != WIRE_LINK_UP)
			continue;
		queued += nodes[i].load.queued;
		is_short += nodes[i].stats.memory_short;
	}
	metric_print_gauge(out, "hearth_compute_restarts",
	    "restarts of workers that compute nodes told of", restarts);
	metric_print_gauge(
	    out, "hearth_compute_memory_kills", "those for want of memory", memory_kills);
	metric_print_gauge(
	    out, "hearth_compute_watchdog_kills", "those of silent workers", watchdog_kills);
	metric_print_gauge(out, "hearth_compute_queued", "requests that wait there", queued);
	metric_print_gauge(out, "hearth_compute_nodes_short",
	    "compute nodes that take nothing new for want of memory", is_short);
}

void handle_metrics_get(struct station *station, const struct api_request *request,
    struct arena *arena, struct api_response *response)
{
	struct buf *out = &response->body;
	struct pool_node *nodes = NULL;
	struct store_stats st = { 0 };
	size_t len = 0, up = 0;

	(void)request;
	response->content_type = "text/plain; version=0.0.4; charset=utf-8";
	metric_print(out);
	metric_print_gauge(out, "hearth_uptime_seconds", "seconds since start",
	    (double)station_uptime_ns(station) / (double)NS_PER_S);
	if (store_get_stats(station_store(station), &st, NULL) == RC_OK) {
		metric_print_gauge(
		    out, "hearth_store_records", "records in the log", (double)st.records);
		metric_print_gauge(
		    out, "hearth_store_bytes", "bytes in use on disk", (double)st.bytes_used);
		metric_print_gauge(out, "hearth_store_reader_commits_behind",
		    "commits since the oldest read transaction began", (double)st.reader_behind);
		metric_print_gauge(out, "hearth_store_reader_alarm_minutes",
		    "minutes for which a reader has held an old snapshot",
		    (double)st.reader_alarms);
		metric_print_gauge(out, "hearth_store_commit_seconds_p99", "time of a commit",
		    (double)st.commit_ns_p99 / (double)NS_PER_S);
	}
	metric_print_gauge(out, "hearth_store_cursor", "newest sequence number",
	    (double)store_cursor(station_store(station)));
	if (station_recall(station) != NULL) {
		metric_print_gauge(out, "hearth_recall_cursor", "sequence number indexed",
		    (double)recall_cursor(station_recall(station)));
		metric_print_gauge(out, "hearth_recall_vectors", "moments that have a vector",
		    (double)recall_vectors(station_recall(station)));
	}
	if (station_pool(station) != NULL &&
	    pool_list(station_pool(station), arena, &nodes, &len) == RC_OK) {
		for (size_t i = 0; i < len; i++)
			up += nodes[i].state == WIRE_LINK_UP;
		metric_print_gauge(
		    out, "hearth_compute_nodes", "compute nodes registered", (double)len);
		metric_print_gauge(
		    out, "hearth_compute_nodes_up", "compute nodes connected", (double)up);
		put_compute_metrics(out, nodes, len);
	}
}
