/*
 * /api/v1/memory: what is known about the person, read and changed.
 *
 * Reading is for every token that is not limited to sending; changing, and reading and
 * deciding about proposals, for the owner alone (router.c).  Proposing is for agents.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/hex.h"
#include "base/log.h"
#include "base/timestamp.h"
#include "gateway/catalogue.h"
#include "gateway/handlers.h"
#include "gateway/memory_body.h"
#include "gateway/query.h"
#include "gateway/station.h"
#include "memory/change.h"
#include "memory/proposal.h"

#define OBJECT_BYTES 40

static const char *const state_words[] = {
	[FACT_STATE_HOLDS] = "holds",
	[FACT_STATE_PROPOSED] = "proposed",
	[FACT_STATE_REFUSED] = "refused",
	[FACT_STATE_ENDED] = "ended",
	[FACT_STATE_SUPERSEDED] = "superseded",
};

static int32_t zone_offset(const void *ctx, int64_t utc_ns)
{
	return station_time_offset(ctx, utc_ns);
}

static struct markdown_zone zone_of(const struct station *station)
{
	return (struct markdown_zone){ .offset_s = zone_offset, .ctx = station };
}

/* ---- as JSON ------------------------------------------------------------------------- */

static void put_text(struct buf *out, const char *name, const char *text)
{
	buf_printf(out, ",\"%s\":", name);
	buf_json_string(out, text, strlen(text));
}

/* null for a time that says nothing. */
static void put_time(struct buf *out, const char *name, int64_t ns, int64_t nothing_ns)
{
	char text[TIMESTAMP_TEXT_BYTES];

	timestamp_format(ns, text);
	if (ns == nothing_ns)
		buf_printf(out, ",\"%s\":null", name);
	else
		buf_printf(out, ",\"%s\":\"%s\"", name, text);
}

static void put_about(struct buf *out, const struct fact *fact)
{
	char id[2 * OBS_ID_BYTES + 1];

	buf_puts(out, ",\"about\":[");
	for (size_t i = 0; i < fact->about_len; i++) {
		hex_encode(fact->about[i], OBS_ID_BYTES, id);
		buf_printf(out, "%s\"%s\"", i > 0 ? "," : "", id);
	}
	buf_putc(out, ']');
}

/* Which of what holds would end if this one were accepted: there is but one of its attribute. */
static void put_replaced(
    struct buf *out, const struct book_entry *entry, const struct book_view *holds)
{
	bool any = false;

	buf_puts(out, ",\"replaces\":[");
	for (size_t i = 0; i < holds->len && entry->slot_key[0] != '\0'; i++) {
		if (strcmp(holds->entries[i].slot_key, entry->slot_key) != 0)
			continue;
		buf_printf(
		    out, "%s\"f%" PRIu64 "\"", any ? "," : "", holds->entries[i].fact.number);
		any = true;
	}
	buf_putc(out, ']');
}

/* `holds`: of a proposal, what holds; else NULL. */
static void put_entry(
    struct buf *out, const struct book_entry *entry, const struct book_view *holds)
{
	const struct fact *fact = &entry->fact;
	char id[2 * OBS_ID_BYTES + 1];

	hex_encode(entry->obs_id, OBS_ID_BYTES, id);
	buf_printf(out, "{\"id\":\"f%" PRIu64 "\",\"obs_id\":\"%s\",\"state\":\"%s\"", fact->number,
	    id, state_words[entry->state]);
	put_text(out, "class", fact_class_word(fact->class));
	put_text(out, "subject", fact->subject);
	put_text(out, "attribute", fact->attribute);
	put_text(out, "text", fact->text);
	put_time(out, "valid_from", entry->from_ns, FACT_ALWAYS_FROM_NS);
	put_time(out, "valid_to", entry->to_ns, FACT_ALWAYS_TO_NS);
	put_time(out, "learned", fact->learned_ns, INT64_MIN);
	put_time(out, "changed", entry->changed_ns, 0);
	if (entry->next != 0)
		buf_printf(out, ",\"superseded_by\":\"f%" PRIu64 "\"", entry->next);
	put_text(out, "by", fact_by_word(fact->by));
	put_text(out, "who", fact->who);
	put_about(out, fact);
	if (holds != NULL)
		put_replaced(out, entry, holds);
	buf_putc(out, '}');
}

static void put_view(
    const struct book_view *view, const char *name, const struct book_view *holds, struct buf *out)
{
	buf_printf(out, "{\"%s\":[", name);
	for (size_t i = 0; i < view->len; i++) {
		if (i > 0)
			buf_putc(out, ',');
		put_entry(out, &view->entries[i], holds);
	}
	buf_puts(out, "]}\n");
}

