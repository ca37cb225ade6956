/*
 * Import: a file of events to the store, in batches.
 *
 * Reads NDJSON of any length in bounded memory (or a JSON array of at most one
 * body) and hands batches of events to a sink: ingest_body() in this process,
 * or the control socket of a node that serves.  Events are idempotent, so an
 * import that was stopped is simply repeated.
 */
#ifndef INGEST_IMPORT_H
#define INGEST_IMPORT_H

#include "ingest/ingest.h"

#define IMPORT_BATCH_EVENTS ((size_t)1000)
#define IMPORT_BATCH_BYTES ((size_t)8 << 20)

/* Store one batch (NDJSON, or the array); the report's errors may live in
 * `arena`.  RC_INVALID: nothing in it is JSON. */
typedef enum rc import_sink_fn(void *ctx, const char *body, size_t len, struct arena *arena,
    struct ingest_report *report, struct errmsg *why);

struct import_progress {
	uint64_t bytes_done, bytes_total; /* total 0: unknown (a pipe) */
	uint64_t accepted, duplicate, rejected;
};

/* After every batch; false stops the import (RC_CANCELLED). */
typedef bool import_progress_fn(void *ctx, const struct import_progress *progress);

struct import_source {
	const char *path; /* "-": standard input */
	import_sink_fn *sink;
	void *sink_ctx;
	import_progress_fn *progress; /* may be NULL */
	void *progress_ctx;
};

/*
 * Totals and the first INGEST_ERRORS_MAX errors, whose index counts the events
 * of the file from 0 (blank lines are none); they live in `arena`.  `out` is
 * filled on failure too: what was stored before it.  RC_INVALID: the file's
 * beginning holds no JSON.  The sink's errors end the import.
 */
enum rc import_file(const struct import_source *source, struct arena *arena,
    struct ingest_report *out, struct errmsg *why) RC_CHECK;

/* The sink of this process; ctx is a struct ingest_context. */
enum rc import_to_store(void *ctx, const char *body, size_t len, struct arena *arena,
    struct ingest_report *report, struct errmsg *why);

#endif
