/* /control/follow… and /control/followers: following another node, being followed. */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "gateway/catalogue.h"
#include "gateway/handlers.h"
#include "gateway/query.h"
#include "gateway/station_follow.h"

#define PATH_BYTES_MAX 4096
#define BODY_BYTES_MAX ((size_t)4096)

static void audit(struct station *station, const char *action, const char *object)
{
	struct catalogue_audit line = {
		.at_ns = clock_utc_ns(), .device = -1, .action = action, .object = object, .n = 1
	};

	enum rc ignored = catalogue_audit_add(station_catalogue(station), &line, NULL);
	(void)ignored;
}

void handle_control_take_over_post(struct station *station, const struct api_request *request,
    struct arena *arena, struct api_response *response)
{
	struct errmsg why = ERRMSG_INIT;

	(void)request;
	(void)arena;
	enum rc rc = station_take_over(station, &why);
	if (rc != RC_OK) {
		api_error_rc(response, rc, NULL, &why);
		return;
	}
	audit(station, "take-over", "");
	buf_puts(&response->body, "{}\n");
}

static void allow_path(struct station *station, char out[PATH_BYTES_MAX])
{
	(void)snprintf(out, PATH_BYTES_MAX, "%s/" STATION_FOLLOWERS, station_config(station)->dir);
}

/* The member or parameter "key". */
static bool read_key(const char *text, uint8_t key[WIRE_KEY_BYTES], struct api_response *response)
{
	if (text != NULL && wire_key_parse(text, key, NULL) == RC_OK)
		return true;
	query_error(response, "key", "must be 64 hex digits, as `data-node follow` prints them");
	return false;
}

void handle_control_followers_get(struct station *station, const struct api_request *request,
    struct arena *arena, struct api_response *response)
{
	struct wire_allow *allow = arena_alloc(arena, sizeof(*allow));
	char path[PATH_BYTES_MAX], text[WIRE_KEY_TEXT_BYTES];
	struct errmsg why = ERRMSG_INIT;

	(void)request;
	allow_path(station, path);
	enum rc rc = allow == NULL ? RC_NOMEM : wire_allow_load(path, allow, &why);
	if (rc != RC_OK) {
		api_error_rc(response, rc, NULL, &why);
		return;
	}
	buf_puts(&response->body, "{\"followers\":[");
	for (size_t i = 0; i < allow->n; i++) {
		wire_key_format(allow->keys[i], text);
		buf_printf(&response->body, "%s\"%s\"", i > 0 ? "," : "", text);
	}
	buf_puts(&response->body, "]}\n");
}

void handle_control_followers_post(struct station *station, const struct api_request *request,
    struct arena *arena, struct api_response *response)
{
	uint8_t key[WIRE_KEY_BYTES];
	struct errmsg why = ERRMSG_INIT;
	char path[PATH_BYTES_MAX];

	(void)arena;
	json_t *root = request->body_len > BODY_BYTES_MAX
			   ? NULL
			   : json_loadb(request->body, request->body_len, 0, NULL);
	bool ok = read_key(json_string_value(json_object_get(root, "key")), key, response);
	json_decref(root);
	if (!ok)
		return;
	allow_path(station, path);
	enum rc rc = wire_allow_add(path, key, &why);
	if (rc != RC_OK) {
		api_error_rc(response, rc, "key", &why);
		return;
	}
	audit(station, "follower-allow", "");
	buf_puts(&response->body, "{}\n");
}

void handle_control_followers_delete(struct station *station, const struct api_request *request,
    struct arena *arena, struct api_response *response)
{
	uint8_t key[WIRE_KEY_BYTES];
	struct errmsg why = ERRMSG_INIT;
	char path[PATH_BYTES_MAX];

	(void)arena;
	if (!read_key(api_param(request, "key"), key, response))
		return;
	allow_path(station, path);
	enum rc rc = wire_allow_remove(path, key, &why);
	if (rc != RC_OK) {
		api_error_rc(response, rc, "key", &why);
		return;
	}
	audit(station, "follower-remove", "");
	buf_puts(&response->body, "{}\n");
}