/* ---- reading -------------------------------------------------------------------------- */

/* format=json (as it is without), or markdown. */
static bool read_format(
    const struct api_request *request, bool *markdown, struct api_response *response)
{
	const char *format = api_param(request, "format");

	*markdown = format != NULL && strcmp(format, "markdown") == 0;
	if (format == NULL || *markdown || strcmp(format, "json") == 0)
		return true;
	query_error(response, "format", "json or markdown");
	return false;
}

static bool read_query(
    const struct api_request *request, struct book_query *query, struct api_response *response)
{
	const char *history = api_param(request, "history"), *id = api_param(request, "id");
	bool given = false;

	/* What waits for the owner, and what they refused, is nobody else's to read. */
	*query = (struct book_query){
		.holds = true, .at_ns = clock_utc_ns(), .decided = !handle_is_owners(request)
	};
	if (!query_time(request, "as_of", &query->at_ns, &given, response))
		return false;
	if (history != NULL && strcmp(history, "1") != 0) {
		query_error(response, "history", "1, or leave it out");
		return false;
	}
	if (id != NULL && !memory_body_id(id, &query->number)) {
		query_error(response, "id", "the number of a fact, such as f12");
		return false;
	}
	if (history != NULL || id != NULL)
		query->holds = false;
	return true;
}

void handle_memory_get(struct station *station, const struct api_request *request,
    struct arena *arena, struct api_response *response)
{
	const struct markdown_zone zone = zone_of(station);
	struct errmsg why = ERRMSG_INIT;
	struct markdown_base base;
	struct book_query query;
	struct book_view view;
	bool markdown = false;

	if (!read_format(request, &markdown, response) || !read_query(request, &query, response))
		return;
	if (markdown && !query.holds) {
		query_error(response, "format", "history is JSON");
		return;
	}
	enum rc rc = book_read(station_book(station), &query, arena, &view, &why);
	if (rc != RC_OK) {
		api_error_rc(response, rc, NULL, &why);
	} else if (markdown) {
		response->content_type = "text/markdown; charset=utf-8";
		markdown_base_of(station_store(station), &view, query.at_ns, &base);
		markdown_write(&view, &base, &zone, &response->body);
	} else {
		put_view(&view, "facts", NULL, &response->body);
	}
}

void handle_memory_proposals_get(struct station *station, const struct api_request *request,
    struct arena *arena, struct api_response *response)
{
	const struct book_query waiting = { .proposals = true };
	const struct book_query holding = { .holds = true, .at_ns = clock_utc_ns() };
	struct errmsg why = ERRMSG_INIT;
	struct book_view view, holds;

	(void)request;
	enum rc rc = book_read(station_book(station), &waiting, arena, &view, &why);
	if (rc == RC_OK)
		rc = book_read(station_book(station), &holding, arena, &holds, &why);
	if (rc != RC_OK)
		api_error_rc(response, rc, NULL, &why);
	else
		put_view(&view, "proposals", &holds, &response->body);
}

/* ---- changing ------------------------------------------------------------------------- */

/* The ledger's line: how many, never what.  What was changed stands without it. */
static void audit(struct station *station, const struct api_request *request, const char *action,
    const char *object, size_t n)
{
	const struct catalogue_audit line = { .at_ns = clock_utc_ns(),
		.device = request->peer == API_PEER_CONTROL ? -1 : request->device,
		.action = action,
		.object = object,
		.n = (int64_t)n };

	enum rc rc = catalogue_audit_add(station_catalogue(station), &line, NULL);
	if (rc != RC_OK)
		log_warn("MEMORY-LEDGER", "action=%s n=%zu rc=%s", action, n, rc_word(rc));
}

void handle_memory_put(struct station *station, const struct api_request *request,
    struct arena *arena, struct api_response *response)
{
	const struct markdown_zone zone = zone_of(station);
	struct change_counts counts = { 0 };
	struct errmsg why = ERRMSG_INIT;

	(void)arena;
	if (request->body_len > MARKDOWN_BYTES_MAX) {
		api_error(response, 413, "invalid_request_error", "body_too_large", NULL,
		    "more than 8 MiB of Markdown");
		return;
	}
	enum rc rc =
	    memory_change(station_book(station), request->body != NULL ? request->body : "",
		request->body_len, &zone, clock_utc_ns(), &counts, &why);
	size_t changed = counts.added + counts.superseded + counts.ended;
	if (rc == RC_OK && changed > 0)
		audit(station, request, "memory-change", "", changed);
	if (rc != RC_OK)
		api_error_rc(response, rc, NULL, &why);
	else
		buf_printf(&response->body,
		    "{\"added\":%zu,\"superseded\":%zu,\"ended\":%zu,\"unchanged\":%zu}\n",
		    counts.added, counts.superseded, counts.ended, counts.unchanged);
}

