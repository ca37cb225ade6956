/*
 * Ingest body: many events to one commit.
 *
 * The body is cut into texts of single events first (by line or by bracket),
 * so that one bad event costs itself only and memory stays near one event's.
 */
#include <stdlib.h>
#include <string.h>

#include "ingest/ingest_internal.h"
#include "store/store_blob.h"

#define PARSE_ARENA_BYTES ((size_t)384 << 20)

struct batch {
	const struct ingest_context *ctx;
	struct arena *arena;     /* the report's */
	struct arena parsed;     /* the observations' */
	struct observation *obs; /* [obs_len] */
	size_t obs_len, obs_cap;
	size_t seen;      /* events in the body so far */
	size_t json_seen; /* of them, those that were JSON at all */
	struct ingest_report *report;
};

static enum rc batch_reject(struct batch *b, const struct ingest_error *error)
{
	struct ingest_report *report = b->report;

	report->rejected++;
	if (report->errors_len >= INGEST_ERRORS_MAX)
		return RC_OK;
	if (report->errors == NULL)
		report->errors =
		    arena_array(b->arena, INGEST_ERRORS_MAX, sizeof(report->errors[0]));
	if (report->errors == NULL)
		return RC_NOMEM;
	report->errors[report->errors_len] = *error;
	report->errors[report->errors_len++].index = b->seen;
	return RC_OK;
}

static enum rc batch_reserve(struct batch *b)
{
	if (b->obs_len < b->obs_cap)
		return RC_OK;
	size_t cap = b->obs_cap == 0 ? 64 : b->obs_cap * 2;
	struct observation *obs = realloc(b->obs, cap * sizeof(*obs));
	if (obs == NULL)
		return RC_NOMEM;
	b->obs = obs;
	b->obs_cap = cap;
	return RC_OK;
}

static enum rc batch_add(struct batch *b, const char *text, size_t len, struct errmsg *why)
{
	struct ingest_error error = { 0 };
	bool is_json;

	if (b->seen >= INGEST_EVENTS_MAX)
		return errmsg_rc(
		    why, RC_LIMIT, "more than %zu events in one body", INGEST_EVENTS_MAX);
	enum rc rc = batch_reserve(b);
	if (rc != RC_OK)
		return rc;
	rc =
	    ingest_event_read(b->ctx, text, len, &b->parsed, &b->obs[b->obs_len], &error, &is_json);
	if (is_json)
		b->json_seen++;
	if (rc == RC_OK && store_blob_check(b->ctx->store, &b->obs[b->obs_len], NULL) != RC_OK) {
		error =
		    (struct ingest_error){ .field = "blob", .text = "is not here: send it first" };
		rc = RC_INVALID;
	}
	if (rc == RC_OK)
		b->obs_len++;
	else if (rc == RC_INVALID)
		rc = batch_reject(b, &error);
	b->seen++;
	return rc;
}

static enum rc read_lines(struct batch *b, const char *body, size_t len, struct errmsg *why)
{
	while (len > 0) {
		const char *end = memchr(body, '\n', len);
		size_t line = end == NULL ? len : (size_t)(end - body);
		size_t blank = ingest_json_blank(body, line);
		if (blank < line) {
			enum rc rc = batch_add(b, body + blank, line - blank, why);
			if (rc != RC_OK)
				return rc;
		}
		size_t step = end == NULL ? line : line + 1;
		body += step;
		len -= step;
	}
	if (b->seen > 0 && b->json_seen == 0)
		return errmsg_rc(why, RC_INVALID, "the body is not JSON: %s",
		    b->report->errors_len > 0 ? b->report->errors[0].text : "no event");
	return RC_OK;
}

/* `body` starts behind the opening bracket. */
static enum rc read_array(struct batch *b, const char *body, size_t len, struct errmsg *why)
{
	size_t at = ingest_json_blank(body, len);

	if (at < len && body[at] == ']') {
		at++;
		goto end;
	}
	for (;;) {
		at += ingest_json_blank(body + at, len - at);
		size_t n = ingest_json_span(body + at, len - at);
		if (n == 0)
			return errmsg_rc(
			    why, RC_INVALID, "the array breaks off in its event %zu", b->seen);
		enum rc rc = batch_add(b, body + at, n, why);
		if (rc != RC_OK)
			return rc;
		at += n;
		at += ingest_json_blank(body + at, len - at);
		if (at >= len || (body[at] != ',' && body[at] != ']'))
			return errmsg_rc(why, RC_INVALID,
			    "the array breaks off behind its event %zu", b->seen - 1);
		if (body[at++] == ']')
			break;
	}
end:
	if (at + ingest_json_blank(body + at, len - at) != len)
		return errmsg_rc(why, RC_INVALID, "there is more behind the array");
	return RC_OK;
}

static enum rc read_events(struct batch *b, const char *body, size_t len, struct errmsg *why)
{
	if (len >= 3 && memcmp(body, "\xEF\xBB\xBF", 3) == 0) {
		body += 3;
		len -= 3;
	}
	size_t blank = ingest_json_blank(body, len);
	body += blank;
	len -= blank;
	if (len > 0 && body[0] == '[')
		return read_array(b, body + 1, len - 1, why);
	/* One object, perhaps over several lines? */
	size_t n = len > 0 && body[0] == '{' ? ingest_json_span(body, len) : 0;
	if (n != 0 && n + ingest_json_blank(body + n, len - n) == len) {
		enum rc rc = batch_add(b, body, n, why);
		if (rc == RC_OK && b->json_seen == 0)
			return errmsg_rc(why, RC_INVALID, "the body %s", b->report->errors[0].text);
		return rc;
	}
	return read_lines(b, body, len, why);
}

static enum rc batch_store(struct batch *b, struct errmsg *why)
{
	struct store_result *results = calloc(b->obs_len + 1, sizeof(*results));

	if (results == NULL)
		return RC_NOMEM;
	enum rc rc =
	    store_append(b->ctx->store, b->obs, b->obs_len, results, &b->report->cursor, why);
	for (size_t i = 0; rc == RC_OK && i < b->obs_len; i++) {
		if (results[i].outcome == STORE_DUPLICATE)
			b->report->duplicate++;
		else
			b->report->accepted++;
	}
	free(results);
	return rc;
}

enum rc ingest_body(const struct ingest_context *ctx, const char *body, size_t len,
    struct arena *arena, struct ingest_report *out, struct errmsg *why)
{
	struct ingest_report report = { 0 };
	struct batch b = { .ctx = ctx, .arena = arena, .report = &report };

	if (len > INGEST_BODY_BYTES_MAX)
		return errmsg_rc(
		    why, RC_LIMIT, "the body is larger than %zu bytes", INGEST_BODY_BYTES_MAX);
	arena_init(&b.parsed, PARSE_ARENA_BYTES);
	enum rc rc = read_events(&b, body, len, why);
	if (rc == RC_OK)
		rc = batch_store(&b, why);
	if (rc == RC_OK)
		*out = report;
	free(b.obs);
	arena_fini(&b.parsed);
	return rc;
}
