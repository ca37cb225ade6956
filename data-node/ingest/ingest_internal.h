/* Ingest internals: the JSON helpers and the origin table. */
#ifndef INGEST_INGEST_INTERNAL_H
#define INGEST_INGEST_INTERNAL_H

#include <jansson.h>

#include "ingest/ingest.h"

#define INGEST_PULSE_S_MAX (366.0 * 86400.0)
#define INGEST_RATE_HZ_MAX 1e9
#define INGEST_EXACT_MAX 9007199254740992.0 /* integers that a double holds */

/* Length of the JSON value that starts at `text[0]`, by brackets and quotes
 * alone (its inside may still be malformed); 0 if it does not end. */
size_t ingest_json_span(const char *text, size_t len);

/* True if brackets nest deeper than INGEST_JSON_DEPTH_MAX. */
bool ingest_json_too_deep(const char *text, size_t len);

size_t ingest_json_blank(const char *text, size_t len); /* leading white space */

/* Canonical text: keys sorted by bytes, no blanks, shortest numbers that read
 * back equal.  Depth is bounded by the caller. */
void ingest_json_canonical(const json_t *value, struct buf *out);

/* A number of "values", "rate" or "pulse"; a whole one without a point. */
void ingest_json_number(double value, struct buf *out);

/* Parse without ever repeating the text in a message.  RC_INVALID fills `error`;
 * RC_NOMEM. */
enum rc ingest_json_parse(
    const char *text, size_t len, json_t **out, char *error, size_t error_cap) RC_CHECK;

/* json_loadb() that can tell "no memory" from "no JSON".  RC_INVALID fills `error`. */
enum rc ingest_memory_load(
    const char *text, size_t len, json_t **out, json_error_t *error) RC_CHECK;

/* The arrays "values" and "times" of an event, read without a tree. */
struct ingest_numbers {
	const double *values; /* [values_len] in the arena; NULL: not taken */
	size_t values_len;
	const int64_t *times; /* [times_len], likewise */
	size_t times_len;
	const char *rest; /* the event with what was taken as empty arrays */
	size_t rest_len;
};

/*
 * Take them if the text has them as plain arrays of numbers; else `rest` is the
 * text itself.  Nothing is refused here: an event that the parser then refuses
 * is parsed again as it was sent.
 */
enum rc ingest_numbers_take(
    const char *json, size_t len, struct arena *arena, struct ingest_numbers *out) RC_CHECK;

/* Origin of (layer, kind); `given` is the context's, 0 for none. */
enum origin ingest_origin(enum layer layer, const char *kind, enum origin given);

/* ingest_event(), and whether the text was JSON at all. */
enum rc ingest_event_read(const struct ingest_context *ctx, const char *json, size_t len,
    struct arena *arena, struct observation *out, struct ingest_error *error,
    bool *is_json) RC_CHECK;

#endif
