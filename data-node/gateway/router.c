/* Router: the table of routes, who may call them, and api_handle(). */
#include <string.h>

#include "answer/answer_api.h"
#include "answer/embeddings.h"
#include "gateway/catalogue.h"
#include "gateway/handlers.h"
#include "gateway/metric.h"
#include "gateway/station_follow.h"

#define ALLOW_BYTES_MAX 64

enum access {
	ACCESS_OPEN,    /* no token: health and the page itself */
	ACCESS_DEVICE,  /* any valid token */
	ACCESS_PERSON,  /* a token that is not limited to layers */
	ACCESS_OWNER,   /* the owner's own token */
	ACCESS_CONTROL, /* the operator's socket or an in-process command */
};

struct route {
	/* One that ends in a slash stands for one segment more, in a star for any. */
	const char *method, *path;
	enum access access;
	api_handler_fn *handler;
};

static const struct route routes[] = {
	{ "POST", "/api/v1/events", ACCESS_DEVICE, handle_events_post },
	{ "GET", "/api/v1/events", ACCESS_PERSON, handle_events_get },
	{ "GET", "/api/v1/events/", ACCESS_PERSON, handle_event_get },
	{ "POST", "/api/v1/blobs", ACCESS_DEVICE, handle_blobs_post },
	{ "GET", "/api/v1/blobs/", ACCESS_PERSON, handle_blobs_get },
	{ "GET", "/api/v1/slices", ACCESS_PERSON, handle_slices_get },
	{ "GET", "/api/v1/slices/manifest", ACCESS_PERSON, handle_manifest_get },
	{ "GET", "/api/v1/episodes", ACCESS_PERSON, handle_episodes_get },
	{ "GET", "/api/v1/search", ACCESS_PERSON, handle_search_get },
	{ "GET", "/api/v1/memory", ACCESS_PERSON, handle_memory_get },
	{ "PUT", "/api/v1/memory", ACCESS_OWNER, handle_memory_put },
	{ "POST", "/api/v1/memory/change", ACCESS_OWNER, handle_memory_change_post },
	{ "GET", "/api/v1/memory/proposals", ACCESS_OWNER, handle_memory_proposals_get },
	{ "POST", "/api/v1/memory/proposals", ACCESS_PERSON, handle_memory_proposals_post },
	{ "POST", "/api/v1/memory/accept", ACCESS_OWNER, handle_memory_accept_post },
	{ "POST", "/api/v1/memory/refuse", ACCESS_OWNER, handle_memory_refuse_post },
	{ "GET", "/api/v1/cloud", ACCESS_OWNER, handle_control_cloud_get },
	{ "GET", "/api/v1/audit", ACCESS_OWNER, handle_control_audit_get },
	{ "POST", "/api/v1/forget", ACCESS_PERSON, handle_forget_post },
	{ "GET", "/api/v1/status", ACCESS_DEVICE, handle_status_get },
	{ "GET", "/api/v1/time", ACCESS_DEVICE, handle_time_get },
	{ "POST", "/api/v1/time", ACCESS_DEVICE, handle_time_post },
	{ "POST", "/mcp", ACCESS_PERSON, handle_mcp_post },
	{ "GET", "/v1/models", ACCESS_PERSON, answer_api_models },
	{ "GET", ANSWER_MODELS_PATH "*", ACCESS_PERSON, answer_api_model },
	{ "POST", "/v1/chat/completions", ACCESS_PERSON, answer_api_chat },
	{ "POST", "/v1/completions", ACCESS_PERSON, answer_api_completions },
	{ "POST", "/v1/responses", ACCESS_PERSON, answer_api_responses },
	{ "POST", "/v1/embeddings", ACCESS_PERSON, answer_api_embeddings },
	{ "GET", "/metrics", ACCESS_DEVICE, handle_metrics_get },
	{ "GET", "/healthz", ACCESS_OPEN, handle_healthz_get },
	{ "GET", "/", ACCESS_OPEN, handle_web_get },
	{ "GET", "/web/", ACCESS_OPEN, handle_web_get },
	{ "GET", "/control/compute", ACCESS_CONTROL, handle_control_compute_get },
	{ "POST", "/control/compute", ACCESS_CONTROL, handle_control_compute_post },
	{ "DELETE", "/control/compute", ACCESS_CONTROL, handle_control_compute_delete },
	{ "POST", "/control/compute/drain", ACCESS_CONTROL, handle_control_drain_post },
	{ "DELETE", "/control/compute/drain", ACCESS_CONTROL, handle_control_drain_delete },
	{ "GET", "/control/cloud", ACCESS_CONTROL, handle_control_cloud_get },
	{ "POST", "/control/cloud", ACCESS_CONTROL, handle_control_cloud_post },
	{ "DELETE", "/control/cloud", ACCESS_CONTROL, handle_control_cloud_delete },
	{ "POST", "/control/cloud/leave", ACCESS_CONTROL, handle_control_leave_post },
	{ "POST", "/control/cloud/route", ACCESS_CONTROL, handle_control_route_post },
	{ "POST", "/control/cloud/explain", ACCESS_CONTROL, handle_control_explain_post },
	{ "GET", "/control/devices", ACCESS_CONTROL, handle_control_devices_get },
	{ "POST", "/control/devices", ACCESS_CONTROL, handle_control_devices_post },
	{ "DELETE", "/control/devices", ACCESS_CONTROL, handle_control_devices_delete },
	{ "POST", "/control/verify", ACCESS_CONTROL, handle_control_verify_post },
	{ "POST", "/control/backup", ACCESS_CONTROL, handle_control_backup_post },
	{ "DELETE", "/control/backup", ACCESS_CONTROL, handle_control_backup_delete },
	{ "POST", "/control/night", ACCESS_CONTROL, handle_control_night_post },
	{ "POST", "/control/take-over", ACCESS_CONTROL, handle_control_take_over_post },
	{ "GET", "/control/followers", ACCESS_CONTROL, handle_control_followers_get },
	{ "POST", "/control/followers", ACCESS_CONTROL, handle_control_followers_post },
	{ "DELETE", "/control/followers", ACCESS_CONTROL, handle_control_followers_delete },
	{ "GET", "/control/audit", ACCESS_CONTROL, handle_control_audit_get },
};

