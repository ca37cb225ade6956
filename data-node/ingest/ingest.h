/*
 * Ingest: from what senders write to observations in the store.
 *
 * One normaliser for HTTP and files: it checks every field of the contract
 * (DESIGN §7), names what is wrong by index and field, and keeps the good ones.
 */
#ifndef INGEST_INGEST_H
#define INGEST_INGEST_H

#include "store/store.h"

#define INGEST_BODY_BYTES_MAX ((size_t)32 << 20) /* one request */
#define INGEST_EVENT_BYTES_MAX ((size_t)2 << 20) /* one event's JSON text */
#define INGEST_EVENTS_MAX ((size_t)100000)       /* one request */
#define INGEST_ERRORS_MAX ((size_t)1000)         /* reported one by one */
#define INGEST_JSON_DEPTH_MAX 32

struct ingest_context {
	struct store *store;
	const char *source; /* replaces a missing "source"; NULL: it is required */
	unsigned layers;    /* LAYER_MASK bits the sender may write; 0: all */
	enum origin origin; /* of every event without a better one; 0: DEVICE, or
			       OWNER for text messages, notes and searches */
	int64_t recv_utc_ns, recv_mono_ns;
	int64_t error_ns; /* ε that the sender is registered with; 0: the default */
};

struct ingest_error {
	size_t index;   /* of the event in the body, from 0 */
	char field[64]; /* "start", "data.lat"; "" = the event as a whole */
	char text[160]; /* what is wrong; never the value itself */
};

struct ingest_report {
	uint64_t accepted, duplicate, rejected, cursor;
	struct ingest_error *errors; /* [errors_len] in the arena; the first ones */
	size_t errors_len;
};

/*
 * Parse a body (NDJSON or a JSON array or one object, told apart by content),
 * append the good events in one commit, wait for it.  RC_OK also when some or
 * all were rejected.  RC_INVALID: the body as a whole is no JSON; RC_LIMIT;
 * store_append()'s errors.
 */
enum rc ingest_body(const struct ingest_context *ctx, const char *body, size_t len,
    struct arena *arena, struct ingest_report *out, struct errmsg *why) RC_CHECK;

/*
 * One event's JSON text to an observation (not stored); pointers live in the
 * arena.  RC_INVALID fills `error`.
 */
enum rc ingest_event(const struct ingest_context *ctx, const char *json, size_t len,
    struct arena *arena, struct observation *out, struct ingest_error *error) RC_CHECK;

/* The event as the contract shows it in GET /api/v1/events: as sent, plus
 * "obs_id".  Appends one JSON object. */
enum rc ingest_event_json(const struct observation *obs, struct buf *out) RC_CHECK;

#endif
