/* Host: the station's parts as the answer's table. */
#include "answer/host.h"

#include "gateway/cloud_labels.h"
#include "gateway/station.h"

static enum rc search(void *ctx, const struct recall_query *query, struct arena *arena,
    struct recall_result *out, struct errmsg *why)
{
	struct recall *recall = station_recall(ctx);

	if (recall == NULL)
		return errmsg_rc(why, RC_UNAVAILABLE, "this process has no index");
	return recall_search(recall, query, arena, out, why);
}

static enum rc append(void *ctx, const struct observation *obs, size_t n, struct errmsg *why)
{
	return store_append(station_store(ctx), obs, n, NULL, NULL, why);
}

static enum rc facts(void *ctx, const struct book_query *query, struct arena *arena,
    struct book_view *out, struct errmsg *why)
{
	return book_read(station_book(ctx), query, arena, out, why);
}

static enum rc observation(void *ctx, const uint8_t obs_id[OBS_ID_BYTES], struct arena *arena,
    struct observation *out, struct errmsg *why)
{
	return store_get_id(station_store(ctx), obs_id, arena, out, why);
}

static uint64_t cursor(void *ctx)
{
	return store_cursor(station_store(ctx));
}

static int32_t offset_s(void *ctx, int64_t utc_ns)
{
	return station_time_offset(ctx, utc_ns);
}

static bool stopping(void *ctx)
{
	return station_stopping(ctx);
}

static enum rc labels(
    void *ctx, const struct observation *obs, struct arena *arena, struct route_moment *out)
{
	return cloud_labels(station_store(ctx), obs, arena, out, NULL);
}

void host_of(struct station *station, struct host *out)
{
	const struct station_config *config = station_config(station);

	*out = (struct host){
		.ctx = station,
		.search = search,
		.append = append,
		.facts = facts,
		.observation = observation,
		.cursor = cursor,
		.offset_s = offset_s,
		.stopping = stopping,
		.labels = labels,
		.zone = station_zone_name(station),
		.pool = station_pool(station),
		.cloud = station_cloud(station),
		.model = config->model,
		.resume_timeout_ns = config->resume_timeout_ns,
		.start_timeout_ns = config->start_timeout_ns,
		.context_tokens = config->context_tokens,
		.answer_tokens = config->answer_tokens,
	};
}

uint32_t host_context_tokens(const struct host *host)
{
	return host->context_tokens != 0 ? host->context_tokens : STATION_CONTEXT_TOKENS;
}

uint32_t host_answer_tokens(const struct host *host)
{
	return host->answer_tokens != 0 ? host->answer_tokens : STATION_ANSWER_TOKENS;
}
