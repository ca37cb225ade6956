/* Answer API: the models there are, at home and elsewhere. */
#include <inttypes.h>
#include <string.h>

#include "answer/answer_api.h"
#include "answer/chat_request.h"
#include "gateway/cloud_place.h"

#define MODELS_CREATED_S INT64_C(1763683200) /* of every entry: clients want a number */

/* False ends the walk. */
typedef bool model_visit_fn(void *ctx, const char *id, const char *owner);

/* On a node before, or the name of another thing. */
static bool visited(const struct pool_node *nodes, size_t node, size_t model)
{
	const char *name = nodes[node].models[model].name;

	for (size_t i = 0; i <= node; i++) {
		if (!nodes[i].takes)
			continue;
		size_t end = i == node ? model : nodes[i].models_len;
		for (size_t j = 0; j < end; j++) {
			if (strcmp(nodes[i].models[j].name, name) == 0)
				return true;
		}
	}
	return strcmp(name, CHAT_MODEL_HEARTH) == 0 || route_names_upstream(name);
}

static bool visit_nodes(const struct pool_node *nodes, size_t len, model_visit_fn *visit, void *ctx)
{
	for (size_t i = 0; i < len; i++) {
		for (size_t j = 0; nodes[i].takes && j < nodes[i].models_len; j++) {
			if (!visited(nodes, i, j) &&
			    !visit(ctx, nodes[i].models[j].name, "compute-node"))
				return false;
		}
	}
	return true;
}

/* Those elsewhere; none where the policy cannot be read. */
static enum rc visit_upstreams(
    const struct host *host, struct arena *arena, model_visit_fn *visit, void *ctx)
{
	struct cloud_policy *policy = arena_alloc(arena, sizeof(*policy));

	if (policy == NULL)
		return RC_NOMEM;
	if (host->cloud == NULL || cloud_place_policy(host->cloud, arena, policy, NULL) != RC_OK)
		return RC_OK;
	for (size_t i = 0; i < policy->upstreams_len; i++) {
		const char *id =
		    arena_printf(arena, ROUTE_MODEL_PREFIX "%s", policy->upstreams[i].name);
		if (id == NULL)
			return RC_NOMEM;
		if (!visit(ctx, id, "upstream"))
			break;
	}
	return RC_OK;
}

static enum rc visit_all(
    const struct host *host, struct arena *arena, model_visit_fn *visit, void *ctx)
{
	struct pool_node *nodes = NULL;
	size_t len = 0;
	enum rc rc = host->pool == NULL ? RC_OK : pool_list(host->pool, arena, &nodes, &len);

	if (rc != RC_OK || !visit(ctx, CHAT_MODEL_HEARTH, "hearth") ||
	    !visit_nodes(nodes, len, visit, ctx))
		return rc;
	return visit_upstreams(host, arena, visit, ctx);
}

static void put_model(struct buf *out, const char *id, const char *owner)
{
	buf_puts(out, "{\"id\":");
	buf_json_string(out, id, strlen(id));
	buf_printf(out, ",\"object\":\"model\",\"created\":%" PRId64 ",\"owned_by\":\"%s\"}",
	    MODELS_CREATED_S, owner);
}

struct listing {
	struct buf *out;
	bool any;
};

static bool list(void *ctx, const char *id, const char *owner)
{
	struct listing *listing = ctx;

	if (listing->any)
		buf_putc(listing->out, ',');
	listing->any = true;
	put_model(listing->out, id, owner);
	return true;
}

void answer_models(const struct host *host, struct arena *arena, struct api_response *response)
{
	struct listing listing = { .out = &response->body };

	buf_puts(&response->body, "{\"object\":\"list\",\"data\":[");
	enum rc rc = visit_all(host, arena, list, &listing);
	if (rc != RC_OK) {
		api_error_rc(response, rc, NULL, NULL);
		return;
	}
	buf_puts(&response->body, "]}\n");
	response->status = 200;
	response->content_type = "application/json";
}

struct finding {
	const char *id;
	const char *owner; /* NULL: not found yet */
};

static bool find(void *ctx, const char *id, const char *owner)
{
	struct finding *finding = ctx;

	if (strcmp(id, finding->id) != 0)
		return true;
	finding->owner = owner;
	return false;
}

void answer_model(
    const struct host *host, const char *id, struct arena *arena, struct api_response *response)
{
	struct finding finding = { .id = id };

	enum rc rc = visit_all(host, arena, find, &finding);
	if (rc != RC_OK) {
		api_error_rc(response, rc, NULL, NULL);
		return;
	}
	if (finding.owner == NULL) {
		api_error(response, 404, "invalid_request_error", "model_not_found", "model",
		    "no such model: GET /v1/models lists what there is");
		return;
	}
	put_model(&response->body, id, finding.owner);
	buf_putc(&response->body, '\n');
	response->status = 200;
	response->content_type = "application/json";
}
