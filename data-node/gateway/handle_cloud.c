/*
 * /control/cloud…: models elsewhere and what may leave for them, for the operator alone to
 * change; the owner reads it as /api/v1/cloud.
 */
#include <inttypes.h>
#include <jansson.h>
#include <string.h>

#include "base/clock.h"
#include "base/wipe.h"
#include "gateway/cloud_edit.h"
#include "gateway/cloud_place.h"
#include "gateway/handlers.h"
#include "gateway/query.h"
#include "gateway/station.h"

#define BODY_BYTES_MAX ((size_t)64 << 10)
#define MICRO 1e6

static json_t *read_object(const struct api_request *request, struct api_response *response)
{
	json_t *root =
	    request->body_len > BODY_BYTES_MAX || request->body == NULL
		? NULL
		: json_loadb(request->body, request->body_len, JSON_REJECT_DUPLICATES, NULL);

	if (json_is_object(root))
		return root;
	json_decref(root);
	api_error(response, 400, "invalid_request_error", "invalid_json", NULL,
	    "the body must be one JSON object");
	return NULL;
}

/* A policy that would not do is the caller's mistake, not the node's. */
static void respond(struct station *station, enum rc rc, const struct errmsg *why,
    const char *action, const char *object, struct api_response *response)
{
	if (rc == RC_CONFIG)
		rc = RC_INVALID;
	if (rc != RC_OK) {
		api_error_rc(response, rc, NULL, why);
		return;
	}
	/* The act is done; a ledger that cannot be written shows in verify. */
	(void)!cloud_place_note(station_cloud(station), -1, action, object, 1, NULL);
	buf_puts(&response->body, "{}\n");
}

/* ---- upstreams ---- */

static void put_spend(struct buf *out, const char *name, const struct spend *spend)
{
	buf_printf(out,
	    ",\"%s\":{\"tokens_in\":%" PRId64 ",\"tokens_out\":%" PRId64 ",\"money\":%.6f}", name,
	    spend->in, spend->out, (double)spend->micros / MICRO);
}

static void put_states(struct station *station, const struct cloud_policy *policy,
    const struct route_state *states, struct buf *out)
{
	char key[CLOUD_KEY_TEXT_BYTES];

	buf_puts(out, "\"state\":{");
	for (size_t i = 0; i < policy->upstreams_len; i++) {
		const struct cloud_upstream *upstream = &policy->upstreams[i];
		enum rc rc = cloud_place_key(station_cloud(station), upstream, key, NULL);
		const char *word = rc != RC_OK ? "unusable" : key[0] == '\0' ? "none" : "set";
		wipe(key, sizeof(key));
		buf_printf(out, "%s\"%s\":{\"key\":\"%s\",\"down\":%s", i > 0 ? "," : "",
		    upstream->name, word, states[i].down ? "true" : "false");
		put_spend(out, "day", &states[i].day);
		put_spend(out, "month", &states[i].month);
		buf_putc(out, '}');
	}
	buf_putc(out, '}');
}

static int32_t today(const struct station *station)
{
	int64_t now = clock_utc_ns();

	return spend_day(now, station_time_offset(station, now));
}

/* The file's own object, and how each upstream stands. */
void handle_control_cloud_get(struct station *station, const struct api_request *request,
    struct arena *arena, struct api_response *response)
{
	struct route_state states[CLOUD_UPSTREAMS_MAX] = { 0 };
	struct cloud_policy policy;
	struct errmsg why = ERRMSG_INIT;
	struct buf *out = &response->body;

	(void)request;
	enum rc rc = cloud_place_policy(station_cloud(station), arena, &policy, &why);
	if (rc == RC_OK)
		rc = cloud_place_states(
		    station_cloud(station), &policy, today(station), states, &why);
	if (rc != RC_OK) {
		api_error_rc(response, rc, NULL, &why);
		return;
	}
	buf_puts(out, "{");
	put_states(station, &policy, states, out);
	buf_puts(out, ",\"policy\":");
	cloud_policy_print(&policy, out);
	buf_puts(out, "}\n");
}

struct putting {
	struct cloud_place *place;
	const char *text; /* of a policy with the one upstream */
	struct cloud_upstream upstream;
};

