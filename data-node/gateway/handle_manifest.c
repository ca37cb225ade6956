/*
 * GET /api/v1/slices/manifest: what an export of that range would be made from,
 * and the hash over its slices.  A long handler: it polls for a client that
 * went away.
 */
#include "align/slice_manifest.h"
#include "align/slice_serve.h"
#include "gateway/handle_slices.h"
#include "gateway/handlers.h"
#include "gateway/station.h"

#define SLICES_A_PART 4096

struct work {
	struct slice_manifest manifest;
	const struct api_request *request;
	enum rc rc;
};

static bool visit(void *ctx, const struct slice *slice)
{
	struct work *work = ctx;

	work->rc = slice_manifest_add(&work->manifest, slice);
	if (work->rc == RC_OK && api_gone(work->request))
		work->rc = RC_CANCELLED;
	return work->rc == RC_OK;
}

static enum rc run(struct work *work, const struct slices_asked *asked, struct errmsg *why)
{
	struct slice_query part = asked->query;
	int64_t span_ns = part.step_ns * SLICES_A_PART;

	for (int64_t at_ns = asked->query.from_ns; at_ns < asked->query.to_ns;) {
		part.from_ns = at_ns;
		part.to_ns =
		    asked->query.to_ns - at_ns > span_ns ? at_ns + span_ns : asked->query.to_ns;
		enum rc rc = slice_serve(&asked->source, &part, visit, work, NULL, why);
		if (rc == RC_CORRUPT && work->rc == RC_OK)
			return errmsg_rc(why, rc, "records are missing: run `data-node verify`");
		if (rc == RC_OK)
			rc = work->rc;
		if (rc != RC_OK)
			return rc;
		at_ns = part.to_ns;
	}
	return RC_OK;
}

void handle_manifest_get(struct station *station, const struct api_request *request,
    struct arena *arena, struct api_response *response)
{
	struct work work = { .request = request, .rc = RC_OK };
	struct errmsg why = ERRMSG_INIT;
	struct slices_asked asked;

	(void)arena;
	if (!handle_slices_asked(station, request, &asked, response))
		return;
	slice_manifest_begin(&work.manifest, &asked.query,
	    slice_clock_map_version(station_store(station), asked.query.as_of_seq),
	    asked.source.policy);
	enum rc rc = run(&work, &asked, &why);
	slice_manifest_end(&work.manifest);
	if (rc == RC_OK)
		slice_manifest_json(&work.manifest, &response->body);
	else
		api_error_rc(response, rc, NULL, &why);
	slice_manifest_fini(&work.manifest);
}
