/*
 * POST /api/v1/forget: what a range, a layer or a source holds is gone for good.
 *
 * With "progress": true the answer is lines of JSON, the last of which is the
 * report; else the report alone.  A client that goes away in the middle does
 * not stop it: what was begun is finished.
 */
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "answer/pool.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/timestamp.h"
#include "gateway/catalogue.h"
#include "gateway/handlers.h"
#include "gateway/metric.h"
#include "gateway/nightly.h"
#include "gateway/query.h"
#include "gateway/station.h"
#include "gateway/station_copy.h"
#include "memory/book.h"
#include "store/store_forget.h"

#define BODY_BYTES_MAX ((size_t)64 << 10)
#define LINES_BYTES_MAX ((size_t)64 << 10)
#define OBJECT_BYTES 200
#define PROGRESS_NS (100 * NS_PER_MS)

struct forgetting {
	struct station *station;
	struct nightly *nightly; /* held; NULL */
	struct store_forget_run *run;
	struct store_forget what;
	int64_t device;
	struct buf lines;
	size_t sent;
	int64_t told_ns;
	struct buf backups; /* members of the report's list */
	bool done;
};

/* ---- the request ----------------------------------------------------------------- */

/* A destructive request is not guessed at: each member must be known. */
static bool check_members(json_t *root, struct api_response *response)
{
	static const char *const names[] = { "from", "to", "layer", "source", "dry_run",
		"progress" };
	const char *name = NULL;
	json_t *value = NULL;
	bool any = false;

	json_object_foreach(root, name, value)
	{
		size_t i = 0;
		while (i < sizeof(names) / sizeof(names[0]) && strcmp(names[i], name) != 0)
			i++;
		if (i == sizeof(names) / sizeof(names[0])) {
			query_error(response, name, "no such member");
			return false;
		}
		any = any || (i < 4 && !json_is_null(value));
	}
	if (!any)
		query_error(response, "from", "name a time, a layer or a source to forget");
	return any;
}

static bool read_time(
    const json_t *root, const char *name, int64_t *out, struct api_response *response)
{
	const json_t *value = json_object_get(root, name);

	if (value == NULL || json_is_null(value))
		return true;
	if (json_is_integer(value)) {
		*out = json_integer_value(value);
		return true;
	}
	if (json_is_string(value) && query_parse_time(json_string_value(value), out) == RC_OK)
		return true;
	query_error(response, name, "must be RFC 3339 or integer nanoseconds");
	return false;
}

/* "text" or "text,home". */
static bool read_layers(const json_t *root, unsigned *out, struct api_response *response)
{
	const json_t *value = json_object_get(root, "layer");
	const char *p = json_string_value(value);
	char word[32];

	if (value == NULL || json_is_null(value))
		return true;
	while (p != NULL) {
		size_t len = strcspn(p, ",");
		enum layer layer = 0;
		if (len < sizeof(word)) {
			memcpy(word, p, len);
			word[len] = '\0';
			layer = layer_parse(word);
		}
		if (layer == 0)
			break;
		*out |= LAYER_MASK(layer);
		if (p[len] == '\0')
			return true;
		p += len + 1;
	}
	query_error(response, "layer",
	    "known layers: text, visual, auditory, behaviour, environment, home");
	return false;
}

static bool read_flag(
    const json_t *root, const char *name, bool *out, struct api_response *response)
{
	const json_t *value = json_object_get(root, name);

	if (value != NULL && !json_is_boolean(value)) {
		query_error(response, name, "must be true or false");
		return false;
	}
	*out = json_is_true(value);
	return true;
}

/* Fill `what`; its source is copied into `arena`. */
static bool read_request(const struct api_request *request, struct arena *arena,
    struct store_forget *what, bool *dry_run, bool *progress, struct api_response *response)
{
	struct errmsg why = ERRMSG_INIT;