/* Who proposes: the device's name; the owner and the operator are called so. */
static enum rc find_who(struct station *station, const struct api_request *request,
    struct arena *arena, const char **out, struct errmsg *why)
{
	struct catalogue_device *devices = NULL;
	size_t len = 0;

	*out = request->peer == API_PEER_CONTROL ? "operator" : "owner";
	if (handle_is_owners(request))
		return RC_OK;
	enum rc rc = catalogue_device_list(station_catalogue(station), arena, &devices, &len, why);
	for (size_t i = 0; i < len; i++) {
		const char *name = devices[i].name;
		if (devices[i].id == request->device)
			*out = fact_line_is_good(name, strlen(name), FACT_WHO_BYTES_MAX) ? name
											 : "device";
	}
	return rc;
}

void handle_memory_proposals_post(struct station *station, const struct api_request *request,
    struct arena *arena, struct api_response *response)
{
	struct errmsg why = ERRMSG_INIT;
	struct fact fact = { .class = 0 };
	uint64_t number = 0;

	if (!memory_body_proposal(request, arena, &fact, response))
		return;
	fact.learned_ns = clock_utc_ns();
	enum rc rc = find_who(station, request, arena, &fact.who, &why);
	if (rc == RC_OK)
		rc = memory_propose(station_book(station), &fact, &number, &why);
	if (rc != RC_OK)
		api_error_rc(response, rc, NULL, &why);
	else
		buf_printf(&response->body, "{\"proposed\":[{\"id\":\"f%" PRIu64 "\"}]}\n", number);
}

void handle_memory_change_post(struct station *station, const struct api_request *request,
    struct arena *arena, struct api_response *response)
{
	struct errmsg why = ERRMSG_INIT;
	struct memory_body_edit body;
	uint64_t number = 0;

	if (!memory_body_edit(request, arena, &body, response))
		return;
	enum rc rc = memory_edit(station_book(station), &body.edit, clock_utc_ns(), &number, &why);
	if (rc == RC_OK)
		audit(station, request, "memory-change", "", 1);
	const bool stands = rc == RC_EXISTS || rc == RC_NOTFOUND; /* else the message names it */
	if (rc != RC_OK)
		api_error_rc(response, rc,
		    !stands                     ? NULL
		    : body.edit.how == EDIT_ADD ? "text"
						: "id",
		    &why);
	else
		buf_printf(&response->body, "{\"id\":\"f%" PRIu64 "\"}\n", number);
}

static void decide(struct station *station, const struct api_request *request, bool accept,
    struct api_response *response)
{
	char object[OBJECT_BYTES];
	struct errmsg why = ERRMSG_INIT;
	struct memory_body_decision body;

	if (!memory_body_decision(request, &body, response))
		return;
	(void)snprintf(object, sizeof object, "f%" PRIu64, body.number);
	enum rc rc = memory_decide(station_book(station), body.number, accept,
	    body.has_seen ? &body.seen : NULL, clock_utc_ns(), &why);
	if (rc == RC_OK)
		audit(station, request, accept ? "memory-accept" : "memory-refuse", object, 1);
	if (rc != RC_OK)
		api_error_rc(response, rc, rc == RC_EXISTS ? "replaces" : NULL, &why);
	else
		buf_printf(&response->body, "{\"id\":\"%s\",\"%s\":true}\n", object,
		    accept ? "accepted" : "refused");
}

void handle_memory_accept_post(struct station *station, const struct api_request *request,
    struct arena *arena, struct api_response *response)
{
	(void)arena;
	decide(station, request, true, response);
}

void handle_memory_refuse_post(struct station *station, const struct api_request *request,
    struct arena *arena, struct api_response *response)
{
	(void)arena;
	decide(station, request, false, response);
}

enum rc handle_memory_status(struct station *station, struct buf *out, struct errmsg *why)
{
	struct book_stats stats;

	enum rc rc = book_get_stats(station_book(station), clock_utc_ns(), &stats, why);
	if (rc == RC_OK)
		buf_printf(out, ",\"memory\":{\"facts\":%zu,\"proposals\":%zu}", stats.holds,
		    stats.proposals);
	return rc;
}
