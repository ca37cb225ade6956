/*
 * /control/…: what the operator does to a node, through the control socket or
 * in-process; never reachable with a token, but for the ledger, which the owner reads
 * as /api/v1/audit.
 */
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "answer/pool.h"
#include "base/clock.h"
#include "base/timestamp.h"
#include "base/wipe.h"
#include "gateway/auth.h"
#include "gateway/catalogue.h"
#include "gateway/handlers.h"
#include "gateway/query.h"
#include "gateway/station.h"
#include "store/store.h"
#include "wire/key.h"

#define BODY_BYTES_MAX ((size_t)64 << 10)
#define AUDIT_LINES 1000

static void put_string(struct buf *out, const char *name, const char *text)
{
	buf_printf(out, "\"%s\":", name);
	buf_json_string(out, text, strlen(text));
}

static void put_time(struct buf *out, const char *name, int64_t ns)
{
	char text[TIMESTAMP_TEXT_BYTES];

	timestamp_format(ns, text);
	if (ns == 0)
		buf_printf(out, "\"%s\":null", name);
	else
		buf_printf(out, "\"%s\":\"%s\"", name, text);
}

/* The body as a JSON object, or NULL and a 400. */
static json_t *read_object(const struct api_request *request, struct api_response *response)
{
	json_error_t error;

	json_t *root = request->body_len > BODY_BYTES_MAX
			   ? NULL
			   : json_loadb(request->body != NULL ? request->body : "",
				 request->body_len, JSON_REJECT_DUPLICATES, &error);
	if (root != NULL && json_is_object(root))
		return root;
	json_decref(root);
	api_error(response, 400, "invalid_request_error", "invalid_json", NULL,
	    "the body must be one JSON object");
	return NULL;
}

/* A required text field; NULL and a 400 without it. */
static const char *read_text(const json_t *root, const char *name, struct api_response *response)
{
	const char *text = json_string_value(json_object_get(root, name));

	if (text == NULL || text[0] == 0) {
		query_error(response, name, "a text is needed");
		return NULL;
	}
	return text;
}

static void audit(struct station *station, const char *action, const char *object)
{
	struct catalogue_audit line = {
		.at_ns = clock_utc_ns(), .device = -1, .action = action, .object = object, .n = 1
	};

	/* The act is done; a ledger that cannot be written shows in verify. */
	enum rc ignored = catalogue_audit_add(station_catalogue(station), &line, NULL);
	(void)ignored;
}

/* ---- compute nodes ----------------------------------------------------------- */

/* "tcp://HOST:PORT" */
static bool address_valid(const char *address)
{
	if (strncmp(address, "tcp://", 6) != 0)
		return false;
	const char *host = address + 6;
	const char *colon = strrchr(host, ':');
	if (colon == NULL || colon == host)
		return false;
	size_t digits = strspn(colon + 1, "0123456789");
	unsigned long port =
	    digits > 0 && digits < 6 && colon[1 + digits] == 0 ? strtoul(colon + 1, NULL, 10) : 0;
	for (const char *p = host; p < colon; p++) {
		if ((unsigned char)*p <= ' ' || (unsigned char)*p >= 0x7F || *p == '/')
			return false;
	}
	return port > 0 && port < 65536;
}

void handle_control_compute_get(struct station *station, const struct api_request *request,
    struct arena *arena, struct api_response *response)
{
	struct catalogue_compute *known = NULL;
	struct errmsg why = ERRMSG_INIT;
	struct pool_node *nodes = NULL;
	struct buf *out = &response->body;
	size_t len = 0, nodes_len = 0;