	json_t *root =
	    request->body_len > BODY_BYTES_MAX
		? NULL
		: json_loadb(request->body, request->body_len, JSON_REJECT_DUPLICATES, NULL);
	if (!json_is_object(root)) {
		json_decref(root);
		api_error(response, 400, "invalid_request_error", "invalid_json", NULL,
		    "the body must be one JSON object");
		return false;
	}
	const json_t *source = json_object_get(root, "source");
	bool ok = check_members(root, response) &&
		  read_time(root, "from", &what->from_ns, response) &&
		  read_time(root, "to", &what->to_ns, response) &&
		  read_layers(root, &what->layers, response) &&
		  read_flag(root, "dry_run", dry_run, response) &&
		  read_flag(root, "progress", progress, response);
	if (ok && source != NULL && !json_is_null(source)) {
		const char *text = json_string_value(source);
		what->source = text == NULL ? "" : arena_strdup(arena, text);
	}
	json_decref(root);
	if (ok && store_forget_check(what, &why) != RC_OK) {
		char name[16];
		size_t len = strcspn(why.text, ":");
		(void)snprintf(name, sizeof(name), "%.*s", (int)len, why.text);
		query_error(response, name, why.text[len] == ':' ? why.text + len + 2 : why.text);
		ok = false;
	}
	return ok;
}

/* ---- the answer --------------------------------------------------------------------- */

/* What was forgotten, without a name in it. */
static void audit(const struct forgetting *f, const struct store_forgotten *done)
{
	char from[TIMESTAMP_TEXT_BYTES], to[TIMESTAMP_TEXT_BYTES], object[OBJECT_BYTES];
	struct catalogue_audit line = { .at_ns = clock_utc_ns(),
		.device = f->device,
		.action = "forget",
		.object = object,
		.n = (int64_t)done->records };

	timestamp_format(f->what.from_ns, from);
	timestamp_format(f->what.to_ns, to);
	(void)snprintf(object, sizeof(object), "%s/%s%s%s", from, to,
	    f->what.layers != 0 ? " some layers" : "", f->what.source != NULL ? " one source" : "");
	if (catalogue_audit_add(station_catalogue(f->station), &line, NULL) != RC_OK)
		log_warn("FORGET-LEDGER", "seq=%" PRIu64, done->seq);
}

static void put_report(const struct forgetting *f, struct buf *out)
{
	const struct store_forgotten *done = store_forget_result(f->run);

	buf_printf(out,
	    "{\"forgotten\":%" PRIu64 ",\"resealed\":%" PRIu64 ",\"keys\":%" PRIu64
	    ",\"cursor\":%" PRIu64 ",\"backups\":[%s]}\n",
	    done->records, done->resealed, done->keys, done->seq, buf_text(&f->backups));
}

/* One backup's fate: what it held of it is gone, or why it keeps it. */
static void tell_backup(void *ctx, const char *path, enum rc rc, const struct errmsg *why)
{
	struct forgetting *f = ctx;
	struct buf *out = &f->backups;

	buf_puts(out, out->len > 0 ? ",{\"path\":" : "{\"path\":");
	buf_json_string(out, path, strlen(path));
	buf_puts(out, rc == RC_OK ? ",\"follows\":true" : ",\"follows\":false,\"error\":");
	if (rc != RC_OK)
		buf_json_string(out, errmsg_text(why, rc), strlen(errmsg_text(why, rc)));
	buf_putc(out, '}');
}

/* Backups within reach hold it no longer than we do; the others are named. */
static void refresh_backups(struct forgetting *f)
{
	struct errmsg why = ERRMSG_INIT;

	enum rc rc = station_backup_refresh(f->station, tell_backup, f, &why);
	if (rc != RC_OK)
		log_warn("FORGET-BACKUPS", "rc=%s why=%s", rc_word(rc), errmsg_text(&why, rc));
}

/* One step; at the end the ledger. */
static enum rc step(struct forgetting *f, struct errmsg *why)
{
	enum rc rc = store_forget_step(f->run, &f->done, why);

	if (rc == RC_OK && f->done) {
		audit(f, store_forget_result(f->run));
		metric_add(METRIC_FORGOTTEN, store_forget_result(f->run)->records);
		if (station_pool(f->station) != NULL)
			pool_forget(station_pool(f->station));
		refresh_backups(f);
		/* Nor in memory: what is read anew next time may be read anew now. */
		if (book_refresh(station_book(f->station), NULL) != RC_OK)
			log_warn("FORGET-BOOK", "seq=%" PRIu64, store_forget_result(f->run)->seq);
	}
	return rc;
}