static enum rc put_upstream(
    void *ctx, struct arena *arena, struct cloud_policy *policy, struct errmsg *why)
{
	struct putting *putting = ctx;
	struct cloud_policy *one = arena_alloc(arena, sizeof(*one));

	if (one == NULL)
		return RC_NOMEM;
	enum rc rc = cloud_policy_parse(putting->text, strlen(putting->text), arena, one, why);
	if (rc != RC_OK)
		return rc;
	putting->upstream = one->upstreams[0];
	return cloud_edit_put(policy, &putting->upstream, why);
}

/* {"upstream":{…as in cloud.json…},"key":"…"} */
void handle_control_cloud_post(struct station *station, const struct api_request *request,
    struct arena *arena, struct api_response *response)
{
	struct putting putting = { .place = station_cloud(station) };
	struct errmsg why = ERRMSG_INIT;

	json_t *root = read_object(request, response);
	if (root == NULL)
		return;
	const json_t *upstream = json_object_get(root, "upstream");
	const json_t *given = json_object_get(root, "key");
	const char *key = json_string_value(given);
	json_t *policy =
	    json_is_object(upstream) ? json_pack("{s:[O]}", "upstreams", upstream) : NULL;
	size_t len = policy == NULL ? 0 : json_dumpb(policy, NULL, 0, 0);
	char *text = len == 0 ? NULL : arena_alloc(arena, len + 1);
	if (text == NULL) {
		query_error(response, "upstream", "an object as in cloud.json is needed");
		goto out;
	}
	if (given != NULL && key == NULL) {
		query_error(response, "key", "must be a text");
		goto out;
	}
	(void)json_dumpb(policy, text, len, 0);
	putting.text = text;
	/* First, for it would be too late once the upstream stands there. */
	enum rc rc = key != NULL ? cloud_place_check_key(key, &why) : RC_OK;
	if (rc == RC_OK)
		rc = cloud_place_edit(putting.place, put_upstream, &putting, arena, &why);
	if (rc == RC_OK && key != NULL)
		rc = cloud_place_set_key(putting.place, &putting.upstream, key, &why);
	if (rc == RC_OK)
		cloud_place_fell(putting.place, putting.upstream.name, false);
	respond(station, rc, &why, "cloud-add", rc == RC_OK ? putting.upstream.name : "", response);
out:
	json_decref(policy);
	json_decref(root);
}

static enum rc remove_upstream(
    void *ctx, struct arena *arena, struct cloud_policy *policy, struct errmsg *why)
{
	(void)arena;
	return cloud_edit_remove(policy, ctx, why);
}

void handle_control_cloud_delete(struct station *station, const struct api_request *request,
    struct arena *arena, struct api_response *response)
{
	const char *name = api_param(request, "name");
	struct cloud_upstream gone = { .name = name, .url = "" };
	struct errmsg why = ERRMSG_INIT;

	if (name == NULL || strlen(name) > CLOUD_NAME_BYTES_MAX) {
		api_error_rc(response, RC_NOTFOUND, "name", NULL);
		return;
	}
	enum rc rc = cloud_place_edit(
	    station_cloud(station), remove_upstream, (void *)(uintptr_t)name, arena, &why);
	if (rc == RC_OK)
		rc = cloud_place_set_key(station_cloud(station), &gone, "", &why);
	respond(station, rc, &why, "cloud-remove", name, response);
}

/* ---- what may leave, and when hearth is asked there ---- */

struct leaving {
	const json_t *root;
	const char *trust; /* NULL: both, to keep */
};

static enum rc edit_words(struct cloud_leave *leave, const json_t *words, bool may,
    struct arena *arena, struct errmsg *why)
{
	for (size_t i = 0; i < json_array_size(words); i++) {
		const char *word = json_string_value(json_array_get(words, i));
		enum rc rc =
		    word == NULL ? RC_INVALID : cloud_edit_leave(leave, word, may, arena, why);
		if (rc != RC_OK)
			return rc;
	}
	return RC_OK;
}