	(void)request;
	enum rc rc = catalogue_compute_list(station_catalogue(station), arena, &known, &len, &why);
	if (rc == RC_OK && station_pool(station) != NULL)
		rc = pool_list(station_pool(station), arena, &nodes, &nodes_len);
	if (rc != RC_OK) {
		api_error_rc(response, rc, NULL, &why);
		return;
	}
	buf_puts(out, "{\"compute\":[");
	for (size_t i = 0; i < len; i++) {
		char key[WIRE_KEY_TEXT_BYTES];
		const char *state = "not-dialled";
		const char *drain = known[i].drained_ns != 0 ? "drained" : NULL;
		for (size_t j = 0; j < nodes_len; j++) {
			if (strcmp(nodes[j].name, known[i].name) != 0)
				continue;
			state = handle_link_word((int)nodes[j].state);
			drain = handle_drain_word(&nodes[j]);
		}
		wire_key_format(known[i].public_key, key);
		buf_puts(out, i > 0 ? ",{" : "{");
		put_string(out, "name", known[i].name);
		buf_putc(out, ',');
		put_string(out, "address", known[i].address);
		buf_printf(out, ",\"public_key\":\"%s\",\"state\":\"%s\",", key, state);
		put_time(out, "added", known[i].added_ns);
		if (drain != NULL)
			buf_printf(out, ",\"drain\":\"%s\"", drain);
		buf_putc(out, '}');
	}
	buf_puts(out, "]}\n");
}

static void add_compute(
    struct station *station, const struct catalogue_compute *node, struct api_response *response)
{
	struct errmsg why = ERRMSG_INIT;

	enum rc rc = catalogue_compute_add(station_catalogue(station), node, &why);
	if (rc == RC_OK && station_pool(station) != NULL) {
		rc = pool_add(
		    station_pool(station), node->name, node->address, node->public_key, &why);
		if (rc != RC_OK) {
			enum rc undone =
			    catalogue_compute_remove(station_catalogue(station), node->name, NULL);
			(void)undone;
		}
	}
	if (rc != RC_OK) {
		api_error_rc(response, rc, NULL, &why);
		return;
	}
	audit(station, "compute-add", node->name);
	buf_putc(&response->body, '{');
	put_string(&response->body, "name", node->name);
	buf_puts(&response->body, "}\n");
}

void handle_control_compute_post(struct station *station, const struct api_request *request,
    struct arena *arena, struct api_response *response)
{
	struct catalogue_compute node = { .added_ns = clock_utc_ns() };

	(void)arena;
	json_t *root = read_object(request, response);
	if (root == NULL)
		return;
	node.name = read_text(root, "name", response);
	node.address = node.name != NULL ? read_text(root, "address", response) : NULL;
	const char *key = node.address != NULL ? read_text(root, "public_key", response) : NULL;
	if (key == NULL)
		goto out;
	if (!catalogue_name_valid(node.name))
		query_error(
		    response, "name", "1 to 64 letters, digits, '.', '_' or '-' are allowed");
	else if (!address_valid(node.address))
		query_error(response, "address", "must read tcp://HOST:PORT");
	else if (wire_key_parse(key, node.public_key, NULL) != RC_OK)
		query_error(response, "public_key",
		    "must be 64 hex digits, as `compute-node init` prints them");
	else
		add_compute(station, &node, response);
out:
	json_decref(root);
}

void handle_control_compute_delete(struct station *station, const struct api_request *request,
    struct arena *arena, struct api_response *response)
{
	const char *name = api_param(request, "name");
	struct errmsg why = ERRMSG_INIT;

	(void)arena;
	enum rc rc = name == NULL
			 ? RC_NOTFOUND
			 : catalogue_compute_remove(station_catalogue(station), name, &why);
	if (rc != RC_OK) {
		api_error_rc(response, rc, "name", &why);
		return;
	}
	if (station_pool(station) != NULL) {
		/* Not there means that it was never dialled: nothing to undo. */
		enum rc gone = pool_remove(station_pool(station), name);
		(void)gone;
	}
	audit(station, "compute-remove", name);
	buf_puts(&response->body, "{}\n");
}

static void drain(struct station *station, const struct api_request *request, bool drains,
    struct api_response *response)
{
	const char *name = api_param(request, "name");
	struct errmsg why = ERRMSG_INIT;

