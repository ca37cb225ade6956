/* GET /api/v1/episodes: runs of slices cut where the scene changes. */
#include <inttypes.h>

#include "align/episode.h"
#include "base/log.h"
#include "gateway/handle_slices.h"
#include "gateway/handlers.h"
#include "gateway/station.h"

struct list {
	const struct api_request *request;
	struct buf *out;
	bool any;
	enum rc rc;
};

static bool visit(void *ctx, const struct episode *episode)
{
	struct list *list = ctx;

	if (list->any)
		buf_putc(list->out, ',');
	list->any = true;
	list->rc = episode_json(episode, list->out);
	if (list->rc == RC_OK && api_gone(list->request))
		list->rc = RC_CANCELLED;
	return list->rc == RC_OK;
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
	enum rc rc = episode_walk(&asked.source, asked.query.from_ns, asked.query.to_ns,
	    asked.query.as_of_seq, visit, &list, &why);
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
