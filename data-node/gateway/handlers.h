/*
 * Handlers: one function a route, in handle_*.c; router.c lists them.
 *
 * All are called by api_handle() on the thread of the request, after the
 * peer's rights were checked, with a response that api_response_init() made.
 */
#ifndef GATEWAY_HANDLERS_H
#define GATEWAY_HANDLERS_H

#include "gateway/api.h"

#define HANDLE_EVENTS_LIMIT 1000
#define HANDLE_EVENTS_LIMIT_MAX 10000
#define HANDLE_SEARCH_K 10
#define HANDLE_SEARCH_K_MAX 1000

api_handler_fn handle_events_post, handle_events_get, handle_event_get;
api_handler_fn handle_blobs_post, handle_blobs_get;
extern const struct api_sink handle_blobs_sink;
api_handler_fn handle_slices_get, handle_manifest_get, handle_episodes_get;
api_handler_fn handle_forget_post;
api_handler_fn handle_search_get;
api_handler_fn handle_status_get, handle_healthz_get, handle_metrics_get;
api_handler_fn handle_time_get, handle_time_post;
api_handler_fn handle_web_get;
api_handler_fn handle_mcp_post;
api_handler_fn handle_control_compute_get, handle_control_compute_post,
    handle_control_compute_delete;
api_handler_fn handle_control_drain_post, handle_control_drain_delete;
api_handler_fn handle_control_devices_get, handle_control_devices_post,
    handle_control_devices_delete;
api_handler_fn handle_control_cloud_get, handle_control_cloud_post, handle_control_cloud_delete,
    handle_control_leave_post, handle_control_route_post, handle_control_explain_post;
api_handler_fn handle_control_verify_post, handle_control_audit_get;
api_handler_fn handle_control_take_over_post, handle_control_followers_get,
    handle_control_followers_post, handle_control_followers_delete;
api_handler_fn handle_control_backup_post, handle_control_backup_delete;
api_handler_fn handle_control_night_post;
api_handler_fn handle_memory_get, handle_memory_put, handle_memory_change_post;
api_handler_fn handle_memory_proposals_get, handle_memory_proposals_post;
api_handler_fn handle_memory_accept_post, handle_memory_refuse_post;

/* It comes from the owner, by their token or at the machine; not from a device, nor from an agent
 * that was let in there. */
bool handle_is_owners(const struct api_request *request);

/* The word of an enum wire_link_state: "up", "connecting", "refused", "down". */
const char *handle_link_word(int state);

/* "draining" while requests run there, then "drained"; NULL: it takes new ones. */
struct pool_node;
const char *handle_drain_word(const struct pool_node *node);

/* {"version", …} of GET /api/v1/status, appended to `out`; `whole`: with what is
 * for the owner and the operator alone. */
enum rc handle_status_json(struct station *station, bool whole, struct arena *arena,
    struct buf *out, struct errmsg *why) RC_CHECK;

/* ,"backups":[…] of the status, appended to `out`. */
enum rc handle_backups_json(
    struct station *station, struct arena *arena, struct buf *out, struct errmsg *why) RC_CHECK;

/* ,"night":{…} of the status, appended to `out`. */
enum rc handle_night_status(struct station *station, struct buf *out, struct errmsg *why) RC_CHECK;

/* ,"memory":{…} of the status, appended to `out`. */
enum rc handle_memory_status(struct station *station, struct buf *out, struct errmsg *why) RC_CHECK;

#endif