	enum rc rc = name == NULL ? RC_NOTFOUND
				  : catalogue_compute_drain(station_catalogue(station), name,
					drains ? clock_utc_ns() : 0, &why);
	if (rc == RC_OK && station_pool(station) != NULL)
		rc = pool_drain(station_pool(station), name, drains);
	if (rc != RC_OK) {
		api_error_rc(response, rc, "name", &why);
		return;
	}
	audit(station, drains ? "compute-drain" : "compute-undrain", name);
	buf_puts(&response->body, "{}\n");
}

void handle_control_drain_post(struct station *station, const struct api_request *request,
    struct arena *arena, struct api_response *response)
{
	(void)arena;
	drain(station, request, true, response);
}

void handle_control_drain_delete(struct station *station, const struct api_request *request,
    struct arena *arena, struct api_response *response)
{
	(void)arena;
	drain(station, request, false, response);
}

/* ---- devices ----------------------------------------------------------------- */

static void put_layers(struct buf *out, unsigned layers)
{
	bool any = false;

	buf_puts(out, "\"layers\":[");
	for (unsigned l = 1; l <= LAYER_COUNT; l++) {
		if ((layers & LAYER_MASK(l)) == 0)
			continue;
		buf_printf(out, "%s\"%s\"", any ? "," : "", layer_word((enum layer)l));
		any = true;
	}
	buf_putc(out, ']');
}

void handle_control_devices_get(struct station *station, const struct api_request *request,
    struct arena *arena, struct api_response *response)
{
	struct catalogue_device *devices = NULL;
	struct errmsg why = ERRMSG_INIT;
	struct buf *out = &response->body;
	size_t len = 0;

	(void)request;
	enum rc rc = catalogue_device_list(station_catalogue(station), arena, &devices, &len, &why);
	if (rc != RC_OK) {
		api_error_rc(response, rc, NULL, &why);
		return;
	}
	buf_puts(out, "{\"devices\":[");
	for (size_t i = 0; i < len; i++) {
		const struct catalogue_device *d = &devices[i];
		buf_printf(out, "%s{\"id\":%" PRId64 ",", i > 0 ? "," : "", d->id);
		put_string(out, "name", d->name);
		buf_putc(out, ',');
		put_layers(out, d->layers);
		buf_putc(out, ',');
		put_time(out, "created", d->created_ns);
		buf_putc(out, ',');
		put_time(out, "revoked", d->revoked_ns);
		buf_putc(out, ',');
		put_time(out, "last_seen", d->last_seen_ns);
		if (d->error_ns > 0)
			buf_printf(
			    out, ",\"error_s\":%.3f", (double)d->error_ns / (double)NS_PER_S);
		buf_putc(out, '}');
	}
	buf_puts(out, "]}\n");
}

/* "layers": absent, or a list of layer words. */
static bool read_layers(const json_t *root, unsigned *out, struct api_response *response)
{
	const json_t *list = json_object_get(root, "layers");
	const json_t *item = NULL;
	size_t i = 0;

	if (list == NULL || json_is_null(list))
		return true;
	json_array_foreach(list, i, item)
	{
		const char *word = json_string_value(item);
		enum layer layer = word != NULL ? layer_parse(word) : 0;
		if (layer == 0) {
			query_error(response, "layers",
			    "known layers: text, visual, auditory, behaviour, environment, home");
			return false;
		}
		*out |= LAYER_MASK(layer);
	}
	if (!json_is_array(list)) {
		query_error(response, "layers", "must be a list");
		return false;
	}
	return true;
}

/* "error_s": absent, or how far its times may be off. */
static bool read_error(const json_t *root, int64_t *out, struct api_response *response)
{
	const json_t *value = json_object_get(root, "error_s");
	double seconds = json_number_value(value);

	if (value == NULL || json_is_null(value))
		return true;
	if (!json_is_number(value) || !(seconds >= 0.001 && seconds <= 86400)) {
		query_error(response, "error_s", "0.001 to 86400 seconds are allowed");
		return false;
	}
	*out = (int64_t)(seconds * (double)NS_PER_S);
	return true;
}

