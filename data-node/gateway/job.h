/*
 * Job: work that takes a while, behind one request, and tells how far it is.
 *
 * The work runs on a thread of its own; the answer is a stream of JSON lines:
 * {"done":N,"total":N} now and then, and as the last line the result, or
 * {"error":{"message","code"}} with the word of the result code (the status is 200
 * by then).  If the client goes away the work is told to break off and the
 * stream waits for it to end.
 */
#ifndef GATEWAY_JOB_H
#define GATEWAY_JOB_H

#include "gateway/api.h"

struct job;

/* The work: appends one line of JSON to `result` on RC_OK. */
typedef enum rc job_fn(struct job *job, void *ctx, struct buf *result, struct errmsg *why);

/*
 * Start `work` and make `response` its stream.  `ctx` (may be NULL) is freed by
 * free() once the stream ends, also if this fails, which is answered then.
 */
void job_start(
    struct station *station, struct api_response *response, job_fn *work, void *ctx_take);

/* For the work, which hands it on as a progress function: false once the client
 * is gone or the node stops. */
bool job_progress(void *job, uint64_t done, uint64_t total);

struct station *job_station(struct job *job);

#endif
