/*
 * Reply: one answer to one checked request, as a pull stream of events.
 *
 * Decides how to answer (with the person's context, without it, or recall-only
 * because no model is there), finds the moments, fits them into the model's
 * context, runs the generation, and stores the exchange when it is complete.
 * One thread at a time.
 */
#ifndef ANSWER_REPLY_H
#define ANSWER_REPLY_H

#include "answer/chunk.h"
#include "answer/generation.h"
#include "answer/host.h"

struct reply;

#define REPLY_TEXT_BYTES_MAX ((size_t)16 << 20)

/* Why there is no answer, in HTTP's words. */
struct reply_fault {
	int status;
	const char *type, *code, *param; /* static; param may be NULL */
	const char *retry_after;         /* seconds, or NULL */
	char message[256];
};

/*
 * Recall, pack and ask for the choice of that number: each has a seed of its own, and the
 * first is the one that is remembered.  `request` and its strings are borrowed until
 * reply_free(), `host` is copied.  What has to be of a form is never answered by recall alone.
 * RC_OK, or anything else with `fault` filled.
 */
enum rc reply_open(const struct host *host, const struct chat_request *request, unsigned choice,
    struct reply **out, struct reply_fault *fault) RC_CHECK;
void reply_free(struct reply *reply); /* cancels if needed */

/*
 * The next event, as of generation_next(), but: the text of a chat is parted into TEXT,
 * REASONING and CALL (output.h); STARTED comes once also for a
 * recall-only answer; a prompt that proves too long is tried again with fewer
 * moments; DONE comes after the exchange is durable.  FAILED fills `fault`.
 */
void reply_next(struct reply *reply, int64_t timeout_ns, struct generation_event *event,
    struct reply_fault *fault);

const struct chunk_head *reply_head(const struct reply *reply);
/* After DONE: finish, usage, mode, sources. */
const struct chunk_end *reply_end(const struct reply *reply);
/* Log-probabilities since the last call of it, into a buffer for as much, as a stream takes them.
 */
void reply_take_logprobs(struct reply *reply, struct buf *out);
/* All of it so far; of a stream only what is kept. */
struct chunk_answer reply_answer(const struct reply *reply);

#endif