static void forgetting_free(void *ctx)
{
	struct forgetting *f = ctx;
	enum rc rc = RC_OK;

	while (f->run != NULL && !f->done && rc == RC_OK && !station_stopping(f->station))
		rc = step(f, NULL);
	if (f->run != NULL && !f->done)
		log_error("FORGET-UNFINISHED", "seq=%" PRIu64 " rc=%s",
		    store_forget_result(f->run)->seq, rc_word(rc));
	store_forget_end(f->run);
	book_release(station_book(f->station));
	if (f->nightly != NULL)
		nightly_release(f->nightly);
	buf_fini(&f->lines);
	buf_fini(&f->backups);
	free(f);
}

static void put_progress(struct forgetting *f)
{
	const struct store_forgotten *so_far = store_forget_result(f->run);
	int64_t now_ns = clock_mono_ns();

	if (now_ns - f->told_ns < PROGRESS_NS)
		return;
	f->told_ns = now_ns;
	buf_printf(&f->lines, "{\"looked\":%" PRIu64 ",\"of\":%" PRIu64 "}\n", so_far->looked,
	    so_far->total);
}

static long pull(void *ctx, char *out, size_t max)
{
	struct forgetting *f = ctx;
	struct errmsg why = ERRMSG_INIT;

	if (f->sent == f->lines.len) {
		if (f->done)
			return API_PULL_END;
		buf_reset(&f->lines);
		f->sent = 0;
		enum rc rc = step(f, &why);
		if (rc != RC_OK)
			return API_PULL_FAIL;
		if (f->done)
			put_report(f, &f->lines);
		else
			put_progress(f);
		if (buf_rc(&f->lines) != RC_OK)
			return API_PULL_FAIL;
	}
	size_t n = f->lines.len - f->sent;
	if (n > max)
		n = max;
	if (n > 0)
		memcpy(out, f->lines.bytes + f->sent, n);
	f->sent += n;
	return (long)n;
}

static void count_only(
    struct station *station, const struct store_forget *what, struct api_response *response)
{
	struct errmsg why = ERRMSG_INIT;
	uint64_t records = 0;

	enum rc rc = store_forget_count(station_store(station), what, &records, &why);
	if (rc != RC_OK)
		api_error_rc(response, rc, NULL, &why);
	else
		buf_printf(
		    &response->body, "{\"forgotten\":%" PRIu64 ",\"dry_run\":true}\n", records);
}

void handle_forget_post(struct station *station, const struct api_request *request,
    struct arena *arena, struct api_response *response)
{
	struct store_forget what = { .from_ns = OBS_TIME_MIN_NS, .to_ns = OBS_TIME_MAX_NS };
	struct errmsg why = ERRMSG_INIT;
	bool dry_run = false, progress = false;

	if (!read_request(request, arena, &what, &dry_run, &progress, response))
		return;
	if (what.source != NULL && strcmp(what.source, OBS_SOURCE_MEMORY) == 0 &&
	    !handle_is_owners(request)) {
		api_error(response, 403, "permission_error", "owner_only", "source",
		    "memory is forgotten with the owner's token alone");
		return;
	}
	if (dry_run) {
		count_only(station, &what, response);
		return;
	}
	struct forgetting *f = calloc(1, sizeof(*f));
	if (f == NULL) {
		api_error_rc(response, RC_NOMEM, NULL, NULL);
		return;
	}
	f->station = station;
	f->nightly = station_nightly(station);
	if (f->nightly != NULL)
		nightly_hold(f->nightly);
	book_hold(station_book(station));
	f->what = what;
	f->device = request->peer == API_PEER_CONTROL ? -1 : request->device;
	buf_init(&f->lines, LINES_BYTES_MAX);
	buf_init(&f->backups, LINES_BYTES_MAX / 2);
	enum rc rc = store_forget_begin(station_store(station), &what, &f->run, &why);
	if (rc == RC_OK && progress) {
		response->content_type = "application/x-ndjson";
		response->pull = pull;
		response->pull_ctx = f;
		response->pull_free = forgetting_free;
		return;
	}
	while (rc == RC_OK && !f->done)
		rc = step(f, &why);
	if (rc != RC_OK)
		api_error_rc(response, rc, NULL, &why);
	else
		put_report(f, &response->body);
	forgetting_free(f);
}