/* Refused while this node follows another one. */
static api_handler_fn *const writers[] = { handle_events_post, handle_blobs_post,
	handle_forget_post, handle_control_compute_post, handle_control_compute_delete,
	handle_control_devices_post, handle_control_devices_delete, handle_memory_put,
	handle_memory_change_post, handle_memory_proposals_post, handle_memory_accept_post,
	handle_memory_refuse_post };

#define ROUTES_LEN (sizeof(routes) / sizeof(routes[0]))

static bool visible(const struct route *route, const struct api_request *request)
{
	return route->access != ACCESS_CONTROL || request->peer == API_PEER_CONTROL;
}

bool handle_is_owners(const struct api_request *request)
{
	return !request->agents &&
	       (request->peer == API_PEER_CONTROL ||
		   (request->peer == API_PEER_TOKEN && request->device == CATALOGUE_OWNER));
}

static bool path_is(const char *route, const char *path)
{
	size_t len = strlen(route);

	if (route[len - 1] == '*')
		return strncmp(route, path, len - 1) == 0 && path[len - 1] != 0;
	if (len < 2 || route[len - 1] != '/')
		return strcmp(route, path) == 0;
	return strncmp(route, path, len) == 0 && path[len] != 0 && strchr(path + len, '/') == NULL;
}

static bool writes(const struct route *route)
{
	for (size_t i = 0; i < sizeof(writers) / sizeof(writers[0]); i++) {
		if (writers[i] == route->handler)
			return true;
	}
	return false;
}