static enum rc edit_leave(
    void *ctx, struct arena *arena, struct cloud_policy *policy, struct errmsg *why)
{
	const struct leaving *leaving = ctx;
	enum rc rc = RC_OK;

	for (int t = 0; t < CLOUD_TRUSTS && rc == RC_OK; t++) {
		struct cloud_leave *leave = &policy->leave[t];
		if (leaving->trust != NULL &&
		    strcmp(leaving->trust, cloud_trust_word((enum cloud_trust)t)) != 0)
			continue;
		rc = edit_words(leave, json_object_get(leaving->root, "deny"), false, arena, why);
		if (rc == RC_OK && leaving->trust != NULL)
			rc = edit_words(
			    leave, json_object_get(leaving->root, "allow"), true, arena, why);
	}
	return rc;
}

/* What is given is of its kind, and says something. */
static bool leaving_good(const struct leaving *leaving, struct api_response *response)
{
	static const char *const lists[] = { "allow", "deny" };
	const json_t *trust = json_object_get(leaving->root, "trust");
	bool allows = json_array_size(json_object_get(leaving->root, "allow")) > 0;
	bool known = leaving->trust != NULL && (strcmp(leaving->trust, "home") == 0 ||
						   strcmp(leaving->trust, "outside") == 0);
	size_t words = 0;

	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		const json_t *list = json_object_get(leaving->root, lists[i]);
		if (list != NULL && !json_is_array(list)) {
			query_error(response, lists[i], "must be an array of words");
			return false;
		}
		words += json_array_size(list);
	}
	if (words == 0) {
		query_error(response, "allow", "allow or deny: at least one word is needed");
		return false;
	}
	if (known || ((trust == NULL || json_is_null(trust)) && !allows))
		return true;
	query_error(response, "trust", "home or outside");
	return false;
}

/* {"trust":"home"|"outside","allow":[…],"deny":[…]}; to deny, both where none is given. */
void handle_control_leave_post(struct station *station, const struct api_request *request,
    struct arena *arena, struct api_response *response)
{
	struct errmsg why = ERRMSG_INIT;

	json_t *root = read_object(request, response);
	if (root == NULL)
		return;
	struct leaving leaving = { .root = root,
		.trust = json_string_value(json_object_get(root, "trust")) };
	if (leaving_good(&leaving, response)) {
		bool allows = json_array_size(json_object_get(root, "allow")) > 0;
		enum rc rc =
		    cloud_place_edit(station_cloud(station), edit_leave, &leaving, arena, &why);
		respond(station, rc, &why, allows ? "cloud-allow" : "cloud-deny",
		    leaving.trust != NULL ? leaving.trust : "all", response);
	}
	json_decref(root);
}

static enum rc edit_rules(
    void *ctx, struct arena *arena, struct cloud_policy *policy, struct errmsg *why)
{
	const struct cloud_rule *rule = ctx;

	(void)arena;
	if (rule->to != NULL)
		return cloud_edit_rule(policy, rule, why);
	policy->rules_len = 0;
	return RC_OK;
}

/* {"to":NAME|"medium"|"large","when":…,"tokens":n}: one rule more; {"to":null}: none. */
void handle_control_route_post(struct station *station, const struct api_request *request,
    struct arena *arena, struct api_response *response)
{
	struct errmsg why = ERRMSG_INIT;

	json_t *root = read_object(request, response);
	if (root == NULL)
		return;
	const json_t *to = json_object_get(root, "to");
	const json_t *when = json_object_get(root, "when");
	const json_t *tokens = json_object_get(root, "tokens");
	struct cloud_rule rule = { .to = json_string_value(to),
		.tokens = json_integer_value(tokens) };
	if (!json_is_string(to) && !json_is_null(to)) {
		query_error(response, "to", "a name, medium, large, or null to end every rule");
	} else if (when != NULL && (json_string_value(when) == NULL ||
				       !cloud_when_parse(json_string_value(when), &rule.when))) {
		query_error(response, "when", "always, long or away");
	} else if (tokens != NULL && !json_is_integer(tokens)) {
		query_error(response, "tokens", "must be a whole number");
	} else {
		enum rc rc =
		    cloud_place_edit(station_cloud(station), edit_rules, &rule, arena, &why);
		respond(station, rc, &why, "cloud-route", "hearth", response);
	}
	json_decref(root);
}