void handle_control_devices_post(struct station *station, const struct api_request *request,
    struct arena *arena, struct api_response *response)
{
	uint8_t hash[AUTH_HASH_BYTES];
	char token[AUTH_TOKEN_TEXT_BYTES];
	struct errmsg why = ERRMSG_INIT;
	unsigned layers = 0;
	int64_t id = 0, error_ns = 0;

	(void)arena;
	json_t *root = read_object(request, response);
	if (root == NULL)
		return;
	const char *name = read_text(root, "name", response);
	if (name == NULL || !read_layers(root, &layers, response) ||
	    !read_error(root, &error_ns, response))
		goto out;
	auth_token_new(token);
	auth_token_hash(station_auth(station), token, hash);
	enum rc rc = catalogue_device_add(
	    station_catalogue(station), name, layers, hash, clock_utc_ns(), &id, &why);
	if (rc == RC_OK && error_ns > 0)
		rc = catalogue_device_error(station_catalogue(station), id, error_ns, &why);
	if (rc == RC_OK)
		rc = auth_reload(station_auth(station), &why);
	if (rc != RC_OK) {
		api_error_rc(response, rc, "name", &why);
		goto out;
	}
	audit(station, "device-add", name);
	buf_printf(&response->body, "{\"id\":%" PRId64 ",", id);
	put_string(&response->body, "name", name);
	buf_printf(&response->body, ",\"token\":\"%s\",", token);
	put_string(&response->body, "url", station_url(station));
	buf_putc(&response->body, ',');
	if (station_pin(station)[0] != 0) {
		put_string(&response->body, "pin", station_pin(station));
		buf_putc(&response->body, ',');
	}
	put_layers(&response->body, layers);
	buf_puts(&response->body, "}\n");
out:
	wipe(token, sizeof(token));
	json_decref(root);
}

void handle_control_devices_delete(struct station *station, const struct api_request *request,
    struct arena *arena, struct api_response *response)
{
	const char *name = api_param(request, "name");
	struct errmsg why = ERRMSG_INIT;

	(void)arena;
	enum rc rc = name == NULL ? RC_NOTFOUND
				  : catalogue_device_revoke(
					station_catalogue(station), name, clock_utc_ns(), &why);
	if (rc == RC_OK)
		rc = auth_reload(station_auth(station), &why);
	if (rc != RC_OK) {
		api_error_rc(response, rc, "name", &why);
		return;
	}
	audit(station, "device-revoke", name);
	buf_puts(&response->body, "{}\n");
}

/* ---- the ledger ---------------------------------------------------- */

void handle_control_audit_get(struct station *station, const struct api_request *request,
    struct arena *arena, struct api_response *response)
{
	struct catalogue_audit *lines = NULL;
	struct errmsg why = ERRMSG_INIT;
	struct buf *out = &response->body;
	const char *of = api_param(request, "of");
	int64_t limit = 100;
	size_t len = 0;

	if (!query_int(request, "limit", 1, AUDIT_LINES, &limit, response))
		return;
	if (of != NULL && strcmp(of, "cloud") != 0) {
		query_error(response, "of", "cloud, or leave it out");
		return;
	}
	enum rc rc = catalogue_audit_list(
	    station_catalogue(station), of != NULL, (size_t)limit, arena, &lines, &len, &why);
	if (rc != RC_OK) {
		api_error_rc(response, rc, NULL, &why);
		return;
	}
	buf_puts(out, "{\"audit\":[");
	for (size_t i = 0; i < len; i++) {
		buf_puts(out, i > 0 ? ",{" : "{");
		put_time(out, "at", lines[i].at_ns);
		buf_printf(
		    out, ",\"device\":%" PRId64 ",\"n\":%" PRId64 ",", lines[i].device, lines[i].n);
		put_string(out, "action", lines[i].action);
		buf_putc(out, ',');
		put_string(out, "object", lines[i].object);
		buf_putc(out, ',');
		put_string(out, "who", lines[i].who);
		buf_putc(out, '}');
	}
	buf_puts(out, "]}\n");
}