/* HEAD is GET without its body; the listener leaves the body out. */
static const struct route *find(const struct api_request *request, char allow[ALLOW_BYTES_MAX])
{
	const char *method = strcmp(request->method, "HEAD") == 0 ? "GET" : request->method;
	size_t len = 0;

	allow[0] = 0;
	for (size_t i = 0; i < ROUTES_LEN; i++) {
		const struct route *r = &routes[i];
		if (!path_is(r->path, request->path) || !visible(r, request))
			continue;
		if (strcmp(r->method, method) == 0)
			return r;
		size_t room = ALLOW_BYTES_MAX - len;
		size_t need = strlen(r->method) + 2;
		if (need < room) {
			memcpy(allow + len, len > 0 ? ", " : "", len > 0 ? 2 : 0);
			len += len > 0 ? 2 : 0;
			memcpy(allow + len, r->method, strlen(r->method) + 1);
			len += strlen(r->method);
		}
	}
	return NULL;
}

const char *api_route(const struct api_request *request)
{
	for (size_t i = 0; i < ROUTES_LEN; i++) {
		if (path_is(routes[i].path, request->path))
			return routes[i].path;
	}
	return "-";
}

const struct api_sink *api_sink(const struct api_request *request)
{
	char allow[ALLOW_BYTES_MAX];

	const struct route *route = find(request, allow);
	return route != NULL && route->handler == handle_blobs_post &&
		       request->peer != API_PEER_NONE
		   ? &handle_blobs_sink
		   : NULL;
}

bool api_open(const struct api_request *request)
{
	char allow[ALLOW_BYTES_MAX];

	const struct route *route = find(request, allow);
	return route != NULL && route->access == ACCESS_OPEN;
}

static void answer_unknown(const struct api_request *request, const char *allow,
    struct arena *arena, struct api_response *response)
{
	if (request->peer == API_PEER_NONE) {
		api_unauthorized(response);
	} else if (allow[0] != 0) {
		api_error(response, 405, "invalid_request_error", "method_not_allowed", NULL,
		    "this path does not take that method");
		const char *copy = arena_strdup(arena, allow);
		if (copy != NULL)
			api_header(response, "Allow", copy);
	} else {
		api_error(response, 404, "invalid_request_error", "not_found", NULL,
		    "there is nothing at this path");
	}
}

static void count(const struct api_response *response)
{
	metric_add(METRIC_REQUESTS, 1);
	if (response->status >= 500)
		metric_add(METRIC_ERRORS_SERVER, 1);
	else if (response->status >= 400)
		metric_add(METRIC_ERRORS_CLIENT, 1);
}

/* For now: clients keep what they have and try again after a take-over. */
static void refuse_follower(
    struct station *station, struct arena *arena, struct api_response *response)
{
	const char *text = arena_printf(arena,
	    "this node follows %s: send it there, or run `data-node follow --take-over` here",
	    station_follows(station));

	api_error(response, 503, "server_error", "read_only", NULL,
	    text != NULL ? text : "this node follows another one");
	api_header(response, "Retry-After", "10");
}

void api_handle(struct station *station, const struct api_request *request, struct arena *arena,
    struct api_response *response)
{
	char allow[ALLOW_BYTES_MAX];

	const struct route *route = find(request, allow);
	if (route == NULL) {
		answer_unknown(request, allow, arena, response);
	} else if (request->peer == API_PEER_NONE && route->access != ACCESS_OPEN) {
		api_unauthorized(response);
	} else if (request->layers != 0 && route->access > ACCESS_DEVICE) {
		api_error(response, 403, "permission_error", "device_limited", NULL,
		    "this device's token may only send events of its layers");
	} else if (route->access == ACCESS_OWNER && !handle_is_owners(request)) {
		api_error(response, 403, "permission_error", "owner_only", NULL,
		    "this is for the owner's token alone");
	} else if (writes(route) && station_follows(station) != NULL) {
		refuse_follower(station, arena, response);
	} else {
		route->handler(station, request, arena, response);
		if (response->pull == NULL && buf_rc(&response->body) != RC_OK)
			api_error(response, 503, "server_error", "response_too_large", NULL,
			    "the answer is too large: ask for less");
	}
	count(response);
}
